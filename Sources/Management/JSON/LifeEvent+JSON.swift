// Life events and call records as lines of JSON: what `dialogs.events-file` has, and what a program that follows them
// makes of the last one. Names and units as everywhere in `Reports+JSON`.

import Dialogs
package import Node

extension LifeEvent {
    /// The event with all that the record has.
    package var json: JSONValue {
        [
            "id": .string(id), "event": .string(kind.rawValue), "node": .string(node),
            "unix_ms": .integer(unixMilliseconds), "dialog": dialog.json,
        ]
    }

    /// A call as billing wants it, of an event that ends one (`end`, `failed`).
    package var record: JSONValue {
        let born = Int64(clamping: dialog.bornUnixMilliseconds)
        func moment(_ since: UInt64) -> JSONValue { since > 0 ? .integer(born + Int64(clamping: since)) : .null }
        let (answered, ended) = (dialog.answeredMilliseconds, dialog.endedMilliseconds)
        let talked = answered > 0 && ended >= answered ? JSONValue.count(ended - answered) : .null
        return .object([
            .init("id", .string(id)), .init("did", .string(dialog.did)), .init("call_id", .string(dialog.callID)),
            .init("from", .string(dialog.from)), .init("to", .string(dialog.to)),
            .init("request_uri", .string(dialog.requestURI)), .init("start_ms", .integer(born)),
            .init("answer_ms", moment(answered)), .init("end_ms", moment(ended)), .init("duration_ms", talked),
            .init("answered", .bool(answered > 0)), .init("ended_by", .string(dialog.end.cause.rawValue)),
            .init("home", .string(dialog.home)), .init("told_by", .string(node)),
            .init("variables", .object(dialog.variables.map { .init($0.key, .string($0.value)) })),
            .init("profiles", .array(dialog.profiles.map { ["name": .string($0.key), "value": .string($0.value)] })),
        ])
    }
}

extension RequestEvent {
    /// What has become of a request within a dialog.
    package var json: JSONValue {
        [
            "event": "request", "node": .string(node), "unix_ms": .integer(unixMilliseconds), "did": .string(did),
            "call_id": .string(callID), "side": side == .caller ? "caller" : "callee", "method": .string(method),
            "outcome": .string(outcome.rawValue), "status": .integer(Int64(status)), "heir": .bool(isOfHeir),
        ]
    }
}
