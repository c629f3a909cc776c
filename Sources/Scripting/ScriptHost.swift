// ScriptHost is the other side of CLua's callbacks: it finds the function by its number, makes values of what the
// script gave, calls the core, and puts what that answered. It outlives the Lua state, which calls it by its address.

internal import CLua
internal import Primitives
internal import Routes

extension clua_value {
    fileprivate static func plain(_ kind: Int, _ integer: Int64 = 0) -> clua_value {
        unsafe clua_value(kind: Int32(kind), integer: integer, number: 0, text: nil, count: 0)
    }
}

extension Int {
    var asInt32: Int32 { Int32(truncatingIfNeeded: self) }
}

@safe final class ScriptHost {
    /// The run lies at an address of its own: what a class has is looked at by way of Swift's notes of who looks at
    /// what, and this is looked at several times for each function that a script calls. One engine belongs to one
    /// thread, and no function of the core calls a script, so nobody else looks at it meanwhile.
    private let runAddress: UnsafeMutablePointer<RouteRun>
    var run: RouteRun {
        _read { yield unsafe runAddress.pointee }
        _modify { yield unsafe &runAddress.pointee }
    }
    let functions: [KSRFunction]
    /// What a call looks at, by the function's number.
    private let doors: [Door]
    private let texts = KnownTexts()
    private let source: ScriptSource
    var state: OpaquePointer?
    var isLoading = false

    init(_ source: ScriptSource, _ run: RouteRun, _ functions: [KSRFunction]) {
        self.source = source
        unsafe runAddress = UnsafeMutablePointer.allocate(capacity: 1)
        unsafe runAddress.initialize(to: run)
        self.functions = functions
        doors = functions.map { Door(body: $0.body, takesNothing: $0.parameters.isEmpty, isLog: $0.isLog) }
    }

    deinit {
        unsafe runAddress.deinitialize(count: 1)
        unsafe runAddress.deallocate()
    }

    private struct Door {
        let body: KSRFunction.Body
        let takesNothing: Bool
        let isLog: Bool
    }

    private static func host(_ context: UnsafeMutableRawPointer?) -> ScriptHost? {
        unsafe context.map { unsafe Unmanaged<ScriptHost>.fromOpaque($0).takeUnretainedValue() }
    }

    // MARK: Callbacks

    static let call:
        @convention(c) (
            UnsafeMutableRawPointer?, OpaquePointer, Int32, UnsafePointer<clua_value>, Int32
        ) -> Int32 = { context, handle, function, arguments, count in
            guard let context = unsafe context else { return CLUA_DONE.asInt32 }
            // It outlives the state that calls: nobody needs to hold it for as long as that takes.
            return unsafe Unmanaged<ScriptHost>.fromOpaque(context)._withUnsafeGuaranteedRef { host in
                unsafe host.call(Int(function), KSRArguments(lent: arguments, Int(count), host.texts), handle)
            }
        }

    static let ask: @convention(c) (UnsafeMutableRawPointer?, Int32) -> Int64 = { context, what in
        guard let host = unsafe ScriptHost.host(context) else { return 0 }
        switch what {
        case CLUA_UNIX_SECONDS.asInt32: return Int64(host.run.time.seconds)
        case CLUA_NANOSECONDS.asInt32: return host.run.time.now.nanoseconds
        default: return Int64(bitPattern: host.run.chance.next())
        }
    }

    static let module: @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<UInt8>, Int) -> Int32 = {
        context, name, count in
        guard let host = unsafe ScriptHost.host(context) else { return 0 }
        let text = unsafe String(decoding: UnsafeBufferPointer(start: name, count: count), as: UTF8.self)
        guard let file = host.source.modules[text] else { return 0 }
        host.put(.text(file.text))
        host.put(.text(Array(file.name.utf8)))
        return 1
    }

    // MARK: Values

    func put(_ value: RouteValue) {
        guard let state = unsafe state else { return }
        switch value {
        case .nothing: unsafe clua_put(state, .plain(CLUA_BOOLEAN))
        case .null: unsafe clua_put(state, .plain(CLUA_NIL))
        case .integer(let number): unsafe clua_put(state, .plain(CLUA_INTEGER, Int64(number)))
        case .flag(let flag): unsafe clua_put(state, .plain(CLUA_BOOLEAN, flag ? 1 : 0))
        case .text(let bytes):
            unsafe bytes.withUnsafeBufferPointer { text in
                unsafe clua_put(
                    state,
                    clua_value(
                        kind: Int32(CLUA_TEXT), integer: 0, number: 0, text: text.baseAddress, count: text.count))
            }
        case .table(let entries):
            unsafe clua_put(state, .plain(CLUA_TABLE))
            for entry in entries {
                put(entry.key)
                put(entry.value)
            }
            unsafe clua_put(state, .plain(CLUA_END))
        }
    }

    // MARK: Calls

    private func call(_ index: Int, _ given: KSRArguments, _ handle: OpaquePointer) -> Int32 {
        guard doors.indices.contains(index) else { return CLUA_DONE.asInt32 }
        guard !isLoading else {
            run.note(.error, "KSR.\(functions[index].name) has no message to work on while the script is loaded")
            put(.flag(false))
            return CLUA_DONE.asInt32
        }
        do throws(RouteFault) {
            let (value, answer) = unsafe try go(through: doors[index], index, &run, given, handle)
            if answer == CLUA_DONE.asInt32 { put(value) }
            return answer
        } catch {
            put(.text(Array("KSR.\(functions[index].name): \(error.text)".utf8)))
            return CLUA_RAISE.asInt32
        }
    }

    /// The run is given once: each look at what a class has is looked at by Swift.
    private func go(
        through door: Door, _ index: Int, _ run: inout RouteRun, _ given: KSRArguments, _ handle: OpaquePointer
    ) throws(RouteFault) -> (RouteValue, Int32) {
        let noteCount = run.notes.count
        let value =
            given.isEmpty == door.takesNothing
            ? try door.body(&run, given) : try functions[index].call(&run, given)
        if run.notes.count > noteCount, !door.isLog {
            for index in noteCount..<run.notes.count { unsafe run.notes[index].text += place(handle) }
        }
        switch run.leaving {
        case nil: return (value, CLUA_DONE.asInt32)
        case .exit:
            run.leaving = nil
            return (value, CLUA_EXIT.asInt32)
        case .wait, .media: return (value, CLUA_WAIT.asInt32)
        }
    }

    /// ` (route.lua:12)`, behind what a function has to say of how it was called.
    private func place(_ handle: OpaquePointer) -> [UInt8] {
        var line: Int32 = 0
        let file = unsafe String(cString: clua_where(handle, &line))
        return line > 0 ? Array(" (\(file):\(line))".utf8) : []
    }
}
