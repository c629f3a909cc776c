// A command of Kamailio's former management interface, as it is written into the MI FIFO, and its answer.
//
//     :dlg_list:reply_name          the command, and the FIFO in the reply folder for the answer; none: nobody wants it
//     abcd@192.0.2.1                a parameter a line; words on one line are several
//     "two words"                   between quotation marks all is one parameter, \" and \\ included
//                                   an empty line ends it
//
//     200 OK                        the answer: code and reason, then a tree, a node a line, deeper ones behind a tab
//     dialog::  hash=17:4711
//     	state:: 4
//
// Limits: `sizeLimit` bytes, `parameterLimit` parameters.

package struct MICommand: Equatable, Sendable {
    package static let sizeLimit = 16_384
    package static let parameterLimit = 32

    package var name: String
    /// Empty when no answer is wanted.
    package var replyName: String
    package var parameters: [String]

    package init(name: String, replyName: String, parameters: [String]) {
        self.name = name
        self.replyName = replyName
        self.parameters = parameters
    }

    package enum Read: Equatable, Sendable {
        /// Nothing is whole yet.
        case incomplete
        case command(MICommand, length: Int)
        /// So many bytes are no command.
        case skipped(length: Int)
    }

    /// Reads the command at the beginning of what the FIFO has brought.
    package static func read(_ bytes: ArraySlice<UInt8>) -> Read {
        let newline = UInt8(ascii: "\n")
        guard let first = bytes.first else { return .incomplete }
        guard first == UInt8(ascii: ":") else {
            // What is no command ends with its line.
            guard let end = bytes.firstIndex(of: newline) else {
                return bytes.count > sizeLimit ? .skipped(length: bytes.count) : .incomplete
            }
            return .skipped(length: end - bytes.startIndex + 1)
        }
        guard let end = endOfCommand(bytes) else {
            return bytes.count > sizeLimit ? .skipped(length: bytes.count) : .incomplete
        }
        let length = end - bytes.startIndex
        let lines = bytes[..<end].split(separator: newline, omittingEmptySubsequences: true)
        let head = (lines.first ?? []).split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard length <= sizeLimit, head.count >= 3, !head[1].isEmpty,
            let parameters = words(bytes[..<end].dropFirst((lines.first ?? []).count + 1))
        else { return .skipped(length: length) }
        let command = MICommand(
            name: Self.text(head[1]), replyName: Self.text(head[2]), parameters: parameters)
        return .command(command, length: length)
    }

    /// Behind the empty line.
    private static func endOfCommand(_ bytes: ArraySlice<UInt8>) -> Int? {
        var isAtLineStart = false
        for index in bytes.indices {
            guard bytes[index] == UInt8(ascii: "\n") else {
                if bytes[index] != UInt8(ascii: "\r") { isAtLineStart = false }
                continue
            }
            if isAtLineStart { return index + 1 }
            isAtLineStart = true
        }
        return nil
    }

    /// `nil` when there are too many, or a quotation mark is not closed.
    private static func words(_ bytes: ArraySlice<UInt8>) -> [String]? {
        var words: [String] = []
        var rest = bytes
        while let byte = rest.first {
            if byte <= 32 {
                rest = rest.dropFirst()
                continue
            }
            guard words.count < parameterLimit else { return nil }
            guard byte == UInt8(ascii: "\"") else {
                let word = rest.prefix { $0 > 32 }
                words.append(text(word))
                rest = rest.dropFirst(word.count)
                continue
            }
            rest = rest.dropFirst()
            var word: [UInt8] = []
            while let next = rest.popFirst(), next != UInt8(ascii: "\"") {
                if next == UInt8(ascii: "\\"), let escaped = rest.popFirst() {
                    word.append(escaped)
                } else {
                    word.append(next)
                }
                if rest.isEmpty { return nil }
            }
            words.append(text(word[...]))
        }
        return words
    }

    private static func text(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes.filter { $0 != 0 && $0 != 13 }, as: UTF8.self)
    }
}

/// One node of an answer's tree.
package struct MINode: Equatable, Sendable {
    package var name: String
    package var value: String
    package var attributes: [(name: String, value: String)]
    package var children: [MINode]

    package init(
        _ name: String, _ value: String = "", attributes: [(name: String, value: String)] = [],
        children: [MINode] = []
    ) {
        self.name = name
        self.value = value
        self.attributes = attributes
        self.children = children
    }

    package static func == (left: MINode, right: MINode) -> Bool {
        left.name == right.name && left.value == right.value && left.children == right.children
            && left.attributes.elementsEqual(right.attributes) { $0 == $1 }
    }

    /// The whole answer, with the empty line at its end.
    package static func answer(_ code: Int, _ reason: String, _ nodes: [MINode] = []) -> String {
        var text = "\(code) \(oneLine(reason))\n"
        for node in nodes { node.write(depth: 0, into: &text) }
        return text + "\n"
    }

    private func write(depth: Int, into text: inout String) {
        text += String(repeating: "\t", count: depth)
        text += "\(Self.oneLine(name)):: \(Self.oneLine(value))"
        for attribute in attributes {
            text += " \(Self.oneLine(attribute.name))=\(Self.oneLine(attribute.value))"
        }
        text += "\n"
        for child in children { child.write(depth: depth + 1, into: &text) }
    }

    /// A value ends where its line does.
    private static func oneLine(_ text: String) -> String {
        String(text.map { $0 == "\n" || $0 == "\r" || $0 == "\r\n" ? " " : $0 })
    }
}
