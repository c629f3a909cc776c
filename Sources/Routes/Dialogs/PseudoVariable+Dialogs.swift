// The pseudo-variables of dialogs: `$dlg(…)`, `$dlg_ctx(…)`, `$dlg_var(…)` and the three without an argument. Outside
// of a dialog all are null but `$DLG_count`, which is the cluster's answered dialogs.

internal import Dialogs
internal import Primitives
internal import SIP

/// What a run says of its dialog before that begins.
enum DialogContextField: String, CaseIterable, Sendable {
    case isOn = "on"
    case flags
    case timeout
    case timeoutBye = "timeout_bye"
    case timeoutRoute = "timeout_route"
    case timeoutRouteID = "timeout_route_id"
    case isSet = "set"
    case direction = "dir"
}

extension PseudoVariable {
    static let dialogNames: [Name] = [
        Name("DLG_count") { run in
            .integer(run.dialogs.count(in: .confirmedNotAcknowledged) + run.dialogs.count(in: .confirmed))
        },
        Name("DLG_status") { run in
            run.dialog.did.flatMap { run.dialogs.state($0) }.map { .integer(Int($0.rawValue)) } ?? .null
        },
        Name("DLG_lifetime") { run in
            run.dialog.did.flatMap { run.dialogs.secondsSinceAnswer($0, now: run.time.now) }.map { .integer($0) }
                ?? .null
        },
    ]

    static func value(of field: DialogField, in run: RouteRun) -> RouteValue {
        guard let did = run.dialog.did else { return .null }
        switch field {
        // What this run has said counts.
        case .scriptFlags: return .integer(Int(run.dialogFlags))
        case .timeoutRoute: return run.dialogTimeoutRoute
        default: break
        }
        let lifetime = Int(run.settings.dialogLifetime.wholeMilliseconds / 1_000)
        switch run.dialogs.value(of: field, did, defaultLifetime: lifetime) {
        case .number(let number): return .integer(number)
        case .text(let text): return .text(text)
        case nil: return .null
        }
    }

    static func value(of field: DialogContextField, in run: RouteRun) -> RouteValue {
        let subject = run.dialog
        switch field {
        case .isOn: return .integer(run.isDialogKnown ? 1 : 0)
        case .flags: return .integer(Int(run.dialogFlags))
        case .timeout: return .integer(run.plan.dialogs.lifetimes.last { $0.did == subject.did }?.seconds ?? 0)
        // A dialog whose time is up always gets its BYEs.
        case .timeoutBye: return .integer(1)
        case .timeoutRoute: return run.dialogTimeoutRoute
        case .timeoutRouteID: return .integer(0)
        case .isSet: return .integer(subject.did == nil ? 0 : 1)
        case .direction:
            guard let isUpstream = run.goesUpstream else { return .integer(subject == .coming ? 1 : 0) }
            return .integer(isUpstream ? 2 : 1)
        }
    }

    static func write(_ value: RouteValue, to field: DialogContextField, of run: inout RouteRun) -> Bool {
        let subject = run.dialog
        switch field {
        case .flags:
            let wanted = UInt32(truncatingIfNeeded: value.number)
            for flag in 0..<32 where (wanted ^ run.dialogFlags) >> UInt32(flag) & 1 != 0 {
                guard run.setDialogFlag(flag, wanted >> UInt32(flag) & 1 != 0) else { return false }
            }
            return true
        case .timeout: return run.setDialogTimeout(value.number, of: subject)
        case .timeoutBye: return true
        case .timeoutRoute:
            let name = value.isNull || value.bytes.isEmpty ? nil : value.bytes
            return run.write(.word(.timeoutRoute, name), to: subject)
        case .isOn, .timeoutRouteID, .isSet, .direction: return false
        }
    }
}
