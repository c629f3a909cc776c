// `t_suspend` and `t_continue` of the module tmx: a request is put aside, and another run, of whatever message, says
// when a route goes on with it. What it is named by are two numbers, `$T(id_index)` and `$T(id_label)`.
//
// A request waits on the node that suspended it, for as long as its sender does (64·T1), and then gets 500. A CANCEL
// ends it meanwhile. Limit: `SuspendedRequests.limit` at once.

internal import SIP

/// The requests that runs have put aside, by the number of their transaction.
package struct SuspendedRequests: Equatable, Sendable {
    package static let limit = 1_024

    package private(set) var numbers: Set<UInt64> = []

    package mutating func insert(_ number: UInt64) { numbers.insert(number) }
    package mutating func remove(_ number: UInt64) { numbers.remove(number) }

    /// - Returns: `nil` for what is none.
    static func number(index: Int, label: Int) -> UInt64? {
        guard let index = UInt32(exactly: index), let label = UInt32(exactly: label) else { return nil }
        return UInt64(label) << 32 | UInt64(index)
    }
}

extension RoutePoint {
    /// The transaction, as `$T` names it; 0 for none.
    package var transaction: UInt64 {
        get { UInt64(label) << 32 | UInt64(index) }
        set {
            index = Int(newValue & 0xffff_ffff)
            label = Int(newValue >> 32)
        }
    }
}

extension RouteRun {
    /// `t_suspend`: the request gets no verdict when the run ends.
    package mutating func suspend() -> Bool {
        guard point.kind == .request, point.transaction != 0, plan.verdict == .ended, message.isRequest,
            suspended.numbers.count < SuspendedRequests.limit
        else { return false }
        plan.isSuspended = true
        return true
    }

    /// `t_continue`: a route goes on with a request that was suspended, after this run.
    package mutating func continueRequest(_ index: Int, _ label: Int, _ route: [UInt8]) -> Bool {
        guard let number = SuspendedRequests.number(index: index, label: label),
            suspended.numbers.contains(number), routeNames.contains(route)
        else { return false }
        suspended.remove(number)
        plan.continuations.append(RoutePlan.Continuation(transaction: number, route: route))
        return true
    }
}
