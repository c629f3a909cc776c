// `understudy drain` and `undrain`: whether balancers send new calls to a node. A name is looked up, and only the node
// of that name does it: a URL that leads somewhere else is refused by whoever answers there.

import ArgumentParser
import Management

struct Drain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Have a node take no new calls; what it has goes on.",
        discussion: """
            OPTIONS to the node gets 503, and /readyz says draining, so a balancer that probes sends new calls \
            elsewhere. A new call that reaches the node anyway is relayed to another member, whose answers come back \
            through the node; 503 only when no other member takes calls. With --wait the command goes on until no \
            call is being set up or changed there, and says what was left if the time is over.

            Exit codes: 0 done; 1 --wait ran out of time; 2 the node could not be asked.
            """)

    @Argument(help: "The node: its name, or its management URL.") var target: String
    @OptionGroup var options: NodeOptions
    @Flag(name: .shortAndLong, help: "Wait until the node has no open transaction.") var wait = false
    @Option(help: ArgumentHelp("How long --wait waits, 1 to 86400; else 300.", valueName: "SECONDS")) var timeout: Int?

    func validate() throws {
        guard (1...86_400).contains(timeout ?? 1) else { throw ValidationError("--timeout must be 1 to 86400") }
        if timeout != nil, !wait {
            throw ValidationError("--timeout belongs to --wait: without it nothing is waited for")
        }
    }

    func run() async throws {
        let (client, name) = try await Draining.set(target, options, "cluster.drain")
        guard wait else { return }
        try await Draining.follow(client, name, seconds: timeout ?? 300)
    }
}

struct Undrain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Let balancers send new calls to a node again.")

    @Argument(help: "The node: its name, or its management URL.") var target: String
    @OptionGroup var options: NodeOptions

    func run() async throws { _ = try await Draining.set(target, options, "cluster.undrain") }
}

enum Draining {
    /// A name is asked for at the node that is asked, and it asks that member over the bus; a URL is asked itself.
    static func set(
        _ target: String, _ options: NodeOptions, _ method: String
    ) async throws -> (any RPCCaller, String) {
        let asked = try await NodeOptions.url(options.node, options.access)
        let member = try await MemberNames.find(target, options.access, asked: asked)
        let client: any RPCCaller = try member?.caller(options.access) ?? options.access.client(target)
        let status = try await Asking.call(client, method, member == nil ? [] : [.string(target)])
        let name = Cell.text(status["node"])
        let open = Left(status)
        let left = open.isNothing ? "" : ", \(open.text)"
        Console.print("\(name) is \(Cell.text(status["state"]))\(left)")
        return (client, name)
    }

    /// What is open at a node that drains.
    private struct Left {
        let transactions: Int64
        let invites: Int64
        let relayed: Int64
        let unacknowledged: Int64
        let ringing: Int64

        init(_ status: JSONValue) {
            transactions = status["transactions"]?.whole ?? 0
            invites = status["invites"]?.whole ?? 0
            relayed = status["relayed"]?.whole ?? 0
            unacknowledged = status["unacknowledged"]?.whole ?? 0
            ringing = ["unconfirmed", "early"].map { status["dialogs"]?[$0]?.whole ?? 0 }.reduce(0, +)
        }

        var isNothing: Bool { transactions + unacknowledged == 0 }

        /// `12 transactions are open (9 INVITEs), 3 of them relayed to other members, and 1 answer waits for its ACK`
        var text: String {
            var parts: [String] = []
            if transactions > 0 {
                let all = transactions == 1 ? "1 transaction is open" : "\(transactions) transactions are open"
                let kinds = "\(all) (\(invites == 1 ? "1 INVITE" : "\(invites) INVITEs"))"
                parts.append(relayed == 0 ? kinds : "\(kinds), \(relayed) of them relayed to other members")
            }
            if unacknowledged > 0 {
                parts.append(
                    unacknowledged == 1 ? "1 answer waits for its ACK" : "\(unacknowledged) answers wait for their ACK")
            }
            return parts.joined(separator: ", and ")
        }
    }

    /// Until nothing is being set up or changed there, or the time is over.
    static func follow(_ client: any RPCCaller, _ name: String, seconds: Int) async throws {
        let end = ContinuousClock.now + .seconds(seconds)
        while true {
            let left = Left(try await Asking.call(client, "cluster.status", []))
            if left.isNothing {
                Console.clearProgress()
                return Console.print("\(name) has no open transaction")
            }
            guard ContinuousClock.now < end else {
                Console.clearProgress()
                Console.complain("after \(seconds) s at \(name) \(left.text); it goes on draining")
                throw Console.negative
            }
            Console.progress("\(name): \(left.text); \(left.ringing) dialogs ring in the cluster")
            try? await Task.sleep(for: .milliseconds(500))
        }
    }
}
