"""Acceptance: what `config init` writes is checked, started, called through and compared, as it was written."""

import glob
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import tempfile

from cases_balancers import STREAM_MODULE
from cluster import Cluster, Failure, find_binary
from loop import now
from party import Plan
from phones import Phones

NET = "127.0.77"
NODES = [f"{NET}.{last}" for last in (11, 12, 13)]


def run(*words, stdin=""):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("UNDERSTUDY_")}
    result = subprocess.run(
        [find_binary(), *words], capture_output=True, text=True, timeout=60, env=environment, input=stdin, check=False
    )
    return result.returncode, result.stdout + result.stderr


def written(folder):
    """Names, and the modes of the secrets."""
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    modes = {name: stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) for name in names}
    return names, {name: oct(mode) for name, mode in modes.items() if name in ("cluster.key", "token")}


def flags(kind, folder, *more):
    front = [] if kind == "none" else ["--balancer-address", f"{NET}.10"]
    return ["config", "init", "--cluster-name", "tried", "--nodes", ",".join(NODES), "--balancer", kind, *front, "--to", "", "--output", folder, *more]


def place_calls(report, cluster, count):
    """Calls through the balancer that was written; every node knows each."""
    phones = Phones((f"{NET}.22", 5080), (f"{NET}.21", 5070))
    try:
        phones.place(count, 20, cluster.balancer, Plan(hold=None))
        phones.wait(lambda: sum(1 for c in list(phones.calls) if c.acked_at) == count, 10)
        answered = sum(1 for c in phones.calls if c.acked_at)
        report.claim("calls go through the balancer that was written", answered == count, f"{answered} of {count}")
        good, held = cluster.wait_held(count, 5)
        report.claim("every node knows each of them", good, held)
        code, said = run("check", "--node", cluster.nodes[0].url)
        report.claim("and check says so", code == 0 and f"equal: {count} dialogs on n1, n2, n3" in said, said.strip()[:200])
        for call in list(phones.calls):
            phones.do(call.hang_up)
        phones.wait(lambda: all(c.requests and c.requests[-1]["done_at"] for c in list(phones.calls)), 10)
        codes = [c.requests[-1]["code"] for c in phones.calls if c.requests]
        report.claim("BYE likewise", codes == [200] * count, codes)
    finally:
        phones.close()


def speak(address, port, request, seconds=5):
    """Sends one request over TLS; the connection, and the final response's text."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = context.wrap_socket(socket.create_connection((address, port), timeout=seconds))
    return connection, exchange(connection, request)


def exchange(connection, request):
    """The final response to a request on a connection of its own; headers only are looked at."""
    connection.sendall(request.encode())
    text = b""
    while True:
        head, separator, rest = text.partition(b"\r\n\r\n")
        if separator:
            length = re.search(rb"(?im)^(?:content-length|l)\s*:\s*(\d+)", head)
            size = int(length[1]) if length else 0
            if len(rest) >= size:
                if not head.startswith(b"SIP/2.0 1"):
                    return head.decode(errors="replace")
                text = rest[size:]
                continue
        part = connection.recv(65536)
        if not part:
            return text.decode(errors="replace")
        text += part


def message(method, uri, front, number, *more, to_tag="", route=()):
    lines = [f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/TLS {NET}.22:5099;rport;branch=z9hG4bKinit{method}{number}"]
    lines += [f"Route: {value}" for value in route]
    lines += [f"From: <sip:a@{NET}.22>;tag=init{number}", f"To: <sip:b@{front}>{to_tag}", f"Call-ID: init-{number}@{NET}.22"]
    lines += [f"CSeq: {2 if method == 'BYE' else 1} {method}", f"Contact: <sip:a@{NET}.22:5099;transport=tls>", "Max-Forwards: 70"]
    return "\r\n".join([*lines, *more, "Content-Length: 0", "", ""])


def over_tls(report, folder, kind, start):
    """`config init --tls`, the certificate that it tells how to make, three nodes, the balancer, and a call over TLS."""
    place, front = os.path.join(folder, f"{kind}-tls"), f"{NET}.10"
    words = flags(kind, place)
    words[words.index("--to") + 1] = f"sip:{NET}.21:5070"
    code, said = run(*words, "--tls")
    command = next((line.strip() for line in said.splitlines() if "openssl req" in line), "")
    report.claim(f"{kind}: with TLS it says what to bring", code == 0 and bool(command), said.strip()[-200:])
    subprocess.run(command.split(), capture_output=True, check=True, timeout=60)
    os.chmod(os.path.join(place, "tls.key"), 0o600)
    checks = [run("config", "check", "--strict", os.path.join(place, f"n{number}.yaml")) for number in (1, 2, 3)]
    report.claim(f"{kind}: config check has nothing to say then", all(code == 0 for code, _ in checks), [said.strip()[-160:] for _, said in checks])
    phones = Phones((f"{NET}.22", 5080), (f"{NET}.21", 5070))
    with Cluster(os.path.join(folder, f"stage-{kind}-tls"), 3, net=NET) as cluster:
        for node in cluster.nodes:
            with open(os.path.join(place, node.name + ".yaml")) as file:
                node.configuration = lambda text=file.read(): text
        balancer = None
        try:
            # HAProxy's checks make management open, with a token: what `start` waits for is asked of the log.
            for node in cluster.nodes:
                node.start(wait=False)
            end = now() + 20
            while now() < end and not all(node.has_logged("node ready") for node in cluster.nodes):
                phones.wait(lambda: False, 0.1)
            balancer = subprocess.Popen(start(place), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
            cluster.processes.note("balancer", balancer.pid)
            phones.wait(lambda: False, 2.5)
            uri = f"sip:b@{front}"
            connection, answer = speak(front, 5061, message("INVITE", uri, front, 1))
            routes = re.findall(r"(?im)^record-route\s*:\s*(.*)$", answer)
            tag = re.search(r"(?im)^to\s*:.*(;tag=[^\s;]+)", answer)
            contact = re.search(r"(?im)^(?:contact|m)\s*:\s*<([^>]+)>", answer)
            good = answer.startswith("SIP/2.0 200") and any(f"{front}:5061;transport=tls" in route for route in routes)
            report.claim(f"{kind}: a call over TLS is answered, and the balancer is in its route", good and tag and contact, answer[:300])
            if good and tag and contact:
                route = [route.strip() for route in routes]
                connection.sendall(message("ACK", contact[1], front, 1, to_tag=tag[1], route=route).encode())
                answer = exchange(connection, message("BYE", contact[1], front, 1, to_tag=tag[1], route=route))
                report.claim(f"{kind}: and its BYE", answer.startswith("SIP/2.0 200"), answer.splitlines()[:1])
            if kind == "kamailio":
                called_back(report, phones, connection, front)
            connection.close()
        finally:
            phones.close()
            if balancer is not None:
                balancer.terminate()


def called_back(report, phones, connection, front):
    """Who was called hangs up: its BYE finds the connection that the balancer has of the caller, who listens nowhere."""
    answer = exchange(connection, message("INVITE", f"sip:b@{front}", front, 2))
    routes = [route.strip() for route in re.findall(r"(?im)^record-route\s*:\s*(.*)$", answer)]
    tag = re.search(r"(?im)^to\s*:.*(;tag=[^\s;]+)", answer)
    contact = re.search(r"(?im)^(?:contact|m)\s*:\s*<([^>]+)>", answer)
    if not report.claim("kamailio: a second call over the connection is answered", answer.startswith("SIP/2.0 200") and tag and contact, answer[:200]):
        return
    connection.sendall(message("ACK", contact[1], front, 2, to_tag=tag[1], route=routes).encode())
    phones.wait(lambda: any(p.state == "confirmed" for p in list(phones.callee.answered_calls)), 5)
    for party in list(phones.callee.answered_calls):
        if party.state == "confirmed":
            phones.do(party.hang_up)
    connection.settimeout(5)
    try:
        text = connection.recv(65536).decode(errors="replace")
    except (OSError, ValueError) as error:
        text = f"nothing: {error}"
    report.claim("kamailio: the callee's BYE comes over it", text.startswith("BYE "), text.splitlines()[:1])


def refusals(report, folder):
    """Answers that cannot be used, missing ones, files that are there."""
    first = os.path.join(folder, "kamailio")
    before = {name: open(os.path.join(first, name)).read() for name in os.listdir(first)}
    code, said = run(*flags("kamailio", first))
    after = {name: open(os.path.join(first, name)).read() for name in os.listdir(first)}
    report.claim("nothing is written over", code == 2 and "already, and nothing is written over" in said and before == after, said.strip()[:160])
    rows = [
        (["--nodes", "192.0.2.1"], "--nodes: name 2 to 16 addresses"),
        (["--nodes", "a,b"], "--nodes: 'a' is not an address"),
        (["--balancer", "kamalio"], "did you mean kamailio"),
        (["--balancer-address", NODES[0]], "--balancer-address: is a node's"),
        (["--to", "gateway"], "--to: 'gateway' is not a SIP URI"),
        (["--cluster-name", "a b"], "--cluster-name: 'a b' is not a name"),
    ]
    for words, sentence in rows:
        other = os.path.join(folder, "refused")
        base = flags("kamailio", other)
        at = base.index(words[0])
        base[at : at + 2] = words
        code, said = run(*base)
        report.claim(f"refused: {' '.join(words)}", code == 2 and sentence in said and not os.path.exists(other), said.strip()[:160])
    code, said = run("config", "init", "--output", os.path.join(folder, "unasked"))
    report.claim("without an answer it says which is missing", code == 2 and "--cluster-name is missing" in said, said.strip()[-160:])
    locked = os.path.join(folder, "n1.yaml")
    open(locked, "w").close()
    code, said = run(*flags("none", locked))
    report.claim("a file where the folder should be is told of", code == 2 and re.search(r"the folder .* cannot be made", said) is not None, said.strip()[:160])


def try_kamailio(report, folder):
    """`kamailio -c` of both files, and a call over TLS where its module is installed."""
    program = shutil.which("kamailio") or "/usr/sbin/kamailio"
    if not os.access(program, os.X_OK):
        return report.figure("kamailio is not installed; its files were not tried", "")
    if not glob.glob("/usr/lib/*/kamailio/modules/tls.so"):
        return report.figure("kamailio's tls module is not installed (kamailio-tls-modules); it was not tried", "")
    over_tls(report, folder, "kamailio", lambda place: [program, "-f", os.path.join(place, "kamailio.cfg"), "-m", "128", "-DD", "-E"])
    for place in ("kamailio", "kamailio-tls"):
        words = [program, "-c", "-f", os.path.join(folder, place, "kamailio.cfg")]
        result = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
        report.claim(f"kamailio takes the file of {place}", result.returncode == 0, (result.stdout + result.stderr).strip()[-200:])


def init(report, quick):
    """`config init` by flags and by answers: three nodes, each balancer, a key; they start as written and take calls."""
    folder = tempfile.mkdtemp(prefix="understudy-init-")
    try:
        for kind, more in (("kamailio", ["dispatcher.list", "kamailio.cfg"]), ("nginx", ["nginx.conf"]), ("haproxy", ["haproxy.cfg", "token"]), ("none", [])):
            place = os.path.join(folder, kind)
            code, said = run(*flags(kind, place))
            names, modes = written(place)
            wanted = sorted(["cluster.key", "n1.yaml", "n2.yaml", "n3.yaml", *more])
            report.claim(f"{kind}: written", code == 0 and names == wanted and set(modes.values()) == {"0o600"}, f"{names} {modes} {said.strip()[-100:] if code else ''}")
            checks = [run("config", "check", "--strict", os.path.join(place, f"n{number}.yaml")) for number in (1, 2, 3)]
            good = all(code == 0 and f": good, node n{index + 1}\n" in said for index, (code, said) in enumerate(checks))
            report.claim(f"{kind}: config check has nothing to say of the nodes' files", good, [said.strip()[-120:] for _, said in checks])
        answers = f"asked\n{','.join(NODES)}\n\n{NET}.10\nsip:{NET}.30\n"
        asked = os.path.join(folder, "asked")
        code, said = run("config", "init", "--output", asked, stdin=answers)
        text = open(os.path.join(asked, "n2.yaml")).read() if code == 0 else said
        report.claim("five answers do what five flags do", code == 0 and "name: asked" in text and f"sip:{NET}.30" in text and os.path.exists(os.path.join(asked, "kamailio.cfg")), text[-200:])
        for program, words in (("nginx", ["-t", "-e", "stderr", "-c"]), ("haproxy", ["-c", "-f"])):
            path = shutil.which(program) or f"/usr/sbin/{program}"
            if not os.access(path, os.X_OK) or program == "nginx" and not os.path.exists(STREAM_MODULE):
                report.figure(f"{program} is not installed; its file was not tried", "")
                continue
            name = os.path.join(folder, program, "nginx.conf" if program == "nginx" else "haproxy.cfg")
            result = subprocess.run([path, *words, name], capture_output=True, text=True, timeout=20, check=False)
            report.claim(f"{program} takes its file", result.returncode == 0, (result.stdout + result.stderr).strip()[-200:])
            start = (lambda place, path=path: [path, "-e", "stderr", "-g", "daemon off;", "-c", os.path.join(place, "nginx.conf")]) if program == "nginx" else (lambda place, path=path: [path, "-db", "-f", os.path.join(place, "haproxy.cfg")])
            over_tls(report, folder, program, start)
        try_kamailio(report, folder)
        refusals(report, folder)
        place = os.path.join(folder, "kamailio")
        with Cluster(os.path.join(folder, "stage"), 3, net=NET) as cluster:
            for node in cluster.nodes:
                with open(os.path.join(place, node.name + ".yaml")) as file:
                    node.configuration = lambda text=file.read(): text
            began = now()
            cluster.start()
            report.figure("three nodes as written, up after", f"{now() - began:.1f} s")
            cluster.balancer_file = os.path.join(place, "kamailio.cfg")
            cluster.start_balancer()
            place_calls(report, cluster, 5 if quick else 50)
    except FileNotFoundError as missing:
        raise Failure(f"a file is missing: {missing}") from missing
    finally:
        shutil.rmtree(folder, ignore_errors=True)
