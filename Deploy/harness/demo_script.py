#!/usr/bin/env python3
"""usage: demo_script.py [--keep] [--down]

The demo behind Deploy/run --script: three nodes run the Lua script of Debian's kamailio package as it is, and two
phones register, call each other, and do not notice that the node of their call is killed.

    alice ── REGISTER ──▶ n1     bob ── REGISTER ──▶ n2     alice ── INVITE ──▶ n3 ──▶ bob
    SIGKILL n3     alice ── BYE ──▶ n2 ──▶ bob     what n2 has to say of contacts and dialogs

Each message is shown as it passes. Exit 0 only if every claim holds.
"""

import argparse
import os
import signal
import sys

sys.dont_write_bytecode = True

import sip
from cases_registrar import DOMAIN, final, register, stock_script
from cases_services import Desk
from cluster import Cluster, Failure, Processes, note, unblock_signals
from peerstage import Absent
from stage import Report

STATE = os.path.join(os.environ.get("XDG_RUNTIME_DIR") or "/tmp", "understudy-demo-script")


class Play:
    def __init__(self):
        self.report = Report("script")
        lines = [f"script: {{lua: {stock_script()}}}", 'htable: {htable: ["ipban=>size=8;autoexpire=300;"]}']
        self.cluster = Cluster(
            STATE, 3, "127.0.0", name="demo", faults=False, sip_lines=[f"alias: [{DOMAIN}]"], extra_lines=lines
        )

    def tell(self, who, what, whom, seen):
        note(f"    {who:6} ── {what} ──▶ {whom:6} {f'{seen.code} {sip.REASONS.get(seen.code, str())}' if seen else '?'}")

    def play(self):
        self.cluster.start()
        n1, n2, n3 = self.cluster.nodes
        note(f"3 nodes run {stock_script()}\n")
        with Desk(self.cluster.host(21), 5070) as alice, Desk(self.cluster.host(22), 5080) as bob:
            self.registrations(alice, n1, bob, n2)
            self.call(alice, bob, (n1, n2, n3))
        self.look(n2)
        note(f"\n{self.report.claims - self.report.failed} of {self.report.claims} claims hold")
        return self.report.passed

    def registrations(self, alice, n1, bob, n2):
        for desk, node, user in ((alice, n1, "alice"), (bob, n2, "bob")):
            register(desk, node, user, f"<sip:{user}@{desk.host}:{desk.port}>", f"reg-{user}")
            answer = final(desk, f"reg-{user}")
            self.tell(user, "REGISTER", node.name, answer)
            self.report.claim(f"{user} is registered, by {node.name}", answer is not None and answer.code == 200)

    def call(self, alice, bob, nodes):
        n1, n2, n3 = nodes
        alice.request(n3, "INVITE", f"sip:bob@{DOMAIN}", "call")
        invite, source = bob.asked("INVITE")
        self.report.claim("a call by n3, where neither is registered, rings bob", invite is not None)
        if invite is None:
            return
        bob.answer(invite, source, 180)
        bob.answer(invite, source, 200)
        success = alice.told("INVITE")
        self.tell("alice", "INVITE", "bob", success)
        self.report.claim("he answers", success is not None and success.code == 200)
        if success is None:
            return
        routes, tag = list(reversed(success.record_routes)), sip.tag_of(success.get("to"))
        alice.request(n1, "ACK", bob.contact, "call", tag, routes)
        self.report.claim("her ACK goes by another node", bob.asked("ACK")[0] is not None)
        n3.kill()
        note(f"\n    SIGKILL to {n3.name}, the node of the call\n")
        self.cluster.wait_view([n1.name, n2.name])
        held = len(n2.dialogs())
        self.report.claim("the others hold the call", held == 1, held)
        alice.request(n2, "BYE", bob.contact, "call", tag, routes, 2)
        bye, source = bob.asked("BYE")
        if bye:
            bob.answer(bye, source, 200)
        ended = alice.told("BYE")
        self.tell("alice", "BYE", "bob", ended)
        self.report.claim("alice hangs up, and bob hears it", ended is not None and ended.code == 200)

    def look(self, node):
        for words in (["contacts", "list"], ["status"]):
            note(f"\n$ understudy {' '.join(words)} --node {node.url}")
            _, said = self.cluster.command(*words, "--node", node.url)
            note(said.rstrip())


def main():
    parser = argparse.ArgumentParser(
        prog="Deploy/run --script", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", action="store_true", help="leave the nodes running")
    parser.add_argument("--down", action="store_true", help="stop what --keep left running")
    options = parser.parse_args()
    stopped = Processes(os.path.join(STATE, "pids")).stop_all()
    if options.down:
        note(f"stopped {', '.join(stopped)}" if stopped else "nothing of the demo was running")
        return 0
    unblock_signals()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    play, good = None, False
    try:
        play = Play()
        good = play.play()
    except (Failure, Absent) as failure:
        print(f"Deploy/run: {failure}; the logs are in {STATE}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nstopping", file=sys.stderr)
    finally:
        if good and options.keep:
            note("\nStill running; Deploy/run --script --down stops it.")
        elif play is not None:
            play.cluster.stop()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
