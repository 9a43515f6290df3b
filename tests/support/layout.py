#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# layout.py TARBALL LAYOUT: does a tarball hold what it should, with the right modes, and nothing else?
# A line of LAYOUT is "MODE PATH" or "link PATH TARGET"; MODE has four octal digits, PATH and TARGET are patterns (*, ?, [])
# in which * does not cross a '/', and ** does. A '?' before MODE: it may be missing. "#" begins a comment. What is not listed may not be
# there, but for folders, whose modes count only if they are listed (with a '/' at the end).
# Prints a line for each difference; the exit status is 1 if there is one.
import re
import sys
import tarfile


def pattern(text):
    parts = re.split(r"(\*\*|\*|\?)", text)
    words = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(words.get(p) or re.escape(p) for p in parts) + r"\Z")


def read(path):
    rules = []
    for line in open(path, encoding="utf-8"):
        words = line.split("#")[0].split()
        if not words:
            continue
        optional = words[0] == "?"
        words = words[1:] if optional else words
        rules.append((optional, words[0], pattern(words[1]), words[1], pattern(words[2]) if words[2:] else None))
    return rules


def main(tarball, layout):
    rules, wrong, seen = read(layout), [], set()
    for m in tarfile.open(tarball):
        name = m.name.lstrip("./") + ("/" if m.isdir() else "")
        hits = [i for i, r in enumerate(rules) if r[2].match(name) and r[3].endswith("/") == m.isdir()]
        seen.update(hits)
        if not hits:
            if not m.isdir():
                wrong.append(f"not expected: {m.mode:04o} {name}")
            continue
        _, mode, _, text, target = rules[hits[0]]
        if (mode == "link") != m.issym():
            wrong.append(f"{name}: {'no link' if mode == 'link' else 'a link'}")
        elif target and not target.match(m.linkname):
            wrong.append(f"{name}: leads to {m.linkname}")
        elif mode != "link" and f"{m.mode:04o}" != mode:
            wrong.append(f"{name}: mode {m.mode:04o}, not {mode}")
        if m.uid or m.gid:
            wrong.append(f"{name}: owner {m.uid}:{m.gid}")
    wrong += [f"missing: {r[3]}" for i, r in enumerate(rules) if i not in seen and not r[0]]
    for line in wrong:
        print(f"{tarball}: {line}")
    return 1 if wrong else 0


sys.exit(main(*sys.argv[1:]))
