// FuzzTarget is one small function: any bytes in, a trap on a broken invariant. The same functions run under a
// coverage-guided fuzzer (`Deploy/fuzz`, which builds `understudy-fuzz` with libFuzzer) and, over the kept corpus, in
// `swift test`.
//
//     bytes ──▶ target ──▶ parser, editor, join, proxy, node ──▶ what came of it ──▶ invariants ──▶ trap, or nothing
//
// To add one: a file beside this one with the function, a line in `all`, a folder `Tests/FuzzTests/Corpus/NAME` with a
// few small inputs. A target holds no state from run to run, or a find could not be replayed.
//
// Not attempted: comparing with another SIP parser. What RFC and grammar ask of single messages is in SIPTests.

package struct FuzzTarget: Sendable {
    /// As `Deploy/fuzz` and the corpus' folder spell it.
    package var name: String
    /// What it holds the code to, in a few words.
    package var summary: String
    package var run: @Sendable ([UInt8]) -> Void

    package static let all: [FuzzTarget] = [
        FuzzTarget(name: "message", summary: "load, validate, every accessor, answers, ACK and CANCEL") {
            var exercise = MessageExercise()
            _ = exercise.run($0)
        },
        FuzzTarget(
            name: "stream", summary: "a byte stream cut into messages, whatever its pieces", run: StreamTarget.run),
        FuzzTarget(name: "edit", summary: "forwarding keeps what it does not rewrite", run: EditTarget.run),
        FuzzTarget(name: "uri", summary: "parts lie within; comparison is reflexive and symmetric", run: URITarget.run),
        FuzzTarget(name: "via", summary: "lists of Vias, and received and rport written into them", run: ViaTarget.run),
        FuzzTarget(
            name: "addresses", summary: "From, To, Contact, Route: lists of addresses", run: AddressesTarget.run),
        FuzzTarget(name: "values", summary: "CSeq, numbers, session timers, parameters, tokens", run: ValuesTarget.run),
        FuzzTarget(
            name: "endpoint", summary: "addresses and endpoints as text, there and back", run: EndpointTarget.run),
        FuzzTarget(name: "branch", summary: "our branches, there and back", run: BranchTarget.run),
        FuzzTarget(name: "ending", summary: "the BYEs in an intent, there and back", run: EndingTarget.run),
        FuzzTarget(name: "record", summary: "the laws of the join, on hostile bytes", run: RecordTarget.run),
        FuzzTarget(name: "wire", summary: "frame header and entries, there and back", run: WireTarget.run),
        FuzzTarget(name: "bus", summary: "a node among hostile peers", run: BusTarget.run),
        FuzzTarget(name: "binrpc", summary: "BINRPC packets, there and back", run: BINRPCTarget.run),
        FuzzTarget(name: "mi", summary: "commands in the MI FIFO, and their answers", run: MITarget.run),
        FuzzTarget(name: "fifo", summary: "JSON requests in a FIFO", run: JSONFramingTarget.run),
        FuzzTarget(
            name: "proxy", summary: "conversations: what is sent is valid, nothing is kept", run: ProxyTarget.run),
    ]

    package static func named(_ name: String) -> FuzzTarget? { all.first { $0.name == name } }
}

/// A cursor over the fuzzer's bytes. At the end it answers zeros, so that every input means something.
struct FuzzInput {
    private(set) var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    /// The rest in steps: what lies between two bytes 0x1E, which neither SIP nor any seed has in it.
    var steps: [ArraySlice<UInt8>] { rest.split(separator: 0x1E) }
}

extension [UInt8] {
    /// As text for the message of a trap.
    var shown: String { String(decoding: self, as: UTF8.self) }
}
