"""Foreign telephones, each behind the same four verbs: `call`, `hold`, `hang_up`, and `saw`, which waits for what it
says.

How each one is configured follows its own documentation; nothing here is told to be kind to a proxy.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time

from cluster import Failure
from loop import now
from peerstage import Absent, require

HERE = os.path.dirname(os.path.abspath(__file__))


class Agent:
    """`events` are its words for ready, incoming, established, held and released, as patterns over its log."""

    events = {}
    holds = True

    def __init__(self, stage, name, host, port, transport, node=None):
        """`node` is anything with a `host`: what to use as an outbound proxy, or None."""
        self.stage, self.name, self.host, self.port, self.transport = stage, name, host, port, transport
        self.node = node
        self.process = None

    @property
    def uri(self):
        return f"sip:{self.name}@{self.host}:{self.port};transport={self.transport}"

    @property
    def proxy(self):
        """The outbound proxy, on the port of this transport."""
        port = 5061 if self.transport == "tls" else 5060
        return f"sip:{self.node.host}:{port};transport={self.transport};lr" if self.node else ""

    def count(self, event):
        return len(re.findall(self.events[event], self.stage.said(self.name), re.MULTILINE))

    def saw(self, event, times=1, seconds=6.0):
        """Waits until it has said `event` so many times."""
        end = now() + seconds
        while now() < end:
            if self.count(event) >= times:
                return True
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        return self.count(event) >= times

    def ready(self):
        if not self.saw("ready", 1, 10):
            raise Failure(f"{self.name} did not start: {self.stage.tail(self.name)}")
        return self

    def write(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def end(self):
        self.stage.end(self.name)


class Pjsua(Agent):
    """`options`: see agent_pjsua.py."""

    options = ()
    events = {
        "ready": r"^@ready",
        "incoming": r"^@incoming",
        "established": r"^@established",
        "held": r"^@held",
        "released": r"^@released",
        "released 200": r"^@released 200",
    }

    def start(self):
        if subprocess.run([sys.executable, "-c", "import pjsua2"], capture_output=True, check=False).returncode != 0:
            raise Absent("PJSUA2 is not installed: pip install pjsua2-python (a wheel for Python 3.11)")
        program = [sys.executable, os.path.join(HERE, "agent_pjsua.py"), self.transport, self.host, str(self.port)]
        self.process = self.stage.start(
            self.name, program + [self.proxy, self.stage.certificates.folder, *self.options], talk=True
        )
        return self.ready()

    def call(self, uri):
        self.write(f"call {uri}")

    def hold(self):
        self.write("hold")

    def hang_up(self):
        self.write("hangup")


class ListeningPjsua(Pjsua):
    """One that can be connected to at its Contact."""

    options = ("listening",)


class NetSIP(Pjsua):
    """A re-INVITE without a hold in it: Net::SIP renews its session description."""

    def start(self):
        require("perl", "perl")
        if subprocess.run(["perl", "-MNet::SIP", "-e", "1"], capture_output=True, check=False).returncode != 0:
            raise Absent("Net::SIP is not installed: apt-get install libnet-sip-perl")
        program = ["perl", os.path.join(HERE, "agent_netsip.pl"), "caller" if self.node else "callee"]
        program += [self.host, str(self.port)] + ([f"{self.node.host}:5060"] if self.node else [])
        self.process = self.stage.start(self.name, program, talk=True)
        return self.ready()

    @property
    def uri(self):
        return f"sip:{self.name}@{self.host}:{self.port}"


class Baresip(Agent):
    """Told through its ctrl_tcp module: netstrings of JSON."""

    events = {
        "ready": r"baresip is ready",
        "incoming": r"Incoming call from",
        "established": r"Call established",
        "held": r"^a=(sendonly|inactive)",
        "released": r"^SIP/2\.0 200 .*\r?\n(?:[^\r\n]+\r?\n)*?CSeq: \d+ BYE",
    }

    def start(self):
        program = require("baresip", "baresip-core")
        folder = self.stage.path(self.name)
        os.makedirs(folder, exist_ok=True)
        control = self.port + 1000
        own_port = self.port if self.transport != "tls" else self.port - 1  # It listens for TLS on the next one.
        modules = "/usr/lib/baresip/modules"
        lines = [
            f"sip_listen {self.host}:{own_port}",
            f"sip_certificate {self.stage.certificates.bundle}",
            f"sip_cafile {self.stage.certificates.authority}",
            "audio_player aubridge,x",
            "audio_source aubridge,x",
            f"module_path {modules}",
            "module g711.so",
            "module aubridge.so",
            "module_tmp account.so",
            "module_app menu.so",
            "module_app ctrl_tcp.so",
            f"ctrl_tcp_listen 127.0.0.1:{control}",
            f"net_interface {self.host}",
        ]
        with open(os.path.join(folder, "config"), "w") as file:
            file.write("\n".join(lines) + "\n")
        account = f"<sip:{self.name}@{self.host}:{self.port};transport={self.transport}>;regint=0"
        if self.node:
            account += f';outbound="{self.proxy}"'
        else:
            account += ";answermode=auto"
        with open(os.path.join(folder, "accounts"), "w") as file:
            file.write(account + "\n")
        self.control_port = control
        self.process = self.stage.start(self.name, [program, "-4", "-s", "-f", folder])
        return self.ready()

    def command(self, word, parameters=""):
        body = json.dumps({"command": word, "params": parameters, "token": "t"})
        with socket.create_connection(("127.0.0.1", self.control_port), 3) as connection:
            connection.sendall(f"{len(body)}:{body},".encode())
            connection.settimeout(1.0)
            try:
                connection.recv(4096)
            except TimeoutError:
                pass

    def call(self, uri):
        self.command("dial", uri)

    def hold(self):
        self.command("hold")

    def hang_up(self):
        self.command("hangup")


class Linphone(Agent):
    events = {
        "ready": r"linphonec>",
        "incoming": r"Receiving new incoming call|is contacting you",
        "established": r"Call \d+ with .* connected|Call answered|connected\.",
        "held": r"Call \d+ with .* (is now paused|paused)|has been paused|[Pp]aused",
        "released": r"Call \d+ with .* ended|Call terminated|ended \(",
    }

    def start(self):
        program = require("linphonec", "linphone-cli")
        home = self.stage.path(self.name)
        os.makedirs(os.path.join(home, ".local", "share", "linphone"), exist_ok=True)
        ports = {kind: -1 for kind in ("udp", "tcp", "tls")}
        ports[self.transport] = self.port
        lines = ["[sip]", f"sip_port={ports['udp']}", f"sip_tcp_port={ports['tcp']}", f"sip_tls_port={ports['tls']}"]
        lines += ["guess_hostname=0", f"contact=sip:{self.name}@{self.host}", f"bind_address={self.host}"]
        lines += [f"root_ca={self.stage.certificates.authority}", "verify_server_certs=1", "default_proxy=0"]
        if self.node:
            lines += ["[proxy_0]", f"reg_proxy=<{self.proxy}>", f"reg_route=<{self.proxy}>"]
            lines += [f"reg_identity=sip:{self.name}@{self.host}", "reg_sendregister=0", "publish=0"]
        path = os.path.join(home, "rc")
        with open(path, "w") as file:
            file.write("\n".join(lines) + "\n")
        command = [program, "-c", path, "-d", "6", "-l", self.stage.path(self.name + ".trace")]
        command += [] if self.node else ["-a"]
        self.process = self.stage.start(self.name, command, {"HOME": home}, talk=True)
        self.ready()
        self.write("soundcard use files")
        return self

    @property
    def uri(self):
        return f"sip:{self.name}@{self.host}:{self.port};transport={self.transport}"

    def call(self, uri):
        self.write(f"call {uri}")

    def hold(self):
        self.write("pause")

    def hang_up(self):
        self.write("terminate")


class WebSocketPhone(Agent):
    """A browser's part, over PyPI `websockets`: `transport` is ws or wss."""

    events = {
        "ready": r"^@ready sip",
        "established": r"^@established",
        "held": r"^@held",
        "released": r"^@released",
    }

    def start(self):
        if (
            subprocess.run([sys.executable, "-c", "import websockets"], capture_output=True, check=False).returncode
            != 0
        ):
            raise Absent("websockets is not installed: pip install websockets")
        port = {"ws": 8088, "wss": 8089}[self.transport]
        program = [sys.executable, os.path.join(HERE, "agent_websocket.py"), self.transport, self.node.host, str(port)]
        self.process = self.stage.start(self.name, program + [self.stage.certificates.authority], talk=True)
        return self.ready()

    def call(self, uri):
        self.write(f"call {uri}")

    def hold(self):
        self.write("hold")

    def hang_up(self):
        self.write("hangup")
