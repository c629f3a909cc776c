"""Acceptance: a dead node's service address moves to a survivor, as VRRP would do it. Needs root: network namespaces.

namespace HUB (bridge br0): phones .21 .22, balancer .10
   ├── veth ── namespace n1: bus 10.77.5.101, service address 10.77.5.11
   ├── veth ── namespace n2: bus 10.77.5.102, service address 10.77.5.12   ◀── gets .11 when n1 is killed
   └── veth ── namespace n3: bus 10.77.5.103, service address 10.77.5.13
"""

import os
import subprocess
from collections import Counter

from cluster import Failure, require_root
from party import Plan
from stage import Stage

NET, PREFIX = "10.77.5", "understudy"


def ip(*arguments):
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=20)
    if result.returncode != 0:
        raise Failure(f"ip {' '.join(arguments)}: {result.stderr.strip()}")


class Network:
    """The namespaces of the picture above; they are removed at the end."""

    def __init__(self, nodes=3, net=NET, hub_hosts=(10, 21, 22)):
        self.net, self.hub_hosts = net, hub_hosts
        self.prefix = f"{PREFIX}{os.getpid()}"
        self.hub = f"{self.prefix}-hub"
        self.names = [f"{self.prefix}-n{number}" for number in range(1, nodes + 1)]
        self.made = []

    def __enter__(self):
        require_root("a network of its own")
        try:
            for name in [self.hub] + self.names:
                ip("netns", "add", name)
                self.made.append(name)
                ip("-n", name, "link", "set", "lo", "up")
            ip("-n", self.hub, "link", "add", "br0", "type", "bridge")
            ip("-n", self.hub, "link", "set", "br0", "up")
            for last in self.hub_hosts:
                ip("-n", self.hub, "addr", "add", f"{self.net}.{last}/24", "dev", "br0")
            for number, name in enumerate(self.names, 1):
                ip(
                    "link",
                    "add",
                    f"v{number}",
                    "netns",
                    self.hub,
                    "type",
                    "veth",
                    "peer",
                    "name",
                    "eth0",
                    "netns",
                    name,
                )
                ip("-n", self.hub, "link", "set", f"v{number}", "master", "br0", "up")
                ip("-n", name, "link", "set", "eth0", "up")
                ip("-n", name, "addr", "add", f"{self.net}.{100 + number}/24", "dev", "eth0")
                ip("-n", name, "addr", "add", f"{self.net}.{10 + number}/24", "dev", "eth0")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in self.made:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=20, check=False)

    def move(self, last, from_number, to_number):
        """Gives an address of one namespace to another, as VRRP does, and makes everybody forget where it was."""
        ip("-n", self.names[from_number - 1], "addr", "del", f"{self.net}.{last}/24", "dev", "eth0")
        ip("-n", self.names[to_number - 1], "addr", "add", f"{self.net}.{last}/24", "dev", "eth0")
        for name in [self.hub] + self.names:
            device = "br0" if name == self.hub else "eth0"
            ip("-n", name, "neigh", "flush", "dev", device)


def moved_address(report, quick):
    """Killed while ringing, its service address moved to a survivor: the callee's answer goes through."""
    count = 5 if quick else 20
    with Network() as network, Stage(report, net=NET, namespace=network.prefix, service_addresses=True) as stage:
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
