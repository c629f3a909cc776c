"""Reads the articles of the catalog: the part of Markdown that they use, as blocks.

A block is a tuple whose first element says what it is:

    ("heading", level, text)   ("paragraph", text)   ("code", language, lines)
    ("table", cells of the header, rows of cells)    ("list", is numbered, items, each a list of blocks)

Texts are still inline Markdown; `spans` takes them apart. A block that is none of these, such as an HTML element, is
an error: what the articles cannot say here, no page of ours can show.
"""

import os
import re

from cluster import ROOT

CATALOG = os.path.join(ROOT, "Sources", "Node", "Understudy.docc")


class ArticleError(Exception):
    """Where an article cannot be read, and why."""


def names():
    """The articles' names, sorted."""
    return sorted(file[:-3] for file in os.listdir(CATALOG) if file.endswith(".md"))


def read(name):
    with open(os.path.join(CATALOG, name + ".md"), encoding="utf-8") as file:
        return blocks(file.read().splitlines(), name)


def blocks(lines, name):
    """All blocks of some lines."""
    found, at = [], 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            at += 1
        elif line.startswith("@"):
            at = skip_directive(lines, at, name)
        elif line.startswith("```"):
            end = next((i for i in range(at + 1, len(lines)) if lines[i].startswith("```")), None)
            if end is None:
                raise ArticleError(f"{name}: ``` without an end: {line}")
            found.append(("code", line[3:].strip(), lines[at + 1 : end]))
            at = end + 1
        elif line.startswith("    "):
            end = at
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            code = [text[4:] for text in lines[at:end]]
            while not code[-1].strip():
                code.pop()
            found.append(("code", "", code))
            at = end
        elif heading := re.match(r"(#{1,6}) (.*)", line):
            found.append(("heading", len(heading[1]), heading[2].strip()))
            at += 1
        elif line.startswith("|"):
            end = at
            while end < len(lines) and lines[end].startswith("|"):
                end += 1
            found.append(table(lines[at:end], name))
            at = end
        elif marker(line):
            at, block = listing(lines, at, name)
            found.append(block)
        elif line.startswith("<") and not re.match(r"<(doc:|https?:)", line):
            raise ArticleError(f"{name}: not known here: {line}")
        else:
            end = at
            while end < len(lines) and lines[end].strip() and not starts_block(lines[end]):
                end += 1
            end = max(end, at + 1)
            found.append(("paragraph", " ".join(text.strip() for text in lines[at:end])))
            at = end
    return found


def marker(line):
    return re.match(r"(- |\d+\. )", line)


def starts_block(line):
    return line.startswith(("```", "|", "# ", "## ", "### ", "#### ")) or marker(line)


def skip_directive(lines, at, name):
    depth = 0
    for index in range(at, len(lines)):
        depth += lines[index].count("{") - lines[index].count("}")
        if depth == 0:
            return index + 1
    raise ArticleError(f"{name}: a directive without an end: {lines[at]}")


def cells(line):
    parts = re.split(r"(?<!\\)\|", line.strip().strip("|") if not line.rstrip().endswith("\\|") else line.strip()[1:])
    return [part.strip().replace("\\|", "|") for part in parts]


def table(lines, name):
    if len(lines) < 2 or not re.fullmatch(r"[|\-: ]+", lines[1]):
        raise ArticleError(f"{name}: a table without its second line: {lines[0]}")
    header, rows = cells(lines[0]), [cells(line) for line in lines[2:]]
    for row in rows:
        if len(row) != len(header):
            raise ArticleError(f"{name}: {len(row)} cells where there are {len(header)} columns: {row}")
    return ("table", header, rows)


def listing(lines, at, name):
    items, numbered = [], lines[at][0].isdigit()
    while at < len(lines) and (found := marker(lines[at])):
        width = len(found[1])
        item = [lines[at][width:]]
        at += 1
        while at < len(lines) and (lines[at].startswith(" " * 2) or (not lines[at].strip() and more(lines, at, width))):
            item.append(lines[at][min(width, len(lines[at]) - len(lines[at].lstrip())) :])
            at += 1
        items.append(blocks(item, name))
        while at + 1 < len(lines) and not lines[at].strip() and marker(lines[at + 1]):
            at += 1
    return at, ("list", numbered, items)


def more(lines, at, width):
    """Whether a blank line is within an item: what follows it is indented as far."""
    return at + 1 < len(lines) and lines[at + 1].startswith(" " * width)


SPAN = re.compile(
    r"`` ?(?P<long>.+?) ?``|`(?P<code>[^`]+)`|\*\*(?P<bold>.+?)\*\*|(?<![\w*])\*(?P<italic>[^*\s][^*]*)\*(?![\w*])"
    r"|<doc:(?P<doc>[^>]+)>|<(?P<bare>https?://[^>]+)>|\[(?P<text>[^\]]+)\]\((?P<target>[^)]+)\)|\\(?P<plain>[\\`*_|<\[])"
)


def spans(text):
    """(kind, text, target) of each piece: text, code, bold, italic (whose text is inline again), doc, link."""
    at = 0
    for match in SPAN.finditer(text):
        if match.start() > at:
            yield "text", text[at : match.start()], None
        at = match.end()
        if match["long"] or match["code"]:
            yield "code", match["long"] or match["code"], None
        elif match["bold"]:
            yield "bold", match["bold"], None
        elif match["italic"]:
            yield "italic", match["italic"], None
        elif match["doc"]:
            yield "doc", "", match["doc"]
        elif match["bare"]:
            yield "link", match["bare"], match["bare"]
        elif match["plain"]:
            yield "text", match["plain"], None
        else:
            target = match["target"]
            yield ("doc", match["text"], target[4:]) if target.startswith("doc:") else ("link", match["text"], target)
    if at < len(text):
        yield "text", text[at:], None


def walk(found):
    """Every block, those within lists too."""
    for block in found:
        yield block
        if block[0] == "list":
            for item in block[2]:
                yield from walk(item)


def texts(found):
    """Every inline text of some blocks."""
    for block in walk(found):
        if block[0] == "heading":
            yield block[2]
        elif block[0] == "paragraph":
            yield block[1]
        elif block[0] == "table":
            for row in [block[1], *block[2]]:
                yield from row


def title(found):
    return next(block[2] for block in found if block[0] == "heading" and block[1] == 1)


def commands(found, language):
    """The lines of all code blocks in a language: what an article has its reader type."""
    for block in walk(found):
        if block[0] == "code" and block[1] == language:
            yield block[2]
