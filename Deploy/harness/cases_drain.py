"""Acceptance: a planned stop hangs up on nobody, and a drained node takes no new dialog, whatever stands in front."""

import os
import shlex
import signal
from collections import Counter

from cases_balancers import start_haproxy, start_nginx
from cluster import ROOT, Failure
from loop import now
from party import Plan
from peerstage import PeerStage, Sipp, advertised, metrics, require
from phones import Phones
from processes import version
from stage import Stage


def shipped_options():
    """What the shipped unit gives `serve` beside its configuration."""
    with open(os.path.join(ROOT, "Deploy", "understudy.service")) as unit:
        lines = [line for line in unit.read().splitlines() if line.startswith("ExecStart=")]
    words = shlex.split(lines[0].partition("=")[2])
    options = words[words.index("serve") + 1 :]
    if "--config" in options:
        at = options.index("--config")
        del options[at : at + 2]
    return [option for option in options if "%" not in option]


def homes(nodes):
    """The home of every dialog that some live node knows, by Call-ID."""
    found = {}
    for node in nodes:
        if node.is_alive:
            found.update({dialog["call_id"]: dialog["home"] for dialog in node.dialogs()})
    return found


def drain_sigterm(report, quick):
    """SIGTERM, under the shipped unit's command line, while calls ring and more come: all are answered, and it ends."""
    # Longer than the telephones keep a transaction that is over: one that is not must not be forgotten.
    ring, count = (8.0, 20) if quick else (45.0, 20)
    stage = Stage(report)
    stage.cluster.serve_options = shipped_options()
    with stage:
        first, phones = stage.nodes[0], stage.phones
        report.figure("serve", " ".join(stage.cluster.serve_options))
        phones.place(count, 20, first.sip, Plan(ring=ring, hold=None))
        if not phones.wait(lambda: sum(c.state == "ringing" for c in list(phones.calls)) == count, 10):
            raise Failure(f"{count} calls should ring: {phones.summary()}")
        stopped = now()
        os.kill(first.process.pid, signal.SIGTERM)
        phones.wait(lambda: False, 0.5)
        phones.place(count, 10, first.sip, Plan(ring=1.0, hold=None))
        phones.wait(lambda: len(phones.calls) == 2 * count, 10)
        ringing, later = phones.calls[:count], phones.calls[count:]
        phones.wait(lambda: all(c.acked_at or c.failed_at for c in list(phones.calls)), ring + 15)
        taken = homes(stage.nodes)
        told = Counter(c.code for c in ringing)
        report.claim(f"all {count} that rang for {ring:.0f} s are answered", told == {200: count}, dict(told))
        told = Counter(c.code for c in later)
        report.claim(f"and all {count} that came after SIGTERM", told == {200: count}, dict(told))
        by_home = Counter(taken.get(c.call_id) for c in later)
        report.claim("none of those is a dialog of the node that stops", "n1" not in by_home, dict(by_home))
        last = max((c.answered_at for c in ringing if c.answered_at), default=now())
        ended = phones.wait(lambda: first.process.poll() is not None, 20)
        took = now() - last
        report.claim("it ends by itself, with 0", ended and first.process.returncode == 0, first.process.poll())
        report.figure("it ended, after SIGTERM, and after the last answer", f"{now() - stopped:.1f} s, {took:.1f} s")
        report.claim("within 5 s of the last answer", took < 5, f"{took:.1f} s")
        report.claim("and had nothing open", not first.has_logged("with transactions open"), first.log_tail(2))
        stage.cluster.wait_view(["n2", "n3"])
        phones.wait(lambda: False, 3.5)  # The dispatcher asks every second, and takes out who has failed twice.
        hang_up(report, phones)


def hang_up(report, phones):
    """The callers end every call."""
    calls = [c for c in phones.calls if c.acked_at]
    for call in calls:
        phones.do(call.hang_up)
    phones.wait(lambda: all(e["done_at"] for c in calls for e in c.requests), 20)
    codes = Counter(f"{e['method']} {e['code']}" for c in calls for e in c.requests)
    report.claim("every BYE is answered 200", set(codes) == {"BYE 200"}, dict(codes))


def drained_under_load(report, stage, front, quick, learns):
    """Calls at a steady rate by UDP; one node is drained after a third of them."""
    count, rate = (90, 15) if quick else (300, 15)
    phones = Phones((stage.host(23), 5700), (stage.host(21), 5700), log=stage.trace("drained"))
    phones.place(count, rate, front, Plan(ring=0.5, hold=None))
    phones.wait(lambda: len(phones.calls) >= count // 3, 30)
    node = stage.cluster.busiest()  # nginx gives all that comes from one port to one node.
    moment = drain(report, stage, node)
    phones.wait(lambda: len(phones.calls) == count, 60)
    phones.wait(lambda: all(c.acked_at or c.failed_at for c in list(phones.calls)), 20)
    told = Counter(c.code for c in phones.calls)
    report.claim(f"0 of {count} calls failed", told == {200: count}, dict(told))
    later = [c for c in phones.calls if c.started_at > moment]
    stage.all_confirmed(count)
    judge(report, stage, node, {c.call_id for c in later}, learns)
    hang_up(report, phones)
    follow(report, stage, node)
    phones.close()


def drain(report, stage, node):
    """Drains a node; answers when that was done."""
    code, text = stage.cluster.command("drain", node.name, "--node", stage.nodes[-1].url)
    report.claim("drain says so, and ends with 0", code == 0 and f"{node.name} is draining" in text, text.strip())
    return now()


def judge(report, stage, node, later, learns):
    by_home = Counter(home for call_id, home in homes(stage.nodes).items() if call_id in later)
    report.claim(
        f"of {len(later)} calls placed later 0 are dialogs of {node.name}",
        later and sum(by_home.values()) == len(later) and node.name not in by_home,
        dict(by_home),
    )
    counted = metrics(node)
    relayed = counted["understudy_sip_relayed_total"]
    report.figure("INVITEs it relayed, here, and refused", f"{relayed:.0f}, {counted['understudy_sip_relays_refused_total']:.0f}")
    report.claim("it says that it drains", counted["understudy_draining"] == 1)
    if not learns:
        report.claim("the balancer cannot learn of it, so it has relayed", relayed > 0, relayed)


def follow(report, stage, node):
    """`drain --wait` ends when nothing is open, and an undrained node is as before."""
    code, text = stage.cluster.command("drain", node.name, "--wait", "--timeout", "40", "--node", node.url)
    report.claim("drain --wait ends with nothing open", code == 0 and "no open transaction" in text, text.strip())
    empty, held = stage.none_left(10)
    report.claim("no node holds a live record", empty, held)
    code, text = stage.cluster.command("undrain", node.name, "--node", node.url)
    report.claim("undrain ends it", code == 0 and f"{node.name} is up" in text, text.strip())


def drain_kamailio(report, quick):
    """A node is drained behind Kamailio's dispatcher: no new dialog on it, and no call fails."""
    with PeerStage(report, advertise=advertised(10)) as stage:
        report.figure("balancer", version(require("kamailio", "kamailio")))
        stage.cluster.start_balancer()
        drained_under_load(report, stage, stage.cluster.balancer, quick, learns=True)


def drain_nginx(report, quick):
    """A node is drained behind nginx's stream module, which does not learn of it: no new dialog, and no call fails."""
    with PeerStage(report, advertise=advertised(10)) as stage:
        start_nginx(stage)
        drained_under_load(report, stage, (stage.host(10), 5060), quick, learns=False)


def drain_haproxy(report, quick):
    """A node is drained behind HAProxy, calls over TCP, a connection each: no new dialog on it, and no call fails."""
    count, rate = (90, 15) if quick else (300, 15)
    with PeerStage(report, advertise=advertised(10)) as stage:
        start_haproxy(stage)
        phones = Phones((stage.host(23), 5720), (stage.host(21), 5720))
        phones.default_plan = Plan(ring=0.5)
        node, talk = stage.nodes[0], 2.0
        options = ["-d", round(talk * 1000), "-m", count, "-l", count, "-r", rate, "-max_socket", count + 10]
        options += ["-timeout", f"{count / rate + 2 * talk + 15:.0f}s", "-timeout_error"]
        callee, front = (f"{stage.host(21)}:5720", "udp"), (stage.host(10), 5060)
        caller = Sipp(stage, "caller").start("caller_ends.xml", stage.host(24), 5720, "tn", front, callee, options)
        seen, moment, end = {}, None, now() + count / rate + 4 * talk + 20
        while caller.process.poll() is None and now() < end:
            if moment is None and len(phones.callees()) >= count // 3:
                moment = drain(report, stage, node)
            seen.update(homes(stage.nodes))
            phones.wait(lambda: False, 0.2)
        code = caller.result(10)
        answered = phones.callees()
        report.claim(
            f"0 of {count} calls failed, re-INVITE and BYE among them",
            code == 0 and len(answered) == count,
            f"exit {code}, {len(answered)} answered {caller.errors()}",
        )
        # What began before the node had heard of the drain may still be on its way to the callee.
        later = [p.call_id for p in answered.values() if moment and p.started_at > moment + 0.3]
        by_home = Counter(seen.get(call_id) for call_id in later)
        report.claim(
            f"of {len(later)} calls placed later 0 are dialogs of {node.name}",
            later and set(by_home) <= {"n2", "n3"},
            dict(by_home),
        )
        counted = metrics(node)
        report.figure("INVITEs it relayed", f"{counted['understudy_sip_relayed_total']:.0f}")
        follow(report, stage, node)
        phones.close()
