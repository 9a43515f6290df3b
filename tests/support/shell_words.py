#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Types lines into a real shell on a pseudo terminal, as somebody does who completes: the line, Tab, Enter.

Usage: shell_words.py bash|zsh|fish COMPLETIONS KBUILD <LINES

COMPLETIONS is the directory of kbuild's completions. In that shell `kbuild` is a program that records its
arguments, but for what completions ask of kbuild itself (KBUILD). Prints for each line the arguments that the
command got, as a JSON list. A shell that runs nothing within 20 seconds is a failure.
"""
import json
import os
import pty
import select
import shlex
import sys
import tempfile
import time

WRAPPER = """#!/bin/sh
case " $* " in *" list "|*" --help-all ") exec {kbuild} "$@" ;; esac
printf '%s\\0' "$@" >{record}.new
mv {record}.new {record}
"""


def start(shell, completions, place):
    quoted = shlex.quote(completions)
    if shell == "bash":
        rc = f"{place}/rc"
        with open(rc, "w", encoding="utf-8") as out:
            out.write(f". {quoted}/kbuild.bash\n")
        return ["bash", "--noprofile", "--rcfile", rc, "-i"]
    if shell == "zsh":
        with open(f"{place}/.zshrc", "w", encoding="utf-8") as out:
            out.write(f"fpath=({quoted} $fpath)\nautoload -Uz compinit\ncompinit -u -D\n")
        os.environ["ZDOTDIR"] = place
        return ["zsh", "-i"]
    return ["fish", "--private", "-i", "-C", f"source {quoted}/kbuild.fish"]


def answer(master, record, written):
    """Waits for the record of the command; what the shell asks of a terminal is answered."""
    shown = b""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if select.select([master], [], [], 0.02)[0]:
            part = os.read(master, 65536)
            shown += part
            if b"\x1b[6n" in part:
                os.write(master, b"\x1b[1;1R")
            if b"\x1b[c" in part or b"\x1b[0c" in part:
                os.write(master, b"\x1b[?62c")
        if os.path.exists(record):
            with open(record, "rb") as file:
                words = file.read().split(b"\0")[:-1]
            os.unlink(record)
            return [word.decode("utf-8", "backslashreplace") for word in words]
    sys.exit(f"nothing was run for {written!r}; the terminal shows {shown!r}")


def main():
    shell, completions, kbuild = sys.argv[1:4]
    place = tempfile.mkdtemp()
    record = f"{place}/record"
    os.mkdir(f"{place}/bin")
    with open(f"{place}/bin/kbuild", "w", encoding="utf-8") as out:
        out.write(WRAPPER.format(kbuild=shlex.quote(kbuild), record=shlex.quote(record)))
    os.chmod(f"{place}/bin/kbuild", 0o755)
    os.environ.update(PATH=f"{place}/bin:{os.environ['PATH']}", HOME=place, TERM="xterm", INPUTRC="/dev/null",
                      HISTFILE="")
    command = start(shell, completions, place)
    child, master = pty.fork()
    if not child:
        os.execvp(command[0], command)
    # The first prompt is there when the first command was run.
    os.write(master, b"kbuild ready\r")
    assert answer(master, record, "kbuild ready") == ["ready"]
    for line in sys.stdin.read().splitlines():
        os.write(master, line.encode() + b"\t\r")
        print(json.dumps(answer(master, record, line)), flush=True)
    os.close(master)
    os.waitpid(child, 0)


main()
