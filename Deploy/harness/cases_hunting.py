"""Acceptance: Kamailio as a proxy that hunts, above the cluster and behind it: one call, three attempts, three nodes.

    above:   caller ──▶ hunter ──▶ n1 ──▶ busy phone         behind:   caller ──▶ balancer ──▶ node ──▶ hunter
                          ├─────▶ n2 ──▶ absent phone                                       n1, n2, n3 ◀──┘ ──▶ phones
                          └─────▶ n3 ──▶ the phone that answers
"""

import os
import time
from collections import Counter

from party import Plan
from peerstage import require
from phone import Phone
from processes import start_kamailio
from stage import Stage

BUSY, ABSENT, HUNTER = 23, 24, 15


class Refusing(Phone):
    """A telephone that answers every INVITE with `code`, once it has rung."""

    code = 486

    def receive_invite(self, transaction):
        request, tag = transaction.request, self.name("r")
        key = (request.call_id, request.cseq)
        self.counts["merged"] += key in self.first_invites
        self.first_invites[key] = transaction
        transaction.answer(180, tag)
        self.loop.after(0.03, transaction.answer, self.code, tag)


class Hunt:
    """A stage with a hunter, two phones that refuse, and the calls that went by way of it."""

    def __init__(self, stage):
        self.stage = stage
        self.address = (stage.cluster.host(HUNTER), 5060)
        self.refusing = []
        for last, code in ((BUSY, 486), (ABSENT, 480)):
            phone = stage.phones.do(Refusing, stage.phones.loop, (stage.cluster.host(last), 5070))
            phone.code = code
            self.refusing.append(phone)
        self.start()

    def start(self):
        targets = [f"sip:bob@{phone.address[0]}:{phone.address[1]}" for phone in self.refusing]
        targets.append(self.stage.phones.uri)
        nodes = [f"sip:{node.host}:5060" for node in self.stage.nodes]
        configuration = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hunter.cfg")
        options = ["-A", f"HUNTER=udp:{self.address[0]}:{self.address[1]}"]
        for number, (target, node) in enumerate(zip(targets, nodes), 1):
            options += ["-A", f'TARGET{number}="{target}"', "-A", f'NODE{number}="{node}"']
        require("kamailio", "kamailio")
        folder = os.path.join(self.stage.folder, "hunter")
        start_kamailio(self.stage.cluster.processes, "hunter", folder, configuration, memory=128, options=options)


def known(stage, calls):
    """By node: how many of the calls it does not hold confirmed exactly once, with the answering phone's tag."""
    callees = stage.phones.callees()
    wanted = {call.call_id: callees[call.call_id].local_tag for call in calls}
    result = {}
    for node in stage.cluster.alive():
        found = Counter()
        for dialog in node.dialogs():
            if dialog["state"] == "confirmed" and dialog["to_tag"] == wanted.get(dialog["call_id"]):
                found[dialog["call_id"]] += 1
        result[node.name] = sum(1 for call_id in wanted if found[call_id] != 1)
    return result


def hunt(report, quick, is_above):
    count, lifetime = (20, 15) if quick else (100, 25)
    with Stage(report, 3, lifetime) as stage:
        hunter = Hunt(stage)
        try_out(report, stage, hunter, count, lifetime, is_above)


def try_out(report, stage, hunter, count, lifetime, is_above):
    uri = f"sip:hunt@{hunter.address[0]}:{hunter.address[1]}"
    began = time.monotonic()
    stage.phones.place(count, 40, hunter.address if is_above else stage.front, Plan(hold=None), uri)

    def confirmed():
        callees = stage.phones.callees()
        return len(stage.phones.calls) == count and all(
            c.acked_at and c.call_id in callees and callees[c.call_id].acked_at for c in list(stage.phones.calls)
        )

    stage.phones.wait(confirmed, count / 40 + 8)
    calls = list(stage.phones.calls)
    answered = [c for c in calls if c.answered_at]
    codes = Counter(c.code for c in calls)
    report.claim(f"every one of {count} calls is answered at its third attempt", len(answered) == count, dict(codes))
    asked = Counter(phone.counts["merged"] for phone in hunter.refusing + [stage.phones.callee])
    report.claim("no phone was asked twice for one call", asked == {0: 3}, dict(asked))
    stage.phones.wait(lambda: not any(known(stage, answered).values()), 3)
    lacking = known(stage, answered)
    report.claim("each is known on every node, confirmed, once", not any(lacking.values()), lacking)
    victim = stage.cluster.busiest()
    moment = victim.kill()
    stage.survivors_notice(victim, moment)
    lacking = known(stage, answered)
    report.claim("and known to the survivors of a kill", not any(lacking.values()), lacking)
    half = answered[: len(answered) // 2]
    stage.phones.wait(lambda: False, 4.0)  # The balancer's probes take the dead node out.
    for call in half:
        stage.phones.do(call.hang_up)
    stage.phones.wait(lambda: all(c.requests and c.requests[-1]["done_at"] for c in half), 12)
    byes = Counter(c.requests[-1]["code"] for c in half if c.requests)
    report.claim(f"the BYEs of {len(half)} of them are answered 200", set(byes) == {200}, dict(byes))
    rest = answered[len(answered) // 2 :]
    callees = stage.phones.callees()
    parties = rest + [callees[c.call_id] for c in rest]
    stage.phones.wait(lambda: all(p.byes for p in parties), lifetime + 12 - (time.monotonic() - began))
    stage.phones.wait(lambda: False, 2.0)
    by_count = Counter(len(p.byes) for p in parties)
    report.claim(
        "the others get one BYE transaction on both sides when their time is over",
        by_count == {1: len(parties)},
        dict(by_count),
    )
    early = [p for p in parties if p.byes and next(iter(p.byes.values()))["at"] - p.refreshed_at < lifetime - 0.5]
    report.claim("none of them early", not early, len(early))
    ended = [callees[c.call_id] for c in half if not callees[c.call_id].ended_at]
    report.claim("every callee of the first half was hung up on", not ended, len(ended))
    empty, held = stage.cluster.wait_held(0, 40)
    report.claim("no node holds a live record", empty, held)
    stage.explain([c for c in calls if not c.answered_at])


def hunting_above(report, quick):
    """Kamailio above the cluster forks serially by failure_route over three nodes: 486, 480, then the answer."""
    hunt(report, quick, True)


def hunting_behind(report, quick):
    """Kamailio behind the cluster hunts back through its nodes by failure_route: each attempt is a pass of its own."""
    hunt(report, quick, False)
