"""What an operator is told: mistakes on the command line and in configurations, each with its exit code and its sentence,
and what `check`, `drain` and `status` say of members that are down, cut off, never came, or are of another cluster."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from cluster import Cluster
from loop import now
from mistakes import COMMAND_LINE, CONFIGURATIONS, HEAD

def run(binary, arguments, environment=None, timeout=30):
    """Exit code, and what was said on both channels."""
    base = {k: v for k, v in os.environ.items() if not k.startswith("UNDERSTUDY_")}
    result = subprocess.run(
        [binary, *arguments], capture_output=True, text=True, timeout=timeout, env={**base, **(environment or {})}, check=False
    )
    return result.returncode, result.stdout + result.stderr


def says(text, pattern):
    """Some line says it, and nothing in the answer is a crash."""
    crash = "Fatal error" in text or "Illegal instruction" in text or "*** " in text
    return not crash and (re.search(pattern, text, re.MULTILINE) is not None or (pattern == r"^$" and not text))


def judge(report, name, rows):
    """Rows of (label, as it should be, what was seen); the wrong ones are the claim's detail."""
    wrong = [f"{label}: {seen}" for label, good, seen in rows if not good]
    report.claim(f"{len(rows)} {name}: each with its exit code and its sentence", not wrong, "; ".join(wrong)[:2000] or len(rows))


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], capture_output=True, check=True)


def ended(folder, key, path):
    """A certificate of 2020: OpenSSL 3.0 sets both dates in its `ca` only."""
    request, database, text = (os.path.join(folder, name) for name in ("old.csr", "index.txt", "ca.cnf"))
    open(database, "w").close()
    with open(text, "w") as file:
        file.write(
            f"[ca]\ndefault_ca = it\n[it]\ndatabase = {database}\nnew_certs_dir = {folder}\nrand_serial = yes\n"
            "default_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n"
        )
    openssl("req", "-new", "-key", key, "-subj", "/CN=a", "-out", request)
    openssl("ca", "-config", text, "-batch", "-notext", "-selfsign", "-keyfile", key, "-in", request,
            "-startdate", "20200101000000Z", "-enddate", "20210101000000Z", "-out", path)


def certificates(folder):
    """Two pairs, an ended certificate, an encrypted key; name to path."""
    paths = {name: os.path.join(folder, name) for name in ("a.pem", "a.key", "b.pem", "b.key", "old.pem", "locked.key", "chain.pem", "der.pem")}
    for name in "ab":
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-days", "90",
                "-keyout", paths[f"{name}.key"], "-out", paths[f"{name}.pem"])
        os.chmod(paths[f"{name}.key"], 0o600)
    ended(folder, paths["a.key"], paths["old.pem"])
    with open(paths["chain.pem"], "w") as chain:
        for name in ("b.pem", "a.pem"):  # The other way round it is one.
            with open(paths[name]) as one:
                chain.write(one.read())
    openssl("x509", "-in", paths["a.pem"], "-outform", "DER", "-out", paths["der.pem"])
    openssl("pkey", "-in", paths["a.key"], "-aes128", "-passout", "pass:x", "-out", paths["locked.key"])
    os.chmod(paths["locked.key"], 0o600)
    return paths


def certificate_rows(binary, folder):
    """What `config check` says of files that cannot be used, or should not be."""
    paths = certificates(folder)

    def check(certificate, key):
        text = HEAD.replace("[udp://127.0.77.41:5060]", "[udp://127.0.77.41:5060, tls://127.0.77.41:5061]")
        text += f"  tls: {{certificate-file: {paths[certificate]}, key-file: {paths[key]}}}\n"
        path = os.path.join(folder, "tls.yaml")
        with open(path, "w") as file:
            file.write(text)
        return run(binary, ["config", "check", path])

    wanted = [
        ("a.pem", "a.key", 0, r": good, node x1$"),
        ("a.pem", "b.key", 2, r"it does not belong to .*a.pem"),
        ("a.key", "a.pem", 2, r"are certificate-file and key-file swapped"),
        ("a.pem", "locked.key", 2, r"it is encrypted"),
        ("old.pem", "a.key", 0, r"warning: sip.tls.certificate-file: .* ended on 2021-01-01"),
        ("chain.pem", "a.key", 2, r"does not belong to the first certificate of .*chain.pem, which must be the node's own"),
        ("der.pem", "a.key", 2, r"it is no PEM file, which begins with -----BEGIN"),
    ]
    rows = []
    for certificate, key, code, pattern in wanted:
        got, text = check(certificate, key)
        rows.append((f"{certificate} with {key}", got == code and says(text, pattern), f"exit {got}: {text.strip()[:200]}"))
    with open(os.path.join(folder, "bus.yaml"), "w") as file:
        file.write(HEAD + f"cluster: {{bus: \"127.0.77.41:7400\", key-file: {paths['a.key']}}}\n")
    got, text = run(binary, ["config", "check", file.name])
    rows.append(("a key of TLS for the cluster", got == 2 and says(text, r"a.key is a file of TLS, not a key of the cluster"), text.strip()[:200]))
    request = os.path.join(folder, "named.pem")
    openssl("req", "-x509", "-key", paths["a.key"], "-subj", "/CN=a", "-days", "90", "-addext", "subjectAltName=DNS:a.example.org", "-out", request)
    with open(os.path.join(folder, "hosts.yaml"), "w") as file:
        file.write(HEAD.replace("[udp", "[tls://127.0.77.41:5061, udp"))
        file.write(f"  tls:\n    certificate-file: {paths['a.pem']}\n    key-file: {paths['a.key']}\n")
        file.write(f"    hosts: [{{name: b.example.org, certificate-file: {request}, key-file: {paths['a.key']}}}]\n")
    got, text = run(binary, ["config", "check", file.name])
    good = got == 0 and says(text, r"warning: sip.tls.hosts: .*named.pem is for a.example.org, not for b.example.org")
    rows.append(("a certificate for another name", good, text.strip()[:200]))
    with open(os.path.join(folder, "told.yaml"), "w") as file:
        file.write(HEAD.replace("[udp", "[tls://127.0.77.41:5061, udp") + "  balancer: [192.0.2.10]\n")
        file.write('  advertise: ["sip:192.0.2.10", "sip:sip.example.org;transport=tls"]\n')
        file.write(f"  tls: {{certificate-file: {request}, key-file: {paths['a.key']}}}\n")
    got, text = run(binary, ["config", "check", file.name])
    good = got == 0 and says(text, r"warning: sip.advertise: sip.example.org is told to others, and the certificate is for a.example.org")
    rows.append(("a certificate of another host", good, text.strip()[:200]))
    phones = os.path.join(folder, "phones")
    with open(phones, "w") as file:
        file.write("# nobody yet\n")
    os.chmod(phones, 0o644)
    with open(os.path.join(folder, "phones.yaml"), "w") as file:
        file.write(f"{HEAD}registrar: {{domains: [example.org], credentials-file: {phones}}}\n")
    got, text = run(binary, ["config", "check", file.name])
    rows.append(("a file that lets everybody register", got == 2 and says(text, "has no line like user:password"), text.strip()[:200]))
    with open(phones, "a") as more:
        more.write("bob:secret\n")
    got, text = run(binary, ["config", "check", file.name])
    rows.append(("passwords that everybody reads", got == 0 and says(text, r"warning: registrar.credentials-file: .*mode 644"), text.strip()[:200]))
    os.chmod(paths["a.key"], 0o644)
    got, text = check("a.pem", "a.key")
    good = got == 0 and says(text, r"warning: sip.tls.key-file: .* read by everybody \(mode 644\): chmod 600")
    rows.append(("a key of mode 644", good, text.strip()[:200]))
    return rows


def mistakes(report, quick):
    """Mistakes on the command line and in configurations: one clear sentence each, and the exit code."""
    folder = tempfile.mkdtemp(prefix="understudy-operator-")
    try:
        with Cluster(folder, 2, advertise=[]) as cluster:
            cluster.start()
            binary, node = cluster.binary, cluster.nodes[0]
            host = node.management[0]
            rows = []
            for typed, code, pattern in COMMAND_LINE:
                words = [word.replace("@", node.url).replace("%", host) for word in typed.split()]
                got, text = run(binary, words, {"UNDERSTUDY_NODE": node.url})
                pattern = pattern.replace("@", re.escape(node.url))
                rows.append((typed, got == code and says(text, pattern), f"exit {got}: {text.strip()[:200]}"))
            judge(report, "command lines", rows)
            rows = []
            for text, code, pattern in CONFIGURATIONS:
                path = os.path.join(folder, "x.yaml")
                with open(path, "wb") as file:
                    file.write(text.encode("utf-8", "surrogateescape"))
                got, said = run(binary, ["config", "check", path])
                rows.append((text[-60:], got == code and says(said, pattern), f"exit {got}: {said.strip()[:200]}"))
            for variable, code, pattern in (
                ("UNDERSTUDY_SERVICE_HOST", 0, r": good, node x1$"),
                ("UNDERSTUDY_PORT_5060_UDP_ADDR", 0, r": good, node x1$"),
                ("UNDERSTUDY_HOME", 0, r"warning: UNDERSTUDY_HOME: is no setting"),
                ("UNDERSTUDY_CLUSTER_KEY", 2, r"did you mean UNDERSTUDY_CLUSTER_KEY_FILE"),
                ("UNDERSTUDY_SIP_LISTN", 2, r"did you mean UNDERSTUDY_SIP_LISTEN"),
            ):
                with open(path, "w") as file:
                    file.write(HEAD)
                got, said = run(binary, ["config", "check", path], {variable: "1"})
                rows.append((variable, got == code and says(said, pattern), f"exit {got}: {said.strip()[:200]}"))
            got, said = run(binary, ["config", "check", folder])
            rows.append(("a folder", got == 2 and says(said, "it is a directory"), said))
            judge(report, "configurations", rows)
            if shutil.which("openssl"):
                judge(report, "files of TLS", certificate_rows(binary, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def until(binary, arguments, code, pattern, seconds=10, environment=None):
    """Runs it until it ends and says as wanted, or the time is over; whether it did, and what it said last."""
    end = now() + seconds
    while True:
        got, text = run(binary, arguments, environment)
        if got == code and says(text, pattern):
            return True, f"exit {got}"
        if now() > end:
            return False, f"exit {got}: {text.strip()[:400]}"
        time.sleep(0.2)


def told(report, quick):
    """`check` is never 0 while a member is down, has left, is a stranger, or has another table; each is told by name."""
    folder = tempfile.mkdtemp(prefix="understudy-operator-")
    try:
        with Cluster(folder, 3, advertise=[]) as cluster:
            one, two, three = cluster.nodes
            binary, first = cluster.binary, ["--node", one.url]

            def claim(text, arguments, code, pattern):
                good, seen = until(binary, arguments, code, pattern)
                report.claim(text, good, seen)

            def again(node, **changes):
                """The node comes back with other settings of its cluster."""
                before = {name: getattr(cluster, name) for name in changes}
                for name, value in changes.items():
                    setattr(cluster, name, value)
                node.start(wait=False)
                for name, value in before.items():
                    setattr(cluster, name, value)

            one.start(wait=False)
            claim("who was never heard is named by its address", ["check", *first], 2, r"127.0.77.12:7400 was not asked: never heard by n1")
            claim("a joining node says whom it waits for", ["status", *first], 0, r"joining: waits for \d+ s for 127.0.77.12:7400, 127.0.77.13:7400, not heard; 1 more must be heard")
            two.start(wait=False)
            claim("and until when", ["status", *first], 0, r"waits for \d+ s for 127.0.77.13:7400, not heard; serves without in \d+ s")
            three.start()
            cluster.wait_view(["n1", "n2", "n3"])
            claim("all are asked through one", ["check", *first], 0, r"^equal: 0 dialogs on n1, n2, n3$")
            claim("the node of the name drains", ["drain", "n2", *first], 0, r"^n2 is draining$")
            claim("and no other", ["status", *first], 0, r"n1 of acceptance, up, ready")
            claim("until it is told again", ["undrain", "n2", *first], 0, r"^n2 is up$")
            three.stop()
            claim("who has left is told so", ["check", *first], 2, r"n3 was not asked: it left in good order, \d+ s ago$")
            again(three)
            claim("and it comes back", ["check", *first], 0, r"^equal: 0 dialogs on n1, n2, n3$")
            three.stop(number=signal.SIGKILL)
            claim("who died is told so", ["check", *first], 2, r"n3 was not asked: down: its process is gone, since \d+ s")
            claim("those that are left can be compared", ["check", "--partial", *first], 0, r"^equal: 0 dialogs on n1, n2; not asked: n3$")
            again(three, name="other")
            claim("a stranger in its place is no member", ["check", *first], 2, r"n3 was not asked: down")
            claim("and its frames are told of", ["status", *first], 0, r"^n3 sends frames with another cluster.name or cluster key")
            claim("the stranger compares nothing either", ["check", "--node", three.url], 2, r"not asked: 127.0.77.11:7400, 127.0.77.12:7400")
            claim("and knows why", ["check", "--node", three.url], 2, r"frames of n1, n2 come with another cluster.name or cluster key")
            three.stop()
            lines = [*cluster.extra_lines, "ims_dialog.hash_size: 8192"]
            again(three, extra_lines=lines)
            claim("another table cannot be compared", ["check", *first], 2, r"n3 was not asked: its ims_dialog.hash_size is 8192, that of n\d 4096")
            three.stop()
            again(three, management_extra=f", advertise: {one.url}, fault_injection: true")
            claim("wherever the URL of a member leads, it is asked over the bus", ["check", *first], 0, r"^equal: 0 dialogs on n1, n2, n3$")
            claim("it drains", ["drain", "n3", *first], 0, r"^n3 is draining$")
            claim("not the one that its URL leads to", ["status", *first], 0, r"n1 of acceptance, up, ready")
        with Cluster(folder, 2, advertise=[]) as cluster:
            for node in cluster.nodes:
                node.name += ".example.org"
            cluster.start()
            one, two = cluster.nodes
            names = [word for node in cluster.nodes for word in ("--node", node.name)]
            claim("a name with dots is a member's before it is a host's", ["drain", two.name, "--node", one.url], 0, r"^n2.example.org is draining$")
            good, seen = until(cluster.binary, ["check", *names], 0, r"^equal: 0 dialogs", environment={"UNDERSTUDY_NODE": one.url})
            report.claim("and can be asked by it", good, seen)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
