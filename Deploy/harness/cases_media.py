"""Acceptance: a script that leads media through relays, from any node: by rtpengine's protocol to stand-ins, and to
Debian's rtpengine, which carries what two phones say."""

import os
import re
import socket
import subprocess
import time

import sip
from cases_script import ScriptStage
from cluster import Failure
from mediarelay import MediaRelay, decode, encode
from peerstage import metrics, require

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
    with media_stage(report, extra) as stage, MediaRelay(hosts[0]) as one, MediaRelay(hosts[1]) as other:
        with stage.desk(21, 5070) as alice, stage.desk(22, 5080) as bob:
            one_call(report, stage, alice, bob, (one, other))
            away(report, stage, alice, bob, (one, other))


def media_stage(report, extra):
    return ScriptStage(report, SCRIPT, ", modules: [rtpengine]", extra, is_one_name=True)


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


# -- The real one

PORTS = range(30000, 30200)


class Engine:
    """Debian's rtpengine, without its kernel module, on an address of the cluster."""

    def __init__(self, stage, host):
        self.host, self.count = host, 0
        log_path = os.path.join(stage.folder, "rtpengine.log")
        command = [require("rtpengine", "rtpengine-daemon"), "--foreground", "--log-stderr", "--log-level=6", "--table=-1"]
        command += ["--delete-delay=0"]  # It keeps what is deleted for half a minute otherwise.
        command += [f"--interface={host}", f"--listen-ng={host}:2223", f"--port-min={PORTS[0]}", f"--port-max={PORTS[-1]}"]
        with open(log_path, "ab") as log:
            # Its file of settings is the system's; it has none here.
            self.process = subprocess.Popen(
                [*command, "--config-file=none"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        stage.cluster.processes.note("rtpengine", self.process.pid)
        end = time.monotonic() + 10
        while self.ask({"command": "ping"}, 0.2).get("result") != "pong":
            if time.monotonic() > end or self.process.poll() is not None:
                with open(log_path, errors="replace") as log:
                    raise Failure(f"rtpengine did not start: {log.read().strip()[-400:]}")

    def ask(self, command, seconds=2.0):
        """A command of our own, and its answer; {} without one."""
        self.count += 1
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(seconds)
            sock.sendto(f"case{self.count} ".encode() + encode(command), (self.host, 2223))
            try:
                return decode(sock.recv(65535).partition(b" ")[2])[0]
            except OSError:
                return {}

    def knows(self, call):
        return self.ask({"command": "query", "call-id": call}).get("result") == "ok"


def media_port(message):
    found = re.search(r"m=audio (\d+)", message.body)
    return int(found.group(1)) if found else 0


def packet(sequence, said):
    """RTP of payload type 8, 20 ms of it."""
    return bytes([0x80, 8]) + sequence.to_bytes(2, "big") + (160 * sequence).to_bytes(4, "big") + b"case" + said


def both_hear(engine, one, other):
    """Whether each of two telephones, (socket, the relay's port for it), hears what the other says."""
    return carries(engine, one, other[0]) and carries(engine, other, one[0])


def carries(engine, speaker, receiver, seconds=3.0):
    """Whether what the speaker says to the relay's port is heard by the receiver, from the relay: what is said now, and
    not what was on its way before."""
    (sender, port), said = speaker, os.urandom(160)
    receiver.settimeout(0.05)
    end, sequence = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        sequence += 1
        sender.sendto(packet(sequence, said), (engine.host, port))
        try:
            data, source = receiver.recvfrom(2048)
        except TimeoutError:
            continue
        if source[0] == engine.host and data[12:] == said:
            return True
    return False


def voice(desk, port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((desk.host, port))
    return sock


def media_real(report, quick):
    """Debian's rtpengine is led by a script: what two phones say passes it, also after their node was killed."""
    require("rtpengine", "rtpengine-daemon")
    host = "127.0.77.31"
    with media_stage(report, ["rtpengine:", f"  sets: [0 udp:{host}:2223]"]) as stage:
        engine = Engine(stage, host)
        with stage.desk(21, 5070) as alice, stage.desk(22, 5080) as bob:
            with voice(alice, 4000) as hers, voice(bob, 4002) as his:
                talk(report, stage, engine, (alice, hers), (bob, his))
            refused_real(report, stage, engine, alice, bob)


def talk(report, stage, engine, caller, callee):
    (alice, hers), (bob, his) = caller, callee
    n1, n2, n3 = stage.nodes
    invite, source = place(alice, bob, n1, "r1")
    report.claim("a call reaches bob", invite is not None)
    if invite is None:
        return
    seen = (connection(invite), media_port(invite))
    report.claim("his INVITE names the relay, and a port of it", seen[0] == engine.host and seen[1] in PORTS, seen)
    accept(bob, invite, source)
    success = alice.told("INVITE")
    told = (connection(success), media_port(success)) if success else None
    report.claim("so does her 200", told is not None and told[0] == engine.host and told[1] in PORTS, told)
    if success is None:
        return
    routes = list(reversed(success.record_routes))
    alice.request(n2, "ACK", bob.contact, "r1", "b", routes)
    bob.asked("ACK")
    hers, his = (hers, told[1]), (his, seen[1])
    report.claim("each hears what the other says", both_hear(engine, hers, his))
    n1.kill()
    stage.cluster.wait_view([n2.name, n3.name])
    report.claim("the node of the call is killed, and they still hear each other", both_hear(engine, hers, his))
    report.claim("the relay knows the call", engine.knows("r1"))
    alice.request(n3, "BYE", bob.contact, "r1", "b", routes, 2)
    bye, source = bob.asked("BYE", 6)
    if bye:
        bob.answer(bye, source, 200)
    report.claim("its BYE goes by another node", bye is not None and alice.told("BYE") is not None)
    gone = not engine.knows("r1")
    report.claim("which has the relay forget it", gone)


def refused_real(report, stage, engine, alice, bob):
    invite, source = place(alice, bob, stage.nodes[1], "r2")
    report.claim("a second call is known to the relay", invite is not None and engine.knows("r2"))
    if invite is None:
        return
    bob.answer(invite, source, 486)
    told = alice.told("INVITE")
    report.claim("bob is busy, and the relay forgets it", told is not None and told.code == 486 and not engine.knows("r2"))
    counted = "understudy_script_media_failures_total"
    failed = sum(metrics(node)[counted] for node in stage.cluster.alive())
    report.claim("no command went without an answer", failed == 0, failed)
