// Runs of a script one after the other, each of another transaction: they keep values, write tables, raise errors, exit
// and wait. Whatever of them stays in memory shows after a million (`understudy-bench flat`), and what stays in the Lua
// state after a hundred thousand, in the tests.

import Primitives
import Proxy
import Routes
import Scripting

package struct EndlessRuns {
    private static let script = #"""
        local seen = 0
        function ksr_request_route()
          seen = seen + 1
          KSR.pv.sets("$avp(number)", "n" .. seen)
          KSR.htable.sht_sets("ipban", "k" .. seen % 100, "v" .. seen)
          local texts = {}
          for i = 1, 20 do texts[i] = KSR.kx.get_srcip() .. i end
          KSR.pv.sets("$ru", "sip:u" .. seen .. "@10.0.0.9")
          KSR.hdr.append("X-Texts: " .. table.concat(texts, ", ") .. "\r\n")
          if seen % 7 == 0 then error("each seventh " .. seen) end
          if seen % 5 == 0 then KSR.x.exit() end
          if seen % 3 == 0 then KSR.cfgutils.usleep(1000) end
          KSR.tm.t_on_failure("failed" .. seen % 10)
          KSR.tm.t_relay()
        end
        """#

    private let judge = ScriptBenchmarks.judge(Array(script.utf8), at: Member.address(0))
    private var question = ScriptBenchmarks.question()
    private var now = Instant.zero
    /// Runs that came to a verdict, waited first, and failed.
    package private(set) var verdicts = 0
    package private(set) var waits = 0
    package private(set) var failures = 0

    package init() {}

    package mutating func run(_ count: Int) {
        for _ in 0..<count {
            now = now.advanced(milliseconds: 2)
            question.transaction += 1
            question.token += 1
            let time = RouteTime(microseconds: Int(now.nanoseconds / 1_000), now: now)
            if judge.judge(question, time) == nil { waits += 1 } else { verdicts += 1 }
            verdicts += judge.resume(time).count
            failures += judge.failures.count
            judge.failures.removeAll(keepingCapacity: true)
            judge.notes.removeAll(keepingCapacity: true)
            judge.acts.removeAll(keepingCapacity: true)
        }
    }

    /// Bytes of the Lua state.
    package var memory: Int { judge.memory }
    /// Transactions that something is kept for.
    package var transactionCount: Int { judge.transactionCount }
}
