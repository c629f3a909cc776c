// `dlg_set_timeout_by_profile`: a new time for every dialog that is in a profile. All records are walked for it, in
// slices with a pause between them, so that no call waits; who is put into the profile meanwhile may be missed.
//
// Limit: `ProfileTimeouts.limit` such wishes at once.

import Dialogs
package import Primitives
import Proxy

struct ProfileTimeouts: Sendable {
    static let limit = 64
    static let slice = 2_000
    static let pause = Duration.milliseconds(2)

    struct Wish: Sendable {
        var name: [UInt8]
        /// `nil`: under any value.
        var value: [UInt8]?
        var milliseconds: UInt64
        var position: UInt32?
    }

    /// The first one is worked on.
    var wishes: [Wish] = []
    var nextSlice = Instant.zero
}

extension Node {
    /// Sets the time of all dialogs of a profile, from now on, one after the other.
    /// - Parameters:
    ///   - value: `nil` for all values.
    ///   - seconds: 1 to 604 800.
    /// - Returns: False when too many such wishes are open.
    package mutating func setTimeout(
        ofProfile name: [UInt8], value: [UInt8]?, seconds: Int, now: Instant
    ) -> Bool {
        guard profileTimeouts.wishes.count < ProfileTimeouts.limit, DialogChange.timeoutRange ~= seconds else {
            return false
        }
        profileTimeouts.wishes.append(
            ProfileTimeouts.Wish(name: name, value: value, milliseconds: UInt64(seconds) * 1_000, position: nil))
        if profileTimeouts.wishes.count == 1 { profileTimeouts.nextSlice = now }
        return true
    }

    /// The next slice of the walk, when it is due.
    mutating func continueProfileTimeouts(now: Instant) {
        guard var wish = profileTimeouts.wishes.first, now >= profileTimeouts.nextSlice else { return }
        for _ in 0..<ProfileTimeouts.slice {
            guard let (slot, did) = store.dialogs.next(after: wish.position) else {
                profileTimeouts.wishes.removeFirst()
                return
            }
            wish.position = slot
            guard store.dialogs.state(did) != .deleted, isIn(wish, did) else { continue }
            proxy.setLifetime(did, milliseconds: wish.milliseconds, now: now, dialogs: &store.dialogs)
        }
        profileTimeouts.wishes[0] = wish
        profileTimeouts.nextSlice = now.advanced(by: ProfileTimeouts.pause)
    }

    private func isIn(_ wish: ProfileTimeouts.Wish, _ did: DialogID) -> Bool {
        store.dialogs.view(did) { view, bytes in
            var isIn = false
            view.forEachProfile(in: bytes) { entry in
                guard entry.value != nil else { return }
                let link = ProfileLink(key: Array(bytes[entry.key.range]))
                if link.name == wish.name, wish.value == nil || link.value == wish.value { isIn = true }
            }
            return isIn
        } ?? false
    }

    /// When the walk goes on.
    var nextProfileSlice: Instant? { profileTimeouts.wishes.isEmpty ? nil : profileTimeouts.nextSlice }
}
