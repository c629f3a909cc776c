// Whose word on identities is believed (RFC 3325): `access.trusted` names the trust domain, the other members of the
// cluster belong to it. Without it nothing is judged, and identities pass as they are.
//
//                          to one who is trusted        to a stranger
//   from who is trusted    passes                       passes, unless Privacy says `id` (§7)
//   from a stranger        P-Asserted-Identity and P-Preferred-Identity are removed (§5, §6)
//
// The same holds of responses. What a balancer passes on is judged by the balancer's address: it vouches for what is
// behind it, or does not.

import Primitives
import SIP

/// What speaks against passing identities on.
struct IdentityDoubt: Equatable {
    /// Nobody who is trusted said so.
    var isUnvouched = false
    /// They would go to a stranger.
    var toStranger = false
}

extension Proxy {
    func isTrusted(_ endpoint: Endpoint) -> Bool {
        settings.trusted.contains { $0.contains(endpoint.address) } || neighbours.isPeerAddress(endpoint)
    }

    /// - Parameters:
    ///   - source: Where the message came from; `nil` when that was judged before.
    ///   - target: Where it goes; `nil` when that will be judged later. A name that is still to be looked up is a
    ///     stranger.
    func identityDoubt(from source: Endpoint?, to target: Endpoint?) -> IdentityDoubt {
        guard !settings.trusted.isEmpty else { return IdentityDoubt() }
        return IdentityDoubt(
            isUnvouched: source.map { !isTrusted($0) } ?? false, toStranger: target.map { !isTrusted($0) } ?? false)
    }

    /// Cuts what must not go on.
    static func withholdIdentity(
        _ doubt: IdentityDoubt, in message: Message, with editor: inout MessageEditor
    ) {
        guard doubt != IdentityDoubt(), doubt.isUnvouched || wantsPrivacy(message) else { return }
        for field in message.headers {
            if field.name == .assertedIdentity || field.name == .preferredIdentity && doubt.isUnvouched {
                editor.remove(field.line)
            }
        }
    }

    /// Whether Privacy has `id` among its values, which `;` separates (RFC 3325 §9.3, RFC 3323 §4.2).
    private static func wantsPrivacy(_ message: Message) -> Bool {
        let bytes = message.bytes
        var isWanted = false
        message.forEach(.privacy) { field in
            var start = Int(field.value.start)
            for offset in field.value.range {
                let isSeparator = [0x3B, 0x2C, 0x20, 0x09, 0x0D, 0x0A].contains(bytes[offset])
                let end = isSeparator ? offset : offset + 1
                if isSeparator || end == Int(field.value.end) {
                    if Text.equalsIgnoringCase(bytes, ByteRange(start: start, end: end), "id") { isWanted = true }
                    start = offset + 1
                }
            }
        }
        return isWanted
    }
}
