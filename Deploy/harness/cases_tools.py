"""Acceptance: Kamailio's tools, as Debian ships them, against a node that carries calls."""

import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections import Counter

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
        with stage:
            phones = stage.phones
            calls = stage.establish(4, 20, stage.front, Plan(hold=None))
            stage.in_every_record_as("confirmed", calls)
            look(report, tools, calls)
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
