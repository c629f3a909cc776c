// StreamFramer cuts a byte stream into SIP messages (RFC 3261 §18.3): a head up to its empty line, then as many bytes
// as its Content-Length says. The bytes may come in any pieces; what is found does not depend on them.
//
//             ┌──────── CRLF: pong; a second one at once: ping (RFC 5626 §3.5.1) ─────────┐
//             ▼                                                                           │
//        between ──any other byte──▶ head ──empty line──▶ body ──all of it──▶ message ────┘
//                                      │                   ▲
//                                      │ over the limit    └─ skipping: a fault first, then the body is let go by
//                                      ▼
//                                   a fault that closes the stream: nothing more is read
//
// A ping is two empty lines, so it is told as a pong and then a ping, which the stream's handler answers
// (`StreamHandler.answerPing`). Lines may end with a bare LF, as in `MessageIndex`. Only the head's lines that begin
// with `Content-Length` or `l` are looked into: everything else is judged by `Message`.
//
// Limits: 65 535 bytes a message, 32 768 a head. Held at any time: less than one message and the bytes appended last.
// Each byte is looked at once or twice, however small the pieces (the search for the empty line goes on where it
// stopped).

internal import Primitives

package struct StreamFramer: Sendable {
    package static let messageLimit = Message.sizeLimit
    package static let headLimit = 32_768

    package enum Element: Hashable, Sendable {
        /// A whole message; `withElement` lends its bytes.
        case message
        /// Two empty lines: the peer asks whether anybody is there, and is sent one CRLF.
        case ping
        /// One empty line: the answer to a ping, or the first half of one.
        case pong
    }

    private enum Phase: Equatable, Sendable {
        /// After an empty line that has no partner yet, or not.
        case between(afterEmptyLine: Bool)
        /// From `position` on; no empty line begins within the first `searched` bytes.
        case head(searched: Int)
        /// Up to `position + total`.
        case body(total: Int)
        case skipping(remaining: Int)
        case closed
    }

    private var bytes: [UInt8] = []
    /// Where the first byte that has not been used up stands.
    private var position = 0
    private var phase = Phase.between(afterEmptyLine: false)
    /// The element or the faulty head found last.
    private var element = 0..<0

    package init() {}

    /// Bytes of a message whose end has not come.
    package var heldByteCount: Int { bytes.count - position }

    /// A message has begun and its end has not come.
    package var isWithinMessage: Bool {
        switch phase {
        case .between, .closed: false
        case .head, .body, .skipping: true
        }
    }

    /// Takes what the stream brought; then call `next` until it answers `nil`.
    package mutating func append(_ more: RawSpan) {
        guard phase != .closed else { return }
        if position > 0 {
            bytes.removeFirst(position)
            position = 0
            element = 0..<0
        }
        bytes.append(more)
    }

    /// The next element that is whole; `nil` when more bytes are needed, and for ever after a fault that closes.
    ///
    /// After a fault with `canGoOn` it may be called again. With a fault that has a status code, `withElement` lends
    /// the head that the answer is made from.
    package mutating func next() throws(StreamFault) -> Element? {
        element = 0..<0
        while true {
            switch phase {
            case .closed:
                return nil
            case .between(let afterEmptyLine):
                guard position < bytes.count else { return nil }
                switch emptyLine() {
                case .needsMore: return nil
                case .none:
                    guard Grammar.isToken(bytes[position]) else { throw close(.notSIP) }
                    phase = .head(searched: 0)
                case .length(let length):
                    position += length
                    phase = .between(afterEmptyLine: !afterEmptyLine)
                    return afterEmptyLine ? .ping : .pong
                }
            case .head(let searched):
                switch headEnd(from: position + searched) {
                case .notBefore(let offset):
                    guard heldByteCount <= Self.headLimit else { throw close(.headTooLarge(limit: Self.headLimit)) }
                    phase = .head(searched: offset - position)
                    return nil
                case .at(let end):
                    guard end - position <= Self.headLimit else { throw close(.headTooLarge(limit: Self.headLimit)) }
                    phase = .body(total: try measure(head: position..<end))
                }
            case .body(let total):
                guard bytes.count - position >= total else { return nil }
                element = position..<position + total
                position += total
                phase = .between(afterEmptyLine: false)
                return .message
            case .skipping(let remaining):
                let count = min(remaining, bytes.count - position)
                position += count
                phase = remaining == count ? .between(afterEmptyLine: false) : .skipping(remaining: remaining - count)
                if remaining > count { return nil }
            }
        }
    }

    /// Lends the message, or the head of the fault, that `next` found last; empty after any other element. Gone with
    /// the next `append`.
    package func withElement<R>(_ body: (RawSpan) -> R) -> R {
        body(RawSpan(_elements: bytes.span).extracting(element))
    }

    // MARK: Parts

    private mutating func close(_ reason: StreamFault.Reason) -> StreamFault {
        phase = .closed
        return StreamFault(reason)
    }

    private enum EmptyLine { case length(Int), needsMore, none }

    private func emptyLine() -> EmptyLine {
        if bytes[position] == 0x0A { return .length(1) }
        guard bytes[position] == 0x0D else { return .none }
        guard position + 1 < bytes.count else { return .needsMore }
        return bytes[position + 1] == 0x0A ? .length(2) : .none
    }

    private enum HeadEnd { case at(Int), notBefore(Int) }

    /// Where the head ends, past its empty line, or from where on the search for it is to be resumed.
    private func headEnd(from searched: Int) -> HeadEnd {
        let span = RawSpan(_elements: bytes.span)
        var offset = searched
        while true {
            let feed = Grammar.lineFeed(span, offset, span.byteCount)
            guard feed < span.byteCount else { return .notBefore(feed) }
            var next = feed + 1
            if next < span.byteCount, span[next] == 0x0D { next += 1 }
            guard next < span.byteCount else { return .notBefore(feed) }
            if span[next] == 0x0A { return .at(next + 1) }
            offset = feed + 1
        }
    }

    /// The length of the message whose head this is.
    private mutating func measure(head: Range<Int>) throws(StreamFault) -> Int {
        let length: Int
        do throws(StreamFault) {
            length = try contentLength(in: head)
        } catch {
            element = head
            phase = .closed
            throw error
        }
        guard head.count + length <= Self.messageLimit else {
            element = head
            position += head.count
            phase = .skipping(remaining: length)
            throw StreamFault(.messageTooLarge(limit: Self.messageLimit))
        }
        return head.count + length
    }

    private func contentLength(in head: Range<Int>) throws(StreamFault) -> Int {
        let span = RawSpan(_elements: bytes.span)
        var found: UInt32?
        var line = Grammar.lineFeed(span, head.lowerBound, head.upperBound) + 1
        while line < head.upperBound {
            var feed = Grammar.lineFeed(span, line, head.upperBound)
            while feed + 1 < head.upperBound, span[feed + 1] == 0x20 || span[feed + 1] == 0x09 {
                feed = Grammar.lineFeed(span, feed + 1, head.upperBound)
            }
            let next = min(feed + 1, head.upperBound)
            if let start = valueStart(line, next) {
                let value = Grammar.skipSpace(span, start, next)
                guard let number = Grammar.number(span, value, Grammar.trimmedEnd(span, value, next)) else {
                    throw StreamFault(.malformedContentLength)
                }
                guard found == nil || found == number else { throw StreamFault(.contradictingContentLengths) }
                found = number
            }
            line = next
        }
        guard let found else { throw StreamFault(.missingContentLength) }
        return Int(found)
    }

    /// Past the colon when the line that starts here is a Content-Length, in its long or compact form.
    private func valueStart(_ line: Int, _ end: Int) -> Int? {
        guard line < end, bytes[line] | 0x20 == 0x6C || bytes[line] | 0x20 == 0x63 else { return nil }
        let span = RawSpan(_elements: bytes.span)
        let nameEnd = Grammar.skipToken(span, line, end)
        let name = ByteRange(start: line, end: nameEnd)
        guard name.count == 1 ? bytes[line] | 0x20 == 0x6C : Text.equalsIgnoringCase(bytes, name, "content-length")
        else { return nil }
        var colon = nameEnd
        while colon < end, span[colon] == 0x20 || span[colon] == 0x09 { colon += 1 }
        return colon < end && span[colon] == 0x3A ? colon + 1 : nil
    }
}
