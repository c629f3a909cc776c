// What every process of Prometheus' world tells of itself, under the names that it has everywhere.

import Foundation
import Glibc
import Node
import Transports

enum ProcessMetrics {
    static func reports() -> [MetricReport] {
        func gauge(_ name: String, _ help: String, _ value: Int64) -> MetricReport {
            MetricReport(name: "process_\(name)", help: help, kind: .gauge, value: value)
        }
        let cpu = MetricReport(
            name: "process_cpu_seconds_total", help: "CPU time of the process, user and system", kind: .counter,
            value: BootClock.processMicroseconds, divisor: 1_000_000)
        var reports = [cpu]
        if let sizes = words("/proc/self/statm"), sizes.count > 1, let all = Int64(sizes[0]),
            let resident = Int64(sizes[1])
        {
            let page = Int64(sysconf(Int32(_SC_PAGESIZE)))
            reports += [
                gauge("virtual_memory_bytes", "Virtual memory", all * page),
                gauge("resident_memory_bytes", "Memory that is resident", resident * page),
            ]
        }
        if let open = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            reports.append(gauge("open_fds", "Open file descriptors", Int64(open.count)))
        }
        reports.append(gauge("max_fds", "How many may be open", descriptorLimit))
        var start = gauge("start_time_seconds", "When the process began, in Unix time", startedAt)
        start.divisor = 1_000
        reports.append(start)
        return reports
    }

    private static let startedAt = BootClock.unixMilliseconds

    /// Call it when the process begins: that moment is told.
    static func begin() { _ = startedAt }

    private static var descriptorLimit: Int64 {
        var limit = rlimit()
        // Sound: the call fills the struct that it is lent.
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        return Int64(clamping: limit.rlim_cur)
    }

    private static func words(_ path: String) -> [Substring]? {
        (try? String(contentsOfFile: path, encoding: .utf8))?.split(separator: " ")
    }

    /// When each certificate of the configuration ends.
    static func certificates(_ settings: Settings) -> [MetricReport] {
        CertificateCheck.ends(settings).map { file, end in
            MetricReport(
                name: "understudy_certificate_not_after_seconds",
                help: "When the first certificate of a chain to end does, in Unix time", kind: .gauge,
                labels: [MetricReport.Label(name: "file", value: file)], value: end)
        }
    }
}
