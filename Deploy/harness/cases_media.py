"""Acceptance: a script that leads media through relays: rtpengine's protocol to stand-ins, from any node."""

import os
import time

import sip
from cases_registrar import RegistrarStage
from mediarelay import MediaRelay

SCRIPT = """
function ksr_request_route()
  if KSR.siputils.has_totag() > 0 then
    if KSR.is_BYE() then KSR.rtpengine.rtpengine_manage0() end
    KSR.rr.loose_route()
    KSR.tm.t_relay()
    return
  end
  KSR.rr.record_route()
  KSR.tm.t_on_branch("branch")
  KSR.tm.t_on_reply("reply")
  KSR.tm.t_on_failure("failed")
  KSR.tm.t_relay()
end
function branch() KSR.rtpengine.rtpengine_manage("replace-origin replace-session-connection via-branch=1") end
function reply() KSR.rtpengine.rtpengine_manage("via-branch=auto") end
function failed() KSR.rtpengine.rtpengine_manage0() end
"""


def connection(message):
    """Where the SDP of a message says that media go to."""
    return next((line[9:] for line in message.body.splitlines() if line.startswith("c=IN IP4 ")), "")


def media(report, quick):
    """A script's calls pass by media relays: offer and answer by one node, the delete by another after a kill."""
    hosts = ["127.0.77.31", "127.0.77.32"]
    extra = [
        "rtpengine:",
        f"  sets: [{', '.join(f'0 udp:{host}:2223' for host in hosts)}]",
        "  rtpengine_tout_ms: 200",
        "  rtpengine_retr: 2",
    ]
    with MediaStage(report, extra) as stage, MediaRelay(hosts[0]) as one, MediaRelay(hosts[1]) as other:
        with stage.desk(21, 5070) as alice, stage.desk(22, 5080) as bob:
            one_call(report, stage, alice, bob, (one, other))
            away(report, stage, alice, bob, (one, other))


class MediaStage(RegistrarStage):
    def __init__(self, report, extra):
        super().__init__(report, None, ["script: {lua: %s, modules: [rtpengine]}", *extra])

    def __enter__(self):
        with open(self.script, "w") as file:
            file.write(SCRIPT)
        lines = self.cluster.extra_lines
        lines[:] = [line % self.script if "%s" in line else line for line in lines if not line.startswith("registrar")]
        return super().__enter__()


def place(alice, bob, node, call):
    """An INVITE with a body, as it reaches bob."""
    body = sip.session_description(alice.host, 4000)
    fields = [
        ("Via", f"SIP/2.0/UDP {alice.host}:{alice.port};branch=z9hG4bK{os.urandom(6).hex()}"),
        ("Max-Forwards", "70"),
        ("From", f"<{alice.contact}>;tag={call}"),
        ("To", f"<{bob.contact}>"),
        ("Call-ID", call),
        ("CSeq", "1 INVITE"),
        ("Contact", f"<{alice.contact}>"),
        ("Content-Type", "application/sdp"),
    ]
    alice.sock.sendto(sip.write(f"INVITE {bob.contact} SIP/2.0", fields, body), node.sip)
    return bob.asked("INVITE", 6)


def accept(bob, invite, source):
    headers = [("Contact", f"<{bob.contact}>"), ("Content-Type", "application/sdp")]
    body = sip.session_description(bob.host, 4002)
    data = sip.answer(invite, 200, source, "b", headers, body, record_route=True)
    bob.sock.sendto(data, invite.via.answer_goes_to(source))


def one_call(report, stage, alice, bob, relays):
    n1, n2, n3 = stage.nodes
    invite, source = place(alice, bob, n1, "m1")
    report.claim("a call reaches bob", invite is not None)
    if invite is None:
        return
    relay = next((r for r in relays if r.told("offer", "m1")), relays[0])
    report.claim("one relay was offered it", sum(len(r.told("offer", "m1")) for r in relays) == 1)
    report.claim("and his INVITE names that relay", connection(invite) == relay.host, connection(invite))
    accept(bob, invite, source)
    success = alice.told("INVITE")
    report.claim("the relay has his answer", len(relay.told("answer", "m1")) == 1)
    seen = success and connection(success)
    report.claim("and the 200 that alice gets names it", seen == relay.host, seen)
    offer, answer = relay.told("offer", "m1")[0], (relay.told("answer", "m1") or [{}])[0]
    same = offer.get("via-branch") and offer.get("via-branch") == answer.get("via-branch")
    report.claim("both with the branch of her Via", bool(same), offer.get("via-branch"))
    routes = list(reversed(success.record_routes))
    alice.request(n2, "ACK", bob.contact, "m1", "b", routes)
    bob.asked("ACK")
    n1.kill()
    stage.cluster.wait_view([n2.name, n3.name])
    alice.request(n3, "BYE", bob.contact, "m1", "b", routes, 2)
    bye, source = bob.asked("BYE", 6)
    report.claim("the node of the call is killed, and its BYE reaches bob by another", bye is not None)
    if bye:
        bob.answer(bye, source, 200)
    report.claim("which has the same relay delete the call", len(relay.told("delete", "m1")) == 1)


def away(report, stage, alice, bob, relays):
    node = stage.nodes[1]
    invite, source = place(alice, bob, node, "m2")
    first = next((r for r in relays if r.told("offer", "m2")), relays[0])
    second = next(r for r in relays if r is not first)
    if invite:
        bob.answer(invite, source, 486)
    refused = alice.told("INVITE")
    report.claim("a call that is refused is deleted", refused is not None and len(first.told("delete", "m2")) >= 1)
    first.silent = True
    began = time.monotonic()
    # The same Call-ID prefers the same relay, which says nothing now.
    invite, source = place(alice, bob, node, "m2")
    report.figure("an offer that had to go to the second relay took", f"{(time.monotonic() - began) * 1000:.0f} ms")
    seen = invite and connection(invite)
    report.claim("a relay that is silent is replaced by the other", seen == second.host, seen)
    first.silent = False
    if invite is None:
        return
    accept(bob, invite, source)
    # Not the 486 of before, which is repeated until somebody acknowledges it.
    success, _ = alice.wait(lambda m: not m.is_request and m.method == "INVITE" and m.code == 200)
    seen = success and connection(success)
    report.claim("which has the answer, though the first is back", seen == second.host, seen)
    second.silent = first.silent = True
    invite, _ = place(alice, bob, node, "m3")
    seen = invite and connection(invite)
    report.claim("with none that answers the call goes as it is", seen == alice.host, seen)
