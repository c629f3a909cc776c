// The article Methods is written from the methods themselves: RERECORD=1 in the environment writes it anew.

import Foundation
import Management
import Testing

@Suite("The article Methods")
struct MethodArticleTests {
    private static let path = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Sources/Node/Understudy.docc/Methods.md")

    private static let head = """
        # Methods

        Every method of `POST /rpc`, with its parameters, its errors and an example.

        ## Overview

        JSON-RPC 2.0, one call a request, the way Kamailio's `jsonrpcs` answers. `understudy rpc METHOD PARAMETER…`
        calls any of them. Parameters come as a list in the order shown, or, for `cluster.*` and `fault.*`, as an
        object by name; those in brackets may be left out. An error's code is the HTTP status too; codes up to 100
        become 500. Every method may answer 503 while the node ends. Off loopback the token goes into
        `Authorization: Bearer`.

        ```
        curl -d '{"jsonrpc":"2.0","id":1,"method":"cluster.status","params":[]}' http://127.0.0.1:8080/rpc
        ```

        This page is written from the code (`RERECORD=1 swift test --filter MethodArticleTests`).

        """

    private static func section(_ method: any RPCMethod.Type) -> String {
        let names = method.parameters.map { "`\($0)`" }.joined(separator: " ")
        let parameters = names.isEmpty ? "none" : names
        let errors = method.errors.isEmpty ? "none of its own" : method.errors.joined(separator: "; ")
        return """
            ### \(method.name)

            \(method.summary)

            - Parameters: \(parameters)
            - Errors: \(errors)
            - Example: `\(method.example)`

            """
    }

    private static var text: String {
        let groups = [
            ("cluster.", "What the commands ask"), ("fault.", "Test aids, with management.fault_injection"),
            ("dlg.", "Kamailio's dialog"), ("dlg2.", "Kamailio's ims_dialog"),
            ("ul.", "Kamailio's usrloc"), ("app_lua.", "Kamailio's app_lua"),
            ("stats.", "Kamailio's statistics"),
            ("core.", "Kamailio's core"), ("system.", "What there is to ask"), ("corex.", "Kamailio's corex"),
        ]
        var text = head
        for (prefix, title) in groups {
            text += "\n## \(title)\n"
            for method in RPCMethods.all where method.name.hasPrefix(prefix) { text += "\n" + section(method) }
        }
        return text
    }

    @Test func `it has every method as the code has it`() throws {
        if ProcessInfo.processInfo.environment["RERECORD"] == "1" {
            try Data(Self.text.utf8).write(to: Self.path)
        }
        for method in RPCMethods.all {
            #expect(Self.text.contains("### \(method.name)\n"), "in no group: \(method.name)")
        }
        let written = try String(contentsOf: Self.path, encoding: .utf8)
        #expect(written == Self.text, "run RERECORD=1 swift test --filter MethodArticleTests, and look at what differs")
    }
}
