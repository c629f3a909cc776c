"""Acceptance: the unit; and the Debian package, from `Deploy/package` to its removal, on three booted Debian hosts.

namespace HUB (bridge br0): balancer 192.0.2.10 (Kamailio), caller .22, callee .30 as the shipped configuration has it
   ├── veth ── host n1 192.0.2.11: a root of its own, systemd, the package
   ├── veth ── host n2 192.0.2.12
   └── veth ── host n3 192.0.2.13

What is typed on the hosts are the commands of the article Installing, read from it.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections import Counter

import article
import cluster as clusters
from cluster import Cluster, Failure, ROOT, find_binary
from hosts import Host, need
from loop import now
from namespaces import Network
from party import Plan
from phones import Phones

NET = "192.0.2"
# What others leave behind: adduser's backups, the certificates that ca-certificates links, and the folders that Foundation
# makes in the home of whoever runs a command.
OTHERS = ("etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/ca-certificates", "etc/ssl")
OTHERS += ("usr/local/share/ca-certificates", "root/.cache", "root/.local")
CONFIGURATION = "/etc/understudy/understudy.yaml"


def sections(name):
    """The lines to type under each heading of an article."""
    found, heading = {}, ""
    for block in article.read(name):
        if block[0] == "heading":
            heading = block[2]
        elif block[0] == "code" and block[1] == "shell":
            found.setdefault(heading, []).extend(block[2])
    return found


def build(report, folder):
    """Runs Deploy/package on the built program; answers the package's path."""
    began = now()
    built = subprocess.run(
        [os.path.join(ROOT, "Deploy", "package"), "--binary", find_binary(), "--output", folder],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if built.returncode != 0:
        raise Failure(f"Deploy/package: {built.stderr.strip()[-400:]}")
    path = built.stdout.strip()
    report.figure("Deploy/package", f"{os.path.basename(path)}, {os.path.getsize(path) >> 20} MiB, {now() - began:.0f} s")
    return path


def inspect(report, path):
    """What Debian's own tools say of the package."""
    if shutil.which("lintian"):
        command = ["lintian", "--fail-on", "error,warning", "--allow-root", path]
        said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        report.claim("lintian has no error and no warning", said.returncode == 0, said.stdout.strip()[-400:])
    else:
        report.figure("lintian", "not installed, not asked")


class HostedNode(clusters.Node):
    """A node that its host's systemd runs."""

    host_machine = None

    @property
    def is_alive(self):
        return self.host_machine is not None

    def kill(self):
        """As the article says; systemd starts it again."""
        moment = now()
        for line in sections("Installing")["Kill one"]:
            self.host_machine.must(line)
        self.drop_connection()
        return moment


class HostedCluster(Cluster):
    """Nodes on hosts. The addresses are those of the shipped configuration."""

    def __init__(self, folder, network, hosts):
        super().__init__(folder, len(hosts), NET, namespace=network.prefix)
        self.nodes = [HostedNode(self, number) for number in range(1, len(hosts) + 1)]
        for node, host in zip(self.nodes, hosts):
            node.host_machine = host


def configure(hosts, typed):
    """config init on the first host; then each host gets its own file and the key."""
    type_in(hosts[0], typed["The configuration"][:-1])
    for host in hosts[1:]:
        host.write(CONFIGURATION, hosts[0].read(f"/root/cluster/{host.name}.yaml"))
        host.write("/etc/understudy/cluster.key", hosts[0].read("/root/cluster/cluster.key"), 0o600)


def type_in(host, lines, outside=False):
    return "".join(host.must(line, outside) for line in lines)


def manage(report, host):
    """What systemd is told, and does."""
    shown = dict(
        line.split("=", 1)
        for line in host.must("systemctl show -p Type,StatusText,MainPID,NRestarts understudy").splitlines()
    )
    good = shown["Type"] == "notify" and shown["StatusText"].endswith("takes new calls")
    report.claim("systemd knows that the node is ready", good, shown)
    mode = host.must("stat -c '%a %U' /etc/understudy/cluster.key").strip()
    report.claim("with a key that only root may read", mode == "600 root", mode)
    host.must("systemctl reload understudy")
    good, said = host.until("journalctl --no-pager -u understudy", "configuration read again", 10)
    state = host.run("systemctl is-active understudy")[1].strip()
    report.claim("a reload reads the configuration again", good and state == "active", state)
    moment = now()
    host.must(f"kill -STOP {shown['MainPID']}")
    good, said = host.until("journalctl --no-pager -u understudy", "Watchdog timeout", 30)
    report.claim("a node that hangs is noticed", good, f"{now() - moment:.1f} s")
    good, said = host.until("systemctl show -p NRestarts understudy", "NRestarts=1", 20)
    ready, said = host.until("systemctl show -p StatusText understudy", "takes new calls", 20)
    report.claim("and started again", good and ready, f"{now() - moment:.1f} s; {said}")


def install(report, hosts, path):
    """The first four sections of the article, on every host."""
    typed = sections("Installing")
    began = now()
    for host in hosts:
        host.put(path, "/root")
        archives = os.path.join(hosts[0].root, "var/cache/apt/archives")
        for package in os.listdir(archives) if host is not hosts[0] else []:
            if package.endswith(".deb"):
                host.put(os.path.join(archives, package), "/var/cache/apt/archives")
        said = type_in(host, typed["The package"], outside=True)
    report.claim("the package goes in on a clean Debian 12", "understudy 0." in said, f"{now() - began:.0f} s for three hosts")
    code, text = hosts[0].run("systemctl is-active understudy")
    report.claim("and nothing is started by that", text.strip() == "inactive", text.strip())
    code, text = hosts[0].run(". /usr/share/bash-completion/completions/understudy && complete -p understudy")
    report.claim("bash completes its commands", code == 0, text.strip()[-200:])
    configure(hosts, typed)
    for host in hosts:
        said = type_in(host, typed["The configuration"][-1:])
    report.claim("the configuration is good", ": good, node n3" in said, said.strip())
    for host in hosts:
        # Side by side: the first ones are ready only when they have heard the others.
        host.must(typed["Start"][0].replace("--now", "--now --no-block"))
    for host in hosts:
        good, said = host.until("understudy status", ", up, ready", 40)
        # The node tells its service manager at the same moment, and that takes note of it when it comes to it.
        active, state = host.until("systemctl show -p ActiveState understudy", "ActiveState=active", 20)
        report.claim(f"{host.name} serves", good and active, "" if good and active else f"{said} {state}")
    said = type_in(hosts[0], typed["Start"][1:])
    told = "node ready" in said and "Active: active (running)" in said
    report.claim("status and journal tell of it", told, "" if told else said[-300:])
    equal = said.strip().splitlines()[-1]
    report.claim("and check says that all are equal", equal == "equal: 0 dialogs on n1, n2, n3", equal)
    owner = hosts[0].must("stat -c %U /proc/$(systemctl show -P MainPID understudy)").split()
    report.claim("it runs as understudy, not as root", set(owner) == {"understudy"}, owner)


def calls(report, folder, network, hosts, count):
    """Calls through Kamailio; the busiest node is killed; every call goes on."""
    with HostedCluster(folder, network, hosts) as cluster:
        cluster.wait_view([node.name for node in cluster.nodes], 20)
        cluster.start_balancer()
        phones = Phones((f"{NET}.22", 5080), (f"{NET}.30", 5060), network.hub)
        try:
            phones.place(count, 20, cluster.balancer, Plan(hold=None), "sip:bob@example.org")
            confirmed = phones.wait(lambda: sum(1 for c in list(phones.calls) if c.acked_at) == count, count / 20 + 15)
            report.claim("calls come through", confirmed, phones.summary()["states"])
            cluster.wait_held(count, 5)
            victim = cluster.busiest()
            moment = victim.kill()
            phones.wait(lambda: False, 0.5)
            for call in list(phones.calls):
                phones.do(call.send_request, "INVITE")
            phones.wait(lambda: all(c.requests and c.requests[-1]["done_at"] for c in list(phones.calls)), 12)
            codes = Counter(c.requests[-1]["code"] for c in phones.calls if c.requests)
            report.claim(f"{victim.name} is killed, every call's re-INVITE is served", codes == {200: count}, dict(codes))
            good, said = victim.host_machine.until("understudy status", ", up, ready", 20)
            report.claim("systemd starts it again, and it joins", good, f"{now() - moment:.1f} s" if good else said)
            good, held = cluster.wait_held(count, 10)
            report.claim("and it knows every call", good, held)
            good, said = hosts[0].until("understudy check", f"equal: {count} dialogs on n1, n2, n3", 10)
            report.claim("check says so, too", good, said)
            call_id = phones.calls[0].call_id
            code, said = hosts[0].run(sections("Installing")["Look at a call"][0].replace("CALL-ID", call_id))
            report.claim("a trace shows a call over all nodes", code == 0 and "INVITE" in said and "200" in said, "" if code == 0 else said)
            for call in list(phones.calls):
                phones.do(call.hang_up)
            phones.wait(lambda: all(c.requests[-1]["done_at"] for c in list(phones.calls)), 12)
            codes = Counter(c.requests[-1]["code"] for c in phones.calls)
            report.claim("every BYE is answered 200", codes == {200: count}, dict(codes))
        finally:
            phones.close()


def take_away(report, host, before):
    """remove, then purge: nothing of it is left."""
    remove, purge = sections("Installing")["Take it away"]
    host.must(remove, outside=True)
    gone = host.run("command -v understudy; systemctl is-active understudy")[1].strip()
    report.claim("removed, it no longer runs, and its key is kept", gone == "inactive" and bool(host.read("/etc/understudy/cluster.key")), gone)
    host.must(purge, outside=True)
    host.must("rm -r understudy_*.deb cluster")
    left = sorted(host.files() - before)  # Less what belongs to packages that came with it and stayed.
    owned = set(host.must("cat /var/lib/dpkg/info/*.list").splitlines())
    left = [path for path in left if not path.startswith(OTHERS) and "/" + path not in owned]
    report.claim("purged, nothing is left", not left, left[:10])
    report.claim("nor its user", "understudy" not in host.read("/etc/passwd") + host.read("/etc/group"))


class StandInManager:
    """A service manager that only listens: an abstract socket."""

    def __init__(self):
        self.name = f"@understudy-manager-{os.getpid()}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.name[1:])
        self.told = []

    def wait(self, wanted, seconds):
        """Until a message contains it; answers whether, and how long it took."""
        start = now()
        while now() < start + seconds:
            self.socket.settimeout(max(0.01, start + seconds - now()))
            try:
                message = self.socket.recv(4096).decode()
            except TimeoutError:
                return False, seconds
            self.told.append((now(), message))
            if wanted in message:
                return True, now() - start
        return False, seconds

    def count(self, wanted, seconds):
        start = now()
        self.wait("there is no such message", seconds)
        return sum(1 for when, message in self.told if when > start and wanted in message)


def unit(report, quick):
    """The systemd unit: what it exposes, and what a node tells its service manager."""
    path = os.path.join(ROOT, "Deploy", "understudy.service")
    if shutil.which("systemd-analyze"):
        command = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", path]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        report.claim("systemd-analyze security: 2 or below", said.returncode == 0, said.stdout.strip().splitlines()[-1:])
    else:
        report.figure("systemd-analyze", "not installed, not asked")
    with open(path) as file:
        text = file.read()
    made = [f"/run/{name}/" for name in re.findall(r"(?m)^RuntimeDirectory=(\S+)", text)]
    made += [f"/var/lib/{name}/" for name in re.findall(r"(?m)^StateDirectory=(\S+)", text)]
    with open(os.path.join(ROOT, "Deploy", "understudy.yaml")) as file:
        named = set(re.findall(r"(?:/run|/var)/[\w./-]+", file.read()))
    lost = sorted(path for path in named if not any(f"{path}/".startswith(folder) for folder in made))
    report.claim("it makes the folders that the shipped configuration names", named and not lost, lost or sorted(named))
    drain = int(re.search(r"--drain-timeout (\d+)", text)[1])
    stop = int(re.search(r"(?m)^TimeoutStopSec=(\d+)", text)[1])
    report.claim("it waits longer than a phone may ring, and systemd longer than it", 181 < drain < stop, f"{drain} s, {stop} s")
    folder, manager = tempfile.mkdtemp(prefix="understudy-unit-"), StandInManager()
    saved = dict(os.environ)
    os.environ.update(NOTIFY_SOCKET=manager.name, WATCHDOG_USEC="1000000")
    try:
        with Cluster(folder, 2, advertise=[]) as cluster:
            node, other = cluster.nodes
            node.start(wait=False)
            good, took = manager.wait("STATUS=n1 of acceptance: joining: waits for", 10)
            report.claim("a node that waits says for whom", good and "127.0.77.12:7400" in manager.told[-1][1])
            ready = any(message == "READY=1" for _, message in manager.told)
            report.claim("and is not ready", not ready, manager.told[-1][1])
            for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC"):
                del os.environ[name]
            other.start()
            good, took = manager.wait("READY=1", 10)
            report.claim("it is ready when it takes new calls", good and node.status()["ready"])
            good, took = manager.wait("STATUS=n1 of acceptance: takes new calls", 5)
            beats = manager.count("WATCHDOG=1", 4)
            report.claim("the SIP thread is heard twice within the watchdog's second", 6 <= beats <= 10, f"{beats} in 4 s")
            os.kill(node.process.pid, signal.SIGHUP)
            good = manager.wait("RELOADING=1\nMONOTONIC_USEC=", 5)[0] and manager.wait("READY=1", 5)[0]
            report.claim("a reload begins and ends", good, manager.told[-1][1])
            os.kill(node.process.pid, signal.SIGSTOP)
            manager.count("WATCHDOG=1", 0.2)
            beats = manager.count("WATCHDOG=1", 2)
            os.kill(node.process.pid, signal.SIGCONT)
            report.claim("a node that is stopped is not heard", beats == 0, beats)
            os.kill(node.process.pid, signal.SIGTERM)
            good, took = manager.wait("STOPPING=1", 5)
            report.claim("a drain is told", good)
            node.wait_stopped(20)
    finally:
        os.environ.clear()
        os.environ.update(saved)
        shutil.rmtree(folder, ignore_errors=True)


def package(report, quick):
    """The Debian package on three booted hosts: installed as the article says, calls, a kill, removed without a trace."""
    need("systemd-nspawn", "debootstrap", "kamailio", "dpkg-deb", "patchelf")
    folder = tempfile.mkdtemp(prefix="understudy-package-")
    try:
        path = build(report, folder)
        inspect(report, path)
        with Network(NET, hub_hosts=(10, 22, 30)) as network:
            names = network.names
            with Host("n1", names[0]) as one, Host("n2", names[1]) as two, Host("n3", names[2]) as three:
                hosts = [one, two, three]
                before = one.files()
                install(report, hosts, path)
                manage(report, two)
                calls(report, folder, network, hosts, 20 if quick else 100)
                take_away(report, one, before)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
