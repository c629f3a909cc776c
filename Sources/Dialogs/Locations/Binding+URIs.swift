// The URIs of a binding: its contact's as a Request-URI has it, and the place that it was heard from.

internal import Primitives
internal import SIP

extension Binding {
    /// The contact's URI without header fields, which no Request-URI has (RFC 3261 §19.1.1).
    package var plainURI: [UInt8] { Array(contact[URI.withoutHeaders(contact, ByteRange(contact)).range]) }

    /// `sip:192.0.2.1:5060;transport=tcp` of the place that it was heard from; empty where it is where its URI leads.
    package var receivedURI: [UInt8] {
        guard let endpoint = Endpoint(fact: received) else { return [] }
        var uri = ByteWriter()
        uri.put("sip:")
        endpoint.write(into: &uri)
        if endpoint.transport != .udp {
            uri.put(";transport=")
            uri.put(endpoint.transport.lowercasedName)
        }
        return uri.bytes
    }
}
