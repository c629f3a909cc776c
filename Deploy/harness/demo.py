#!/usr/bin/env python3
"""usage: demo.py [--nodes N] [--calls N] [--rate R] [--keep] [--down]

The demo behind Deploy/run: a cluster, Kamailio in front of it, real calls by SIPp, and a SIGKILL in the middle.

    seconds   0 ......... P ... P+2 ............................ the end        P = calls / rate
    talkers   placed evenly     │  re-INVITE, 3 s later BYE                     half of the calls (SIPp)
    silent    placed evenly     │                       BYE by the cluster      the other half: their line goes dead
    brief     2 s calls all the while, 5 a second                               traffic across the kill (SIPp)
                             SIGKILL

The callee and the silent callers are the telephones of phones.py: SIPp sends every answer of a call to the address
that its first message came from or went to, so it cannot answer a node that took over from a dead one. SIPp's callers
are not touched by that: all of theirs passes the balancer.

Prints a table while it runs and then one line for each claim. Exit 0 only if all hold.
"""

import argparse
import os
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True

from cluster import Cluster, Failure, Processes, ROOT, note, unblock_signals, view_names
from loop import now
from party import Plan
from phones import Phones
from sipptrace import Trace

SCENARIOS = os.path.join(ROOT, "Deploy", "sipp")
STATE = os.path.join(os.environ.get("XDG_RUNTIME_DIR") or "/tmp", "understudy-demo")
BRIEF_RATE = 5


class Callers:
    """The SIPp processes of the demo and their traces."""

    def __init__(self, cluster):
        self.cluster, self.processes, self.traces = cluster, {}, {}

    def start(self, name, scenario, port, count, rate, hold_ms):
        folder, front, host = self.cluster.folder, self.cluster.balancer, self.cluster.host(23)
        trace = os.path.join(folder, name + ".msg")
        if os.path.exists(trace):
            os.unlink(trace)
        command = [
            "sipp",
            "-sf",
            os.path.join(SCENARIOS, scenario),
            f"{front[0]}:{front[1]}",
            "-s",
            "bob",
            "-i",
            host,
            "-p",
            str(port),
            "-mi",
            host,
            "-cp",
            str(port + 13000),
            "-m",
            str(count),
            "-l",
            str(count),
            "-r",
            str(max(1, round(rate * 10))),
            "-rp",
            "10000",
            "-d",
            str(hold_ms),
            "-nostdin",
            "-skip_rlimit",
            "-buff_size",
            "4194304",
            "-trace_msg",
            "-message_file",
            trace,
        ]
        with open(os.path.join(folder, name + ".out"), "wb") as out:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                cwd=folder,
                env={**os.environ, "TERM": os.environ.get("TERM", "dumb")},
            )
        self.cluster.processes.note(name, process.pid)
        self.processes[name], self.traces[name] = process, Trace(trace)

    def read(self, to_the_end=False):
        for trace in self.traces.values():
            trace.read(to_the_end)

    def calls(self):
        return [call for trace in self.traces.values() for call in trace.calls.values() if call.invited_at]

    def over(self):
        return all(process.poll() is not None for process in self.processes.values())


class Demo:
    def __init__(self, options):
        self.options = options
        self.placing = options.calls / options.rate
        # Long enough that the first silent call outlives the kill and the table shows it; short enough to wait for.
        self.lifetime = int(self.placing + 20)
        host = "127.0.0"
        route = f'routes: [{{match: "sip:.*@example.org", to: ["sip:{host}.21:5070"]}}]'
        self.cluster = Cluster(
            STATE, options.nodes, host, self.lifetime, name="demo", faults=False, extra_lines=[route]
        )
        self.callers = Callers(self.cluster)
        self.phones = None
        self.victim = None
        self.killed_at = None
        self.painted = 0
        self.claims = []

    # -- The play

    def play(self):
        self.cluster.start()
        self.cluster.start_balancer()
        host, port = self.cluster.balancer
        note(f"{len(self.cluster.nodes)} nodes are up; the balancer is on {host}:{port}")
        self.began = time.time()
        self.place_calls()
        self.watch(lambda: time.time() > self.began + self.placing + 2)
        self.kill()
        self.watch(
            lambda: self.callers.over() and all(c.ended_at for c in self.phones.calls),
            self.lifetime + self.placing + 45,
        )
        self.watch(lambda: False, 3)  # A second BYE would have come by now.
        self.callers.read(to_the_end=True)
        self.judge()
        return all(good for good, _ in self.claims)

    def place_calls(self):
        host, half, rate = self.cluster.host, self.options.calls // 2, self.options.rate / 2
        self.phones = Phones((host(22), 5080), (host(21), 5070))
        self.callers.start("talkers", "caller_talks.xml", 5081, half, rate, int((self.placing + 4) * 1000))
        self.callers.start("brief", "caller_brief.xml", 5082, int((self.placing + 15) * BRIEF_RATE), BRIEF_RATE, 2000)
        self.phones.place(
            self.options.calls - half, rate, self.cluster.balancer, Plan(hold=None), "sip:bob@example.org"
        )

    def kill(self):
        self.victim = self.cluster.busiest()
        acting = (self.victim.status() or {}).get("dialogs", {}).get("acting", 0)
        self.victim.kill()
        self.killed_at = time.time()
        note(f"\nSIGKILL to {self.victim.name}, which acted for {acting} dialogs\n")
        self.painted = 0
        time.sleep(0.3)
        up = self.talking()
        known = {}
        for node in self.cluster.alive():
            known[node.name] = {d["call_id"] for d in node.dialogs() if d["state"] in ("confirmed", "confirmed_na")}
        up &= self.talking()  # less those that hung up while we asked
        lost = [call_id for call_id in up if any(call_id not in ids for ids in known.values())]
        text = f"{len(up) - len(lost)} of {len(up)}, on each of {', '.join(known) or 'nobody'}"
        self.claim(not lost and bool(up), "established calls known to the survivors", text)

    def talking(self):
        """Call-IDs of the calls that were answered (before the kill, after one) and have not been hung up."""
        self.callers.read()
        until = self.killed_at or time.time()
        sipp = {
            c.call_id for c in self.callers.calls() if c.answered_at and c.answered_at < until and c.bye_sent_at is None
        }
        moment = now() - (time.time() - until)
        return sipp | {
            c.call_id
            for c in list(self.phones.calls)
            if c.answered_at and c.answered_at < moment and c.ended_at is None
        }

    # -- The table

    def watch(self, finished, seconds=3600.0):
        end = time.time() + seconds
        next_at = 0.0
        while time.time() < end and not finished():
            self.callers.read()
            if time.time() >= next_at:
                self.paint()
                next_at = time.time() + (1 if sys.stdout.isatty() else 5)
            time.sleep(0.1)

    def paint(self):
        placed = len(self.callers.calls()) + len(self.phones.calls)
        up = sum(1 for c in self.callers.calls() if c.answered_at and c.bye_sent_at is None)
        up += sum(1 for c in self.phones.calls if c.answered_at and c.ended_at is None)
        byes = sum(len(party.byes) for pair in self.phones.pairs() for party in pair if party)
        served, asked = self.served()
        rows = [
            f"{time.time() - self.began:5.0f} s   calls placed {placed}, talking {up}   "
            f"in-dialog after the kill {served}/{asked}   BYEs from the cluster {byes}",
            f"{'node':6}{'state':10}{'view':24}{'confirmed':>10}{'early':>7}{'held':>7}{'acting':>8}{'lag ms':>8}",
        ]
        rows += [self.row(node) for node in self.cluster.nodes]
        if sys.stdout.isatty() and self.painted:
            sys.stdout.write(f"\x1b[{self.painted}A")
        for row in rows:
            sys.stdout.write(row + ("\x1b[K" if sys.stdout.isatty() else "") + "\n")
        if not sys.stdout.isatty():
            sys.stdout.write("\n")
        sys.stdout.flush()
        self.painted = len(rows)

    @staticmethod
    def row(node):
        if not node.is_alive:
            return f"{node.name:6}killed"
        status = node.status()
        if status is None:
            return f"{node.name:6}no answer"
        dialogs = status["dialogs"]
        lag = max([m.get("lag_ms", 0) for m in status["members"] if m["name"] in view_names(status)] or [0])
        return (
            f"{node.name:6}{status['state']:10}{' '.join(view_names(status)):24}{dialogs['confirmed']:>10}"
            f"{dialogs['early']:>7}{dialogs['held']:>7}{dialogs['acting']:>8}{lag:>8}"
        )

    # -- The claims

    def served(self):
        """(answered 200, all) of the callers' requests within a dialog that were first sent after the kill."""
        if self.killed_at is None:
            return 0, 0
        requests = [r for c in self.callers.calls() for r in c.requests.values() if r.sent_at > self.killed_at]
        return sum(1 for r in requests if r.code == 200), len(requests)

    def claim(self, holds, name, text):
        self.claims.append((holds, f"{'pass' if holds else 'FAIL'}  {name}: {text}"))

    def judge(self):
        served, asked = self.served()
        self.claim(served == asked and asked > 0, "in-dialog requests served after the kill", f"{served} of {asked}")
        pairs = [(caller, callee) for caller, callee in self.phones.pairs() if caller.answered_at and callee]
        one_each = [pair for pair in pairs if all(len(party.byes) == 1 for party in pair)]
        text = f"{len(one_each)} of {len(pairs)} calls, one BYE transaction a side"
        if one_each:
            latest = max(next(iter(p.byes.values()))["at"] - p.refreshed_at for pair in one_each for p in pair)
            text += f", {latest:.1f} s after the answer at the latest (lifetime {self.lifetime} s)"
        self.claim(len(one_each) == len(pairs) and bool(pairs), "BYEs sent for expired dialogs, to both sides", text)
        code, answer = self.cluster.check()
        nodes = ", ".join(n.name for n in self.cluster.alive())
        self.claim(code == 0, "replicas equal", f"understudy check of {nodes} says {'equal' if code == 0 else answer}")
        calls = self.callers.calls() + self.phones.calls
        refused = sum(1 for c in calls if c.code >= 300)
        answered = sum(1 for c in calls if c.answered_at)
        note(f"\n{len(calls)} calls, {answered} answered, {refused} refused (ringing at the kill)")
        for _, line in self.claims:
            note(line)


def down():
    stopped = Processes(os.path.join(STATE, "pids")).stop_all()
    note(f"stopped {', '.join(stopped)}" if stopped else "nothing of the demo was running")


def main():
    parser = argparse.ArgumentParser(
        prog="Deploy/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=3, choices=range(2, 10), metavar="2..9")
    parser.add_argument("--calls", type=int, default=300, help="calls that outlive the kill (default 300)")
    parser.add_argument("--rate", type=float, default=20, help="of them a second (default 20)")
    parser.add_argument("--keep", action="store_true", help="leave nodes and balancer running")
    parser.add_argument("--down", action="store_true", help="stop what --keep left running")
    options = parser.parse_args()
    if options.down:
        down()
        return 0
    if options.calls < 2 or options.rate <= 0:
        parser.error("--calls is at least 2, --rate above 0")
    unblock_signals()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        down_quietly = Processes(os.path.join(STATE, "pids")).stop_all()
        if down_quietly:
            note(f"stopped what an earlier run had left: {', '.join(down_quietly)}")
        demo = Demo(options)
    except Failure as failure:
        print(f"Deploy/run: {failure}", file=sys.stderr)
        return 1
    good = kept = False
    try:
        good = demo.play()
        kept = options.keep
    except Failure as failure:
        print(f"Deploy/run: {failure}; the logs are in {STATE}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nstopping", file=sys.stderr)
    finally:
        if demo.phones is not None:
            demo.phones.close()
        if kept:
            keep(demo)
        else:
            demo.cluster.stop()
    return 0 if good else 1


def keep(demo):
    program, nodes = demo.cluster.binary, [f"--node {node.url}" for node in demo.cluster.alive()]
    note("\nStill running; Deploy/run --down stops it. Try:")
    note(f"  {program} status {nodes[0]}\n  {program} check --partial {' '.join(nodes)}")


if __name__ == "__main__":
    sys.exit(main())
