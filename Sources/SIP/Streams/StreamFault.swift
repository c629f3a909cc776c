// StreamFault says why bytes of a stream are no message that can be passed on, what their sender is told, and whether
// the stream can go on: it can as long as it is known where the next message starts (RFC 3261 §18.3).

package struct StreamFault: Error, Hashable, Sendable {
    package enum Reason: Hashable, Sendable {
        /// The head and the Content-Length promise a message over the limit; it is skipped.
        case messageTooLarge(limit: Int)
        /// The empty line that ends the head has not come within the limit.
        case headTooLarge(limit: Int)
        /// A stream's messages end where Content-Length says, and it says nothing (§18.3, §20.14).
        case missingContentLength
        /// Not a number of at most 32 bits.
        case malformedContentLength
        /// Two that differ: whoever believes the other one reads another message.
        case contradictingContentLengths
        /// What stands where a start line should begin with a token does not: TLS sent to a plain port, most often.
        case notSIP
    }

    package var reason: Reason

    package init(_ reason: Reason) {
        self.reason = reason
    }

    /// What the sender is told when the message is a request that can be answered at all; `nil`: nothing, since there
    /// is no head to copy an answer's fields from.
    package var statusCode: Int? {
        switch reason {
        case .messageTooLarge: 513
        case .missingContentLength, .malformedContentLength, .contradictingContentLengths: 400
        case .headTooLarge, .notSIP: nil
        }
    }

    /// The next message can be found; otherwise the stream must be closed, once the answer has been written.
    package var canGoOn: Bool {
        switch reason {
        case .messageTooLarge: true
        case .headTooLarge, .missingContentLength, .malformedContentLength, .contradictingContentLengths, .notSIP: false
        }
    }
}
