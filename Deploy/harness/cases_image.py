"""Acceptance: the image of Deploy/Containerfile, without an engine, and what Deploy/kubernetes says of its pods.

The last stage of the Containerfile is carried out line by line in a minimal Debian of its own: COPY brings the package, RUN
is run by a shell there, USER, ENV, ENTRYPOINT, CMD and HEALTHCHECK are what the node is started and asked with. A line that
is not known here fails the case.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

from cases_package import build
from cluster import Failure, ROOT, Processes, find_binary, wait_end
from hosts import Layer, need
from loop import now
from party import Plan
from peerstage import Absent
from phones import Phones

NODE, CALLER, CALLEE = "127.0.77.11", ("127.0.77.22", 5080), ("127.0.77.21", 5070)
MANIFEST = os.path.join(ROOT, "Deploy", "kubernetes", "understudy.yaml")
KUBERNETES = "1.30"


def last_stage(path):
    """(instruction, rest) of the lines after the last FROM, continued lines joined."""
    with open(path) as file:
        text = re.sub(r"(?m)^\s*#.*\n", "", file.read())
    lines = [line.strip() for line in re.sub(r"\\\n", " ", text).splitlines() if line.strip()]
    start = max(index for index, line in enumerate(lines) if line.startswith("FROM "))
    return [tuple(line.split(None, 1)) for line in lines[start:]]


class Image:
    """What the last stage makes of a root."""

    def __init__(self, layer, package):
        self.root, self.user, self.environment = layer.root, "0:0", {}
        self.entry, self.command, self.health, self.stop = [], [], [], signal.SIGTERM
        layer.mount("-t", "proc", "proc", os.path.join(self.root, "proc"))
        layer.mount("--bind", "/dev", os.path.join(self.root, "dev"))
        for instruction, rest in last_stage(os.path.join(ROOT, "Deploy", "Containerfile")):
            self.carry_out(instruction, rest, package)

    def carry_out(self, instruction, rest, package):
        if instruction == "FROM":
            if "debian:bookworm" not in rest:
                raise Failure(f"the image stands on {rest}, and what is tried here on Debian 12")
        elif instruction == "COPY":
            source, target = rest.split()[-2:]
            if source != "/package/*.deb":
                raise Failure(f"COPY of {source} is not known here")
            shutil.copy(package, self.root + target)
        elif instruction == "RUN":
            self.shell(rest)
        elif instruction == "USER":
            self.user = rest
        elif instruction == "ENV":
            self.environment.update(word.split("=", 1) for word in shlex.split(rest))
        elif instruction == "STOPSIGNAL":
            self.stop = getattr(signal, rest)
        elif instruction == "HEALTHCHECK":
            self.health = json.loads(rest.split("CMD", 1)[1])
        elif instruction in ("ENTRYPOINT", "CMD"):
            setattr(self, "entry" if instruction == "ENTRYPOINT" else "command", json.loads(rest))
        else:
            raise Failure(f"{instruction} in the Containerfile is not known here")

    def shell(self, line):
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        command = ["chroot", self.root, "env", "-i", path, "DEBIAN_FRONTEND=noninteractive", "/bin/sh", "-c", line]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
        if done.returncode != 0:
            raise Failure(f"RUN {line[:80]}: exit {done.returncode}: {(done.stdout + done.stderr).strip()[-300:]}")

    def words(self, command, environment=()):
        """What starts a command of the image, as the image's user."""
        settings = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **self.environment, **dict(environment)}
        pairs = [f"{name}={value}" for name, value in settings.items()]
        return ["chroot", f"--userspec={self.user}", "--groups=", self.root, "env", "-i", *pairs, *command]

    def ask(self, command, environment=()):
        done = subprocess.run(
            self.words(command, environment), capture_output=True, text=True, timeout=30, check=False
        )
        return done.returncode, (done.stdout + done.stderr).strip()


def write(image, path, text, mode, owner=0):
    whole = image.root + path
    with open(os.open(whole, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode), "w") as file:
        file.write(text)
    os.chmod(whole, mode)
    os.chown(whole, owner, owner)


def configure(image):
    """What its user mounts: a configuration, and a key that user 506 alone may read."""
    text = f"node: {{name: n1}}\nsip:\n  listen: [udp://{NODE}:5060]\n"
    text += f"cluster:\n  bus: tcp://{NODE}:7400\n  key-file: /etc/understudy/cluster.key\n"
    text += f"management: {{http: {NODE}:8080}}\n"
    text += f'routes: [{{match: "sip:.*@example.org", to: ["sip:{CALLEE[0]}:{CALLEE[1]}"]}}]\n'
    write(image, "/etc/understudy/understudy.yaml", text, 0o644)
    write(image, "/etc/understudy/cluster.key", os.urandom(32).hex() + "\n", 0o400, 506)


def owner_of(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(line for line in status if line.startswith("Uid:")).split()[1:]


def call(report):
    phones = Phones(CALLER, CALLEE)
    try:
        phones.place(5, 20, (NODE, 5060), Plan(hold=0.5), "sip:bob@example.org")
        over = phones.wait(lambda: phones.are_over(5), 10)
        bad = [c.code for c in phones.calls if c.state != "ended" or any(e["code"] != 200 for e in c.requests)]
        report.claim("calls go through it", over and not bad, phones.summary()["states"])
    finally:
        phones.close()


def run(report, image, folder):
    """Starts the image's command, looks at it, stops it."""
    where = {"UNDERSTUDY_NODE": f"http://{NODE}:8080"}
    code, said = image.ask(image.health, where)
    report.claim("without a node the health check fails", code != 0, f"exit {code}: {said}")
    log = os.path.join(folder, "image.log")
    processes = Processes(os.path.join(folder, "pids"))
    with open(log, "wb") as out:
        process = subprocess.Popen(
            image.words(image.entry + image.command, where),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    processes.note("image", process.pid)
    try:
        end = now() + 20
        while now() < end and process.poll() is None and image.ask(image.health, where)[0] != 0:
            time.sleep(0.2)
        code, said = image.ask(image.health, where)
        with open(log, errors="replace") as text:
            report.claim("it starts, and its health check passes", code == 0, "" if code == 0 else said + text.read()[-400:])
        report.claim("as user 506, not as root", set(owner_of(process.pid)) == {"506"}, owner_of(process.pid))
        call(report)
        process.send_signal(image.stop)
        code = wait_end(process, 20, "the node", log)
        report.claim("its stop signal has it leave in good order", code == 0, f"exit {code}")
    finally:
        processes.stop_all()


def image(report, quick):
    """The image's last stage, carried out and run without an engine: not root, a key of mode 400, its health check."""
    need("debootstrap", "chroot", "patchelf", "dpkg-deb")
    folder = tempfile.mkdtemp(prefix="understudy-image-")
    try:
        path = build(report, folder)
        with Layer("image") as layer:
            made = Image(layer, path)
            report.claim("its steps can be carried out", True)
            configure(made)
            run(report, made, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# -- Kubernetes


def environment_of(container, pod):
    """A container's variables as a kubelet would set them: fields of the pod, then $(NAME)."""
    found = {}
    for entry in container["env"]:
        value = entry.get("value")
        if value is None:
            value = pod[entry["valueFrom"]["fieldRef"]["fieldPath"]]
        found[entry["name"]] = re.sub(r"\$\(([A-Z_]+)\)", lambda match: found[match[1]], value)
    return found


def kubernetes(report, quick):
    """The manifest fits the published schemas, and a pod's variables and files are a configuration without a problem."""
    try:
        import kubernetes_validate
        import yaml
    except ImportError as error:
        raise Absent(f"{error.name} is not installed: pip install kubernetes-validate") from error
    with open(MANIFEST) as file:
        documents = list(yaml.safe_load_all(file))
    for document in documents:
        wrong = ""
        try:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.InvalidSchemaError) as error:
            wrong = str(error)[:300]
        report.claim(f"{document['kind']} fits the schema of {KUBERNETES}", not wrong, wrong)
    kinds = {document["kind"]: document for document in documents}
    pods = kinds["StatefulSet"]["spec"]["template"]
    container = pods["spec"]["containers"][0]
    labels = pods["metadata"]["labels"]
    for selector in (
        kinds["Service"]["spec"]["selector"],
        kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        kinds["StatefulSet"]["spec"]["selector"]["matchLabels"],
    ):
        report.claim("a selector finds the pods", selector.items() <= labels.items(), selector)
    drain = int(container["args"][container["args"].index("--drain-timeout") + 1])
    grace = pods["spec"]["terminationGracePeriodSeconds"]
    report.claim("a pod has the time that its drain takes", grace > drain, f"{grace} s, {drain} s")
    folder = tempfile.mkdtemp(prefix="understudy-kubernetes-")
    try:
        secret = os.path.join(folder, "secret")
        os.mkdir(secret)
        text = kinds["ConfigMap"]["data"]["understudy.yaml"].replace("/etc/understudy/secret", secret)
        path = os.path.join(folder, "understudy.yaml")
        with open(path, "w") as file:
            file.write(text)
        settings = environment_of(container, {"status.podIP": "127.0.77.11", "metadata.name": "understudy-0"})
        for keys, wanted in ((kinds["Secret"]["stringData"], 2), ({"cluster.key": os.urandom(32).hex(), "token": os.urandom(32).hex()}, 0)):
            for name, value in keys.items():
                with open(os.open(os.path.join(secret, name), os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
                    file.write(value)
            done = subprocess.run(
                [find_binary(), "config", "check", "--elsewhere", path],
                capture_output=True,
                text=True,
                timeout=20,
                env={**settings, "PATH": os.environ["PATH"]},
                check=False,
            )
            what = "a pod's settings are a good configuration" if wanted == 0 else "the keys that are to be replaced are refused"
            report.claim(what, done.returncode == wanted, (done.stdout + done.stderr).strip()[:300])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
