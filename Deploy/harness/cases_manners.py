"""Acceptance: the corners of SIP over connections, byte by byte, over plain sockets."""

import base64
import os
import re
import socket
import ssl
import threading
import time

import sip
from peerstage import PeerStage, metrics

PATIENCE = 4.0
NEVER = rb"(?!)"  # Matches nothing: read to the end.


def options(host, name, transport="TCP", length="Content-Length: 0\r\n", more=""):
    return (
        f"OPTIONS sip:{host}:5060 SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1:5060;branch=z9hG4bK{name};rport\r\n"
        f"From: <sip:manners@127.0.0.1>;tag={name}\r\nTo: <sip:{host}>\r\nCall-ID: {name}\r\nCSeq: 1 OPTIONS\r\n"
        f"Max-Forwards: 70\r\n{more}{length}\r\n"
    ).encode()


class Line:
    """One connection; `read` answers what came within the patience, or up to the end (`ended`)."""

    def __init__(self, address, context=None):
        self.sock = socket.create_connection(address, PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            self.sock = context.wrap_socket(self.sock, server_hostname=address[0])
        self.ended = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            self.ended = True
        return self

    def read(self, until=rb"\r\n\r\n", times=1, patience=PATIENCE):
        came, end = b"", time.monotonic() + patience
        while len(re.findall(until, came)) < times and time.monotonic() < end:
            self.sock.settimeout(max(0.01, end - time.monotonic()))
            try:
                part = self.sock.recv(65536)
            except TimeoutError:
                break
            except OSError:
                part = b""
            if not part:
                self.ended = True
                break
            came += part
        return came


def codes(data):
    return [int(code) for code in re.findall(rb"(?m)^SIP/2\.0 (\d{3}) ", data)]


def manners(report, quick):
    """SIP over connections, byte by byte: framing, TLS and WebSocket gone wrong, callees that cannot be reached."""
    with PeerStage(report, sip_lines=["tcp: {message-timeout-s: 2}"]) as stage:
        node = stage.nodes[0]
        framing(report, node)
        secure(report, stage, node)
        web_socket(report, node)
        unreachable(report, stage, node)
        report.claim("every node is up", all((n.status() or {}).get("state") == "up" for n in stage.nodes))
        empty, held = stage.none_left(10)
        report.claim("no node holds a live record", empty, held)


def framing(report, node):
    address, host = (node.host, 5060), node.host
    with Line(address) as line:
        for byte in options(host, "bytes"):
            line.send(bytes([byte]))
        report.claim("a request that comes byte by byte is answered", codes(line.read()) == [200])
        line.send(options(host, "a") + options(host, "b") + b"\r\n\r\n" + options(host, "c"))
        seen = line.read(times=3)
        report.claim(
            "three in one segment, a keep-alive between them: three answers", codes(seen) == [200] * 3, codes(seen)
        )
        line.send(b"\r\n\r\n")
        seen = line.read(rb"\r\n")
        report.claim(
            "CRLF CRLF is answered with CRLF (RFC 5626 section 4.4.1)", seen.strip(b"\r\n") == b"" and seen, seen
        )
        line.send(options(host, "compact", length="l: 0\r\n"))
        report.claim("a compact Content-Length frames", codes(line.read()) == [200])
        body = options(host, "body", length="Content-Length: 6\r\nContent-Type: text/plain\r\n") + b"12\r\n\r\n"
        line.send(body + options(host, "after"))
        seen = line.read(times=2)
        report.claim(
            "a body with an empty line in it does not break the next message", codes(seen) == [200, 200], codes(seen)
        )
    for name, data in (
        ("no Content-Length over TCP", options(host, "none", length="")),
        ("a negative Content-Length", options(host, "negative", length="Content-Length: -5\r\n")),
        ("a Content-Length of 10^30", options(host, "huge", length=f"Content-Length: {10**30}\r\n")),
        ("two different Content-Lengths", options(host, "two", length="Content-Length: 0\r\nContent-Length: 9\r\n")),
        ("no SIP at all", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("bytes without sense", bytes(range(256)) * 8),
        ("a TLS hello on the TCP port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 506),
    ):
        with Line(address) as line:
            seen = line.send(data).read(NEVER, patience=PATIENCE)
            good = [code for code in codes(seen) if code != 400] == [] or name.startswith("no Content-Length")
            report.claim(
                f"{name}: refused (400 or nothing), and closed",
                line.ended and good,
                f"{codes(seen)}, ended {line.ended}",
            )
    with Line(address) as line:
        line.send(options(host, "still"))
        report.claim("the next connection is served", codes(line.read()) == [200])


def secure(report, stage, node):
    address = (node.host, 5061)
    trusting = ssl.create_default_context(cafile=stage.certificates.authority)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        trusting.minimum_version = trusting.maximum_version = version
        with Line(address, trusting) as line:
            line.send(options(node.host, version.name, "TLS"))
            report.claim(f"{version.name} is spoken", codes(line.read()) == [200], line.sock.version())
    old = ssl.create_default_context(cafile=stage.certificates.authority)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    try:
        Line(address, old).sock.close()
        refused = False
    except (ssl.SSLError, OSError):
        refused = True
    report.claim("TLS 1.1 is not", refused)
    before = metrics(node)["understudy_tls_failures_total"]
    with Line(address) as line:
        line.send(options(node.host, "plain")).read(NEVER)
        report.claim("SIP in clear on the TLS port: closed, counted", line.ended, line.ended)
    counted = metrics(node)["understudy_tls_failures_total"] - before
    report.claim("as a handshake that failed", counted == 1, counted)


def upgrade(host, protocol="sip", version="13", path="/", extra=""):
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}:8088\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: {version}\r\n"
        + (f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else "")
        + extra
        + "\r\n"
    ).encode()


def frame(data, opcode=1, final=True, masked=True):
    head = bytes([opcode | (0x80 if final else 0)])
    bit = 0x80 if masked else 0
    if len(data) < 126:
        head += bytes([len(data) | bit])
    elif len(data) < 65536:
        head += bytes([126 | bit]) + len(data).to_bytes(2, "big")
    else:
        head += bytes([127 | bit]) + len(data).to_bytes(8, "big")
    if not masked:
        return head + data
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))


def web_socket(report, node):
    address, host = (node.host, 8088), node.host

    def opened():
        line = Line(address)
        line.send(upgrade(host))
        head = line.read()
        return line, b" 101 " in head.split(b"\r\n")[0] and b"sec-websocket-protocol: sip" in head.lower()

    message = options(host, "ws1", "WS")
    line, good = opened()
    report.claim("an upgrade with the subprotocol sip is taken", good)
    with line:
        line.send(frame(message))
        report.claim("a text frame is answered", codes_in(line.read()) == [200])
        line.send(frame(options(host, "ws2", "WS"), opcode=2))
        report.claim("a binary frame is answered", codes_in(line.read()) == [200])
        part = options(host, "ws3", "WS")
        line.send(
            frame(part[:50], final=False)
            + frame(b"hello", opcode=9)
            + frame(part[50:90], 0, False)
            + frame(part[90:], 0)
        )
        seen = line.read()
        report.claim(
            "a message in three frames with a ping between them is answered", codes_in(seen) == [200], codes_in(seen)
        )
        report.claim("and so is the ping", b"\x8a\x05hello" in seen)
        line.send(frame(options(host, "ws4", "WS", length="")))
        report.claim("no Content-Length is needed over WebSocket (RFC 7118 section 5)", codes_in(line.read()) == [200])
        line.send(frame(b"\x03\xe8bye", opcode=8))
        seen = line.read(rb"\x88", patience=2)
        report.claim("a close is answered with a close", seen[:1] == b"\x88", seen[:8])
    for name, data in (
        ("a frame without a mask", frame(message, masked=False)),
        ("a continuation of nothing", frame(message, opcode=0)),
        ("a reserved opcode", frame(message, opcode=3)),
        ("a frame of a gigabyte, announced", b"\x81\xff" + (1 << 30).to_bytes(8, "big") + b"mask" + b"x" * 1000),
        ("a message of 100 frames of a kilobyte", frame(b"x" * 1024, final=False) + frame(b"x" * 1024, 0, False) * 99),
    ):
        line, _ = opened()
        with line:
            seen = line.send(data).read(NEVER, patience=PATIENCE)
            report.claim(f"{name}: closed", line.ended and not codes_in(seen), f"{seen[:20]}, ended {line.ended}")
    for name, data in (
        ("without a subprotocol", upgrade(host, protocol="")),
        ("another subprotocol", upgrade(host, protocol="chat")),
        ("another version", upgrade(host, version="8")),
        ("no upgrade at all", f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()),
        ("a head of 100 KB", upgrade(host, extra="X-Long: " + "x" * 100_000 + "\r\n")),
    ):
        with Line(address) as line:
            seen = line.send(data).read(patience=PATIENCE)
            first = seen.split(b"\r\n")[0]
            line.read(NEVER, patience=PATIENCE)
            report.claim(
                f"upgrade {name}: refused", b" 101 " not in first and line.ended, f"{first}, ended {line.ended}"
            )


def codes_in(data):
    return [int(code) for code in re.findall(rb"SIP/2\.0 (\d{3}) ", data)]


def unreachable(report, stage, node):
    """INVITEs to callees over connections that cannot be had: the caller hears of it soon.

    Not over one that ends after the request: its answer may come over another (RFC 3261 section 18.2.2).
    """
    host = stage.host(24)
    hang_up = listening((host, 5901), lambda sock: (sock.recv(100), sock.close()))
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    stranger.load_cert_chain(*self_signed(stage))
    foreign = listening((host, 5902), lambda sock: stranger.wrap_socket(sock, server_side=True))
    for name, uri, seconds, wanted in (
        ("nobody listens", f"sip:x@{host}:5900;transport=tcp", 3, {502, 503, 500, 480}),
        ("a callee with a stranger's certificate", f"sip:x@{host}:5902;transport=tls", 6, {502, 503, 500, 480}),
        ("TLS with somebody who speaks none", f"sip:x@{host}:5901;transport=tls", 6, {502, 503, 500, 480}),
    ):
        began = time.monotonic()
        code = final_answer(stage, node, uri, seconds)
        report.claim(
            f"{name}: an answer within {seconds} s", code in wanted, f"{code} after {time.monotonic() - began:.2f} s"
        )
    hang_up.close()
    foreign.close()


def self_signed(stage):
    chain, key = stage.path("stranger.pem"), stage.path("stranger.key")
    stage.certificates.openssl(
        "req",
        "-x509",
        "-days",
        "2",
        "-subj",
        "/CN=stranger",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-out",
        chain,
        "-addext",
        f"subjectAltName=IP:{stage.host(24)}",
    )
    return chain, key


def listening(address, treat):
    server = socket.create_server(address)

    def serve():
        while True:
            try:
                sock, _ = server.accept()
            except OSError:
                return
            sock.settimeout(5)
            try:
                treat(sock)
            except OSError:
                pass

    threading.Thread(target=serve, daemon=True).start()
    return server


def final_answer(stage, node, uri, seconds):
    """The final code of an INVITE over UDP to `uri`, or None; it is acknowledged."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((stage.host(22), 0))
    host, port = sock.getsockname()
    branch, end = f"z9hG4bK{os.urandom(6).hex()}", time.monotonic() + seconds

    def request(method, to):
        headers = [
            ("Via", f"SIP/2.0/UDP {host}:{port};rport;branch={branch}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:manners@{host}>;tag=m"),
            ("To", to),
            ("Call-ID", branch[7:]),
            ("CSeq", f"1 {method}"),
            ("Contact", f"<sip:manners@{host}:{port}>"),
        ]
        return sip.write(f"{method} {uri} SIP/2.0", headers, "")

    sock.sendto(request("INVITE", f"<{uri}>"), node.sip)
    while time.monotonic() < end:
        sock.settimeout(max(0.01, end - time.monotonic()))
        try:
            message = sip.parse(sock.recv(65536))
        except TimeoutError:
            break
        if message and message.code >= 200:
            sock.sendto(request("ACK", message.get("to")), node.sip)
            sock.close()
            return message.code
    sock.close()
    return None
