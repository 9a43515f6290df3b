#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `kbuild hkd verify` of three documents, with a chain and its lists.
#
# Prints, medians of RUNS (31) interleaved runs: the time with an own root, with this system's store
# (where the chain ends nowhere: what is timed is the search), and that of `true`, run by the same means.
# Needs the program and make_world (`make kbuild`, `make obj/make_world`); KBUILD and MAKE_WORLD name others.
set -eu
cd "$(dirname "$0")/../.."
export KBUILD=${KBUILD:-$PWD/kbuild}
world=${MAKE_WORLD:-$PWD/obj/make_world}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$world" "$work"
python3 - "${RUNS:-31}" <<'X2'
import os, statistics, subprocess, sys, time
base = [os.environ["KBUILD"], "hkd", "verify", "-C", "sign.crt", "-C", "inter.crt", "--crl", "root.crl", "--crl", "inter.crl",
        "--crl", "sign.crl", "HKD-good.crt", "HKD-second.crt", "HKD-no-akid.crt"]
commands = {"true": ["true"], "own root": base + ["--root-ca", "root.crt"], "this system's store": base}
times = {name: [] for name in commands}
for _ in range(int(sys.argv[1])):
    for name, command in commands.items():
        start = time.monotonic()
        status = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
        times[name].append((time.monotonic() - start) * 1000)
        assert status == (name == "this system's store"), (name, status)
for name, ms in times.items():
    print(f"{name}: {statistics.median(ms):.2f} ms")
X2
