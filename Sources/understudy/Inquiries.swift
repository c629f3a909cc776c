// Operators' inquiries of other members that are under way in this process, each waiting for its outcome; and the code
// that inquiries carry.

import Cluster
import Crypto
import Foundation
import Node
import Synchronization

final class Inquiries: Sendable {
    private struct State {
        var waiting: [UInt64: CheckedContinuation<InquiryOutcome, Never>] = [:]
        var last: UInt64 = 0
        var isOver = false
    }

    private let state = Mutex(State())

    /// Waits for what `start` sets going under the token that it is given.
    func begin(_ start: @escaping @Sendable (UInt64) async -> Void) async -> InquiryOutcome {
        await withCheckedContinuation { continuation in
            let token: UInt64? = state.withLock { state in
                guard !state.isOver else { return nil }
                state.last += 1
                state.waiting[state.last] = continuation
                return state.last
            }
            guard let token else { return continuation.resume(returning: .silent) }
            Task { await start(token) }
        }
    }

    func end(_ token: UInt64, _ outcome: InquiryOutcome) {
        state.withLock { $0.waiting.removeValue(forKey: token) }?.resume(returning: outcome)
    }

    /// The node has stopped: nothing more will be answered.
    func endAll() {
        let waiting = state.withLock { state in
            state.isOver = true
            defer { state.waiting = [:] }
            return state.waiting.values.map(\.self)
        }
        for continuation in waiting { continuation.resume(returning: .silent) }
    }

    /// HMAC-SHA-256 under the cluster's key; `nil` without one.
    static func authenticator(_ key: Secret) -> Authenticator? {
        guard !key.isEmpty else { return nil }
        let symmetric = SymmetricKey(data: key.bytes)
        return Authenticator { bytes in Array(HMAC<SHA256>.authenticationCode(for: bytes, using: symmetric)) }
    }
}
