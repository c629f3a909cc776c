#!/usr/bin/env python3
"""usage: manual.py HELP.json VERSION FOLDER

Writes manual pages into FOLDER/man1 and FOLDER/man5: one for understudy and one for each of its commands, from what
`understudy --experimental-dump-help` says, so that they cannot differ from --help; and understudy.yaml(5) from the
article Configuration.
"""

import json
import os
import re
import sys

sys.dont_write_bytecode = True

import article

PROGRAM = "understudy"
ENVIRONMENT = [
    ("UNDERSTUDY_NODE", "The node to ask where --node is not given: a management URL, or a name."),
    ("UNDERSTUDY_TOKEN_FILE", "A file whose first line is the management token."),
    ("UNDERSTUDY_…", "Every key of the configuration: sip.t1-ms is UNDERSTUDY_SIP_T1_MS."),
]


def escape(text):
    """Text as roff: no control line, no hyphen where a minus is meant."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"(?m)^([.'])", r"\\&\1", text)


def head(name, section, version):
    return [f'.TH {escape(name.upper())} {section} "" "Understudy {version}" "Understudy"', ".nh", ".ad l"]


def paragraphs(text):
    for part in re.split(r"\n\s*\n", text.strip()):
        yield " ".join(part.split())


def option_names(argument):
    return [("-" if name["kind"] == "short" else "--") + name["name"] for name in argument.get("names", [])]


def in_usage(argument):
    """An option as the synopsis has it."""
    value = f"\\fI{escape(argument.get('valueName', ''))}\\fR"
    if argument["kind"] == "positional":
        text = value
    else:
        names = option_names(argument)
        text = f"\\fB{escape(max(names, key=len))}\\fR" + (f" {value}" if argument["kind"] == "option" else "")
    if argument.get("isRepeating"):
        text += " ..."
    return f"[{text}]" if argument.get("isOptional") else text


def option(argument):
    value = f" \\fI{escape(argument['valueName'])}\\fR" if argument["kind"] == "option" else ""
    names = [f"\\fB{escape(name)}\\fR{value}" for name in sorted(option_names(argument), key=len)]
    if argument["kind"] == "positional":
        names = [f"\\fI{escape(argument['valueName'])}\\fR"]
    text = argument.get("abstract", "") or argument.get("discussion", "")
    if argument.get("allValues"):
        text += f" One of {', '.join(argument['allValues'])}."
    if argument.get("defaultValue"):
        text += f" Default: {argument['defaultValue']}."
    return [".TP", ", ".join(names), escape(text.strip())]


def shown(command):
    return [a for a in command.get("arguments", []) if a.get("shouldDisplay", True)]


def page(command, path, version):
    """One command's page: its lines."""
    name = "-".join(path)
    subcommands = [c for c in command.get("subcommands", []) if c["commandName"] != "help"]
    lines = head(name, 1, version)
    abstract = command.get("abstract", "").rstrip(".")
    lines += [".SH NAME", f"{escape(name)} \\- {escape(abstract)}", ".SH SYNOPSIS", f"\\fB{escape(' '.join(path))}\\fR"]
    if subcommands:
        lines.append("\\fIcommand\\fR ...")
    lines += [in_usage(argument) for argument in shown(command) if "help" not in str(argument.get("names"))]
    lines.append(".SH DESCRIPTION")
    exits = None
    for text in paragraphs(command.get("discussion") or command.get("abstract", "")):
        if text.startswith("Exit codes: "):
            exits = text.removeprefix("Exit codes: ")
        else:
            lines += [".PP", escape(text)]
    if subcommands:
        lines.append(".SH COMMANDS")
        for sub in subcommands:
            lines += [".TP", f"\\fB{escape('-'.join([*path, sub['commandName']]))}\\fR(1)", escape(sub.get("abstract", ""))]
    if shown(command):
        lines.append(".SH OPTIONS")
        for argument in shown(command):
            lines += option(argument)
    if exits:
        lines += [".SH EXIT STATUS", escape(exits[0].upper() + exits[1:])]
    if len(path) == 1:
        lines.append(".SH ENVIRONMENT")
        for variable, text in ENVIRONMENT:
            lines += [".TP", f"\\fB{variable}\\fR", escape(text)]
        lines += [".SH FILES", ".TP", ".I /etc/understudy/understudy.yaml", "The node's configuration."]
        lines += [".TP", ".I /etc/understudy/cluster.key", "The key that all nodes of the cluster share."]
    others = [f"\\fB{PROGRAM}.yaml\\fR(5)"]
    if len(path) > 1:
        others.insert(0, f"\\fB{escape('-'.join(path[:-1]))}\\fR(1)")
    return lines + [".SH SEE ALSO", ",\n".join(others)]


def inline(text):
    """An article's inline text as roff."""
    parts = []
    for kind, piece, target in article.spans(text):
        if kind == "doc":
            parts.append(f"the article {escape(piece or target.split('#')[0])}")
        elif kind in ("code", "bold"):
            parts.append(f"\\fB{escape(piece)}\\fR" if kind == "code" else f"\\fB{inline(piece)}\\fR")
        elif kind == "italic":
            parts.append(f"\\fI{inline(piece)}\\fR")
        else:
            parts.append(escape(piece))
    return "".join(parts)


def roff(blocks):
    """An article's blocks, without its title."""
    lines = []
    for block in blocks:
        if block[0] == "heading" and block[1] > 1:
            lines.append(f'.{"SH" if block[1] == 2 else "SS"} "{escape(block[2])}"')
        elif block[0] == "paragraph":
            lines += [".PP", inline(block[1])]
        elif block[0] == "code":
            lines += [".PP", ".RS 4", ".nf", *[escape(line) or ".sp" for line in block[2]], ".fi", ".RE"]
        elif block[0] == "table":
            for row in block[2]:
                extra = [f"{name}: {cell}" for name, cell in zip(block[1][2:], row[2:])]
                lines += [".TP", inline(row[0]), inline(". ".join([row[1], *extra])) + "."]
        elif block[0] == "list":
            for item in block[2]:
                lines += [".IP \\(bu 2", *roff(item)[1:]]
    return lines


def configuration(version):
    found = article.read("Configuration")
    lines = head(f"{PROGRAM}.yaml", 5, version) + [".SH NAME", f"{PROGRAM}.yaml \\- configuration of an Understudy node"]
    lines.append(".SH DESCRIPTION")
    lines += roff([block for block in found if block[:2] != ("heading", 1)])
    return lines + [".SH SEE ALSO", f"\\fB{PROGRAM}\\fR(1), \\fB{PROGRAM}\\-config\\-check\\fR(1)"]


def write(folder, section, name, lines):
    path = os.path.join(folder, f"man{section}", f"{name}.{section}")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def commands(command, path):
    """(path, command) of a command and of all below it."""
    yield path, command
    for sub in command.get("subcommands", []):
        if sub["commandName"] != "help":
            yield from commands(sub, [*path, sub["commandName"]])


def main():
    if len(sys.argv) != 4:
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 64
    with open(sys.argv[1], encoding="utf-8") as file:
        root = json.load(file)["command"]
    version, folder = sys.argv[2:]
    for path, command in commands(root, [root["commandName"]]):
        write(folder, 1, "-".join(path), page(command, path, version))
    write(folder, 5, f"{PROGRAM}.yaml", configuration(version))
    return 0


if __name__ == "__main__":
    sys.exit(main())
