"""Acceptance: requests that the cluster makes within calls, and a program in a node's process that writes call records."""

import json
import os
import signal
import subprocess
import time
from collections import Counter

from cluster import Failure, find_binary
from loop import now
from party import Plan
from phones import Phones
from stage import Stage


def requests_within(report, quick):
    """Each node is asked for requests to both sides of calls; both phones' next re-INVITEs are accepted, also when the
    node that was asked is killed at once."""
    count = 12 if quick else 60
    with Stage(report) as stage:
        calls = stage.establish(count, 50, stage.front, Plan(hold=None))
        stage.in_every_record(count)
        stage.in_every_record_as("confirmed", calls)
        taken = Counter()
        for number, call in enumerate(calls):
            node = stage.nodes[number % 3]
            for side in ("caller", "callee"):
                method = "INFO" if number % 2 else "REFER"
                answer = (
                    node.rpc("cluster.request", call.call_id, side, "INFO", "X-Note: a\r\n", "text/plain", "hello")
                    if method == "INFO"
                    else node.rpc("cluster.refer", call.call_id, side, "sip:carol@127.0.77.29")
                )
                taken[(answer or {}).get("outcome")] += 1
        report.claim(f"{2 * count} requests were taken", taken == {"taken": 2 * count}, dict(taken))

        def ended():
            return [
                sum(
                    1
                    for call in calls
                    for line in (node.rpc("cluster.dialog", call.call_id) or {}).get("properties", [])
                    if line.startswith("request-") and line.split()[-1].startswith("2")
                )
                for node in stage.nodes
            ]

        everywhere = stage.phones.wait(lambda: ended() == [2 * count] * 3, 10, 0.2)
        report.claim("each was answered, and every node's record says so", everywhere, "" if everywhere else ended())
        reinvite(report, stage, calls, "after them")
        victim = stage.nodes[0]
        for call in calls:
            try:
                victim.rpc("cluster.request", call.call_id, "callee", "INFO")
            except Failure:
                pass
        moment = victim.kill()
        stage.survivors_notice(victim, moment)
        stage.phones.wait(lambda: False, 3.0)
        reinvite(report, stage, calls, f"after {victim.name} was asked and killed")
        old = stage.phones.caller.counts["old_cseq"] + stage.phones.callee.counts["old_cseq"]
        report.claim("no phone has seen a number below one that it had seen", old == 0, old)
        for call in calls:
            stage.phones.do(call.hang_up)
        stage.phones.wait(lambda: all(c.ended_at and c.requests[-1]["done_at"] for c in calls), 10)
        codes = Counter(call.requests[-1]["code"] for call in calls)
        report.claim("and each call was hung up on", codes == {200: count}, dict(codes))


def reinvite(report, stage, calls, when):
    """Each side re-INVITEs, one after the other."""
    callees = stage.phones.callees()
    for role in ("caller", "callee"):
        parties = [call if role == "caller" else callees[call.call_id] for call in calls]
        entries = [stage.phones.do(party.send_request, "INVITE") for party in parties]
        stage.phones.wait(lambda: all(entry["done_at"] for entry in entries), 15)
        codes = Counter(entry["code"] for entry in entries)
        report.claim(f"{when} every {role}'s re-INVITE is accepted", codes == {200: len(calls)}, dict(codes))
        stage.phones.wait(lambda: False, 0.3)


def call_records(report, quick):
    """Three nodes with a program in their process (understudy-records): each call has its record, once, with what was
    noted of it on any node; and a record of each call that was up when a node was killed."""
    count, rate = (60, 30) if quick else (300, 60)
    find_binary("understudy-records")
    with Records(report) as stage:
        stage.phones.place(count, rate, stage.front, Plan(ring=0.02, hold=1.0))
        stage.phones.wait(lambda: sum(1 for c in stage.phones.calls if c.ended_at) == count, count / rate + 15)
        calls = {c.call_id for c in stage.phones.calls if c.answered_at}
        report.claim(f"{count} calls were made", len(calls) == count, stage.phones.summary()["states"])
        stage.phones.wait(lambda: len(stage.records()) >= count, 15, 0.2)
        lines = stage.records()
        ids = Counter(line["id"] for line in lines)
        report.claim(
            "each has its record, once",
            {line["call_id"] for line in lines} == calls and set(ids.values()) == {1},
            f"{len(lines)} lines, {len(ids)} ids",
        )
        tellers = Counter(line["told_by"] for line in lines)
        report.figure("records by the node that wrote them", dict(tellers))
        report.claim("every node has written some", len(tellers) == 3, dict(tellers))
        good = [
            line
            for line in lines
            if line["answered"] and line["ended_by"] == "caller" and 800 <= line["duration_ms"] <= 3000
            and line["variables"].get("entered") == line["home"]
        ]
        report.claim("each says who hung up, how long it was, and where it began", len(good) == count, len(good))

        before = len(stage.phones.calls)
        stage.phones.place(count, rate * 2, stage.front, Plan(ring=0.02, hold=5.0))
        stage.phones.wait(
            lambda: len(stage.phones.calls) == before + count
            and all(c.acked_at or c.failed_at for c in stage.phones.calls[before:]),
            count / rate + 10,
        )
        up = {c.call_id for c in stage.phones.calls[before:] if c.answered_at}
        stage.kill(0)
        stage.phones.wait(lambda: all(c.ended_at or c.failed_at for c in stage.phones.calls), 40)
        stage.phones.wait(lambda: up <= {line["call_id"] for line in stage.records()}, 20, 0.2)
        told = {line["call_id"] for line in stage.records()}
        report.claim(f"after a kill each of {len(up)} calls that were up has its record", up <= told, len(up - told))


class Records(Stage):
    """Nodes of the example program: without management, so they are known by what they print."""

    def __init__(self, report):
        super().__init__(report, balancer="none")
        self.programs = {}

    def __enter__(self):
        binary = find_binary("understudy-records")
        try:
            for node in self.cluster.nodes:
                lines = [line for line in node.configuration().splitlines() if not line.startswith("management:")]
                path = os.path.join(self.folder, node.name + ".yaml")
                with open(path, "w") as file:
                    file.write("\n".join(lines) + "\n")
                with open(node.log, "ab") as log:
                    process = subprocess.Popen(
                        [binary, "--config", path, "--records", self.file(node)],
                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.folder,
                    )
                self.programs[node.name] = process
                self.cluster.processes.note(node.name, process.pid)
            self.cluster.start_balancer()
            end = now() + 20
            while now() < end and not all(self.is_ready(node) for node in self.cluster.nodes):
                time.sleep(0.1)
            time.sleep(4)  # They find each other: nobody can be asked.
            self.phones = Phones((f"{self.net}.22", 5080), (f"{self.net}.21", 5070))
        except BaseException:
            self.__exit__(Failure, None, None)
            raise
        return self

    def is_ready(self, node):
        with open(node.log, "rb") as file:
            return b"node ready" in file.read()

    def file(self, node):
        return os.path.join(self.folder, node.name + ".records")

    def records(self):
        lines = []
        for node in self.cluster.nodes:
            if os.path.exists(self.file(node)):
                with open(self.file(node)) as file:
                    lines += [json.loads(line) for line in file.read().splitlines() if line.endswith("}")]
        return lines

    def kill(self, number):
        process = self.programs[self.cluster.nodes[number].name]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
