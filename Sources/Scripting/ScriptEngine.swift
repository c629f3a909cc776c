// ScriptEngine runs the routes of a Lua script. One engine belongs to one SIP thread: it has one Lua state, a coroutine
// a run, and the RouteRun that the functions of the run work on.
//
//     run.begin(message, point) ──▶ start(route) ──▶ ended, exited, absent ──▶ run.plan
//                                        │
//                                        ├──▶ failed(ScriptError)
//                                        └──▶ waiting(token, milliseconds), asking(token, question)
//                                                 ── resume(token) ──▶ as above
//
// What a function of KSR throws becomes an error of the script with its file and line; no error of Lua's passes a frame
// of this file (CLua.h). A run that waits keeps its message and plan here, under its token.
//
// Limits, each counted: instructions and memory of a run (`ScriptLimits`), 1024 runs that wait; a further one fails.

internal import CLua
package import Routes

package struct ScriptLimits: Equatable, Sendable {
    /// Instructions of a run.
    package var steps = 1_000_000
    /// Bytes that a run may add, and of everything.
    package var runMemory = 8 << 20
    package var stateMemory = 64 << 20
    /// `pairs` goes in the order of its keys, and times are UTC: the same run gives the same trace.
    package var isReplayable = false

    package init() {}
}

package enum ScriptOutcome: Equatable, Sendable {
    case ended
    /// By `x.exit` or `x.drop`.
    case exited
    case waiting(UInt64, milliseconds: Int)
    /// Until a media relay has answered.
    case asking(UInt64, RouteRun.MediaQuestion)
    case failed(ScriptError)
    /// There is no function of that name.
    case absent
}

@safe package final class ScriptEngine {
    package static let waitingLimit = 1_024

    /// What is counted.
    package struct Counters: Equatable, Sendable {
        package var runs: UInt64 = 0
        package var errors: UInt64 = 0
        package var stepLimits: UInt64 = 0
        package var memoryLimits: UInt64 = 0
        package var waits: UInt64 = 0
    }

    @safe private struct Waiting {
        var handle: OpaquePointer
        var message: RouteRun
    }

    /// As errors name it.
    package let fileName: String
    /// Which script this is (`ScriptSource.version`).
    package let version: String
    private let state: OpaquePointer
    /// Asked for each response and each branch.
    private(set) var hasReplyRoute = false
    private(set) var hasOnsendRoute = false
    let host: ScriptHost
    private var waiting: [UInt64: Waiting] = [:]
    private var nextToken: UInt64 = 1
    package private(set) var counters = Counters()

    /// The run at hand: its message and point before it starts, its plan when it has ended.
    package var run: RouteRun {
        get { host.run }
        _modify { yield &host.run }
    }

    /// Loads a script: its functions are there, and what stands outside of them has run.
    package init(
        _ source: ScriptSource, limits: ScriptLimits, run: RouteRun
    ) throws(ScriptError) {
        fileName = source.main.name
        version = source.version
        host = ScriptHost(source, run, Library.functions(with: run.settings.modules))
        // The state is closed before the host goes, so the pointer is good for as long as it is used.
        let context = unsafe Unmanaged.passUnretained(host).toOpaque()
        let doors = unsafe clua_host(
            context: context, call: ScriptHost.call, ask: ScriptHost.ask, module: ScriptHost.module)
        let bounds = clua_limits(
            steps: Int64(limits.steps), run_memory: limits.runMemory, state_memory: limits.stateMemory,
            replayable: limits.isReplayable ? 1 : 0)
        guard let state = unsafe clua_open(doors, bounds) else {
            throw ScriptError(kind: .memory, file: source.main.name, line: 0, text: "not enough memory")
        }
        unsafe self.state = unsafe state
        unsafe host.state = unsafe state
        for (index, function) in host.functions.enumerated() {
            guard unsafe clua_define(state, function.name, Int32(index)) != 0 else {
                throw ScriptError(kind: .memory, file: source.main.name, line: 0, text: "not enough memory")
            }
        }
        try load(source)
    }

    deinit { unsafe clua_close(state) }

    private func load(_ source: ScriptSource) throws(ScriptError) {
        host.isLoading = true
        defer { host.isLoading = false }
        guard let fault = unsafe Self.load(source.main, compilesOnly: false, in: state) else {
            host.run.routeNames = Set(routeCandidates(source).filter { has($0) })
            hasReplyRoute = has(ScriptJudge.replyRoute)
            hasOnsendRoute = has(ScriptJudge.onsendRoute)
            return
        }
        throw fault
    }

    /// Names of functions that the files define, as they are written.
    private func routeCandidates(_ source: ScriptSource) -> [[UInt8]] {
        ([source.main] + source.modules.values).flatMap { KSRScanner($0).functions }
    }

    /// Compiles a file without running it.
    /// - Returns: what is wrong with it.
    package static func syntaxError(of file: ScriptSource.File) -> ScriptError? {
        let doors = unsafe clua_host(
            context: nil, call: ScriptHost.call, ask: ScriptHost.ask, module: ScriptHost.module)
        let bounds = clua_limits(steps: 1, run_memory: 64 << 20, state_memory: 64 << 20, replayable: 0)
        guard let state = unsafe clua_open(doors, bounds) else {
            return ScriptError(kind: .memory, file: file.name, line: 0, text: "not enough memory")
        }
        defer { unsafe clua_close(state) }
        return unsafe load(file, compilesOnly: true, in: state)
    }

    private static func load(
        _ file: ScriptSource.File, compilesOnly: Bool, in state: OpaquePointer
    ) -> ScriptError? {
        let outcome = unsafe file.text.withUnsafeBufferPointer { text in
            // An empty array has no address, and the call wants one.
            unsafe clua_load(
                state, text.baseAddress ?? UnsafePointer(bitPattern: 1)!, text.count, file.name, compilesOnly ? 1 : 0)
        }
        return outcome == CLUA_FAILED.asInt32 ? unsafe fault(in: state) : nil
    }

    package func has(_ route: [UInt8]) -> Bool {
        unsafe route.withUnsafeBufferPointer { name in
            guard let start = name.baseAddress else { return false }
            return unsafe clua_has(state, start, name.count) != 0
        }
    }

    /// Bytes that the state takes.
    package var memory: Int { unsafe clua_memory(state) }

    // MARK: Runs

    /// Calls a function of the script, with a text where it takes one.
    package func start(_ route: [UInt8], argument: [UInt8]? = nil) -> ScriptOutcome {
        counters.runs += 1
        var handle: OpaquePointer?
        let outcome = unsafe route.withUnsafeBufferPointer { name -> Int32 in
            guard let start = name.baseAddress else { return CLUA_ABSENT.asInt32 }
            guard let argument else { return unsafe clua_start(state, start, name.count, nil, 0, &handle) }
            return unsafe argument.withUnsafeBufferPointer { text in
                unsafe clua_start(
                    state, start, name.count, text.baseAddress ?? start, text.count, &handle)
            }
        }
        return unsafe finish(outcome, handle)
    }

    /// Goes on with a run that waited.
    /// - Parameter answer: What the function answers that the run waits in; `nil` where it waits on, for what `leaving`
    ///   says then.
    package func resume(
        _ token: UInt64, time: RouteTime? = nil,
        _ answer: (inout RouteRun) -> RouteValue? = { _ in .integer(1) }
    ) -> ScriptOutcome {
        guard var kept = waiting.removeValue(forKey: token) else { return .absent }
        // What the node remembers, and what it has lent, is of now. Swapped, since what two hold is copied at a write.
        swap(&kept.message.memory, &host.run.memory)
        swap(&kept.message.dialogs, &host.run.dialogs)
        swap(&kept.message.locations, &host.run.locations)
        swap(&kept.message.suspended, &host.run.suspended)
        // Chance goes on: what was drawn meanwhile is not drawn again.
        swap(&kept.message.chance, &host.run.chance)
        swap(&kept.message, &host.run)
        host.run.time = time ?? host.run.time
        guard let value = answer(&host.run) else { return unsafe wait(kept.handle) }
        unsafe clua_clear(state)
        host.put(value)
        return unsafe finish(clua_resume(state, kept.handle), kept.handle)
    }

    /// Gives a run up that waits.
    package func drop(_ token: UInt64) {
        guard let kept = waiting.removeValue(forKey: token) else { return }
        unsafe clua_drop(state, kept.handle)
    }

    package var waitingCount: Int { waiting.count }

    /// Goes on where another one was: what the node remembers, its chance, and what is counted.
    func inherit(from other: ScriptEngine) {
        swap(&host.run.memory, &other.host.run.memory)
        host.run.chance = other.host.run.chance
        host.run.suspended = other.host.run.suspended
        counters = other.counters
    }

    /// Exchanges what a node lends, and what it remembers, with an engine whose runs still wait.
    func exchangeLoan(with other: ScriptEngine) {
        swap(&host.run.memory, &other.host.run.memory)
        swap(&host.run.dialogs, &other.host.run.dialogs)
        swap(&host.run.locations, &other.host.run.locations)
        swap(&host.run.suspended, &other.host.run.suspended)
        swap(&host.run.chance, &other.host.run.chance)
        swap(&counters, &other.counters)
    }

    private func finish(_ outcome: Int32, _ handle: OpaquePointer?) -> ScriptOutcome {
        switch outcome {
        case CLUA_ENDED.asInt32: return .ended
        case CLUA_EXITED.asInt32: return .exited
        case CLUA_ABSENT.asInt32: return .absent
        case CLUA_WAITING.asInt32:
            guard let handle = unsafe handle else { return .absent }
            return unsafe wait(handle)
        default: return .failed(count(unsafe Self.fault(in: state)))
        }
    }

    private func wait(_ handle: OpaquePointer) -> ScriptOutcome {
        guard let leaving = host.run.leaving, waiting.count < Self.waitingLimit else {
            unsafe clua_drop(state, handle)
            let text = "more than \(Self.waitingLimit) runs would wait"
            return .failed(count(ScriptError(kind: .error, file: "", line: 0, text: text)))
        }
        host.run.leaving = nil
        counters.waits += 1
        let token = nextToken
        nextToken += 1
        waiting[token] = unsafe Waiting(handle: handle, message: host.run.parked())
        switch leaving {
        case .media(let question): return .asking(token, question)
        case .wait(let milliseconds): return .waiting(token, milliseconds: milliseconds)
        case .exit: return .waiting(token, milliseconds: 0)  // Never left this way (`ScriptHost.call`).
        }
    }

    private func count(_ fault: ScriptError) -> ScriptError {
        counters.errors += 1
        switch fault.kind {
        case .error: break
        case .steps: counters.stepLimits += 1
        case .memory: counters.memoryLimits += 1
        }
        return fault
    }

    private static func fault(in state: OpaquePointer) -> ScriptError {
        var file: UnsafePointer<CChar>?
        var (line, kind): (Int32, Int32) = (0, 0)
        let text = unsafe String(cString: clua_fault(state, &file, &line, &kind))
        let known: ScriptError.Kind =
            kind == CLUA_STEPS.asInt32 ? .steps : kind == CLUA_MEMORY.asInt32 ? .memory : .error
        return ScriptError(
            kind: known, file: unsafe file.map { unsafe String(cString: $0) } ?? "", line: Int(line), text: text)
    }
}
