// The names of flags and progress: one for each bit, and none twice.

import Dialogs
import Testing

@Suite("What records' bits are called")
struct RecordVocabularyTests {
    @Test func `each flag has a bit and a name of its own, in the order of the bits`() {
        let all = RecordFlags.allNames
        let told: RecordFlags = [.toldStart, .toldTimeout, .toldEnd]
        let bits = (0..<all.count + 3).map { 1 << UInt64($0) }.filter { told.rawValue & $0 == 0 }
        #expect(all.map(\.flag.rawValue) == bits, "but for those that say what was told")
        #expect(Set(all.map(\.name)).count == all.count)
        #expect(RecordFlags(rawValue: .max).names == all.map(\.name), "what a later version raises has no name here")
        #expect(RecordFlags([.keepAliveToCallee, .byeFromCaller]).names == ["bye_from_caller", "ka-dst"])
    }

    @Test func `so has each step of an INVITE`() {
        let all = PendingProgress.allNames
        #expect(all.map(\.progress.rawValue) == (0..<all.count).map { 1 << UInt64($0) })
        #expect(PendingProgress([.cancelled, .provisional]).names == ["provisional", "cancelled"])
    }

    @Test func `the side that is asked by keep-alives is told by its flag`() {
        #expect(RecordFlags.keepAliveToCaller.keepAlive(to: .caller))
        #expect(!RecordFlags.keepAliveToCaller.keepAlive(to: .callee))
    }
}
