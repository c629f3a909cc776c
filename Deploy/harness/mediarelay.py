"""A media relay that stands in for rtpengine: it speaks the ng protocol and carries no media.

An offer or answer gets its SDP back with the relay's own address in the c= line and a port of its own; it knows a call
from its offer to its delete. What it was told is kept in `commands`. `silent` makes it hear and say nothing.
"""

import re
import socket
import threading


def encode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode("latin-1")
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(encode(item) for item in value) + b"e"
    return b"d" + b"".join(encode(key) + encode(item) for key, item in value.items()) + b"e"


def decode(data, at=0):
    """(value, the place behind it)"""
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if kind in (b"l", b"d"):
        at, items = at + 1, []
        while data[at : at + 1] != b"e":
            item, at = decode(data, at)
            items.append(item)
        return (items if kind == b"l" else dict(zip(items[::2], items[1::2]))), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1 : end].decode("latin-1"), end


class MediaRelay:
    """`with MediaRelay(host) as relay:` listens on host:2223."""

    def __init__(self, host, port=2223):
        self.host, self.silent = host, False
        self.commands, self.calls, self.last_port = [], set(), 30000
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((host, port))
        self.sock.settimeout(0.2)
        self.seen = {}
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.over = False

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()
        self.sock.close()

    def run(self):
        while not self.over:
            try:
                data, source = self.sock.recvfrom(65535)
            except socket.timeout:
                continue
            if self.silent:
                continue
            cookie, _, text = data.partition(b" ")
            if cookie not in self.seen:  # A copy gets the answer that the first has got.
                command, _ = decode(text)
                self.seen[cookie] = encode(self.answer(command))
            self.sock.sendto(cookie + b" " + self.seen[cookie], source)

    def answer(self, command):
        self.commands.append(command)
        name, call = command["command"], command.get("call-id", "")
        if name == "ping":
            return {"result": "pong"}
        if name == "offer":
            self.calls.add(call)
        if call not in self.calls:
            if name == "delete":
                return {"result": "ok", "warning": "Call-ID not found or tags didn't match"}
            return {"result": "error", "error-reason": "Unknown call-id"}
        if name == "delete":
            self.calls.discard(call)
        if name not in ("offer", "answer"):
            return {"result": "ok"}
        self.last_port += 2
        body = re.sub(r"c=IN IP4 \S+", f"c=IN IP4 {self.host}", command["sdp"])
        return {"result": "ok", "sdp": re.sub(r"m=audio \d+", f"m=audio {self.last_port}", body)}

    def told(self, name, call):
        """Commands of a name about a call."""
        return [c for c in self.commands if c["command"] == name and c.get("call-id") == call]
