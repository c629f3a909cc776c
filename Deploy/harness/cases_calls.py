"""Acceptance: what the phones notice when a node dies. Each function is a line of the list, on (report, quick)."""

from collections import Counter

from cluster import Failure
from loop import now
from party import Plan
from stage import Stage


def expiry(report, nodes, kill, quick):
    """Confirmed dialogs reach the end of their lifetime; with `kill`, their home was killed before."""
    lifetime, count = (8, 60) if quick else (20, 200)
    with Stage(report, nodes, lifetime) as stage:
        first = stage.nodes[0]
        calls = stage.establish(count, 100, first.sip, Plan(hold=None))
        stage.in_every_record(count)
        if kill:
            moment = first.kill()
            stage.survivors_notice(first, moment)
        callees = stage.phones.callees()
        parties = calls + [callees[c.call_id] for c in calls]
        stage.phones.wait(lambda: all(p.byes for p in parties), lifetime + 10)
        stage.phones.wait(lambda: False, 3.0)  # Whoever would send a second one has done so by now.
        by_count = Counter(len(p.byes) for p in parties)
        report.figure("parties by BYE transactions", dict(by_count))
        good = report.claim(
            f"all {len(parties)} parties got exactly one BYE transaction", by_count == {1: len(parties)}, dict(by_count)
        )
        delays = sorted(next(iter(p.byes.values()))["at"] - p.refreshed_at for p in parties if p.byes)
        if delays:
            report.claim(
                f"each within {lifetime + 2} s of its last refresh, none early",
                delays[-1] <= lifetime + 2 and delays[0] >= lifetime - 0.5,
                f"{delays[0]:.2f} to {delays[-1]:.2f} s",
            )
        sources = Counter(len(set().union(*(b["sources"] for b in p.byes.values()))) for p in parties if p.byes)
        datagrams = sum(b["datagrams"] for p in parties for b in p.byes.values())
        report.figure("BYE datagrams", datagrams)
        senders = Counter(s for p in parties for b in p.byes.values() for s in b["sources"])
        report.figure("BYEs by sending node", dict(senders))
        if not kill:
            report.claim("every BYE came from exactly one node", sources == {1: len(parties)}, dict(sources))
        empty, held = stage.cluster.wait_held(0, 5)
        report.claim("no node holds a live record", empty, held)
        if not good:
            stage.explain([c for c in calls if len(c.byes) != 1])


def expiry_kill_3(report, quick):
    """SIGKILL of the home of many confirmed dialogs, three nodes: both phones of each get one BYE in time."""
    expiry(report, 3, True, quick)


def expiry_kill_2(report, quick):
    """The same in a cluster of two."""
    expiry(report, 2, True, quick)


def expiry_3(report, quick):
    """Nobody is killed, three nodes: one BYE a phone, from exactly one node."""
    expiry(report, 3, False, quick)


def expiry_2(report, quick):
    """Nobody is killed, two nodes."""
    expiry(report, 2, False, quick)


def kill_under_load(report, quick):
    """SIGKILL under load with 5 s hold: every call whose caller had its 200 is known, confirmed, to the survivors."""
    kill_again(report, *((100, 2) if quick else (300, 10)))


def thirty_kills(report, quick):
    """The same, thirty times at 600 calls a second."""
    kill_again(report, *((200, 3) if quick else (600, 30)))


def kill_again(report, rate, kills):
    with Stage(report) as stage:
        load = Load(stage, rate, Plan(ring=0.02, hold=5.0))
        lost = unconfirmed = known = 0
        for number in range(kills):
            stage.phones.wait(lambda: False, 7.0 if number == 0 else 6.0)
            victim = stage.cluster.busiest()
            moment = victim.kill()
            stage.phones.wait(lambda: False, 0.3)
            up = [c for c in list(load.calls()) if c.answered_at and c.answered_at <= moment]
            result = survey(stage, [c for c in up if c.ended_at is None])
            known += result["asked"]
            lost += result["unknown"]
            stage.survivors_notice(victim, moment)
            stage.phones.wait(lambda: False, max(0.0, moment + 2.5 - now()))
            later = survey(stage, [c for c in up if c.ended_at is None])
            unconfirmed += later["unconfirmed"] + later["unknown"]
            report.figure(
                f"kill {number + 1}, of {victim.name}: calls up, unknown, unconfirmed after 2.5 s",
                f"{result['asked']}, {result['unknown']}, {later['unconfirmed']}",
            )
            victim.start()
            stage.cluster.wait_view([n.name for n in stage.nodes])
        load.stop()
        load.drain(30)
        report.claim(
            f"{kills} kills, every established call known to the survivors",
            lost == 0 and known > 0,
            f"{lost} of {known} lost",
        )
        report.claim("and confirmed there within 2.5 s", unconfirmed == 0, unconfirmed)
        requests = Counter(f"{e['method']} {e['code']}" for c in load.calls() if c.answered_at for e in c.requests)
        # A node may die after it has sent a BYE on: the balancer gives it to another, whose copy meets a call that is over.
        callees = stage.phones.callees()
        twice = sum(
            1
            for c in load.calls()
            for e in c.requests
            if e["code"] == 481 and callees[c.call_id].ended_by == "peer" and len(callees[c.call_id].byes) > 1
        )
        report.claim(
            "every BYE was answered 200, or 481 where its first copy had ended the call already",
            set(requests) <= {"BYE 200", "BYE 481"} and requests["BYE 481"] == twice,
            dict(requests),
        )
        failed = Counter(c.code for c in load.calls() if c.state == "failed")
        report.figure("calls in all, calls not set up (killed while ringing)", f"{len(load.calls())}, {dict(failed)}")
        report.figure("phones' own lateness", f"{stage.phones.loop.latest * 1000:.0f} ms")


def survey(stage, calls):
    """How many of `calls`, those that are still up, some survivor does not know, or does not have confirmed."""
    states = {node.name: {d["call_id"]: d["state"] for d in node.dialogs()} for node in stage.cluster.alive()}
    still = [c for c in calls if c.ended_at is None]
    unknown = {c for c in still for known in states.values() if c.call_id not in known}
    unconfirmed = {
        c for c in still for known in states.values() if c.call_id in known and known[c.call_id] != "confirmed"
    }
    if unknown:
        stage.explain(list(unknown), 1)
    return {"asked": len(still), "unknown": len(unknown), "unconfirmed": len(unconfirmed)}


class Load:
    """Calls at a steady rate until stopped, through the balancer."""

    def __init__(self, stage, rate, plan, to=None):
        self.stage, self.first = stage, len(stage.phones.calls)
        self.running = True
        self.gap, self.plan, self.to = 1.0 / rate, plan, to or stage.front
        self.next_at = now()
        stage.phones.loop.call(self.place)

    def place(self):
        if not self.running:
            return
        phones = self.stage.phones
        call = phones.caller.call(self.plan, self.to, phones.uri)
        phones.plans[call.call_id] = self.plan
        phones.calls.append(call)
        self.next_at += self.gap
        phones.loop.at(self.next_at, self.place)

    def stop(self):
        self.running = False
        self.last = len(self.stage.phones.calls) + 1

    def calls(self):
        return self.stage.phones.calls[self.first :]

    def drain(self, seconds):
        """Waits until every call has ended and had its last answer."""

        def over(call):
            return call.state == "failed" or (call.ended_at and all(e["done_at"] for e in call.requests))

        return self.stage.phones.wait(lambda: all(over(call) for call in self.calls()), seconds, 0.2)


def in_dialog_after_kill(report, quick):
    """After a kill, re-INVITE and BYE through the balancer, and straight to each survivor: all answered 200."""
    count = 30 if quick else 150
    with Stage(report) as stage:
        first = stage.nodes[0]
        calls = stage.establish(count, 100, first.sip, Plan(hold=None))
        stage.in_every_record(count)
        moment = first.kill()
        stage.survivors_notice(first, moment)
        stage.phones.wait(
            lambda: False, max(0.0, moment + 4.0 - now())
        )  # the balancer's probing: 2 times 1 s and 1.5 s
        callees = stage.phones.callees()
        ways = [None] + [node.sip for node in stage.cluster.alive()]
        for method in ("INVITE", "BYE"):
            entries = []
            for index, call in enumerate(calls):
                # Every third request comes from the callee; the ways take turns.
                party = callees[call.call_id] if index % 2 else call
                way = ways[(index // 2) % len(ways)]
                send = party.hang_up if method == "BYE" else (lambda to, p=party: p.send_request("INVITE", to))
                stage.phones.do(send, way)
                entries.append((party, way))
            stage.phones.wait(lambda: all(p.requests[-1]["done_at"] for p, _ in entries), 15)
            for way in ways:
                codes = Counter(p.requests[-1]["code"] for p, w in entries if w == way)
                name = "re-INVITE" if method == "INVITE" else "BYE"
                report.claim(
                    f"{name} {'through the balancer' if way is None else 'straight to ' + way[0]} answered 200",
                    set(codes) == {200},
                    dict(codes),
                )
        ended = sum(1 for c in calls if c.ended_at and callees[c.call_id].ended_at)
        report.claim("both sides of every call ended", ended == count, f"{ended} of {count}")
        empty, held = stage.cluster.wait_held(0, 5)
        report.claim("no node holds a live record", empty, held)


def late_ack(report, quick):
    """Callers wait 200 ms before their ACK, a node is killed in between: every 200 ends with an ACK at the callee."""
    rate = 50 if quick else 100
    with Stage(report) as stage:
        load = Load(stage, rate, Plan(ring=0.05, hold=None, ack_delay=0.2))
        stage.phones.wait(lambda: False, 4.0)
        victim = stage.cluster.busiest()
        moment = victim.kill()
        # Who of the survivors had heard of a 180, asked before an heir can have acted.
        heard = {d["call_id"] for node in stage.cluster.alive() for d in node.dialogs() if d["state"] != "unconfirmed"}
        stage.survivors_notice(victim, moment)
        stage.phones.wait(lambda: False, 1.0)
        load.stop()
        between = [
            c
            for c in load.calls()
            if c.answered_at and c.answered_at <= moment and (c.acked_at is None or c.acked_at > moment)
        ]
        report.figure("calls with a 200 before and an ACK after the kill", len(between))

        def settled():
            callees = stage.phones.callees()
            return all(
                c.state in ("confirmed", "failed", "ended")
                and (c.state == "failed" or callees[c.call_id].acked_at or callees[c.call_id].ended_at)
                for c in load.calls()
            )

        stage.phones.wait(settled, 40)
        callees = stage.phones.callees()
        answered = [c for c in load.calls() if c.answered_at]
        unacked = [c for c in answered if not callees[c.call_id].acked_at]
        report.claim("there were calls in the gap", len(between) > 0, len(between))
        report.claim(
            "every caller with a 200 has its ACK at the callee",
            not unacked,
            f"{len(unacked)} of {len(answered)} lack it",
        )
        no_ack = [p for p in callees.values() if p.ended_by == "no_ack" or (p.unacknowledged and p.ended_at is None)]
        # Whoever answers a node that is dead by then is cancelled by its heir, if that has heard of a 180: a fact follows
        # its message by replication.linger-ms, and without one CANCEL is not allowed (RFC 3261 section 9.1).
        to_the_dead = [
            p
            for p in no_ack
            if p.invite_source[0] == victim.host and p.answered_at > moment and p.call_id not in heard
        ]
        report.figure("callees that answered the dead node and nobody had heard of", len(to_the_dead))
        report.claim(
            "no callee hung up for want of an ACK", len(no_ack) == len(to_the_dead) <= 2, len(no_ack) - len(to_the_dead)
        )
        void = [c for c in load.calls() if c.state == "failed"]
        report.figure("calls that never had a 200", dict(Counter(c.code for c in void)))
        stage.explain(unacked)


def killed_while_ringing(report, quick):
    """Killed while ringing behind the dispatcher: callee cancelled, caller has 480 in 5 s, no record is left."""
    count = 30 if quick else 90
    with Stage(report) as stage:
        stage.phones.place(count, 60, stage.front, Plan(ring=None))
        ringing = stage.phones.wait(lambda: sum(c.state == "ringing" for c in list(stage.phones.calls)) == count, 10)
        if not ringing:
            raise Failure(f"not every call rings: {stage.phones.summary()}")
        # A callee whose 180 no survivor has heard of may not be cancelled (RFC 3261 section 9.1).
        stage.in_every_record_as("early", list(stage.phones.calls))
        callees = stage.phones.callees()
        by_node = Counter(callees[c.call_id].invite_source[0] for c in stage.phones.calls)
        victim = max(stage.nodes, key=lambda n: by_node[n.host])
        calls = [c for c in stage.phones.calls if callees[c.call_id].invite_source[0] == victim.host]
        others = [c for c in stage.phones.calls if c not in calls]
        report.figure(f"calls that ring through {victim.name}", len(calls))
        moment = victim.kill()
        detected = moment + stage.survivors_notice(victim, moment)
        stage.phones.wait(lambda: all(c.state == "failed" and callees[c.call_id].ended_at for c in calls), 9)
        stopped = [callees[c.call_id].ended_at for c in calls if callees[c.call_id].ended_at]
        failed = [c.failed_at for c in calls if c.failed_at]
        report.claim(
            "every callee stopped ringing within 5 s of the detection",
            len(stopped) == len(calls) and max(stopped) - detected <= 5,
            spread(stopped, detected),
        )
        codes = Counter(c.code for c in calls)
        report.claim(
            "every caller has its 480 within 5 s",
            set(codes) == {480} and max(failed) - detected <= 5,
            f"{dict(codes)}, {spread(failed, detected)}",
        )
        report.claim("the other calls ring on", all(c.state == "ringing" for c in others), len(others))
        good, held = stage.cluster.wait_held(len(others), 5)
        report.claim("no record of them is left", good, held)
        for call in others:
            stage.phones.do(call.cancel)
        stage.phones.wait(lambda: all(c.state == "failed" for c in others), 5)
        codes = Counter(c.code for c in others)
        report.claim("CANCEL ends the others with 487", not others or set(codes) == {487}, dict(codes))
        good, held = stage.cluster.wait_held(0, 5)
        report.claim("no node holds a live record", good, held)
        stage.explain([c for c in calls if c.code != 480 or not callees[c.call_id].ended_at])


def spread(moments, since):
    return f"{min(moments) - since:.2f} to {max(moments) - since:.2f} s" if moments else "none"


def reinvite_owner_killed(report, quick):
    """The node that handles a re-INVITE dies while it is pending: the call lives."""
    count = 10 if quick else 40
    with Stage(report) as stage:
        first, second = stage.nodes[0], stage.nodes[1]
        calls = stage.establish(count, 50, first.sip, Plan(hold=None, reinvite_delay=2.0))
        stage.in_every_record(count)
        entries = [stage.phones.do(call.send_request, "INVITE", second.sip) for call in calls]
        stage.phones.wait(lambda: False, 0.5)
        moment = second.kill()
        stage.survivors_notice(second, moment)
        stage.phones.wait(lambda: all(e["done_at"] for e in entries), 10)
        codes = Counter(e["code"] for e in entries)
        report.claim(
            "the pending re-INVITEs got 500 (Retry-After) or their 200, nothing that ends a call",
            set(codes) <= {200, 500, 491},
            dict(codes),
        )
        report.figure("Retry-After", dict(Counter(e.get("retry_after") for e in entries)))
        callees = stage.phones.callees()
        alive = [c for c in calls if c.ended_at is None and callees[c.call_id].ended_at is None]
        report.claim("both sides of every call still talk", len(alive) == count, f"{len(alive)} of {count}")
        stage.phones.wait(lambda: False, 2.0)
        entries = [stage.phones.do(call.send_request, "INVITE", stage.nodes[2].sip) for call in calls]
        stage.phones.wait(lambda: all(e["done_at"] for e in entries), 10)
        codes = Counter(e["code"] for e in entries)
        report.claim("the next re-INVITE is answered 200", set(codes) == {200}, dict(codes))
        for call in calls:
            stage.phones.do(call.hang_up)
        stage.phones.wait(lambda: all(c.requests[-1]["done_at"] for c in calls), 10)
        codes = Counter(c.requests[-1]["code"] for c in calls)
        report.claim("BYE is answered 200", set(codes) == {200}, dict(codes))
