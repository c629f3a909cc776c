// Record is a decoded copy of a record, for the cold paths: listing dialogs, intents, tests. The hot path uses RecordView.
//
// Fields of later versions are not decoded; `encoded()` writes what this version knows.

internal import Primitives

package struct Record: Equatable, Sendable {
    package struct Home: Equatable, Sendable {
        package var name: [UInt8] = []
        package var boot: UInt64 = 0
        package var sentBy: [UInt8] = []

        package init() {}
    }

    package struct Side: Equatable, Sendable {
        package var cseq: UInt32 = 0
        package var firstCSeq: UInt32 = 0
        package var targetCSeq: UInt32 = 0
        package var contact: [UInt8] = []
        package var routes: [UInt8] = []
        package var endpoint: [UInt8] = []

        package init() {}
    }

    package struct Out: Equatable, Sendable {
        package var toTag: [UInt8] = []
        package var state: DialogState?
        package var side = Side()
        package var answer: [UInt8] = []
        package var acked: UInt32 = 0
        package var to: [UInt8] = []

        package init() {}
    }

    package struct Pending: Equatable, Sendable {
        package var branch: [UInt8] = []
        package var leg = Leg.caller
        package var cseq: UInt32 = 0
        package var progress: UInt64 = 0
        package var vias: [UInt8] = []
        package var source: [UInt8] = []
        package var requestURI: [UInt8] = []
        package var routes: [UInt8] = []
        package var via: [UInt8] = []
        package var target: [UInt8] = []
        package var answer: [UInt8] = []

        package init() {}
    }

    package struct Stamped: Equatable, Sendable {
        package var key: [UInt8] = []
        package var counter: UInt64 = 0
        package var node: [UInt8] = []
        package var boot: UInt64 = 0
        package var value: [UInt8]?

        package init() {}
    }

    package var callID: [UInt8] = []
    package var fromTag: [UInt8] = []
    package var inviteCSeq: UInt32 = 0
    package var home: Home?
    package var state: DialogState?
    package var deadline: RecordView.Deadline?
    package var flags: UInt64 = 0
    package var from: [UInt8] = []
    package var to: [UInt8] = []
    package var requestURI: [UInt8] = []
    package var caller = Side()
    package var settledCaller: UInt32 = 0
    package var settledCallee: UInt32 = 0
    package var outs: [Out] = []
    package var pendings: [Pending] = []
    package var variables: [Stamped] = []
    package var profiles: [Stamped] = []

    package init() {}

    /// Decodes a record or a patch, which need not be canonical.
    package init(_ bytes: RawSpan) throws(RecordError) {
        var canonical = ByteWriter(capacity: bytes.byteCount)
        try RecordJoin.join(bytes, RawSpan(), into: &canonical)
        self.init(canonical: canonical.bytes, ByteRange(canonical.bytes))
    }

    /// Decodes the canonical record in `bytes[range]`.
    init(canonical bytes: [UInt8], _ range: ByteRange) {
        func copy(_ range: ByteRange) -> [UInt8] { Array(bytes[range.range]) }
        let view = RecordView(bytes, range)
        callID = copy(view.callID)
        fromTag = copy(view.fromTag)
        inviteCSeq = view.inviteCSeq
        if !view.home.isEmpty {
            let parts = view.homeParts(in: bytes)
            var value = Home()
            value.name = copy(parts.name)
            value.boot = parts.boot
            value.sentBy = copy(parts.sentBy)
            home = value
        }
        state = view.hasState ? view.state : nil
        deadline = view.deadline
        flags = view.flags
        from = copy(view.from)
        to = copy(view.to)
        requestURI = copy(view.requestURI)
        caller = Side(view.caller, bytes)
        settledCaller = view.settledCaller
        settledCallee = view.settledCallee
        view.forEachOut(in: bytes) { outs.append(Out($0, bytes)) }
        view.forEachPending(in: bytes) { pendings.append(Pending($0, bytes)) }
        view.forEachVariable(in: bytes) { variables.append(Stamped($0, bytes)) }
        view.forEachProfile(in: bytes) { profiles.append(Stamped($0, bytes)) }
    }

    /// The dialog-out with this To-tag.
    package func out(toTag: [UInt8]) -> Out? {
        outs.first { $0.toTag == toTag }
    }
}

extension Record.Side {
    init(_ view: RecordView.Side, _ bytes: [UInt8]) {
        cseq = view.cseq
        firstCSeq = view.firstCSeq
        targetCSeq = view.targetCSeq
        contact = Array(bytes[view.contact.range])
        routes = Array(bytes[view.routes.range])
        endpoint = Array(bytes[view.endpoint.range])
    }
}

extension Record.Out {
    init(_ view: RecordView.Out, _ bytes: [UInt8]) {
        toTag = Array(bytes[view.toTag.range])
        state = view.state
        side = Record.Side(view.side, bytes)
        answer = Array(bytes[view.answer.range])
        acked = view.acked
        to = Array(bytes[view.to.range])
    }
}

extension Record.Pending {
    init(_ view: RecordView.Pending, _ bytes: [UInt8]) {
        branch = Array(bytes[view.branch.range])
        leg = view.leg
        cseq = view.cseq
        progress = view.progress
        vias = Array(bytes[view.vias.range])
        source = Array(bytes[view.source.range])
        requestURI = Array(bytes[view.requestURI.range])
        routes = Array(bytes[view.routes.range])
        via = Array(bytes[view.via.range])
        target = Array(bytes[view.target.range])
        answer = Array(bytes[view.answer.range])
    }
}

extension Record.Stamped {
    init(_ view: RecordView.Stamped, _ bytes: [UInt8]) {
        key = Array(bytes[view.key.range])
        counter = view.counter
        node = Array(bytes[view.node.range])
        boot = view.boot
        value = view.value.map { Array(bytes[$0.range]) }
    }
}
