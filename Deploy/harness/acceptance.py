#!/usr/bin/env python3
"""usage: acceptance NAME... | all [--quick] | --list

Runs the project's acceptance against real processes: nodes, Kamailio, telephones. Each case starts a cluster of its
own on 127.0.77.0/24, prints the figures it saw and PASS or FAIL, is bounded in time, and stops what it started.
--quick: smaller numbers, ten to thirty seconds a case. A case whose foreign program is not installed is skipped, and
says which. Exit 0 when no case failed, 1 when one did, 2 on a usage error.
"""

import argparse
import signal
import sys
import traceback

sys.dont_write_bytecode = True

import cases_address
import cases_balancers
import cases_calls
import cases_cluster
import cases_corners
import cases_drain
import cases_facts
import cases_flood
import cases_hosts
import cases_hunting
import cases_image
import cases_init
import cases_lossy
import cases_manners
import cases_moving
import cases_media
import cases_operator
import cases_package
import cases_peers
import cases_reference
import cases_registrar
import cases_reload
import cases_requests
import cases_robust
import cases_script
import cases_seal
import cases_services
import cases_storage
import cases_tools
import cases_trace
from cluster import Failure, note, unblock_signals
from loop import now
from peerstage import Absent
from stage import Report, time_limit

# name, function, limit in seconds, limit with --quick
CASES = [
    ("expiry-kill-3", cases_calls.expiry_kill_3, 120, 60),
    ("expiry-kill-2", cases_calls.expiry_kill_2, 120, 60),
    ("expiry-3", cases_calls.expiry_3, 120, 60),
    ("expiry-2", cases_calls.expiry_2, 120, 60),
    ("kill-under-load", cases_calls.kill_under_load, 480, 120),
    ("thirty-kills", cases_calls.thirty_kills, 600, 120),
    ("in-dialog-after-kill", cases_calls.in_dialog_after_kill, 120, 90),
    ("random-relay", cases_cluster.random_relay, 180, 120),
    ("late-ack", cases_calls.late_ack, 120, 90),
    ("killed-while-ringing", cases_calls.killed_while_ringing, 90, 60),
    ("moved-address", cases_address.moved_address, 90, 60),
    ("reinvite-owner-killed", cases_calls.reinvite_owner_killed, 90, 60),
    ("cut-off", cases_cluster.cut_off, 180, 90),
    ("forget", cases_cluster.forget, 90, 60),
    ("lossy-bus", cases_lossy.lossy_bus, 180, 90),
    ("lossy-network", cases_lossy.lossy_network, 180, 90),
    ("stopped", cases_lossy.stopped, 180, 60),
    ("two-apart", cases_lossy.two_apart, 240, 90),
    ("rolling", cases_lossy.rolling, 180, 90),
    ("versions", cases_lossy.versions, 240, 90),
    ("comparing", cases_lossy.comparing, 180, 60),
    ("restart", cases_cluster.restart, 300, 120),
    ("detection", cases_cluster.detection, 240, 90),
    ("soak", cases_cluster.soak, 780, 120),
    ("killed-all", cases_storage.killed_all, 180, 90),
    ("expired-all", cases_storage.expired_all, 120, 60),
    ("clocks-set", cases_storage.clocks_set, 90, 60),
    ("stored", cases_storage.written, 90, 60),
    ("killed-all-postgres", cases_storage.killed_all_postgres, 180, 90),
    ("postgres-stopped", cases_storage.postgres_stopped, 420, 240),
    ("killed-all-young", cases_facts.killed_all_young, 180, 120),
    ("profiles-counted", cases_facts.profiles_counted, 420, 180),
    ("variable-everywhere", cases_facts.variable_everywhere, 120, 90),
    ("variable-lossy", cases_lossy.variable_lossy, 120, 90),
    ("memory-of-variables", cases_facts.memory_of_variables, 420, 180),
    ("sealed", cases_seal.sealed, 180, 120),
    ("peers-sipp-udp", cases_peers.peers_sipp_udp, 120, 60),
    ("peers-sipp-tcp", cases_peers.peers_sipp_tcp, 120, 60),
    ("peers-baresip", cases_peers.peers_baresip, 120, 90),
    ("peers-pjsua", cases_peers.peers_pjsua, 120, 90),
    ("peers-linphone", cases_peers.peers_linphone, 120, 90),
    ("peers-netsip", cases_peers.peers_netsip, 60, 60),
    ("peers-websocket", cases_peers.peers_websocket, 90, 60),
    ("peers-voiptests", cases_peers.voiptests, 420, 420),
    ("reached-by-connection", cases_peers.reached_by_connection, 90, 60),
    ("expiry-over-connections", cases_peers.expiry_over_connections, 120, 90),
    ("route-of-the-dead", cases_peers.route_of_the_dead, 60, 60),
    ("services", cases_services.services, 120, 120),
    ("registrar", cases_registrar.registrar, 120, 120),
    ("script-stock", cases_registrar.script_stock, 60, 60),
    ("media", cases_media.media, 60, 60),
    ("media-real", cases_media.media_real, 60, 60),
    ("script-bad", cases_script.bad_scripts, 120, 90),
    ("script-beside", cases_script.beside_kamailio, 180, 180),
    ("hunting-above", cases_hunting.hunting_above, 150, 90),
    ("hunting-behind", cases_hunting.hunting_behind, 150, 90),
    ("corners", cases_corners.corners, 60, 60),
    ("corners-killed", cases_corners.corners_killed, 90, 60),
    ("stream-manners", cases_manners.manners, 120, 120),
    ("balancer-nginx", cases_balancers.balancer_nginx, 300, 120),
    ("balancer-haproxy", cases_balancers.balancer_haproxy, 300, 120),
    ("balancer-kamailio", cases_balancers.balancer_kamailio, 180, 90),
    ("drain-sigterm", cases_drain.drain_sigterm, 150, 90),
    ("drain-kamailio", cases_drain.drain_kamailio, 150, 90),
    ("drain-nginx", cases_drain.drain_nginx, 150, 90),
    ("drain-haproxy", cases_drain.drain_haproxy, 150, 90),
    ("kamailio-tools", cases_tools.kamailio_tools, 150, 120),
    ("calls-moved", cases_moving.calls_moved, 240, 180),
    ("calls-moved-ims", cases_moving.calls_moved_ims, 240, 180),
    ("trace", cases_trace.trace, 90, 90),
    ("requests-within", cases_requests.requests_within, 120, 90),
    ("call-records", cases_requests.call_records, 150, 120),
    ("operator-mistakes", cases_operator.mistakes, 180, 180),
    ("operator-told", cases_operator.told, 180, 180),
    ("operator-floods", cases_flood.floods, 180, 90),
    ("operator-reload", cases_reload.reload, 120, 120),
    ("operator-init", cases_init.init, 180, 120),
    ("operator-hosts", cases_hosts.three_hosts, 180, 120),
    ("unit", cases_package.unit, 90, 60),
    ("package", cases_package.package, 420, 360),
    ("image", cases_image.image, 300, 300),
    ("kubernetes", cases_image.kubernetes, 60, 60),
    ("metrics", cases_reference.metrics, 60, 60),
    ("documentation", cases_reference.documentation, 60, 60),
    ("robust", cases_robust.robust, 420, 180),
    ("load-2000", cases_robust.load_2000, 150, 60),
    ("load-tcp", cases_robust.load_tcp, 150, 60),
]


def run(name, function, limit, quick):
    note(f"{name}: {' '.join(function.__doc__.split())}")
    report, began = Report(name), now()
    try:
        with time_limit(limit):
            function(report, quick)
    except Absent as absent:
        note(f"SKIPPED {name}: {absent}")
        return None
    except Failure as failure:
        report.claim(f"the case could run: {failure}", False)
    except Exception:  # noqa: BLE001 -- one case that breaks must not hide the others
        traceback.print_exc()
        report.claim("the case ran to its end", False)
    note(f"{'PASS' if report.passed else 'FAIL'} {name} ({now() - began:.0f} s)")
    return report.passed


def main():
    parser = argparse.ArgumentParser(
        prog="acceptance", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    known = {case[0]: case for case in CASES}
    if options.list:
        for name, function, _, _ in CASES:
            note(f"{name:24}{' '.join(function.__doc__.split())}")
        return 0
    names = list(known) if options.names == ["all"] else options.names
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        parser.error(f"{'no case ' + ', '.join(unknown) if unknown else 'name a case'}; there are: {' '.join(known)}")
    unblock_signals()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # So that the stages clean up.
    failed, skipped = [], []
    for name in names:
        _, function, limit, quick_limit = known[name]
        passed = run(name, function, quick_limit if options.quick else limit, options.quick)
        if not passed:
            (skipped if passed is None else failed).append(name)
    passed = len(names) - len(failed) - len(skipped)
    note(
        f"{passed} passed, {len(failed)} failed{': ' + ' '.join(failed) if failed else ''}"
        f"{', skipped: ' + ' '.join(skipped) if skipped else ''}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
