"""Acceptance: the bus is sealed. Nothing of a call is to be read on the wire, what was recorded does nothing when it is
played back, the key changes while calls go on, and who has last week's is named."""

import os
import re
import shutil
import socket
import struct
import tempfile
import threading
import time
import urllib.request

from cases_operator import run
from cluster import Cluster, Failure, view_names
from loop import now
from party import Plan
from phones import Phones

NET = "127.0.77"
PORTS = (7400, 7401)
# What nanomsg's PUB says first: signature, version, protocol 32.
GREETING = bytes.fromhex("0053500000200000")


class Wiretap:
    """Every TCP payload from or to the bus ports on loopback, by an AF_PACKET socket of the kernel."""

    def __init__(self):
        self.payloads, self.running = [], True
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
        self.socket.bind(("lo", 0))
        self.socket.settimeout(0.2)
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        while self.running:
            try:
                packet, address = self.socket.recvfrom(1 << 17)
            except TimeoutError:
                continue
            # Loopback shows each packet twice: as it leaves and as it comes.
            if address[2] == socket.PACKET_OUTGOING or packet[12:14] != b"\x08\x00" or packet[23] != 6:
                continue
            header = 14 + (packet[14] & 15) * 4
            source, target = struct.unpack("!HH", packet[header : header + 4])
            payload = packet[header + (packet[header + 12] >> 4) * 4 : 14 + struct.unpack("!H", packet[16:18])[0]]
            if payload and (source in PORTS or target in PORTS):
                self.payloads.append((target, socket.inet_ntoa(packet[30:34]), payload))

    def stop(self):
        self.running = False
        self.thread.join()
        self.socket.close()
        return self.payloads


def frames_to(payloads, host):
    """The messages of streams that went to a node, whole: a length of 8 bytes, then as many."""
    frames = []
    for port, address, payload in payloads:
        while port == 7400 and address == host and len(payload) >= 8:
            (length,) = struct.unpack("!Q", payload[:8])
            if len(payload) < 8 + length or not payload[8:].startswith(b"US"):
                break
            frames.append(payload[8 : 8 + length])
            payload = payload[8 + length :]
    return frames


def play(frames, source, host):
    """Publishes recorded messages again, from an address of our own."""
    with socket.create_connection((host, 7400), 5, (source, 0)) as connection:
        connection.sendall(GREETING)
        connection.recv(8)
        for frame in frames:
            connection.sendall(struct.pack("!Q", len(frame)) + frame)
        # What is sent before the end is read before it.
        time.sleep(0.5)


def refused(node, because):
    text = urllib.request.urlopen(node.url + "/metrics", timeout=5).read().decode()
    found = re.search(rf'^understudy_bus_refused_total{{because="{because}"}} (\d+)', text, re.MULTILINE)
    if not found:
        raise Failure("there is no metric understudy_bus_refused_total")
    return int(found[1])


def secrets_of(phones):
    """What must not be read: of each call its Call-ID, tags and URIs."""
    words = {b"sip:", b"tag=", phones.uri.encode()}
    for call in phones.calls:
        words |= {call.call_id.encode(), call.local_tag.encode(), call.remote_tag.encode()}
    return {word for word in words if word}


def sealed(report, quick):
    """No byte of a call in clear on the bus; a recorded stream played back changes nothing; a new key with calls up; last
    week's key is named."""
    folder = tempfile.mkdtemp(prefix="understudy-sealed-")
    phones = None
    try:
        with Cluster(folder, 3, advertise=[]) as cluster:
            one, two, three = cluster.nodes
            for node in cluster.nodes:
                node.own_key = os.path.join(folder, f"{node.name}.key")
                shutil.copy(cluster.key_file(), node.own_key)
            cluster.start()
            phones = Phones((f"{NET}.22", 5080), (f"{NET}.21", 5070))
            tap = Wiretap()
            count = 60 if quick else 300
            phones.place(count, 30, [node.sip for node in cluster.nodes], Plan(hold=1.0))
            phones.wait(lambda: phones.are_over(count), 60)
            payloads = tap.stop()
            bad = [c.code for c in phones.calls if c.state != "ended"]
            report.claim(f"{count} calls end well", not bad, bad)
            carried = sum(len(payload) for _, _, payload in payloads)
            report.figure("bytes on the bus meanwhile", carried)
            found = {word for word in secrets_of(phones) for _, _, payload in payloads if word in payload}
            report.claim("none of their Call-IDs, tags and URIs is on the bus in clear", carried > 50_000 and not found, found)

            frames = frames_to(payloads, two.host)
            report.claim("what goes to n2 was recorded", len(frames) > 100, len(frames))
            before = (view_names(two.status()), two.status()["epoch"], two.rpc("cluster.digests", timeout=5))
            for source in (f"{NET}.99", one.host):
                known = refused(two, "replayed")
                play(frames, source, two.host)
                grown = phones.wait(lambda: refused(two, "replayed") >= known + len(frames), 10)
                report.claim(f"played back from {source} every message is refused", grown, f"{refused(two, 'replayed') - known} of {len(frames)}")
            after = (view_names(two.status()), two.status()["epoch"], two.rpc("cluster.digests", timeout=5))
            report.claim("and nothing has changed", before == after, f"{before[:2]} {after[:2]}")
            report.claim("it is said once", two.has_logged("frames arrive that have been here before"))

            rotation(report, cluster, phones)
            last_week(report, cluster)
            begun_anew(report, cluster, frames, phones)
            code, answer = cluster.check()
            report.claim("the replicas are equal", code == 0, answer)
    finally:
        if phones is not None:
            phones.close()
        shutil.rmtree(folder, ignore_errors=True)


def sending(node):
    return ((node.status() or {}).get("sealing") or {}).get("sending")


def rotation(report, cluster, phones):
    """Another key, node by node, while calls come and go."""
    one, two, three = cluster.nodes
    epoch, old, began = one.status()["epoch"], sending(one), len(phones.calls)
    phones.place(200, 25, [node.sip for node in cluster.nodes], Plan(hold=1.0))
    file = one.own_key

    def told(text, words, code, *patterns):
        got, said = run(cluster.binary, words)
        good = got == code and all(re.search(pattern, said, re.MULTILINE) for pattern in patterns)
        report.claim(text, good, f"exit {got}: {' | '.join(said.strip().splitlines())[:300]}")

    told("a new key stands beside the old one", ["key", "rotate", file, "--node", one.url], 0, r"a new key stands beside the old one")
    told("n1 reads it", ["reload", "--node", one.url], 0, r"^changed: cluster.key-file$")
    told("and the old one stays while others need it", ["key", "rotate", file, "--node", one.url], 1, r"n2 does not hold the new key", r"n3 does not hold the new key")
    shutil.copy(file, two.own_key)
    told("n2 reads it, too", ["reload", "--all", "--node", one.url], 0, r"^n1: nothing has changed$", r"^n2: changed: cluster.key-file$")
    report.claim("everybody goes on with the old key", {sending(node) for node in cluster.nodes} == {old})
    shutil.copy(file, three.own_key)
    told("n3 last", ["reload", "--all", "--node", two.url], 0, r"^n3: changed: cluster.key-file$")
    start = now()
    changed = phones.wait(lambda: old not in {sending(node) for node in cluster.nodes}, 15)
    report.claim("then all change over by themselves", changed and len({sending(node) for node in cluster.nodes}) == 1)
    report.figure("after the last node has the key", f"{(now() - start) * 1000:.0f} ms")
    time.sleep(0.5)
    told("the old key goes", ["key", "rotate", file, "--node", one.url], 0, r"the old key is out")
    for node in (two, three):
        shutil.copy(file, node.own_key)
    told("for everybody", ["reload", "--all", "--node", one.url], 0, r"^n1: changed: cluster.key-file$", r"^n3: changed: cluster.key-file$")
    calls = lambda: list(phones.calls)[began:]  # noqa: E731
    phones.wait(lambda: phones.are_over(began + 200), 30)
    bad = [c.code for c in calls() if c.state != "ended"]
    report.claim("200 calls meanwhile end well", len(calls()) == 200 and not bad, bad)
    report.claim("nobody was missed", one.status()["epoch"] == epoch, f"{epoch} {one.status()['epoch']}")
    unknown = {node.name: refused(node, "unknown_key") for node in cluster.nodes}
    report.claim("and not a message was refused", not any(unknown.values()), unknown)


def last_week(report, cluster):
    """A node that comes back with the old key only."""
    one, two, three = cluster.nodes
    new = three.own_key
    three.kill()
    cluster.wait_view(["n1", "n2"])
    three.own_key = cluster.key_file()
    three.start(wait=False)
    end = now() + 10
    sentence = "sealed with a key which is not in cluster.key-file here"
    while now() < end and not (one.has_logged(sentence) and three.has_logged(sentence)):
        time.sleep(0.1)
    strangers = [stranger["name"] for stranger in one.status()["strangers"]]
    report.claim("who has last week's key is named", one.has_logged(sentence) and "n3" in strangers, strangers)
    report.claim("and is no member", view_names(one.status()) == ["n1", "n2"], view_names(one.status()))
    three.kill()
    three.own_key = new
    three.start()
    cluster.wait_view(["n1", "n2", "n3"])
    report.claim("with the new one it is again", view_names(one.status()) == ["n1", "n2", "n3"])


def begun_anew(report, cluster, frames, phones):
    """A node that has just begun has seen none of what was recorded: of a live process, and of a dead one."""
    one, two, three = cluster.nodes
    for node in cluster.nodes:
        shutil.copy(cluster.key_file(), node.own_key)
    # The recording is under the first key: a cluster that never changed it.
    for node in (three, two, one):
        node.kill()
    for node in (one, two, three):
        node.start(wait=False)
    for node in (one, two, three):
        node.wait_ready()
    cluster.wait_view(["n1", "n2", "n3"])
    before = (view_names(two.status()), two.status()["epoch"], two.rpc("cluster.digests", timeout=5))
    known = refused(two, "unproven")
    play(frames, f"{NET}.99", two.host)
    grown = phones.wait(lambda: refused(two, "unproven") >= known + len(frames), 10)
    report.claim("what was recorded of dead processes says nothing to new ones", grown, f"{refused(two, 'unproven') - known} of {len(frames)}")
    after = (view_names(two.status()), two.status()["epoch"], two.rpc("cluster.digests", timeout=5))
    report.claim("and nothing has changed there", before == after, f"{before[:2]} {after[:2]}")
