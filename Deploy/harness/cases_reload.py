"""Acceptance: a running node reads its configuration again: routes, peers, the log's level; and what it refuses."""

import os
import re
import shutil
import signal
import tempfile
import time

from cases_operator import run
from cluster import Cluster
from loop import now
from party import Plan
from phones import Phones

NET = "127.0.77"
GONE = f"sip:{NET}.29:5070"
THERE = f"sip:{NET}.21:5070"


class Files:
    """The nodes' files, written again while they run."""

    def __init__(self, cluster, peers):
        self.cluster, self.peers = cluster, peers
        self.target, self.more = GONE, []

    def text(self, node):
        others = [f"tcp://{self.cluster.nodes[number - 1].host}:7400" for number in self.peers if number != node.number]
        lines = [
            f"node: {{name: {node.name}}}",
            f"sip: {{listen: [udp://{node.host}:5060]}}",
            "cluster:",
            "  name: acceptance",
            f"  bus: tcp://{node.host}:7400",
            f"  peers: [{', '.join(others)}]",
            f"routes: [{{match: \"sip:.*@example.org\", to: [\"{self.target}\"]}}]",
            f"management: {{http: {node.host}:8080}}",
        ]
        return "\n".join(lines + self.more) + "\n"

    def write(self):
        for node in self.cluster.nodes:
            with open(os.path.join(self.cluster.folder, node.name + ".yaml"), "w") as file:
                file.write(self.text(node))


def reload(report, quick):
    """SIGHUP and `reload --all`: routes, peers and the log's level hold at once; a bad file, or one without a live peer,
    changes nothing."""
    folder = tempfile.mkdtemp(prefix="understudy-reload-")
    phones = None
    try:
        with Cluster(folder, 3, advertise=[]) as cluster:
            one, two, three = cluster.nodes
            files = Files(cluster, [1, 2])
            for node in cluster.nodes:
                node.configuration = lambda node=node: files.text(node)
            one.start(wait=False)
            two.start(wait=False)
            one.wait_ready()
            two.wait_ready()
            phones = Phones((f"{NET}.22", 5080), (f"{NET}.21", 5070))

            def told(text, words, code, *patterns, seconds=10):
                end = now() + seconds
                while True:
                    got, said = run(cluster.binary, [*words, "--node", one.url])
                    good = got == code and all(re.search(pattern, said, re.MULTILINE) for pattern in patterns)
                    if good or now() > end:
                        return report.claim(text, good, f"exit {got}: {' | '.join(said.strip().splitlines())[:300]}")
                    time.sleep(0.2)

            def targets(node):
                return [target["uri"] for target in node.rpc("cluster.targets")["targets"]]

            def call():
                before = len(phones.calls)
                phones.place(1, 10, one.sip, Plan(hold=None), "sip:bob@example.org")
                phones.wait(lambda: any(c.acked_at or c.state == "failed" for c in list(phones.calls)[before:]), 5)
                return phones.calls[before]

            files.target = THERE
            files.write()
            report.claim("a file that was written is not read by itself", targets(one) == [GONE], targets(one))
            os.kill(one.process.pid, signal.SIGHUP)
            phones.wait(lambda: targets(one) == [THERE], 5)
            report.claim("SIGHUP takes the route", targets(one) == [THERE], targets(one))
            report.claim("on that node alone", targets(two) == [GONE], targets(two))
            placed = call()
            report.claim("and calls go by it", placed.acked_at is not None, placed.code)
            told("the rest by one command", ["reload", "--all"], 0, r"^n1: nothing has changed$", r"^n2: changed: routes$")
            report.claim("which holds there, too", targets(two) == [THERE], targets(two))

            files.more = ["sip.t1-ms: fast"]
            files.target = GONE
            files.write()
            told("a bad file is refused", ["reload"], 1, r"refused, nothing was changed: sip.t1-ms: 'fast' is not a time")
            report.claim("and changes nothing", targets(one) == [THERE], targets(one))
            files.more = ["sip.t1-ms: 400", "node.log-level: debug"]
            files.target = THERE
            files.write()
            told("what needs a restart is named beside what was taken", ["reload"], 0, r"^changed: node.log-level$", r"^needs a restart: sip.t1-ms$")
            told("the log's level holds", ["log-level"], 0, r"^debug$")
            files.more = []
            files.write()
            told("until the file says otherwise", ["reload"], 0, r"^changed: node.log-level$")
            told("or nothing", ["log-level"], 0, r"^info$")

            files.peers = [1, 2, 3]
            files.write()
            told("a third node is put into the list", ["reload", "--all"], 0, r"^n1: changed: cluster.peers$", r"^n2: changed: cluster.peers$")
            told("and waited for", ["check"], 2, rf"{NET}.13:7400 was not asked: never heard by n1, n2")
            three.start()
            took = cluster.wait_view(["n1", "n2", "n3"])
            report.figure("the third node in every view after", f"{took * 1000:.0f} ms")
            told("it has what the others have", ["check"], 0, r"^equal: 1 dialog on n1, n2, n3$")
            files.peers = [1, 2]
            files.write()
            told("a node that is up is not taken out", ["reload"], 1, rf"refused, nothing was changed: cluster.peers: {NET}.13:7400 is n3, which is up: stop it first")
            told("and stays a member", ["check"], 0, r"^equal: 1 dialog on n1, n2, n3$")
            os.kill(three.process.pid, signal.SIGTERM)
            three.process.wait()
            cluster.processes.forget("n3")
            cluster.wait_view(["n1", "n2"])
            told("one that has left is", ["reload", "--all"], 0, r"^n1: changed: cluster.peers$", r"^n2: changed: cluster.peers$")
            told("and nobody misses it", ["check"], 0, r"^equal: 1 dialog on n1, n2$")
    finally:
        if phones is not None:
            phones.close()
        shutil.rmtree(folder, ignore_errors=True)
