// Reading the messages inside of a record: the second half of RecordView.

internal import Primitives

extension RecordView {
    /// Visits the fields in `range` until they end or cannot be read.
    @inline(__always)
    static func walk(_ bytes: borrowing RawSpan, _ range: ByteRange, _ body: (WireField) -> Void) {
        var reader = ProtobufReader(range.range)
        while let field = reader.nextChecked(in: bytes) { body(field) }
    }

    static func extend(_ range: inout ByteRange, _ field: WireField) {
        let start = range.isEmpty ? field.start : Int(range.start)
        range = ByteRange(start: start, end: field.payload.upperBound)
    }

    /// The contents of a byte string; empty for a number, which only bytes that no join has checked could hold here.
    static func bytes(_ field: WireField) -> ByteRange {
        guard field.wireType == ProtobufReader.lengthDelimited else { return .empty }
        return ByteRange(start: field.payload.lowerBound, end: field.payload.upperBound)
    }

    static func deadline(_ span: borrowing RawSpan, _ range: ByteRange) -> Deadline {
        var deadline = Deadline()
        walk(span, range) { field in
            switch field.number {
            case DeadlineField.generation.rawValue: deadline.generation = UInt32(truncatingIfNeeded: field.value)
            case DeadlineField.atMilliseconds.rawValue: deadline.atMilliseconds = field.value
            case DeadlineField.lifetimeMilliseconds.rawValue: deadline.lifetimeMilliseconds = field.value
            case DeadlineField.ordinaryMilliseconds.rawValue: deadline.ordinaryMilliseconds = field.value
            default: break
            }
        }
        return deadline
    }

    static func times(_ span: borrowing RawSpan, _ range: ByteRange) -> Times {
        var times = Times()
        walk(span, range) { field in
            switch TimesField(rawValue: field.number) {
            case .bornUnixMilliseconds: times.bornUnixMilliseconds = field.value
            case .answeredMilliseconds: times.answeredMilliseconds = field.value
            case .endedMilliseconds: times.endedMilliseconds = field.value
            case nil: break
            }
        }
        return times
    }

    static func side(_ span: borrowing RawSpan, _ range: ByteRange) -> Side {
        var side = Side()
        var target = ByteRange.empty
        walk(span, range) { field in
            switch SideField(rawValue: field.number) {
            case .cseq: side.cseq = UInt32(truncatingIfNeeded: field.value)
            case .firstCSeq: side.firstCSeq = UInt32(truncatingIfNeeded: field.value)
            case .target: target = bytes(field)
            case .sentBy: side.sentBy = bytes(field)
            case .shift: side.shift = UInt32(truncatingIfNeeded: field.value)
            case .inviteShift: side.inviteShift = field.value
            case nil: break
            }
        }
        walk(span, target) { field in
            switch TargetField(rawValue: field.number) {
            case .cseq: side.targetCSeq = UInt32(truncatingIfNeeded: field.value)
            case .contact: side.contact = bytes(field)
            case .routes: side.routes = bytes(field)
            case .endpoint: side.endpoint = bytes(field)
            case .flow: side.flow = bytes(field)
            case .pass: side.pass = SpiralPass(rawValue: field.value)
            case nil: break
            }
        }
        return side
    }

    static func out(_ span: borrowing RawSpan, _ payload: Range<Int>) -> Out {
        var out = Out()
        var sideRange = ByteRange.empty
        walk(span, ByteRange(start: payload.lowerBound, end: payload.upperBound)) { field in
            switch OutField(rawValue: field.number) {
            case .toTag: out.toTag = bytes(field)
            case .state: out.state = DialogState(rawValue: UInt8(truncatingIfNeeded: field.value))
            case .side: sideRange = bytes(field)
            case .answer: out.answer = bytes(field)
            case .acked: out.acked = UInt32(truncatingIfNeeded: field.value)
            case .to: out.to = bytes(field)
            case .refused: out.refused = field.value
            case nil: break
            }
        }
        out.side = side(span, sideRange)
        return out
    }

    static func outStates(_ span: borrowing RawSpan, _ outs: ByteRange) -> OutStates {
        var states = OutStates()
        walk(span, outs) { out in
            walk(span, ByteRange(start: out.payload.lowerBound, end: out.payload.upperBound)) { field in
                switch field.number {
                case OutField.state.rawValue:
                    let state = DialogState(rawValue: UInt8(truncatingIfNeeded: field.value))
                    states.hasLive = states.hasLive || state == .confirmedNotAcknowledged || state == .confirmed
                    states.hasEnded = states.hasEnded || state == .deleted
                case OutField.acked.rawValue:
                    states.acknowledged = max(states.acknowledged, UInt32(truncatingIfNeeded: field.value))
                default: break
                }
            }
        }
        return states
    }

    static func hasRefusal(_ span: borrowing RawSpan, _ record: ByteRange) -> Bool {
        var isFound = false
        walk(span, record) { field in
            switch field.number {
            case RecordField.rejectedCaller.rawValue, RecordField.rejectedCallee.rawValue,
                RecordField.refusedCaller.rawValue:
                isFound = isFound || field.value != 0
            case RecordField.outs.rawValue:
                walk(span, bytes(field)) { part in
                    isFound = isFound || part.number == OutField.refused.rawValue && part.value != 0
                }
            default: break
            }
        }
        return isFound
    }

    static func branching(_ span: borrowing RawSpan, _ payload: Range<Int>) -> Branching {
        var branching = Branching()
        var reader = ProtobufReader(payload)
        // Fields are in order, and these are the first ones.
        while let field = reader.nextChecked(in: span), field.number <= PendingField.progress.rawValue {
            switch field.number {
            case PendingField.branch.rawValue: branching.branch = bytes(field)
            case PendingField.leg.rawValue:
                branching.leg = Leg(rawValue: UInt8(truncatingIfNeeded: field.value)) ?? .caller
            case PendingField.cseq.rawValue: branching.cseq = UInt32(truncatingIfNeeded: field.value)
            case PendingField.progress.rawValue: branching.progress = PendingProgress(rawValue: field.value)
            default: break
            }
        }
        return branching
    }

    static func pending(_ span: borrowing RawSpan, _ payload: Range<Int>) -> Pending {
        var pending = Pending()
        walk(span, ByteRange(start: payload.lowerBound, end: payload.upperBound)) { field in
            switch PendingField(rawValue: field.number) {
            case .branch: pending.branch = bytes(field)
            case .leg: pending.leg = Leg(rawValue: UInt8(truncatingIfNeeded: field.value)) ?? .caller
            case .cseq: pending.cseq = UInt32(truncatingIfNeeded: field.value)
            case .progress: pending.progress = PendingProgress(rawValue: field.value)
            case .vias: pending.vias = bytes(field)
            case .source: pending.source = bytes(field)
            case .requestURI: pending.requestURI = bytes(field)
            case .routes: pending.routes = bytes(field)
            case .via: pending.via = bytes(field)
            case .target: pending.target = bytes(field)
            case .answer: pending.answer = bytes(field)
            case .pass: pending.pass = SpiralPass(rawValue: field.value)
            case .sessionSeconds: pending.sessionSeconds = UInt32(truncatingIfNeeded: field.value)
            case .reason: pending.reason = bytes(field)
            case .shift: pending.shift = UInt32(truncatingIfNeeded: field.value)
            case nil: break
            }
        }
        return pending
    }

    static func stamped(_ span: borrowing RawSpan, _ payload: Range<Int>) -> Stamped {
        var stamped = Stamped()
        walk(span, ByteRange(start: payload.lowerBound, end: payload.upperBound)) { field in
            switch StampedField(rawValue: field.number) {
            case .key: stamped.key = bytes(field)
            case .counter: stamped.counter = field.value
            case .node: stamped.node = bytes(field)
            case .boot: stamped.boot = field.value
            case .value: stamped.value = bytes(field)
            case nil: break
            }
        }
        return stamped
    }
}
