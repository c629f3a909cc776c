// What the registrar counts, without a script or in one.

import Dialogs

extension Node {
    func registrarMetrics() -> [MetricReport] {
        func registrations(_ result: String, _ count: UInt64) -> MetricReport {
            MetricReport(
                name: "understudy_registrations_total",
                help: "REGISTERs that this node's registrar answered, by result",
                kind: .counter, labels: [.init(name: "result", value: result)], value: Int64(clamping: count))
        }
        let locations = store.locations.counters
        return [
            registrations("accepted", counters.registrationsAccepted),
            registrations("challenged", counters.registrationsChallenged),
            registrations("refused", counters.registrationsRefused),
            counter("contacts_expired", "Contacts whose time was over, and what was kept of others", locations.expired),
            counter(
                "contacts_expired_untold", "Contacts whose end the script was not told of, more ended at once",
                locations.untold),
            counter(
                "contacts_refused_limit",
                "Addresses refused at registrar.limit, and contacts that their record had no room for",
                locations.refusedAtLimit),
            counter("contacts_refused_malformed", "Records of contacts that could not be read", locations.malformed),
            gauge("addresses", "Addresses whose contacts are held, wherever they registered", store.locations.count),
            gauge(
                "contacts", "Contacts held, and what is kept of those that were taken back or renewed",
                store.locations.entryCount),
        ]
    }

    /// What became of a REGISTER.
    mutating func noteRegistration(status: Int) {
        switch status {
        case 200..<300: counters.registrationsAccepted += 1
        case 401: counters.registrationsChallenged += 1
        default: counters.registrationsRefused += 1
        }
    }
}
