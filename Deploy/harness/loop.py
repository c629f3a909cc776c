"""One thread that waits for sockets and timers, for the phones and the relay.

asyncio would do; a heap and epoll cost a third of it a message, and at 300 calls a second the instrument must not be
what is late. Timers are looked at after every batch of at most 64 datagrams. `call` is the only method that other
threads use.
"""

import ctypes
import heapq
import os
import select
import socket
import struct
import threading
import time
from collections import deque

now = time.monotonic
CLONE_NEWNET = 0x40000000
SO_TIMESTAMPNS = 35


class Timer:
    """A pending call; `cancel` may come before or after it ran."""

    __slots__ = ("action", "arguments")

    def __init__(self, action, arguments):
        self.action = action
        self.arguments = arguments

    def cancel(self):
        self.action = None


class Loop:
    """Sockets and timers on one thread. `latest` is the worst lateness of a timer in seconds: how far to trust a
    run. `arrival` is when the host had the datagram that is being handled, by the clock of `now`: a thread that was late
    sees what came to it apart all at once."""

    def __init__(self):
        self.poller = select.epoll()
        self.receivers = {}
        self.timers = []
        self.sequence = 0
        self.calls = deque()
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self.writer, False)
        self.poller.register(self.reader, select.EPOLLIN)
        self.running = False
        self.latest = 0.0
        self.arrival = 0.0
        self.thread = None

    def add(self, sock, receive):
        self.receivers[sock.fileno()] = (sock, receive)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.poller.register(sock.fileno(), select.EPOLLIN)

    def after(self, delay, action, *arguments):
        return self.at(now() + delay, action, *arguments)

    def at(self, when, action, *arguments):
        timer = Timer(action, arguments)
        self.sequence += 1
        heapq.heappush(self.timers, (when, self.sequence, timer))
        return timer

    def call(self, action, *arguments):
        """Runs `action` on the loop's thread, soon. Safe from any thread."""
        self.calls.append((action, arguments))
        try:
            os.write(self.writer, b"x")
        except BlockingIOError:
            pass  # The pipe is full of wake-ups: one of them does.

    def run(self):
        self.running = True
        while self.running:
            self.turn()

    def turn(self):
        wait = 0.5
        if self.timers:
            wait = min(wait, max(0.0, self.timers[0][0] - now()))
        for descriptor, _ in self.poller.poll(wait):
            if descriptor == self.reader:
                os.read(self.reader, 4096)
                continue
            sock, receive = self.receivers[descriptor]
            self.drain(sock, receive)
        while self.calls:
            action, arguments = self.calls.popleft()
            action(*arguments)
        moment = now()
        while self.timers and self.timers[0][0] <= moment:
            when, _, timer = heapq.heappop(self.timers)
            if timer.action is not None:
                self.latest = max(self.latest, moment - when)
                timer.action(*timer.arguments)

    def drain(self, sock, receive):
        for _ in range(64):
            try:
                data, ancillary, _, source = sock.recvmsg(65535, 64)
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # An ICMP error of an earlier datagram; the SIP timers notice what it means.
            self.arrival = now()
            for level, kind, value in ancillary:
                if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                    seconds, nanoseconds = struct.unpack("qq", value[:16])
                    self.arrival -= max(0.0, time.time() - seconds - nanoseconds / 1e9)
            receive(data, source)

    def start(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def stop(self):
        self.call(self._stop)
        if self.thread is not None:
            self.thread.join(5)
        for sock, _ in self.receivers.values():
            sock.close()
        self.receivers.clear()

    def _stop(self):
        self.running = False


class inside:
    """`with inside("name"):` runs this thread in a network namespace made by `ip netns add`; None stays at home."""

    def __init__(self, namespace):
        self.namespace = namespace

    def __enter__(self):
        if self.namespace:
            self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            self.enter(f"/run/netns/{self.namespace}")

    def __exit__(self, *_):
        if self.namespace:
            self.set(self.home)
            os.close(self.home)

    def enter(self, path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            self.set(descriptor)
        finally:
            os.close(descriptor)

    @staticmethod
    def set(descriptor):
        library = ctypes.CDLL(None, use_errno=True)
        if library.setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "entering a network namespace failed; it needs root")


def udp_socket(address, namespace=None):
    """A non-blocking UDP socket bound to (host, port), with room for a burst."""
    with inside(namespace):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    try:
        sock.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE: only root may pass the system's limit.
    except OSError:
        pass
    sock.setblocking(False)
    sock.bind(address)
    return sock
