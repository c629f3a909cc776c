// MediaFlags reads the text of flags that the functions of the module rtpengine take, `trust-address RTP/AVP
// replace-origin via-branch=auto`, and makes of it what the ng protocol calls things. A flag that means nothing here is
// the relay's: passed on as it is, as an item of `flags`, or with its value as an item of the command.
//
// Limit: 4 KiB of text, refused beyond.

internal import Primitives
internal import SIP

struct MediaFlags: Sendable {
    static let sizeLimit = 4_096

    /// Which Via names the branch that a command is about.
    enum ViaBranch: Sendable { case first, second, auto }

    /// A text that a relay would take for something else.
    enum Refusal: Error { case flags }

    private(set) var items: [Bencode.Entry] = []
    private var flags: [Bencode] = []
    private var lists: [(key: StaticString, values: [Bencode])] = []
    private var codecs: [(key: StaticString, values: [Bencode])] = []
    private(set) var viaBranch: ViaBranch?
    private(set) var callID: [UInt8]?
    private(set) var fromTag: [UInt8]?
    private(set) var toTag: [UInt8]?
    /// A to-tag is to be sent where the command has none by itself.
    private(set) var wantsToTag = false
    private(set) var isDirectional = false
    /// An offer that is treated as an answer.
    private(set) var forcesAnswer = false
    private var transport: Int?

    init(_ text: [UInt8]) throws(Refusal) {
        guard text.count <= Self.sizeLimit else { throw .flags }
        for word in text.split(separator: 0x20) {
            let equals = word.firstIndex(of: 0x3D)
            let key = Array(equals.map { word[..<$0] } ?? word)
            try read(key, equals.map { Array(word[($0 + 1)...]) })
        }
    }

    mutating func add(flag: StaticString) { flags.append(.text(flag)) }

    mutating func add(_ value: [UInt8], to key: StaticString) {
        if let at = lists.firstIndex(where: { "\($0.key)" == "\(key)" }) {
            lists[at].values.append(.text(value))
        } else {
            lists.append((key, [.text(value)]))
        }
    }

    func has(list key: StaticString) -> Bool { lists.contains { "\($0.key)" == "\(key)" } }

    // MARK: Reading

    private mutating func read(_ key: [UInt8], _ value: [UInt8]?) throws(Refusal) {
        if readList(key, value) || readCodec(key, value) { return }
        let name = String(decoding: key, as: UTF8.self)
        if value == nil, readTransport(name) { return }
        switch name {
        case "TOS", "repacketize", "delete-delay":
            guard let value, let number = RouteText.leadingNumber(value), number >= 0 else { throw .flags }
            items.append(Bencode.Entry(name == "delete-delay" ? Array("delete delay".utf8) : key, .number(number)))
        case "to-tag":
            wantsToTag = true
            if let value { toTag = value }
        case "from-tag":
            guard let value else { throw .flags }
            (fromTag, isDirectional) = (value, true)
        case "call-id":
            guard let value else { throw .flags }
            callID = value
        case "internal", "external": add(key, to: "direction")
        case "direction": add(value ?? [], to: "direction")
        case "directional": isDirectional = true
        case "force-answer": forcesAnswer = true
        case "via-branch": viaBranch = try Self.viaBranch(value)
        default:
            if let value { items.append(Bencode.Entry(key, .text(value))) } else { flags.append(.text(key)) }
        }
    }

    private static func viaBranch(_ value: [UInt8]?) throws(Refusal) -> ViaBranch {
        switch String(decoding: value ?? [], as: UTF8.self) {
        case "1": return .first
        case "2": return .second
        case "auto": return .auto
        // The branch that comes next, or a variable's: nobody knows them before they are written.
        default: throw .flags
        }
    }

    /// `replace-origin`, `replace=origin` and the like.
    private mutating func readList(_ key: [UInt8], _ value: [UInt8]?) -> Bool {
        let kinds: [(StaticString, StaticString)] = [
            ("replace", "replace"), ("received-from", "received-from"), ("SDES", "SDES"), ("T38", "T.38"),
            ("T.38", "T.38"), ("rtcp-mux", "rtcp-mux"),
        ]
        for (prefix, list) in kinds {
            guard let item = Self.item(key, value, prefix) else { continue }
            if "\(prefix)" == "received-from" {
                guard let address = Address(bytes: item, range: ByteRange(item)) else { return true }
                add([UInt8](copying: address.isIPv6 ? "IP6" : "IP4"), to: list)
            }
            add(item, to: list)
            return true
        }
        return false
    }

    private mutating func readCodec(_ key: [UInt8], _ value: [UInt8]?) -> Bool {
        let kinds: [(StaticString, StaticString)] = [
            ("transcode", "transcode"), ("codec-transcode", "transcode"), ("codec-strip", "strip"),
            ("codec-offer", "offer"), ("codec-mask", "mask"), ("codec-set", "set"), ("codec-except", "except"),
            ("codec-accept", "accept"), ("codec-consume", "consume"),
        ]
        for (prefix, list) in kinds {
            guard let item = Self.item(key, value, prefix) else { continue }
            if let at = codecs.firstIndex(where: { "\($0.key)" == "\(list)" }) {
                codecs[at].values.append(.text(item))
            } else {
                codecs.append((list, [.text(item)]))
            }
            return true
        }
        return false
    }

    /// What stands behind `prefix-` or `prefix=`.
    private static func item(_ key: [UInt8], _ value: [UInt8]?, _ prefix: StaticString) -> [UInt8]? {
        let prefix = [UInt8](copying: prefix)
        if key == prefix { return value }
        guard value == nil, key.count > prefix.count + 1, key.starts(with: prefix), key[prefix.count] == 0x2D else {
            return nil
        }
        return Array(key[(prefix.count + 1)...])
    }

    private static let transports: [(String, Int)] = [
        ("RTP/AVP", 0), ("RTP/SAVP", 1), ("RTP/AVPF", 2), ("RTP/SAVPF", 3), ("UDP/TLS/RTP/SAVP", 4),
        ("UDP/TLS/RTP/SAVPF", 6),
    ]

    private mutating func readTransport(_ name: String) -> Bool {
        if let known = Self.transports.first(where: { $0.0 == name }) {
            transport = known.1
            return true
        }
        switch name {
        case "RTP": transport = (transport ?? 0) & ~1
        case "AVP": transport = (transport ?? 0) & ~2
        case "SRTP": transport = (transport ?? 0) | 1
        case "AVPF": transport = (transport ?? 0) | 2
        case "DTLS": transport = (transport ?? 0) | 4
        default: return false
        }
        return true
    }

    // MARK: What they are to a relay

    /// The entries of a command.
    func entries(isAboutBody: Bool) -> [Bencode.Entry] {
        var entries = items
        for (key, values) in lists where isAboutBody || "\(key)" == "received-from" {
            entries.append(Bencode.Entry([UInt8](copying: key), .list(values)))
        }
        if isAboutBody, !codecs.isEmpty {
            let all = codecs.map { Bencode.Entry([UInt8](copying: $0.key), .list($0.values)) }
            entries.append(Bencode.Entry([UInt8](copying: "codec"), .dictionary(all)))
        }
        // DTLS alone means SAVP over it.
        if isAboutBody, let transport,
            let known = Self.transports.first(where: { $0.1 == transport & 7 })
                ?? Self.transports.first(where: { $0.1 == (transport & 2) | 4 })
        {
            entries.append(Bencode.Entry([UInt8](copying: "transport-protocol"), .text(Array(known.0.utf8))))
        }
        if !flags.isEmpty { entries.append(Bencode.Entry([UInt8](copying: "flags"), .list(flags))) }
        return entries
    }
}
