// What the seal of a frame costs: a frame with all facts of one call, sealed by who publishes it and opened by a peer.
// Which cipher does it is the program's to say: the core has none.

import Cluster
import Primitives

/// Hides nothing and costs next to nothing: so that the benchmarks run where there is no cryptography.
struct CopyingCipher: BootCipher {
    static let key = SealKey(id: 1) { _ in CopyingCipher() }

    func seal(_ plain: RawSpan, counter: UInt64, authenticating head: RawSpan, into out: inout [UInt8]) {
        out.append(plain)
        for _ in 0..<SealedFrame.tagLength { out.append(0) }
    }

    func open(_ sealed: RawSpan, counter: UInt64, authenticating head: RawSpan, into out: inout [UInt8]) -> Bool {
        out.append(sealed.extracting(0..<sealed.byteCount - SealedFrame.tagLength))
        return true
    }
}

struct SealBenchmark: PartBenchmark {
    private var sealer: FrameSealer
    private let frame: [UInt8]
    private var out: [UInt8] = []

    init(_ key: SealKey) {
        sealer = FrameSealer(keys: [key])
        var pair = ClusterPair()
        pair.exchange()
        frame = pair.publish().first ?? []
    }

    mutating func prepare() { out.removeAll(keepingCapacity: true) }

    mutating func measure() {
        let bytes = frame
        measuredSeal(bytes, &sealer, &out)
        precondition(out.count > frame.count, "the frame must be sealed")
    }
}

@inline(never)
private func measuredSeal(_ frame: [UInt8], _ sealer: inout FrameSealer, _ out: inout [UInt8]) {
    _ = sealer.seal(RawSpan(_elements: frame.span), now: .zero, into: &out)
}

struct OpenBenchmark: PartBenchmark {
    private var sealer: FrameSealer
    private var opener: FrameOpener
    private let frame: [UInt8]
    private var sealed: [UInt8] = []
    private var out: [UInt8] = []

    init(_ key: SealKey) {
        var pair = ClusterPair()
        pair.exchange()
        let published = pair.publish().first ?? []
        var (sealer, opener) = (FrameSealer(keys: [key]), FrameOpener(keys: [key]))
        // A process is heard once it has answered a question.
        var answer = published
        answer[44] = FrameHeader.Lane.reply.rawValue
        let ticket = SealTicket(salt: Salt(high: 1, low: 1), counter: 1)
        var (bytes, read) = ([UInt8](), [UInt8]())
        _ = sealer.seal(RawSpan(_elements: answer.span), replyingTo: ticket, now: .zero, into: &bytes)
        _ = opener.open(RawSpan(_elements: bytes.span), lane: .reply, answering: ticket, now: .zero, into: &read)
        frame = published
        self.sealer = sealer
        self.opener = opener
    }

    mutating func prepare() {
        sealed.removeAll(keepingCapacity: true)
        out.removeAll(keepingCapacity: true)
        let bytes = frame
        _ = sealer.seal(RawSpan(_elements: bytes.span), now: .zero, into: &sealed)
    }

    mutating func measure() {
        let bytes = sealed
        measuredOpen(bytes, &opener, &out)
        precondition(out == frame, "the frame must be opened as it was")
    }
}

@inline(never)
private func measuredOpen(_ sealed: [UInt8], _ opener: inout FrameOpener, _ out: inout [UInt8]) {
    _ = opener.open(RawSpan(_elements: sealed.span), lane: .published, now: .zero, into: &out)
}
