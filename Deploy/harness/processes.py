"""Processes that we started: each is noted in a pid file with its start time, and is ended by that pid only; and Kamailio,
which several cases start."""

import os
import shutil
import signal
import subprocess
import time

from loop import now


class Failure(Exception):
    """Something that a case or the demo cannot go on without; the text is for the reader of the report."""


class Processes:
    """Pid files in one folder. A pid that was given to another program since is left alone."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)

    @staticmethod
    def started(pid):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] == "Z" else fields[19]

    def note(self, name, pid):
        with open(os.path.join(self.folder, name + ".pid"), "w") as file:
            file.write(f"{pid} {self.started(pid)}\n")

    def forget(self, name):
        try:
            os.unlink(os.path.join(self.folder, name + ".pid"))
        except FileNotFoundError:
            pass

    def stop_all(self, patience=5.0):
        """SIGTERM to everything noted, SIGKILL to what is left after `patience` seconds. Answers the names stopped."""
        living = {}
        for file in sorted(os.listdir(self.folder)):
            if not file.endswith(".pid"):
                continue
            with open(os.path.join(self.folder, file)) as text:
                pid, _, started = text.read().strip().partition(" ")
            if pid and self.started(int(pid)) == started and started != "None":
                living[file[:-4]] = (int(pid), started)
            self.forget(file[:-4])
        for pid, _ in living.values():
            self.signal(pid, signal.SIGTERM)
        end = now() + patience
        while now() < end and any(self.started(pid) == started for pid, started in living.values()):
            time.sleep(0.05)
        for pid, _ in living.values():
            # Each was started as the leader of a group of its own: what it left behind goes with it.
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return list(living)

    @staticmethod
    def signal(pid, number):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def wait_end(process, seconds, what, log):
    """Waits for the end of a process that was told to end; answers its exit code. One that does not is a Failure with
    the end of its log, which says what it waits for."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise Failure(f"{what} goes on {seconds} s after it was told to end: {tail(log, 8)}") from None


def tail(path, lines=3):
    """The last lines of a log, in one."""
    with open(path, errors="replace") as file:
        return " | ".join(file.read().strip().splitlines()[-lines:])


def start_kamailio(processes, name, folder, file, memory=64, options=(), namespace=None, is_up=None):
    """Debian's Kamailio in the foreground, on a configuration, with what it keeps in `folder` and its log in folder/log.
    Answers the process when `is_up()` holds, or, without that, after a second. `memory` is megabytes for what its
    processes share."""
    program = shutil.which("kamailio") or "/usr/sbin/kamailio"
    if not os.access(program, os.X_OK):
        raise Failure("kamailio is not installed: apt-get install kamailio")
    os.makedirs(folder, exist_ok=True)
    command = [program, "-DD", "-E", "-f", file, "-m", str(memory), "-M", "8", "-Y", folder, "-w", folder]
    command += ["-P", os.path.join(folder, "pid"), *options]
    if namespace:
        command = ["ip", "netns", "exec", namespace] + command
    path = os.path.join(folder, "log")
    with open(path, "ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    processes.note(name, process.pid)
    end = now() + (10 if is_up else 1)
    while now() < end and process.poll() is None and not (is_up and is_up()):
        time.sleep(0.1)
    if process.poll() is not None or now() >= end and is_up:
        raise Failure(f"kamailio did not start: {tail(path, 8)[-600:]}")
    return process


def version(program):
    """The first line of what `PROGRAM -v` says: which one it was that a case has tried."""
    result = subprocess.run([program, "-v"], capture_output=True, text=True, check=False)
    return (result.stdout + result.stderr).strip().splitlines()[0]
