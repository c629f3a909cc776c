"""Starts, asks, kills and stops nodes and the balancer in front of them: the shared ground of the demo and the
acceptance.

Every process is one that we started, is noted in a pid file with its start time, and is ended by that pid only. Nodes
live on one /24 of loopback: .10 is the balancer, .11 and on are the nodes, .21 the callee, .22 the caller. In network
namespaces each node has a namespace of its own on one bridge.
"""

import http.client
import json
import os
import signal
import subprocess
import time

from loop import inside, now
from processes import Failure, Processes, start_kamailio, tail, wait_end

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BALANCER_CONFIGURATION = os.path.join(ROOT, "Deploy", "balancer", "kamailio.cfg")


def find_binary(name="understudy"):
    """The built program: ACCEPTANCE_BINARY, else the release build, else the debug build."""
    given = os.environ.get("ACCEPTANCE_BINARY")
    places = [given] if given and name == "understudy" else []
    places += [os.path.join(ROOT, ".build", kind, name) for kind in ("release", "debug")]
    for place in places:
        if place and os.access(place, os.X_OK):
            return place
    raise Failure(f"{name} is not built: run swift build -c release, or set ACCEPTANCE_BINARY")


class Node:
    """One node: its addresses, its process, its management."""

    def __init__(self, cluster, number):
        self.cluster, self.number = cluster, number
        self.name = f"n{number}"
        self.host = cluster.host(10 + number)
        self.bus_host = cluster.host(100 + number) if cluster.service_addresses else self.host
        self.namespace = f"{cluster.namespace}-{self.name}" if cluster.namespace else None
        self.sip = (self.host, 5060)
        # In a namespace of its own a node has a loopback of its own, where management needs no token.
        self.management = ("127.0.0.1" if self.namespace else self.bus_host, 8080)
        self.url = f"http://{self.management[0]}:8080"
        self.log = os.path.join(cluster.folder, self.name + ".log")
        self.process = None
        self.connection = None
        self.binary = None  # a program of its own; else the cluster's
        self.bus_peers = None  # where it finds its peers' buses; else where they are
        self.own_key = None  # a key file of its own; else all have one together

    def listeners(self):
        """UDP; with certificates also TCP on the same port, TLS on the next, WebSocket on 8088, with TLS on 8089."""
        host = self.bus_host
        if not self.cluster.certificates:
            return [f"udp://{host}:5060"]
        streams = [f"tcp://{host}:5060", f"tls://{host}:5061", f"ws://{host}:8088", f"wss://{host}:8089"]
        return [f"udp://{host}:5060"] + streams

    def configuration(self):
        c = self.cluster
        peers = self.bus_peers or [f"tcp://{n.bus_host}:7400" for n in c.nodes if n is not self]
        lines = [
            f"node: {{name: {self.name}}}",
            "sip:",
            f"  listen: [{', '.join(self.listeners())}]",
        ]
        if c.advertise:
            lines += [f"  advertise: [{', '.join(c.advertise)}]", f"  balancer: [{c.balancer[0]}]"]
        if c.certificates:
            lines += ["  tls:"] + ["    " + line for line in c.certificates.lines()]
        lines += c.sip_lines
        if c.service_addresses:
            lines.append(f"  service-address: {self.host}:5060")
        lines += [
            "cluster:",
            f"  name: {c.name}",
            f"  bus: tcp://{self.bus_host}:7400",
            f"  peers: [{', '.join(peers)}]",
        ]
        lines.append(f"  key-file: {self.own_key or c.key_file()}")
        lines += c.cluster_lines
        lines += [
            f"ims_dialog: {{default_timeout: {c.lifetime}{', ' * bool(c.dialog_keys)}{c.dialog_keys}}}",
            f"management: {{http: {self.management[0]}:8080{c.management_extra}}}",
        ]
        lines += [line.replace("@NODE@", self.name) for line in c.extra_lines]
        return "\n".join(lines) + "\n"

    def start(self, wait=True):
        path = os.path.join(self.cluster.folder, self.name + ".yaml")
        with open(path, "w") as file:
            file.write(self.configuration())
        self.log_from = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        command = [self.binary or self.cluster.binary, "serve", "--config", path, *self.cluster.serve_options]
        if self.namespace:
            command = ["ip", "netns", "exec", self.namespace] + command
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.cluster.folder,
            )
        self.started_at = now()
        self.cluster.processes.note(self.name, self.process.pid)
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds=20):
        """Until the log says `node ready` and the status says `up`."""
        end = now() + seconds
        while now() < end:
            if self.process.poll() is not None:
                raise Failure(f"{self.name} ended with {self.process.returncode}: {self.log_tail()}")
            if self.has_logged("node ready") and (self.status() or {}).get("state") == "up":
                return now() - self.started_at
            time.sleep(0.02)
        raise Failure(f"{self.name} was not ready within {seconds} s: {self.log_tail()}")

    def has_logged(self, text):
        with open(self.log, "rb") as file:
            file.seek(self.log_from)
            return text.encode() in file.read()

    def log_tail(self, lines=3):
        return tail(self.log, lines)

    @property
    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """SIGKILL; answers the moment just before it."""
        moment = now()
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.cluster.processes.forget(self.name)
        self.drop_connection()
        return moment

    def stop(self, seconds=40, number=signal.SIGTERM):
        """SIGTERM, and its end; answers the exit code. By the defaults a drain takes 5 s, and what it then stores 10."""
        self.process.send_signal(number)
        return self.wait_stopped(seconds)

    def wait_stopped(self, seconds=40):
        """The end of a node that was told to end; answers its exit code."""
        code = wait_end(self.process, seconds, self.name, self.log)
        self.cluster.processes.forget(self.name)
        self.drop_connection()
        return code

    # -- Management

    def drop_connection(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def rpc(self, method, *parameters, timeout=10):
        """A management method's result; None when the node does not answer; Failure when it answers an error."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)})
        for attempt in (1, 2):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection(*self.management, timeout=timeout)
                    with inside(self.namespace):
                        self.connection.connect()
                self.connection.request("POST", "/rpc", body, {"Content-Type": "application/json"})
                answer = json.loads(self.connection.getresponse().read())
            except (OSError, http.client.HTTPException, ValueError):
                self.drop_connection()
                if attempt == 2 or not self.is_alive:
                    return None
                continue
            if "error" in answer:
                raise Failure(f"{method} on {self.name}: {answer['error'].get('message', answer['error'])}")
            return answer.get("result")
        return None

    def status(self):
        """`understudy status --json` of this node, asked over HTTP; None while it does not answer."""
        try:
            return self.rpc("cluster.status", timeout=2)
        except Failure:
            return None

    def dialogs(self, *options):
        """`understudy dialogs list --json` of this node: a list of dialogs."""
        code, text = self.cluster.command(
            "dialogs", "list", "--json", "--node", self.url, *options, namespace=self.namespace
        )
        if code != 0:
            raise Failure(f"dialogs list on {self.name} ended with {code}: {text.strip()[:200]}")
        return json.loads(text)


class Cluster:
    """Some nodes and, where asked for, Kamailio in front. Use it in a `with`: everything is stopped at its end."""

    def __init__(
        self,
        folder,
        nodes=3,
        net="127.0.77",
        lifetime=43200,
        name="acceptance",
        namespace=None,
        service_addresses=False,
        faults=True,
        extra_lines=(),
        cluster_lines=(),
        certificates=None,
        sip_lines=(),
        advertise=None,
    ):
        self.folder, self.net, self.lifetime, self.name = folder, net, lifetime, name
        self.namespace, self.service_addresses = namespace, service_addresses
        os.makedirs(folder, exist_ok=True)
        self.processes = Processes(os.path.join(folder, "pids"))
        self.binary = find_binary()
        self.management_extra = ", fault_injection: true" if faults else ""
        self.extra_lines, self.cluster_lines = list(extra_lines), ["  " + line for line in cluster_lines]
        self.balancer = (self.host(10), 5060)
        # The URIs of the balancer for Record-Route; an empty list: there is none, and each node names itself.
        self.advertise = [f"sip:{self.balancer[0]}:{self.balancer[1]}"] if advertise is None else advertise
        self.certificates, self.sip_lines = certificates, ["  " + line for line in sip_lines]
        self.serve_options = []
        self.dialog_keys = ""  # Of ims_dialog, beside its time: `profiles_no_value: [calls]`.
        self.balancer_file = None
        self.nodes = []
        self.nodes.extend(Node(self, number) for number in range(1, nodes + 1))
        self.balancer_process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def key_file(self):
        """Every cluster has a key, and a sealed bus: off loopback it must have one."""
        path = os.path.join(self.folder, "cluster.key")
        if not os.path.exists(path):
            with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
                file.write(os.urandom(32).hex() + "\n")
        return path

    def host(self, last):
        return f"{self.net}.{last}"

    def start(self):
        """All nodes; answers when every one is up and in everybody's view."""
        for node in self.nodes:
            node.start(wait=False)
        for node in self.nodes:
            node.wait_ready()
        self.wait_view([n.name for n in self.nodes])
        return self

    def start_balancer(self):
        """Kamailio on the balancer's address, one worker pair, by `balancer_file` where there is one; its log is
        kamailio/log."""
        listing = os.path.join(self.folder, "dispatcher.list")
        with open(listing, "w") as file:
            file.writelines(f"1 sip:{node.host}:5060\n" for node in self.nodes)
        address = f"udp:{self.balancer[0]}:{self.balancer[1]}"
        named = [] if self.balancer_file else ["-A", f"BALANCER={address}", "-A", f'NODES="{listing}"']
        self.balancer_process = start_kamailio(
            self.processes,
            "balancer",
            os.path.join(self.folder, "kamailio"),
            self.balancer_file or BALANCER_CONFIGURATION,
            memory=256,  # For its transactions: 64 are full at 300 calls a second, and then it answers 500 itself.
            options=named,
            namespace=f"{self.namespace}-hub" if self.namespace else None,
        )

    def stop(self):
        for node in self.nodes:
            node.drop_connection()
        self.processes.stop_all()
        for process in [n.process for n in self.nodes] + [self.balancer_process]:
            if process is not None:
                process.poll()

    def stop_nodes(self):
        """SIGTERM to every node, and their ends."""
        for node in self.nodes:
            node.process.send_signal(signal.SIGTERM)
        for node in self.nodes:
            node.wait_stopped()

    def alive(self):
        return [node for node in self.nodes if node.is_alive]

    def busiest(self):
        """The live node that acts for most dialogs."""

        def acting(node):
            return (node.status() or {}).get("dialogs", {}).get("acting", 0)

        return max(self.alive(), key=acting)

    def wait_view(self, names, seconds=15, nodes=None):
        """Until every live node's view is exactly `names`; answers the seconds it took."""
        start = now()
        wanted = sorted(names)
        while now() < start + seconds:
            views = [view_names(node.status()) for node in (nodes or self.alive())]
            if all(view == wanted for view in views):
                return now() - start
            time.sleep(0.01)
        raise Failure(f"the view was not {wanted} within {seconds} s: {views}")

    def wait_held(self, count, seconds=10, nodes=None):
        """Until every live node holds `count` live records; answers whether, and what they hold."""
        end = now() + seconds
        while True:
            held = {node.name: (node.status() or {}).get("dialogs", {}).get("held") for node in (nodes or self.alive())}
            if all(value == count for value in held.values()) or now() > end:
                return all(value == count for value in held.values()), held
            time.sleep(0.05)

    def command(self, *arguments, namespace=None, timeout=60):
        """Runs the command line; answers (exit code, standard output and error)."""
        command = [self.binary, *arguments]
        if namespace:
            command = ["ip", "netns", "exec", namespace] + command
        result = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        return result.returncode, result.stdout if result.returncode == 0 or result.stdout else result.stderr

    def check(self, *options):
        """`understudy check --json` over the live nodes, and them only; answers (exit code, parsed answer or {})."""
        nodes = [part for node in self.alive() for part in ("--node", node.url)]
        code, text = self.command("check", "--json", "--partial", *nodes, *options, namespace=self.alive()[0].namespace)
        try:
            return code, json.loads(text)
        except ValueError:
            return code, {"text": text.strip()[:300]}


def unblock_signals():
    """Whoever started us may have blocked SIGTERM, and everything that we start would inherit that and not end."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def view_names(status):
    """Sorted member names of a status answer's view; None without an answer."""
    if not status:
        return None
    return sorted(member["name"] if isinstance(member, dict) else str(member) for member in status.get("view", []))


def note(text):
    """A line of progress."""
    print(text, flush=True)


def require_root(what):
    if os.geteuid() != 0:
        raise Failure(f"{what} needs root (network namespaces)")
