"""Acceptance: the documentation is whole, and what names the metrics is true. Two nodes with every kind of listener, target and peer are asked for
/metrics; the article Metrics, the alert rules and the dashboard name these and no others.

RERECORD=1 in the environment writes the article anew from what the nodes say.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.request
from html.parser import HTMLParser

import article
import sitepages
from certificates import Certificates
from cluster import Cluster, ROOT, find_binary
from peerstage import require

ARTICLE = os.path.join(article.CATALOG, "Metrics.md")
RULES = os.path.join(ROOT, "Deploy", "prometheus", "understudy.rules.yml")
TESTS = os.path.join(ROOT, "Deploy", "prometheus", "understudy.test.yml")
DASHBOARD = os.path.join(ROOT, "Deploy", "grafana", "understudy.json")
NAME = re.compile(r"understudy_[a-z0-9_]+")
HEAD = """# Metrics

Every metric that a node serves at `/metrics`, as it describes it itself.

## Overview

Prometheus' text format, without a token on loopback, with it elsewhere. Counters end in `_total` and start at 0 with the
process. What belongs to a member, a target or a state has it as a label. A metric that only matters when something is
wrong is always there, at 0, so that an alert can be written for it; those of connections are there when `sip.listen` has
a listener for them. <doc:Alerts> says which values want somebody's attention.

This page is written from what nodes say (`RERECORD=1 Deploy/acceptance metrics`).
"""
# What a name begins with, and the heading that it comes under; the first that fits.
GROUPS = [
    ("sip_", "SIP"),
    ("dialog", "Dialogs and records"),
    ("record", "Dialogs and records"),
    ("fact", "Dialogs and records"),
    ("tombstone", "Dialogs and records"),
    ("leg", "Dialogs and records"),
    ("answers_", "Dialogs and records"),
    ("takeover", "Acting for others"),
    ("byes_", "Acting for others"),
    ("intent", "Acting for others"),
    ("keepalive", "Acting for others"),
    ("target", "Targets"),
    ("all_targets", "Targets"),
    ("dns_", "Names"),
    ("bus_", "The bus"),
    ("commit", "The bus"),
    ("refresh", "The bus"),
    ("digest", "The bus"),
    ("peers_", "The bus"),
    ("member", "The bus"),
    ("view", "The node"),
    ("udp_", "Datagrams"),
    ("connect", "Connections"),
    ("stream", "Connections"),
    ("tls_", "Connections"),
    ("websocket_", "Connections"),
    ("certificate", "Connections"),
    ("calls_", "SIP"),
    ("call_", "SIP"),
    ("registrations", "The registrar"),
    ("contacts", "The registrar"),
    ("addresses", "The registrar"),
    ("script", "Scripts"),
    ("process_", "The process"),
    ("", "The node"),
]


def base(name):
    """A histogram's and a summary's series belong to it."""
    return re.sub(r"_(bucket|sum|count)$", "", name)


def scrape(text):
    """name → (kind, labels, help)."""
    kinds, helps, labels = {}, {}, {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            _, _, name, words = line.split(" ", 3)
            helps[name] = words
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ", 3)
            kinds[name] = kind
        elif line and not line.startswith("#"):
            name = re.match(r"[a-zA-Z0-9_]+", line)[0]
            name = name if name in kinds else base(name)
            found = set(re.findall(r'[{,]([a-z_]+)="', line)) - {"le"}
            labels.setdefault(name, set()).update(found)
    return {name: (kind, sorted(labels.get(name, ())), helps.get(name, "")) for name, kind in kinds.items()}


def page(found):
    groups = {}
    for name in found:
        short = name.removeprefix("understudy_")
        groups.setdefault(next(title for start, title in GROUPS if short.startswith(start)), []).append(name)
    lines = [HEAD]
    for title in dict.fromkeys(title for _, title in [("", "The node"), *GROUPS]):
        if title not in groups:
            continue
        lines += [f"## {title}", "", "| Metric | Kind | Labels | Meaning |", "|---|---|---|---|"]
        for name in sorted(groups[title]):
            kind, labels, words = found[name]
            shown = ", ".join(f"`{label}`" for label in labels) or "none"
            lines.append(f"| `{name}` | {kind} | {shown} | {words} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def ask(node):
    with urllib.request.urlopen(node.url + "/metrics", timeout=10) as answer:
        return answer.read().decode()


def names_in(path):
    """Every metric that a file of ours names, less the suffixes that PromQL gives histograms."""
    with open(path) as file:
        return {name for name in NAME.findall(file.read())}


def promtool(report, found_text):
    if shutil.which("promtool") is None:
        report.figure("promtool", "not installed, not asked")
        return
    for text, command, given in (
        ("promtool has nothing to say of the metrics", ["check", "metrics"], found_text),
        ("nor of the rules", ["check", "rules", RULES], None),
        ("alerts come when they should, and not before", ["test", "rules", TESTS], None),
    ):
        done = subprocess.run(["promtool", *command], input=given, capture_output=True, text=True, timeout=60, check=False)
        said = (done.stdout + done.stderr).strip()
        quiet = done.returncode == 0 and (given is None or not said)
        report.claim(text, quiet, "" if quiet else said[-400:])


def metrics(report, quick):
    """The article Metrics, the alert rules and the dashboard name the metrics that there are, and no others."""
    require("openssl", "openssl")
    folder = tempfile.mkdtemp(prefix="understudy-metrics-")
    certificates = Certificates(os.path.join(folder, "tls"), ["127.0.77.11", "127.0.77.12"])
    lines = ['sets: [{name: gateways, probe-interval-s: 1, to: ["sip:127.0.77.30"]}]']
    lines += ['routes: [{match: "sip:.*@example.org", set: gateways}]']
    try:
        with Cluster(folder, 2, advertise=[], certificates=certificates, extra_lines=lines) as cluster:
            cluster.start()
            text = ask(cluster.nodes[0])
            found = scrape(text)
        if os.environ.get("RERECORD") == "1":
            with open(ARTICLE, "w") as file:
                file.write(page(found))
        with open(ARTICLE) as file:
            written = file.read()
        told = {line.split("`")[1] for line in written.splitlines() if line.startswith("| `")}
        report.claim("the article has every metric", not set(found) - told, sorted(set(found) - told)[:10])
        report.claim("and no other", not told - set(found), sorted(told - set(found))[:10])
        report.claim("in the node's own words", written == page(found), "else: RERECORD=1 Deploy/acceptance metrics --quick")
        for path, what in ((RULES, "alert rules"), (TESTS, "their tests"), (DASHBOARD, "dashboard")):
            unknown = sorted(name for name in names_in(path) if name not in found and base(name) not in found)
            unknown = [name for name in unknown if not os.path.exists(os.path.join(os.path.dirname(path), name))]
            report.claim(f"the {what} name what there is", not unknown, unknown)
        with open(DASHBOARD) as file:
            panels = json.load(file)["panels"]
        bare = [panel["title"] for panel in panels if panel["type"] != "row" and not panel.get("description")]
        report.claim("every panel says what it shows", not bare, bare)
        with open(RULES) as file:
            alerts = re.findall(r"- alert: (\w+)", file.read())
        sections = {block[2] for block in article.read("Alerts") if block[0] == "heading" and block[1] == 2}
        report.claim("every alert has its section, and every section its alert", set(alerts) == sections - {"Overview"}, len(alerts))
        promtool(report, text)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Page(HTMLParser):
    """What a page links to, what in it can be linked to, and whether its elements are closed."""

    VOID = ("meta", "link", "br", "img", "hr")

    def __init__(self, text):
        super().__init__()
        self.links, self.names, self.open, self.wrong = [], set(), [], []
        self.feed(text)
        self.wrong += [f"{tag} is not closed" for tag in self.open]

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if "href" in attributes:
            self.links.append(attributes["href"])
        if "id" in attributes:
            if attributes["id"] in self.names:
                self.wrong.append(f"two are called {attributes['id']}")
            self.names.add(attributes["id"])
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> closes nothing")


def dead_links(folder, pages):
    """Links of each page to files or names that are not there."""
    for file, page in pages.items():
        for link in page.links:
            where, _, name = link.partition("#")
            if where.startswith(("http://", "https://")):
                continue
            target = where or file
            if not os.path.exists(os.path.join(folder, target)):
                yield f"{file}: {link}"
            elif name and name not in pages[target].names:
                yield f"{file}: {link}"


def documentation(report, quick):
    """Deploy/site writes every article, no link of it is dead, and the commands in the articles are commands that there are."""
    folder = tempfile.mkdtemp(prefix="understudy-site-")
    try:
        made = subprocess.run(
            [os.path.join(ROOT, "Deploy", "site"), folder], capture_output=True, text=True, timeout=60, check=False
        )
        report.claim("one command writes the site", made.returncode == 0, (made.stdout + made.stderr).strip()[-400:])
        pages = {}
        for file in sorted(os.listdir(folder)):
            if file.endswith(".html"):
                with open(os.path.join(folder, file), encoding="utf-8") as text:
                    pages[file] = Page(text.read())
        report.claim("with every article", len(pages) == len(article.names()), len(pages))
        wrong = [f"{file}: {what}" for file, page in pages.items() for what in page.wrong]
        report.claim("each page is whole", not wrong, wrong[:5])
        dead = list(dead_links(folder, pages))
        links = sum(len(page.links) for page in pages.values())
        report.claim("every link leads somewhere", not dead and links > 300, dead[:10] or f"{links} links")
        site = sitepages.Site()
        site.doc("Understudy", "NoSuchArticle")
        site.doc("Understudy", "Glossary#No such heading")
        site.link("Understudy", "nosuchfile.md")
        report.claim("a link that leads nowhere would be told", len(site.problems) == 3, site.problems)
        unknown = list(unknown_commands())
        report.claim("every command that the articles and README name is one", not unknown, unknown[:10])
        count, bad = configurations(folder)
        report.claim("every configuration in the articles is good", count >= 3 and not bad, bad or count)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def configurations(folder):
    """How many configurations the articles have, and what is wrong with them. A part is tried below a least head."""
    count, bad = 0, []
    for name in article.names():
        for lines in article.commands(article.read(name), "yaml"):
            text = "\n".join(lines) + "\n"
            if not text.startswith("node:"):
                text = ("" if "\nsip:" in "\n" + text else "sip: {listen: [udp://192.0.2.11:5060]}\n") + text
                text = "node: {name: n1}\n" + text.replace("sip:\n", "sip:\n  listen: [udp://192.0.2.11:5060]\n", 1)
            path = os.path.join(folder, "example.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            command = [find_binary(), "config", "check", "--elsewhere", path]
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
            count += 1
            if done.returncode != 0:
                bad.append(f"{name}: {done.stderr.strip()[:200]}")
    return count, bad


def command_names(command, path=()):
    """Every (sub)command's words, and the options that each takes."""
    options = {("--" if name["kind"] == "long" else "-") + name["name"]
               for argument in command.get("arguments", []) for name in argument.get("names", [])}
    yield path, options
    for sub in command.get("subcommands", []):
        yield from command_names(sub, (*path, sub["commandName"]))


def unknown_commands():
    """What is written as `understudy …` in an article or a file of Deploy, and is no command or has no such option."""
    asked = subprocess.run(
        [find_binary(), "--experimental-dump-help"], capture_output=True, text=True, timeout=20, check=True
    )
    known = dict(command_names(json.loads(asked.stdout)["command"]))
    texts = {"README": os.path.join(ROOT, "README.md")}
    for path in ("Containerfile", "understudy.service", os.path.join("kubernetes", "understudy.yaml")):
        texts[path] = os.path.join(ROOT, "Deploy", path)
    texts |= {name: os.path.join(article.CATALOG, name + ".md") for name in article.names() if name not in ("Changelog", "LogLines", "WireFormat")}
    for name, path in texts.items():
        with open(path, encoding="utf-8") as file:
            text = file.read()
        spans = re.findall(r"(?<!`)`understudy ([^`\n]+)`", text)
        spans += re.findall(r"(?m)^ *(?:\.build/release/|/usr/bin/)?understudy ([^\n#&|]+)", text)
        spans += re.findall(r"(?:'|=/usr/bin/|-- )understudy ([a-z][^'\n#&|]+)", text)
        for span in (span for span in spans if span.isascii()):  # Pictures are not.
            words = span.split()
            path_words = ()
            while words and (*path_words, words[0]) in known:
                path_words = (*path_words, words.pop(0))
            options = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
            if not path_words and words and words[0] != "help" and not words[0].startswith("-"):
                yield f"{name}: understudy {span}"
            elif options - known[path_words] - {"--help", "-h", "--version", "--generate-completion-script"}:
                yield f"{name}: understudy {span}"
