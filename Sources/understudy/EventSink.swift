// EventSink appends what this node tells of dialogs' lives to `dialogs.events-file`, a line of JSON an event, and
// confirms each when its line is in the file: so an event that was told is there, whichever process dies.

import Callbacks
import Management
import Nanomsg
import Node
import Primitives

final class EventSink: Sendable {
    private let file: LineFile<LifeEvent?>

    private init(_ path: String, _ live: LiveNode) throws(NanomsgError) {
        file = try LineFile(path: path) { [weak live] events in live?.confirm(events.compactMap { $0 }) }
    }

    /// - Returns: `nil` where nobody is told.
    static func open(_ settings: DialogSettings, _ live: LiveNode) throws(NanomsgError) -> EventSink? {
        guard settings.tellsEvents, !settings.eventsFile.isEmpty else { return nil }
        return try EventSink(settings.eventsFile, live)
    }

    /// Takes what has happened out of the outbox, on the SIP thread. What finds no room is not confirmed, so it is told
    /// again.
    static func take(_ sink: EventSink?, _ machine: inout ScriptedNode, _ now: Instant, _ out: inout Outbox) {
        machine.tellScript(now, &out)
        for event in out.events { sink?.file.append(event.json.bytes, event) }
        for event in out.requests { sink?.file.append(event.json.bytes, nil) }
        out.events.removeAll(keepingCapacity: true)
        out.requests.removeAll(keepingCapacity: true)
        out.moments.removeAll(keepingCapacity: true)
    }

    /// Writes what waits, if it can be written.
    func stop() { file.stop() }

    static func metrics(_ sink: EventSink?) -> [MetricReport] {
        let counters = sink?.file.counters ?? LineFile<LifeEvent?>.Counters()
        func counter(_ name: String, _ help: String, _ value: UInt64) -> MetricReport {
            MetricReport(
                name: "understudy_\(name)_total", help: help, kind: .counter, value: Int64(clamping: value))
        }
        return [
            counter("events_written", "Events of dialogs' lives written into dialogs.events-file", counters.written),
            counter("events_refused", "Events for which there was no room before it", counters.refused),
            counter("events_failures", "Attempts to write dialogs.events-file that failed", counters.failures),
            MetricReport(
                name: "understudy_events_waiting", help: "Events that wait to be written", kind: .gauge,
                value: Int64(counters.waiting)),
        ]
    }
}
