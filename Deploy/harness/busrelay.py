"""A lossy bus: stands between each node and each of its peers, and loses, doubles, delays and reorders whole messages.

    n1's PUB ──▶ relay's port for (n1, n2) ──▶ n2's SUB        a connection each way of a pair, message by message
    n1's REQ ──▶ the port after it ─────────▶ n2's REP         delayed; lost only where the pair is cut

The bus is TCP, so packets that are lost on their way cost time and no message; what is published
is lost where a queue is full or a connection breaks. Here it is lost by chance, at any rate. Of a connection's bytes only nanomsg's frames are known:
eight bytes of handshake each way, then eight bytes of length before each message. What is sealed stays sealed.
"""

import random
import select
import socket
import struct
import threading
import time
from collections import Counter
from heapq import heappop, heappush

HANDSHAKE = 8
LARGEST = 1 << 20


class Faults:
    """What becomes of a message. Loss and doubling are chances; delays are seconds, each message's its own."""

    def __init__(self, loss=0.0, double=0.0, delay=(0.0, 0.0)):
        self.loss, self.double, self.delay = loss, double, delay


class BusRelay:
    """All relays of a cluster. `faults` may be replaced at any time; so may `cut`, pairs (from, to) that lose all."""

    def __init__(self, nodes, host, seed=1):
        self.faults, self.cut, self.counts = Faults(), set(), Counter()
        self.random, self.lock = random.Random(seed), threading.Lock()
        self.running, self.sockets, self.host = True, [], host
        self.ports = {}
        port = 17400
        for one in nodes:
            for other in nodes:
                if one is other:
                    continue
                self.ports[one.name, other.name] = port
                for offset in (0, 1):
                    self.listen(port + offset, (one.name, other.name), (other.bus_host, 7400 + offset), offset == 0)
                port += 2

    def peers_of(self, node):
        return [f"tcp://{self.host}:{port}" for (one, _), port in self.ports.items() if one == node.name]

    def listen(self, port, pair, to, is_stream):
        sock = socket.create_server((self.host, port))
        self.sockets.append(sock)
        self.spawn(self.accept, sock, pair, to, is_stream)

    def spawn(self, *call):
        threading.Thread(target=call[0], args=call[1:], daemon=True).start()

    def accept(self, sock, pair, to, is_stream):
        while self.running:
            try:
                near, _ = sock.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(to, 2)
            except OSError:
                # As the node itself would: nobody listens there.
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                near.close()
                continue
            far.settimeout(None)
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.spawn(self.pass_on, near, far, pair, is_stream)
            self.spawn(self.pass_on, far, near, pair[::-1], is_stream)

    def close(self):
        self.running = False
        for sock in self.sockets:
            # Else the thread that waits in `accept` would keep the port.
            sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def fate(self, pair, is_stream, size):
        """When a message is to arrive, as delays from now: none, one, or two of them."""
        faults = self.faults
        with self.lock:
            self.counts["messages"] += 1
            self.counts["bytes published" if is_stream else "bytes of questions and answers"] += size
            is_cut = pair in self.cut or pair[::-1] in self.cut
            if is_cut or is_stream and self.random.random() < faults.loss:
                self.counts["lost"] += 1
                return []
            times = [self.random.uniform(*faults.delay)]
            # A REQ takes one answer.
            if is_stream and self.random.random() < faults.double:
                self.counts["doubled"] += 1
                times.append(self.random.uniform(*faults.delay))
            return times

    def pass_on(self, source, target, pair, is_stream):
        """Reads messages off one end and writes them to the other, each at its time: a later one may pass an earlier."""
        waiting, number, buffer = [], 0, b""
        try:
            while self.running:
                if len(buffer) < HANDSHAKE:
                    got = source.recv(HANDSHAKE - len(buffer))
                    if not got:
                        return
                    buffer += got
                    if len(buffer) == HANDSHAKE:
                        target.sendall(buffer)
                        break
            buffer = b""
            while self.running:
                patience = max(0.0, waiting[0][0] - time.monotonic()) if waiting else 1.0
                if select.select([source], [], [], patience)[0]:
                    got = source.recv(65536)
                    if not got:
                        return
                    buffer += got
                while len(buffer) >= 8:
                    size = int.from_bytes(buffer[:8], "big")
                    if size > LARGEST:
                        raise OSError(f"a message of {size} bytes")
                    if len(buffer) < 8 + size:
                        break
                    message, buffer = buffer[: 8 + size], buffer[8 + size :]
                    for delay in self.fate(pair, is_stream, size):
                        number += 1
                        heappush(waiting, (time.monotonic() + delay, number, message))
                while waiting and waiting[0][0] <= time.monotonic():
                    target.sendall(heappop(waiting)[2])
        except (OSError, ValueError):  # The other direction's thread may have closed both ends.
            with self.lock:
                self.counts["connections that broke"] += 1
        finally:
            for end in (source, target):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                end.close()
