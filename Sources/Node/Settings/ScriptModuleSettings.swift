// Parameters of the modules whose functions a script calls, by the modules' names: `htable.htable`, `pike.*`, `auth.*`,
// `permissions.address`, and those of `registrar.*` that a script's registrar has beside the ones of every node.

import Primitives
package import Routes
import SIP

package struct ScriptModuleSettings: Equatable, Sendable {
    package enum DigestAlgorithm: String, CaseIterable, Sendable {
        case md5
        case sha256 = "sha-256"
        case both
    }

    /// `htable.htable`, as the module writes one: `ipban=>size=8;autoexpire=300;`; none.
    package var tables: [HashTableSettings] = []
    /// `pike.sampling_time_unit`, seconds, 1 to 3600, default 2, and `pike.reqs_density_per_unit`, 1 to 1 000 000,
    /// default 30.
    package var pike = PikeSettings()
    /// `auth.nonce_expire`, seconds, 1 to 86 400, default 300.
    package var nonceLifetime: Duration = .seconds(300)
    /// `auth.algorithm`: what a challenge asks for; default md5, as the module's.
    package var algorithm = DigestAlgorithm.md5
    /// `permissions.address`: `GROUP NETWORK [PORT]`; none.
    package var networks: [PermissionSettings.Network] = []
    /// `rtpengine.sets` and the keys beside it.
    package var mediaRelays = MediaRelaySettings()
    /// `registrar.use_domain`: a script's addresses are `user@host`; default false.
    package var usesDomain = false
    /// `registrar.append_branches`: `lookup` calls all contacts; default true.
    package var appendsBranches = true
    /// `tm.event_callback`, the script's function that sees requests of the cluster's own before they go; none.
    package var transactionCallback = ""
    /// `registrar.event_callback`, the script's function that contacts whose time is over are told to; none.
    package var contactCallback = ""
    /// `registrar.xavp_cfg`: the record that `registered_flags` reads; none.
    package var matchRecord = ""

    package static let tableLimit = 16

    package init() {}

    package var isDefault: Bool { self == ScriptModuleSettings() }

    /// Reads a table as the module's parameter has it; `nil` for what is none.
    package static func table(_ text: String) -> HashTableSettings? {
        let (name, rest) = parts(text)
        guard !name.isEmpty, name.utf8.count <= 64, name.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != 61 }) else {
            return nil
        }
        var table = HashTableSettings(name: Array(name.utf8))
        for attribute in rest.split(separator: ";") {
            let pair = attribute.split(separator: "=", maxSplits: 1).map(\.trimmed)
            guard pair.count == 2, let number = Int(pair[1]) else { return nil }
            switch pair[0] {
            case "size", "dmqreplicate": continue  // A table grows by itself, and is this node's.
            case "autoexpire":
                guard 0...31_536_000 ~= number else { return nil }
                table.lifetime = number == 0 ? nil : .seconds(number)
            case "updateexpire": table.updatesLifetime = number != 0
            case "initval": table.initial = .integer(number)
            default: return nil
            }
        }
        return table
    }

    private static func parts(_ text: String) -> (name: String, rest: Substring) {
        let bytes = Array(text.utf8)
        guard let arrow = bytes.indices.dropLast().first(where: { bytes[$0] == 61 && bytes[$0 + 1] == 62 }) else {
            return (text.trimmed, "")
        }
        let name = String(decoding: bytes[..<arrow], as: UTF8.self)
        return (name.trimmed, Substring(String(decoding: bytes[(arrow + 2)...], as: UTF8.self)))
    }

    /// Reads `1 192.0.2.0/24 5060`; `nil` for what is none.
    package static func network(_ text: String) -> PermissionSettings.Network? {
        let words = text.split(whereSeparator: \.isWhitespace).map(String.init)
        guard 2...3 ~= words.count, let group = Int(words[0]), group >= 0, let subnet = Subnet(text: words[1]) else {
            return nil
        }
        guard words.count == 3 else { return PermissionSettings.Network(group: group, subnet: subnet) }
        guard let port = UInt16(words[2]) else { return nil }
        return PermissionSettings.Network(group: group, subnet: subnet, port: port)
    }

    package func problems() -> [SettingProblem] {
        var list = ProblemList()
        if tables.count > Self.tableLimit { list.add("htable.htable", "at most \(Self.tableLimit)") }
        for (index, table) in tables.enumerated()
        where tables[..<index].contains(where: { $0.name == table.name }) {
            list.add("htable.htable", "'\(String(decoding: table.name, as: UTF8.self))' is there twice")
        }
        if mediaRelays.servers.count > MediaRelaySettings.mostServers {
            list.add("rtpengine.sets", "at most \(MediaRelaySettings.mostServers) servers")
        }
        for (index, server) in mediaRelays.servers.enumerated()
        where mediaRelays.servers[..<index].contains(where: { $0.endpoint == server.endpoint && $0.set == server.set })
        {
            list.add("rtpengine.sets", "'\(server.endpoint.text)' is in set \(server.set) twice")
        }
        list.range("rtpengine.rtpengine_tout_ms", mediaRelays.timeout)
        list.range("rtpengine.rtpengine_retr", mediaRelays.tries)
        list.range("rtpengine.rtpengine_disable_tout", mediaRelays.disabledFor)
        list.range("pike.sampling_time_unit", pike.window)
        list.range("pike.reqs_density_per_unit", pike.density)
        list.range("auth.nonce_expire", nonceLifetime)
        return list.problems
    }
}

extension RouteSettings {
    /// Takes what the settings say of modules.
    package mutating func take(_ settings: Settings) {
        let wanted = settings.script.parameters
        (tables, pike) = (wanted.tables, wanted.pike)
        permissions.networks = wanted.networks
        auth.nonceLifetime = Int(wanted.nonceLifetime.wholeMilliseconds / 1_000)
        switch wanted.algorithm {
        case .md5: auth.algorithm = .md5
        case .sha256: auth.algorithm = .sha256
        case .both: auth.algorithm = .both
        }
        auth.credentials = settings.registrar.credentials.all.map { known in
            AuthSettings.Credential(
                user: known.user, realm: known.realm, password: known.password.bytes, isDigest: known.isDigest)
        }
        mediaRelays = wanted.mediaRelays
        registrar.rules = settings.registrar.rules
        registrar.rules.refusesBrief = false
        registrar.usesDomain = wanted.usesDomain
        registrar.appendsBranches = wanted.appendsBranches
        registrar.configuration = Array(wanted.matchRecord.utf8)
        dispatcher = settings.sets.compactMap { set in
            Int(set.name).map { id in
                DispatcherSet(
                    id: id,
                    destinations: set.targets.map { target in
                        DispatcherSet.Destination(
                            uri: Array(target.uri.text.utf8), priority: target.q, weight: target.weight)
                    })
            }
        }
    }
}
