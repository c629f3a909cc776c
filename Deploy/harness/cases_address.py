"""Acceptance: a dead node's service address moves to a survivor, as VRRP would do it. Needs root: network namespaces.

namespace HUB (bridge br0): phones .21 .22, balancer .10
   ├── veth ── namespace n1: bus 10.77.5.101, service address 10.77.5.11
   ├── veth ── namespace n2: bus 10.77.5.102, service address 10.77.5.12   ◀── gets .11 when n1 is killed
   └── veth ── namespace n3: bus 10.77.5.103, service address 10.77.5.13
"""

from collections import Counter

from cluster import Failure, require_root
from namespaces import Network
from party import Plan
from stage import Stage

NET = "10.77.5"


def moved_address(report, quick):
    """Killed while ringing, its service address moved to a survivor: the callee's answer goes through."""
    count = 5 if quick else 20
    require_root("moving an address")
    with Network(NET, bus_addresses=True) as network, Stage(report, net=NET, namespace=network.prefix, service_addresses=True) as stage:
        plan = Plan(ring=5.0, hold=None)
        first = stage.nodes[0]
        stage.phones.place(count, 50, first.sip, plan)
        if not stage.phones.wait(lambda: sum(c.state == "ringing" for c in list(stage.phones.calls)) == count, 4):
            raise Failure(f"not every call rings: {stage.phones.summary()}")
        stage.in_every_record(count)
        moment = first.kill()
        network.move(11, 1, 2)
        stage.survivors_notice(first, moment)
        calls = list(stage.phones.calls)
        stage.phones.wait(lambda: all(c.acked_at or c.state == "failed" for c in calls), 12)
        callees = stage.phones.callees()
        codes = Counter(c.code for c in calls)
        report.claim("every caller has the callee's 200", set(codes) == {200}, dict(codes))
        stage.phones.wait(lambda: all(callees[c.call_id].acked_at for c in calls), 5)
        acked = sum(1 for c in calls if callees[c.call_id].acked_at)
        report.claim("every callee has its ACK", acked == count, f"{acked} of {count}")
        good, held = stage.cluster.wait_held(count, 3)
        counts = {n.name: ((n.status() or {}).get("dialogs") or {}).get("confirmed") for n in stage.cluster.alive()}
        report.claim("the survivors have every dialog, confirmed", good and set(counts.values()) == {count}, counts)
        stage.phones.wait(lambda: False, 3.0)
        for call in calls:
            stage.phones.do(call.hang_up)
        stage.phones.wait(lambda: all(c.requests and c.requests[-1]["done_at"] for c in calls), 10)
        codes = Counter(c.requests[-1]["code"] for c in calls if c.requests)
        report.claim("BYE is answered 200", set(codes) == {200}, dict(codes))
        stage.explain([c for c in calls if c.code != 200])
