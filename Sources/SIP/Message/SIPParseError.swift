// SIPParseError says why a message cannot be used and where the reading stopped. One property maps every reason to the
// status that the sender of a request is told; an unusable response is dropped by whoever catches this (RFC 4475
// §3.1.2.5).

package struct SIPParseError: Error, Equatable, Sendable {
    package enum Reason: Equatable, Sendable {
        /// Nothing but line ends: a keep-alive (RFC 5626 §3.5.1). Dropped, never answered.
        case emptyMessage
        case malformedStartLine
        case unsupportedVersion
        case malformedURI
        case unsupportedScheme
        /// A line that is no header field: no colon, or no token before it.
        case malformedHeaderLine
        case malformedValue(HeaderName)
        case missingHeader(HeaderName)
        case duplicateHeader(HeaderName)
        /// The CSeq names another method than the request line.
        case methodMismatch
        /// The message ended before the empty line that ends the headers.
        case missingEmptyLine
        /// Content-Length promises more bytes than the datagram holds (RFC 3261 §18.3).
        case bodyTooShort
        case tooManyHeaders(limit: Int)
        case messageTooLarge(limit: Int)
    }

    package var reason: Reason
    /// Bytes from the start of the message to what could not be used.
    package var offset: Int

    package init(_ reason: Reason, at offset: Int) {
        self.reason = reason
        self.offset = offset
    }

    /// What the sender of a request is told (RFC 3261 §8.2, §16.3, §21).
    package var statusCode: Int {
        switch reason {
        case .unsupportedVersion: 505
        case .unsupportedScheme: 416
        case .tooManyHeaders, .messageTooLarge: 513
        case .emptyMessage, .malformedStartLine, .malformedURI, .malformedHeaderLine, .malformedValue, .missingHeader,
            .duplicateHeader, .methodMismatch, .missingEmptyLine, .bodyTooShort:
            400
        }
    }
}
