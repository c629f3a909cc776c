// ServiceOrder puts the servers of an SRV answer into the order in which they are tried (RFC 2782): by priority, and
// among equals by chance in proportion to their weights.
//
// As the RFC words it: those of weight 0 first, a number from 0 to the sum of weights inclusive, and the first whose
// running sum reaches it; then again with the rest. So weight 0 keeps a small chance.

package enum ServiceOrder {
    package static func ordered(
        _ services: [DNSService], using random: inout some RandomNumberGenerator
    ) -> [DNSService] {
        var result: [DNSService] = []
        result.reserveCapacity(services.count)
        for priority in Set(services.map(\.priority)).sorted() {
            let equals = services.filter { $0.priority == priority }
            var pool = equals.filter { $0.weight == 0 } + equals.filter { $0.weight > 0 }
            while pool.count > 1 {
                let sum = pool.reduce(0) { $0 + UInt64($1.weight) }
                let number = UInt64.random(in: 0...sum, using: &random)
                var running: UInt64 = 0
                let index = pool.firstIndex { service in
                    running += UInt64(service.weight)
                    return running >= number
                }
                result.append(pool.remove(at: index ?? 0))
            }
            result += pool
        }
        return result
    }
}
