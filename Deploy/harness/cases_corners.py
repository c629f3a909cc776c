"""Acceptance: corners of single calls, each as two plain sockets see it, over three nodes.

A corner is a function on (stage, call): it talks, and says by `call.claim` what must hold. A `Talk` is one call as both
parties know it: tags, targets, route sets and CSeqs (RFC 3261 section 12). Each request may go to any node.
"""

import os
import time

import sip
from cases_manners import Line
from cases_services import Desk
from cluster import Failure
from peerstage import NET, PeerStage

ROUTES = [
    "routes:",
    f'  - {{match: "sip:both@.*", to: ["sip:bob@{NET}.21:5080", "sip:carol@{NET}.23:5080"], policy: parallel}}',
    f'  - {{match: "sip:turns@.*", to: ["sip:bob@{NET}.21:5080 q=1", "sip:carol@{NET}.23:5080 q=0.5"]}}',
]


class Wire(Desk):
    """A party over one TCP connection that it has opened itself; its Contact leads nowhere."""

    def __init__(self, node, host):
        self.line, self.came, self.kept = Line(node.sip), b"", []
        self.host, self.port = host, 5999

    def __exit__(self, *_):
        self.line.sock.close()

    @property
    def contact(self):
        return f"sip:{self.host}.invalid;transport=tcp"

    def receive(self, seconds):
        if self.line.ended:
            return False
        self.came += self.line.read(patience=seconds)
        while b"\r\n\r\n" in self.came:  # What comes over it in these cases has no body.
            head, _, self.came = self.came.partition(b"\r\n\r\n")
            message = sip.parse(head + b"\r\n\r\n")
            if message:
                self.kept.append((message, ("", 0)))
        return True


class Talk:
    """One call, by `a` to `b`."""

    def __init__(self, stage, name, a, b, cseq=1):
        self.stage, self.name, self.report = stage, name, stage.report
        self.parties = {"a": a, "b": b}
        self.call = f"{name.replace(' ', '-')}-{os.urandom(4).hex()}"
        self.tags = {"a": "a" + self.call[-8:], "b": "b" + self.call[-8:]}
        self.uris = {"a": "sip:alice@example.org", "b": "sip:bob@example.org"}
        self.targets = {"a": a.contact, "b": b.contact}
        self.routes = {"a": [], "b": []}
        self.cseqs = {"a": cseq, "b": 100}
        self.branches = {}

    def claim(self, text, good, seen=""):
        return self.report.claim(f"{self.name}: {text}", bool(good), seen)

    def node(self, number):
        return self.stage.nodes[number - 1]

    def send(self, side, method, node=1, uri=None, cseq=None, branch=None, headers=(), to=None, routes=None, body=""):
        """A request of one side; its branch."""
        party, other = self.parties[side], "b" if side == "a" else "a"
        branch = branch or f"z9hG4bK{os.urandom(6).hex()}"
        if cseq is None:
            self.cseqs[side] += method not in ("ACK", "CANCEL")
            cseq = self.cseqs[side]
        tag = f";tag={self.tags[other]}" if self.tags[other] else ""
        fields = [
            ("Via", f"SIP/2.0/{'TCP' if isinstance(party, Wire) else 'UDP'} {party.host}:{party.port};branch={branch}"),
            ("Max-Forwards", "70"),
            *(("Route", route) for route in (self.routes[side] if routes is None else routes)),
            ("From", f"<{self.uris[side]}>;tag={self.tags[side]}" if self.tags[side] else f"<{self.uris[side]}>"),
            ("To", f"<{self.uris[other]}>{tag}" if to is None else to),
            ("Call-ID", self.call),
            ("CSeq", f"{cseq} {method}"),
            *headers,
        ]
        if method in ("INVITE", "UPDATE"):
            fields.append(("Contact", f"<{party.contact}>"))
        data = sip.write(f"{method} {uri or self.targets[other]} SIP/2.0", fields, body)
        if isinstance(party, Wire):
            party.line.send(data)
        else:
            party.sock.sendto(data, self.node(node).sip)
        self.branches[side, method] = branch
        return branch

    def got(self, side, method, seconds=3.0):
        return self.parties[side].wait(lambda m: m.is_request and m.method == method and m.call_id == self.call, seconds)

    def told(self, side, method, seconds=3.0, least=200):
        def fits(m):
            return not m.is_request and m.method == method and m.code >= least and m.call_id == self.call

        return self.parties[side].wait(fits, seconds)[0]

    def answer(self, side, came, code, headers=(), tag=None, contact=None):
        """`came` is what `got` has answered."""
        request, source = came
        party = self.parties[side]
        fields = [("Contact", f"<{contact or party.contact}>"), *headers]
        tag = self.tags[side] if tag is None else tag
        data = sip.answer(request, code, source, tag, fields, record_route=True)
        if isinstance(party, Wire):
            party.line.send(data)
        else:
            party.sock.sendto(data, request.via.answer_goes_to(source))

    def invite(self, node=1, uri=None, **options):
        """The caller's INVITE, and what reaches the callee."""
        self.invite_uri = uri or self.targets["b"]
        self.send("a", "INVITE", node, uri, cseq=self.cseqs["a"], to=f"<{self.uris['b']}>", **options)
        self.came = self.got("b", "INVITE")
        return self.came[0]

    def learn(self, answer):
        request = self.came[0]
        self.routes = {"a": answer.record_routes[::-1], "b": list(request.record_routes)}
        self.targets = {"a": sip.uri_of(request.get("contact")), "b": sip.uri_of(answer.get("contact"))}

    def pick_up(self, **options):
        self.answer("b", self.came, 200, **options)
        answer = self.told("a", "INVITE")
        if answer is not None:
            self.learn(answer)
        return answer is not None and answer.code == 200

    def up(self, **options):
        """INVITE, 180, 200 and ACK: whether all of it arrived."""
        if self.invite(**options) is None:
            return self.claim("the INVITE arrives", False)
        self.answer("b", self.came, 180)
        good = self.pick_up()
        self.send("a", "ACK", cseq=self.cseqs["a"])
        return self.claim("it is up", good and self.got("b", "ACK")[0])

    def ask(self, side, method, node=1, answer=200, contact=None, **options):
        """A request within the call, answered: whether both arrived."""
        other = "b" if side == "a" else "a"
        self.send(side, method, node, **options)
        came = self.got(other, method)
        if came[0] is None:
            return False
        self.answer(other, came, answer, contact=contact)
        final = self.told(side, method)
        if method == "INVITE" and final is not None and final.code < 300:
            self.send(side, "ACK", node, cseq=self.cseqs[side])
            self.got(other, "ACK")
        return final is not None and final.code == answer

    def states(self):
        return {n.name: [d["state"] for d in n.dialogs() if d["call_id"] == self.call] for n in self.stage.cluster.alive()}

    def known(self, state="confirmed"):
        """Every node has it, once, in this state."""
        return self.eventually(f"every node has it {state}, once", lambda seen: all(s == [state] for s in seen.values()))

    def gone(self):
        return self.eventually("no node has it any more", lambda seen: not any(seen.values()))

    def eventually(self, text, test, seconds=3.0):
        end = time.monotonic() + seconds
        while not test(seen := self.states()) and time.monotonic() < end:
            time.sleep(0.05)
        return self.claim(text, test(seen), seen)

    def bye(self, side, node=1):
        self.claim(f"BYE of {side} by n{node} is answered", self.ask(side, "BYE", node))
        self.gone()

    def ended_by_operator(self, node=2):
        did = next((d["did"] for d in self.node(node).dialogs() if d["call_id"] == self.call), None)
        if not self.claim("it can be ended", did is not None):
            return {}
        self.node(node).rpc("cluster.end", did)
        byes = {side: self.got(side, "BYE") for side in "ab"}
        for side, came in byes.items():
            if came[0] is not None:
                self.answer(side, came, 200)
        self.claim("both sides get a BYE", all(came[0] for came in byes.values()), {s: c[0] and c[0].uri for s, c in byes.items()})
        return {side: came[0].uri for side, came in byes.items() if came[0]}


# -- Corners that want all nodes up


def moved_by_turns(stage, call):
    """Each side's last Contact counts, though the other side's CSeqs are far higher."""
    call.up()
    call.claim("the callee refreshes", call.ask("b", "UPDATE", 2))
    alice, bob = call.parties["a"], call.parties["b"]
    with Desk(alice.host) as moved:
        call.parties["a"] = moved
        call.claim("the caller moves", call.ask("a", "INVITE", 3))
        call.known()
        uris = call.ended_by_operator()
        call.claim("each BYE goes where that side is now", uris == {"a": moved.contact, "b": bob.contact}, uris)
        call.parties["a"] = alice
    call.gone()


def connected_anew(stage, call):
    """A phone whose connection broke is reached over the one by which it has sent anything since."""
    call.up()
    call.known()
    call.parties["a"].line.sock.close()
    with Wire(stage.nodes[1], call.parties["a"].host) as again:
        call.parties["a"] = again
        call.claim("its INFO passes by another connection, to another node", call.ask("a", "INFO"))
        time.sleep(0.05)
        call.bye("b", 3)


def maddr_of_ours(stage, call):
    """A maddr that names a node has done its work there (RFC 3261 section 16.4)."""
    host = call.parties["b"].host
    with Desk(host, 5060) as bob:
        call.parties["b"] = bob
        uri = f"sip:{host}:{stage.nodes[0].sip[1]};maddr={stage.nodes[0].host}"
        request = call.invite(uri=uri)
        if call.claim("the INVITE goes to its host", request is not None and request.uri == f"sip:{host}"):
            call.claim("it is answered", call.pick_up())
            call.send("a", "ACK", cseq=1)
            call.claim("the ACK arrives", call.got("b", "ACK")[0])
            call.bye("a", 2)


def odd_tags(stage, call):
    """No tags, and the same tag on both sides: each side's BYE ends the call on every node."""
    plain = call.call
    for number, (a, b, side) in enumerate((("", "", "a"), ("", "y", "b"), ("x", "", "a"), ("same", "same", "b"))):
        call.call, call.tags = f"{plain}{number}", {"a": a, "b": b}
        call.cseqs, call.routes = {"a": 1, "b": 100}, {"a": [], "b": []}
        call.targets = {side: party.contact for side, party in call.parties.items()}
        call.up()
        call.bye(side, 1 + number % 3)


def cancel_crosses_answer(stage, call):
    """The CANCEL comes to another node while the 200 is on its way: the call is up."""
    call.invite()
    call.answer("b", call.came, 180)
    call.claim("it rings", call.told("a", "INVITE", least=180))
    call.answer("b", call.came, 200)
    cancel(call, 2)
    answer = call.told("a", "INVITE")
    if call.claim("the 200 arrives", answer is not None and answer.code == 200):
        call.learn(answer)
        call.send("a", "ACK", cseq=1)
        call.claim("the ACK arrives", call.got("b", "ACK")[0])
        call.known()
        call.bye("b", 3)


def cancel(call, node):
    call.send("a", "CANCEL", node, call.invite_uri, 1, call.branches["a", "INVITE"], to=f"<{call.uris['b']}>", routes=[])
    final = call.told("a", "CANCEL")
    call.claim(f"CANCEL to n{node} is answered 200", final is not None and final.code == 200)


def cancel_before_ringing(stage, call):
    """The CANCEL comes to another node before the callee has said anything, and waits for that."""
    call.invite()
    time.sleep(0.03)
    cancel(call, 3)
    call.answer("b", call.came, 180)
    came = call.got("b", "CANCEL")
    if call.claim("the callee is cancelled when it rings", came[0]):
        call.answer("b", came, 200)
        call.answer("b", call.came, 487)
    final = call.told("a", "INVITE")
    call.claim("the caller has the 487", final is not None and final.code == 487)
    acknowledge(call, final)
    call.gone()


def acknowledge(call, final, node=1, side="a", uri=None, routes=()):
    """The ACK of a failure, by the INVITE's branch."""
    branch = call.branches[side, "INVITE"]
    call.send(side, "ACK", node, uri or call.invite_uri, final.cseq, branch, to=final.get("to"), routes=routes)


def answered_though_cancelled(stage, call):
    """The callee answers after it was cancelled: that is a call, with an end."""
    call.invite()
    call.answer("b", call.came, 180)
    call.told("a", "INVITE", least=180)
    cancel(call, 2)
    call.answer("b", call.got("b", "CANCEL"), 200)
    if call.claim("the 200 arrives", call.pick_up()):
        call.send("a", "ACK", cseq=1)
        call.claim("the ACK arrives", call.got("b", "ACK")[0])
        call.known()
        call.bye("a", 3)


def two_answers(stage, call):
    """Two 2xx by one branch: the end of one leaves the other."""
    call.invite()
    answers = {}
    for tag in ("t1", "t2"):
        call.answer("b", call.came, 200, tag=tag)
        answers[tag] = call.told("a", "INVITE")
        call.claim(f"the 200 of {tag} arrives", answers[tag] is not None and sip.tag_of(answers[tag].get("to")) == tag)
        call.tags["b"] = tag
        call.learn(answers[tag])
        call.send("a", "ACK", 2, cseq=1)
        call.claim("its ACK arrives", call.got("b", "ACK")[0])
    call.claim("BYE to the second is answered", call.ask("a", "BYE", 3))
    call.known()
    call.tags["b"], call.cseqs["a"] = "t1", 1
    call.bye("b", 2)


def glare(stage, call):
    """Both ask at once, by different nodes, and both refuse: the ACKs end with us, wherever they come in."""
    call.up()
    call.send("a", "INVITE", 1)
    call.send("b", "INVITE", 2)
    came = {side: call.got(side, "INVITE") for side in "ab"}
    for side in "ab":
        call.answer(side, came[side], 491)
    finals = {side: call.told(side, "INVITE") for side in "ab"}
    call.claim("both have 491", all(f is not None and f.code == 491 for f in finals.values()))
    for side in "ab":
        call.claim("the proxy acknowledges", call.got(side, "ACK")[0])
    time.sleep(0.1)
    for side, node in (("a", 3), ("b", 1)):
        other = call.targets["b" if side == "a" else "a"]
        acknowledge(call, finals[side], node, side, other, call.routes[side])
    stray = [call.got(side, "ACK", 0.2)[0] for side in "ab"]
    call.claim("no ACK goes further", stray == [None, None], stray)
    call.claim("later it works", call.ask("a", "INVITE", 3))
    call.bye("b", 2)


def one_early_dialog_ends(stage, call):
    """A BYE ends one of two early dialogs of a branch; the other one answers."""
    call.invite()
    for tag in ("t1", "t2"):
        call.answer("b", call.came, 183, tag=tag)
        call.learn(call.told("a", "INVITE", least=183))
    call.tags["b"] = "t1"
    call.claim("BYE to the first", call.ask("a", "BYE", 2))
    call.tags["b"] = "t2"
    call.claim("the second answers", call.pick_up())
    call.send("a", "ACK", 3, cseq=1)
    call.claim("the ACK arrives", call.got("b", "ACK")[0])
    call.known()
    call.bye("b", 3)


def challenged(stage, call):
    """A challenge answered with the CSeq and the tag of before, at another node, is an attempt of its own."""
    call.invite()
    call.answer("b", call.came, 407, [("Proxy-Authenticate", 'Digest realm="x", nonce="1"')], tag="challenge")
    call.got("b", "ACK")
    final = call.told("a", "INVITE")
    call.claim("the caller is challenged", final is not None and final.code == 407)
    acknowledge(call, final)
    credentials = 'Digest username="a", realm="x", nonce="1", uri="sip:x", response="00000000000000000000000000000000"'
    call.up(node=2, headers=[("Proxy-Authorization", credentials)])
    call.known()
    call.bye("a", 3)


def strict_routers(stage, call):
    """A strict router before us has put our Route into the Request-URI; one behind us wants to be found there."""
    call.up()
    own = sip.uri_of(call.routes["a"][0])
    call.routes["a"] = call.routes["a"][1:] + [f"<{call.targets['b']}>"]
    call.claim("what came by a strict router is answered", call.ask("a", "INFO", 2, uri=own))
    call.routes["a"] = [f"<{own}>", f"<sip:{call.parties['b'].host}:{call.parties['b'].port}>"]
    call.send("a", "BYE", 3, "sip:bob@192.0.2.77")
    came = call.got("b", "BYE")
    if call.claim("the router behind us gets the BYE", came[0]):
        call.claim("by its own URI, the target last", came[0].routes[-1:] == ["<sip:bob@192.0.2.77>"], came[0].routes)
        call.answer("b", came, 200)
        call.told("a", "BYE")
    call.gone()


def loser_answers_too(stage, call):
    """Of two phones that are called at once both answer: the caller ends the second, the first goes on."""
    with Desk(stage.host(23), 5080) as carol:
        call.invite(uri="sip:both@example.org")
        first = call.came
        second = carol.wait(lambda m: m.is_request and m.call_id == call.call)
        call.answer("b", first, 180)
        call.told("a", "INVITE", least=180)
        call.claim("the first answers", call.pick_up())
        call.send("a", "ACK", cseq=1)
        call.claim("its ACK arrives", call.got("b", "ACK")[0])
        carol.answer(second[0], second[1], 200)
        answer = call.told("a", "INVITE")
        if call.claim("the second 200 arrives", answer is not None):
            kept = (call.parties["b"], call.tags["b"], call.targets["b"])
            call.parties["b"], call.tags["b"] = carol, sip.tag_of(answer.get("to"))
            call.targets["b"] = carol.contact
            call.send("a", "ACK", 2, cseq=1)
            call.claim("and is acknowledged", call.got("b", "ACK")[0])
            call.claim("and ended", call.ask("a", "BYE", 3))
            call.parties["b"], call.tags["b"], call.targets["b"] = kept
    call.known()
    call.bye("b", 2)


def timer_over_nodes(stage, call):
    """A session timer that is agreed, changed and given up, each time at another node (RFC 4028)."""

    def left(low, high, what):
        def all_in(seen):
            return all(len(s) == 1 and low <= s[0] <= high for s in seen.values())

        end = time.monotonic() + 2
        while not all_in(seen := remaining(stage, call)) and time.monotonic() < end:
            time.sleep(0.05)
        call.claim(f"{what}: every node counts {low} to {high} s", all_in(seen), seen)

    call.up()
    for node, seconds in ((2, 200), (3, 100)):
        timer = [("Session-Expires", f"{seconds};refresher=uac"), ("Supported", "timer")]
        call.send("a", "UPDATE", node, headers=timer)
        call.answer("b", call.got("b", "UPDATE"), 200, timer)
        call.claim("the UPDATE is answered", call.told("a", "UPDATE"))
        left(seconds - 5, seconds + seconds // 3 + 33, f"{seconds} s are agreed on")
    call.claim("and given up", call.ask("b", "UPDATE", 1))
    left(590, 601, "none")
    call.bye("a", 2)


def remaining(stage, call):
    return {n.name: [d["remaining_s"] for d in n.dialogs() if d["call_id"] == call.call] for n in stage.cluster.alive()}


# -- Corners whose node dies


def late_answer_to_survivor(stage, call):
    """The node dies while it rings; the callee repeats its 200 to a survivor."""
    call.invite()
    call.answer("b", call.came, 180)
    call.told("a", "INVITE", least=180)
    time.sleep(0.05)
    stage.nodes[0].kill()
    request, _ = call.came
    answer, end = None, time.monotonic() + 4
    while answer is None and time.monotonic() < end:
        data = sip.answer(
            request, 200, (stage.nodes[0].host, 5060), call.tags["b"], [("Contact", f"<{call.parties['b'].contact}>")],
            record_route=True)
        call.parties["b"].sock.sendto(data, stage.nodes[1].sip)
        answer = call.told("a", "INVITE", 0.5)
    if call.claim("a survivor passes it on", answer is not None and answer.code == 200, answer and answer.first_line):
        call.learn(answer)
        call.send("a", "ACK", 3, cseq=1)
        call.claim("the ACK arrives", call.got("b", "ACK")[0])
        call.known()
        call.bye("b", 2)


def next_turn_at_survivor(stage, call):
    """A proxy above goes on hunting at a survivor: the next attempt is a call of its own."""
    call.invite()
    call.answer("b", call.came, 486, tag="busy")
    call.got("b", "ACK")
    final = call.told("a", "INVITE")
    call.claim("the first attempt is busy", final is not None and final.code == 486)
    acknowledge(call, final)
    time.sleep(0.05)
    stage.nodes[0].kill()
    with Desk(stage.host(23), 5080) as carol:
        call.parties["b"], call.targets["b"] = carol, carol.contact
        call.invite(2)
        if call.claim("the next phone gets its INVITE", call.came[0]):
            call.claim("and answers", call.pick_up())
            call.send("a", "ACK", 3, cseq=1)
            call.claim("the ACK arrives", call.got("b", "ACK")[0])
            call.known()
            call.bye("a", 2)


def tagless_ended_by_survivor(stage, call):
    """Neither side has a tag, and the node is dead: both get their BYE all the same."""
    call.tags = {"a": "", "b": ""}
    call.up()
    call.known()
    stage.nodes[0].kill()
    call.ended_by_operator(3)
    call.gone()


UP = [
    moved_by_turns, connected_anew, maddr_of_ours, odd_tags, cancel_crosses_answer, cancel_before_ringing,
    answered_though_cancelled, two_answers, glare, one_early_dialog_ends, challenged, strict_routers, loser_answers_too,
    timer_over_nodes,
]
KILLED = [late_answer_to_survivor, next_turn_at_survivor, tagless_ended_by_survivor]


def run(stage, corner):
    connects = corner is connected_anew
    caller = Wire(stage.nodes[0], stage.host(22)) if connects else Desk(stage.host(22), 5080)
    with caller, Desk(stage.host(21), 5080) as callee:
        call = Talk(stage, corner.__name__.replace("_", " "), caller, callee)
        try:
            corner(stage, call)
        except (AttributeError, TypeError, OSError, Failure) as problem:
            # A message that did not come leaves the corner without its next step.
            call.claim("the corner comes to its end", False, f"{type(problem).__name__}: {problem}")


def corners(report, quick):
    """Fourteen corners of single calls, each over three nodes: races, forks, odd tags, strict routers, phones that move."""
    with PeerStage(report, lifetime=600, extra_lines=ROUTES) as stage:
        for corner in UP:
            run(stage, corner)
        empty, held = stage.none_left(10)
        report.claim("no node holds a live record", empty, held)


def corners_killed(report, quick):
    """A node is killed in the midst of a ringing call, of hunting above it, and of a call without tags."""
    for corner in KILLED[:2] if quick else KILLED:
        with PeerStage(report, lifetime=600, extra_lines=ROUTES) as stage:
            run(stage, corner)
            empty, held = stage.none_left(10)
            report.claim("no node holds a live record", empty, held)
