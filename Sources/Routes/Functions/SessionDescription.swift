// SessionDescription reads the lines of an SDP body (RFC 8866) as the module sdpops and nathelper ask for them. It is
// not judged: a line that means nothing to a question is stepped over.

internal import Primitives
package import SIP

package struct SessionDescription: Sendable {
    /// Without their line ends.
    package let lines: [[UInt8]]

    /// `nil` when the message has no body of that type.
    package init?(_ message: Message) {
        guard !message.body.isEmpty, let type = message.first(.contentType) else { return nil }
        let name = RouteText.trimmed(message.copy(type.value).prefix { $0 != 0x3B })
        guard RouteText.equalsIgnoringCase(name, [UInt8](copying: "application/sdp")) else { return nil }
        lines = message.copy(message.body).split(separator: 0x0A).map { line in
            Array(line.last == 0x0D ? line.dropLast() : line)
        }
    }

    package func first(_ prefix: [UInt8]) -> [UInt8]? { lines.first { $0.starts(with: prefix) } }

    /// Addresses of the `c=` lines.
    package var connections: [Address] {
        lines.filter { $0.starts(with: [UInt8](copying: "c=IN ")) }.compactMap { line in
            guard let space = line.lastIndex(of: 0x20) else { return nil }
            let text = Array(line[(space + 1)...])
            return Address(bytes: text, range: ByteRange(text))
        }
    }

    /// The words of each `m=` line: media, port, transport, formats.
    package var media: [[[UInt8]]] {
        lines.filter { $0.starts(with: [UInt8](copying: "m=")) }.map { line in
            line.dropFirst(2).split(separator: 0x20).map { Array($0) }
        }
    }

    package func hasMedia(_ name: [UInt8]) -> Bool {
        media.contains { words in words.first.map { RouteText.equalsIgnoringCase($0, name) } ?? false }
    }

    package func hasTransport(_ name: [UInt8]) -> Bool {
        media.contains { words in words.count > 2 && RouteText.equalsIgnoringCase(words[2], name) }
    }

    /// An audio stream that sends nothing here: `a=sendonly`, `a=inactive`, or the address 0.0.0.0.
    package var isOnHold: Bool {
        lines.contains { line in
            line == [UInt8](copying: "a=sendonly") || line == [UInt8](copying: "a=inactive")
                || line == [UInt8](copying: "c=IN IP4 0.0.0.0")
        }
    }
}
