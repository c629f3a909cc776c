"""Acceptance: what a cluster keeps when all of its nodes end at once. Each function takes (report, quick)."""

import os
import signal
import sqlite3
import subprocess

from cases_calls import Load
from cluster import Failure, find_binary
from loop import now
from party import Plan
from peerstage import metrics
from phones import middle
from postgres import Postgres
from stage import Stage


class Stored(Stage):
    """A stage whose nodes have storage; `@NODE@` in a line is the node's name."""

    def __init__(self, report, lifetime, mode=1, shared=False, url=None):
        super().__init__(report, lifetime=lifetime)
        self.url = url or f"sqlite://{self.folder}/{'all' if shared else '@NODE@'}.db"
        self.cluster.extra_lines.append(
            f'storage: {{db_url: "{self.url}", db_mode: {mode}, shared: {str(shared).lower()}}}'
        )

    def rows(self, node):
        """What another program finds in a node's file: dids by record."""
        file = self.url.removeprefix("sqlite://").replace("@NODE@", node.name)
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
            return dict(database.execute("SELECT did, record FROM understudy_record WHERE held_back = 0"))

    def moments(self, node):
        """When each dialog ends, by this node, on the harness's clock."""
        asked = now()
        return {d["call_id"]: asked + d["remaining_s"] for d in node.dialogs()}

    def kill_all(self):
        """SIGKILL of every node; answers the seconds from the first to the last."""
        began = now()
        for node in self.nodes:
            os.kill(node.process.pid, signal.SIGKILL)
        took = now() - began
        for node in self.nodes:
            node.process.wait()
            self.cluster.processes.forget(node.name)
            node.drop_connection()
        return took

    def set_clocks(self, seconds):
        """What setting every host's clock by so much is to what is stored: it lies that much longer, or shorter."""
        for node in self.nodes:
            with sqlite3.connect(self.url.removeprefix("sqlite://").replace("@NODE@", node.name)) as database:
                ago = (round(seconds * 1000),)
                database.execute("UPDATE understudy_record SET saved_ms = saved_ms - ?1, deadline_ms = deadline_ms - ?1", ago)
                database.execute("UPDATE understudy_node SET known_until_ms = known_until_ms - ?", ago)
            database.close()

    def start_all(self):
        for node in self.nodes:
            node.start(wait=False)


def killed_all(report, quick, shared=False, url=None):
    """SIGKILL of all nodes within 100 ms, restart: every call is there with its time, and ends at its moment."""
    count, lifetime = (100, 20) if quick else (1000, 60)
    with Stored(report, lifetime, shared=shared, url=url) as stage:
        calls = stage.establish(count, 200, stage.front, Plan(hold=None))
        stage.in_every_record(count)
        stage.phones.wait(lambda: False, 0.1)
        before = stage.moments(stage.nodes[0])
        took = stage.kill_all()
        report.claim("all nodes were killed within 100 ms", took <= 0.1, f"{took * 1000:.1f} ms")
        stage.phones.wait(lambda: False, 3.0)
        began = now()
        stage.start_all()
        good, held = stage.cluster.wait_held(count, 10)
        report.figure("seconds from the start to every call on every node", f"{now() - began:.2f}")
        report.claim(f"all {count} calls are there, on every node", good, held)
        for node in stage.nodes:
            after = stage.moments(node)
            offs = [abs(after[call_id] - moment) for call_id, moment in before.items() if call_id in after]
            report.claim(
                f"{node.name} has their remaining time within 2 s",
                len(offs) == count and max(offs) <= 2,
                f"{max(offs, default=-1):.2f} s at most",
            )
        callees = stage.phones.callees()
        parties = calls + [callees[c.call_id] for c in calls]
        stage.phones.wait(lambda: all(p.byes for p in parties), lifetime + 10)
        stage.phones.wait(lambda: False, 2.0)
        report.claim("each phone got one BYE transaction", all(len(p.byes) == 1 for p in parties))
        delays = sorted(next(iter(p.byes.values()))["at"] - p.refreshed_at for p in parties if p.byes)
        report.claim(
            f"each within {lifetime + 2} s of its answer, none early",
            bool(delays) and delays[0] >= lifetime - 0.5 and delays[-1] <= lifetime + 2,
            f"{delays[0]:.2f} to {delays[-1]:.2f} s" if delays else "none",
        )
        empty, held = stage.cluster.wait_held(0, 5)
        report.claim("no node holds a live record", empty, held)
        stage.explain([c for c in calls if len(c.byes) != 1])


def expired_all(report, quick):
    """All nodes are away while calls expire, and one disk is lost: BYEs go out at a pace, one a phone."""
    count, lifetime = (260, 6) if quick else (400, 20)  # More than go in a second.
    with Stored(report, lifetime) as stage:
        calls = stage.establish(count, 200, stage.front, Plan(hold=None))
        stage.in_every_record(count)
        stage.phones.wait(lambda: False, 0.1)
        stage.kill_all()
        for suffix in ("", "-wal", "-shm"):
            os.unlink(f"{stage.folder}/n2.db{suffix}")
        stage.phones.wait(lambda: False, lifetime + 2.0)
        stage.start_all()
        callees = stage.phones.callees()
        parties = calls + [callees[c.call_id] for c in calls]
        stage.phones.wait(lambda: all(p.byes for p in parties), 20)
        stage.phones.wait(lambda: False, 2.0)
        report.claim("each phone got one BYE transaction", all(len(p.byes) == 1 for p in parties))
        times = sorted(next(iter(p.byes.values()))["at"] for p in parties if p.byes)
        # The caller's and the callee's go together: 200 dialogs a second are 400 BYEs.
        busiest = max((sum(1 for t in times if at <= t < at + 1) for at in times), default=0)
        report.claim("no more than 200 dialogs a second were ended", 0 < busiest <= 440, f"{busiest} BYEs")
        empty, held = stage.cluster.wait_held(0, 5)
        report.claim("no node holds a live record", empty, held)


def clocks_set(report, quick):
    """Every clock is set back, and forward, by an hour while all nodes are away: calls keep their time, or have an hour less."""
    count, lifetime = (30, 7200) if quick else (300, 7200)
    with Stored(report, lifetime) as stage:
        calls = stage.establish(count, 100, stage.front, Plan(hold=None))
        stage.in_every_record(count)
        stage.phones.wait(lambda: False, 0.1)
        for hours in (-1, 1):
            before = stage.moments(stage.nodes[0])
            stage.kill_all()
            stage.set_clocks(hours * 3600)
            stage.start_all()
            good, held = stage.cluster.wait_held(count, 10)
            way = "an hour back" if hours < 0 else "an hour forward"
            report.claim(f"{way}: all {count} calls are there, on every node", good, held)
            # Nobody knows how long a row lay that is of the future: as if it had been no time since it was written.
            wanted = 3600 if hours > 0 else 0
            for node in stage.nodes:
                after = stage.moments(node)
                offs = [before[call_id] - after[call_id] - wanted for call_id in before if call_id in after]
                report.claim(
                    f"{node.name} has {'an hour less' if wanted else 'at most as much more as has passed since their answers'}",
                    len(offs) == count and calls[0].answered_at - now() - 1 <= min(offs) and max(offs) <= 2,
                    f"{min(offs, default=0):.2f} to {max(offs, default=0):.2f} s less",
                )
        callees = stage.phones.callees()
        parties = calls + [callees[c.call_id] for c in calls]
        report.claim("no phone was hung up on", not any(p.byes for p in parties))
        stage.kill_all()
        stage.set_clocks(3600)
        stage.start_all()
        stage.phones.wait(lambda: all(p.byes for p in parties), 20)
        stage.phones.wait(lambda: False, 2.0)
        report.claim(
            "another hour forward: their time is up, and each phone got one BYE transaction", all(len(p.byes) == 1 for p in parties)
        )
        empty, held = stage.cluster.wait_held(0, 5)
        report.claim("no node holds a live record", empty, held)


def written(report, quick):
    """Mode 1 has every change within 20 ms of when all nodes have it; a file that is locked delays nothing, and catches up."""
    count = 40 if quick else 200
    with Stored(report, 600) as stage:
        calls = stage.establish(count, 100, stage.front, Plan(hold=None))
        stage.in_every_record(count)
        stage.phones.wait(lambda: False, 0.02)
        report.claim("every file has every call", all(len(stage.rows(n)) == count for n in stage.nodes))
        locks = [sqlite3.connect(stage.url.removeprefix("sqlite://").replace("@NODE@", n.name)) for n in stage.nodes]
        for lock in locks:
            lock.execute("BEGIN IMMEDIATE")
        more = stage.establish(count, 100, stage.front, Plan(hold=None))
        slow = max(c.answered_at - c.started_at for c in more)
        fast = max(c.answered_at - c.started_at for c in calls)
        report.claim(
            "no call is later with its files locked", slow <= fast + 0.1, f"{slow * 1000:.0f}, {fast * 1000:.0f} ms before"
        )
        status = (stage.nodes[0].status() or {}).get("storage") or {}
        report.claim("status tells how far behind it is", status.get("lag_records", 0) >= count, status)
        code, text = stage.cluster.command("status", "--node", stage.nodes[0].url)
        report.figure("status", next((line for line in text.splitlines() if line.startswith("storage")), text))
        for lock in locks:
            lock.rollback()
            lock.close()

        def caught_up():
            return all(len(stage.rows(n)) == 2 * count for n in stage.nodes)

        report.claim("it catches up by itself", stage.phones.wait(caught_up, 10))
        if code != 0:
            raise Failure(f"status ended with {code}")


def killed_all_postgres(report, quick):
    """SIGKILL of all nodes that share a PostgreSQL database: every call is there, and ends at its moment."""
    with Postgres() as server:
        make_tables(report, server)
        killed_all(report, quick, shared=True, url=server.url)


def make_tables(report, server):
    result = subprocess.run(
        [find_binary(), "storage", "init", "--db-url", server.url], capture_output=True, text=True, timeout=30
    )
    report.claim("understudy storage init makes the tables", result.returncode == 0, result.stdout.strip())


def held_between(caller, callee):
    """Seconds that a call's INVITE and its 200 were between the two phones: what the phones took themselves is no part."""
    return callee.came_at - caller.left_at + caller.came_at - callee.left_at


def postgres_stopped(report, quick):
    """PostgreSQL is stopped under load: no call is late, and afterwards the rows are the records."""
    rate, seconds = (50, 6) if quick else (300, 60)
    with Postgres() as server:
        make_tables(report, server)
        with Stored(report, 600, shared=True, url=server.url) as stage:
            load = Load(stage, rate, Plan(hold=3.0))
            stage.phones.wait(lambda: False, float(seconds))  # As long as it will be away.
            stopped = now()
            server.stop()
            stage.phones.wait(lambda: False, float(seconds))
            status = (stage.nodes[0].status() or {}).get("storage") or {}
            report.claim("status says that it is away", status.get("failing") is True, status)
            server.start()
            started = now()
            stage.phones.wait(lambda: False, 4.0)
            load.stop()
            load.drain(20)
            calls = list(load.calls())
            answered = [c for c in calls if c.answered_at]
            during = [c for c in answered if stopped <= c.started_at < started]
            report.claim("every call was answered", len(answered) == len(calls), f"{len(answered)} of {len(calls)}")
            callees = stage.phones.callees()
            between = {c: held_between(c, callees[c.call_id]) for c in answered}
            delays = sorted(between[c] for c in during)
            before = sorted(between[c] for c in answered if c.started_at < stopped)
            report.figure(
                "seconds of a call between the phones, median and most, before and while it was away",
                f"{middle(before):.4f} {before[-1]:.3f}, {middle(delays):.4f} {delays[-1]:.3f}",
            )
            seen = sorted(c.answered_at - c.started_at for c in during)
            report.figure("seconds to the answer, as the phones saw it", f"{middle(seen):.3f} {seen[-1]:.3f}")
            report.figure("phones' own lateness", f"{stage.phones.loop.latest * 1000:.0f} ms")
            late_turns = {n.name: int(metrics(n)["understudy_late_loops_total"]) for n in stage.nodes}
            report.figure("turns of the nodes that came much too late", late_turns)
            late = [c for c in during if between[c] > 0.5]
            report.figure(
                "seconds after it went at which calls waited longest",
                [f"{c.started_at - stopped:.1f}: {between[c]:.2f}" for c in late[:8]],
            )
            report.claim("none was late while it was away", delays[-1] <= max(0.5, before[-1] + 0.1), f"{len(late)} above 0.5 s")
            stage.explain(late)
            more = stage.establish(20, 50, stage.front, Plan(hold=None))

            def caught_up():
                return all(((n.status() or {}).get("storage") or {}).get("lag_records") == 0 for n in stage.nodes)

            report.claim("it catches up by itself", stage.phones.wait(caught_up, 20))
            live = {int(d["did"], 16) for d in stage.nodes[1].dialogs()}
            sql = "SELECT did FROM understudy_record WHERE held_back = 0"
            rows = {int(row[0]) for row in server.rows(sql)}
            report.claim(
                "every live dialog has its row", len(live) == len(more) and live <= rows, f"{len(live)}, {len(rows)} rows"
            )
            # What is left of calls that are over goes with their tombstones.
            stage.phones.wait(lambda: len(server.rows(sql)) == len(live), 100, 1.0)
            rows = {int(row[0]) for row in server.rows(sql)}
            report.claim("and nothing else has one", rows == live, len(rows))
