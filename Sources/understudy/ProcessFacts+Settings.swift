// What `core.version`, `core.psx` and `corex.list_sockets` tell of this process.

import Glibc
import Management
import Node
import SIP
import Scripting

extension ProcessFacts {
    init(_ settings: Settings) {
        self.init()
        version = "understudy \(Build.version) (\(Self.machine))"
        processID = getpid()
        showsDefects = settings.management.compatibility == .kamailio56
        dumpFolder = settings.management.dumpFolder
        if !settings.script.lua.isEmpty {
            let modules = Set(settings.script.modules.map(\.rawValue))
            scriptFunctions = Library.functions(with: modules).map { function in
                ScriptFunction(
                    module: function.module, name: String(function.name.split(separator: ".").last ?? ""),
                    result: function.result.rawValue,
                    parameters: function.parameters.map(\.rawValue).joined(separator: ", "))
            }
        }
        sockets = settings.sip.listen.map { endpoint in
            let name = settings.sip.advertise.first { $0.transport == endpoint.transport }
            return Socket(
                transport: endpoint.transport.configuredName, address: endpoint.address.text, port: endpoint.port,
                advertised: name?.text ?? "")
        }
    }

    /// `x86_64/linux`
    private static var machine: String {
        #if arch(x86_64)
            "x86_64/linux"
        #elseif arch(arm64)
            "aarch64/linux"
        #else
            "linux"
        #endif
    }
}
