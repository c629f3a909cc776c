"""Acceptance: Kamailio's tools, as Debian ships them, against a node that carries calls."""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
from collections import Counter

from cases_facts import PROFILES
from loop import now
from party import Plan
from peerstage import Absent
from stage import Stage


def tool(name, package):
    path = shutil.which(name) or f"/usr/sbin/{name}"
    if not os.access(path, os.X_OK):
        raise Absent(f"{name} is not installed: apt-get install {package}")
    return path


class Tools:
    """The tools with the doors of one node."""

    def __init__(self, folder):
        self.folder = folder
        self.kamcmd_path, self.kamctl_path = tool("kamcmd", "kamailio"), tool("kamctl", "kamailio")
        self.kamcli_path = tool("kamcli", "kamcli")
        self.ini = os.path.join(folder, "kamcli.ini")
        with open(self.ini, "w") as file:
            file.write("[main]\n[db]\n[ctl]\ntype=jsonrpc\n[jsonrpc]\ntransport=socket\noutformat=json\n")
            file.write(f"srvaddr={folder}/rpc.sock\nrcvaddr={folder}/kamcli.sock\n")

    def lines(self):
        """The keys below `management` of the node."""
        f = self.folder
        return f", ctl: ['unix:{f}/ctl', 'tcp:127.0.77.11:2049'], jsonrpc_socket: {f}/rpc.sock, jsonrpc_fifo: {f}/rpc.fifo, mi_fifo: {f}/mi"

    def run(self, words, **environment):
        result = subprocess.run(
            words, capture_output=True, text=True, timeout=30, env={**os.environ, **environment}, check=False
        )
        return result.returncode, result.stdout + result.stderr

    def kamcmd(self, *words, address=None):
        return self.run([self.kamcmd_path, "-s", address or f"unix:{self.folder}/ctl", *words])

    def kamctl(self, *words):
        return self.run([self.kamctl_path, *words], RPCFIFOPATH=f"{self.folder}/rpc.fifo")

    def kamcli(self, *words):
        return self.run([self.kamcli_path, "-c", self.ini, *words])

    def mi(self, command, *parameters):
        name = f"mi_reply_{os.getpid()}"
        reply = f"/tmp/{name}"
        os.mkfifo(reply, 0o622)
        answer = []
        reader = threading.Thread(target=lambda: answer.append(open(reply).read()), daemon=True)
        reader.start()
        with open(f"{self.folder}/mi", "w") as fifo:
            fifo.write(f":{command}:{name}\n" + "".join(p + "\n" for p in parameters) + "\n")
        reader.join(10)
        os.unlink(reply)
        return answer[0] if answer else ""


def result_of(text):
    """The result in what kamctl or kamcli printed: an answer of JSON-RPC behind a line or two."""
    start = text.find("{")
    try:
        return json.loads(text[start:]).get("result") if start >= 0 else None
    except ValueError:
        return None


def kamailio_tools(report, quick):
    """kamcmd, kamctl and kamcli list, count and end calls; a hundred kamcmd at once while calls are placed."""
    folder = tempfile.mkdtemp(prefix="understudy-tools-")
    try:
        tools = Tools(folder)
        stage = Stage(report)
        first = stage.nodes[0]
        plain = first.configuration
        first.configuration = lambda: plain().replace("fault_injection: true", "fault_injection: true" + tools.lines())
        stage.cluster.dialog_keys = PROFILES
        stage.cluster.extra_lines.append(
            'routes: [{match: "sip:.*", to: ["sip:%s.21:5070"], dialog: {profiles: [calls, "caller=$fU"]}}]' % stage.net
        )
        with stage:
            phones = stage.phones
            calls = stage.establish(4, 20, stage.front, Plan(hold=None))
            stage.in_every_record_as("confirmed", calls)
            look(report, tools, calls)
            count(report, tools, calls)
            bridge(report, stage, tools)
            end(report, stage, tools, calls)
            contacts(report, stage, tools)
            crowd(report, stage, tools, quick)
            phones.wait(lambda: False, 0.2)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def look(report, tools, calls):
    count, ids = len(calls), {call.call_id for call in calls}
    for address in (None, "tcp:127.0.77.11:2049"):
        code, text = tools.kamcmd("dlg.list", address=address)
        report.claim(f"kamcmd dlg.list {address or ''}", code == 0 and text.count("call-id:") == count and all(i in text for i in ids), text[:200])
    code, text = tools.kamcmd("dlg.stats_active")
    report.claim("kamcmd dlg.stats_active", code == 0 and f"ongoing: {count}" in text and f"all: {count}" in text, text)
    code, text = tools.kamcmd("core.version")
    report.claim("kamcmd core.version", code == 0 and text.startswith("understudy "), text)
    code, text = tools.kamcmd("no.such")
    report.claim("kamcmd of an unknown method", "error: 500 - command no.such not found" in text, text)
    code, text = tools.kamctl("dialog", "show")
    listed = result_of(text)
    report.claim("kamctl dialog show", code == 0 and listed is not None and {d["call-id"] for d in listed} == ids, text[:300])
    code, text = tools.kamctl("stats", "dialog")
    report.claim("kamctl stats dialog", f"dialog:active_dialogs = {count}" in (result_of(text) or []), text[:300])
    code, text = tools.kamctl("stats")
    report.claim("kamctl stats", any(s.startswith("core:rcv_requests = ") for s in result_of(text) or []), text[:300])
    code, text = tools.kamctl("uptime")
    report.claim("kamctl uptime", isinstance((result_of(text) or {}).get("uptime"), int), text[:300])
    code, text = tools.kamcli("dialog", "list")
    listed = result_of(text)
    report.claim("kamcli dialog list", code == 0 and listed is not None and {d["call-id"] for d in listed} == ids, text[:300])
    code, text = tools.kamcli("uptime")
    report.claim("kamcli uptime", isinstance((result_of(text) or {}).get("uptime"), int), text[:300])
    text = tools.mi("dlg_list")
    report.claim("MI dlg_list", text.startswith("200 OK\n") and text.count("\ndialog:: ") == count and all(i in text for i in ids), text[:200])
    modes = {name: oct(os.stat(os.path.join(tools.folder, name)).st_mode & 0o777) for name in ("ctl", "rpc.sock", "rpc.fifo", "mi")}
    report.claim("nobody but owner and group may write to the doors", set(modes.values()) == {"0o660"}, modes)


def count(report, tools, calls):
    sizes = [tools.kamcmd("dlg.profile_get_size", *words)[1].strip() for words in (["calls"], ["caller", "alice"], ["caller", "x"])]
    report.claim("kamcmd dlg.profile_get_size", sizes == [str(len(calls)), str(len(calls)), "0"], sizes)
    code, text = tools.kamcmd("dlg.profile_get_size", "nose")
    report.claim("of a profile that is none", "error: 404 - Profile not found: nose" in text, text)
    code, text = tools.kamcmd("dlg.profile_list", "caller", "alice")
    report.claim("kamcmd dlg.profile_list", code == 0 and text.count("call-id:") == len(calls), text[:200])
    text = tools.mi("profile_get_size", "calls")
    report.claim("MI profile_get_size", f"count={len(calls)}" in text, text)
    text = tools.mi("dlg_list_ctx")
    report.claim("MI dlg_list_ctx", text.count("\n\tcontext:: ") == len(calls) == text.count("\ndialog_out:: "), text[:300])


class Bridged:
    """A phone that is called by the cluster: it answers, is told to call somebody else, and says that it has."""

    def __init__(self, address):
        self.address = address
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 5090))
        self.socket.settimeout(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def receive(self, method):
        """The next request of this method, its lines and where it came from; `None` when none comes."""
        try:
            while True:
                data, source = self.socket.recvfrom(65535)
                text = data.decode()
                if text.startswith(method + " "):
                    return text, source
        except TimeoutError:
            return None

    @staticmethod
    def values(text, *names):
        head = text.split("\r\n\r\n")[0].split("\r\n")
        return [line for line in head if line.split(":")[0] in names]

    def answer(self, request, status):
        text, source = request
        lines = self.values(text, "Via", "Record-Route", "From", "Call-ID", "CSeq")
        to = self.values(text, "To")[0]
        lines.append(to if ";tag=" in to else to + ";tag=bridged")
        lines += [f"Contact: <sip:a@{self.address}:5090>", "Content-Length: 0"]
        self.socket.sendto("\r\n".join([f"SIP/2.0 {status}", *lines, "", ""]).encode(), source)

    def notify(self, invite, status):
        text, source = invite
        contact = re.search(r"Contact: <([^>]+)>", text).group(1)
        from_, to, call = (self.values(text, name)[0].split(": ", 1)[1] for name in ("From", "To", "Call-ID"))
        body = f"SIP/2.0 {status}\r\n"
        lines = [
            f"NOTIFY {contact} SIP/2.0", f"Via: SIP/2.0/UDP {self.address}:5090;branch=z9hG4bKbridged", "Max-Forwards: 70",
            f"From: {to};tag=bridged", f"To: {from_}", f"Call-ID: {call}", "CSeq: 7 NOTIFY", "Event: refer",
            f"Contact: <sip:a@{self.address}:5090>", "Subscription-State: terminated;reason=noresource",
            "Content-Type: message/sipfrag;version=2.0", f"Content-Length: {len(body)}", "", body,
        ]
        self.socket.sendto("\r\n".join(lines).encode(), source)


def bridge(report, stage, tools):
    with Bridged(f"{stage.net}.23") as phone:
        # By a proxy, since the routes here lead to the other phone.
        words = [f"sip:a@{phone.address}:5090", "sip:carol@192.0.2.9", f"sip:{phone.address}:5090"]
        code, text = tools.kamcmd("dlg.bridge_dlg", *words)
        report.claim("kamcmd dlg.bridge_dlg", code == 0 and text == "", text)
        invite = phone.receive("INVITE")
        holds = invite is not None and "sip:controller@kamailio.org" in invite[0] and "0.0.0.0" in invite[0]
        report.claim("the first phone is called by the controller, with a body that holds the line", holds, invite and invite[0][:200])
        if invite is None:
            return
        phone.answer(invite, "200 OK")
        refer = phone.receive("REFER")
        report.claim("told to call the second", refer is not None and "Refer-To: <sip:carol@192.0.2.9>" in refer[0], refer and refer[0][-300:])
        if refer is None:
            return
        phone.answer(refer, "202 Accepted")
        phone.notify(invite, "200 OK")
        bye = phone.receive("BYE")
        report.claim("and hung up on when it has", bye is not None)
        if bye:
            phone.answer(bye, "200 OK")


def contacts(report, stage, tools):
    """A contact that kamctl adds at one node is every node's, and is taken back as it was added."""
    uri = "sip:bob@192.0.2.7:5060"
    code, text = tools.kamctl("ul", "add", "bob@example.org", uri, "600")
    report.claim("kamctl ul add", code == 0 and result_of(text) == {}, text[:200])
    code, text = tools.kamctl("ul", "show", "bob@example.org")
    found = [c["Contact"]["Address"] for c in (result_of(text) or {}).get("Contacts", [])]
    report.claim("kamctl ul show of it", found == [uri], text[:300])
    code, text = tools.kamctl("ul", "show")
    domain = (result_of(text) or {"Domains": [{"Domain": {}}]})["Domains"][0]["Domain"]
    report.claim("kamctl ul show", domain.get("Stats", {}).get("Records") == 1, text[:300])
    code, text = tools.kamcli("ul", "show")
    report.claim("kamcli ul show", code == 0 and uri in text, text[:300])
    code, text = tools.kamcmd("ul.lookup", "location", "s:bob")
    report.claim("kamcmd ul.lookup", code == 0 and f"Address: {uri}" in text, text[:300])
    other = stage.nodes[2]
    seen = stage.phones.wait(lambda: [a["address"] for a in other.rpc("cluster.contacts")["addresses"]] == ["bob"], 5)
    report.claim("another node has it", seen)
    code, text = stage.cluster.command("contacts", "list", "--node", other.url)
    report.claim("understudy contacts list shows it", code == 0 and uri in text, text)
    code, text = stage.cluster.command("contacts", "remove", "bob", "--node", other.url)
    report.claim("understudy contacts remove takes it back", code == 0 and text.strip() == "removed 1", text)
    gone = stage.phones.wait(lambda: "AOR not found" in tools.kamctl("ul", "show", "bob@example.org")[1], 5)
    report.claim("and it is gone where it was added", gone)
    code, text = stage.cluster.command("contacts", "show", "bob", "--node", other.url)
    report.claim("understudy contacts show says so", code == 1, text)


def ended(stage, call):
    return stage.phones.wait(lambda: call.ended_at and call.ended_by == "peer", 10)


def end(report, stage, tools, calls):
    dialogs = {d["call-id"]: d for d in result_of(tools.kamctl("dialog", "show")[1]) or []}
    one = dialogs[calls[0].call_id]
    code, text = tools.kamcmd("dlg.end_dlg", str(one["h_entry"]), str(one["h_id"]))
    report.claim("kamcmd dlg.end_dlg sends BYE", code == 0 and text == "" and ended(stage, calls[0]), text)
    code, text = tools.kamcmd("dlg.end_dlg", str(one["h_entry"]), str(one["h_id"]))
    report.claim("and is told the second time", "404 - Dialog not found" in text, text)
    two = dialogs[calls[1].call_id]
    words = [two["call-id"], two["caller"]["tag"], two["callee"]["tag"]]
    code, text = tools.kamcli("dialog", "terminate", *words)
    report.claim("kamcli dialog terminate sends BYE", code == 0 and result_of(text) == {} and ended(stage, calls[1]), text[:200])
    three = dialogs[calls[2].call_id]
    text = tools.mi("dlg_terminate_dlg", three["call-id"], three["caller"]["tag"], three["callee"]["tag"])
    report.claim("MI dlg_terminate_dlg sends BYE", text.startswith("200 OK") and ended(stage, calls[2]), text)


def crowd(report, stage, tools, quick):
    """A hundred at once, again and again, while calls are placed."""
    rate, seconds = (50, 4) if quick else (150, 15)
    phones = stage.phones
    before = len(phones.calls)
    phones.place(rate * seconds, rate, stage.front, Plan(hold=1.0))
    codes, worst, rounds = Counter(), 0.0, 2 if quick else 6
    for _ in range(rounds):
        begun = now()
        command = [tools.kamcmd_path, "-s", f"unix:{tools.folder}/ctl", "dlg.stats_active"]
        crowd = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(100)]
        for process in crowd:
            text, _ = process.communicate(timeout=60)
            codes["ongoing" if process.returncode == 0 and "ongoing:" in text else text[:80]] += 1
        worst = max(worst, now() - begun)
    report.claim(f"{100 * rounds} kamcmd, 100 at once, are answered", codes == {"ongoing": 100 * rounds}, dict(codes))
    report.figure("the slowest hundred took", f"{worst:.1f} s")
    phones.wait(lambda: len(phones.calls) - before == rate * seconds, 60)
    phones.wait(lambda: all(c.ended_at or c.failed_at for c in phones.calls[before:]), 20)
    told = Counter(c.code for c in phones.calls[before:])
    report.claim("and no call is lost meanwhile", told == {200: rate * seconds}, dict(told))
