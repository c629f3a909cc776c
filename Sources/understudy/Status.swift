// `understudy status`: one node's view of itself and its cluster.

import ArgumentParser
import Management

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Members, view, quorum, dialogs by state, lag to each peer.",
        discussion: """
            BEHIND is how many frames of the member are not applied here yet, and for how long it has been so.

            JSON: {"node", "cluster", "version", "commit", "build", "state", "ready", "not_ready_reason", "waiting", \
            "quorum", "epoch", "incarnation", "transactions", "invites", "unacknowledged", "relayed", "uptime_s", \
            "view":[NAME], "dialogs":{"unconfirmed", "early", "confirmed_na", "confirmed", "deleted", "held", \
            "acting"}, "members":[{"name", "state", "incarnation", "bus", "url", "self", "in_view", "fit", \
            "witness", "listed", "gone", "silent_s", "lag_frames", "lag_ms", "applied", "acknowledged"}], \
            "strangers":[{"name", "silent_s"}], "targets":[{"set", "uri", "policy", \
            "state", "probed", "changed_s", "streak", "probes", "requests", "silences"}]}. held counts live \
            records, home and replicas; acting those this node acts for. A member's state is absent while its \
            configured address was never heard. strangers send frames of another cluster.name or key.
            """)

    @OptionGroup var options: NodeOptions
    @Flag(name: .shortAndLong, help: "Print JSON with sorted keys.") var json = false

    func run() async throws {
        let status = try await Asking.call(try await options.caller(), "cluster.status", [])
        Console.print(json ? status.sorted.printed : StatusText.text(status, width: Console.width))
    }
}
