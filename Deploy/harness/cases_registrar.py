"""Acceptance: phones register, and are reached by every node, whichever of them dies.

Everything comes from the balancer's address, as it does in the field: a script's pike does not count that one.
"""

import os
import shutil
import time

import sip
from cases_services import Desk
from cluster import Cluster, note
from loop import now
from nodestage import NodeStage
from peerstage import Absent

SCRIPT = "/usr/share/doc/kamailio/examples/kemi/kamailio-basic-kemi-lua.lua"
DOMAIN = "example.org"
# As many requests as a socket keeps for who is not running at the moment: nobody here sends one again.
AT_ONCE = 50


def stock_script():
    if not os.path.exists(SCRIPT):
        raise Absent("kamailio's examples are not installed: apt-get install kamailio")
    return SCRIPT


class RegistrarStage(NodeStage):
    """Three nodes with a registrar: of the configuration, or of a script, of which they have a copy."""

    def __init__(self, report, script=None, extra=()):
        super().__init__(report, "registrar")
        self.script = self.path("route.lua")
        if script:
            shutil.copy(script, self.script)
        lines = [f"script: {{lua: {self.script}}}"] if script else [f"registrar: {{domains: [{DOMAIN}]}}"]
        aliases = [f"alias: [{DOMAIN}]"] if script else []
        self.cluster = Cluster(
            self.folder, 3, name="registrar", sip_lines=aliases, extra_lines=[*lines, *extra]
        )

    def desk(self, last, port=0):
        return Desk(self.cluster.host(last), port)


def register(desk, node, user, contact, call, cseq=1, expires=600):
    fields = [
        ("Via", f"SIP/2.0/UDP {desk.host}:{desk.port};branch=z9hG4bK{os.urandom(6).hex()};rport"),
        ("Max-Forwards", "70"),
        ("From", f"<sip:{user}@{DOMAIN}>;tag={call}"),
        ("To", f"<sip:{user}@{DOMAIN}>"),
        ("Call-ID", call),
        ("CSeq", f"{cseq} REGISTER"),
        ("Contact", contact),
        ("Expires", str(expires)),
    ]
    desk.sock.sendto(sip.write(f"REGISTER sip:{DOMAIN} SIP/2.0", fields), node.sip)


def final(desk, call, seconds=4.0):
    """The final answer to any request of a call."""
    found, _ = desk.wait(lambda m: not m.is_request and m.code >= 200 and m.get("call-id") == call, seconds)
    return found


def finals(desk, calls):
    """Those of several, until one is missing."""
    found = []
    for call in calls:
        found.append(final(desk, call))
        if found[-1] is None:
            break
    return found


def registrar(report, quick):
    """REGISTERs through one node, kill -9 of it 5 ms after the last 200: calls through the others reach every phone."""
    for script in (None, stock_script() if os.path.exists(SCRIPT) else None):
        if script is None and report.claims > 0:
            note("  the stock script is not installed: tried without one only")
            continue
        note(f"  -- {'with the stock script' if script else 'without a script'}")
        survives_a_kill(report, script, 200)


def groups(count):
    return [range(first, min(first + AT_ONCE, count)) for first in range(0, count, AT_ONCE)]


def survives_a_kill(report, script, count):
    with RegistrarStage(report, script) as stage, stage.desk(10) as front, stage.desk(21) as phones:
        first, others = stage.nodes[0], stage.nodes[1:]
        answered = []
        for some in groups(count):
            for index in some:
                contact = f"<sip:u{index}@{phones.host}:{phones.port}>"
                register(front, first, f"u{index}", contact, f"r{index}")
            answered += finals(front, [f"r{index}" for index in some])
        time.sleep(0.005)
        first.kill()
        good = sum(answer is not None and answer.code == 200 for answer in answered)
        report.claim(f"{count} REGISTERs are answered 200", good == count, good)
        reached, told, slowest = set(), [], 0.0
        for some in groups(count):
            began, wanted = now(), len(reached) + len(some)
            for index in some:
                front.request(others[index % 2], "INVITE", f"sip:u{index}@{DOMAIN}", f"i{index}")
            while len(reached) < wanted:
                invite, source = phones.asked("INVITE", 5)
                if invite is None:
                    break
                reached.add(invite.uri.partition("@")[0])
                phones.answer(invite, source, 486)
            slowest = max(slowest, now() - began)
            told += finals(front, [f"i{index}" for index in some])
        report.figure("the slowest INVITE reached its phone after", f"{slowest * 1000:.0f} ms")
        report.claim("calls through the two others reach every phone", len(reached) == count, len(reached))
        busy = sum(answer is not None and answer.code == 486 for answer in told)
        report.claim("and its answer comes back", busy == count, busy)
        stage.cluster.wait_view([n.name for n in others])


def script_stock(report, quick):
    """The stock script of Kamailio on three nodes: two phones register and talk while the node of their call dies."""
    with RegistrarStage(report, stock_script()) as stage:
        with stage.desk(21, 5070) as alice, stage.desk(22, 5080) as bob:
            two_phones(report, stage, alice, bob)
            another_script(report, stage, alice)


def two_phones(report, stage, alice, bob):
    n1, n2, n3 = stage.nodes
    for desk, node, user in ((alice, n1, "alice"), (bob, n2, "bob")):
        register(desk, node, user, f"<sip:{user}@{desk.host}:{desk.port}>", f"reg-{user}")
        answer = final(desk, f"reg-{user}")
        report.claim(f"{user} registers", answer is not None and answer.code == 200)
    alice.request(n3, "INVITE", f"sip:bob@{DOMAIN}", "call")
    invite, source = bob.asked("INVITE")
    report.claim("a call through the third node rings bob", invite is not None and invite.uri.startswith("sip:bob@"))
    if invite is None:
        return
    bob.answer(invite, source, 180)
    bob.answer(invite, source, 200)
    success = alice.told("INVITE")
    report.claim("his answer reaches alice", success is not None and success.code == 200)
    routes = list(reversed(success.record_routes))
    tag = sip.tag_of(success.get("to"))
    alice.request(n1, "ACK", bob.contact, "call", tag, routes)
    acked, _ = bob.asked("ACK")
    report.claim("and her ACK bob, through another node", acked is not None)
    n3.kill()
    stage.cluster.wait_view([n1.name, n2.name])
    alice.request(n2, "BYE", bob.contact, "call", tag, routes, 2)
    bye, source = bob.asked("BYE")
    report.claim("the node of the call is killed, and a BYE reaches bob all the same", bye is not None)
    if bye:
        bob.answer(bye, source, 200)
    ended = alice.told("BYE")
    report.claim("and is answered", ended is not None and ended.code == 200)
    register(bob, n1, "bob", f"<sip:bob@{bob.host}:{bob.port}>", "reg-bob", cseq=2, expires=0)
    answer = final(bob, "reg-bob")
    report.claim("bob takes his registration back", answer is not None and answer.code == 200)
    alice.request(n2, "INVITE", f"sip:bob@{DOMAIN}", "none")
    gone = final(alice, "none")
    report.claim("and is not found any more", gone is not None and gone.code == 404, gone and gone.code)


def another_script(report, stage, alice):
    n1 = stage.nodes[0]
    with open(stage.script) as file:
        text = file.read()
    version = n1.status()["script"]["version"]

    def reload(body):
        with open(stage.script, "w") as file:
            file.write(body)
        return stage.cluster.command("reload", "--node", n1.url)

    def answer(call):
        alice.request(n1, "INVITE", f"sip:nobody@{DOMAIN}", call)
        told = final(alice, call)
        return told and told.code

    code, said = reload(text + "\nfunction ksr_request_route( end\n")
    report.claim("a script that does not compile is refused with its line", code == 1 and "route.lua:" in said, said)
    report.claim("and the one from before serves", n1.status()["script"]["version"] == version and answer("bad") == 404)
    code, said = reload(text.replace("function ksr_request_route()", "function ksr_other_route()"))
    report.claim("so is one without a request route", code == 1 and answer("none2") == 404, said)
    code, said = reload(text.replace('KSR.sl.send_reply(404, "Not Found")', 'KSR.sl.send_reply(604, "Nowhere")'))
    report.claim("a good one serves from then on", code == 0 and "script.lua" in said and answer("good") == 604, said)
    report.claim("and status says that it is another", n1.status()["script"]["version"] != version)
