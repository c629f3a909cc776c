"""Follows SIPp's message trace (-trace_msg) while it is written, and keeps what the demo's claims are about.

A trace is read rather than SIPp's statistics because SIPp counts calls, not transactions: a second BYE for a call that
has ended is invisible in its statistics and plain in its trace. Times are SIPp's own wall-clock stamps of this host.
"""

import datetime
import os
import re

import sip

HEAD = re.compile(
    rb"-{40,} (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+)\r?\n(?:UDP|TCP) message (sent|received) [\[(](\d+)"
    rb"(?: bytes)?[\])][^\n]*\n\r?\n"
)


class Request:
    """A request within a dialog that SIPp sent: when first, and its final answer."""

    __slots__ = ("method", "sent_at", "answered_at", "code", "datagrams")

    def __init__(self, method, sent_at):
        self.method, self.sent_at, self.answered_at, self.code, self.datagrams = method, sent_at, None, 0, 1


class TracedCall:
    """One call as one SIPp saw it."""

    __slots__ = ("call_id", "invited_at", "answered_at", "code", "requests", "byes")

    def __init__(self, call_id):
        self.call_id = call_id
        self.invited_at = self.answered_at = None
        self.code = 0
        self.requests = {}  # CSeq -> Request, without the first INVITE and ACKs
        self.byes = {}  # (branch, sent-by, CSeq) of received BYEs -> when first seen

    @property
    def bye_sent_at(self):
        times = [r.sent_at for r in self.requests.values() if r.method == "BYE"]
        return times[0] if times else None


class Trace:
    """`read` takes in what was written since the last time."""

    def __init__(self, path):
        self.path, self.offset, self.rest = path, 0, b""
        self.calls = {}

    def read(self, to_the_end=False):
        try:
            size = os.path.getsize(self.path)
        except OSError:
            return
        if size > self.offset:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                self.rest += file.read(size - self.offset)
                self.offset = size
        heads = list(HEAD.finditer(self.rest))
        last = len(heads) if to_the_end else len(heads) - 1  # The last message may not be complete yet.
        for index in range(last):
            end = heads[index + 1].start() if index + 1 < len(heads) else len(self.rest)
            length = int(heads[index].group(3))
            data = self.rest[heads[index].end() : end][:length]
            stamp = datetime.datetime.strptime(heads[index].group(1).decode(), "%Y-%m-%d %H:%M:%S.%f").timestamp()
            self.take(data, heads[index].group(2) == b"sent", stamp)
        if last > 0:
            self.rest = self.rest[heads[last].start() :] if last < len(heads) else b""

    def take(self, data, sent, stamp):
        message = sip.parse(data)
        if message is None:
            return
        call = self.calls.setdefault(message.call_id, TracedCall(message.call_id))
        if message.is_request and sent:
            self.take_sent(call, message, stamp)
        elif message.is_request and message.method == "BYE":
            call.byes.setdefault((message.via.branch, message.via.sent_by, message.cseq), stamp)
        elif not message.is_request and not sent and message.code >= 200:
            self.take_final(call, message, stamp)

    @staticmethod
    def take_sent(call, message, stamp):
        if message.method == "ACK":
            return
        if not sip.tag_of(message.get("to")):
            call.invited_at = call.invited_at or stamp
        elif message.cseq in call.requests:
            call.requests[message.cseq].datagrams += 1
        else:
            call.requests[message.cseq] = Request(message.method, stamp)

    @staticmethod
    def take_final(call, message, stamp):
        request = call.requests.get(message.cseq)
        if request is not None and request.method == message.method:
            if request.answered_at is None:
                request.answered_at, request.code = stamp, message.code
        elif message.method == "INVITE" and call.code == 0:
            call.code = message.code
            if message.code < 300:
                call.answered_at = stamp
