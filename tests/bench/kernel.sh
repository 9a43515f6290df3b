#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What kbuild adds to a kernel build: the whole step (inputs verified, sandbox, script, packing, storing)
# against the same script with the same `make -jN` by hand in the same sandbox.
#
# Builds kernel-confidential twice a run, RUNS (1) runs, in turn; prints both times and their ratio, median
# of the runs. Takes two kernel builds a run. Needs the distribution's mirror once (or a cache that has
# the inputs: KBUILD_CACHE).
set -eu
cd "$(dirname "$0")/../.."
export KBUILD_SOURCES=${KBUILD_SOURCES:-debian}
runs=${RUNS:-1}
arch=${ARCH_OF_KERNEL:-s390x}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

./kbuild -q -o "$work/build" --arch="$arch" fetch kernel-confidential
for ((i = 0; i < runs; i++)); do
  USE_CACHE=no ./kbuild -o "$work/build" --arch="$arch" --json kernel-confidential >"$work/events" 2>/dev/null
  started=$(date +%s%N)
  echo 'bash /shared/kernel-common/build.sh >/build/log 2>&1; exit $?' \
    | ./kbuild -q -o "$work/build" --arch="$arch" shell kernel-confidential >/dev/null 2>&1
  by_hand=$((($(date +%s%N) - started) / 1000000))
  python3 - "$work/events" "$by_hand" >>"$work/results" <<'X'
import json, sys
events = [json.loads(line) for line in open(sys.argv[1])]
ms = [e["ms"] for e in events if e["event"] == "done" and e["label"] == "kernel-confidential"][0]
print(ms, sys.argv[2])
X
done
python3 - "$work/results" <<'X'
import statistics, sys
rows = [tuple(map(int, line.split())) for line in open(sys.argv[1])]
for step, hand in rows:
    print(f"kbuild's step {step / 1000:.1f} s, by hand {hand / 1000:.1f} s, ratio {step / hand:.3f}")
print(f"median ratio {statistics.median(a / b for a, b in rows):.3f}")
X
