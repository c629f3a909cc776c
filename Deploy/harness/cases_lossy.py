"""Acceptance: a bus that loses, doubles, delays and reorders, nodes that stand still, and versions beside each other.
Each function takes (report, quick)."""

import os
import signal
import subprocess
from collections import Counter

from busrelay import BusRelay, Faults
from cases_calls import Load
from cases_cluster import summary
from cases_facts import Scripted, set_everywhere
from cluster import view_names
from loop import now
from namespaces import Network
from party import Plan
from peerstage import Absent
from stage import Stage

DELAYS = (0.0, 0.02)
NET = "192.0.2"


def through_relay(stage, seed=1):
    """The nodes of a stage that has not begun know each other by the relay's ports."""
    relay = BusRelay(stage.nodes, stage.cluster.host(30), seed)
    for node in stage.nodes:
        node.bus_peers = relay.peers_of(node)
    return relay


def settled(stage, seconds=5):
    """Until `check` says equal: after how long, or None; and what it said last."""
    began, code, answer = now(), None, {}
    while code != 0 and now() < began + seconds:
        code, answer = check_through_one(stage) if stage.namespace else stage.cluster.check()
    return (now() - began if code == 0 else None), answer


def check_through_one(stage):
    """In namespaces every node's management is its own loopback's: one is asked, and asks the others."""
    node = stage.nodes[0]
    code, text = stage.cluster.command("check", "--json", "--node", node.url, namespace=node.namespace)
    return code, {"text": text.strip()[:300]}


def good_calls(load):
    return [c for c in load.calls() if c.answered_at and c.requests and c.requests[-1]["code"] == 200]


def claim_calls(report, load, what, excused=()):
    good, bad = good_calls(load), [c for c in load.calls() if c not in good_calls(load) and c.call_id not in excused]
    codes = dict(Counter(c.code for c in bad))
    return report.claim(f"{what}: all {len(load.calls())} calls went well", good and not bad, f"{len(good)}; {codes}")


def lossy_bus(report, quick):
    """5 and 20 % of the bus's messages lost, some doubled, all delayed by up to 20 ms and out of order, under load: no
    call fails, and all are equal within 5 s."""
    rate, seconds = (20, 5.0) if quick else (100, 30.0)
    stage = Stage(report)
    relay = through_relay(stage)
    try:
        with stage:
            for loss in (0.05, 0.2):
                relay.faults = Faults(loss, 0.05, DELAYS)
                load = Load(stage, rate, Plan(ring=0.02, hold=2.0))
                stage.phones.wait(lambda: False, seconds)
                took, answer = settled(stage)
                report.claim(
                    f"at {loss:.0%}, under load, check says equal within 5 s",
                    took is not None,
                    f"{took:.1f} s" if took is not None else summary(answer),
                )
                load.stop()
                load.drain(15)
                claim_calls(report, load, f"at {loss:.0%}")
                empty, held = stage.cluster.wait_held(0, 5)
                report.claim("5 s after the last one no node holds a live record", empty, held)
            report.figure("messages of the bus", dict(relay.counts))
            views = [view_names(n.status()) for n in stage.nodes]
            report.claim("all are in everybody's view", all(v == ["n1", "n2", "n3"] for v in views), views)
    finally:
        relay.close()


def lossy_network(report, quick):
    """5 and 20 % of the packets lost between nodes on hosts of their own, under load: no call fails; when they are lost no
    more, all are equal and in everybody's view within 5 s."""
    rate, seconds = (20, 6.0) if quick else (100, 30.0)
    with Network(NET) as network, Stage(report, net=NET, namespace=network.prefix) as stage:
        for loss in (0.05, 0.2):
            for name in network.names:
                lose(name, loss)
            load = Load(stage, rate, Plan(ring=0.02, hold=2.0))
            stage.phones.wait(lambda: False, seconds)
            report.figure("views meanwhile", [view_names(n.status()) for n in stage.nodes])
            load.stop()
            load.drain(30)
            claim_calls(report, load, f"at {loss:.0%}")
            for name in network.names:
                lose(name, 0.0)
            healed = now()
            stage.cluster.wait_view([n.name for n in stage.nodes], 5)
            took, answer = settled(stage, max(0.1, healed + 5 - now()))
            report.claim(
                "then all are in everybody's view, and check says equal within 5 s",
                took is not None,
                f"{now() - healed:.1f} s" if took is not None else summary(answer),
            )
            # A BYE at a node that has not got its call's record is passed on, and nobody is told of it.
            report.figure("live records", stage.cluster.wait_held(0, 3)[1])


def lose(namespace, chance):
    """What comes to the bus of that host, or to who has called another's, is lost by this chance."""
    command = ["ip", "netns", "exec", namespace, "iptables-legacy"]
    rules = [["-F", "INPUT"]]
    for side in ("--dport", "--sport") if chance > 0 else ():
        rule = ["-A", "INPUT", "-p", "tcp", side, "7400:7401", "-m", "statistic", "--mode", "random"]
        rules.append(rule + ["--probability", str(chance), "-j", "DROP"])
    for rule in rules:
        result = subprocess.run(command + rule, capture_output=True, text=True, timeout=20, check=False)
        if result.returncode != 0:
            raise Absent(f"packets cannot be lost here: {result.stderr.strip()[:200]}")


def variable_lossy(report, quick):
    """One dialog's variable set by re-INVITEs over three nodes while 20 % of the bus's messages are lost: within 100 ms
    of each 200 all nodes say the last value."""
    count = 40 if quick else 100
    stage = Scripted(report)
    relay = through_relay(stage)
    try:
        with stage:
            relay.faults = Faults(0.2, 0.05, (0.0, 0.005))
            set_everywhere(report, stage, count)
            report.figure("messages of the bus", dict(relay.counts))
    finally:
        relay.close()


def stopped(report, quick):
    """SIGSTOP of each node for 10 s under load, then SIGCONT: calls that reach the others go well, nobody gets a second
    BYE, and all are equal within 5 s."""
    rate, seconds, turns = (30, 4.0, 1) if quick else (100, 10.0, 3)
    with Stage(report, lifetime=3600) as stage:
        for turn in range(turns):
            asleep = stage.nodes[(turn + 1) % 3]
            load = Load(stage, rate, Plan(ring=0.02, hold=3.0), to=stage.nodes[turn].sip)
            stage.phones.wait(lambda: False, 1.5)
            os.kill(asleep.process.pid, signal.SIGSTOP)
            try:
                stage.phones.wait(lambda: False, seconds)
            finally:
                os.kill(asleep.process.pid, signal.SIGCONT)
            took, answer = settled(stage)
            report.claim(
                f"{asleep.name} stood still for {seconds:.0f} s: equal within 5 s after it, under load",
                took is not None,
                f"{took:.1f} s" if took is not None else summary(answer),
            )
            stage.phones.wait(lambda: False, 1.0)
            load.stop()
            load.drain(15)
            claim_calls(report, load, "meanwhile")
        once = Counter(len(p.byes) for p in stage.phones.callee.answered_calls)
        report.claim("each callee got one BYE", set(once) == {1}, dict(once))
        empty, held = stage.cluster.wait_held(0, 5)
        report.claim("no node holds a live record", empty, held)


def two_apart(report, quick):
    """Two nodes cut off from each other under load, without a witness and with one: calls go on on both sides, nobody's
    is ended but one whose INVITE was under way as they were cut, and all are equal within 5 s of the healing."""
    for has_witness in (False, True):
        apart(report, quick, has_witness)


def apart(report, quick, has_witness):
    rate, seconds = (20, 4.0) if quick else (100, 40.0)
    kind = "with a witness" if has_witness else "without a witness"
    stage = Stage(report, nodes=3 if has_witness else 2, balancer=None, lifetime=3600)
    # Each node names itself in Record-Route: what belongs to a side's call comes to that side.
    stage.cluster.advertise = []
    if has_witness:
        make_witness(stage.nodes[2])
    relay = through_relay(stage)
    try:
        with stage:
            sides = stage.nodes[:2]
            loads = [Load(stage, rate / 2, Plan(ring=0.02, hold=2.0), to=node.sip) for node in sides]
            stage.phones.wait(lambda: False, 2.0)
            cut_at = now()
            relay.cut = {("n1", "n2")}
            stage.phones.wait(lambda: False, seconds)
            quorums = [(node.status() or {}).get("quorum") for node in sides]
            report.figure(f"{kind}, quorum of both sides while apart", quorums)
            relay.cut = set()
            healed = now()
            both = [node.name for node in stage.nodes]
            stage.cluster.wait_view(both, 10)
            took, answer = settled(stage, max(0.1, healed + 5 - now()))
            report.claim(
                f"{kind}, {seconds:.0f} s apart: equal within 5 s of the healing, under load",
                took is not None,
                f"{now() - healed:.1f} s" if took is not None else summary(answer),
            )
            for load in loads:
                load.stop()
            loads[0].drain(15)
            # An heir finishes a set-up that it knows as ringing: of an answer after the cut it cannot have heard.
            under_way = {
                c.call_id
                for c in loads[0].calls()
                if c.started_at <= cut_at and (c.answered_at is None or c.answered_at > cut_at)
            }
            report.claim(
                f"{kind}: no more INVITEs were under way at the cut than ring at once",
                len(under_way) <= max(3, rate // 10),
                len(under_way),
            )
            claim_calls(report, loads[0], f"{kind}, on both sides", under_way)
            once = Counter(len(p.byes) for p in stage.phones.callee.answered_calls if p.call_id not in under_way)
            report.claim("each callee got one BYE", set(once) == {1}, dict(once))
            empty, held = stage.cluster.wait_held(0, 5, sides)
            report.claim("no node holds a live record", empty, held)
    finally:
        relay.close()


def make_witness(node):
    plain = node.configuration

    def configuration():
        lines = [line for line in plain().splitlines() if not line.startswith("ims_dialog:")]
        text = "\n".join(lines).replace(f"node: {{name: {node.name}}}", f"node: {{name: {node.name}, witness: true}}")
        head, _, rest = text.partition("\nsip:\n")
        return head + "\ncluster:\n" + rest.partition("\ncluster:\n")[2] + "\n"

    node.configuration = configuration


def rolling(report, quick):
    """Each node in turn gets SIGTERM under load and is started again: no call fails."""
    rolled(report, quick, None)


def versions(report, quick):
    """Nodes of the version before (ACCEPTANCE_BEFORE names its program) become this one's one after another, under load:
    no call fails, a kill in between loses none, and all are equal at each step."""
    before = os.environ.get("ACCEPTANCE_BEFORE")
    if not before or not os.access(before, os.X_OK):
        raise Absent("ACCEPTANCE_BEFORE names no program of the version before")
    rolled(report, quick, before)


def rolled(report, quick, before):
    rate, pause = (30, 1.5) if quick else (100, 8.0)
    stage = Stage(report, lifetime=3600)
    for node in stage.nodes:
        node.binary = before
    with stage:
        names = [n.name for n in stage.nodes]
        lasting = stage.establish(20 if quick else 300, 50, stage.front, Plan(hold=None))
        load = Load(stage, rate, Plan(ring=0.02, hold=2.0))
        stage.phones.wait(lambda: False, pause)
        for node in stage.nodes:
            os.kill(node.process.pid, signal.SIGTERM)
            node.process.wait()
            stage.cluster.processes.forget(node.name)
            node.drop_connection()
            node.binary = None
            stage.phones.wait(lambda: False, pause)
            node.start()
            stage.cluster.wait_view(names)
            took, answer = settled(stage)
            report.claim(
                f"{node.name} is back: equal within 5 s, under load",
                took is not None,
                f"{took:.1f} s" if took is not None else summary(answer),
            )
            if before and node is stage.nodes[0]:
                killed(report, stage, lasting)
        load.stop()
        load.drain(40)
        claim_calls(report, load, "meanwhile")
        for call in lasting:
            stage.phones.do(call.hang_up)
        stage.phones.wait(lambda: all(c.requests and c.requests[-1]["done_at"] for c in lasting), 20, 0.2)
        codes = Counter(c.requests[-1]["code"] for c in lasting)
        report.claim("calls that were up all the time end with 200", set(codes) == {200}, dict(codes))
        empty, held = stage.cluster.wait_held(0, 5)
        report.claim("no node holds a live record", empty, held)


def killed(report, stage, lasting):
    """A node of the version before dies beside one of this version: the calls are known to both that are left."""
    victim = stage.nodes[2]
    stage.phones.wait(lambda: False, 1.0)
    moment = victim.kill()
    stage.survivors_notice(victim, moment)
    wanted = {call.call_id for call in lasting}
    lost = {n.name: len(wanted - {d["call_id"] for d in n.dialogs()}) for n in stage.cluster.alive()}
    report.claim("a node of the version before is killed, and its calls are on both others", not any(lost.values()), lost)
    victim.start()
    stage.cluster.wait_view([n.name for n in stage.nodes])


def comparing(report, quick):
    """What a pair spends on questions and answers with hash_size 16384: at most 5 KB/s, equal or busy; and the bytes that
    a call publishes to each peer."""
    rate, seconds = (60, 6.0) if quick else (300, 30.0)
    stage = Stage(report, lifetime=3600)
    relay = through_relay(stage)
    for node in stage.nodes:
        node.configuration = with_buckets(node.configuration)
    try:
        with stage:
            stage.phones.wait(lambda: False, 3.0)
            published = {}
            for what in ("equal", "busy"):
                load = Load(stage, rate, Plan(ring=0.02, hold=2.0)) if what == "busy" else None
                stage.phones.wait(lambda: False, 3.0)
                before, began = Counter(relay.counts), now()
                stage.phones.wait(lambda: False, seconds)
                spent, taken = Counter(relay.counts), now() - began
                spent.subtract(before)
                each = spent["bytes of questions and answers"] / taken / 3
                report.claim(f"{what}: bytes of questions and answers, a second and pair", each <= 5_000, f"{each:.0f}")
                published[what] = spent["bytes published"] / taken
                if load is not None:
                    load.stop()
                    load.drain(15)
                    claim_calls(report, load, what)
            # Each frame goes to two peers.
            a_call = (published["busy"] - published["equal"]) / rate / 2
            report.figure(f"sealed bytes that a call publishes to each peer, at {rate}/s over three nodes", f"{a_call:.0f}")
    finally:
        relay.close()


def with_buckets(plain):
    return lambda: plain().replace("ims_dialog: {", "ims_dialog: {hash_size: 16384, ")
