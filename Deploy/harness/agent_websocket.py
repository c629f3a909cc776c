#!/usr/bin/env python3
"""usage: agent_websocket.py ws|wss HOST PORT CA_FILE

A telephone in a browser's place (RFC 7118): PyPI `websockets` does the WebSocket, our own few lines the SIP. It has no
address, only its connection: Via and Contact name `.invalid`. Told by lines on standard input (`call URI`, `hold`,
`hangup`, `quit`); says in lines that begin with `@`: ready, established, held, released, failed CODE.
"""

import asyncio
import os
import ssl
import sys

sys.dont_write_bytecode = True

import sip
import websockets

NAME = f"{os.getpid():x}.invalid"


def say(text):
    print("@" + text, flush=True)


class Call:
    """The calling side of one dialog."""

    def __init__(self, telephone, uri):
        self.telephone, self.target, self.routes, self.cseq = telephone, uri, [], 1
        self.call_id, self.tag = f"{os.urandom(6).hex()}@{NAME}", os.urandom(4).hex()
        self.remote, self.pending = f"<{uri}>", {}

    async def request(self, method, cseq=None, body=""):
        if cseq is None:
            self.cseq += 1
            self.pending[self.cseq] = method
        number = self.cseq if cseq is None else cseq
        headers = [
            ("Via", f"SIP/2.0/{self.telephone.transport} {NAME};branch=z9hG4bK{os.urandom(6).hex()}"),
            ("Max-Forwards", "70"),
            *(("Route", route) for route in self.routes),
            ("From", f"<sip:browser@{NAME}>;tag={self.tag}"),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{number} {method}"),
            ("Contact", f"<sip:browser@{NAME};transport=ws>"),
        ]
        if body:
            headers.append(("Content-Type", "application/sdp"))
        await self.telephone.send(sip.write(f"{method} {self.target} SIP/2.0", headers, body))

    async def answered(self, message):
        if message.code < 200:
            return
        method = self.pending.pop(message.cseq, None)
        if method == "INVITE":
            if message.code >= 300:
                say(f"failed {message.code}")
                return
            if message.record_routes and not self.routes:
                self.routes = list(reversed(message.record_routes))
            self.target, self.remote = sip.uri_of(message.get("contact")) or self.target, message.get("to")
            await self.request("ACK", message.cseq)
            say("established" if message.cseq == 2 else "held")
        elif method == "BYE":
            say("released" if message.code == 200 else f"failed {message.code}")

    async def asked(self, message):
        if message.method == "ACK":
            return
        body = sip.session_description("127.0.0.1", 9) if message.method == "INVITE" else ""
        headers = [("Contact", f"<sip:browser@{NAME};transport=ws>")]
        headers += [("Content-Type", "application/sdp")] if body else []
        vias = [("Via", via) for via in message.vias]
        same = [(name, message.get(name.lower())) for name in ("From", "To", "Call-ID", "CSeq")]
        await self.telephone.send(sip.write("SIP/2.0 200 OK", vias + same + headers, body))
        say({"INVITE": "held", "BYE": "released"}.get(message.method, message.method))


class Telephone:
    def __init__(self, kind, host, port, authority):
        self.transport, self.call = kind.upper(), None
        self.url = f"{kind}://{host}:{port}/"
        self.context = ssl.create_default_context(cafile=authority) if kind == "wss" else None

    async def send(self, data):
        await self.socket.send(data.decode())

    async def run(self):
        async with websockets.connect(self.url, subprotocols=["sip"], ssl=self.context) as self.socket:
            say(f"ready {self.socket.subprotocol}")
            lines = asyncio.create_task(self.obey())
            messages = asyncio.create_task(self.read())
            await asyncio.wait({lines, messages}, return_when=asyncio.FIRST_COMPLETED)
            for task in (lines, messages):
                if task.done():
                    task.result()
                task.cancel()

    async def read(self):
        async for data in self.socket:
            message = sip.parse(data.encode() if isinstance(data, str) else data)
            if message is None or self.call is None or message.call_id != self.call.call_id:
                continue
            await (self.call.asked(message) if message.is_request else self.call.answered(message))

    async def obey(self):
        loop = asyncio.get_running_loop()
        while True:
            line = await loop.run_in_executor(None, sys.stdin.readline)
            word, _, rest = line.strip().partition(" ")
            if word == "call":
                self.call = Call(self, rest)
                await self.call.request("INVITE", body=sip.session_description("127.0.0.1", 9))
            elif word == "hold":
                await self.call.request("INVITE", body=sip.session_description("127.0.0.1", 9))
            elif word == "hangup":
                await self.call.request("BYE")
            elif word == "quit" or not line:
                return


if __name__ == "__main__":
    kind, host, port, authority = sys.argv[1:5]
    asyncio.run(Telephone(kind, host, port, authority).run())
