"""Writes the article on mechanisms that were switched off: python3 mutants.py LIST RESULTS COMMIT."""

import pathlib
import sys

HEAD = """# Mechanisms switched off

What the simulator finds when a mechanism of the core is missing.

## Overview

A check that never fires proves nothing. `Deploy/mutants` builds `understudy-sim` with `MUTANTS` in the environment, in
which each mechanism below can be switched off by its name (`--mutant NAME`), and runs seeds until one shows a violation
that it does not show with everything in place. Nothing of that is in any other build. "Reached" says in how many of the
seeds the mechanism would have been at work. The codes are those of <doc:Architecture>, "What must hold on every seed".

Written by `Deploy/mutants --write` at {commit}: {found} of {all} found.

| Switched off | What is missing then | Options | Found by | Seeds | Reached in |
|---|---|---|---|---|---|
"""


def main(list_path, results, commit):
    rows, found = [], 0
    for line in pathlib.Path(list_path).read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        name, options, text = (part.strip() for part in line.split("|", 2))
        path = pathlib.Path(results, name)
        said = path.read_text(encoding="utf-8").strip().splitlines() if path.exists() else []
        parts = said[-1].split("|", 5) if said else ["", "", "", "", "", ""]
        is_found = parts[0] == "found"
        found += is_found
        code = f"{parts[1]}, seed {parts[2]}" if is_found else "not found" if said else "not looked for"
        shown = f"`{options}`" if options else ""
        rows.append(f"| `{name}` | {text} | {shown} | {code} | {parts[3]} | {parts[4]} |")
    print(HEAD.format(commit=commit, found=found, all=len(rows)) + "\n".join(rows))


main(*sys.argv[1:])
