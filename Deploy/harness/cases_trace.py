"""Acceptance: why did this call fail? `understudy trace`, `top` and the metrics, asked of real nodes."""

import http.client
import os
import shutil
import subprocess
import xml.etree.ElementTree
from collections import Counter

from loop import now
from party import Plan
from stage import Stage


def trace(report, quick):
    """A call whose node is killed while it rings, and one that is answered, as ladders over all nodes; top; promtool."""
    with Stage(report) as stage:
        first, second, phones = stage.nodes[0], stage.nodes[1], stage.phones
        answered = stage.establish(1, 10, first.sip, Plan(hold=None))[0]
        phones.place(1, 10, first.sip, Plan(ring=None))
        phones.wait(lambda: len(phones.calls) == 2 and phones.calls[1].state == "ringing", 5)
        ringing = phones.calls[1]
        code, text = stage.cluster.command("trace", answered.call_id, "--node", second.url)
        labels = Counter(word for line in text.splitlines() for word in ("INVITE", "200 OK", "ACK") if word in line)
        report.claim("an answered call is a ladder", code == 0 and "answered: 200 OK" in text, text[-200:])
        report.claim("with its messages, each once", labels["INVITE"] == 2 and labels["200 OK"] >= 2, dict(labels))
        report.claim("and what was held", "* holds the 2xx until a peer has it" in text)
        picture = os.path.join(stage.folder, "call.svg")
        code, said = stage.cluster.command("trace", answered.call_id, "--svg", picture, "--node", second.url)
        root = xml.etree.ElementTree.parse(picture).getroot() if code == 0 else None
        report.claim("as SVG it can be read", root is not None and root.tag.endswith("svg"), said.strip())
        killed = first.kill()
        stage.survivors_notice(first, killed)
        phones.wait(lambda: ringing.failed_at, 10)
        told = [n.name for n in stage.nodes[1:] if n.has_logged("the dialogs of a dead member are taken over")]
        phones.wait(lambda: False, 1.0)
        told = [n.name for n in stage.nodes[1:] if n.has_logged("the dialogs of a dead member are taken over")]
        report.claim("every survivor tells whose the dead node's dialogs are", told == ["n2", "n3"], told)
        code, text = stage.cluster.command("trace", ringing.call_id, "--node", second.url)
        report.claim("a call that an heir ended says who took it over", "takes the call over" in text, text[-300:])
        report.claim("and how it failed", code == 0 and "failed: 480" in text)
        report.claim("and whom it could not ask", "n1 could not be asked" in text)
        code, text = stage.cluster.command("trace", "no-such-call", "--node", second.url)
        report.claim("a call that nobody knows: exit 1", code == 1, text.strip())
        began = now()
        code, text = stage.cluster.command("top", "--once", "--interval", "1", "--node", second.url)
        report.claim("top shows every node", code == 0 and "n2" in text and "n3" in text, text.splitlines()[0])
        report.figure("top --once took", f"{now() - began:.1f} s")
        promtool(report, second)


def promtool(report, node):
    connection = http.client.HTTPConnection(*node.management, timeout=5)
    connection.request("HEAD", "/metrics")
    answer = connection.getresponse()
    report.claim("HEAD /metrics answers 200", answer.status == 200 and answer.read() == b"", answer.status)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read()
    connection.close()
    for name in (b"process_cpu_seconds_total", b"understudy_call_setup_seconds_bucket", b"understudy_sip_answers_total"):
        report.claim(f"metrics have {name.decode()}", name in text)
    program = shutil.which("promtool")
    if program is None:
        report.figure("promtool", "not installed: apt-get install prometheus")
        return
    result = subprocess.run([program, "check", "metrics"], input=text, capture_output=True)
    said = (result.stdout + result.stderr).decode().strip()
    report.claim("promtool check metrics finds nothing", result.returncode == 0 and not said, said[:300])
