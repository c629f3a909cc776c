// What becomes of a dialog that somebody has asked to end: asked again and again until it is a tombstone.

import Management

enum Ending {
    /// The dialog when it has ended, or as it is when the time is over. One whose tombstone was let go has ended.
    static func waitFor(_ did: String, _ options: NodeOptions, seconds: Int) async throws -> JSONValue {
        let client = try await options.client()
        let start = ContinuousClock.now
        while true {
            let dialog = try await state(of: did, client)
            let phase = dialog["end"]?["phase"]?.text ?? ""
            if phase == "ended" || ContinuousClock.now - start >= .seconds(seconds) {
                Console.clearProgress()
                return dialog
            }
            Console.progress("\(did) \(sentence(dialog["end"] ?? .null))")
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private static func state(of did: String, _ client: RPCClient) async throws -> JSONValue {
        do throws(ClientError) {
            return try await client.call("cluster.dialog", [.string(did)])
        } catch .refused(_, let error) where error.code == 404 {
            return ["did": .string(did), "end": ["phase": "ended"]]
        } catch {
            throw Asking.complain(error)
        }
    }

    /// The phase as a sentence's end.
    static func sentence(_ end: JSONValue) -> String {
        let isAnswered = end["answered"] != .bool(false)
        switch (end["phase"]?.text ?? "", end["cause"]?.text ?? "") {
        case ("lives", _): return "lives"
        case ("waiting", _): return "waits for a majority of the members to agree to its end"
        case ("ending", _): return "is being ended; a phone has not answered yet"
        case (_, "caller"): return "has ended: the caller hung up"
        case (_, "callee"): return "has ended: the callee hung up"
        case (_, "cancelled"): return "has ended: the caller gave up"
        default: return isAnswered ? "has ended" : "has ended; a phone did not answer its BYE, or could not be sent one"
        }
    }
}
