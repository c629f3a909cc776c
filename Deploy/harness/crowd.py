#!/usr/bin/env python3
"""usage: crowd.py hold tcp|tls HOST PORT COUNT NET FIRST SOURCES CA_FILE
       crowd.py loris|header|headers|deaf|silent|pushy HOST PORT SOURCE COUNT
       crowd.py churn HOST PORT,TLS_PORT SOURCE COUNT SECONDS

A crowd that is hard to bear. Each kind prints one line of JSON when it has seen what it came for.

    hold     opens COUNT connections from SOURCES addresses NET.FIRST and on, says `{"open": N, …}`, asks OPTIONS over
             every hundredth of them, holds them until a line comes on standard input, and says how many had been closed
    loris    COUNT connections, a byte of a request a second
    header   COUNT requests with a header of a megabyte
    headers  COUNT requests with 100 000 header lines
    deaf     COUNT connections with requests without end, whose answers are never read
    silent   COUNT connections that say nothing where TLS is spoken
    pushy    COUNT connections from one address, as fast as they are taken
    churn    COUNT connections, or as many as SECONDS allow, each left in the middle of a message
"""

import asyncio
import json
import socket
import ssl
import struct
import sys
import time

TRIED_AT_ONCE = 64
PATIENCE = 30


def options(host, port, source, number, transport="TCP"):
    return (
        f"OPTIONS sip:{host}:{port} SIP/2.0\r\n"
        f"Via: SIP/2.0/{transport} {source}:5060;branch=z9hG4bKcrowd{number};rport\r\n"
        f"From: <sip:crowd@{source}>;tag=c{number}\r\nTo: <sip:{host}>\r\nCall-ID: crowd-{source}-{number}\r\n"
        f"CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()


async def ask(reader, writer, message, patience=PATIENCE):
    """Whether an OPTIONS is answered 200 over this connection."""
    try:
        writer.write(message)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), patience)
    except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
        return False
    return head.startswith(b"SIP/2.0 200 ")


async def hold(kind, host, port, count, net, first, sources, authority):
    context = ssl.create_default_context(cafile=authority) if kind == "tls" else None
    places, opened, failed = asyncio.Semaphore(TRIED_AT_ONCE), [], {}
    began = time.monotonic()

    async def join(number):
        source = f"{net}.{first + number % sources}"
        async with places:
            try:
                pair = await asyncio.wait_for(
                    asyncio.open_connection(host, port, ssl=context, local_addr=(source, 0), limit=8192), PATIENCE
                )
                opened.append((number, source, *pair))
            except (OSError, asyncio.TimeoutError) as problem:
                failed[type(problem).__name__] = failed.get(type(problem).__name__, 0) + 1

    await asyncio.gather(*(join(number) for number in range(count)))
    took = time.monotonic() - began
    asked = [ask(r, w, options(host, port, s, n, kind.upper())) for n, s, r, w in opened if n % 100 == 0]
    answers = await asyncio.gather(*asked)
    say(open=len(opened), failed=failed, seconds=round(took, 1), asked=len(answers), answered=sum(answers))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    closed = sum(1 for _, _, reader, _ in opened if reader.at_eof())
    say(closed_by_the_node=closed)


async def until_closed(reader, seconds=PATIENCE):
    """What came until the other side closed the connection; None if it did not."""
    came = b""
    try:
        while True:
            part = await asyncio.wait_for(reader.read(65536), seconds)
            if not part:
                return came
            came += part[: 4096 - len(came)]
    except asyncio.TimeoutError:
        return None
    except OSError:
        return came


async def push(writer, data, piece=16384, pause=0.0):
    """Writes until all is written or the other side has had enough."""
    try:
        for start in range(0, len(data), piece):
            writer.write(data[start : start + piece])
            await writer.drain()
            if pause:
                await asyncio.sleep(pause)
    except OSError:
        pass


async def nuisance(kind, host, port, source, number):
    """Answers (how it ended, seconds, first line that came)."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(host, port, local_addr=(source, 0))
    request = options(host, port, source, f"{kind}{number}")
    head, _, rest = request.partition(b"Max-Forwards")
    task = None
    if kind == "loris":
        task = asyncio.create_task(push(writer, request, 1, 1.0))
    elif kind == "header":
        task = asyncio.create_task(push(writer, head + b"X-Long: " + b"x" * 1_000_000 + b"\r\nMax-Forwards" + rest))
    elif kind == "headers":
        task = asyncio.create_task(push(writer, head + b"X-Many: y\r\n" * 100_000 + b"Max-Forwards" + rest))
    elif kind == "deaf":
        return await deaf(writer, host, port, source, number, began)
    came = await until_closed(reader)
    if task:
        task.cancel()
    writer.close()
    if came is None:
        return "open", time.monotonic() - began, ""
    return "closed", time.monotonic() - began, came.split(b"\r\n")[0].decode(errors="replace")


async def deaf(writer, host, port, source, number, began):
    writer.transport.pause_reading()
    sent = 0
    try:
        while time.monotonic() - began < PATIENCE:
            batch = b"".join(options(host, port, source, f"deaf{number}x{sent + i}") for i in range(100))
            sent += 100
            writer.write(batch)
            await asyncio.wait_for(writer.drain(), 10)
            await asyncio.sleep(0.01)
    except (OSError, asyncio.TimeoutError) as problem:
        return "closed" if isinstance(problem, OSError) else "stuck", time.monotonic() - began, f"{sent} sent"
    return "open", time.monotonic() - began, f"{sent} sent"


async def pushy(host, port, source, count):
    kept, refused = [], 0
    for _ in range(count):
        try:
            kept.append(await asyncio.open_connection(host, port, local_addr=(source, 0)))
        except OSError:
            refused += 1
    await asyncio.sleep(1.0)
    closed = sum(1 for reader, _ in kept if reader.at_eof())
    say(tried=count, refused=refused, closed=closed, kept=len(kept) - closed)


def half_messages(host, port, source, number):
    """What somebody leaves behind who goes away in the middle: in every part of a message, and of a handshake."""
    request = options(host, port, source, f"churn{number}")
    invite = request.replace(b"OPTIONS", b"MESSAGE").replace(b"Length: 0", b"Length: 4000")
    return [b"", request[:9], request[: len(request) // 2], invite + b"x" * 2000, request + request[:-1], request]


CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100)
RESET = struct.pack("ii", 1, 0)
CHURNED_AT_ONCE = 40


async def churn(host, ports, source, count, seconds):
    plain, encrypted = (int(port) for port in ports.split(","))
    loop, end, done, failed = asyncio.get_running_loop(), time.monotonic() + seconds, 0, {}
    numbers = iter(range(count))

    async def come_and_go():
        nonlocal done
        for number in numbers:
            if time.monotonic() > end:
                return
            sock = socket.socket()
            sock.setblocking(False)
            try:
                sock.bind((source, 0))
                port = encrypted if number % 5 == 4 else plain
                await asyncio.wait_for(loop.sock_connect(sock, (host, port)), PATIENCE)
                parts = [CLIENT_HELLO] if port == encrypted else half_messages(host, plain, source, number)
                await loop.sock_sendall(sock, parts[number % len(parts)])
                if number % 3:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                done += 1
            except (OSError, asyncio.TimeoutError) as problem:
                failed[type(problem).__name__] = failed.get(type(problem).__name__, 0) + 1
            finally:
                sock.close()

    began = time.monotonic()
    await asyncio.gather(*(come_and_go() for _ in range(CHURNED_AT_ONCE)))
    say(done=done, failed=failed, seconds=round(time.monotonic() - began, 1))


def say(**what):
    print(json.dumps(what), flush=True)


async def main():
    kind = sys.argv[1]
    if kind == "hold":
        transport, host, port, count, net, first, sources, authority = sys.argv[2:10]
        await hold(transport, host, int(port), int(count), net, int(first), int(sources), authority)
        return
    if kind == "churn":
        host, ports, source, count, seconds = sys.argv[2:7]
        await churn(host, ports, source, int(count), int(seconds))
        return
    host, port, source, count = sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5])
    if kind == "pushy":
        await pushy(host, port, source, count)
        return
    results = await asyncio.gather(*(nuisance(kind, host, port, source, n) for n in range(count)))
    ends, said = {}, {}
    for end, _, line in results:
        ends[end] = ends.get(end, 0) + 1
        said[line] = said.get(line, 0) + 1
    say(kind=kind, ends=ends, longest=round(max(seconds for _, seconds, _ in results), 1), said=said)


if __name__ == "__main__":
    asyncio.run(main())
