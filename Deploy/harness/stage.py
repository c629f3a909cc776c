"""What every acceptance case has: a cluster, a balancer, phones, a report, a limit in time, a clean end."""

import os
import signal

from cluster import Cluster, Failure, note
from loop import now
from nodestage import NodeStage
from phones import Phones
from relay import Relay


class Report:
    """Figures as they were seen, and claims that hold or not. The case passes when every claim holds."""

    def __init__(self, case):
        self.case, self.failed, self.claims = case, 0, 0

    def figure(self, name, value):
        note(f"  {name}: {value}")

    def claim(self, text, holds, seen=""):
        self.claims += 1
        self.failed += 0 if holds else 1
        note(f"  {'ok  ' if holds else 'FAIL'} {text}{f' ({seen})' if seen != '' else ''}")
        return holds

    @property
    def passed(self):
        return self.claims > 0 and self.failed == 0


class Stage(NodeStage):
    """A cluster, what stands before it, and phones.

    ACCEPTANCE_TRACE=1 in the environment writes every message of the phones to messages.log in the stage's folder.
    """

    def __init__(
        self,
        report,
        nodes=3,
        lifetime=43200,
        balancer="kamailio",
        net="127.0.77",
        namespace=None,
        service_addresses=False,
        cluster_lines=(),
        seed=1,
    ):
        super().__init__(report, "acceptance")
        self.net, self.namespace, self.balancer, self.seed = net, namespace, balancer, seed
        self.cluster = Cluster(
            self.folder,
            nodes,
            net,
            lifetime,
            namespace=namespace,
            service_addresses=service_addresses,
            cluster_lines=cluster_lines,
        )
        self.relay = self.phones = None

    def set_up(self):
        super().set_up()
        if self.balancer == "kamailio":
            self.cluster.start_balancer()
        elif self.balancer == "relay":
            self.relay = Relay(self.cluster.balancer, [n.sip for n in self.cluster.nodes], self.seed).start()
        hub = f"{self.namespace}-hub" if self.namespace else None
        self.phones = Phones(
            (f"{self.net}.22", 5080),
            (f"{self.net}.21", 5070),
            hub,
            log=f"{self.folder}/messages.log" if os.environ.get("ACCEPTANCE_TRACE") else None,
        )

    def clear_away(self):
        if self.phones is not None:
            self.phones.close()
        if self.relay is not None:
            self.relay.close()
        super().clear_away()

    # -- What most cases do

    @property
    def front(self):
        return self.cluster.balancer

    def establish(self, count, rate, to, plan, seconds=15):
        """Places calls and waits until both sides of every one are confirmed; a Failure says what they became."""
        before = len(self.phones.calls)
        self.phones.place(count, rate, to, plan)

        def confirmed():
            calls = self.phones.calls[before:]
            callees = self.phones.callees()
            return len(calls) == count and all(
                c.acked_at and c.call_id in callees and callees[c.call_id].acked_at for c in list(calls)
            )

        if not self.phones.wait(confirmed, count / rate + seconds):
            raise Failure(f"not every call was established: {self.phones.summary()}")
        return self.phones.calls[before:]

    def in_every_record(self, count, seconds=5):
        """Until every node holds `count` live dialogs."""
        good, held = self.cluster.wait_held(count, seconds)
        if not good:
            raise Failure(f"the nodes should hold {count} dialogs each: {held}")

    def in_every_record_as(self, state, calls, seconds=5):
        """Until every node holds each of `calls` in `state`: facts follow a message by `replication.linger-ms`."""
        wanted = {call.call_id for call in calls}

        def lacking():
            return {
                node.name: len(wanted - {d["call_id"] for d in node.dialogs() if d["state"] == state})
                for node in self.cluster.alive()
            }

        if not self.phones.wait(lambda: not any(lacking().values()), seconds):
            raise Failure(f"calls that a node does not hold as {state}: {lacking()}")

    def survivors_notice(self, dead, since, seconds=10):
        """Seconds from `since` until no survivor's view has the dead node."""
        names = [n.name for n in self.cluster.alive()]
        self.cluster.wait_view(names, seconds)
        took = now() - since
        self.report.figure(f"{dead.name} was out of every survivor's view after", f"{took * 1000:.0f} ms")
        return took

    def explain(self, calls, limit=2):
        """The histories of a few calls that went wrong."""
        for call in calls[:limit]:
            note(f"    call {call.call_id}:")
            for line in self.phones.history(call.call_id):
                note(f"      {line}")


class time_limit:
    """Ends a case that hangs: after `seconds` the main thread gets a Failure."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __enter__(self):
        signal.signal(signal.SIGALRM, self.over)
        signal.alarm(int(self.seconds))

    def __exit__(self, *_):
        signal.alarm(0)

    def over(self, *_):
        raise Failure(f"the case took longer than its {self.seconds} s")
