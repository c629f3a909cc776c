"""Acceptance: three hosts with the shipped configuration, in which only addresses were changed, and management on
loopback: what an operator on one of them is told of all. Network namespaces stand for hosts; without them it is skipped.
"""

import json
import os
import re
import signal
import subprocess
import time

from cluster import ROOT, Failure
from loop import now
from namespaces import Network
from party import Plan
from stage import Stage

NET = "192.0.2"  # The addresses of the shipped file.


def shipped(node, key):
    """Deploy/understudy.yaml as a node's own: its name, its addresses, its peers, its key."""
    with open(os.path.join(ROOT, "Deploy", "understudy.yaml")) as file:
        text = file.read()
    others = [f"tcp://{other.host}:7400" for other in node.cluster.nodes if other is not node]
    for before, after in (
        ("  name: n1 ", f"  name: {node.name} "),
        ("listen: [udp://192.0.2.11:5060]", f"listen: [udp://{node.host}:5060]"),
        ("bus: tcp://192.0.2.11:7400", f"bus: tcp://{node.host}:7400"),
        ("peers: [tcp://192.0.2.12:7400, tcp://192.0.2.13:7400]", f"peers: [{', '.join(others)}]"),
        ("key-file: /etc/understudy/cluster.key", f"key-file: {key}"),
    ):
        if text.count(before) != 1:
            raise Failure(f"Deploy/understudy.yaml should have once: {before}")
        text = text.replace(before, after)
    return text


class Hosts:
    """The nodes in their namespaces, and the command line on each of them."""

    def __init__(self, stage, network, report):
        self.stage, self.network, self.report = stage, network, report
        self.binary = stage.cluster.binary

    def run(self, number, *words):
        command = ["ip", "netns", "exec", self.network.names[number - 1], self.binary, *words]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("UNDERSTUDY_")}
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
        return result.returncode, result.stdout + result.stderr

    def claim(self, text, number, words, code, *patterns, seconds=15):
        """On that host the command comes to end so, and says all of this."""
        end = now() + seconds
        while True:
            got, said = self.run(number, *words.split())
            good = got == code and all(re.search(pattern, said, re.MULTILINE) for pattern in patterns)
            if good or now() > end:
                return self.report.claim(f"{text}: {words}", good, f"exit {got}: {' | '.join(said.strip().splitlines())[:300]}")
            time.sleep(0.2)


def three_hosts(report, quick):
    """The shipped files on three hosts with management on loopback: one node is asked, and it asks the others."""
    count = 5 if quick else 50
    with Network(NET) as network:
        stage = Stage(report, net=NET, namespace=network.prefix)
        key, other_key = (os.path.join(stage.folder, name) for name in ("cluster.key", "other.key"))
        for path in (key, other_key):
            subprocess.run([stage.cluster.binary, "key", "new", path], check=True, capture_output=True, timeout=20)
        for node in stage.nodes:
            node.configuration = lambda node=node: shipped(node, key)
        with stage:
            hosts = Hosts(stage, network, report)
            one, two, three = stage.nodes
            stage.establish(count, 50, stage.front, Plan(hold=None))
            stage.in_every_record(count)
            equal = rf"^equal: {count} dialogs on n1, n2, n3$"
            for number in (1, 2, 3):
                hosts.claim(f"on host {number} all are asked and equal", number, "check", 0, equal)
            code, said = hosts.run(1, "check", "--json")
            answer = json.loads(said) if code == 0 else {}
            good = answer.get("equal") is True and answer.get("members") == ["n1", "n2", "n3"] and answer.get("dialogs") == count
            report.claim("as JSON likewise", good, said.strip()[:200])
            hosts.claim("another member is asked by name", 1, "status --node n2", 0, r"^node      n2 of production, up, ready")
            hosts.claim("of several names each", 3, "check --node n1 --node n2 --partial", 0, r"^equal: \d+ dialogs on n1, n2$")
            hosts.claim("what the bus does not carry is refused, not answered by another", 1, "dialogs list --node n2", 2, r"answers as n1")
            hosts.claim("the node of the name drains", 1, "drain n2", 0, r"^n2 is draining")
            hosts.claim("and no other", 1, "status", 0, r"^node      n1 of production, up, ready")
            hosts.claim("as it says itself", 2, "status", 0, r"^node      n2 of production, draining")
            hosts.claim("until it is told again", 3, "undrain n2", 0, r"^n2 is up")
            hosts.claim("no member of that name", 1, "drain n9", 2, r"no member is called n9; there are: n1, n2, n3")
            hosts.claim("all read their files again", 1, "reload --all", 0, r"^n1: nothing has changed$", r"^n2: nothing has changed$", r"^n3: nothing has changed$")
            code, said = hosts.run(1, "rpc", "cluster.ask", "n2", "cluster.dialog.end", '["0000000000000001"]')
            report.claim("no call is ended over the bus", code == 1 and "may not be asked over the bus" in said, said.strip()[:120])

            network.cut(3)
            hosts.claim("who is cut off is told of", 1, "check", 2, r"n3 was not asked: down: silent for \d+ s", r"^not all asked: \d+ dialogs equal on n1, n2; not asked: n3$")
            hosts.claim("and is told that it is", 3, "check", 2, r"n1 was not asked: down: silent", r"n2 was not asked: down: silent")
            hosts.claim("it cannot be drained", 1, "drain n3", 2, r"n1 does not hear n3")
            hosts.claim("nor reload", 1, "reload --all", 2, r"n3 was not asked: n1 does not hear n3", r"^n2: nothing has changed$")
            network.cut(3, False)
            hosts.claim("back again all are equal", 1, "check", 0, equal)

            three.stop()
            hosts.claim("who was stopped is told of", 1, "check", 2, r"n3 was not asked: it left in good order, \d+ s ago$")
            three.configuration = lambda: shipped(three, other_key)
            three.start(wait=False)
            hosts.claim("another key is told of, by name", 1, "check", 2, r"n3 was not asked: .*frames of n3 come to n\d with another cluster.name or cluster key")
            hosts.claim("on both sides", 3, "check", 2, r"frames of n1, n2 come with another cluster.name or cluster key")
            three.stop()
            three.configuration = lambda: shipped(three, key)
            three.start()
            hosts.claim("with the right key all are equal", 2, "check", 0, equal)
            three.stop(number=signal.SIGKILL)
            hosts.claim("who died is told of", 1, "check", 2, r"n3 was not asked: down: its process is gone")
            hosts.claim("those that are left can be compared", 1, "check --partial", 0, rf"^equal: {count} dialogs on n1, n2; not asked: n3$")
