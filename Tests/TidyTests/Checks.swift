// What the house asks of a source file (STYLE: arrows, purity, sizes, comments), each rule as a function from a file to
// its complaints, so that a test can show that the rule bites.

enum Checks {
    /// The pure machines: they import each other and nothing else.
    static let core: Set<String> = ["Primitives", "SIP", "Dialogs", "Proxy", "Routes", "Cluster", "Node"]

    /// The arrows: who may import whom. What is not listed here may import nothing.
    static let arrows: [String: Set<String>] = [
        "Primitives": [],
        "SIP": ["Primitives"],
        "Dialogs": ["Primitives", "SIP"],
        "Proxy": ["Primitives", "SIP", "Dialogs"],
        "Routes": ["Primitives", "SIP", "Dialogs"],
        "Cluster": ["Primitives"],
        "Node": ["Primitives", "SIP", "Dialogs", "Proxy", "Routes", "Cluster"],
        "Nanomsg": ["CNanomsg", "CSockets", "Glibc", "Synchronization"],
        "Sealing": ["Primitives", "Cluster", "Nanomsg", "Crypto", "Foundation", "Synchronization"],
        "Transports": [
            "Primitives", "SIP", "Node", "Nanomsg", "CSockets", "CCares", "NIOCore", "NIOPosix", "NIOTLS", "NIOSSL",
            "NIOHTTP1", "NIOWebSocket", "Glibc", "Synchronization",
        ],
        "Management": [
            "Primitives", "SIP", "Dialogs", "Cluster", "Node", "CSockets", "Hummingbird", "HTTPTypes", "NIOCore",
            "NIOPosix",
            "HummingbirdTLS", "NIOHTTP1", "NIOSSL", "Logging", "Yams", "Foundation", "FoundationEssentials", "Glibc",
            "Synchronization",
        ],
        "Storage": [
            "Dialogs", "Node", "Nanomsg", "GRDB", "CPostgres", "CSockets", "Foundation", "Glibc", "Synchronization",
        ],
        "Scripting": ["Primitives", "SIP", "Dialogs", "Proxy", "Node", "Routes", "CLua"],
        "Callbacks": [
            "Primitives", "Dialogs", "Proxy", "Node", "Nanomsg", "Transports", "Glibc", "Synchronization",
        ],
        "understudy-records": [
            "Primitives", "SIP", "Dialogs", "Proxy", "Cluster", "Node", "Nanomsg", "Sealing", "Transports",
            "Management", "Callbacks", "ArgumentParser", "Foundation", "Glibc", "Synchronization", "Dispatch",
        ],
        "Simulator": ["Primitives", "SIP", "Dialogs", "Proxy", "Cluster", "Routes", "Node", "Scripting"],
        "understudy": [
            "Primitives", "SIP", "Dialogs", "Cluster", "Node", "Nanomsg", "Sealing", "Transports", "Management",
            "Proxy", "Routes", "Scripting", "Callbacks", "Storage", "ArgumentParser", "Crypto", "Logging", "Foundation",
            "FoundationEssentials", "Glibc", "Synchronization", "Dispatch",
        ],
        "understudy-sim": [
            "Primitives", "Simulator", "ArgumentParser", "Foundation", "FoundationEssentials", "Glibc",
            "Synchronization",
        ],
        "Checkout": ["Foundation", "PackagePlugin"],
        "Fuzzing": ["Primitives", "SIP", "Dialogs", "Proxy", "Cluster", "Node"],
        "Benchmarks": ["Primitives", "SIP", "Dialogs", "Proxy", "Cluster", "Routes", "Node", "Scripting"],
        "understudy-bench": ["Benchmarks", "CAllocations", "Sealing", "Glibc"],
        "understudy-fuzz": ["Fuzzing", "Foundation", "Glibc"],
    ]

    static func imports(in file: SourceFile) -> [(line: Int, module: String)] {
        let pattern =
            #/
            ^\s*(?:@\w+(?:\([^)]*\))?\s+)*
            (?:(?:package|public|internal|fileprivate|private)\s+)?
            import\s+
            (?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?
            (\w+)
            /#
        return lines(of: CodeText.code(of: file.text)).compactMap { number, line in
            line.firstMatch(of: pattern).map { (number, String($0.1)) }
        }
    }

    /// A module imports only what its arrows point at.
    static func wrongImports(_ file: SourceFile) -> [Complaint] {
        guard file.path.hasPrefix("Sources/") else { return [] }
        let allowed = arrows[file.module] ?? []
        return imports(in: file).filter { !allowed.contains($0.module) }.map {
            Complaint(path: file.path, line: $0.line, text: "\(file.module) may not import \($0.module)")
        }
    }

    /// The one file of the core that turns borrowed memory into bytes, and the one that switches mechanisms off, of
    /// which nothing is in any build but one for mutation tests.
    static let unsafeWrappers: Set = ["Sources/Primitives/RawSpanBytes.swift", "Sources/Primitives/Mutant.swift"]

    /// The core has no clock, hidden chance, task, lock, output or unsafe memory.
    static func impurities(_ file: SourceFile) -> [Complaint] {
        guard file.path.hasPrefix("Sources/"), core.contains(file.module) else { return [] }
        return banned(in: file).filter { !unsafeWrappers.contains(file.path) || !$0.text.hasSuffix(unsafeMemory) }
    }

    private static let unsafeMemory = "unsafe memory: it lives in the wrappers"

    static func banned(in file: SourceFile) -> [Complaint] {
        var complaints: [Complaint] = []
        // Swift's own word boundaries are Unicode's: there is none before the dot of `ContinuousClock.now`.
        let all = patterns().map { ($0.0.wordBoundaryKind(.simple), $0.1) }
        for (number, line) in lines(of: CodeText.code(of: file.text)) {
            for (pattern, what) in all where line.firstMatch(of: pattern) != nil {
                complaints.append(Complaint(path: file.path, line: number, text: "the core has no \(what)"))
            }
        }
        return complaints
    }

    /// A function, because a `Regex` may not be shared between tasks.
    private static func patterns() -> [(Regex<Substring>, String)] {
        [
            (/\b(?:ContinuousClock|SuspendingClock|clock_gettime|DispatchTime|Date)\b/, "clock: time is an argument"),
            (/\bSystemRandomNumberGenerator\b/, "hidden chance: pass a generator"),
            (/\.random\(in:(?!.*using:)/, "hidden chance: random(in:using:)"),
            (/\.(?:randomElement|shuffled|shuffle)\(\)/, "hidden chance: pass a generator"),
            (/\bTask(?:Group)?\s*(?:\{|\(|\.|<)/, "task"),
            (/\bawait\b/, "await"),
            (/^\s*(?:(?:package|public|final|private)\s+)*actor\s+[A-Z]/, "actor: one owner per piece of state"),
            (/\b(?:Mutex|NSLock|Atomic)\s*[<(]/, "lock"),
            (/(?:^|[^.\w])(?:print|debugPrint|dump)\(/, "output: a shell writes the logs"),
            (/\bunsafe\b/, unsafeMemory),
        ]
    }

    static let lineLimit = 120
    static let fileLimit = 500
    static let functionLimit = 70

    /// A file has at most 500 lines of at most 120 columns and opens with a comment.
    static func shape(_ file: SourceFile) -> [Complaint] {
        var complaints: [Complaint] = []
        let all = lines(of: file.text)
        if all.count > fileLimit {
            complaints.append(Complaint(path: file.path, line: 0, text: "\(all.count) lines; \(fileLimit) at most"))
        }
        for (number, line) in all where line.count > lineLimit {
            complaints.append(
                Complaint(path: file.path, line: number, text: "\(line.count) columns; \(lineLimit) at most"))
        }
        let first = all.first { !$0.text.allSatisfy(\.isWhitespace) }?.text ?? ""
        if !first.hasPrefix("//"), !first.hasPrefix("/*") {
            complaints.append(Complaint(path: file.path, line: 1, text: "begins without a comment on what it is for"))
        }
        return complaints
    }

    /// Unfinished work names the issue that will finish it.
    static func unownedTasks(_ file: SourceFile) -> [Complaint] {
        // Spelled in two halves: this file is checked too.
        let marks = ["TO" + "DO", "FIX" + "ME", "XX" + "X"]
        return lines(of: file.text).flatMap { number, line in
            marks.filter { mark in
                guard let found = line.firstRange(of: mark) else { return false }
                return line[found.upperBound...].prefixMatch(of: /\(#\d+\):/) == nil
            }.map { Complaint(path: file.path, line: number, text: "\($0) without an issue: \($0)(#12):") }
        }
    }

    /// Paths of the machine that it was written on.
    static func machinePaths(_ file: SourceFile) -> [Complaint] {
        let paths = ["/wo" + "rk/main", "/wo" + "rk/shared", "/tmp/i" + "fc"]
        return lines(of: file.text).flatMap { number, line in
            paths.filter { line.contains($0) }.map {
                Complaint(path: file.path, line: number, text: "names a path of one machine, \($0)")
            }
        }
    }

    /// Lines of a text with their numbers, from 1; the newline at the end of a file opens no further one.
    static func lines(of text: String) -> [(number: Int, text: Substring)] {
        var parts = text.split(separator: "\n", omittingEmptySubsequences: false)
        if parts.last?.isEmpty == true { parts.removeLast() }
        return parts.enumerated().map { ($0.offset + 1, $0.element) }
    }
}
