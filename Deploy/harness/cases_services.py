"""Acceptance: what a cluster does for others beside calls: registered phones, identities, forks, session timers.

The parties are plain sockets, so that each header can be looked at.
"""

import os
import socket
import time

import sip
from cases_manners import Line
from peerstage import PeerStage


class Desk:
    """A party by UDP: sends to any node, and waits for the messages that it is meant to get."""

    def __init__(self, host, port=0):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((host, port))
        self.host, self.port = self.sock.getsockname()
        self.kept = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    @property
    def contact(self):
        return f"sip:{self.host}:{self.port}"

    def request(self, node, method, uri, call, to_tag="", routes=(), cseq=1, headers=()):
        fields = [
            ("Via", f"SIP/2.0/UDP {self.host}:{self.port};branch=z9hG4bK{os.urandom(6).hex()}"),
            ("Max-Forwards", "70"),
            *(("Route", route) for route in routes),
            ("From", f"<{self.contact}>;tag={call}"),
            ("To", f"<{uri}>" + (f";tag={to_tag}" if to_tag else "")),
            ("Call-ID", call),
            ("CSeq", f"{cseq} {method}"),
            ("Contact", f"<{self.contact}>"),
            *headers,
        ]
        self.sock.sendto(sip.write(f"{method} {uri} SIP/2.0", fields), node.sip)

    def answer(self, request, source, code, headers=()):
        fields = [("Contact", f"<{self.contact}>"), *headers]
        data = sip.answer(request, code, source, f"t{self.port}", fields, record_route=True)
        self.sock.sendto(data, request.via.answer_goes_to(source))

    def wait(self, wanted, seconds=4.0):
        """The first message that `wanted` takes, and where it came from; (None, None) when none came."""
        end = time.monotonic() + seconds
        while True:
            for index, (message, source) in enumerate(self.kept):
                if wanted(message):
                    del self.kept[index]
                    return message, source
            left = end - time.monotonic()
            if left <= 0 or not self.receive(left):
                return None, None

    def receive(self, seconds):
        """Keeps what comes next; whether anything may come after it."""
        self.sock.settimeout(seconds)
        try:
            data, source = self.sock.recvfrom(65536)
        except TimeoutError:
            return True
        message = sip.parse(data)
        if message:
            self.kept.append((message, source))
        return True

    def asked(self, method, seconds=4.0):
        return self.wait(lambda message: message.is_request and message.method == method, seconds)

    def told(self, method, seconds=4.0):
        """The final answer to its request."""
        return self.wait(lambda m: not m.is_request and m.method == method and m.code >= 200, seconds)[0]


class Phone:
    """A phone that only its own connection leads to."""

    CONTACT = "sip:phone@phone.invalid;transport=tcp"

    def __init__(self, node):
        self.line = Line(node.sip)
        self.came = b""

    def request(self, method, uri, call):
        fields = [
            ("Via", f"SIP/2.0/TCP phone.invalid;branch=z9hG4bK{os.urandom(6).hex()}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:phone@example.org>;tag={call}"),
            ("To", "<sip:phone@example.org>"),
            ("Call-ID", call),
            ("CSeq", f"1 {method}"),
            ("Contact", f"<{self.CONTACT}>"),
            ("Supported", "path"),
        ]
        self.line.send(sip.write(f"{method} {uri} SIP/2.0", fields))

    def read(self):
        """The next message; all of this case have no body."""
        if b"\r\n\r\n" not in self.came:
            self.came += self.line.read()
        head, _, self.came = self.came.partition(b"\r\n\r\n")
        return sip.parse(head + b"\r\n\r\n") if head else None

    def answer(self, request, code):
        headers = [("Contact", f"<{self.CONTACT}>")]
        self.line.send(sip.answer(request, code, ("", 0), "phone", headers, record_route=True))


def services(report, quick):
    """A registered phone is reached by its Path from any node; identities, forks, session timers as configured."""
    net = os.environ.get("ACCEPTANCE_PEERS_NET", "127.0.78")
    lines = [
        f"access: {{trusted: [{net}.21]}}",
        "routes:",
        f'  - {{method: [REGISTER], to: ["sip:{net}.22:5060"], path: supported}}',
        f'  - {{match: "sip:group@.*", to: ["sip:a@{net}.23:5061", "sip:b@{net}.23:5062"], policy: parallel}}',
    ]
    with PeerStage(report, sip_lines=["late-answer: end", "min-se: 120"], extra_lines=lines) as stage:
        registered(report, stage)
        identities(report, stage)
        late_answers(report, stage)
        timers(report, stage)
        report.claim("every node is up", all((n.status() or {}).get("state") == "up" for n in stage.nodes))
        empty, held = stage.none_left(10)
        report.claim("no node holds a live record", empty, held)


def registered(report, stage):
    n1, n2, n3 = stage.nodes
    with Desk(stage.host(22), 5060) as registrar:
        phone = Phone(n1)
        phone.request("REGISTER", "sip:example.org", "reg1")
        request, source = registrar.asked("REGISTER")
        path = request.get("path") if request else ""
        report.claim("the registrar gets the node's Path, sealed", path.startswith("<sip:usp"), path)
        if not request:
            return
        registrar.answer(request, source, 200)
        answer = phone.read()
        report.claim("the phone is registered over its connection", answer is not None and answer.code == 200)

        registrar.request(n2, "INVITE", Phone.CONTACT, "reg2", routes=[path])
        invite = phone.read()
        report.claim("a call by another node rings it over that connection", bool(invite) and invite.method == "INVITE")
        phone.answer(invite, 200)
        success = registrar.told("INVITE")
        report.claim("its answer reaches the caller", success is not None and success.code == 200)
        routes = list(reversed(success.record_routes))
        tag = sip.tag_of(success.get("to"))
        registrar.request(n2, "ACK", Phone.CONTACT, "reg2", tag, routes)
        report.claim("and so does the ACK the phone", (m := phone.read()) is not None and m.method == "ACK")
        good, held = stage.all_confirmed(1)
        report.claim("every node holds the dialog, confirmed", good, held)
        registrar.request(n3, "BYE", Phone.CONTACT, "reg2", tag, routes, 2)
        bye = phone.read()
        report.claim("a BYE by the third node reaches it", bool(bye) and bye.method == "BYE")
        phone.answer(bye, 200)
        ended = registrar.told("BYE")
        report.claim("and is answered", ended is not None and ended.code == 200)

        registrar.request(n2, "MESSAGE", Phone.CONTACT, "reg3", routes=[path.replace("<sip:usp", "<sip:uspf")])
        refused = registrar.told("MESSAGE")
        report.claim("a Path that is not ours leads nowhere", refused is not None and refused.code >= 400)
        phone.line.sock.close()
        time.sleep(0.2)
        registrar.request(n2, "MESSAGE", Phone.CONTACT, "reg4", routes=[path])
        gone = registrar.told("MESSAGE")
        code = gone and gone.code
        report.claim("without the connection the answer is 430", code == 430, code)


def identities(report, stage):
    asserted = ("P-Asserted-Identity", "<sip:boss@example.org>")
    for host, privacy, wanted in ((21, "none", True), (21, "id", False), (24, "none", False)):
        with Desk(stage.host(host)) as sender, Desk(stage.host(23)) as receiver:
            headers = [asserted, ("Privacy", privacy)]
            sender.request(stage.nodes[0], "MESSAGE", receiver.contact, f"i{host}{privacy}", headers=headers)
            request, source = receiver.asked("MESSAGE")
            came = request is not None and request.get("p-asserted-identity") != ""
            report.claim(
                f"an identity from {'who is trusted' if host == 21 else 'a stranger'}, Privacy {privacy}: "
                f"{'passes' if wanted else 'is removed'}",
                request is not None and came == wanted,
            )
            if request:
                receiver.answer(request, source, 200)
                sender.told("MESSAGE")


def late_answers(report, stage):
    n1, n2, _ = stage.nodes
    with Desk(stage.host(24)) as caller, Desk(stage.host(23), 5061) as one, Desk(stage.host(23), 5062) as two:
        caller.request(n1, "INVITE", f"sip:group@{stage.host(10)}", "late1")
        (first, source), (second, other) = one.asked("INVITE"), two.asked("INVITE")
        report.claim("both phones of a group ring", bool(first) and bool(second))
        if not first or not second:
            return
        one.answer(first, source, 180)
        two.answer(second, other, 180)
        one.answer(first, source, 200)
        two.answer(second, other, 200)
        success = caller.told("INVITE")
        report.claim("the caller has the first answer", bool(success) and sip.tag_of(success.get("to")) == "t5061")
        ack, bye = two.asked("ACK")[0], two.asked("BYE")
        report.claim("the second phone gets ACK and BYE from the cluster", bool(ack) and bool(bye[0]))
        if bye[0]:
            two.answer(*bye, 200)
        routes, tag = list(reversed(success.record_routes)), sip.tag_of(success.get("to"))
        caller.request(n2, "ACK", one.contact, "late1", tag, routes)
        report.claim("the first one gets the caller's ACK", one.asked("ACK")[0] is not None)
        report.claim("the caller has heard of no other answer", caller.told("INVITE", 0.5) is None)
        good, held = stage.all_confirmed(1)
        report.claim("every node holds one dialog, confirmed", good, held)
        caller.request(n2, "BYE", one.contact, "late1", tag, routes, 2)
        end = one.asked("BYE")
        if end[0]:
            one.answer(*end, 200)
        answer = caller.told("BYE")
        report.claim("the call ends by the caller's BYE", answer is not None and answer.code == 200)


def timers(report, stage):
    with Desk(stage.host(24)) as caller:
        headers = [("Session-Expires", "90"), ("Supported", "timer")]
        caller.request(stage.nodes[2], "INVITE", f"sip:x@{stage.host(23)}:5069", "timer1", headers=headers)
        answer = caller.told("INVITE")
        report.claim(
            "a session that would be refreshed too often: 422 with Min-SE",
            answer is not None and answer.code == 422 and answer.get("min-se") == "120",
        )
