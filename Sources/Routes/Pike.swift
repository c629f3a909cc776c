// Pike counts the requests of each source and says which sends too many (the module of that name): more than `density`
// within two windows of `window` block a source until it has been below that for a whole window.
//
// A balancer is never counted: everybody comes from its address. Limits: 65 536 sources; when they are all in use, one
// that is not known yet is not counted. Those that have gone are looked for once a window: under a flood from more
// addresses than that, each packet of a new one would walk them all.

package import Primitives
package import SIP

package struct PikeSettings: Equatable, Sendable {
    /// `pike.sampling_time_unit`, seconds.
    package var window: Duration = .seconds(2)
    /// `pike.reqs_density_per_unit`: requests in a window.
    package var density = 30

    package init() {}
}

package struct Pike: Sendable {
    package static let sourceLimit = 65_536

    private struct Source: Sendable {
        var began: Instant
        var before = 0
        var count = 0
        var isBlocked = false
    }

    package var settings: PikeSettings
    private var sources: [Address: Source] = [:]
    private var nextSweep = Instant(nanoseconds: .min)

    package init(_ settings: PikeSettings) { self.settings = settings }

    package enum Answer: Int, Sendable {
        case fine = 1
        case justBlocked = -2
        case blocked = -1
    }

    package mutating func check(_ address: Address, at now: Instant) -> Answer {
        var source = sources[address] ?? Source(began: now)
        if sources[address] == nil, sources.count >= Self.sourceLimit {
            guard now >= nextSweep else { return .fine }
            nextSweep = now.advanced(by: settings.window)
            let oldest = now.advanced(by: settings.window * -2)
            sources = sources.filter { $0.value.began > oldest }
            guard sources.count < Self.sourceLimit else { return .fine }
        }
        if now >= source.began.advanced(by: settings.window * 2) {
            source = Source(began: now, isBlocked: source.isBlocked && source.count > settings.density)
        } else if now >= source.began.advanced(by: settings.window) {
            source.began = source.began.advanced(by: settings.window)
            if source.count <= settings.density { source.isBlocked = false }
            source.before = source.count
            source.count = 0
        }
        source.count += 1
        let isOver = source.count > settings.density || (source.count + source.before) / 2 > settings.density
        let wasBlocked = source.isBlocked
        source.isBlocked = wasBlocked || isOver
        sources[address] = source
        return source.isBlocked ? wasBlocked ? .blocked : .justBlocked : .fine
    }
}
