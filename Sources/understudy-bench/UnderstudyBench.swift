// understudy-bench runs one benchmark so many times and prints what it counted. `Deploy/benchmark` runs it under
// callgrind, once with n and once with 2n, and compares the differences with the thresholds:
//
//     swift run -c release understudy-bench NAME COUNT
//     swift run -c release understudy-bench flat COUNT      so many runs of a script: exit 1 when memory grows
//
// The time is printed for whoever looks; nothing depends on it.

import Benchmarks
import CAllocations
import Glibc

#if canImport(Sealing)
    import Sealing
#endif

@main
enum UnderstudyBench {
    static func main() {
        let arguments = CommandLine.arguments
        if arguments.count == 3, arguments[1] == "flat", let count = Int(arguments[2]), count > 0 {
            exit(staysFlat(count) ? 0 : 1)
        }
        let script = arguments.count == 4 ? contents(arguments[3]) : nil
        guard arguments.count == 3 || script != nil, let benchmark = named(arguments[1], script),
            let count = Int(arguments[2]), count > 0
        else {
            print("usage: understudy-bench NAME COUNT [SCRIPT]")
            print("  flat: whether memory grows with so many runs of a script")
            print("  \(Benchmark.stock): the calls of `call`, routed by SCRIPT")
            for benchmark in Benchmark.all { print("  \(benchmark.name): \(benchmark.summary)") }
            exit(2)
        }
        let began = milliseconds()
        for (name, value) in benchmark.run(count, 1_000, callocations_count) { print("\(name)=\(value)") }
        print("# \(milliseconds() - began) ms of processor time in all")
    }

    /// What a page or two come to, by which a process grows and shrinks.
    private static let slack = 1 << 20

    /// Whether the process is as large after so many runs as it was when everything that has a limit was full.
    private static func staysFlat(_ count: Int) -> Bool {
        var runs = EndlessRuns()
        runs.run(250_000)  // What is kept for 65 536 transactions has its room, and the order of twice as many.
        let before = residentBytes()
        runs.run(count)
        let after = residentBytes()
        print("runs=\(count)\nbefore=\(before)\nafter=\(after)\nlua=\(runs.memory)")
        print("# \(runs.waits) waited, \(runs.failures) failed")
        return before > 0 && after <= before + slack
    }

    /// 0 where the system does not tell.
    private static func residentBytes() -> Int {
        let fields = String(decoding: contents("/proc/self/statm") ?? [], as: UTF8.self).split(separator: " ")
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * 4_096 : 0
    }

    /// With the cipher of the bus, where it was built.
    private static func named(_ name: String, _ script: [UInt8]?) -> Benchmark? {
        #if canImport(Sealing)
            let secret = Array("0123456789abcdef0123456789abcdef".utf8)
            return Benchmark.named(name, key: .init(secret: secret), script: script)
        #else
            return Benchmark.named(name, script: script)
        #endif
    }

    /// Of a file; `nil` when it cannot be read.
    private static func contents(_ path: String) -> [UInt8]? {
        guard let file = unsafe fopen(path, "r") else { return nil }
        defer { _ = unsafe fclose(file) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe part.withUnsafeMutableBytes { unsafe fread($0.baseAddress, 1, $0.count, file) }
            guard count > 0 else { return bytes }
            bytes += part[..<count]
        }
    }

    private static func milliseconds() -> Int {
        var time = timespec()
        guard unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return 0 }
        return time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
    }
}
