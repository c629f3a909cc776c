// ResolutionTarget is what RFC 3263 starts from: the parts of a URI that decide where a request for it is sent.

package struct ResolutionTarget: Hashable, Sendable {
    /// `sips:` asks for TLS on every hop.
    package var isSecure: Bool
    /// The host name in lower case, without a trailing dot; never an address.
    package var host: [UInt8]
    /// As written in the URI; `nil` lets SRV decide.
    package var port: UInt16?
    /// As written in the URI; `nil` lets NAPTR decide.
    package var transport: TransportProtocol?

    package init(isSecure: Bool, host: [UInt8], port: UInt16?, transport: TransportProtocol?) {
        self.isSecure = isSecure
        self.host = host
        self.port = port
        self.transport = transport
    }
}
