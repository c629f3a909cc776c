"""Acceptance: profiles and variables over a cluster, while nodes die. Each function takes (report, quick)."""

import subprocess
import sys
import threading

from cases_calls import Load
from cases_storage import Stored
from cluster import Failure
from loop import now
from party import Plan
from stage import Stage

USERS = ["alice", "bob", "carol", "dave", "erin"]
VARIABLE = "turn"
PROFILES = "profiles_with_value: [caller], profiles_no_value: [calls]"


class Counted(Stage):
    """Every call is in the profile `calls`, and in `caller` under its caller's user."""

    def __init__(self, report):
        super().__init__(report, lifetime=3600)
        self.cluster.extra_lines.append(
            'routes: [{match: "sip:.*", to: ["sip:%s.21:5070"], dialog: {profiles: [calls, "caller=$fU"]}}]' % self.net
        )
        self.cluster.dialog_keys = PROFILES

    def sizes(self, node):
        """What a node says of both profiles: all, then each user's, then all with a user."""
        users = [node.rpc("dlg.profile_get_size", "caller", user) for user in USERS]
        return [node.rpc("dlg.profile_get_size", "calls"), *users, node.rpc("dlg.profile_get_size", "caller")]

    def wanted(self, calls):
        """The same, by the phones: those that talk."""
        users = [sum(1 for c in calls if c.plan.user == user) for user in USERS]
        return [len(calls), *users, len(calls)]


def profiles_counted(report, quick):
    """Every call in two profiles, nodes killed and started again under load: sizes are the phones' own counts at each
    quiet moment, on every node, and 0 at the end."""
    rate, kills, seconds = (100, 2, 2.0) if quick else (300, 10, 4.0)
    with Counted(report) as stage:
        for number in range(kills):
            loads = [Load(stage, rate / len(USERS), Plan(ring=0.02, hold=None, user=user)) for user in USERS]
            stage.phones.wait(lambda: False, seconds / 2)
            victim = stage.cluster.busiest()
            moment = victim.kill()
            stage.survivors_notice(victim, moment)
            stage.phones.wait(lambda: False, seconds / 2)
            for load in loads:
                load.stop()
            hang_up_some(stage, number)
            victim.start()
            stage.cluster.wait_view([n.name for n in stage.nodes])
            quiet(report, stage, f"after kill {number + 1}, of {victim.name}")
        for call in talking(stage):
            stage.phones.do(call.hang_up)
        stage.phones.wait(lambda: all(e["done_at"] for c in stage.phones.calls for e in c.requests), 40, 0.2)
        zero = [0] * (len(USERS) + 2)
        empty = stage.phones.wait(lambda: all(stage.sizes(n) == zero for n in stage.nodes), 10, 0.1)
        report.claim("every size is 0 at the end", empty, {n.name: stage.sizes(n) for n in stage.nodes})


def talking(stage):
    """Callers' sides of calls that neither side has ended."""
    callees = stage.phones.callees()

    def talks(call):
        other = callees.get(call.call_id)
        return call.acked_at and call.ended_at is None and other is not None and other.ended_at is None

    return [call for call in list(stage.phones.calls) if talks(call)]


def hang_up_some(stage, number):
    """A third of the calls, from either side in turns."""
    calls = talking(stage)[::3]
    callees = stage.phones.callees()  # After them: a call may have been answered meanwhile.
    for index, call in enumerate(calls):
        stage.phones.do((callees[call.call_id] if (index + number) % 2 else call).hang_up)


def quiet(report, stage, when):
    """Until nothing is under way at the phones; then the sizes are theirs within 5 s."""

    def over():
        calls = list(stage.phones.calls)
        return all(c.state in ("failed", "confirmed", "ended") for c in calls) and all(
            e["done_at"] for party in calls + list(stage.phones.callee.answered_calls) for e in party.requests
        )

    if not stage.phones.wait(over, 40, 0.2):
        raise Failure(f"the phones do not come to rest: {stage.phones.summary()}")
    wanted = stage.wanted(talking(stage))
    good = stage.phones.wait(lambda: all(stage.sizes(n) == wanted for n in stage.nodes), 5, 0.1)
    seen = wanted if good else {"phones": wanted} | {n.name: stage.sizes(n) for n in stage.nodes}
    report.claim(f"{when}, every node's sizes are the phones' counts", good, seen)


SCRIPT = """
function ksr_request_route()
  if KSR.siputils.has_totag() > 0 then
    KSR.rr.loose_route()
    if KSR.is_INVITE() then
      local turn = KSR.pv.getw("$cs")
      if turn %% 10 == 0 then
        KSR.pv.unset("$dlg_var(%(name)s)")
      else
        KSR.pv.sets("$dlg_var(%(name)s)", tostring(turn))
      end
    end
    KSR.tm.t_relay()
    return
  end
  KSR.rr.record_route()
  KSR.tm.t_relay()
end
""" % {"name": VARIABLE}


class Scripted(Stage):
    def __init__(self, report):
        super().__init__(report)
        self.cluster.extra_lines.append(f"script: {{lua: {self.write('route.lua', SCRIPT)}}}")


def variable_everywhere(report, quick):
    """One dialog, re-INVITEs dealt over three nodes, each sets a variable, every tenth removes it: within 100 ms of
    each 200 all nodes say the last value."""
    with Scripted(report) as stage:
        set_everywhere(report, stage, 40 if quick else 100)


def set_everywhere(report, stage, count):
    call = stage.establish(1, 1, stage.front, Plan(hold=None))[0]
    stage.in_every_record_as("confirmed", [call])
    did = stage.nodes[0].dialogs()[0]["did"]

    def values():
        return [
            next((v["value"] for v in node.rpc("cluster.dialog", did)["variables"] if v["key"] == VARIABLE), None)
            for node in stage.nodes
        ]

    codes, wrong, slowest = [], [], 0.0
    for number in range(count):
        entry = stage.phones.do(call.send_request, "INVITE", stage.nodes[number % 3].sip)
        stage.phones.wait(lambda e=entry: e["done_at"], 10, 0.001)
        codes.append(entry["code"])
        wanted = None if call.cseq % 10 == 0 else str(call.cseq)
        good = stage.phones.wait(lambda w=wanted: values() == [w] * 3, entry["done_at"] + 0.1 - now(), 0.002)
        slowest = max(slowest, now() - entry["done_at"])
        if not good:
            wrong.append((call.cseq, values()))
    report.claim(f"{count} re-INVITEs were answered 200", codes == [200] * count, set(codes))
    report.claim("within 100 ms every node says the last value", not wrong, wrong[:3])
    report.figure("the slowest, with the asking", f"{slowest * 1000:.0f} ms")


class Stalls:
    """A process that does nothing but wait for a millisecond, again and again: how long the machine lets one wait."""

    PROGRAM = """
import time
while True:
    began = time.monotonic()
    time.sleep(0.001)
    late = time.monotonic() - began - 0.001
    if late > 0.001:
        print(began, late, flush=True)
"""

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", self.PROGRAM], stdout=subprocess.PIPE, text=True)
        self.found = []
        threading.Thread(target=self.read, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def read(self):
        for line in self.process.stdout:
            self.found.append(tuple(float(word) for word in line.split()))

    def longest(self, since, until):
        return max((late for began, late in list(self.found) if since <= began + late and began <= until), default=0.0)


def killed_all_young(report, quick):
    """SIGKILL of all nodes under load, in mode 1: what was older than 20 ms, and what the machine holds a thread up, is there, live or over; after SIGTERM all is."""
    rate, seconds = (60, 4.0) if quick else (200, 10.0)
    with Stored(report, 600) as stage, Stalls() as stalls:
        for name, ends in (("SIGKILL", kill_all), ("SIGTERM", stop_all)):
            load = Load(stage, rate, Plan(ring=0.01, hold=None))
            stage.phones.wait(lambda: False, seconds / 2)
            short = Load(stage, rate / 2, Plan(ring=0.01, hold=1.0))
            stage.phones.wait(lambda: False, seconds / 2)
            if name == "SIGTERM":
                load.stop()
                short.stop()
                stage.phones.wait(lambda: False, 2.0)
            moment = ends(stage)
            load.stop()
            short.stop()
            stage.phones.wait(lambda: False, 1.0)
            stage.start_all()
            for node in stage.nodes:
                node.wait_ready()
            held_up = stalls.longest(moment - 0.2, moment)
            old = moment
            if name == "SIGKILL":
                # Of the way of a message, and of what follows from it, each part waits for its turn.
                old -= 0.02 + 2 * held_up
                report.figure("milliseconds that a process waited for its turn, at most", f"{held_up * 1000:.1f}")
            look_at_the_young(report, stage, f"after {name}", load.calls() + short.calls(), moment, old)


def look_at_the_young(report, stage, when, calls, moment, old):
    def ended(call):
        return min((e["done_at"] for e in call.requests if e["done_at"]), default=None)

    began = {c.call_id: c.acked_at for c in calls if c.acked_at and c.ended_at is None}
    over = {c.call_id: ended(c) for c in calls if ended(c) is not None}
    live, gone = {i for i, at in began.items() if at <= old}, {i for i, at in over.items() if at <= old}
    for node in stage.nodes:
        known = {d["call_id"] for d in node.dialogs()}
        ages = [moment - at for i, at in began.items() if i not in known] + [moment - at for i, at in over.items() if i in known]
        report.figure(f"{when}, {node.name}: the oldest that is missing, ms", f"{max(ages, default=0) * 1000:.0f}, of {len(ages)}")
        missing = f"{len(live - known)} of {len(live)} missing"
        report.claim(f"{when}, {node.name} has every call that was up", live and live <= known, missing)
        report.claim("and none that was over", gone and not gone & known, f"{len(gone & known)} of {len(gone)}")


def kill_all(stage):
    moment = now()
    stage.kill_all()
    return moment


def stop_all(stage):
    moment = now()
    stage.cluster.stop_nodes()
    return moment


def memory_of_variables(report, quick):
    """What a dialog takes on every node with no variable, one, and twelve."""
    count, rate = (1500, 300) if quick else (10000, 350)
    sizes = {}
    for variables in (0, 12) if quick else (0, 1, 12):
        sizes[variables] = bytes_of_a_dialog(report, variables, count, rate)
        report.figure(f"bytes a dialog with {variables} variables", f"{sizes[variables]:.0f}")
    each = (sizes[12] - sizes[0]) / 12
    report.claim("a variable with a name and a value of 12 characters takes 100 bytes at most", 0 < each <= 100, f"{each:.0f}")


def bytes_of_a_dialog(report, variables, count, rate):
    stage = Stage(report, lifetime=43200)
    names = ", ".join(f"name-of-a-{n:02}: value-of-{n:03}" for n in range(variables))
    template = f", dialog: {{variables: {{{names}}}}}" if variables else ""
    stage.cluster.sip_lines.append("  t1-ms: 50")  # Transactions are over after 3.2 s, and what was kept for them is free.
    stage.cluster.extra_lines.append("trace: {memory-mb: 0}")  # It would fill meanwhile.
    stage.cluster.extra_lines.append(f'routes: [{{match: "sip:.*", to: ["sip:{stage.net}.21:5070"]{template}}}]')
    with stage:
        before = resident(stage)
        stage.establish(count, rate, stage.front, Plan(hold=None), seconds=60)
        stage.in_every_record(count, 20)
        stage.phones.wait(lambda: False, 4.0)
        some = stage.nodes[1].rpc("cluster.dialog", stage.nodes[1].dialogs()[0]["did"])
        report.claim(f"{variables} variables are in the record", len(some["variables"]) == variables, some["variables"][:1])
        return max(after - least for after, least in zip(resident(stage), before)) / count


def resident(stage):
    """Of each node's process, bytes."""
    found = []
    for node in stage.nodes:
        with open(f"/proc/{node.process.pid}/smaps_rollup") as file:
            found.append(next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss_Anon:")))
    return found
