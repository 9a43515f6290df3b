#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# layout.py TARBALL LAYOUT ARCHITECTURE: does a tarball hold what it should, with the right modes, and nothing else?
# A line of LAYOUT is "MODE PATH" or "link PATH TARGET"; MODE has four octal digits, PATH and TARGET are patterns (*, ?)
# in which * does not cross a '/', and ** does. "[x86_64,aarch64]" before MODE: for these architectures only. A '?' before MODE: it
# may be missing. "#" begins a comment.
# A PATH that ends with '/' is a folder. Folders that are not listed have to be 0755 and to hold something that is.
# All owners are 0:0, and all names begin with "./".
# Prints a line for each difference; the exit status is 1 if there is one.
import re
import sys
import tarfile


def pattern(text):
    parts = re.split(r"(\*\*|\*|\?)", text)
    words = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(words.get(p) or re.escape(p) for p in parts) + r"\Z")


class Rule:
    def __init__(self, words):
        self.optional = words[0] == "?"
        self.mode, self.text, *target = words[1:] if self.optional else words
        self.path = pattern(self.text)
        self.target = pattern(target[0]) if target else None
        self.seen = False

    def fits(self, name):
        return bool(self.path.match(name)) and self.text.endswith("/") == name.endswith("/")

    def wrong(self, m):
        if (self.mode == "link") != m.issym() or not (m.isreg() or m.isdir() or m.issym()):
            yield "no link" if self.mode == "link" else "a link, or no file at all"
        elif self.target and not self.target.match(m.linkname):
            yield f"leads to {m.linkname}"
        elif self.mode != "link" and f"{m.mode:04o}" != self.mode:
            yield f"mode {m.mode:04o}, not {self.mode}"


def read(path, architecture):
    for line in open(path, encoding="utf-8"):
        words = line.split("#")[0].split()
        if words and words[0].startswith("["):
            if architecture not in words.pop(0).strip("[]").split(","):
                continue
        if words:
            yield Rule(words)


def differences(tarball, rules):
    folders, holding = {}, set()
    for m in tarfile.open(tarball):
        if m.name != "." and not m.name.startswith("./"):
            yield f"{m.name}: does not begin with ./"
        name = m.name.removeprefix("./") + ("/" if m.isdir() else "")
        if m.uid or m.gid:
            yield f"{name}: owner {m.uid}:{m.gid}"
        rule = next((r for r in rules if r.fits(name)), None)
        if rule:
            rule.seen = True
            holding.update(name[: i + 1] for i in range(len(name)) if name[i] == "/")
            for what in rule.wrong(m):
                yield f"{name}: {what}"
        elif m.isdir():
            folders[name] = m.mode
        else:
            yield f"not expected: {m.mode:04o} {name}"
    for name, mode in folders.items():
        if mode != 0o755:
            yield f"{name}: mode {mode:04o}, not 0755"
        if name != "./" and name not in holding:
            yield f"not expected: {name}"
    for rule in rules:
        if not rule.seen and not rule.optional:
            yield f"missing: {rule.text}"


def main(tarball, layout, architecture):
    wrong = list(differences(tarball, list(read(layout, architecture))))
    for line in wrong:
        print(f"{tarball}: {line}")
    return 1 if wrong else 0


sys.exit(main(*sys.argv[1:]))
