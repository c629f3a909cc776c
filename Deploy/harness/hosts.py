"""Debian hosts to install a package on: each a root of its own, its own init, and its own network.

    base    a minimal Debian 12 by debootstrap, made once and kept; nobody writes to it afterwards
      └─ host n1, n2, …   base below a layer of its own (overlayfs), booted by systemd-nspawn in the network namespace of
                          namespaces.Network: systemd is process 1 there, as on a real host

A command is run in a host as root's shell would. Its network is the host's, or, to install with apt, that of this
machine. Needs root, debootstrap and systemd-nspawn; where one is missing the case is skipped and says so. What is
started here is ended by its pid, what is mounted is unmounted.
"""

import os
import shutil
import subprocess
import tempfile
import time

from cluster import Failure, note
from loop import now
from peerstage import Absent

RELEASE = "bookworm"
BASE = os.path.join("/var/tmp", f"understudy-debian-{RELEASE}")
BASE_PACKAGES = "systemd-sysv,dbus"


def need(*programs):
    """Skips the case where the ground for it is missing."""
    if os.geteuid() != 0:
        raise Absent("roots and namespaces need root")
    missing = [name for name in programs if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin") is None]
    if missing:
        raise Absent(f"{', '.join(missing)} not installed")


def mirror():
    """Where this machine's apt finds Debian."""
    asked = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", f"Codename: {RELEASE}"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    lines = [line for line in asked.stdout.split() if line.startswith("http")]
    return lines[0] if lines else "http://deb.debian.org/debian"


def base():
    """The minimal Debian that all hosts stand on; made when it is not there, by a name that shows it is whole."""
    need("debootstrap")
    if os.path.isdir(BASE) and os.stat(BASE).st_uid == 0:
        return BASE
    began, making = now(), tempfile.mkdtemp(prefix="understudy-debian-", dir=os.path.dirname(BASE))
    os.chmod(making, 0o755)
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", RELEASE, making, mirror()],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if made.returncode != 0:
        shutil.rmtree(making, ignore_errors=True)
        raise Absent(f"debootstrap cannot make a root here: {made.stdout.strip()[-200:]}")
    os.rename(making, BASE)
    note(f"  made {BASE} in {now() - began:.0f} s")
    return BASE


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


class Layer:
    """A root that can be written to, above the base; what was written is gone at its end."""

    def __init__(self, name):
        self.folder = tempfile.mkdtemp(prefix=f"understudy-{name}-", dir="/var/tmp")
        self.root = os.path.join(self.folder, "root")
        self.mounted = []

    def __enter__(self):
        lower = base()
        for part in ("upper", "work", "root"):
            os.mkdir(os.path.join(self.folder, part))
        options = f"lowerdir={lower},upperdir={self.folder}/upper,workdir={self.folder}/work"
        self.mount("-t", "overlay", "overlay", "-o", options, self.root)
        return self

    def mount(self, *arguments):
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True, timeout=20, check=False)
        if done.returncode != 0:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise Absent(f"mount {' '.join(arguments)}: {done.stderr.strip()}")
        self.mounted.append(arguments[-1])

    def __exit__(self, *_):
        for place in reversed(self.mounted):
            subprocess.run(["umount", "--lazy", place], capture_output=True, timeout=20, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def files(self):
        """Every path in the root, but for what the kernel, the init and the package tools keep for themselves."""
        theirs = ("proc", "sys", "dev", "run", "tmp", "var/log", "var/cache", "var/lib/apt", "var/lib/dpkg", "var/tmp")
        found = set()
        for folder, folders, names in os.walk(self.root):
            inner = os.path.relpath(folder, self.root)
            folders[:] = [n for n in folders if os.path.normpath(os.path.join(inner, n)) not in theirs]
            found.update(os.path.normpath(os.path.join(inner, name)) for name in [*folders, *names])
        return found


class Host(Layer):
    """A host that has been booted, in a network namespace."""

    def __init__(self, name, namespace):
        super().__init__(name)
        self.name, self.namespace, self.process, self.leader = name, namespace, None, None

    def __enter__(self):
        need("systemd-nspawn", "nsenter", "ip")
        super().__enter__()
        try:
            self.boot()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def boot(self):
        command = ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--resolv-conf=off"]
        command += ["--console=read-only", f"--hostname={self.name}", f"--machine=understudy-{os.getpid()}-{self.name}"]
        command += [f"--network-namespace-path=/run/netns/{self.namespace}", "-D", self.root]
        self.console = os.path.join(self.folder, "console")
        with open(self.console, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        end = now() + 60
        while now() < end and self.process.poll() is None:
            self.leader = self.find_leader()
            if self.leader is not None and self.run("systemctl is-system-running")[1].strip() in ("running", "degraded"):
                return
            time.sleep(0.2)
        with open(self.console, errors="replace") as log:
            raise Absent(f"systemd-nspawn does not boot here: {log.read().strip()[-300:]}")

    def find_leader(self):
        """The pid, as seen here, of the process that is 1 there."""
        waiting = children(self.process.pid)
        while waiting:
            pid = waiting.pop()
            try:
                with open(f"/proc/{pid}/status") as status:
                    numbers = next(line for line in status if line.startswith("NSpid:")).split()[1:]
            except (OSError, StopIteration):
                continue
            if len(numbers) > 1 and numbers[-1] == "1":
                return pid
            waiting += children(pid)
        return None

    def run(self, line, outside=False, timeout=240):
        """A line of a root shell there; answers its exit code and what it said.

        `outside`: with this machine's network, to install packages.
        """
        command = ["nsenter", f"--target={self.leader}", "--mount", "--uts", "--ipc", "--pid"]
        command += [] if outside else ["--net"]
        command += ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]
        command += ["DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", "bash", "-c", f"cd /root && {line}"]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def must(self, line, outside=False, timeout=240):
        code, text = self.run(line, outside, timeout)
        if code != 0:
            raise Failure(f"{self.name}: {line}: exit {code}: {text.strip()[-400:]}")
        return text

    def until(self, line, wanted, seconds=30):
        """Runs it until what it says has `wanted` in it; answers whether, and what it said last."""
        end = now() + seconds
        while True:
            text = self.run(line)[1]
            if wanted in text or now() > end:
                return wanted in text, text.strip()[-300:]
            time.sleep(0.2)

    def write(self, path, text, mode=0o644):
        whole = os.path.join(self.root, path.lstrip("/"))
        with open(os.open(whole, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode), "w") as file:
            file.write(text)

    def read(self, path):
        with open(os.path.join(self.root, path.lstrip("/"))) as file:
            return file.read()

    def put(self, path, folder):
        """Copies a file of ours into a folder there."""
        shutil.copy(path, os.path.join(self.root, folder.lstrip("/")))

    def __exit__(self, *_):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()  # systemd-nspawn has the init there power off.
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        super().__exit__()
