#!/usr/bin/env python3
"""usage: sitepages.py FOLDER

Writes the articles of the catalog as static pages into FOLDER, and prints where the first one is. Links between articles,
to headings of articles and to files of the repository are looked at: one that leads nowhere is an error, and nothing is
said to be done.
"""

import html
import os
import re
import shutil
import sys

sys.dont_write_bytecode = True

import article
from cluster import ROOT

FIRST = "Understudy"
STYLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sitepages.css")
# Left of an article's own headings.
TITLE = "Understudy"


def anchor(heading):
    """A heading's name in a link: its letters and digits, dashes between, in lower case."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"[`*]", "", heading).lower()).strip("-")


def file_of(name):
    return "index.html" if name == FIRST else f"{name}.html"


class Site:
    """All articles, and what is wrong with their links."""

    def __init__(self):
        self.articles = {name: article.read(name) for name in article.names()}
        self.titles = {name: article.title(found) for name, found in self.articles.items()}
        self.anchors = {
            name: {anchor(block[2]) for block in found if block[0] == "heading"} for name, found in self.articles.items()
        }
        self.problems = []

    # -- Links

    def doc(self, name, target):
        """Where `<doc:Name#Heading>` leads; a heading may be written as it is shown or as DocC writes it."""
        page, _, heading = target.partition("#")
        page = page or name
        if page not in self.articles:
            self.problems.append(f"{name}: no article is called {page}")
            return "#"
        if heading and anchor(heading) not in self.anchors[page]:
            self.problems.append(f"{name}: {page} has no heading {heading}")
        return ("" if page == name and heading else file_of(page)) + (f"#{anchor(heading)}" if heading else "")

    def link(self, name, target):
        if re.match(r"https?://|mailto:", target):
            return target
        path = os.path.normpath(os.path.join(article.CATALOG, target.partition("#")[0]))
        if not os.path.exists(path):
            self.problems.append(f"{name}: no file {target}")
        return target

    # -- HTML

    def inline(self, name, text):
        parts = []
        for kind, piece, target in article.spans(text):
            if kind == "code":
                parts.append(f"<code>{html.escape(piece)}</code>")
            elif kind in ("bold", "italic"):
                tag = "strong" if kind == "bold" else "em"
                parts.append(f"<{tag}>{self.inline(name, piece)}</{tag}>")
            elif kind == "doc":
                where = self.doc(name, target)
                shown = piece or self.titles.get(target.partition("#")[0], target)
                parts.append(f'<a href="{where}">{html.escape(shown)}</a>')
            elif kind == "link":
                parts.append(f'<a href="{html.escape(self.link(name, target))}">{html.escape(piece)}</a>')
            else:
                parts.append(html.escape(piece))
        return "".join(parts)

    def blocks(self, name, found):
        lines = []
        for block in found:
            if block[0] == "heading":
                where, tag = anchor(block[2]), f"h{block[1]}"
                text = self.inline(name, block[2])
                lines.append(f'<{tag} id="{where}"><a href="#{where}">{text}</a></{tag}>')
            elif block[0] == "paragraph":
                lines.append(f"<p>{self.inline(name, block[1])}</p>")
            elif block[0] == "code":
                code = html.escape("\n".join(block[2]))
                lines.append(f"<pre><code>{code}</code></pre>")
            elif block[0] == "table":
                lines.append(self.table(name, block))
            elif block[0] == "list":
                tag = "ol" if block[1] else "ul"
                items = "".join(f"<li>{self.item(name, item)}</li>\n" for item in block[2])
                lines.append(f"<{tag}>\n{items}</{tag}>")
        return "\n".join(lines)

    def item(self, name, found):
        if len(found) == 1 and found[0][0] == "paragraph":
            return self.inline(name, found[0][1])
        return self.blocks(name, found)

    def table(self, name, block):
        head = "".join(f"<th>{self.inline(name, cell)}</th>" for cell in block[1])
        rows = "".join(
            "<tr>" + "".join(f"<td>{self.inline(name, cell)}</td>" for cell in row) + "</tr>\n" for row in block[2]
        )
        return f'<div class="table"><table>\n<tr>{head}</tr>\n{rows}</table></div>'

    def topics(self):
        """(heading, names) of the first article's topics."""
        found, inside = [], False
        for block in self.articles[FIRST]:
            if block[0] == "heading" and block[1] == 2:
                inside = block[2] == "Topics"
            elif inside and block[0] == "heading":
                found.append((block[2], []))
            elif inside and block[0] == "list":
                found[-1][1].extend(target for item in block[2] for text in article.texts(item)
                                    for kind, _, target in article.spans(text) if kind == "doc")
        listed = [name for _, names in found for name in names]
        for name in sorted(set(self.articles) - set(listed) - {FIRST}):
            self.problems.append(f"{FIRST}: no topic lists {name}")
        return found

    def navigation(self, here):
        lines = [f'<a class="name" href="index.html">{TITLE}</a>']
        for heading, names in self.topics():
            lines += [f"<h2>{html.escape(heading)}</h2>", "<ul>"]
            for name in names:
                mark = ' class="here"' if name == here else ""
                lines.append(f'<li><a{mark} href="{file_of(name)}">{html.escape(self.titles.get(name, name))}</a></li>')
            lines.append("</ul>")
        return "\n".join(lines)

    def page(self, name):
        title = self.titles[name] if name == FIRST else f"{self.titles[name]} · {TITLE}"
        return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<link rel="stylesheet" href="style.css">
</head>
<body>
<div class="page">
<nav>
{self.navigation(name)}
</nav>
<main>
{self.blocks(name, self.articles[name])}
<footer>Written from Sources/Node/Understudy.docc/{name}.md by Deploy/site.</footer>
</main>
</div>
</body>
</html>
"""

    def write(self, folder):
        os.makedirs(folder, exist_ok=True)
        pages = {file_of(name): self.page(name) for name in self.articles}
        if self.problems:
            return sorted(set(self.problems))
        for file, text in pages.items():
            with open(os.path.join(folder, file), "w", encoding="utf-8") as out:
                out.write(text)
        shutil.copy(STYLE, os.path.join(folder, "style.css"))
        return []


def readme_problems():
    """Links of README to files that are not there."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        targets = re.findall(r"\]\(([^)#]+)", file.read())
    return [
        f"README: no file {target}"
        for target in targets
        if not target.startswith("http") and not os.path.exists(os.path.join(ROOT, target))
    ]


def main():
    if len(sys.argv) != 2:
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 64
    try:
        problems = Site().write(sys.argv[1]) + readme_problems()
    except article.ArticleError as error:
        problems = [str(error)]
    for problem in problems:
        print(f"Deploy/site: {problem}", file=sys.stderr)
    if problems:
        return 1
    print(os.path.join(sys.argv[1], "index.html"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
