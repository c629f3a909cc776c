// What a route gives the dialogs of its calls from the beginning (`dialog` of a route): profiles, variables, script
// flags, properties and a lifetime. The texts may name parts of the INVITE by the names that scripts have for them:
//
//     caller=$fU     tenant=$fd     class=$hdr(X-Class)     $$5
//
// They are evaluated once, on the initial INVITE, and stand in the record's put, so they cost no message of their own.
// What a name stands for may be missing: a variable is then empty, and the dialog is in no profile by that value.
//
// Limit: `StampedRoom`; what does not fit is left out and counted.

package import Dialogs
import Primitives
import SIP

/// A part of a request, by the name that scripts have for it.
package enum MessageVariable: String, CaseIterable, Sendable {
    /// From: URI, user, host, tag; To likewise; the Request-URI.
    case fu, fU, fd, ft
    case tu, tU, td
    case ru, rU, rd
    /// Call-ID, method, CSeq.
    case ci, rm, cs
    /// Address and port that it came from.
    case si, sp
    /// User-Agent, Contact.
    case ua, ct
}

/// A text with such parts in it.
package struct MessageText: Equatable, Sendable {
    package enum Piece: Equatable, Sendable {
        case text([UInt8])
        case variable(MessageVariable)
        /// The first value of this header.
        case header([UInt8])
    }

    package var pieces: [Piece] = []

    /// `nil` for a text that names what is unknown.
    package init?(_ text: String) {
        var rest = Substring(text)
        var plain: [UInt8] = []
        while let character = rest.first {
            guard character == "$" else {
                plain += Array(String(character).utf8)
                rest.removeFirst()
                continue
            }
            rest.removeFirst()
            if rest.first == "$" {
                plain.append(UInt8(ascii: "$"))
                rest.removeFirst()
                continue
            }
            guard let piece = Self.piece(&rest) else { return nil }
            if !plain.isEmpty { pieces.append(.text(plain)) }
            plain = []
            pieces.append(piece)
        }
        if !plain.isEmpty { pieces.append(.text(plain)) }
    }

    /// What stands behind a `$`, as `fU`, `(fU)` or `hdr(Name)`.
    private static func piece(_ rest: inout Substring) -> Piece? {
        if rest.hasPrefix("hdr(") || rest.hasPrefix("(hdr(") {
            let isWrapped = rest.hasPrefix("(")
            rest.removeFirst(isWrapped ? 5 : 4)
            guard let end = rest.firstIndex(of: ")") else { return nil }
            let name = rest[..<end]
            rest = rest[rest.index(after: end)...]
            if isWrapped {
                guard rest.first == ")" else { return nil }
                rest.removeFirst()
            }
            let isName = !name.isEmpty && name.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != 58 && $0 != 36 }
            return isName ? .header(Array(name.utf8)) : nil
        }
        let isWrapped = rest.first == "("
        if isWrapped { rest.removeFirst() }
        guard let variable = MessageVariable(rawValue: String(rest.prefix(2))) else { return nil }
        rest.removeFirst(2)
        if isWrapped {
            guard rest.first == ")" else { return nil }
            rest.removeFirst()
        }
        return .variable(variable)
    }
}

package struct DialogTemplate: Equatable, Sendable {
    package struct Profile: Equatable, Sendable {
        package var name: [UInt8]
        /// `nil` in a profile without values.
        package var value: MessageText?

        package init(name: [UInt8], value: MessageText?) {
            self.name = name
            self.value = value
        }
    }

    package struct Variable: Equatable, Sendable {
        package var name: [UInt8]
        package var value: MessageText

        package init(name: [UInt8], value: MessageText) {
            self.name = name
            self.value = value
        }
    }

    package var profiles: [Profile] = []
    package var variables: [Variable] = []
    package var flags: [UInt8] = []
    package var properties: [DialogProperty] = []
    /// 0: the configured one.
    package var lifetimeMilliseconds: UInt64 = 0

    package init() {}
}

extension Proxy {
    /// What the route of a request gives its dialog; nothing where a reload has taken the route away meanwhile.
    func template(of plan: RequestPlan) -> DialogTemplate? {
        guard let index = plan.templateRoute, settings.routes.indices.contains(index) else { return nil }
        return settings.routes[index].dialog
    }

    /// Writes what the route of the INVITE at hand gives its dialog.
    mutating func write(_ template: DialogTemplate, _ plan: RequestPlan) {
        var changes: [StampedChange] = []
        for variable in template.variables {
            changes.append(.variable(variable.name, value: text(variable.value, plan)))
        }
        for profile in template.profiles {
            let value = profile.value.map { text($0, plan) }
            if value?.isEmpty ?? false { continue }
            changes.append(.profile(ProfileLink(name: profile.name, value: value), isMember: true))
        }
        for flag in template.flags { changes.append(.flag(flag, isSet: true)) }
        for property in template.properties { changes.append(.property(property, isSet: true)) }
        write(changes)
    }

    /// Writes what the dialog that the INVITE at hand begins is given.
    mutating func write(_ changes: [StampedChange]) {
        var room = StampedRoom()
        // Nobody has written to a record before it is made.
        let stamp = Stamp(counter: 1, tag: settings.memberTag)
        for change in changes {
            if room.admits(change) {
                facts.write(change, stamp)
            } else {
                counters.dialogFactsLeftOut += 1
            }
        }
    }

    /// A text with the parts of the request at hand in their places.
    func text(_ text: MessageText, _ plan: RequestPlan) -> [UInt8] {
        var bytes: [UInt8] = []
        for piece in text.pieces {
            switch piece {
            case .text(let plain): bytes += plain
            case .variable(let variable): bytes += value(of: variable, plan)
            case .header(let name): bytes += message.field(named: name).map { message.copy($0.value) } ?? []
            }
        }
        return bytes.filter { $0 != 0 }
    }

    private func value(of variable: MessageVariable, _ plan: RequestPlan) -> [UInt8] {
        let bytes = message.bytes
        func part(_ range: ByteRange?, _ part: (URI) -> ByteRange) -> [UInt8] {
            guard let range, let uri = try? URI(bytes, range) else { return [] }
            return message.copy(part(uri))
        }
        func uri(_ name: HeaderName) -> ByteRange? {
            message.first(name).flatMap { try? NameAddress(bytes, $0.value) }.map(\.uri)
        }
        switch variable {
        case .fu: return part(uri(.from)) { $0.whole }
        case .fU: return part(uri(.from)) { $0.user }
        case .fd: return part(uri(.from)) { $0.host }
        case .ft: return message.copy(message.fromTag)
        case .tu: return part(uri(.to)) { $0.whole }
        case .tU: return part(uri(.to)) { $0.user }
        case .td: return part(uri(.to)) { $0.host }
        case .ru: return message.copy(message.requestURI)
        case .rU: return part(message.requestURI) { $0.user }
        case .rd: return part(message.requestURI) { $0.host }
        case .ci: return message.copy(message.callID)
        case .rm: return message.copy(message.methodText)
        case .cs: return Array(String(plan.cSeq.number).utf8)
        case .si: return Array(plan.source.address.text.utf8)
        case .sp: return Array(String(plan.source.port).utf8)
        case .ua: return message.other(named: "User-Agent").map { message.copy($0.value) } ?? []
        case .ct: return message.first(.contact).map { message.copy($0.value) } ?? []
        }
    }
}
