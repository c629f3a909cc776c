"""The stage of the cases with independent peers: nodes with every transport, and foreign programs as processes.

There are no telephones of our own on it. What a program says is one side of each claim, what the nodes list is the
other.
"""

import os
import shutil
import subprocess
import time

from certificates import Certificates
from cluster import ROOT, Cluster, Failure
from loop import now
from nodestage import NodeStage

NET = os.environ.get("ACCEPTANCE_PEERS_NET", "127.0.78")  # A /24 of its own, beside the other cases.
SCENARIOS = os.path.join(ROOT, "Deploy", "sipp")


def advertised(last, net=NET):
    """For sip.advertise: one URI a transport, all of one host."""
    ports = {"tcp": 5060, "tls": 5061, "ws": 8088, "wss": 8089}
    return [f"sip:{net}.{last}:5060"] + [f"sip:{net}.{last}:{port};transport={name}" for name, port in ports.items()]


class Absent(Exception):
    """A peer that is not installed: the case is skipped aloud, with what would bring it."""


def require(program, package):
    if shutil.which(program) is None and not os.access(f"/usr/sbin/{program}", os.X_OK):
        raise Absent(f"{program} is not installed: apt-get install {package}")
    return shutil.which(program) or f"/usr/sbin/{program}"


class PeerStage(NodeStage):
    """The nodes, and every program that a case starts beside them."""

    harmless = (None, Absent)

    def __init__(self, report, nodes=3, lifetime=43200, advertise=(), sip_lines=(), extra_lines=(), net=NET):
        super().__init__(report, "peers")
        self.net = net
        addresses = [f"{net}.{last}" for last in (10, 11, 12, 13, 21, 22, 23, 24)]
        self.certificates = Certificates(os.path.join(self.folder, "tls"), addresses)
        self.cluster = Cluster(
            self.folder,
            nodes,
            net,
            lifetime,
            name="peers",
            certificates=self.certificates,
            advertise=list(advertise),
            sip_lines=sip_lines,
            extra_lines=extra_lines,
        )
        self.programs = {}

    def clear_away(self):
        super().clear_away()
        for program in self.programs.values():
            program.wait()

    def host(self, last):
        return f"{self.net}.{last}"

    def trace(self, name):
        """Where a telephone of our own writes its messages: nowhere unless ACCEPTANCE_TRACE is set."""
        return self.path(name + ".messages") if os.environ.get("ACCEPTANCE_TRACE") else None

    def start(self, name, command, environment=None, talk=False):
        """A program in a session of its own; what it says goes to NAME.log. With `talk` it is talked to over pipes."""
        log = open(self.path(name + ".log"), "ab")
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if talk else subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=self.folder,
            env={**os.environ, **(environment or {})},
        )
        log.close()
        self.cluster.processes.note(name, process.pid)
        self.programs[name] = process
        return process

    def end(self, name, patience=3.0):
        """SIGTERM, and SIGKILL if that is not enough. Its log stays."""
        process = self.programs.pop(name)
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.cluster.processes.forget(name)

    def said(self, name):
        """All that a program has said so far."""
        try:
            with open(self.path(name + ".log"), errors="replace") as log:
                return log.read()
        except OSError:
            return ""

    def tail(self, name, lines=6):
        return " | ".join(line for line in self.said(name).splitlines()[-lines:] if line.strip())

    # -- What the nodes hold

    def listed(self):
        """For each live node: state by Call-ID, as `understudy dialogs list --json` has it."""
        return {node.name: {d["call_id"]: d["state"] for d in node.dialogs()} for node in self.cluster.alive()}

    def all_confirmed(self, count, seconds=5):
        """Waits until every live node lists exactly `count` dialogs, all confirmed; answers whether, and what it saw."""
        end = now() + seconds
        while True:
            states = {name: sorted(s for s in held.values() if s != "deleted") for name, held in self.listed().items()}
            good = all(held == ["confirmed"] * count for held in states.values())
            if good or now() > end:
                return good, {name: len(held) if good else held[:4] for name, held in states.items()}
            time.sleep(0.1)

    def none_left(self, seconds=5):
        return self.cluster.wait_held(0, seconds)

    def metric(self, name, nodes=None):
        """The sum of a metric over the live nodes."""
        total = 0
        for node in nodes or self.cluster.alive():
            total += metrics(node)[name]
        return total


class Metrics(dict):
    """Values by name. One that is not there fails the case: what is not counted at all is not 0."""

    def __init__(self, node):
        super().__init__()
        self.node = node

    def __missing__(self, name):
        raise Failure(f"{self.node} has no metric {name}")


def metrics(node):
    """A node's metrics without labels, by name."""
    import http.client

    connection = http.client.HTTPConnection(*node.management, timeout=5)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    values = Metrics(node.name)
    for line in text.splitlines():
        if line and not line.startswith("#") and "{" not in line:
            name, _, value = line.partition(" ")
            values[name] = float(value)
    return values


class Sipp:
    """SIPp as caller or callee: `start` it, then `result`."""

    def __init__(self, stage, name):
        self.stage, self.name, self.process = stage, name, None

    def start(self, scenario, host, port, transport="u1", to=None, callee=None, options=(), errors=True):
        require("sipp", "sip-tester")
        command = [
            "sipp",
            "-sf",
            os.path.join(SCENARIOS, scenario),
            "-i",
            host,
            "-p",
            str(port),
            "-mi",
            host,
            "-t",
            transport,
            "-s",
            "bob",
            "-nostdin",
            "-skip_rlimit",
            "-cp",
            str(22000 + len(self.stage.programs)),
        ]
        if errors:  # Under load a line for every datagram that comes late would make more of them late.
            command += ["-trace_err", "-error_file", self.stage.path(self.name + ".errors")]
        if callee is not None:
            table = self.stage.path(self.name + ".csv")
            with open(table, "w") as file:
                file.write(f"SEQUENTIAL\n{callee[0]};{callee[1]};\n")
            command += ["-inf", table]
        if to is not None:
            command.append(f"{to[0]}:{to[1]}")
        self.process = self.stage.start(self.name, command + [str(o) for o in options], {"TERM": "dumb"})
        return self

    def result(self, seconds):
        """Exit code, or None when it had not ended within `seconds` (it is ended then)."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stage.end(self.name)
            return None

    def errors(self, limit=300):
        try:
            with open(self.stage.path(self.name + ".errors"), errors="replace") as file:
                return " ".join(file.read().split())[:limit]
        except OSError:
            return ""
