// KSRFunction is one function that scripts may call: its name without `KSR.`, what it takes and answers, and the line
// of the core that does it. `script check`, the test of coverage and the table of the manual are made from these lines.
//
// The rules of calling are the module's: parameters may be missing or too many, a number is taken as text and text as a
// number, what is nil is empty; but none at all where some are wanted, or any where none is, answers `false` and is
// logged.

package import Routes

package struct KSRFunction: Sendable {
    package enum Parameter: String, Sendable { case text = "str", number = "int" }
    package enum Result: String, Sendable { case nothing = "none", flag = "bool", number = "int", value = "xval" }

    package typealias Body = @Sendable (inout RouteRun, KSRArguments) throws(RouteFault) -> RouteValue

    /// Without `KSR.`: `info`, `hdr.append`.
    package let name: String
    package let result: Result
    package let parameters: [Parameter]
    /// What stands before the dot; empty for KSR's own.
    package let module: String
    /// What it writes into the log is the script's own words.
    package let isLog: Bool
    let body: Body

    init(_ name: String, _ result: Result, _ parameters: Parameter..., body: @escaping Body) {
        self.init(name, result, parameters, body: body)
    }

    /// A question: 1, or -1.
    static func asks(
        _ name: String, _ parameters: Parameter...,
        body: @escaping @Sendable (inout RouteRun, KSRArguments) throws(RouteFault) -> Bool
    ) -> KSRFunction {
        KSRFunction(name, .number, parameters) { (run, given) throws(RouteFault) in
            .answer(try body(&run, given))
        }
    }

    /// Something that is true or false.
    static func tells(
        _ name: String, _ parameters: Parameter...,
        body: @escaping @Sendable (inout RouteRun, KSRArguments) throws(RouteFault) -> Bool
    ) -> KSRFunction {
        KSRFunction(name, .flag, parameters) { (run, given) throws(RouteFault) in .flag(try body(&run, given)) }
    }

    private init(_ name: String, _ result: Result, _ parameters: [Parameter], body: @escaping Body) {
        self.name = name
        self.result = result
        self.parameters = parameters
        self.body = body
        module = name.contains(".") ? String(name.prefix { $0 != "." }) : ""
        isLog = module == "xlog" || (module.isEmpty && result == .nothing)
    }

    /// Calls it as the rules say.
    package func call(_ run: inout RouteRun, _ given: KSRArguments) throws(RouteFault) -> RouteValue {
        guard given.isEmpty == parameters.isEmpty else {
            let what = given.isEmpty ? "invalid number of parameters" : "invalid parameters"
            run.note(.error, "\(what) for: \(name)")
            return .flag(false)
        }
        return try body(&run, given)
    }
}

package enum Library {
    /// In the order of their names.
    package static let functions: [KSRFunction] =
        (own + messages + headers + answers + variables + places + dialogs + registrar + mediaRelays).sorted {
            $0.name < $1.name
        }

    /// Modules whose functions are there only when `script.modules` names them, since scripts ask whether they are.
    package static let optionalModules: Set<String> = ["auth", "auth_db", "nathelper", "permissions", "rtpengine"]

    /// The functions of a node.
    package static func functions(with modules: Set<String>) -> [KSRFunction] {
        functions.filter { !optionalModules.contains($0.module) || modules.contains($0.module) }
    }
}
