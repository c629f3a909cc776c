// `stats.*`, Kamailio's statistics: the groups `dialog`, `dialog_ng` and, as far as this program counts the same,
// `core`. A statistic is the cluster's where it is about dialogs that live, since every node holds them all, and this
// node's own where it counts what has happened.

import Node
import Synchronization

/// What `stats.reset_statistics` has set to 0: counters are shown less what they were then.
package final class StatisticsBaseline: Sendable {
    private let values = Mutex<[String: Int64]>([:])

    subscript(name: String) -> Int64 { values.withLock { $0[name] ?? 0 } }

    func reset(_ name: String, at value: Int64) { values.withLock { $0[name] = value } }
}

struct Statistic: Equatable, Sendable {
    var group: String
    var name: String
    var value: Int64
    /// It counts, and can begin again at 0.
    var isCounter = true

    static func all(in context: RPCContext) async throws -> [Statistic] {
        var totals: [String: Int64] = [:]
        for metric in try await context.node.metrics() {
            totals[metric.name, default: 0] += metric.value
            for label in metric.labels { totals["\(metric.name) \(label.value)", default: 0] += metric.value }
        }
        func total(_ name: String) -> Int64 { totals[name] ?? 0 }
        let dialogs = try await context.node.statistics(ofThisNode: false)
        let (active, early) = (Int64(dialogs.active), Int64(dialogs.early))
        let (processed, expired) = (Int64(clamping: dialogs.processed), Int64(clamping: dialogs.expired))
        var found = [
            Statistic(group: "dialog", name: "active_dialogs", value: active, isCounter: false),
            Statistic(group: "dialog", name: "early_dialogs", value: early, isCounter: false),
            Statistic(group: "dialog", name: "expired_dialogs", value: expired),
            Statistic(group: "dialog", name: "failed_dialogs", value: Int64(clamping: dialogs.failed)),
            Statistic(group: "dialog", name: "processed_dialogs", value: processed),
            Statistic(group: "dialog_ng", name: "active", value: active, isCounter: false),
            Statistic(group: "dialog_ng", name: "early", value: early, isCounter: false),
            Statistic(group: "dialog_ng", name: "expired", value: expired),
            Statistic(group: "dialog_ng", name: "processed", value: processed),
        ]
        found += core(total)
        for index in found.indices where found[index].isCounter {
            found[index].value -= context.process.baseline[found[index].path]
        }
        return found
    }

    /// Group and name, as `stats.fetch` spells them.
    var path: String { "\(group).\(name)" }

    /// `core`, by the names that Kamailio has for the same.
    private static func core(_ total: (String) -> Int64) -> [Statistic] {
        var found = [
            Statistic(group: "core", name: "bad_msg_hdr", value: total("understudy_sip_malformed_total")),
            Statistic(group: "core", name: "drop_requests", value: total("understudy_sip_dropped_total")),
            Statistic(group: "core", name: "fwd_requests", value: total("understudy_sip_forwarded_total")),
            Statistic(group: "core", name: "rcv_replies", value: total("understudy_sip_responses_total")),
            Statistic(group: "core", name: "rcv_requests", value: total("understudy_sip_requests_total")),
        ]
        for method in [
            "ack", "bye", "cancel", "info", "invite", "message", "notify", "options", "prack", "publish",
            "refer", "register", "subscribe", "update",
        ] {
            let counted = total("understudy_sip_requests_total \(method.uppercased())")
            found.append(Statistic(group: "core", name: "rcv_requests_\(method)", value: counted))
        }
        return found
    }

    /// `all`, a group with its colon, and, where one may be asked for by itself, its name with or without its group.
    static func chosen(
        _ names: [String], from all: [Statistic], takesSingle: Bool
    ) -> [Statistic] {
        all.filter { statistic in
            names.contains { name in
                if name == "all" || name == "\(statistic.group):" { return true }
                return takesSingle
                    && [statistic.name, statistic.path, "\(statistic.group):\(statistic.name)"].contains(name)
            }
        }.sorted { ($0.group, $0.name) < ($1.group, $1.name) }
    }
}

enum StatisticsList: RPCMethod {
    static let name = "stats.get_statistics"
    static let parameters = ["group", "[group]", "[group]", "[group]"]
    static let summary = "Statistics as `group:name = value`; a group is `dialog:`, `dialog_ng:`, `core:` or all."
    static let errors: [String] = []
    static let example = #"["dialog:"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let all = try await Statistic.all(in: context)
        return .texts(
            Statistic.chosen(arguments.words, from: all, takesSingle: false).map {
                "\($0.group):\($0.name) = \($0.value)"
            })
    }
}

enum StatisticsFetch: RPCMethod {
    static let name = "stats.fetch"
    static let parameters = ["name", "[name]", "[name]", "[name]"]
    static let summary =
        "Statistics as texts by `group.name`; a name is a statistic's, a group's with its colon, or all."
    static let errors: [String] = []
    static let example = #"["dialog:"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let all = try await Statistic.all(in: context)
        return .object(
            Statistic.chosen(arguments.words, from: all, takesSingle: true).map {
                .init($0.path, .string(String($0.value)))
            })
    }
}

enum StatisticsNumbers: RPCMethod {
    static let name = "stats.fetchn"
    static let parameters = StatisticsFetch.parameters
    static let summary = "As stats.fetch, with numbers."
    static let errors: [String] = []
    static let example = StatisticsFetch.example

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        let all = try await Statistic.all(in: context)
        return .object(
            Statistic.chosen(arguments.words, from: all, takesSingle: true).map { .init($0.path, .integer($0.value)) })
    }
}

enum StatisticsReset: RPCMethod {
    static let name = "stats.reset_statistics"
    static let parameters = StatisticsFetch.parameters
    static let summary = "Counters begin again at 0, for stats.* alone: /metrics goes on."
    static let errors: [String] = []
    static let example = #"["processed_dialogs"]"#

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        _ = try await changes(arguments, in: context)
        return [:]
    }

    /// Each that was chosen, with what it was.
    static func changes(_ arguments: RPCArguments, in context: RPCContext) async throws -> [Statistic] {
        let baseline = context.process.baseline
        let all = try await Statistic.all(in: context)
        let chosen = Statistic.chosen(arguments.words, from: all, takesSingle: true)
        for statistic in chosen where statistic.isCounter {
            baseline.reset(statistic.path, at: statistic.value + baseline[statistic.path])
        }
        return chosen
    }
}

enum StatisticsClear: RPCMethod {
    static let name = "stats.clear_statistics"
    static let parameters = StatisticsFetch.parameters
    static let summary = "As stats.reset_statistics, and answers what each was before."
    static let errors: [String] = []
    static let example = StatisticsReset.example

    static func call(_ arguments: RPCArguments, in context: RPCContext) async throws -> JSONValue {
        .texts(
            try await StatisticsReset.changes(arguments, in: context).map {
                "\($0.group):\($0.name) = \($0.isCounter ? 0 : $0.value) (\($0.value))"
            })
    }
}
