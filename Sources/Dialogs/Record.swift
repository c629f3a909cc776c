// Record is a decoded copy of a record, for the cold paths: listing dialogs, intents, tests. The hot path uses
// RecordView.
//
// Fields of later versions are not decoded; `encoded()` writes what this version knows.

internal import Primitives

public struct Record: Equatable, Sendable {
    public struct Home: Equatable, Sendable {
        public var name: [UInt8] = []
        public var boot: UInt64 = 0
        public var sentBy: [UInt8] = []

        public init() {}
    }

    public struct Side: Equatable, Sendable {
        public var cseq: UInt32 = 0
        public var firstCSeq: UInt32 = 0
        public var targetCSeq: UInt32 = 0
        public var contact: [UInt8] = []
        public var routes: [UInt8] = []
        public var endpoint: [UInt8] = []
        public var flow: [UInt8] = []
        public var sentBy: [UInt8] = []
        public var pass = SpiralPass.first
        public var shift: UInt32 = 0
        public var inviteShift: UInt64 = 0

        public init() {}
    }

    public struct Out: Equatable, Sendable {
        public var toTag: [UInt8] = []
        public var state: DialogState?
        public var side = Side()
        public var answer: [UInt8] = []
        public var acked: UInt32 = 0
        public var to: [UInt8] = []
        public var refused: UInt64 = 0

        public init() {}
    }

    public struct Pending: Equatable, Sendable {
        public var branch: [UInt8] = []
        public var leg = Leg.caller
        public var cseq: UInt32 = 0
        public var progress: PendingProgress = []
        public var vias: [UInt8] = []
        public var source: [UInt8] = []
        public var requestURI: [UInt8] = []
        public var routes: [UInt8] = []
        public var via: [UInt8] = []
        public var target: [UInt8] = []
        public var answer: [UInt8] = []
        public var pass = SpiralPass.first
        public var sessionSeconds: UInt32 = 0
        public var reason: [UInt8] = []
        public var shift: UInt32 = 0

        public init() {}
    }

    public struct Stamped: Equatable, Sendable {
        public var key: [UInt8] = []
        public var counter: UInt64 = 0
        public var node: [UInt8] = []
        public var boot: UInt64 = 0
        public var value: [UInt8]?

        public init() {}
    }

    public var callID: [UInt8] = []
    public var fromTag: [UInt8] = []
    public var inviteCSeq: UInt32 = 0
    public var home: Home?
    public var state: DialogState?
    public var deadline: RecordView.Deadline?
    public var flags: RecordFlags = []
    public var from: [UInt8] = []
    public var to: [UInt8] = []
    public var requestURI: [UInt8] = []
    public var caller = Side()
    public var settledCaller: UInt32 = 0
    public var settledCallee: UInt32 = 0
    public var rejectedCaller: UInt64 = 0
    public var rejectedCallee: UInt64 = 0
    public var refusedCaller: UInt64 = 0
    public var failure: UInt32 = 0
    public var outs: [Out] = []
    public var pendings: [Pending] = []
    /// Branch, source and Via stack of each, CSeq and pass: see `RecordView.forEachAdoption`.
    public var adoptions: [Pending] = []
    public var times = RecordView.Times()
    public var attributes: [Stamped] = []
    public var variables: [Stamped] = []
    public var profiles: [Stamped] = []

    public init() {}

    /// Decodes a record or a patch, which need not be canonical.
    public init(_ bytes: RawSpan) throws(RecordError) {
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
        rejectedCaller = view.rejectedCaller
        rejectedCallee = view.rejectedCallee
        refusedCaller = view.refusedCaller
        failure = view.failure
        view.forEachOut(in: bytes) { outs.append(Out($0, bytes)) }
        view.forEachPending(in: bytes) { pendings.append(Pending($0, bytes)) }
        view.forEachAdoption(in: bytes) { adoptions.append(Pending($0, bytes)) }
        times = view.times(in: bytes)
        view.forEachAttribute(in: bytes) { attributes.append(Stamped($0, bytes)) }
        view.forEachVariable(in: bytes) { variables.append(Stamped($0, bytes)) }
        view.forEachProfile(in: bytes) { profiles.append(Stamped($0, bytes)) }
    }

    /// The dialog-out with this To-tag.
    public func out(toTag: [UInt8]) -> Out? {
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
        flow = Array(bytes[view.flow.range])
        sentBy = Array(bytes[view.sentBy.range])
        pass = view.pass
        shift = view.shift
        inviteShift = view.inviteShift
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
        refused = view.refused
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
        pass = view.pass
        sessionSeconds = view.sessionSeconds
        reason = Array(bytes[view.reason.range])
        shift = view.shift
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
