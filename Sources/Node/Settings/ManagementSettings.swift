// `management`: where operators and probes come in (DESIGN §7, §10).

package import SIP

package struct ManagementSettings: Equatable, Sendable {
    /// `management.http`, `ADDRESS:PORT`; default none: no management at all.
    package var http: Endpoint?
    /// `management.token-file`, a file whose first line is the bearer token, at least 16 characters; required unless
    /// `management.http` is a loopback address.
    package var tokenFile = ""
    /// What that file holds; read by the loader.
    package var token = Secret([])
    /// `management.fault_injection`, default false: adds `fault.forget`, `fault.pause_bus` and `fault.skew`; refused
    /// unless `management.http` is a loopback address.
    package var allowsFaultInjection = false

    package init() {}

    package static let tokenMinimum = 16

    package func problems() -> [SettingProblem] {
        var list = ProblemList()
        let isLoopback = http?.address.isLoopback ?? true
        if !isLoopback, tokenFile.isEmpty {
            list.add("management.token-file", "is required unless management.http is a loopback address")
        }
        if !tokenFile.isEmpty, token.bytes.count < Self.tokenMinimum {
            list.add(
                "management.token-file",
                "\(tokenFile) holds a token of \(token.bytes.count) characters; at least \(Self.tokenMinimum)")
        }
        if allowsFaultInjection, !isLoopback {
            list.add("management.fault_injection", "is refused unless management.http is a loopback address")
        }
        if allowsFaultInjection, http == nil {
            list.add("management.fault_injection", "needs management.http, where its methods are served")
        }
        return list.problems
    }
}
