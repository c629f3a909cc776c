"""Acceptance: replicas, detection, restarts, and the worst balancer. Each function takes (report, quick)."""

import json
from collections import Counter

from cases_calls import Load
from cluster import Failure, view_names
from loop import now
from party import Plan
from stage import Stage


def random_relay(report, quick):
    """A relay deals every datagram at random over three live nodes: all calls succeed, no second dialog, no 482."""
    count, cancelled = (60, 12) if quick else (300, 60)
    with Stage(report, balancer="relay") as stage:
        phones = stage.phones
        half = [Plan(ring=0.3, hold=2.0), Plan(ring=0.3, hold=2.0, answers_through=stage.front)]
        for plan in half:
            phones.place(count // 2, 15, stage.front, plan)
        ringers = [Plan(ring=None, cancel_after=0.5), Plan(ring=None, cancel_after=0.5, answers_through=stage.front)]
        for plan in ringers:
            phones.place(cancelled // 2, 3, stage.front, plan)
        phones.wait(lambda: len(phones.calls) == count + cancelled, count / 30 + 15)
        seen = {}

        def settled():
            for node in stage.cluster.alive():
                for dialog in node.dialogs():
                    seen.setdefault(dialog["call_id"], set()).add(dialog["did"])
            return phones.are_over()

        phones.wait(settled, 40, 0.3)
        talked = [c for c in phones.calls if c.plan in half]
        rang = [c for c in phones.calls if c.plan in ringers]
        good = [c for c in talked if c.answered_at and c.requests and c.requests[-1]["code"] == 200]
        report.claim(
            f"all {len(talked)} calls were set up and hung up with 200",
            len(good) == len(talked),
            f"{len(good)}; {dict(Counter(c.code for c in talked))}",
        )
        callees = phones.callees()
        codes = Counter(c.code for c in rang)
        report.claim(f"CANCEL ended {len(rang)} ringing calls with 487", set(codes) == {487}, dict(codes))
        stopped = sum(1 for c in rang if c.call_id in callees and callees[c.call_id].ended_by == "cancel")
        report.claim("and every callee stopped ringing", stopped == len(rang), f"{stopped} of {len(rang)}")
        merged = phones.callee.counts["merged"]
        report.claim("no callee said 482", merged == 0, merged)
        several = {call_id: dids for call_id, dids in seen.items() if len(dids) > 1}
        report.claim("no call had a second dialog", not several, f"{len(seen)} Call-IDs seen")
        parties = Counter(p.call_id for p in phones.callee.answered_calls)
        report.claim(
            "one INVITE transaction a call reached the callee", all(n == 1 for n in parties.values()), len(parties)
        )
        report.figure("datagrams dealt", dict(stage.relay.counts))
        report.figure("retransmissions of the phones", (phones.caller.counts + phones.callee.counts)["retransmissions"])
        empty, held = stage.cluster.wait_held(0, 10)
        report.claim("no node holds a live record", empty, held)
        stage.explain([c for c in talked if c not in good] + [c for c in rang if c.code != 487])


def cut_off(report, quick):
    """A replica is cut off from the bus under load, then healed: unequal in between, equal within 5 s."""
    for seconds in (8,) if quick else (5, 40):
        cut_off_for(report, seconds)


def cut_off_for(report, seconds):
    report.figure("seconds cut off", seconds)
    with Stage(report) as stage:
        load = Load(stage, 30, Plan(hold=5.0), to=stage.nodes[0].sip)
        stage.phones.wait(lambda: False, 3.0)
        paused_at = now()
        stage.nodes[2].rpc("fault.pause_bus", seconds)
        between = set()
        while now() < paused_at + seconds - 2.5:
            stage.phones.wait(lambda: False, 1.0)
            code, answer = stage.cluster.check()
            between.add(code)
        report.figure("exit codes of check while cut off", sorted(between))
        report.claim("check said unequal (exit 1) while cut off", 1 in between, sorted(between))
        stage.phones.wait(lambda: False, max(0.0, paused_at + seconds - now()))
        healed_at, code, answer = now(), None, {}
        while now() < healed_at + 8 and code != 0:
            code, answer = stage.cluster.check()
        took = now() - healed_at
        report.claim(
            "check says equal within 5 s of the healing, under load",
            code == 0 and took <= 5,
            f"exit {code} after {took:.1f} s; {summary(answer)}",
        )
        load.stop()
        load.drain(15)
        good = sum(1 for c in load.calls() if c.answered_at and c.requests and c.requests[-1]["code"] == 200)
        report.figure("calls that went on unharmed", f"{good} of {len(load.calls())}")
        views = [view_names(n.status()) for n in stage.nodes]
        report.claim("all three are in everybody's view again", all(v == ["n1", "n2", "n3"] for v in views), views)


def summary(answer):
    """A `check --json` answer in a few words."""
    return {
        k: (v if not isinstance(v, list) or len(v) <= 3 else f"{len(v)} entries")
        for k, v in answer.items()
        if k != "members"
    }


def forget(report, quick):
    """fault.forget makes `check` exit 1 and name the dialog; `check --repair` mends it."""
    count = 10 if quick else 30
    with Stage(report) as stage:
        calls = stage.establish(count, 50, stage.front, Plan(hold=None))
        stage.in_every_record(count)
        stage.phones.wait(lambda: False, 3.0)
        code, answer = stage.cluster.check()
        report.claim("check says equal at first", code == 0, f"exit {code}; {summary(answer)}")
        listed = {d["call_id"]: d["did"] for d in stage.nodes[0].dialogs()}
        # The nodes compare digests all the time and may mend it before we look: then the next dialog is tried.
        named = None
        for attempt, call in enumerate(calls[:10]):
            did = listed[call.call_id]
            stage.nodes[1].rpc("fault.forget", did)
            code, answer = stage.cluster.check()
            if code == 1:
                named = did in json.dumps(answer.get("unequal", answer)) or call.call_id in json.dumps(answer)
                break
        report.figure("tries until check came before the nodes' own repair", attempt + 1)
        report.claim("check exits 1 after fault.forget", code == 1, f"exit {code}")
        report.claim("and names the dialog", named is True, summary(answer))
        did = listed[calls[-1].call_id]
        stage.nodes[1].rpc("fault.forget", did)
        began = now()
        code, answer = stage.cluster.check("--repair")
        report.figure("check --repair", f"exit {code} after {now() - began:.2f} s; {summary(answer)}")
        while now() < began + 5 and (stage.cluster.check())[0] != 0:
            pass
        code, answer = stage.cluster.check()
        report.claim("check --repair mends it", code == 0, f"exit {code}, {now() - began:.2f} s")
        good, held = stage.cluster.wait_held(count, 2)
        report.claim("every node holds every dialog", good, held)


def restart(report, quick):
    """A killed node restarted with many dialogs in the cluster has them within 3 s, while calls go on undisturbed."""
    count, rate = (2000, 250) if quick else (20000, 350)
    with Stage(report, lifetime=3600) as stage:
        stage.establish(count, rate, stage.nodes[0].sip, Plan(hold=None), seconds=60)
        stage.in_every_record(count, 20)
        third = stage.nodes[2]
        moment = third.kill()
        stage.survivors_notice(third, moment)
        stage.phones.wait(lambda: False, 4.0)
        load = Load(stage, 30, Plan(hold=1.0), to=stage.nodes[1].sip)
        stage.phones.wait(lambda: False, 2.0)
        counts = stage.phones.caller.counts, stage.phones.callee.counts
        before = [c["retransmissions"] for c in counts]
        began = now()
        third.start(wait=False)
        has_them = None
        while now() < began + 20 and has_them is None:
            if ((third.status() or {}).get("dialogs") or {}).get("held", 0) >= count:
                has_them = now() - began
            stage.phones.wait(lambda: False, 0.02)
        up = third.wait_ready()
        report.claim(
            f"it has the {count} dialogs within 3 s of its start",
            has_them is not None and has_them <= 3,
            f"{has_them:.2f} s, up after {up:.2f} s" if has_them else "never",
        )
        stage.phones.wait(lambda: False, 2.0)
        load.stop()
        load.drain(15)
        repeats = [c["retransmissions"] - b for c, b in zip(counts, before)]
        report.claim("calls went on without a retransmission", sum(repeats) == 0, repeats)
        bad = sum(1 for c in load.calls() if not c.answered_at or c.requests[-1]["code"] != 200)
        report.claim("and without a failure", bad == 0, f"{bad} of {len(load.calls())}")
        first = remaining(stage.nodes[0])
        its = remaining(third)
        last = remaining(stage.nodes[0])
        wrong = [d for d in first if d in last and not last[d] - 1.0 <= its.get(d, -1e9) <= first[d] + 1.0]
        report.claim(
            "with the remaining lifetimes",
            not wrong and len(its) >= count,
            f"{len(wrong)} of {len(its)} differ by over 1 s",
        )


def remaining(node):
    return {d["did"]: d["remaining_s"] for d in node.dialogs() if d["remaining_s"] is not None}


def detection(report, quick):
    """From SIGKILL to every survivor's new view: median and worst, at most 1 s with default settings."""
    times = 4 if quick else 20
    with Stage(report, balancer=None) as stage:
        names = [n.name for n in stage.nodes]
        taken = []
        for turn in range(times):
            victim = stage.nodes[turn % 3]
            moment = victim.kill()
            stage.cluster.wait_view([n for n in names if n != victim.name])
            taken.append(now() - moment)
            victim.start()
            stage.cluster.wait_view(names)
            stage.phones.wait(lambda: False, 0.5)
        taken.sort()
        report.claim(
            f"{times} detections, the worst within 1 s",
            taken[-1] <= 1.0,
            f"median {taken[len(taken) // 2] * 1000:.0f} ms, worst {taken[-1] * 1000:.0f} ms",
        )


def soak(report, quick):
    """Ten minutes under load without a false suspicion: no view changes, no call fails."""
    seconds, rate = (20, 50) if quick else (600, 100)
    with Stage(report) as stage:
        names = [n.name for n in stage.nodes]
        epochs = {n.name: (n.status() or {}).get("epoch") for n in stage.nodes}
        load = Load(stage, rate, Plan(hold=2.0))
        end, changes = now() + seconds, set()
        while now() < end:
            stage.phones.wait(lambda: False, 0.5)
            for node in stage.nodes:
                status = node.status()
                if status is None:
                    changes.add(f"{node.name} did not answer")
                elif view_names(status) != names or status.get("epoch") != epochs[node.name]:
                    changes.add(f"{node.name}: epoch {status.get('epoch')}, view {view_names(status)}")
                elif any(m["state"] != "up" for m in status["members"]):
                    changes.add(f"{node.name}: {[(m['name'], m['state']) for m in status['members']]}")
        load.stop()
        load.drain(40)
        report.claim(f"no view changed and nobody was suspected in {seconds} s", not changes, sorted(changes)[:3])
        bad = [c for c in load.calls() if not c.answered_at or not c.requests or c.requests[-1]["code"] != 200]
        report.claim(f"none of {len(load.calls())} calls failed", not bad, len(bad))
        counts = stage.phones.caller.counts + stage.phones.callee.counts
        report.figure("retransmissions", counts["retransmissions"])
        report.figure("phones' own lateness", f"{stage.phones.loop.latest * 1000:.0f} ms")
        if not load.calls():
            raise Failure("no call was placed")
