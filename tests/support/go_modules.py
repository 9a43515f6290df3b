#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a module proxy in files, and a program that needs its modules.

Usage: go_modules.py PROXY PROGRAM. PROXY gets example.org/Loud/shout v1.2.0, which needs example.org/quiet
v2.1.0+incompatible; PROGRAM gets go.mod, go.sum and main.go. go.sum also names shout v1.1.0, as go leaves it there
for a version that was not selected.
"""
import base64
import hashlib
import os
import re
import sys
import zipfile

PROXY, PROGRAM = sys.argv[1:]
SUMS = []


def h1(files):
    """dirhash.Hash1 of golang.org/x/mod: over sorted lines '<sha256>  <name>'."""
    lines = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    return "h1:" + base64.b64encode(hashlib.sha256(lines.encode()).digest()).decode()


def module(name, version, go_mod, files, selected=True):
    escape = lambda text: re.sub("[A-Z]", lambda m: "!" + m.group().lower(), text)
    folder = os.path.join(PROXY, escape(name), "@v")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, escape(version) + ".mod"), "w") as f:
        f.write(go_mod)
    SUMS.append(f"{name} {version}/go.mod {h1({'go.mod': go_mod.encode()})}")
    content = {f"{name}@{version}/{file}": text.encode() for file, text in files.items()}
    with zipfile.ZipFile(os.path.join(folder, escape(version) + ".zip"), "w") as z:
        for file, text in content.items():
            z.writestr(zipfile.ZipInfo(file), text)
    SUMS.append(f"{name} {version} {h1(content)}")


QUIET = "module example.org/quiet\n"
module("example.org/quiet", "v2.1.0+incompatible", QUIET, {"quiet.go": 'package quiet\n\nconst Mark = "!"\n'})
SHOUT = "module example.org/Loud/shout\n\ngo 1.17\n\nrequire example.org/quiet v2.1.0+incompatible\n"
SHOUT_GO = 'package shout\n\nimport (\n\t"strings"\n\n\t"example.org/quiet"\n)\n\nfunc Shout(s string) string { return strings.ToUpper(s) + quiet.Mark }\n'
for version in ("v1.1.0", "v1.2.0"):
    module("example.org/Loud/shout", version, SHOUT, {"go.mod": SHOUT, "shout.go": SHOUT_GO})

os.makedirs(PROGRAM, exist_ok=True)
with open(os.path.join(PROGRAM, "go.sum"), "w") as f:
    f.write("".join(line + "\n" for line in sorted(SUMS)))
with open(os.path.join(PROGRAM, "go.mod"), "w") as f:
    f.write("module example.org/hello\n\ngo 1.17 // the first with a pruned graph\n\nrequire example.org/Loud/shout v1.2.0\n\n"
            "require (\n\texample.org/quiet v2.1.0+incompatible // indirect\n)\n")
with open(os.path.join(PROGRAM, "main.go"), "w") as f:
    f.write('package main\n\nimport (\n\t"fmt"\n\n\t"example.org/Loud/shout"\n)\n\nfunc main() { fmt.Println(shout.Shout("hello")) }\n')
