#!/usr/bin/env python3
"""usage: phones.py --to HOST[:PORT] [--calls N] [--rate R] [--hold S] [--ring S] [--ack-delay S] [--cancel-after S]
                 [--caller HOST:PORT] [--callee HOST:PORT] [--log FILE] [--wait S]

Many callers and callees in one process, over UDP: places calls through an address, keeps route sets, answers whatever
BYE comes, and prints one JSON summary. Exit 0 when every call went as planned. The acceptance cases use the class
`Phones`.
"""

import argparse
import gc
import json
import sys
import threading
from collections import Counter

sys.dont_write_bytecode = True

from loop import Loop, now
from party import Plan
from phone import Phone


class Phones:
    """A caller's and a callee's telephone on one loop thread. Other threads may read any party, and `do` things.

    Every party is kept, so Python's collector of cycles would look at all of them again and again, and hold the thread up
    for a second at twenty thousand calls: it is off until they are closed.
    """

    def __init__(self, caller, callee, namespace=None, log=None):
        self.loop = Loop()
        self.log = open(log, "w") if log else None
        self.caller = Phone(self.loop, caller, namespace, self.log)
        self.callee = Phone(self.loop, callee, namespace, self.log)
        self.calls = []  # the callers' sides, in order of placing
        self.plans = {}
        self.default_plan = Plan()
        for phone in (self.caller, self.callee):
            phone.plan_of = lambda call_id: self.plans.get(call_id, self.default_plan)
        self.uri = f"sip:bob@{callee[0]}:{callee[1]}"
        gc.disable()
        self.loop.start()

    def close(self):
        self.loop.stop()
        gc.enable()
        if self.log:
            self.log.close()

    def do(self, action, *arguments):
        """Runs an action on the phones' thread and answers its result."""
        done, result = threading.Event(), []

        def run():
            try:
                result.append(action(*arguments))
            except Exception as error:  # noqa: BLE001 -- handed to the thread that asked
                result.append(error)
            done.set()

        self.loop.call(run)
        if not done.wait(30):
            raise TimeoutError("the phones' thread did not answer within 30 s")
        if isinstance(result[0], Exception):
            raise result[0]
        return result[0]

    def place(self, count, rate, to, plan=None, uri=None):
        """Places `count` calls at `rate` a second through `to`; returns at once. `to` may be a list, dealt in turn."""
        plan = plan or Plan()
        targets = to if isinstance(to, list) else [to]
        start = now()

        def next_call(index):
            call = self.caller.call(plan, targets[index % len(targets)], uri or self.uri)
            self.plans[call.call_id] = plan
            self.calls.append(call)
            if index + 1 < count:
                self.loop.at(start + (index + 1) / rate, next_call, index + 1)

        if count > 0:
            self.loop.call(next_call, 0)

    def wait(self, condition, seconds, step=0.02):
        """Waits until `condition()` holds; answers whether it did within `seconds`."""
        end = now() + seconds
        pause = threading.Event()
        while now() < end:
            if condition():
                return True
            pause.wait(step)
        return bool(condition())

    def are_over(self, count=None):
        """Whether `count` calls were placed, and each has failed, or has ended and had an answer to each of its requests.
        A caller is `ended` when it has sent its BYE: whoever goes away then leaves a BYE that nobody answers, for 32 s."""
        calls = list(self.calls)
        return len(calls) == (len(calls) if count is None else count) and all(
            c.state == "failed" or (c.ended_at and all(e["done_at"] for e in c.requests)) for c in calls
        )

    def callees(self):
        """The callees' sides by Call-ID."""
        return {party.call_id: party for party in list(self.callee.answered_calls)}

    def pairs(self):
        """(caller's side, callee's side or None) of every call."""
        callees = self.callees()
        return [(call, callees.get(call.call_id)) for call in list(self.calls)]

    def history(self, call_id):
        """What both sides of a call saw, in order of time: for a failure's report."""
        events = []
        for party in self.calls + self.callee.answered_calls:
            if party.call_id == call_id:
                events += [(when, party.role, text) for when, text in party.history]
        return [f"{when:.3f} {role}: {text}" for when, role, text in sorted(events)]

    def summary(self):
        """Counts over all calls, as the program prints them."""
        calls = list(self.calls)
        setups = sorted(c.answered_at - c.started_at for c in calls if c.answered_at)
        counts = self.caller.counts + self.callee.counts
        return {
            "placed": len(calls),
            "states": dict(Counter(c.state for c in calls)),
            "failed": dict(Counter(c.code for c in calls if c.state == "failed")),
            "ended_by": dict(Counter(c.ended_by for c in calls if c.ended_by)),
            "callee_states": dict(Counter(p.state for p in self.callee.answered_calls)),
            "callee_ended_by": dict(Counter(p.ended_by for p in self.callee.answered_calls if p.ended_by)),
            "requests": dict(Counter(f"{e['method']} {e['code']}" for c in calls for e in c.requests)),
            "caller_byes": dict(Counter(len(c.byes) for c in calls)),
            "callee_byes": dict(Counter(len(p.byes) for p in self.callee.answered_calls)),
            "setup_ms": {"median": ms(middle(setups)), "worst": ms(setups[-1] if setups else None)},
            "counts": dict(counts),
            "timer_lateness_ms": ms(self.loop.latest),
        }


def middle(values):
    return values[len(values) // 2] if values else None


def ms(seconds):
    return None if seconds is None else round(seconds * 1000, 1)


def endpoint(text, port=5060):
    host, _, given = text.partition(":")
    return host, int(given) if given else port


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", required=True, type=endpoint)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--rate", type=float, default=10)
    parser.add_argument("--hold", type=float, default=1.0, help="seconds; below 0: wait for a BYE")
    parser.add_argument("--ring", type=float, default=0.05)
    parser.add_argument("--ack-delay", type=float, default=0.0)
    parser.add_argument("--cancel-after", type=float)
    parser.add_argument("--caller", type=endpoint, default=("127.0.0.22", 5080))
    parser.add_argument("--callee", type=endpoint, default=("127.0.0.21", 5070))
    parser.add_argument("--log")
    parser.add_argument("--wait", type=float, default=40.0, help="seconds after the last call was placed")
    options = parser.parse_args()
    phones = Phones(options.caller, options.callee, log=options.log)
    plan = Plan(options.ring, None if options.hold < 0 else options.hold, options.ack_delay, options.cancel_after)
    if options.cancel_after is not None:
        plan.ring = None
    phones.place(options.calls, options.rate, options.to, plan)

    over = phones.wait(lambda: phones.are_over(options.calls), options.calls / options.rate + options.wait)
    wanted = 487 if options.cancel_after is not None else 200
    good = all(c.code == wanted and all(e["code"] == 200 for e in c.requests) for c in phones.calls)
    print(json.dumps(phones.summary(), indent=2))
    phones.close()
    sys.exit(0 if good and over else 1)


if __name__ == "__main__":
    main()
