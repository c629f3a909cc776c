// The benchmarks by name. Each runs so many operations and answers what it counted over all of them; what one operation
// costs is the difference of two runs (`Deploy/benchmark`), so that nothing of the start is in it.
//
// Instructions are not counted here but by callgrind: those of the functions whose names begin with `measured`, and of
// the two turns of `CallBenchmark`. Those functions are not inlined and do nothing else.

package import Cluster

package struct Benchmark: Sendable {
    package var name: String
    package var summary: String
    /// Runs so many operations after others that warm up.
    package var run: @Sendable (_ count: Int, _ warmUp: Int, _ allocations: @escaping () -> UInt64) -> [Count]

    /// Something that was counted, by the name that it has in `Thresholds.txt`.
    package typealias Count = (name: String, value: UInt64)

    /// - Parameters:
    ///   - key: What seals, for the benchmarks of that; without one a stand-in that only copies.
    ///   - script: Lua, for the one that runs calls under it, which there is not without.
    package static func named(_ name: String, key: SealKey? = nil, script: [UInt8]? = nil) -> Benchmark? {
        if name == stock { return script.map { scripted($0) } }
        return (key.map { list($0) } ?? all).first { $0.name == name }
    }

    /// The benchmark that wants a script.
    package static let stock = "stock"

    private static func scripted(_ script: [UInt8]) -> Benchmark {
        Benchmark(name: stock, summary: "the calls of `call`, routed by a script that is given") {
            calls($0, $1, script: script, $2).filter { $0.name == "owner.allocations" }
        }
    }

    package static let all = list(CopyingCipher.key)

    private static func list(_ key: SealKey) -> [Benchmark] {
        parts + [
            Benchmark(name: "seal", summary: "that frame, sealed") { part(SealBenchmark(key), $0, $1, $2) },
            Benchmark(name: "open", summary: "and opened") { part(OpenBenchmark(key), $0, $1, $2) },
        ]
    }

    private static let parts: [Benchmark] = [
        Benchmark(name: "call", summary: "calls through an owner with one replica") { calls($0, $1, $2) },
        Benchmark(name: "untraced", summary: "the same calls, of which nothing is kept for a trace") {
            calls($0, $1, isTraced: false, $2).filter { $0.name == "owner.allocations" }
        },
        Benchmark(name: "parse", summary: "the six messages of a call that an owner gets, read and checked") {
            part(ParseBenchmark(), $0, $1, $2)
        },
        Benchmark(name: "rewrite", summary: "the same six, as they leave") { part(RewriteBenchmark(), $0, $1, $2) },
        Benchmark(name: "learn", summary: "what an owner learns of a call, and its end") {
            part(LearnBenchmark(), $0, $1, $2)
        },
        Benchmark(name: "join", summary: "a record and the largest patch to it") { part(JoinBenchmark(), $0, $1, $2) },
        Benchmark(name: "frame", summary: "the facts of a call, published and put into a frame") {
            part(FrameBenchmark(), $0, $1, $2)
        },
        Benchmark(name: "apply", summary: "that frame, taken in by a peer whose store does nothing") {
            part(ApplyBenchmark(), $0, $1, $2)
        },
        Benchmark(name: "wheel", summary: "the timers of a call") { part(WheelBenchmark(), $0, $1, $2) },
        Benchmark(name: "run", summary: "a script's route that does nothing") { part(RunBenchmark(), $0, $1, $2) },
        Benchmark(name: "kemi", summary: "one that calls ten functions") { part(KemiBenchmark(), $0, $1, $2) },
    ]

    private static func calls(
        _ count: Int, _ warmUp: Int, isTraced: Bool = true, script: [UInt8]? = nil,
        _ allocations: @escaping () -> UInt64
    ) -> [Count] {
        var bench = CallBenchmark(warmUp: warmUp, isTraced: isTraced, script: script, allocations: allocations)
        bench.run(calls: count)
        return [
            ("owner.allocations", bench.allocationsOfOwner), ("replica.allocations", bench.allocationsOfReplica),
            ("frames", bench.framesOfOwner), ("bytes", bench.frameBytesOfOwner),
        ]
    }

    private static func part(
        _ benchmark: some PartBenchmark, _ count: Int, _ warmUp: Int, _ allocations: () -> UInt64
    ) -> [Count] {
        var benchmark = benchmark
        var total: UInt64 = 0
        for index in 0..<count + warmUp {
            benchmark.prepare()
            let before = allocations()
            benchmark.measure()
            if index >= warmUp { total += allocations() - before }
        }
        return [("allocations", total)]
    }
}
