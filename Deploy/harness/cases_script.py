"""Acceptance: scripts that go wrong beside calls that must not notice, and one Lua file in Kamailio and in the nodes.

    beside:   caller ──▶ Kamailio with app_lua ──▶ two callees        the same messages at every end
              caller ──▶ n1 with the same file ──▶ two callees
"""

import glob
import os
import select
import time

import sip
from cases_services import Desk
from cluster import Cluster, note
from loop import now
from nodestage import NodeStage
from party import Plan
from peerstage import Absent, metrics, require
from phones import Phones
from processes import start_kamailio, version

# -- Scripts that go wrong

BAD = """
local function deep() return 1 + deep() end
local faults = {
  loop = function() while true do end end,
  caught = function() while true do pcall(function() while true do end end) end end,
  text = function() return string.rep("x", 1e9) end,
  growing = function() local s = "x" while true do s = s .. s end end,
  raised = function() error("raised in the request route") end,
  deep = deep,
  required = function() return require("no.such.module") end,
  unknown = function() KSR.no_such.thing() end,
  edit = function() KSR.hdr.append("this is no header") end,
}
function ksr_request_route()
  local user = KSR.pv.gete("$rU")
  if faults[user] then faults[user]() end
  if user == "exit" then
    pcall(function() KSR.sl.send_reply(486, "Busy") KSR.x.exit() end)
    error("went on behind an exit")
  end
  if KSR.siputils.has_totag() > 0 then
    KSR.rr.loose_route()
    KSR.tm.t_relay()
    return
  end
  KSR.rr.record_route()
  KSR.tm.t_on_branch("in_branch")
  KSR.tm.t_on_reply("in_reply")
  KSR.tm.t_on_failure("in_failure")
  KSR.tm.t_on_branch_failure("in_branch_failure")
  KSR.tm.t_relay()
end
local function fails(route)
  if KSR.pv.gete("$tU") == "every" then error("raised in " .. route) end
end
function in_branch() fails("the branch route") end
function in_reply() fails("the onreply route") end
function ksr_reply_route() fails("the reply route") end
function in_failure() fails("the failure route") end
function in_branch_failure() fails("the branch-failure route") end
function ksr_onsend_route() fails("the onsend route") end
"""
# What the log must say of each: a part of the reason.
REASONS = {
    "loop": "instructions in one run",
    "caught": "instructions in one run",
    "text": "memory",
    "growing": "memory",
    "raised": "raised in the request route",
    "deep": "overflow",
    "required": "no.such.module",
    "unknown": "no_such",
    "edit": "KSR.hdr.append",
}
TRIES = 3
EVERY = ["branch", "onsend", "reply", "onreply", "branch-failure", "failure"]


class ScriptStage(NodeStage):
    """Three nodes that run a script of the case's own, with what else `script:` says and further lines.

    There is no balancer: each node names itself, unless all have one name.
    """

    def __init__(self, report, text, options="", extra=(), is_one_name=False):
        super().__init__(report, "script")
        self.script = self.write("route.lua", text)
        lines = [f"script: {{lua: {self.script}{options}}}", *extra]
        self.cluster = Cluster(self.folder, 3, name="script", extra_lines=lines)
        if not is_one_name:
            self.cluster.advertise = []

    def desk(self, last, port=0):
        return Desk(self.cluster.host(last), port)


def failures(node):
    """The lines of a node's log that say that a route has failed."""
    with open(node.log, errors="replace") as log:
        return [line for line in log.read().splitlines() if "a route of the script failed" in line]


def bad_scripts(report, quick):
    """Loops, a gigabyte of text, errors in every route: 500 within 50 ms, a line in the log, and 300 calls/s beside it."""
    seconds = 6 if quick else 20
    with ScriptStage(report, BAD) as stage:
        node = stage.nodes[0]
        with stage.desk(31) as desk, stage.desk(32) as callee:
            one_by_one(report, stage, desk)
            every_route(report, node, desk, callee)
            beside_calls(report, stage, desk, seconds)


def ask(desk, node, user, call):
    """The status of the final answer to an INVITE for a user, and the milliseconds until it came."""
    began = time.monotonic()
    desk.request(node, "INVITE", f"sip:{user}@{desk.host}:9", call)
    told, _ = desk.wait(lambda m: not m.is_request and m.code >= 200 and m.get("call-id") == call, 4.0)
    took = (time.monotonic() - began) * 1000
    if told:
        acknowledge(desk, node, told, f"sip:{user}@{desk.host}:9")
    return told and told.code, took


def acknowledge(desk, node, answer, uri):
    """The ACK of a refusal, by the transaction of its INVITE (RFC 3261 §17.1.1.3)."""
    fields = [("Via", answer.vias[0]), ("Max-Forwards", "70"), ("From", answer.get("from")), ("To", answer.get("to"))]
    fields += [("Call-ID", answer.call_id), ("CSeq", f"{answer.cseq} ACK")]
    desk.sock.sendto(sip.write(f"ACK {uri} SIP/2.0", fields), node.sip)


def one_by_one(report, stage, desk):
    node = stage.nodes[0]
    before = metrics(node)
    for user, reason in REASONS.items():
        # The fastest of three: what else the machine does is not the node's.
        told = [ask(desk, node, user, f"bad-{user}-{number}") for number in range(TRIES)]
        codes, took = {code for code, _ in told}, min(took for _, took in told)
        report.claim(f"{user}: 500 within 50 ms", codes == {500} and took <= 50, f"{codes}, {took:.1f} ms")
        time.sleep(0.05)
        said = [line for line in failures(node) if reason in line and "route.lua" in line]
        report.claim(f"{user}: a line in the log, with its file", bool(said), said[-1][-120:] if said else "none")
    code, took = ask(desk, node, "exit", "bad-exit")
    report.claim("nothing goes on behind an exit that a pcall is around", code == 486, code)
    counted = {name: metrics(node)[name] - before[name] for name in before if name.startswith("understudy_script_")}
    errors = counted["understudy_script_errors_total"]
    report.claim("each is counted", errors == TRIES * len(REASONS), errors)
    steps, memory = counted["understudy_script_step_limits_total"], counted["understudy_script_memory_limits_total"]
    report.claim("those that took too long or too much apart", steps == 3 * TRIES and memory >= TRIES, f"{steps}, {memory}")


def every_route(report, node, desk, callee):
    """An error in any route but the first leaves the message as it was."""
    before = len(failures(node))
    uri = f"sip:every@{callee.host}:{callee.port}"
    desk.request(node, "INVITE", uri, "every")
    invite, source = callee.asked("INVITE")
    report.claim("a request whose branch and onsend routes fail goes on", invite is not None and invite.uri == uri)
    if invite is None:
        return
    callee.answer(invite, source, 180)
    ringing, _ = desk.wait(lambda m: not m.is_request and m.code == 180)
    report.claim("so does a response whose reply routes fail", ringing is not None)
    callee.answer(invite, source, 486)
    told = desk.told("INVITE")
    report.claim("and the best response, where the failure routes do", told is not None and told.code == 486)
    if told:
        acknowledge(desk, node, told, uri)
    time.sleep(0.1)
    said = failures(node)[before:]
    missing = [route for route in EVERY if not any(f"raised in the {route} route" in line for line in said)]
    report.claim("each of them has its line in the log", not missing, ", ".join(missing))


def beside_calls(report, stage, desk, seconds):
    node, rate = stage.nodes[0], 300
    phones = Phones((stage.cluster.host(22), 5080), (stage.cluster.host(21), 5070))
    try:
        phones.place(rate * seconds, rate, node.sip, Plan(hold=1.0))
        end, times, wrong, asked = now() + seconds, [], [], 0
        while now() < end:
            for user in REASONS:
                time.sleep(0.08)  # A loop takes its share of the SIP thread: some milliseconds each.
                code, took = ask(desk, node, user, f"beside-{asked}-{user}")
                asked += 1
                times.append(took)
                wrong += [f"{user} {code}"] if code != 500 else []
        phones.wait(lambda: len(phones.calls) == rate * seconds and all(c.ended_at or c.failed_at for c in list(phones.calls)), 15)
        good = sum(1 for call in phones.calls if call.ended_at and not call.failed_at)
        repeated = phones.caller.counts["retransmissions"] + phones.callee.counts["retransmissions"]
        times.sort()
        middle, late = times[len(times) // 2], sum(1 for took in times if took > 50)
        report.figure("requests that go wrong meanwhile", f"{asked}, median {middle:.1f} ms, {late} above 50 ms, worst {times[-1]:.0f} ms")
        report.claim("each of them has its 500", not wrong, wrong[:5])
        report.claim("nine of ten within 50 ms", late * 10 <= asked, late)
        report.claim(f"{rate} calls a second beside them are answered and end", good == rate * seconds, good)
        report.claim("without a retransmission", repeated == 0, f"{repeated}, timers late {phones.loop.latest * 1000:.0f} ms")
    finally:
        phones.close()
    report.claim("the node is up", (node.status() or {}).get("state") == "up")


# -- The same file in Kamailio and here

CONFIGURATION = """\
#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=2
disable_tcp=yes
auto_aliases=no
dns=no
rev_dns=no
listen=udp:@HOST@:5060
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "corex.so"
loadmodule "cfgutils.so"
loadmodule "kemix.so"
loadmodule "app_lua.so"
modparam("tm", "failure_reply_mode", 3)
modparam("rr", "enable_full_lr", 1)
modparam("app_lua", "load", "@FILE@")
cfgengine "lua"
"""

ROUTES = """
local second = "sip:second@" .. "@SECOND@"
function ksr_request_route()
  if KSR.is_CANCEL() then
    if KSR.tm.t_check_trans() > 0 then KSR.tm.t_relay() end
    return 1
  end
  if KSR.siputils.has_totag() > 0 then
    if KSR.rr.loose_route() > 0 then
      KSR.tm.t_relay()
    elseif KSR.is_ACK() then
      if KSR.tm.t_check_trans() > 0 then KSR.tm.t_relay() end
    else
      KSR.sl.send_reply(404, "Not here")
    end
    return 1
  end
  if KSR.is_ACK() then return 1 end
  KSR.tm.t_check_trans()
  KSR.rr.record_route()
  local user = KSR.pv.get("$rU")
  if user == "sleeps" then KSR.cfgutils.usleep(300000) end
  if user == "silent" then KSR.tm.t_set_fr(5000, 700) end
  if user == "unheard" then KSR.tm.t_set_fr(900, 5000) end
  KSR.tm.t_on_reply("on_reply")
  KSR.tm.t_on_failure("on_failure")
  KSR.pv.sets("$ru", "sip:" .. user .. "@" .. "@FIRST@")
  if user == "both" then KSR.corex.append_branch_uri(second) end
  if KSR.tm.t_relay() < 0 then KSR.sl.sl_reply_error() end
  return 1
end
function on_reply()
  if KSR.kx.get_status() == 302 then KSR.pv.sets("$avp(moved)", KSR.hdr.get("Contact")) end
  KSR.hdr.append("X-Seen: " .. KSR.kx.get_status() .. "\\r\\n")
  return 1
end
function on_failure()
  if KSR.tm.t_is_canceled() > 0 then return 1 end
  if KSR.pv.get("$avp(round)") then return 1 end
  KSR.pv.sets("$avp(round)", "2")
  if KSR.tm.t_check_status("486|408") > 0 then
    KSR.pv.sets("$ru", second)
    KSR.hdr.append("X-Round: 2\\r\\n")
  elseif KSR.tm.t_check_status("302") > 0 then
    KSR.pv.sets("$ru", string.match(KSR.pv.get("$avp(moved)"), "<(.-)>"))
  else
    return 1
  end
  KSR.tm.t_on_reply("on_reply")
  KSR.tm.t_on_failure("on_failure")
  KSR.tm.t_relay()
  return 1
end
"""


class Script:
    """What the ends of one call do: by end, what each answers to an INVITE (`seconds, status`), and what the caller does."""

    def __init__(self, user, first=(), second=(), cancels=None, crosses=False, kills=False):
        self.user, self.first, self.second = user, first, second
        self.cancels = cancels  # the end whose ringing makes the caller cancel
        self.crosses = crosses  # the second answers 200 when it is cancelled
        self.kills = kills  # another node is killed meanwhile


SCRIPTS = {
    "486, then the second target": Script("busy", [(0, 180), (0.1, 486)], [(0, 180), (0.1, 200)]),
    "486 of both": Script("busy", [(0.05, 486)], [(0, 180), (0.1, 486)]),
    "302 to its contact": Script("moves", [(0.05, 302)], [(0, 180), (0.1, 200)]),
    "silence, then voicemail": Script("silent", [], [(0.05, 200)]),
    "ringing for too long, then voicemail": Script("unheard", [(0, 180)], [(0.05, 200)]),
    "CANCEL in the second round": Script("busy", [(0.05, 486)], [(0, 180)], cancels="second"),
    "CANCEL in the first round": Script("busy", [(0, 180)], cancels="first"),
    "two 200s": Script("both", [(0, 180), (0.3, 200)], [(0.1, 180)], crosses=True),
    "603 of the first": Script("busy", [(0.05, 603)]),
    "waits 300 ms while another node is killed": Script("sleeps", [(0, 180), (0.1, 200)], kills=True),
}


class Play:
    """One call by way of a proxy, as its three ends see it: `seen` by end, copies left out."""

    def __init__(self, proxy, script, ends, number, meanwhile=None):
        self.meanwhile = meanwhile
        self.proxy, self.script, self.ends, self.call = proxy, script, ends, f"beside-{number}-{proxy[0]}"
        self.seen = {name: [] for name in ends}
        self.known, self.agenda, self.invites = set(), [], {}
        self.branch = f"z9hG4bK{os.urandom(6).hex()}"
        self.cancelled, self.confirmed = False, 0

    def later(self, seconds, action, *arguments):
        self.agenda.append((time.monotonic() + seconds, action, arguments))

    def begin(self):
        self.send_invite()
        if self.meanwhile:
            self.later(0.1, self.meanwhile)

    def go_on(self):
        due = [entry for entry in self.agenda if entry[0] <= time.monotonic()]
        self.agenda = [entry for entry in self.agenda if entry not in due]
        for _, action, arguments in due:
            action(*arguments)

    def request(self, method, uri, branch, cseq, to, routes=()):
        desk = self.ends["caller"]
        fields = [("Via", f"SIP/2.0/UDP {desk.host}:{desk.port};branch={branch};rport"), ("Max-Forwards", "70")]
        fields += [("Route", route) for route in routes]
        fields += [("From", f"<sip:alice@{desk.host}>;tag={self.call}"), ("To", to), ("Call-ID", self.call)]
        fields += [("CSeq", f"{cseq} {method}"), ("Contact", f"<sip:alice@{desk.host}:{desk.port}>")]
        desk.sock.sendto(sip.write(f"{method} {uri} SIP/2.0", fields), self.proxy)

    @property
    def uri(self):
        return f"sip:{self.script.user}@{self.proxy[0]}"

    def send_invite(self):
        self.request("INVITE", self.uri, self.branch, 1, f"<{self.uri}>")

    def receive(self, name, message, source):
        if message.is_request:
            self.asked(name, message, source)
        else:
            self.answered(message)

    # -- The callees

    def asked(self, name, message, source):
        key = (name, message.method, message.via.branch, message.cseq)
        if key in self.known:
            return
        self.known.add(key)
        hops = "recorded" if message.record_routes else ""
        marks = " ".join(part for part in (hops, message.get("x-round"), message.get("x-seen")) if part)
        # A failure is acknowledged hop by hop: an end of the proxy's own, with its Request-URI.
        self.seen[name].append(f"{message.method} {message.uri} {marks}".strip())
        if message.method == "INVITE":
            self.invites[name] = (message, source)
            for seconds, code in getattr(self.script, name):
                self.later(seconds, self.answer, name, code)
        elif message.method in ("CANCEL", "BYE"):
            self.reply(name, message, source, 200)
            if message.method == "CANCEL" and name in self.invites:
                self.agenda = [entry for entry in self.agenda if entry[2][:1] != (name,)]
                self.answer(name, 200 if self.script.crosses and name == "second" else 487)

    def answer(self, name, code):
        message, source = self.invites[name]
        self.reply(name, message, source, code)

    def reply(self, name, message, source, code):
        desk = self.ends[name]
        other = self.ends["second"]
        contact = f"<sip:moved@{other.host}:{other.port}>" if code == 302 else f"<sip:{name}@{desk.host}:{desk.port}>"
        data = sip.answer(message, code, source, name, [("Contact", contact)], record_route=True)
        desk.sock.sendto(data, message.via.answer_goes_to(source))

    # -- The caller

    def answered(self, message):
        tag = sip.tag_of(message.get("to"))
        key = ("caller", message.code, message.cseq, message.method, tag)
        if key in self.known or message.code == 100:
            return
        self.known.add(key)
        # Tags that a proxy makes are its own.
        by = tag if tag in self.ends else ""
        said = f"{message.code} {message.method} {by} {message.get('x-seen')} {'recorded' if message.record_routes else ''}"
        self.seen["caller"].append(" ".join(said.split()))
        if message.method != "INVITE":
            return
        if message.code >= 300:
            self.request("ACK", self.uri, self.branch, 1, message.get("to"))
        elif message.code >= 200:
            self.established(message)
        elif self.script.cancels == tag and not self.cancelled:
            self.cancelled = True
            self.request("CANCEL", self.uri, self.branch, 1, f"<{self.uri}>")

    def established(self, message):
        routes, target = list(reversed(message.record_routes)), sip.uri_of(message.get("contact"))
        self.request("ACK", target, f"z9hG4bK{os.urandom(6).hex()}", 1, message.get("to"), routes)
        # Of two dialogs one after the other: their ends are then in one order.
        branch = f"z9hG4bK{os.urandom(6).hex()}"
        self.later(0.4 + 0.3 * self.confirmed, self.request, "BYE", target, branch, 2, message.get("to"), routes)
        self.confirmed += 1


def perform(plays, seconds=4.5):
    """Calls of the same ends, at the same time."""
    ends, by_call = plays[0].ends, {play.call: play for play in plays}
    for play in plays:
        play.begin()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ready, _, _ = select.select([desk.sock for desk in ends.values()], [], [], 0.01)
        for name, desk in ends.items():
            if desk.sock in ready:
                data, source = desk.sock.recvfrom(65536)
                message = sip.parse(data)
                play = message and by_call.get(message.get("call-id"))
                if play:
                    play.receive(name, message, source)
        for play in plays:
            play.go_on()


class Kamailio:
    """Debian's, with app_lua and the script of the case."""

    def __init__(self, stage, host, script):
        require("kamailio", "kamailio")
        if not glob.glob("/usr/lib/*/kamailio/modules/app_lua.so"):
            raise Absent("Kamailio's app_lua is not installed: apt-get install kamailio-lua-modules")
        folder = os.path.join(stage.folder, "kamailio-lua")
        os.makedirs(folder, exist_ok=True)
        file = os.path.join(folder, "kamailio.cfg")
        with open(file, "w") as configuration:
            configuration.write(CONFIGURATION.replace("@HOST@", host).replace("@FILE@", script))
        self.address = (host, 5060)
        start_kamailio(stage.cluster.processes, "kamailio-lua", folder, file)


def beside_kamailio(report, quick):
    """One Lua file in Kamailio and in the nodes: rounds, redirects, timers, CANCELs and two 200s look alike."""
    if not glob.glob("/usr/lib/*/kamailio/modules/app_lua.so"):
        raise Absent("Kamailio's app_lua is not installed: apt-get install kamailio-lua-modules")
    stage = ScriptStage(report, ROUTES)
    callees = stage.cluster.host(21)
    stage.write("route.lua", ROUTES.replace("@FIRST@", f"{callees}:5070").replace("@SECOND@", f"{callees}:5072"))
    with stage:
        run_beside(report, stage, quick)


def run_beside(report, stage, quick):
    """One after the other, or all at once: each message is its call's."""
    ends = {"caller": stage.desk(22, 5080), "first": stage.desk(21, 5070), "second": stage.desk(21, 5072)}
    try:
        kamailio = Kamailio(stage, stage.cluster.host(20), stage.script)
        report.figure("beside", version(require("kamailio", "kamailio")))
        pairs = []
        for number, (name, script) in enumerate(SCRIPTS.items()):
            theirs = Play(kamailio.address, script, ends, number)
            ours = Play(stage.nodes[0].sip, script, ends, number, stage.nodes[-1].kill if script.kills else None)
            pairs.append((name, theirs, ours))
        if quick:
            perform([play for _, theirs, ours in pairs for play in (theirs, ours)])
        else:
            for _, theirs, ours in pairs:
                perform([theirs])
                perform([ours])
        for name, theirs, ours in pairs:
            compare(report, name, theirs.seen, ours.seen)
        failed = failures(stage.nodes[0])
        report.claim("no route has failed", not failed, failed[:2])
    finally:
        for desk in ends.values():
            desk.sock.close()


def compare(report, name, theirs, ours):
    same = theirs == ours
    report.claim(f"{name}: every end sees what it sees with Kamailio", same)
    for end in theirs:
        if theirs[end] != ours[end]:
            note(f"    {end} with Kamailio: {theirs[end]}")
            note(f"    {end} here:          {ours[end]}")
    report.claim(f"{name}: and something", all(theirs[end] for end in ("caller", "first")))
