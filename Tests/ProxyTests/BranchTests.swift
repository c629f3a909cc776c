// The branch parameter of our Via, as it is written and read.

import Dialogs
import Primitives
import Proxy
import Testing

@Suite("The branch parameter")
struct BranchTests {
    @Test func `a branch names cluster, process, slot, generation, branch and dialog`() {
        let token = Branch.Token(
            member: 0x9c01_d2e4, slot: SlotID(index: 0x2a, generation: 7), branch: 3,
            did: DialogID(rawValue: 0x8d1f_02c3_b4a5_9687), loop: 0x51c2_0f9e)
        var writer = ByteWriter()
        Branch.transaction(token).write(mark: 0x3f2a, into: &writer)
        let text = "z9hG4bKus3f2at9c01d2e40000002a00000007038d1f02c3b4a5968751c20f9e"
        #expect(String(decoding: writer.bytes, as: UTF8.self) == text)
        #expect(Branch(writer.bytes, ByteRange(writer.bytes), mark: 0x3f2a) == .transaction(token))
        #expect(Branch(writer.bytes, ByteRange(writer.bytes), mark: 0x3f2b) == .foreign)
        var several = token
        several.isOneOfSeveral = true
        writer.removeAll()
        Branch.transaction(several).write(mark: 0x3f2a, into: &writer)
        #expect(writer.bytes[13] == UInt8(ascii: "f"))
        #expect(Branch(writer.bytes, ByteRange(writer.bytes), mark: 0x3f2a) == .transaction(several))
        let cut = Array(writer.bytes.dropLast(2))  // As it was before branches were counted.
        #expect(Branch(cut, ByteRange(cut), mark: 0x3f2a) == .foreign)
    }
}
