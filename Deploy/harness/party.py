"""One side of one call: its dialog (RFC 3261 section 12), what it did, and what was done to it.

    caller: calling ─▶ ringing ─▶ confirmed ─▶ ended        callee: ringing ─▶ answered ─▶ confirmed ─▶ ended
                 └──────────┴──▶ failed                                   └───────┴──────────────────▶ ended

The fields that end in `_at` are seconds of the monotonic clock, None until it happened. `byes` has one entry for each
BYE *transaction* that came, by (branch, sent-by, CSeq): a second entry is what a user's phone would answer with 481.

`left_at` and `came_at` are when the host had what passes between: of a caller its INVITE and the 200, of a callee its
200 and the INVITE. What lies between a side's own two is what is between the phones; a late phone is none of it.
"""

import sip
from loop import now

T1, T2 = 0.5, 4.0
GIVE_UP = 64 * T1


class Plan:
    """What the two sides of a call do by themselves. Seconds; None is "never"."""

    def __init__(
        self,
        ring=0.03,
        hold=None,
        ack_delay=0.0,
        cancel_after=None,
        reinvite_delay=0.0,
        answers_through=None,
        acks_to=None,
        rport=True,
        user="alice",
    ):
        self.ring = ring  # from 180 to 200; None rings until cancelled
        self.hold = hold  # from ACK to the caller's BYE; None waits for a BYE
        self.ack_delay = ack_delay  # the caller's pause between 200 and ACK
        self.cancel_after = cancel_after  # from the first provisional to CANCEL
        self.reinvite_delay = reinvite_delay  # from a re-INVITE to its 200, either side
        self.answers_through = (
            answers_through  # (host, port) that gets the callee's answers instead of the Via's address
        )
        self.acks_to = acks_to  # (host, port) that gets the ACK instead of the first Route
        self.rport = rport  # whether our Via asks for RFC 3581
        self.user = user  # the caller's, in From


class Party:
    """See the head of the file. `requests` lists what this side sent within the dialog and how it was answered."""

    def __init__(self, phone, plan, role, call_id, local_tag):
        self.phone, self.plan, self.role = phone, plan, role
        self.call_id, self.local_tag, self.remote_tag = call_id, local_tag, ""
        self.local_uri = self.remote_uri = self.target = ""
        self.routes = []
        self.cseq, self.remote_cseq = 100, 0
        self.state = "calling" if role == "caller" else "ringing"
        self.code = 0
        self.started_at = now()
        self.provisional_at = self.answered_at = self.acked_at = self.refreshed_at = None
        self.cancelled_at = self.failed_at = self.ended_at = None
        self.left_at = self.came_at = None
        self.ended_by = ""
        self.byes, self.requests, self.history = {}, [], []
        self.merged = self.answers_again = self.late_answers = 0
        self.invite_source = None
        self.unacknowledged = {}  # CSeq of a 2xx we repeat until its ACK
        self.acks = {}  # CSeq -> (bytes, destination) of the ACK that we sent

    def note(self, text):
        if len(self.history) < 96:
            self.history.append((round(now(), 4), text))

    def end(self, by):
        if self.ended_at is None:
            self.ended_at, self.ended_by, self.state = now(), by, "ended"
            self.unacknowledged.clear()
            self.note(f"ended by {by}")

    # -- The caller's INVITE

    def invite(self, destination, request_uri):
        host, port = self.phone.address
        self.local_uri = f'"{self.plan.user.capitalize()}" <sip:{self.plan.user}@{host}:{port}>'
        self.remote_uri = f"<{request_uri}>"
        self.target = request_uri
        self.invite_destination = destination
        self.branch = self.phone.name("z9hG4bK")
        self.cseq = 101
        data = self.write("INVITE", self.branch, request_uri, [], body=sip.session_description(host, 40000))
        self.transaction = self.phone.request(
            "INVITE", self.branch, data, destination, self.invite_answered, self.timed_out
        )
        self.left_at = self.phone.sent_at

    def timed_out(self):
        self.fail(408)

    def fail(self, code):
        self.code, self.state, self.failed_at = code, "failed", now()
        self.note(f"failed {code}")

    def invite_answered(self, message, first_final):
        if message.code < 200:
            self.provisional(message)
        elif message.code < 300:
            self.accepted(message)
        elif first_final or self.state == "failed":
            if first_final:
                self.fail(message.code)
            ack = self.write("ACK", self.branch, self.target, [], cseq=101, to=message.get("to"))
            self.phone.send(ack, self.invite_destination)

    def provisional(self, message):
        if self.provisional_at is None:
            self.provisional_at = now()
            self.note(f"got {message.code}")
            if self.plan.cancel_after is not None:
                self.phone.loop.after(self.plan.cancel_after, self.cancel)
        if message.code > 100 and self.state == "calling":
            self.state = "ringing"

    def accepted(self, message):
        tag = sip.tag_of(message.get("to"))
        if self.state == "failed":
            self.late_answers += 1
            return
        if self.remote_tag and tag != self.remote_tag:
            self.phone.counts["other_2xx"] += 1
            return
        if self.remote_tag:
            self.answers_again += 1
            if 101 in self.acks:
                self.phone.send(*self.acks[101])
            return
        self.remote_tag = tag
        self.remote_uri = message.get("to")
        self.target = sip.uri_of(message.get("contact"))
        self.routes = message.record_routes[::-1]
        self.code, self.state = message.code, "confirmed"
        self.answered_at = self.refreshed_at = now()
        self.came_at = self.phone.loop.arrival
        self.note("got 200")
        if self.plan.ack_delay:
            self.phone.loop.after(self.plan.ack_delay, self.acknowledge_invite)
        else:
            self.acknowledge_invite()

    def acknowledge_invite(self):
        self.acknowledge(101, self.plan.acks_to)
        self.acked_at = now()
        self.note("sent ACK")
        if self.plan.hold is not None:
            self.phone.loop.after(self.plan.hold, self.hang_up)

    def acknowledge(self, cseq, to=None):
        data = self.write("ACK", self.phone.name("z9hG4bK"), self.target, self.routes, cseq=cseq)
        destination = to or self.next_hop()
        self.acks[cseq] = (data, destination)
        self.phone.send(data, destination)

    def cancel(self):
        if self.state not in ("calling", "ringing"):
            return
        self.cancelled_at = now()
        self.note("sent CANCEL")
        data = self.write("CANCEL", self.branch, self.target, [], cseq=101)
        entry = self.entry("CANCEL", self.invite_destination)
        self.phone.request(
            "CANCEL",
            self.branch,
            data,
            self.invite_destination,
            lambda message, first: self.done(entry, message.code) if first else None,
            lambda: self.done(entry, 408),
        )

    # -- Requests within the dialog

    def next_hop(self):
        return sip.endpoint_of(sip.uri_of(self.routes[0]) if self.routes else self.target)

    def entry(self, method, destination):
        entry = {"method": method, "at": now(), "to": f"{destination[0]}:{destination[1]}", "code": 0, "done_at": None}
        self.requests.append(entry)
        return entry

    def done(self, entry, code):
        if entry["done_at"] is None:
            entry["code"], entry["done_at"] = code, now()
            self.note(f"{entry['method']} answered {code}")

    def send_request(self, method, to=None):
        """Sends a request within the dialog along the route set, or straight to the address `to`. Answers its entry."""
        destination = to or self.next_hop()
        entry = self.entry(method, destination)
        self.cseq += 1
        cseq, branch = self.cseq, self.phone.name("z9hG4bK")
        body = sip.session_description(self.phone.address[0], 40000) if method == "INVITE" else ""
        data = self.write(method, branch, self.target, self.routes, cseq=cseq, body=body)
        self.note(f"sent {method} to {entry['to']}")

        def answered(message, first_final):
            if method == "INVITE" and 200 <= message.code < 300:
                if first_final:
                    self.target = sip.uri_of(message.get("contact")) or self.target
                    self.acknowledge(cseq, to)
                else:
                    self.phone.send(*self.acks[cseq])
            elif method == "INVITE" and message.code >= 300:
                ack = self.write("ACK", branch, self.target, self.routes, cseq=cseq, to=message.get("to"))
                self.phone.send(ack, destination)
            if first_final:
                entry["retry_after"] = message.get("retry-after")
                if message.code < 300 and method != "BYE":
                    self.refreshed_at = now()
                self.done(entry, message.code)

        entry["transaction"] = self.phone.request(
            method, branch, data, destination, answered, lambda: self.done(entry, 408)
        )
        return entry

    def hang_up(self, to=None):
        """Sends BYE if the call was answered and has not ended."""
        if self.state not in ("confirmed", "answered"):
            return
        self.send_request("BYE", to)
        self.end("self")

    def write(self, method, branch, uri, routes, cseq=None, to=None, body=""):
        host, port = self.phone.address
        rport = ";rport" if self.plan.rport else ""
        remote = to if to is not None else self.remote_uri
        headers = [("Via", f"SIP/2.0/UDP {host}:{port}{rport};branch={branch}"), ("Max-Forwards", "70")]
        headers += [("Route", route) for route in routes]
        headers += [
            ("From", f"{self.local_uri};tag={self.local_tag}"),
            ("To", remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.cseq if cseq is None else cseq} {method}"),
        ]
        if method in ("INVITE", "UPDATE"):
            headers.append(("Contact", f"<sip:{self.role}@{host}:{port}>"))
        if body:
            headers.append(("Content-Type", "application/sdp"))
        return sip.write(f"{method} {uri} SIP/2.0", headers, body)

    # -- The callee's INVITE, and requests that come within the dialog

    def invited(self, transaction):
        request = transaction.request
        self.came_at = self.phone.loop.arrival
        self.invitation = transaction
        self.invite_source = transaction.source
        self.remote_tag = sip.tag_of(request.get("from"))
        self.remote_uri = request.get("from")
        self.local_uri = request.get("to")
        self.target = sip.uri_of(request.get("contact"))
        self.routes = list(request.record_routes)
        self.remote_cseq = request.cseq
        transaction.through = self.plan.answers_through
        self.note(f"INVITE from {transaction.source[0]}")
        transaction.answer(180, self.local_tag, [self.contact()], record_route=True)
        if self.plan.ring is not None:
            self.phone.loop.after(self.plan.ring, self.pick_up)

    def contact(self):
        return "Contact", f"<sip:{self.role}@{self.phone.address[0]}:{self.phone.address[1]}>"

    def pick_up(self):
        """Answers a ringing call with 200, repeated until its ACK."""
        if self.state != "ringing":
            return
        self.state = "answered"
        self.answered_at = self.refreshed_at = now()
        self.accept(self.invitation, record_route=True)
        self.left_at = self.phone.sent_at

    def accept(self, transaction, record_route=False):
        body = sip.session_description(self.phone.address[0], 40002)
        headers = [self.contact(), ("Content-Type", "application/sdp")]
        transaction.through = self.plan.answers_through
        cseq = transaction.request.cseq
        self.unacknowledged[cseq] = transaction
        transaction.answer(200, self.local_tag, headers, body, record_route)
        self.note("sent 200")
        self.phone.loop.after(T1, self.repeat_answer, cseq, T1, now())

    def repeat_answer(self, cseq, interval, since):
        transaction = self.unacknowledged.get(cseq)
        if transaction is None:
            return
        if now() - since >= GIVE_UP:
            del self.unacknowledged[cseq]
            self.phone.counts["no_ack"] += 1
            self.hang_up()
            self.ended_by = "no_ack"
            return
        self.phone.counts["retransmissions"] += 1
        transaction.send()
        self.phone.loop.after(min(T2, interval * 2), self.repeat_answer, cseq, min(T2, interval * 2), since)

    def acknowledged(self, cseq):
        self.unacknowledged.pop(cseq, None)
        if self.role == "callee" and self.acked_at is None:
            self.acked_at = now()
            self.note("got ACK")
            if self.state == "answered":
                self.state = "confirmed"

    def cancelled(self):
        self.note("got CANCEL")
        self.cancelled_at = self.cancelled_at or now()
        if self.state == "ringing":
            self.end("cancel")
            self.invitation.answer(487, self.local_tag)

    def repeated(self, transaction, source):
        key = (transaction.key[0], transaction.key[1], transaction.request.cseq)
        if transaction.request.method == "BYE" and key in self.byes:
            self.byes[key]["datagrams"] += 1
            self.byes[key]["sources"].add(source[0])

    def receive(self, transaction):
        request = transaction.request
        if request.method == "BYE":
            self.receive_bye(transaction)
        elif self.ended_at is not None:
            transaction.answer(481)
        elif request.cseq < self.remote_cseq:
            self.phone.counts["old_cseq"] += 1
            transaction.answer(500)
        elif request.method == "INVITE":
            self.remote_cseq = request.cseq
            self.target = sip.uri_of(request.get("contact")) or self.target
            self.note("got re-INVITE")
            self.phone.loop.after(self.plan.reinvite_delay, self.accept_reinvite, transaction)
        else:
            self.remote_cseq = request.cseq
            self.refreshed_at = now()
            transaction.answer(200)

    def accept_reinvite(self, transaction):
        if self.ended_at is None:
            self.refreshed_at = now()
            self.accept(transaction)
        else:
            transaction.answer(487)

    def receive_bye(self, transaction):
        key = (transaction.key[0], transaction.key[1], transaction.request.cseq)
        self.byes[key] = {
            "at": self.phone.loop.arrival,
            "datagrams": 1,
            "sources": {transaction.source[0]},
            "first": not self.byes,
        }
        self.note(f"got BYE from {transaction.source[0]}")
        if self.ended_at is not None:
            transaction.answer(481)
        elif transaction.request.cseq < self.remote_cseq:
            self.phone.counts["old_cseq"] += 1
            transaction.answer(500)
        else:
            ringing = self.role == "callee" and self.state == "ringing"
            transaction.answer(200)
            self.end("peer")
            if ringing:
                self.invitation.answer(487, self.local_tag)
