"""A PostgreSQL server of a case's own: Debian's programs, a folder of its own, a socket in it, no port, not root."""

import glob
import os
import shutil
import subprocess
import tempfile

from cluster import Failure
from loop import now
from peerstage import Absent


class Postgres:
    """In a `with`; `stop` and `start` in between are an operator's."""

    def __init__(self):
        places = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda p: int(p.split("/")[4]))
        if not places:
            raise Absent("PostgreSQL is not installed: apt-get install postgresql")
        self.programs = os.path.dirname(places[-1])
        self.folder = tempfile.mkdtemp(prefix="understudy-postgres-", dir="/tmp")
        self.process = None

    def __enter__(self):
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody")
        made = self.command("initdb", "-D", f"{self.folder}/data", "-U", "understudy", "-A", "trust", "--no-sync")
        if made.returncode != 0:
            raise Failure(f"initdb: {made.stderr.strip()[-200:]}")
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self):
        return f"postgres:///postgres?host={self.folder}&user=understudy"

    def line(self, program, *arguments):
        """In the place of the process that is started, so that its pid is the program's."""
        other = ["setpriv", "--reuid=nobody", "--clear-groups"] if os.geteuid() == 0 else []
        return [*other, f"{self.programs}/{program}", *arguments]

    def command(self, program, *arguments):
        return subprocess.run(self.line(program, *arguments), cwd=self.folder, capture_output=True, text=True, timeout=60)

    def start(self):
        options = ["-D", f"{self.folder}/data", "-k", self.folder, "-c", "listen_addresses="]
        self.process = subprocess.Popen(
            self.line("postgres", *options),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        end = now() + 20
        while self.command("pg_isready", "-q", "-h", self.folder).returncode != 0:
            if now() > end or self.process.poll() is not None:
                raise Failure("PostgreSQL did not start")

    def stop(self):
        """At once, without waiting for its clients."""
        if self.process is not None:
            self.process.send_signal(2)
            self.process.wait(20)
            self.process = None

    def rows(self, sql):
        """The rows of a query, as lists of texts."""
        result = self.command("psql", "-h", self.folder, "-U", "understudy", "-AtF", "\t", "-c", sql, "postgres")
        if result.returncode != 0:
            raise Failure(f"psql: {result.stderr.strip()[-200:]}")
        return [line.split("\t") for line in result.stdout.splitlines()]
