"""Acceptance: independent user agents against a cluster of three with every transport."""

import os
import re
import subprocess
import sys

from agents import Baresip, Linphone, ListeningPjsua, NetSIP, Pjsua, WebSocketPhone
from party import Plan
from peerstage import NET, Absent, PeerStage, Sipp, advertised, require
from phones import Phones
from processes import start_kamailio

HERE = os.path.dirname(os.path.abspath(__file__))


def sipp_calls(report, transport, quick):
    """Both scenario pairs of SIPp through three nodes: the caller's next hop is n1, the callee answers anywhere."""
    count, talk = (5, 1500) if quick else (40, 3000)
    word, mode = ("tcp", "t1") if transport == "tcp" else ("udp", "u1")
    with PeerStage(report) as stage:
        port = 5070
        for callee_file, caller_file, who in (
            ("callee_serves.xml", "caller_ends.xml", "caller"),
            ("callee_ends.xml", "caller_serves.xml", "callee"),
        ):
            port += 10
            callee = Sipp(stage, f"callee-{who}").start(
                callee_file, stage.host(21), port, mode, options=["-d", talk, "-m", count, "-l", count]
            )
            caller = Sipp(stage, f"caller-{who}").start(
                caller_file,
                stage.host(22),
                port,
                mode,
                stage.nodes[0].sip,
                (f"{stage.host(21)}:{port}", word),
                ["-d", talk, "-m", count, "-r", count * 2, "-l", count, "-timeout", "20s", "-timeout_error"],
            )
            good, held = stage.all_confirmed(count, talk / 1000)
            report.claim(f"{word}: every node lists {count} confirmed dialogs while they talk", good, held)
            code, other = caller.result(30), callee.result(5)
            report.claim(
                f"{word}: set up, re-INVITE, hung up by the {who}: both sides saw all of it",
                code == 0 and other == 0,
                f"SIPp ended with {code}, {other} {caller.errors()} {callee.errors()}",
            )
            empty, held = stage.none_left()
            report.claim(f"{word}: no node holds a live record", empty, held)


def peers_sipp_udp(report, quick):
    """SIPp over UDP: set up, re-INVITE, hung up from each side."""
    sipp_calls(report, "udp", quick)


def peers_sipp_tcp(report, quick):
    """SIPp over TCP: set up, re-INVITE, hung up from each side."""
    sipp_calls(report, "tcp", quick)


def converse(report, stage, kind, transport, port, callee_transport=None):
    """Two telephones of one make: set up, hold by whoever will hang up, hang up; once from each side."""
    label = f"{kind.__name__.lower()} {transport}" + (f" to {callee_transport}" if callee_transport else "")
    callee = kind(stage, f"callee{port}", stage.host(21), port, callee_transport or transport).start()
    caller = kind(stage, f"caller{port}", stage.host(22), port + 2, transport, stage.nodes[0]).start()
    streamed = stage.metric("understudy_stream_messages_received_total")
    for turn, (first, other, who) in enumerate(((caller, callee, "caller"), (callee, caller, "callee")), 1):
        caller.call(callee.uri)
        up = [agent.saw("established", turn) for agent in (caller, callee)]
        if not report.claim(
            f"{label}: both say the call is up", all(up), "" if all(up) else says(stage, caller, callee)
        ):
            break
        good, held = stage.all_confirmed(1)
        report.claim(f"{label}: every node lists it as confirmed", good, held)
        before = other.count("held")
        first.hold()
        seen = first.saw("held", 1) and other.saw("held", before + 1)
        report.claim(f"{label}: the {who}'s re-INVITE is answered", seen, "" if seen else says(stage, caller, callee))
        good, held = stage.all_confirmed(1)
        report.claim(f"{label}: and it is still confirmed everywhere", good, held)
        first.hang_up()
        down = [agent.saw("released", turn) for agent in (caller, callee)]
        report.claim(
            f"{label}: hung up by the {who}, both say so", all(down), "" if all(down) else says(stage, caller, callee)
        )
        empty, held = stage.none_left()
        report.claim(f"{label}: no node holds a live record", empty, held)
    streamed = stage.metric("understudy_stream_messages_received_total") - streamed
    # Two calls of five requests and four answers, each read once where both sides are connected, half of them for one.
    sides = [transport, callee_transport or transport].count("udp")
    least, most = {0: (16, 40), 1: (7, 20), 2: (0, 0)}[sides]
    report.claim(f"{label}: messages came over connections as they should", least <= streamed <= most, int(streamed))
    caller.end()
    callee.end()


def says(stage, *agents):
    return "; ".join(f"{agent.name}: {stage.tail(agent.name)[-300:]}" for agent in agents)


def peers_baresip(report, quick):
    """baresip over UDP, TCP and TLS: set up, hold, hung up from each side."""
    with PeerStage(report) as stage:
        for index, transport in enumerate(("udp", "tcp", "tls")):
            converse(report, stage, Baresip, transport, 5110 + 10 * index)


def peers_pjsua(report, quick):
    """PJSUA2 over UDP, TCP and TLS, and between them: set up, hold, hung up from each side."""
    with PeerStage(report) as stage:
        for index, transport in enumerate(("udp", "tcp", "tls")):
            converse(report, stage, Pjsua, transport, 5140 + 10 * index)
        for index, (transport, other) in enumerate((("udp", "tls"), ("tls", "tcp"), ("tcp", "udp"))):
            converse(report, stage, Pjsua, transport, 5300 + 10 * index, other)


def peers_linphone(report, quick):
    """linphonec over UDP, TCP and TLS: set up, hold, hung up from each side."""
    with PeerStage(report) as stage:
        # Its TLS is a client's only: over that it calls, and is reached again over its own connection.
        for index, (transport, other) in enumerate((("udp", None), ("tcp", None), ("tls", "tcp"))):
            converse(report, stage, Linphone, transport, 5400 + 10 * index, other)


def peers_netsip(report, quick):
    """Net::SIP over UDP: set up, re-INVITE, hung up from each side."""
    with PeerStage(report) as stage:
        converse(report, stage, NetSIP, "udp", 5200)


def reached_by_connection(report, quick):
    """linphonec on a connection to n1, which nothing else can reach: what other nodes get for it is passed to n1."""
    with PeerStage(report, advertise=advertised(11)) as stage:  # All own n1's name: only the connection leads to n1.
        for index, transport in enumerate(("tcp", "tls")):
            port = 5500 + 10 * index
            called_back(
                report, stage, Linphone(stage, f"linphone{port}", stage.host(22), port, transport, stage.nodes[0])
            )


def peers_websocket(report, quick):
    """A telephone on PyPI websockets, over WS and WSS to n1: calls, and is called back through each node."""
    with PeerStage(report, advertise=advertised(11)) as stage:
        for index, transport in enumerate(("ws", "wss")):
            port = 5540 + 10 * index
            agent = WebSocketPhone(stage, f"browser{port}", stage.host(22), port, transport, stage.nodes[0])
            called_back(report, stage, agent)


def called_back(report, stage, agent):
    """It calls a telephone on UDP, which holds and hangs up through each node in turn; and then does both itself."""
    phones = Phones((stage.host(23), agent.port), (stage.host(21), agent.port), log=stage.trace(f"callee{agent.port}"))
    phones.default_plan = Plan(ring=0.03)
    agent.start()
    for turn, node in enumerate([*stage.nodes, None], 1):
        label = f"{agent.transport}, {node.name if node else 'by itself'}"
        agent.call(f"sip:bob@{stage.host(21)}:{agent.port};transport=udp")
        up = agent.saw("established", turn)
        if not report.claim(f"{label}: the call is up", up, "" if up else says(stage, agent)):
            break
        good, held = stage.all_confirmed(1)
        report.claim(f"{label}: every node lists it as confirmed", good, held)
        callee = next(p for p in reversed(phones.callee.answered_calls) if p.ended_at is None)
        if node is None:
            before = agent.count("held")
            agent.hold()
            report.claim(f"{label}: its re-INVITE is answered", agent.saw("held", before + 1), "")
            agent.hang_up()
        for method in ("INVITE", "BYE") if node else ():
            send = callee.hang_up if method == "BYE" else (lambda to, p=callee: p.send_request("INVITE", to))
            phones.do(send, node.sip)
            phones.wait(lambda p=callee: p.requests[-1]["done_at"], 8)
            code = callee.requests[-1]["code"]
            report.claim(f"{label}: {method} to {node.name} reaches the phone and is answered", code == 200, code)
        down = agent.saw("released", turn) and phones.wait(lambda p=callee: p.ended_at, 3)
        empty, held = stage.none_left()
        report.claim(f"{label}: no node holds a live record", empty, held)
        if not report.claim(f"{label}: both have hung up", down, "" if down else says(stage, agent)):
            break
    agent.end()
    phones.close()


def expiry_over_connections(report, quick):
    """Calls over TLS and WS reach the end of their lifetime: one BYE to each side; and again with their node killed."""
    lifetime = 6
    with PeerStage(report, lifetime=lifetime, advertise=advertised(11)) as stage:
        first = stage.nodes[0]
        phones = Phones((stage.host(23), 5580), (stage.host(21), 5580), log=stage.trace("callee"))
        phones.default_plan = Plan(ring=0.03)
        agents = [
            ListeningPjsua(stage, "pjsua-tls", stage.host(22), 5582, "tls", first).start(),
            ListeningPjsua(stage, "pjsua-tcp", stage.host(22), 5584, "tcp", first).start(),
            WebSocketPhone(stage, "browser", stage.host(22), 5586, "ws", first).start(),
        ]
        for turn, killed in ((1, False), (2, True)):
            label = f"{first.name} killed" if killed else "nobody killed"
            for agent in agents:
                agent.call(f"sip:bob@{stage.host(21)}:5580;transport=udp")
            up = all(agent.saw("established", turn) for agent in agents)
            report.claim(f"{label}: three calls are up", up, "" if up else says(stage, *agents))
            good, held = stage.all_confirmed(3)
            report.claim(f"{label}: every node lists them as confirmed", good, held)
            if killed:
                first.kill()
                stage.cluster.wait_view([n.name for n in stage.cluster.alive()], 10)
                answers = asked_again(phones, stage.nodes[1])
                report.claim(
                    f"{label}: re-INVITEs to {stage.nodes[1].name} reach those that can be connected to",
                    answers == {"pjsua": {200}, "browser": {430}},
                    answers,
                )
            # A browser's connection dies with its node: it cannot be told.
            told = [agent for agent in agents if not killed or agent.transport != "ws"]
            for agent in told:
                down = agent.saw("released", turn, lifetime + 4)
                report.claim(f"{label}: {agent.name} is told by BYE", down, "" if down else says(stage, agent))
            callees = phones.callee.answered_calls[-3:]
            phones.wait(lambda calls=callees: all(p.byes for p in calls), 5)
            byes = [len(p.byes) for p in callees]
            report.claim(f"{label}: each callee got one BYE transaction", byes == [1, 1, 1], byes)
            empty, held = stage.none_left(40)
            report.claim(f"{label}: no node holds a live record", empty, held)
        for agent in agents:
            agent.end()
        phones.close()


def route_of_the_dead(report, quick):
    """Each node names itself in Record-Route; one dies: a survivor takes its Route for the cluster's own."""
    with PeerStage(report) as stage:
        first, second = stage.nodes[:2]
        phones = Phones((stage.host(22), 5590), (stage.host(21), 5590), log=stage.trace("phones"))
        phones.place(5, 20, first.sip, Plan(ring=0.03))
        up = phones.wait(lambda: sum(1 for c in phones.calls if c.acked_at) == 5, 5)
        report.claim("five calls are up", up, phones.summary()["states"])
        good, held = stage.all_confirmed(5)
        report.claim("every node lists them as confirmed", good, held)
        first.kill()
        stage.cluster.wait_view([n.name for n in stage.cluster.alive()], 10)
        for method in ("INVITE", "BYE"):
            for call in phones.calls:
                send = call.hang_up if method == "BYE" else (lambda to, c=call: c.send_request("INVITE", to))
                phones.do(send, second.sip)
            phones.wait(lambda: all(c.requests[-1]["done_at"] for c in phones.calls), 5)
            codes = {c.requests[-1]["code"] for c in phones.calls}
            report.claim(f"{method} to {second.name} is answered 200", codes == {200}, codes)
        empty, held = stage.none_left()
        report.claim("no node holds a live record", empty, held)
        phones.close()


def asked_again(phones, node):
    """The last three callees send re-INVITEs to a node: the answers, by who called them."""
    answers = {}
    for party in phones.callee.answered_calls[-3:]:
        phones.do(party.send_request, "INVITE", node.sip)
    phones.wait(lambda: all(p.requests[-1]["done_at"] for p in phones.callee.answered_calls[-3:]), 5)
    for party in phones.callee.answered_calls[-3:]:
        answers.setdefault(re.search(r"sip:(\w+)@", party.remote_uri)[1], set()).add(party.requests[-1]["code"])
    return answers


def voiptests(report, quick):
    """sippy/voiptests through a node, and through Kamailio beside it: what passes there passes here."""
    folder = os.environ.get("VOIPTESTS", "")
    if not os.path.exists(os.path.join(folder, "alice_main.py")):
        raise Absent("VOIPTESTS names no checkout: git clone https://github.com/sippy/voiptests; pip install sippy")
    if subprocess.run([sys.executable, "-c", "import sippy"], capture_output=True, check=False).returncode != 0:
        raise Absent("sippy is not installed: pip install sippy")
    net, seconds = NET, 150  # Its longest scenario talks for two minutes.
    extra = [
        "routes:",
        f'  - {{match: "sip:.*", source: [{net}.22], to: ["sip:{net}.21:5062"]}}',
        f'  - {{match: "sip:.*", source: [{net}.21], to: ["sip:{net}.22:5061"]}}',
    ]
    with PeerStage(report, nodes=1, extra_lines=extra) as stage:
        kamailio(stage)
        passed = {}
        for name, proxy in (("understudy", stage.nodes[0].host), ("kamailio", stage.host(10))):
            for side, host, port in (("bob", stage.host(21), 5062), ("alice", stage.host(22), 5061)):
                command = [sys.executable, os.path.join(HERE, "agent_voiptests.py"), side, folder, host, str(port)]
                stage.start(f"{side}-{name}", command + [f"{proxy}:5060", str(seconds + (5 if side == "bob" else 0))])
            stage.programs[f"alice-{name}"].wait()
            for side in ("alice", "bob"):
                stage.end(f"{side}-{name}")
            said = stage.said(f"alice-{name}")
            scheduled = set(re.findall(r"cli='alice_(\w+)_ipv4'", said))
            passed[name] = set(re.findall(r"^@alice_(\w+) 0$", said, re.MULTILINE))
            report.figure(
                f"{name} passes", f"{len(passed[name])} of {len(scheduled)}: {' '.join(sorted(passed[name]))}"
            )
            report.figure(f"{name} does not pass", " ".join(sorted(scheduled - passed[name])) or "none")
        report.claim("scenarios were run", len(scheduled) >= 20, len(scheduled))
        behind = passed["kamailio"] - passed["understudy"]
        report.claim("what passes through Kamailio passes through the node", not behind, sorted(behind))
        empty, held = stage.none_left(40)
        report.claim("the node holds no live record", empty, held)


def kamailio(stage):
    require("kamailio", "kamailio")
    options = ["-A", f"LISTEN=udp:{stage.host(10)}:5060", "-A", f'ALICE="{stage.host(22)}"']
    options += ["-A", f'TO_ALICE="sip:{stage.host(22)}:5061"', "-A", f'TO_BOB="sip:{stage.host(21)}:5062"']
    file = os.path.join(HERE, "voiptests_kamailio.cfg")
    start_kamailio(stage.cluster.processes, "kamailio", stage.path("kamailio"), file, options=options)
