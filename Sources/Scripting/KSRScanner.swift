// KSRScanner reads the text of a script for what it calls and defines, without running it: every `KSR.a.b` and `KSR.a`
// with its line, the functions that are defined, and what is required. Comments and strings are stepped over as Lua
// reads them (§3.1 of its manual).

internal import Routes

struct KSRScanner {
    struct Call: Equatable {
        /// Without `KSR.`.
        var name: String
        var line: Int
    }

    private(set) var calls: [Call] = []
    /// Names of global functions.
    private(set) var functions: [[UInt8]] = []
    private(set) var required: [Call] = []

    private enum Token: Equatable {
        case name([UInt8])
        case text([UInt8])
        case symbol(UInt8)
    }

    private let bytes: [UInt8]
    private var position = 0
    private var line = 1

    init(_ file: ScriptSource.File) {
        bytes = file.text
        var tokens: [(token: Token, line: Int)] = []
        while let token = next() { tokens.append((token, line)) }
        for index in tokens.indices { read(tokens, index) }
    }

    private mutating func read(_ tokens: [(token: Token, line: Int)], _ index: Int) {
        guard case .name(let word) = tokens[index].token else { return }
        func token(_ offset: Int) -> Token? {
            tokens.indices.contains(index + offset) ? tokens[index + offset].token : nil
        }
        func name(_ offset: Int) -> [UInt8]? {
            if case .name(let name) = token(offset) { return name }
            return nil
        }
        switch String(decoding: word, as: UTF8.self) {
        case "KSR":
            guard token(-1) != .symbol(0x2E), token(1) == .symbol(0x2E), let first = name(2) else { return }
            var text = first.shown
            if token(3) == .symbol(0x2E), let second = name(4) { text += "." + second.shown }
            // A module by itself is asked for, not called: `if KSR.auth then`.
            calls.append(Call(name: text, line: tokens[index].line))
        case "function":
            guard let name = name(1), token(2) == .symbol(0x28) else { return }
            functions.append(name)
        case "require":
            let place = token(1) == .symbol(0x28) ? 2 : 1
            guard case .text(let module) = token(place) else { return }
            required.append(Call(name: module.shown, line: tokens[index].line))
        default:
            guard token(-1) != .symbol(0x2E), token(1) == .symbol(0x3D), name(2) == Array("function".utf8) else {
                return
            }
            functions.append(word)
        }
    }

    // MARK: Tokens

    private func byte(_ offset: Int = 0) -> UInt8? {
        position + offset < bytes.count ? bytes[position + offset] : nil
    }

    private mutating func step() {
        if byte() == 0x0A { line += 1 }
        position += 1
    }

    private mutating func next() -> Token? {
        while let first = byte() {
            if first == 0x2D, byte(1) == 0x2D {
                skipComment()
            } else if first == 0x22 || first == 0x27 {
                return .text(quoted(first))
            } else if first == 0x5B, let level = longLevel() {
                return .text(long(level))
            } else if Self.isLetter(first) {
                let start = position
                while let byte = byte(), Self.isLetter(byte) || byte &- 0x30 < 10 { position += 1 }
                return .name(Array(bytes[start..<position]))
            } else if first <= 0x20 {
                step()
            } else {
                position += 1
                return .symbol(first)
            }
        }
        return nil
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 || byte == 0x5F }

    private mutating func skipComment() {
        position += 2
        if byte() == 0x5B, let level = longLevel() {
            _ = long(level)
            return
        }
        while let byte = byte(), byte != 0x0A { position += 1 }
    }

    private mutating func quoted(_ quote: UInt8) -> [UInt8] {
        position += 1
        let start = position
        while let byte = byte(), byte != quote, byte != 0x0A {
            if byte == 0x5C { step() }
            step()
        }
        let text = Array(bytes[min(start, bytes.count)..<min(position, bytes.count)])
        position += 1
        return text
    }

    /// The number of `=` in the long bracket that opens here.
    private func longLevel() -> Int? {
        var level = 0
        while byte(1 + level) == 0x3D { level += 1 }
        return byte(1 + level) == 0x5B ? level : nil
    }

    private mutating func long(_ level: Int) -> [UInt8] {
        position += level + 2
        let start = position
        while position < bytes.count {
            if byte() == 0x5D, byte(level + 1) == 0x5D, (0..<level).allSatisfy({ byte(1 + $0) == 0x3D }) {
                let text = Array(bytes[start..<position])
                position += level + 2
                return text
            }
            step()
        }
        return []
    }
}
