// `understudy check`: are the replicas of all members equal?

import ArgumentParser
import Foundation
import Management
import Node

struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare the replicas of all members.",
        discussion: """
            Asks each member's management address; with one --node the members are those that it knows. What is still \
            changing is asked about again for up to 3 seconds and then counted as in flight.

            JSON: {"equal":BOOL,"members":[NAME],"unequal":[{"did","call_id","differs":[TEXT]}],"missing":COUNT,\
            "in_flight":COUNT}; missing counts the unequal ones that some member lacks.

            Exit codes: 0 equal; 1 unequal; 2 could not ask.
            """)

    @Option(help: ArgumentHelp("Management URL of a member; may be given several times.", valueName: "URL"))
    var node: [String] = []
    @OptionGroup var token: TokenOptions
    @Flag(help: "Print JSON with sorted keys.") var json = false
    @Flag(help: "When unequal, repair at every member and compare again.") var repair = false
    @Flag(help: "Go on until interrupted, a line every two seconds.") var watch = false

    func run() async throws {
        let urls = node.isEmpty ? [NodeOptions.url(nil)] : node
        let token = try token.token()
        let start = ContinuousClock.now
        var check = ReplicaCheck(
            caller: { url throws(ClientError) in try RPCClient(url, token: token) },
            pause: { try? await Task.sleep(for: $0) },
            milliseconds: { start.duration(to: .now).wholeMilliseconds })
        if Console.showsProgress { check.progress = { Console.progress($0) } }
        while watch {
            do throws(CheckError) {
                show(try await check.run(urls: urls, repairing: repair))
            } catch {
                Console.complain(error.description)
            }
            try? await Task.sleep(for: .seconds(2))
        }
        let report: CheckReport
        do throws(CheckError) {
            report = try await check.run(urls: urls, repairing: repair)
        } catch {
            Console.complain(error.description)
            throw Console.failed
        }
        show(report)
        if !report.isEqual { throw Console.negative }
    }

    private func show(_ report: CheckReport) {
        Console.clearProgress()
        if json { return Console.print(report.json.sorted.printed) }
        let members = report.members.joined(separator: ", ")
        let flying = report.inFlight == 0 ? "" : ", \(report.inFlight) in flight"
        if report.isEqual { return Console.print("equal: \(members)\(flying)") }
        var table = Table(["DID", "CALL-ID", "DIFFERS"])
        for dialog in report.unequal {
            table.add([dialog.did, dialog.callID, dialog.differs.joined(separator: ", ")])
        }
        Console.print(
            "unequal: \(members): \(report.unequal.count) dialogs, \(report.missing) missing somewhere\(flying)")
        Console.print(table.text)
    }
}
