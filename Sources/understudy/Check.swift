// `understudy check`: are the replicas of all members equal?

import ArgumentParser
import Foundation
import Management
import Node

struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare the replicas of all members.",
        discussion: """
            Asks one node, which asks every member that it knows over the bus, and names whoever could not be asked \
            and why: a member that is down, cut off, was never heard, or has another key, cluster.name or \
            ims_dialog.hash_size. Of several nodes each is asked, and their members through them. \
            What is still changing is asked about again for up to 3 seconds and then counted as in flight.

            JSON: {"equal":BOOL, "partial":BOOL, "members":[NAME], "dialogs":COUNT, \
            "unequal":[{"did", "call_id", "differs":[TEXT]}], "missing":COUNT, "in_flight":COUNT, \
            "not_asked":[{"name", "why"}], "remarks":[TEXT]}, and with --repair "mended":[{"did", "call_id", \
            "members":[NAME]}]. missing \
            counts the unequal ones that some member lacks. With --watch one object a line, with "time" and "change".

            Exit codes: 0 everybody was asked, and all are equal; 1 unequal; 2 somebody could not be asked.
            """)

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("A member: its URL, or its name; may be given several times.", valueName: "URL"))
    var node: [String] = []
    @OptionGroup var access: AccessOptions
    @Flag(name: .shortAndLong, help: "Print JSON with sorted keys.") var json = false
    @Flag(
        name: .shortAndLong,
        help: "Exit 0 when those who can be asked are equal; with several --node only those are meant.")
    var partial = false
    @Flag(name: .shortAndLong, help: "When unequal, repair at every member, compare again, and tell what was mended.")
    var repair = false
    @Flag(name: .shortAndLong, help: "Go on until interrupted, a line every two seconds.") var watch = false

    func run() async throws {
        let urls = node.isEmpty ? [NodeOptions.standardNode] : node
        let (token, authorities) = (try access.token(), try access.authorities())
        let names = try await names(among: urls)
        let start = ContinuousClock.now
        var check = ReplicaCheck(
            caller: { [names] given throws(ClientError) in
                let isName = names.contains(given)
                let client = try RPCClient(
                    isName ? NodeOptions.standardNode : given, token: token, authorities: authorities)
                return isName ? RelayedCaller(given, through: client) : client
            },
            pause: { try? await Task.sleep(for: $0) },
            milliseconds: { start.duration(to: .now).wholeMilliseconds })
        if Console.showsProgress { check.progress = { Console.progress($0) } }
        if watch { return try await follow(check, urls) }
        let report: CheckReport
        do throws(CheckError) {
            report = try await check.run(urls: urls, repairing: repair, isPartial: partial)
        } catch {
            Console.complain(error.description)
            throw Console.failed
        }
        show(report)
        switch report.verdict {
        case .equal: return
        case .unequal: throw Console.negative
        case .notAllAsked: throw Console.failed
        }
    }

    /// Those that are members' names: what may be a host's as well is looked up once for all.
    private func names(among urls: [String]) async throws -> Set<String> {
        let undecided = urls.filter { MemberNames.mayBeName($0) && !MemberNames.isName($0) }
        let known = undecided.isEmpty ? nil : try await MemberNames.ask(NodeOptions.standardNode, access)
        return Set(urls.filter { MemberNames.isName($0) || known?.contains($0) ?? false })
    }

    private func follow(_ check: ReplicaCheck, _ urls: [String]) async throws {
        var earlier: CheckReport?
        while true {
            let time = TimeText.moment(unixSeconds: Date().timeIntervalSince1970)
            do throws(CheckError) {
                let report = try await check.run(urls: urls, repairing: repair, isPartial: partial)
                Console.clearProgress()
                Console.print(Self.line(report, time: time, change: report.change(since: earlier), json: json))
                earlier = report
            } catch .client(.badURL(let text)) {
                // Waiting does not make it one.
                throw Asking.complain(.badURL(text))
            } catch {
                Console.complain("\(time)  \(error.description)")
            }
            try? await Task.sleep(for: .seconds(2))
        }
    }

    private static func line(_ report: CheckReport, time: String, change: String, json: Bool) -> String {
        if json {
            guard case .object(let members) = report.json else { return "" }
            let more: [JSONValue.Member] = [.init("time", .string(time)), .init("change", .string(change))]
            return JSONValue.object(members + more).sorted.printed
        }
        let mended = report.mended.map { $0.isEmpty ? "" : ", \($0.count) mended" } ?? ""
        return "\(time)  \(report.summary)\(mended)\(change.isEmpty ? "" : " (\(change))")"
    }

    private func show(_ report: CheckReport) {
        Console.clearProgress()
        for member in report.unasked { Console.complain("\(member.name) was not asked: \(member.why)") }
        for remark in report.remarks { Console.complain("warning: \(remark)") }
        if json { return Console.print(report.json.sorted.printed) }
        Console.print(report.summary)
        for line in report.repairLines { Console.print(line) }
        guard !report.unequal.isEmpty else { return }
        var table = Table(["DID", "CALL-ID", "DIFFERS"])
        for dialog in report.unequal {
            table.add([dialog.did, dialog.callID, dialog.differs.joined(separator: ", ")])
        }
        Console.print(table.text)
    }
}
