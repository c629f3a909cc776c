// What is refused when there is too much, and what is not: emergency calls go last.
//
//   over limits.*            ordinary requests that begin something get 503; emergency calls are not counted
//   behind (OverloadDetector)   the same
//   table nearly full        ordinary calls get 503 while `limits.emergency-reserve` is left; emergency calls use it
//   draining, nobody else    ordinary calls get 503; emergency calls are served
//
// An emergency call is one whose Request-URI is `urn:service:sos` or below it (RFC 5031 §4.2), or whose first matching
// route says `emergency: true`. Anybody may claim it: who lets anybody in and fears that names sources in the route.

import Dialogs
import Primitives
import SIP

extension Proxy {
    func isEmergency(_ plan: RequestPlan) -> Bool {
        if message.namesEmergencyService { return true }
        guard settings.hasEmergencyRoutes else { return false }
        return settings.routes.first { matches($0, plan) }?.isEmergency ?? false
    }

    /// Whether a request that would begin something is refused, since this node cannot keep up.
    func isShed(_ plan: RequestPlan) -> Bool {
        overload.isOverloaded(now) && !plan.isEmergency && plan.relay == nil && message.method != .bye
    }

    /// There is no room for a further dialog or its transaction.
    func isFull(for plan: RequestPlan, _ dialogs: DialogTable) -> Bool {
        let percent = plan.isEmergency ? 0 : settings.limits.emergencyReserve
        let reserve = settings.contextLimit * percent / 100
        return dialogs.isFull(leaving: percent) || contexts.count >= settings.contextLimit - reserve
    }
}
