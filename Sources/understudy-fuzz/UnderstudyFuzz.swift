// understudy-fuzz is the fuzzer's program. Built by `Deploy/fuzz`, with libFuzzer, it is one of the targets in
// `Sources/Fuzzing`, named by UNDERSTUDY_FUZZ_TARGET, behind the entry point that libFuzzer calls. Built as everything
// else it replays files:
//
//     swift run understudy-fuzz TARGET FILE…
//
// A file that breaks an invariant ends the program with the trap's message; that is its only output but the count.

import Fuzzing

#if UNDERSTUDY_LIBFUZZER

    import Glibc

    private let target: FuzzTarget = {
        guard let value = unsafe getenv("UNDERSTUDY_FUZZ_TARGET"),
            let target = FuzzTarget.named(unsafe String(cString: value))
        else {
            fatalError("UNDERSTUDY_FUZZ_TARGET must be one of \(FuzzTarget.all.map(\.name).joined(separator: " "))")
        }
        return target
    }()

    /// What libFuzzer calls with each input.
    @_cdecl("LLVMFuzzerTestOneInput")
    public func testOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
        target.run(unsafe [UInt8](UnsafeBufferPointer(start: data, count: count)))
        return 0
    }

#else

    import Foundation

    @main
    enum UnderstudyFuzz {
        static func main() {
            let arguments = CommandLine.arguments.dropFirst()
            guard let name = arguments.first, let target = FuzzTarget.named(name), arguments.count > 1 else {
                print("usage: understudy-fuzz TARGET FILE…")
                for target in FuzzTarget.all { print("  \(target.name): \(target.summary)") }
                exit(2)
            }
            for path in arguments.dropFirst() {
                guard let data = FileManager.default.contents(atPath: path) else {
                    print("understudy-fuzz: \(path) cannot be read")
                    exit(2)
                }
                target.run([UInt8](data))
            }
            print("\(arguments.count - 1) files, nothing broken")
        }
    }

#endif
