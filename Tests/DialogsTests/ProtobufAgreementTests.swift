// SwiftProtobuf as the independent reader and writer of the same schema (Deploy/understudy.proto; the generated code
// lies in Generated): what our codec writes, it decodes to the same values, and it writes the same bytes. Generated
// again with
//
//     protoc --swift_out=Tests/DialogsTests/Generated --proto_path=Deploy understudy.proto
//     sed -i 's/= _StorageClass.defaultInstance$/= unsafe _StorageClass.defaultInstance/' …/understudy.pb.swift
//
// (protoc-gen-swift is a product of swift-protobuf; the second line tells the strict compiler what the generator
// knows).

import Dialogs
import Foundation
import Primitives
import SwiftProtobuf
import Testing

@Suite("Records, as SwiftProtobuf reads them")
struct ProtobufAgreementTests {
    @Test(arguments: 31...36 as ClosedRange<UInt64>)
    func `both codecs agree on values and bytes`(seed: UInt64) throws {
        var generator = RecordGenerator(seed: seed)
        generator.unknownNumbers = [100]
        if seed.isMultiple(of: 2) { generator.states = 0...4 }
        for _ in 0..<150 {
            let bytes = try joined(generator.facts(), generator.facts())
            let theirs = try Understudy_Record(serializedBytes: bytes)
            let again: [UInt8] = try theirs.serializedBytes()
            try #require(again == bytes)
            let ours = try Record(RawSpan(_elements: bytes.span))
            try #require(Record(theirs) == ours)
        }
    }

    @Test func `what SwiftProtobuf writes in its own order is read`() throws {
        var theirs = Understudy_Record()
        theirs.callID = .init("call".utf8)
        theirs.state = 4
        theirs.variables = [.with { $0.key = .init("z".utf8) }, .with { $0.key = .init("a".utf8) }]
        let bytes: [UInt8] = try theirs.serializedBytes()
        let ours = try Record(RawSpan(_elements: bytes.span))
        #expect(ours.callID == Array("call".utf8) && ours.state == .confirmed)
        #expect(ours.variables.map(\.key) == [Array("a".utf8), Array("z".utf8)])
    }
}

extension Record {
    fileprivate init(_ theirs: Understudy_Record) throws {
        self.init()
        callID = Array(theirs.callID)
        fromTag = Array(theirs.fromTag)
        inviteCSeq = theirs.inviteCseq
        if !theirs.home.isEmpty {
            let bytes = try Understudy_Home(serializedBytes: theirs.home)
            var value = Home()
            value.name = Array(bytes.name)
            value.boot = bytes.boot
            value.sentBy = Array(bytes.sentBy)
            home = value
        }
        state = DialogState(rawValue: UInt8(theirs.state))
        if theirs.hasDeadline {
            var value = RecordView.Deadline()
            value.generation = theirs.deadline.generation
            value.atMilliseconds = theirs.deadline.atMs
            value.lifetimeMilliseconds = theirs.deadline.lifetimeMs
            value.ordinaryMilliseconds = theirs.deadline.ordinaryMs
            deadline = value
        }
        flags = RecordFlags(rawValue: UInt64(theirs.flags))
        from = Array(theirs.from)
        to = Array(theirs.to)
        requestURI = Array(theirs.requestUri)
        caller = Side(theirs.caller)
        settledCaller = theirs.settledCaller
        settledCallee = theirs.settledCallee
        rejectedCaller = theirs.rejectedCaller
        rejectedCallee = theirs.rejectedCallee
        refusedCaller = theirs.refusedCaller
        failure = theirs.failure
        times.bornUnixMilliseconds = theirs.times.bornUnixMs
        times.answeredMilliseconds = theirs.times.answeredMs
        times.endedMilliseconds = theirs.times.endedMs
        attributes = theirs.attributes.map(Stamped.init)
        outs = theirs.outs.map(Out.init)
        pendings = theirs.pendings.map(Pending.init)
        adoptions = theirs.adoptions.map(Pending.init)
        variables = theirs.variables.map(Stamped.init)
        profiles = theirs.profiles.map(Stamped.init)
    }
}

extension Record.Side {
    fileprivate init(_ theirs: Understudy_Side) {
        self.init()
        cseq = theirs.cseq
        firstCSeq = theirs.firstCseq
        targetCSeq = theirs.target.cseq
        contact = Array(theirs.target.contact)
        routes = Array(theirs.target.routes)
        endpoint = Array(theirs.target.endpoint)
        flow = Array(theirs.target.flow)
        sentBy = Array(theirs.sentBy)
        pass = SpiralPass(rawValue: theirs.target.pass)
        shift = theirs.shift
        inviteShift = theirs.inviteShift
    }
}

extension Record.Out {
    fileprivate init(_ theirs: Understudy_Out) {
        self.init()
        toTag = Array(theirs.toTag)
        state = DialogState(rawValue: UInt8(theirs.state))
        side = Record.Side(theirs.side)
        answer = Array(theirs.answer)
        acked = theirs.acked
        to = Array(theirs.to)
        refused = theirs.refused
    }
}

extension Record.Pending {
    fileprivate init(_ theirs: Understudy_Pending) {
        self.init()
        branch = Array(theirs.branch)
        leg = theirs.leg == 0 ? .caller : .callee
        cseq = theirs.cseq
        progress = PendingProgress(rawValue: UInt64(theirs.progress))
        vias = Array(theirs.vias)
        source = Array(theirs.source)
        requestURI = Array(theirs.requestUri)
        routes = Array(theirs.routes)
        via = Array(theirs.via)
        target = Array(theirs.target)
        answer = Array(theirs.answer)
        pass = SpiralPass(rawValue: theirs.pass)
        sessionSeconds = theirs.sessionS
        reason = Array(theirs.reason)
        shift = theirs.shift
    }
}

extension Record.Stamped {
    fileprivate init(_ theirs: Understudy_Stamped) {
        self.init()
        key = Array(theirs.key)
        counter = theirs.counter
        node = Array(theirs.node)
        boot = theirs.boot
        value = theirs.hasValue ? Array(theirs.value) : nil
    }
}
