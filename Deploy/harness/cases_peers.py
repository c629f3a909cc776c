"""Acceptance: independent user agents against a cluster of three with every transport."""

from agents import Baresip, Linphone, NetSIP, Pjsua
from party import Plan
from peerstage import PeerStage, Sipp
from phones import Phones


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
                caller_file, stage.host(22), port, mode, stage.nodes[0].sip, (f"{stage.host(21)}:{port}", word),
                ["-d", talk, "-m", count, "-r", count * 2, "-l", count, "-timeout", "20s", "-timeout_error"],
            )  # fmt: skip
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
        if not report.claim(f"{label}: both say the call is up", all(up), "" if all(up) else says(stage, caller, callee)):
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
    with PeerStage(report) as stage:
        for index, transport in enumerate(("tcp", "tls")):
            port = 5500 + 10 * index
            phones = Phones((stage.host(23), port), (stage.host(21), port), log=stage.trace(f"callee{port}"))
            phones.default_plan = Plan(ring=0.03)
            agent = Linphone(stage, f"linphone{port}", stage.host(22), port, transport, stage.nodes[0]).start()
            for turn, node in enumerate(stage.nodes, 1):
                agent.call(f"sip:bob@{stage.host(21)}:{port};transport=udp")
                up = agent.saw("established", turn)
                label = f"{transport}, {node.name}"
                if not report.claim(f"{label}: the call is up", up, "" if up else says(stage, agent)):
                    break
                good, held = stage.all_confirmed(1)
                report.claim(f"{label}: every node lists it as confirmed", good, held)
                callee = next(p for p in reversed(phones.callee.answered_calls) if p.ended_at is None)
                for method in ("INVITE", "BYE"):
                    send = callee.hang_up if method == "BYE" else (lambda to, p=callee: p.send_request("INVITE", to))
                    phones.do(send, node.sip)
                    phones.wait(lambda p=callee: p.requests[-1]["done_at"], 8)
                    code = callee.requests[-1]["code"]
                    report.claim(f"{label}: {method} to {node.name} reaches the phone and is answered", code == 200, code)
                down = agent.saw("released", turn)
                report.claim(f"{label}: it has hung up", down, "" if down else says(stage, agent))
                empty, held = stage.none_left()
                report.claim(f"{label}: no node holds a live record", empty, held)
            agent.end()
            phones.close()
