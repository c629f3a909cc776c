"""A telephone on one UDP address that takes part in any number of calls, and remembers what it saw.

    datagram ──▶ Phone ──▶ server transaction ──▶ Party (one side of one call)
                   └─────▶ client transaction ──▶ Party

It is an instrument: it follows RFC 3261 as a real phone does (route sets, CSeq, retransmissions, 482 to a merged
request, 481 to a second BYE transaction) and hides nothing. What a real phone would show its user as "call dropped" is
a count here. Transactions are kept for 40 s (64 times T1, and some) from their final answer on, so a repeated BYE is told
from a second one, and however long a call rings. Not attempted: TCP, forked early dialogs, authentication, media.
"""

from collections import Counter, deque

import sip
from loop import now, udp_socket
from party import Party

T1, T2 = 0.5, 4.0
GIVE_UP = 64 * T1
KEPT = 40.0


class ClientTransaction:
    """A request on its way: RFC 3261 section 17.1, unreliable transport. `answered` is called with every answer."""

    def __init__(self, phone, method, branch, data, destination, answered, gave_up):
        self.phone, self.method, self.branch = phone, method, branch
        self.data, self.destination = data, destination
        self.answered, self.gave_up = answered, gave_up
        self.interval = T1
        self.sent_at = now()
        self.repeats = 0
        self.code = 0
        self.ended_at = None
        self.timer = phone.loop.after(T1, self.repeat)
        phone.send(data, destination)

    def repeat(self):
        if self.code >= 200 or (self.code >= 100 and self.method == "INVITE"):
            return
        if now() - self.sent_at >= GIVE_UP:
            self.code, self.ended_at = 408, now()
            self.gave_up()
            return
        self.repeats += 1
        self.phone.counts["retransmissions"] += 1
        self.phone.send(self.data, self.destination)
        self.interval = self.interval * 2 if self.method == "INVITE" else min(T2, self.interval * 2)
        self.timer = self.phone.loop.after(self.interval, self.repeat)

    def receive(self, message):
        first_final = message.code >= 200 and self.code < 200
        self.code = max(self.code, message.code) if self.code < 200 else self.code
        if first_final:
            self.ended_at = now()
        if first_final or (message.code >= 100 and self.method == "INVITE"):
            self.timer.cancel()
        self.answered(message, first_final)


class ServerTransaction:
    """A request that came: RFC 3261 section 17.2. The last answer is sent again for a repetition."""

    def __init__(self, phone, request, source):
        via = request.via
        self.phone, self.request, self.source = phone, request, source
        self.key = (via.branch, via.sent_by, request.method)
        self.destination = via.answer_goes_to(source)
        self.through = None
        self.last = None
        self.code = 0
        self.acknowledged = False
        self.party = None
        self.ended_at = None
        self.came_at = now()
        self.repeats = 0

    def answer(self, code, to_tag="", headers=(), body="", record_route=False):
        self.code = code
        if code >= 200 and self.ended_at is None:
            self.ended_at = now()
        self.last = sip.answer(self.request, code, self.source, to_tag, headers, body, record_route)
        self.send()
        if code >= 300 and self.request.method == "INVITE":
            self.phone.loop.after(T1, self.again, T1)

    def send(self):
        self.phone.send(self.last, self.through or self.destination)

    def again(self, interval):
        """Timer G: a final answer other than 2xx to an INVITE is repeated until its ACK."""
        if self.acknowledged or now() - self.came_at > GIVE_UP:
            return
        self.phone.counts["retransmissions"] += 1
        self.send()
        self.phone.loop.after(min(T2, interval * 2), self.again, min(T2, interval * 2))


class Phone:
    """One address. Calls it places are made with `call`; what comes in is answered as `plan_of(call_id)` says."""

    def __init__(self, loop, address, namespace=None, log=None):
        self.loop, self.address, self.log = loop, address, log
        self.sock = udp_socket(address, namespace)
        self.parties = {}  # (Call-ID, own tag)
        self.first_invites = {}  # (Call-ID, From tag, CSeq): merged requests, RFC 3261 section 8.2.2.2
        self.clients = {}  # (branch, method)
        self.servers = {}  # (branch, sent-by, method)
        self.expiring = deque()
        self.answered_calls = []  # callee parties, in order of arrival
        self.plan_of = None
        self.counts = Counter()
        self.sent_at = 0.0
        self.serial = 0
        self.mark = f"{address[0].replace('.', '')}{address[1]}x{int(now() * 1000):x}"
        loop.add(self.sock, self.receive)

    # -- Sending

    def send(self, data, destination):
        if self.log is not None:
            self.write_log(">", data, destination)
        self.sent_at = now()
        try:
            self.sock.sendto(data, destination)
        except OSError:
            self.counts["send_errors"] += 1  # Nobody there, or the buffer is full: a lost datagram, as any other.

    def write_log(self, direction, data, peer):
        text = data.decode("latin-1")
        self.log.write(f"{now():.6f} {self.address[0]}:{self.address[1]} {direction} {peer[0]}:{peer[1]}\n{text}\n\n")

    def name(self, kind):
        """A tag, branch or Call-ID that nobody else in this run makes."""
        self.serial += 1
        return f"{kind}{self.mark}-{self.serial}"

    def request(self, method, branch, data, destination, answered, gave_up):
        transaction = ClientTransaction(self, method, branch, data, destination, answered, gave_up)
        self.keep(self.clients, (branch, method), transaction)
        return transaction

    def call(self, plan, destination, request_uri):
        """Places a call: an INVITE to `destination` (host, port). Answers with the caller's side of it."""
        party = Party(self, plan, "caller", self.name("call-") + f"@{self.address[0]}", self.name("a"))
        self.parties[(party.call_id, party.local_tag)] = party
        party.invite(destination, request_uri)
        return party

    # -- Receiving

    def receive(self, data, source):
        if self.log is not None:
            self.write_log("<", data, source)
        message = sip.parse(data)
        if message is None:
            self.counts["unreadable"] += 1
            return
        if message.is_request:
            self.receive_request(message, source)
        else:
            self.receive_answer(message, source)
        self.forget_old()

    def receive_answer(self, message, source):
        transaction = self.clients.get((message.via.branch, message.method))
        if transaction is None:
            self.counts["stray_answers"] += 1
            return
        transaction.receive(message)

    def receive_request(self, message, source):
        via = message.via
        if message.method == "ACK":
            self.receive_ack(message, self.servers.get((via.branch, via.sent_by, "INVITE")))
            return
        known = self.servers.get((via.branch, via.sent_by, message.method))
        if known is not None:
            self.receive_repetition(known, source)
            return
        transaction = ServerTransaction(self, message, source)
        self.keep(self.servers, transaction.key, transaction)
        tag = sip.tag_of(message.get("to"))
        if message.method == "CANCEL":
            self.receive_cancel(transaction, self.servers.get((via.branch, via.sent_by, "INVITE")))
        elif tag:
            party = self.parties.get((message.call_id, tag))
            if party is None:
                self.counts["unknown_dialog"] += 1
                transaction.answer(481)
            else:
                transaction.party = party
                party.receive(transaction)
        elif message.method == "INVITE":
            self.receive_invite(transaction)
        elif message.method == "OPTIONS":
            transaction.answer(200, self.name("o"))
        else:
            transaction.answer(405, self.name("o"))

    def receive_ack(self, message, invite):
        if invite is not None and invite.code >= 300:
            invite.acknowledged = True
            return
        party = self.parties.get((message.call_id, sip.tag_of(message.get("to"))))
        if party is None:
            self.counts["stray_acks"] += 1
        else:
            party.acknowledged(message.cseq)

    def receive_repetition(self, transaction, source):
        transaction.repeats += 1
        self.counts["repetitions_" + transaction.request.method] += 1
        if transaction.party is not None:
            transaction.party.repeated(transaction, source)
        if transaction.last is not None:
            transaction.send()

    def receive_cancel(self, transaction, invite):
        if invite is None:
            self.counts["stray_cancels"] += 1
            transaction.answer(481, self.name("c"))
            return
        party = invite.party
        transaction.answer(200, party.local_tag if party else "")
        if party is not None:
            party.cancelled()

    def receive_invite(self, transaction):
        request = transaction.request
        key = (request.call_id, sip.tag_of(request.get("from")), request.cseq)
        if key in self.first_invites:
            self.counts["merged"] += 1
            self.first_invites[key].merged += 1
            transaction.answer(482, self.name("m"))
            return
        plan = self.plan_of(request.call_id)
        party = Party(self, plan, "callee", request.call_id, self.name("b"))
        self.parties[(party.call_id, party.local_tag)] = party
        self.first_invites[key] = party
        self.answered_calls.append(party)
        transaction.party = party
        party.invited(transaction)

    # -- Bounds

    def keep(self, table, key, transaction):
        table[key] = transaction
        self.expiring.append((now() + KEPT, table, key))

    def forget_old(self):
        moment = now()
        while self.expiring and self.expiring[0][0] < moment:
            _, table, key = self.expiring.popleft()
            transaction = table.get(key)
            if transaction is None:
                continue
            until = (moment if transaction.ended_at is None else transaction.ended_at) + KEPT
            if until > moment:
                self.expiring.append((until, table, key))
            else:
                del table[key]
