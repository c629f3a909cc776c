// HeardIntents keeps the questions about ends that this node has granted, its own among them: whoever continues after a
// crash sends the bytes of the first who asked. An intent goes with the end of its dialog, with a later deadline, or
// for a later intent.
//
// Limit: 65 536, that is as many dialogs as expire within a second and a half, by far; beyond it the one first heard is
// forgotten, counted, and whoever continues its dialog makes the BYEs from its own record.

package import Cluster
package import Dialogs
package import Primitives

package struct HeardIntents: Sendable {
    package struct Heard: Sendable {
        package var intent: Intent
        package var heardAt: Instant
    }

    package static let limit = 65_536

    private var intents: [DialogID: Heard] = [:]
    /// In the order in which they were first heard, some forgotten ones among them.
    private var order = HeadQueue<DialogID>()
    /// Intents that were forgotten for later ones.
    package private(set) var forgotten: UInt64 = 0

    package init() {}

    package var count: Int { intents.count }

    /// Keeps an intent: the first one's bytes stay, the moment is the last one's.
    package mutating func hear(_ intent: Intent, _ did: DialogID, now: Instant) {
        if let heard = intents[did], heard.intent.generation == intent.generation,
            heard.intent.deadlineMilliseconds == intent.deadlineMilliseconds
        {
            intents[did]?.heardAt = now
            return
        }
        if intents[did] == nil {
            makeRoom()
            order.append(did)
        }
        intents[did] = Heard(intent: intent, heardAt: now)
    }

    private mutating func makeRoom() {
        while intents.count >= Self.limit, let did = order.popFirst() {
            if intents.removeValue(forKey: did) != nil { forgotten += 1 }
        }
        while let first = order.first, intents[first] == nil { order.popFirst() }
    }

    package mutating func forget(_ did: DialogID) {
        if !intents.isEmpty { intents[did] = nil }
    }

    /// The intent heard last.
    package subscript(did: DialogID) -> Heard? { intents[did] }

    /// The intent heard for this very deadline.
    package func find(_ did: DialogID, generation: UInt32, milliseconds: UInt64) -> Heard? {
        guard let heard = intents[did], heard.intent.generation == generation,
            heard.intent.deadlineMilliseconds == milliseconds
        else { return nil }
        return heard
    }
}
