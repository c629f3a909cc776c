"""Acceptance: floods of what cannot be read and of what is refused, at full rate, while calls go on: nobody notices, and
the log has a line a second at most."""

import subprocess
import sys
from collections import Counter

from loop import now
from party import Plan
from peerstage import metrics
from stage import Stage

# The flood comes from processes of its own, so that the telephones' timing is not the flood's.
SENDER = r"""
import os, random, socket, sys, time
kind, source, host, rate, seconds = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
sock.bind((source, 0))
sock.setblocking(False)
port = sock.getsockname()[1]
random.seed(7)
def invite(number, via="Via", length="0"):
    return (f"INVITE sip:busy@{host}:9 SIP/2.0\r\n{via}: SIP/2.0/UDP {source}:{port};rport;branch=z9hG4bK{kind}{number}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:f@{source}>;tag=f{number}\r\nTo: <sip:busy@{host}>\r\nCall-ID: {kind}-{number}\r\n"
        f"CSeq: 1 INVITE\r\nContact: <sip:f@{source}>\r\nContent-Length: {length}\r\n\r\n").encode()
strange = [os.urandom(200), b"INVITE\r\n\r\n", b"\x00" * 64, b"SIP/2.0 999\r\n\r\n", b"A" * 1400, invite(1, "Viaa"), invite(2, length="9999"),
    b"INVITE sip:a SIP/3.0\r\n\r\n", invite(3).replace(b"CSeq: 1 INVITE", b"CSeq: x"), invite(4).replace(b"Max-Forwards: 70", b"Max-Forwards: z")]
sent = lost = answers = 0
began = time.monotonic()
end = began + seconds
while (moment := time.monotonic()) < end:
    while sent < (moment - began) * rate:
        try:
            sock.sendto(strange[sent % len(strange)] if kind == "strange" else invite(sent), (host, 5060))
        except BlockingIOError:
            lost += 1
        sent += 1
    try:
        while True:
            answers += bool(sock.recv(2048))
    except BlockingIOError:
        pass
    time.sleep(0.002)
print(sent - lost, answers)
"""


def start(kind, source, host, rate, seconds):
    command = [sys.executable, "-c", SENDER, kind, source, host, str(rate), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def lines(path, skip=0):
    with open(path, errors="replace") as file:
        return file.read().splitlines()[skip:]


def floods(report, quick):
    """10 000 datagrams a second that cannot be read, 1000 refused calls a second, for 30 s: calls go on, the log is quiet."""
    seconds, rate = (5, 5) if quick else (30, 20)
    stage = Stage(report)
    stage.cluster.extra_lines.append("limits: {source-per-second: 100, source-burst: 200}")
    with stage:
        node = stage.nodes[0]
        before = len(lines(node.log))
        counters = metrics(node)
        began = now()
        senders = {
            "strange": start("strange", stage.cluster.host(31), node.host, 10_000, seconds),
            "refused": start("refused", stage.cluster.host(32), node.host, 1_000, seconds),
        }
        count = (seconds + 4) * rate
        # Half of the calls by the balancer, half straight to the node that is flooded.
        stage.phones.place(count, rate, [stage.front, node.sip], Plan(hold=2.0))
        sent = {}
        for kind, process in senders.items():
            said = process.communicate(timeout=seconds + 60)[0].split()
            sent[kind] = [int(word) for word in said]
        took = now() - began
        stage.phones.wait(lambda: len(stage.phones.calls) == count and all(c.ended_at or c.failed_at for c in list(stage.phones.calls)), 40)
        calls = list(stage.phones.calls)
        failed = Counter(c.code or "unanswered" for c in calls if not c.acked_at)
        unended = sum(1 for c in calls if c.acked_at and not c.ended_at)
        phones = stage.phones.caller.counts + stage.phones.callee.counts
        said = lines(node.log, before)
        counted = {name: int(value - counters[name]) for name, value in metrics(node).items()}
        unread, limited = counted["understudy_sip_malformed_total"], counted["understudy_sip_rate_limited_source_total"]
        report.figure("datagrams that cannot be read", f"{sent['strange'][0]} sent in {took:.0f} s, {unread} counted, {sent['strange'][1]} answers")
        report.figure("calls that are refused", f"{sent['refused'][0]} sent, {limited} counted, {sent['refused'][1]} answers")
        report.figure("lines in the log meanwhile", f"{len(said)}: {' | '.join(sorted({line.split(' ', 2)[-1][:60] for line in said}))[:400]}")
        report.figure("datagrams repeated by the phones", phones["retransmissions"])
        report.claim("the floods were as large as meant", sent["strange"][0] >= 9_500 * seconds and sent["refused"][0] >= 950 * seconds, sent)
        report.claim("what cannot be read is counted", unread > 0.5 * sent["strange"][0], f"{unread} of {sent['strange'][0]}")
        report.claim("what is above the limit is counted", limited > 0.5 * sent["refused"][0], f"{limited} of {sent['refused'][0]}")
        report.claim("a line a second in the log at most", len(said) <= took, f"{len(said)} lines in {took:.0f} s")
        for sentence in ("messages arrive that cannot be read", "requests are refused: too many from one source"):
            report.claim(f"it says: {sentence}", sum(1 for line in said if sentence in line) in (1, 2), "")
        report.claim("every call was answered and ended", not failed and not unended and len(calls) == count, f"{len(calls)} calls, failed {dict(failed)}, {unended} not ended")
        code, text = stage.cluster.command("check", "--node", node.url)
        report.claim("and the members are equal", code == 0, text.strip()[:200])
