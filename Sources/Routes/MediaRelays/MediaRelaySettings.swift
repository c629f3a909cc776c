// MediaRelaySettings names the media relays (rtpengine) that scripts ask: sets by number, each of some servers.

package import SIP

package struct MediaRelaySettings: Equatable, Sendable {
    /// Servers of all sets; of one set.
    package static let mostServers = 64
    package static let largestWeight = 100

    package struct Server: Equatable, Sendable {
        package var set: Int
        package var endpoint: Endpoint
        /// How many calls it gets beside others, 0 to 100; with 0 only those that it has already.
        package var weight: Int

        package init(set: Int, endpoint: Endpoint, weight: Int = 1) {
            self.set = set
            self.endpoint = endpoint
            self.weight = weight
        }
    }

    /// `rtpengine.sets`.
    package var servers: [Server] = []
    /// `rtpengine.rtpengine_tout_ms`: how long an answer is waited for, each time that a command is sent.
    package var timeout: Duration = .milliseconds(1_000)
    /// `rtpengine.rtpengine_retr`: how often a command is sent to one server.
    package var tries = 5
    /// `rtpengine.rtpengine_disable_tout`: how long a server that did not answer is asked last.
    package var disabledFor: Duration = .seconds(60)

    package init() {}

    /// Reads `0 udp:192.0.2.1:2223=2`: a set, an address, and perhaps a weight; `nil` for what is none.
    package static func server(_ text: String) -> Server? {
        let words = text.split(whereSeparator: \.isWhitespace).map(String.init)
        guard words.count == 2, let set = Int(words[0]), 0...65_535 ~= set else { return nil }
        let parts = words[1].split(separator: "=", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2, parts[0].hasPrefix("udp:"), let weight = parts.count == 2 ? Int(parts[1]) : 1,
            0...largestWeight ~= weight, let endpoint = Endpoint(text: String(parts[0].dropFirst(4))),
            endpoint.port > 0
        else { return nil }
        return Server(set: set, endpoint: endpoint, weight: weight)
    }
}
