"""Hosts in small: network namespaces on one bridge, each with a loopback of its own. They need root.

namespace HUB (bridge br0): balancer .10, phones .21 .22, or whom the case names
   ├── veth ── namespace n1: .11, and .101 where the bus has an address of its own
   ├── veth ── namespace n2: .12
   └── …
"""

import os
import subprocess

from cluster import Failure
from peerstage import Absent

PREFIX = "understudy"


def ip(*arguments):
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=20)
    if result.returncode != 0:
        raise Failure(f"ip {' '.join(arguments)}: {result.stderr.strip()}")


class Network:
    """The namespaces of the picture above; they are removed at the end. A case is skipped where they cannot be made."""

    def __init__(self, net, nodes=3, bus_addresses=False, hub_hosts=(10, 21, 22)):
        self.net, self.bus_addresses, self.hub_hosts = net, bus_addresses, hub_hosts
        self.prefix = f"{PREFIX}{os.getpid()}"
        self.hub = f"{self.prefix}-hub"
        self.names = [f"{self.prefix}-n{number}" for number in range(1, nodes + 1)]
        self.made = []

    def __enter__(self):
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def add(self, name):
        ip("netns", "add", name)
        self.made.append(name)
        ip("-n", name, "link", "set", "lo", "up")

    def make(self):
        try:
            self.add(self.hub)
            ip("-n", self.hub, "link", "add", "br0", "type", "bridge")
        except (Failure, FileNotFoundError) as refused:
            raise Absent(f"network namespaces cannot be made here: {refused}") from refused
        ip("-n", self.hub, "link", "set", "br0", "up")
        for last in self.hub_hosts:
            ip("-n", self.hub, "addr", "add", f"{self.net}.{last}/24", "dev", "br0")
        for number, name in enumerate(self.names, 1):
            self.add(name)
            ip("link", "add", f"v{number}", "netns", self.hub, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("-n", self.hub, "link", "set", f"v{number}", "master", "br0", "up")
            ip("-n", name, "link", "set", "eth0", "up")
            if self.bus_addresses:
                ip("-n", name, "addr", "add", f"{self.net}.{100 + number}/24", "dev", "eth0")
            ip("-n", name, "addr", "add", f"{self.net}.{10 + number}/24", "dev", "eth0")

    def __exit__(self, *_):
        for name in self.made:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=20, check=False)

    def cut(self, number, is_cut=True):
        """Takes the cable of a node out, or plugs it in again."""
        ip("-n", self.hub, "link", "set", f"v{number}", "down" if is_cut else "up")

    def move(self, last, from_number, to_number):
        """Gives an address of one namespace to another, as VRRP does, and makes everybody forget where it was."""
        ip("-n", self.names[from_number - 1], "addr", "del", f"{self.net}.{last}/24", "dev", "eth0")
        ip("-n", self.names[to_number - 1], "addr", "add", f"{self.net}.{last}/24", "dev", "eth0")
        for name in [self.hub] + self.names:
            device = "br0" if name == self.hub else "eth0"
            ip("-n", name, "neigh", "flush", "dev", device)
