// Events that an operator may want to read, and the counters of everything that is too frequent for that.

package enum ClusterNote: Equatable, Sendable {
    /// A configured peer has not been heard since we began; it is tried again for ever.
    case peerNotThereYet(peer: Int)
    case peerHeard(MemberID)
    case peerSilent(MemberID)
    /// Its bus port refuses connections: proof of death.
    case peerGone(MemberID)
    case peerLeft(MemberID)
    case viewChanged(epoch: UInt64, names: [String])
    case formedAlone(epoch: UInt64, proof: Bool)
    case excluded(epoch: UInt64)
    case quorumLost
    case quorumRegained
    case stateChanged(MemberState)
    /// Our loop ran so much later than it should.
    case loopWasLate(milliseconds: Int64)
    /// Noted once for each stranger by its name, which nobody vouches for; counted always.
    case wrongCluster(name: String)
    case wrongVersion(UInt8)
    /// Sealed with a key that is none of ours; likewise.
    case unknownKey(name: String)
    /// Sealed, and we have no key; likewise.
    case sealedFrame(name: String)
    /// Not opened for another reason; noted once for each and each name.
    case notOpened(SealRefusal, name: String)
    /// Another process has our name; the one with the higher boot ends itself.
    case duplicateName(boot: UInt64)
    case bootRaised(from: UInt64, to: UInt64)
    case bootRefused(MemberID, known: UInt64)
    case commitTimedOut(token: UInt64)
    /// A peer let three commits time out and no longer counts.
    case peerStopsCounting(MemberID)
    case peerCountsAgain(MemberID)
    /// A digest comparison mended so many records.
    case repaired(records: UInt64, from: MemberID)
    case tooManyMembers
    /// An inquiry without the code that only holders of the cluster's key can make; noted once for each name.
    case inquiryRefused(MemberID)
    /// An answer to an inquiry without that code; likewise.
    case answerForged(MemberID)
}

package struct ClusterCounters: Equatable, Sendable {
    package var framesOut: UInt64 = 0
    package var framesIn: UInt64 = 0
    package var bytesOut: UInt64 = 0
    package var bytesIn: UInt64 = 0
    package var entriesIn: UInt64 = 0
    package var requestsOut: UInt64 = 0
    package var requestsIn: UInt64 = 0
    package var requestsUnanswered: UInt64 = 0
    /// Frames not read, by reason.
    package var malformedFrames: UInt64 = 0
    package var foreignCluster: UInt64 = 0
    package var foreignVersion: UInt64 = 0
    package var sealedFrames: UInt64 = 0
    package var ownFrames: UInt64 = 0
    package var lowerBoot: UInt64 = 0
    package var duplicateName: UInt64 = 0
    package var staleFrames: UInt64 = 0
    package var tooManyMembers: UInt64 = 0
    package var unknownEntries: UInt64 = 0
    package var malformedEntries: UInt64 = 0
    /// Facts too large for a frame, or beyond what may wait to be sent.
    package var unsentEntries: UInt64 = 0
    package var gaps: UInt64 = 0
    /// Sequences answered by a repair.
    package var repairsIn: UInt64 = 0
    package var repairsOut: UInt64 = 0
    package var ringOverruns: UInt64 = 0
    package var rangesDropped: UInt64 = 0
    /// Records, pushes and ages that a peer was not asked for, or given, because too many were wanted already.
    package var fetchesLeftOut: UInt64 = 0
    package var pushesLeftOut: UInt64 = 0
    package var agesLeftOut: UInt64 = 0
    package var parked: UInt64 = 0
    package var parkedDropped: UInt64 = 0
    package var parkedApplied: UInt64 = 0
    package var recordsRefused: UInt64 = 0
    package var commits: UInt64 = 0
    package var commitTimeouts: UInt64 = 0
    package var committedAlone: UInt64 = 0
    package var waitsRefused: UInt64 = 0
    package var pushes: UInt64 = 0
    package var syncs: UInt64 = 0
    package var syncChunks: UInt64 = 0
    package var syncRecords: UInt64 = 0
    /// Records that a comparison of digests changed.
    package var digestRepaired: UInt64 = 0
    package var tombstonesForgotten: UInt64 = 0
    package var tombstonesForced: UInt64 = 0
    package var asks: UInt64 = 0
    package var asksRefused: UInt64 = 0
    /// Questions of heirs; those that a peer let wait too long; those beyond what may be open.
    package var questions: UInt64 = 0
    package var questionsUnanswered: UInt64 = 0
    package var questionsRefused: UInt64 = 0
    /// Answers told once more, since more is known; dialogs asked about that were forgotten for later ones.
    package var askersTold: UInt64 = 0
    package var questionsForgotten: UInt64 = 0
    package var grantsGiven: UInt64 = 0
    package var refusalsGiven: UInt64 = 0
    package var viewChanges: UInt64 = 0
    package var lateLoops: UInt64 = 0
    package var falseProofs: UInt64 = 0
    /// Operators' inquiries through this node, and of others here.
    package var inquiriesOut: UInt64 = 0
    package var inquiriesIn: UInt64 = 0
    package var inquiriesUnanswered: UInt64 = 0
    package var inquiriesLeftOut: UInt64 = 0
    package var inquiriesRefused: UInt64 = 0
    package var inquiriesForged: UInt64 = 0
    package var inquiriesTooLong: UInt64 = 0

    package init() {}
}
