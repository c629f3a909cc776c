"""Acceptance: what strangers do to a node must not reach the calls of others."""

import json
import os
import signal
import socket
import sys
import time
from collections import Counter

import sip
from loop import now
from peerstage import PeerStage, Sipp, metrics

HERE = os.path.dirname(os.path.abspath(__file__))
CROWD_NET = "127.0.79"
MEGABYTE = 1 << 20


def resident(node):
    """Resident memory of a node, in megabytes."""
    with open(f"/proc/{node.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / MEGABYTE


def descriptors(node):
    return len(os.listdir(f"/proc/{node.process.pid}/fd"))


def cpu_seconds(process):
    with open(f"/proc/{process.pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class SteadyLoad:
    """SIPp calls over UDP through some nodes at a steady rate until `finish`; not one may fail."""

    def __init__(self, stage, nodes, rate, port=5700):
        self.stage, self.callers, self.rate, self.good = stage, [], rate, 0
        Sipp(stage, "load-callee").start("callee_serves.xml", stage.host(21), port, options=["-d", 200])
        for index, node in enumerate(nodes):
            options = ["-d", 200, "-l", 4 * rate + 100, "-r", rate, "-timeout", "600s"]
            self.callers.append(
                Sipp(stage, f"load-{node.name}").start(
                    "caller_ends.xml",
                    stage.host(22 + index),
                    port,
                    "u1",
                    node.sip,
                    (f"{stage.host(21)}:{port}", "udp"),
                    options + ["-trace_stat", "-stf", stage.path(f"load-{node.name}.stat"), "-fd", 1],
                )
            )

    def figures(self):
        """(calls that succeeded, that failed, datagrams repeated) so far, of all callers, by SIPp's statistics."""
        totals = [0, 0, 0]
        for caller in self.callers:
            try:
                with open(self.stage.path(f"{caller.name}.stat")) as file:
                    lines = file.read().splitlines()
            except OSError:
                continue
            if len(lines) < 2:
                continue
            row = dict(zip(lines[0].split(";"), lines[-1].split(";"), strict=False))
            for index, key in enumerate(("SuccessfulCall(C)", "FailedCall(C)", "Retransmissions(C)")):
                totals[index] += int(row[key])
        return totals

    def claim_so_far(self, report, when):
        wait_for(lambda: self.figures()[0] > self.good, 5)  # SIPp writes its statistics once a second.
        good, bad, again = self.figures()
        report.claim(
            f"{when}: the calls go on, none failed",
            good > self.good and bad == 0,
            f"{good} good, {bad} failed, {again} repeats",
        )
        self.good = good

    def finish(self, report, seconds):
        for caller in self.callers:
            caller.process.send_signal(signal.SIGUSR1)  # No new calls; it ends with the last one.
        codes = [caller.result(seconds) for caller in self.callers]
        self.stage.end("load-callee")
        good, bad, again = self.figures()
        errors = " ".join(caller.errors(200) for caller in self.callers)
        report.claim(
            f"every call of the steady load went through, {self.rate} a second on each of {len(codes)} nodes",
            codes == [0] * len(codes) and bad == 0,
            f"SIPp ended with {codes}; {good} good, {bad} failed, {again} repeats {errors}",
        )


class Crowd:
    """One crowd.py process; `line` waits for what it says."""

    def __init__(self, stage, name, *arguments):
        self.stage, self.name, self.read = stage, name, 0
        command = [sys.executable, os.path.join(HERE, "crowd.py"), *map(str, arguments)]
        self.process = stage.start(name, command, talk=True)

    def line(self, seconds):
        end = now() + seconds
        while now() < end:
            lines = [text for text in self.stage.said(self.name).splitlines() if text.startswith("{")]
            if len(lines) > self.read:
                self.read += 1
                return json.loads(lines[self.read - 1])
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        return {}

    def go(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()


def robust(report, quick):
    """Thousands of connections, slow ones, enormous messages, a flood: the calls of others go on, memory is bounded."""
    count, rate = (500, 20) if quick else (10000, 40)
    sip_lines = [
        "tcp:",
        f"  connection-limit: {count + count // 10 + 600}",
        f"  connections-per-source: {count // 10}",
        "  message-timeout-s: 5",
        "  connect-timeout-ms: 4000",
    ]
    extra = ["limits: {source-per-second: 200}"]
    with PeerStage(report, sip_lines=sip_lines, extra_lines=extra) as stage:
        first, second = stage.nodes[0], stage.nodes[1]
        load = SteadyLoad(stage, [first, second], rate)
        time.sleep(3)
        before = {node.name: resident(node) for node in stage.nodes}
        crowds = hold(report, stage, load, count, quick)
        nuisances(report, stage, load, count, quick)
        churn(report, stage, load, first, count, 5 if quick else 20)
        flood(report, stage, load, first, 3 if quick else 10)
        for transport, crowd in crowds.items():
            crowd.go()
            closed = crowd.line(30).get("closed_by_the_node")
            report.claim(
                f"none of the {count} quiet {transport} connections was closed by the node", closed == 0, closed
            )
            crowd.process.wait(90)  # Python takes its time over the end of so many; the figures are there already.
        after = {node.name: resident(node) for node in stage.nodes}
        gone = wait_for(lambda: connections(first) + connections(second) <= 2, 15)
        report.claim("their connections are gone from the nodes", gone, [connections(first), connections(second)])
        report.figure("resident MB before, and at the end", f"{rounded(before)}, {rounded(after)}")
        load.finish(report, 40)
        empty, held = stage.none_left(10)
        report.claim("no node holds a live record", empty, held)
        report.claim("every node is up", all((n.status() or {}).get("state") == "up" for n in stage.nodes))


def rounded(values):
    return {name: round(value) for name, value in values.items()}


def connections(node):
    return int(metrics(node)["understudy_connections"])


def wait_for(condition, seconds):
    end = now() + seconds
    while now() < end:
        if condition():
            return True
        time.sleep(0.2)
    return condition()


def hold(report, stage, load, count, quick):
    """The quiet crowd: TCP on the first node, TLS on the second, all at once."""
    crowds, first, second = {}, stage.nodes[0], stage.nodes[1]
    base = {node.name: resident(node) for node in (first, second)}
    for transport, node, port, start in (("tcp", first, 5060, 1), ("tls", second, 5061, 101)):
        crowds[transport] = Crowd(
            stage,
            f"crowd-{transport}",
            "hold",
            transport,
            node.host,
            port,
            count,
            CROWD_NET,
            start,
            20,
            stage.certificates.authority,
        )
    for transport, node in (("tcp", first), ("tls", second)):
        seen = crowds[transport].line(60 if quick else 150)
        report.claim(
            f"{count} connections over {transport} are open, every hundredth is answered",
            seen.get("open") == count and seen.get("answered") == seen.get("asked") == count // 100,
            f"{seen} {'' if seen else stage.tail(crowds[transport].name)}",
        )
        there = connections(node)
        report.claim(f"{node.name} counts them", there >= count, there)
        grown = resident(node) - base[node.name]
        limit = {"tcp": 16, "tls": 96}[transport]
        report.claim(
            f"{node.name}: at most {limit} KB of memory a connection, and 32 MB",
            grown <= 32 + count * limit / 1024,
            f"{grown:.0f} MB more for {count}, {grown * 1024 / count:.1f} KB each; {resident(node):.0f} MB in all",
        )
    load.claim_so_far(report, "with all of them open")
    return crowds


def nuisances(report, stage, load, count, quick):
    """Each kind on its own; what the node counts must be what was done to it."""
    first = stage.nodes[0]
    many = 10 if quick else 50
    kinds = [
        ("loris", 5060, many, "understudy_connections_slow_total", "a byte a second"),
        ("header", 5060, many, "understudy_stream_faults_total", "a header of a megabyte"),
        ("headers", 5060, many, "understudy_stream_faults_total", "100 000 header lines"),
        ("deaf", 5060, 3, "understudy_connections_backlogged_total", "answers that nobody reads"),
        ("silent", 5061, many, "understudy_connections_not_opened_in_time_total", "a handshake that never comes"),
    ]
    for index, (kind, port, times, counter, words) in enumerate(kinds):
        before, memory = metrics(first)[counter], resident(first)
        crowd = Crowd(stage, f"crowd-{kind}", kind, first.host, port, f"{CROWD_NET}.{200 + index}", times)
        seen = crowd.line(45)
        crowd.process.wait(10)
        counted = metrics(first)[counter] - before
        report.claim(
            f"{words}: all {times} are closed and counted",
            seen.get("ends") == {"closed": times} and counted >= times,
            f"{seen} {'' if seen else stage.tail(crowd.name)}; {counter} rose by {counted:.0f}",
        )
        grown = resident(first) - memory
        report.claim(f"{words}: the node's memory is bounded", grown < 64, f"{grown:+.0f} MB")
        load.claim_so_far(report, words)
    before = metrics(first)["understudy_connections_refused_by_source_total"]
    limit = count // 10
    crowd = Crowd(stage, "crowd-pushy", "pushy", first.host, 5060, f"{CROWD_NET}.210", limit + 50)
    seen = crowd.line(30)
    crowd.process.wait(10)
    counted = metrics(first)["understudy_connections_refused_by_source_total"] - before
    report.claim(
        f"{limit + 50} connections from one address: {limit} are kept, the others refused and counted",
        seen.get("kept") == limit and counted == 50,
        f"{seen}; counted {counted:.0f}",
    )


def churn(report, stage, load, node, count, seconds):
    """Connections that come and go in the middle of a message; the second round must find nothing of the first."""
    quiet, files = connections(node), descriptors(node)
    began, memory = metrics(node)["understudy_connections_accepted_total"], []
    made = 0
    for turn in range(2):
        ports, source = "5060,5061", f"{CROWD_NET}.{211 + turn}"
        crowd = Crowd(stage, f"crowd-churn{turn}", "churn", node.host, ports, source, 4 * count, seconds)
        seen = crowd.line(seconds + 40)
        crowd.process.wait(10)
        made += seen["done"]
        wait_for(lambda: connections(node) <= quiet and descriptors(node) <= files, 15)
        memory.append(resident(node))
        report.figure("came and went", f"{seen}; resident {memory[-1]:.0f} MB")
        report.claim("churn: none failed", seen["done"] > 0 and not seen["failed"], seen)
    counted = metrics(node)["understudy_connections_accepted_total"] - began
    # One that was reset before it was looked at has no address any more, and is nobody's connection; a third are not.
    report.claim(f"churn: of {made} connections those that lived were counted", made / 3 <= counted, f"{counted:.0f}")
    left = [connections(node) - quiet]
    wait_for(lambda: descriptors(node) <= files, 5)  # The node may still be closing the question after them itself.
    left.append(descriptors(node) - files)
    report.claim("churn: no connection and no descriptor is left", left[0] <= 0 and left[1] <= 0, left)
    grown = memory[1] - memory[0]
    report.claim("churn: the second round took at most 8 MB that the first had not", grown <= 8, f"{grown:+.1f} MB")
    load.claim_so_far(report, "churn")


def flood(report, stage, load, node, seconds):
    """INVITEs from one source as fast as one socket can: they are limited, the others are not."""
    source, target = (f"{CROWD_NET}.220", 5060), (f"{CROWD_NET}.221", 5060)
    sock, busy = datagrams(source), datagrams(target)
    before, memory = metrics(node)["understudy_sip_rate_limited_source_total"], resident(node)
    sent, codes = 0, Counter()
    rate, began = 3000, now()
    while now() < began + seconds:
        while sent < (now() - began) * rate:
            sock.sendto(invite(source, target, sent), node.sip)
            sent += 1
        drain(sock, codes)
        refuse(busy)
        time.sleep(0.005)
    end = now() + 1
    while now() < end:
        drain(sock, codes)
        refuse(busy)
        time.sleep(0.01)
    sock.close()
    busy.close()
    counted = metrics(node)["understudy_sip_rate_limited_source_total"] - before
    report.figure("the flood", f"{sent} INVITEs in {seconds} s from one source; answers {dict(codes)}")
    allowed = 200 * seconds + 400
    report.claim(
        "all above its limit is refused and counted",
        sent - allowed - 400 <= counted <= sent,
        f"{counted:.0f} of {sent}",
    )
    grown = resident(node) - memory
    report.claim("the flood: the node's memory is bounded", grown < 64, f"{grown:+.0f} MB")
    load.claim_so_far(report, "the flood")


def drain(sock, codes):
    while True:
        try:
            data = sock.recv(4096)
        except BlockingIOError:
            return
        message = sip.parse(data)
        if message is not None and not message.is_request:
            codes[message.code] += 1


def datagrams(address):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * MEGABYTE)
    sock.bind(address)
    sock.setblocking(False)
    return sock


def refuse(sock):
    """486 to every INVITE, to where it came from."""
    while True:
        try:
            data, source = sock.recvfrom(4096)
        except BlockingIOError:
            return
        lines = data.decode().split("\r\n")
        if not lines[0].startswith("INVITE "):
            continue
        kept = [line for line in lines if line.split(":")[0] in ("Via", "From", "Call-ID", "CSeq")]
        to = next(line for line in lines if line.startswith("To:"))
        sock.sendto(
            "\r\n".join(["SIP/2.0 486 Busy", *kept, to + ";tag=b", "Content-Length: 0", "", ""]).encode(), source
        )


def invite(source, target, number):
    """To somebody who is busy; never acknowledged, as a flood would not."""
    host = f"{target[0]}:{target[1]}"
    headers = [
        ("Via", f"SIP/2.0/UDP {source[0]}:{source[1]};rport;branch=z9hG4bKflood{number}"),
        ("Max-Forwards", "70"),
        ("From", f"<sip:flood@{source[0]}>;tag=f{number}"),
        ("To", f"<sip:busy@{target[0]}>"),
        ("Call-ID", f"flood-{number}"),
        ("CSeq", "1 INVITE"),
        ("Contact", f"<sip:flood@{source[0]}>"),
    ]
    return sip.write(f"INVITE sip:busy@{host} SIP/2.0", headers, "")


def load_2000(report, quick):
    """Two thousand calls a second over UDP through one cluster of one machine, without a failure."""
    load(report, "udp", *((300, 8, 2) if quick else (2000, 25, 2)))


def load_tcp(report, quick):
    """A thousand calls a second over TCP, few connections, through one cluster of one machine, without a failure."""
    load(report, "tcp", *((200, 6, 2) if quick else (1000, 25, 2)))


def load(report, transport, rate, seconds, pairs):
    """Short calls by `pairs` of SIPp through the first node, and what each process takes of the processor."""
    mode = {"udp": "u1", "tcp": "t1"}[transport]
    with PeerStage(report) as stage:
        for index in range(pairs):
            name, port = f"callee{index}", 5800 + index
            Sipp(stage, name).start("callee_load.xml", stage.host(21), port, mode, options=BULK, errors=False)
        processes = [node.process for node in stage.nodes] + list(stage.programs.values())
        callers = []
        used = {process.pid: cpu_seconds(process) for process in processes}
        began = now()
        for index in range(pairs):
            each = rate // pairs
            options = [
                "-m",
                each * seconds,
                "-r",
                each,
                "-l",
                each * 20,
                "-timeout",
                f"{seconds + 30}s",
                "-timeout_error",
            ]
            options += ["-trace_stat", "-stf", stage.path(f"caller{index}.stat"), "-fd", 1, *BULK]
            callers.append(
                Sipp(stage, f"caller{index}").start(
                    "caller_load.xml",
                    stage.host(22),
                    5820 + index,
                    mode,
                    stage.nodes[0].sip,
                    options=options,
                    callee=(f"{stage.host(21)}:{5800 + index}", transport),
                    errors=False,
                )
            )
        time.sleep(seconds - 2)
        took = now() - began
        shares = {}
        for process in processes + [c.process for c in callers]:
            name = next((n.name for n in stage.nodes if n.process is process), "SIPp")
            shares[name] = shares.get(name, 0) + (cpu_seconds(process) - used.get(process.pid, 0)) / took * 100
        codes = [caller.result(60) for caller in callers]
        over = now() - began
        totals = Counter()
        for index in range(pairs):
            with open(stage.path(f"caller{index}.stat")) as file:
                lines = file.read().splitlines()
            row = dict(zip(lines[0].split(";"), lines[-1].split(";"), strict=False))
            for key in ("SuccessfulCall(C)", "FailedCall(C)", "Retransmissions(C)"):
                totals[key.split("(")[0]] += int(row[key])
        calls = rate // pairs * pairs * seconds
        report.figure("calls, failures, datagrams repeated by the callers", dict(totals))
        report.figure("calls a second", f"{totals['SuccessfulCall'] / over:.0f}, {over:.1f} s with the last answer")
        report.figure("of one core, per cent", rounded(shares))
        report.claim(
            f"{rate} calls a second for {seconds} s: all {calls} went through",
            codes == [0] * pairs and totals["SuccessfulCall"] == calls and totals["FailedCall"] == 0,
            f"{codes} {totals['SuccessfulCall']} of {calls}",
        )
        report.claim(f"at that rate: over in {seconds + 2} s", over <= seconds + 2, f"{over:.1f} s")
        empty, held = stage.none_left(10)
        report.claim("no node holds a live record", empty, held)


# Large socket buffers, and a timer that looks less often than every millisecond.
BULK = ["-buff_size", 8 * MEGABYTE, "-timer_resol", 5, "-nd"]
