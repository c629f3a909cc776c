"""Acceptance: SIPp calls through balancers of three makes while a node is killed."""

import os
import time
from collections import Counter

from agents import Pjsua
from cluster import ROOT, Failure
from party import Plan
from peerstage import Absent, PeerStage, Sipp, advertised, metrics, require
from phones import Phones
from processes import version
from sipptrace import Trace

STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"


def configured(stage, name):
    """A configuration as it is shipped, on the addresses and in the folder of this run."""
    with open(os.path.join(ROOT, "Deploy", "balancer", name)) as file:
        text = file.read().replace("192.0.2.", f"{stage.net}.").replace("/run/", f"{stage.folder}/")
    path = stage.path(name)
    with open(path, "w") as file:
        file.write(text)
    return path


def start_balancer(stage, name, command):
    process = stage.start(name, command)
    time.sleep(1.0)
    if process.poll() is not None:
        raise Failure(f"{name} did not start: {stage.tail(name)}")
    stage.report.figure("balancer", version(command[0]))


def start_nginx(stage):
    program = require("nginx", "nginx-light libnginx-mod-stream")
    if not os.path.exists(STREAM_MODULE):
        raise Absent("nginx's stream module is not installed: apt-get install libnginx-mod-stream")
    path = configured(stage, "nginx.conf")
    start_balancer(stage, "nginx", [program, "-e", "stderr", "-g", "daemon off;", "-c", path])


def start_haproxy(stage):
    start_balancer(stage, "haproxy", [require("haproxy", "haproxy"), "-f", configured(stage, "haproxy.cfg")])


class Calls:
    """SIPp as caller at a steady rate, each call `talk` seconds before and after its re-INVITE.

    The callee is the harness's own telephone over UDP: SIPp answers wherever a call's first request came from, not
    where the topmost Via says (RFC 3261 section 18.2.2), so it goes on talking to the dead node.
    """

    def __init__(self, stage, label, front, rate, seconds, talk, port):
        self.count = count = round(rate * seconds)
        self.phones = Phones((stage.host(23), port), (stage.host(21), port))
        self.phones.default_plan = Plan(ring=0.03)
        self.trace = Trace(stage.path(f"caller-{label}.messages"))
        options = ["-d", round(talk * 1000), "-m", count, "-l", count, "-r", rate, "-trace_msg"]
        options += ["-message_file", self.trace.path, "-timeout", f"{seconds + 2 * talk + 12:.0f}s"]
        options += ["-default_behaviors", "all,-bye"]
        self.caller = Sipp(stage, f"caller-{label}").start(
            "caller_ends.xml", stage.host(22), port, "u1", front, (f"{stage.host(21)}:{port}", "udp"), options
        )
        stage.report.figure(f"{label}: calls", count)

    def finish(self, seconds):
        self.code = self.caller.result(seconds)
        self.trace.read(to_the_end=True)
        self.phones.wait(lambda: False, 0.5)
        self.phones.close()


def served(call, codes):
    """Whether a call's re-INVITE was answered 200 and its BYE with one of `codes`."""
    answers = [(r.method, r.code) for r in call.requests.values()]
    return len(answers) == 2 and answers[0] == ("INVITE", 200) and answers[1][1] in codes


def through(report, stage, label, front, quick, grace, port):
    """Calls before, during and after SIGKILL of the busiest node. `grace`: after so many seconds the balancer must not
    deal to the dead one."""
    rate, seconds, talk = (10, 8, 2.5) if quick else (30, 30, 6.0)
    calls = Calls(stage, label, front, rate, seconds, talk, port)
    time.sleep(seconds / 2)
    victim = stage.cluster.busiest()
    killed = time.time()
    victim.kill()
    names = [n.name for n in stage.cluster.alive()]
    stage.cluster.wait_view(names, 10)
    report.figure(f"{label}: {victim.name} killed, out of the view after", f"{time.time() - killed:.2f} s")
    calls.finish(seconds + 2 * talk + 45)
    known = list(calls.trace.calls.values())
    answered = [c for c in known if c.answered_at]
    before = [c for c in answered if c.answered_at <= killed]
    across = [c for c in before if c.bye_sent_at is None or c.bye_sent_at > killed]
    report.claim(f"{label}: calls were up when the node died", len(across) > 0, len(across))
    codes = Counter(f"{r.method} {r.code or 'unanswered'}" for c in across for r in c.requests.values())
    # A node may die after it has sent a BYE on: another one's copy meets a call that is over.
    callees = calls.phones.callees()
    twice = [c for c in across if c.call_id in callees and len(callees[c.call_id].byes) > 1]
    fine = [c for c in across if served(c, [200]) or (c in twice and served(c, [200, 481]))]
    # A re-INVITE that was pending in the dead node gets 500 with Retry-After (S2-10). SIPp leaves such a call as it is.
    again = [c for c in across if c not in fine and is_told_to_retry(c, killed, grace)]
    report.figure(f"{label}: calls whose re-INVITE was pending in the node when it died", len(again))
    report.claim(
        f"{label}: re-INVITE and BYE of every other one answered 200, or the BYE's second copy 481",
        len(fine) + len(again) == len(across) and len(again) <= len(across) // 20,
        f"{len(fine)} of {len(across)}; {dict(codes)}",
    )
    late = [c for c in known if c.invited_at and c.invited_at > killed + grace]
    failed = Counter(c.code for c in late if not c.answered_at)
    report.claim(
        f"{label}: every call placed more than {grace} s after the kill is answered",
        late and not failed,
        f"{len(late) - sum(failed.values())} of {len(late)}; {dict(failed)}",
    )
    lost = [c for c in known if not c.answered_at and c not in late]
    report.figure(
        f"{label}: calls placed, and lost in setting up (before or within that time)", f"{len(known)}, {len(lost)}"
    )
    early = [c for c in lost if c.invited_at and c.invited_at < killed - 1]
    report.claim(f"{label}: none of those placed more than 1 s before the kill is lost", not early, len(early))
    empty, held = stage.cluster.wait_held(len(again), 10)
    report.claim(f"{label}: no node holds a live record of the others", empty, held)
    victim.start()
    stage.cluster.wait_view([n.name for n in stage.nodes])


def is_told_to_retry(call, killed, grace):
    """Whether its re-INVITE was on its way when the node died, and was answered 500."""
    requests = list(call.requests.values())
    return (
        len(requests) == 1
        and (requests[0].method, requests[0].code) == ("INVITE", 500)
        and killed - 1 <= requests[0].sent_at <= killed + grace
    )


class Front:
    """Where telephones send: the balancer's address, as an outbound proxy."""

    def __init__(self, host):
        self.host = host


def over_connections(report, stage, label, transport, quick, port):
    """PJSUA2's calls over connections through the balancer, each of which closes when its node is killed.

    It opens another by itself when it has something to say. SIPp cannot: 3.6.1 ends when it reconnects. So SIPp places
    calls before and after, one connection each, and PJSUA2 has calls across. The callee is on UDP: the nodes join two
    transports (RFC 5658).
    """
    phones = Phones((stage.host(23), port), (stage.host(21), port))
    phones.default_plan = Plan(ring=0.03)
    uri = f"sip:bob@{stage.host(21)}:{port};transport=udp"
    if transport == "tcp":
        sipp_once(report, stage, f"{label}: SIPp before the kill", f"{label}-before", port, quick)
    makes = 3 if quick else 6
    agents = [
        Pjsua(stage, f"pjsua{port + i}", stage.host(22), port + i, transport, Front(stage.host(10))).start()
        for i in range(makes)
    ]
    each = 3
    for turn in range(each):
        for agent in agents:
            agent.call(uri)
    up = [agent.saw("established", each) for agent in agents]
    report.claim(f"{label}: {makes * each} calls on {makes} connections are up", all(up), says(stage, agents, up))
    good, held = stage.all_confirmed(makes * each)
    report.claim(f"{label}: every node lists them as confirmed", good, held)
    carrying = {node.name: metrics(node)["understudy_connections"] for node in stage.nodes}
    victim = max(stage.nodes, key=lambda node: carrying[node.name])
    report.figure(f"{label}: connections by node", carrying)
    victim.kill()
    stage.cluster.wait_view([n.name for n in stage.cluster.alive()], 10)
    time.sleep(1.5)  # Two failed checks of the balancer.
    for agent in agents:
        agent.hold()
    held = [agent.saw("held", each) for agent in agents]
    report.claim(
        f"{label}: {victim.name} is killed, every call's re-INVITE is answered", all(held), says(stage, agents, held)
    )
    for agent in agents:
        agent.hang_up()
    down = [agent.saw("released 200", each) for agent in agents]
    ended = phones.wait(lambda: all(p.ended_at for p in phones.callee.answered_calls), 3)
    report.claim(f"{label}: every call's BYE is answered 200", all(down) and ended, says(stage, agents, down))
    if transport == "tcp":
        sipp_once(report, stage, f"{label}: SIPp after the kill", f"{label}-after", port, quick)
    empty, held = stage.none_left(10)
    report.claim(f"{label}: no node holds a live record", empty, held)
    for agent in agents:
        agent.end()
    phones.close()
    victim.start()
    stage.cluster.wait_view([n.name for n in stage.nodes])


def sipp_once(report, stage, text, name, port, quick):
    """Some calls by SIPp over TCP, a connection each."""
    count = 20 if quick else 100
    options = ["-d", 300, "-m", count, "-l", count, "-r", 20, "-timeout", "20s", "-timeout_error"]
    caller = Sipp(stage, name).start(
        "caller_ends.xml",
        stage.host(24),
        port,
        "tn",
        (stage.host(10), 5060),
        (f"{stage.host(21)}:{port}", "udp"),
        options + ["-max_socket", count + 10],
    )
    code = caller.result(30)
    report.claim(f"{text}: {count} calls over TCP without a failure", code == 0, f"exit {code} {caller.errors()}")


def says(stage, agents, good):
    return "; ".join(stage.tail(a.name)[-200:] for a, fine in zip(agents, good, strict=True) if not fine)


def balancer_nginx(report, quick):
    """SIPp and PJSUA2 through nginx's stream module over UDP and TCP while a node is killed."""
    with PeerStage(report, advertise=advertised(10)) as stage:
        start_nginx(stage)
        through(report, stage, "nginx-udp", (stage.host(10), 5060), quick, 2.0, 5600)
        over_connections(report, stage, "nginx-tcp", "tcp", quick, 5610)


def balancer_haproxy(report, quick):
    """SIPp and PJSUA2 through HAProxy over TCP, and over TLS that it passes on, while a node is killed."""
    with PeerStage(report, advertise=advertised(10)) as stage:
        start_haproxy(stage)
        over_connections(report, stage, "haproxy-tcp", "tcp", quick, 5620)
        over_connections(report, stage, "haproxy-tls", "tls", quick, 5630)


def balancer_kamailio(report, quick):
    """SIPp through Kamailio's dispatcher over UDP while a node is killed."""
    with PeerStage(report, advertise=advertised(10)) as stage:
        require("kamailio", "kamailio")
        stage.cluster.start_balancer()
        report.figure("balancer", version(require("kamailio", "kamailio")))
        through(report, stage, "kamailio-udp", stage.cluster.balancer, quick, 3.0, 5640)
