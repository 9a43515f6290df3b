#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `kbuild hkd verify` of three documents, with a chain and its lists.
#
# Prints, medians and least of RUNS (31) interleaved runs: the time with an own root; with a directory of roots, as
# this system's store is, in which the root is found; with a root that is nowhere, so that the file with
# all of them is read too; of the program doing nothing; and of `true`, run by the same means.
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
os.mkdir("store")
name = subprocess.run(["openssl", "x509", "-noout", "-hash", "-in", "root.crt"], capture_output=True, text=True, check=True)
os.symlink("../root.crt", "store/" + name.stdout.strip() + ".0")
commands = {"true": (["true"], 0, {}), "kbuild --version": ([base[0], "--version"], 0, {}),
            "own root": (base + ["--root-ca", "root.crt"], 0, {}),
            "root in the system's store": (base, 0, {"SSL_CERT_DIR": "store"}), "unknown root": (base, 1, {})}
times = {name: [] for name in commands}
for _ in range(int(sys.argv[1])):
    for name, (command, expected, more) in commands.items():
        start = time.monotonic()
        status = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                env=dict(os.environ, **more)).returncode
        times[name].append((time.monotonic() - start) * 1000)
        assert status == expected, (name, status)
for name, ms in times.items():
    print(f"{name}: {statistics.median(ms):.2f} ms (least {min(ms):.2f})")
X2
