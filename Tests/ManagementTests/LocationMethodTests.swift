// The methods of contacts: ours, and `ul.*` as Kamailio's usrloc prints them (compared with 5.6.3's own output).

import Management
import Node
import Synchronization
import Testing

@Suite("Methods of contacts")
struct LocationMethodTests {
    private let node = FakeNode("n1")

    init() {
        var contact = ContactReport()
        (contact.uri, contact.q, contact.expiresSeconds) = ("sip:bob@192.0.2.7:5060", 0.5, 3_600)
        (contact.callID, contact.cSeq, contact.uniqueID) = ("a", 1, "uloc-1")
        contact.registeredUnixMilliseconds = 1_796_031_091_000
        var other = contact
        (other.uri, other.q, other.userAgent, other.uniqueID) = ("sip:bob@192.0.2.8", 1, "phone/1", "uloc-2")
        (other.path, other.hasConnection) = ("<sip:192.0.2.9;lr>", true)
        let address = AddressReport(address: "bob", contacts: [contact, other], hash: 7_222_211, buckets: 1_024)
        node.state.withLock { $0.addresses = [address] }
    }

    private func call(_ method: String, _ params: String = "[]") async throws -> JSONValue {
        let server = RPCServer(RPCContext(node: node, allowsFaultInjection: false, unixSeconds: { 1_796_031_091 }))
        let body = #"{"jsonrpc":"2.0","method":"\#(method)","params":\#(params),"id":1}"#
        let answer = try JSONValue(
            parsing: String(decoding: await server.answer(Array(body.utf8)).body.bytes, as: UTF8.self))
        return answer["result"] ?? answer["error"] ?? .null
    }

    @Test func `a dump has the fields of the module in its order`() async throws {
        let dump = try await call("ul.dump")
        let domain = try #require(dump["Domains"]?.elements?.first?["Domain"])
        #expect(domain["Domain"] == "location" && domain["Size"] == 1_024)
        #expect(domain["Stats"] == ["Records": 1, "Max-Slots": 1])
        let info = try #require(domain["AoRs"]?.elements?.first?["Info"])
        #expect(info["AoR"] == "bob" && info["HashID"] == 7_222_211)
        let contacts = try #require(info["Contacts"]?.elements)
        let first = try #require(contacts.first?["Contact"])
        guard case .object(let members) = first else {
            Issue.record("\(first)")
            return
        }
        #expect(
            members.map(\.name) == [
                "Address", "Expires", "Q", "Call-ID", "CSeq", "User-Agent", "Received", "Path", "State", "Flags",
                "CFlags", "Socket", "Methods", "Ruid", "Instance", "Reg-Id", "Server-Id", "Tcpconn-Id", "Keepalive",
                "Last-Keepalive", "KA-Roundtrip", "Last-Modified",
            ])
        #expect(first["Q"] == .number(0.5) && first["User-Agent"] == "n/a" && first["Path"] == "[not set]")
        #expect(first["Methods"] == 4_294_967_295 && first["Last-Modified"] == 1_796_031_091)
        let second = try #require(contacts.last?["Contact"])
        #expect(second["Q"] == -1 && second["Path"] == "<sip:192.0.2.9;lr>" && second["Tcpconn-Id"] == 1)
        let brief = try await call("ul.dump", #"["brief"]"#)
        #expect(
            brief["Domains"]?.elements?.first?["Domain"]?["AoRs"] == [["AoR": "bob"]], "\(brief)")
    }

    @Test func `one address, and what is refused, with the words of the module`() async throws {
        #expect(try await call("ul.lookup", #"["location","bob"]"#)["Contacts"]?.elements?.count == 2)
        for (method, params, code, text) in [
            ("ul.lookup", "[]", 500, "Not enough parameters (table and AOR to lookup)"),
            ("ul.lookup", #"["location","carol"]"#, 500, "AOR not found in location table"),
            ("ul.rm_contact", #"["location","carol","sip:x@y"]"#, 404, "AOR not found"),
            ("ul.rm_contact", #"["location","bob","sip:x@y"]"#, 404, "Contact not found"),
            ("ul.rm", #"["location"]"#, 500, "Not enough parameters (table and AOR to lookup)"),
            ("ul.add", #"["location","carol@x"]"#, 500, "Not enough parameters or wrong format"),
            (
                "ul.add", #"["location","c@x","sip:c@x",0,1.0,"0",0,0,1]"#, 500,
                "A contact has a time: 1 to 604800 seconds"
            ),
            ("ul.db_users", "[]", 500, "Not enough parameters (table to lookup)"),
            ("cluster.contact", #"["carol"]"#, 404, "No contact of carol is registered"),
            ("cluster.remove_contacts", #"["bob","sip:x@y"]"#, 404, "No contact of bob is sip:x@y"),
        ] {
            let told = try await call(method, params)
            #expect(told == ["code": .integer(Int64(code)), "message": .string(text)], "\(method) \(params)")
        }
        #expect(try await call("ul.db_users", #"["location"]"#) == 1)
        #expect(try await call("ul.db_contacts", #"["location"]"#) == 2)
        #expect(try await call("ul.db_users", #"["aliases"]"#) == 0)
        #expect(try await call("ul.db_expired_contacts", #"["location"]"#) == 0)
        #expect(try await call("ul.flush") == [:])
    }

    @Test func `what is to be done reaches the node`() async throws {
        let add = #"["location","carol@x","sip:carol@1.2.3.4",100,0.5,"0",0,4,4294967295]"#
        #expect(try await call("ul.add", add) == [:])
        #expect(try await call("ul.rm_contact", #"["location","bob","sip:bob@192.0.2.8"]"#) == [:])
        #expect(try await call("ul.rm", #"["location","bob"]"#) == [:])
        #expect(try await call("ul.rm", #"["location","dave"]"#) == [:], "none is no error")
        #expect(
            node.deeds == [
                "add location carol@x sip:carol@1.2.3.4 100 0.5  4 0", "remove location bob sip:bob@192.0.2.8",
                "remove location bob all", "remove location dave all",
            ])
    }

    @Test func `our own list has the same, and reads as a table`() async throws {
        let page = try await call("cluster.contacts")
        let addresses = try #require(page["addresses"]?.elements)
        #expect(page["next"] == .null && addresses.count == 1)
        let table = ContactText.table(addresses, width: 200).split(separator: "\n").map(String.init)
        #expect(table.count == 3 && table[0].hasPrefix("ADDRESS  CONTACT"))
        #expect(table[2].contains("bob") && table[2].contains("<sip:192.0.2.9;lr>") && table[2].contains("phone/1"))
        let details = ContactText.details(try await call("cluster.contact", #"["bob"]"#))
        #expect(details.hasPrefix("bob\n  sip:bob@192.0.2.7:5060\n    expires in"))
    }
}
