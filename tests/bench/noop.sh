#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A second run with nothing to do, and planning graphs of growing size.
#
# Prints, medians of RUNS (15) interleaved runs: the time of `kbuild TARGET` when everything is cached
# and placed, for made-up graphs of 1, 10 and 100
# artifacts, and of `kbuild plan` for 1000 and 10000; beside them that of `true`, run by the same means. Needs nothing but the program.
# BEFORE=PROGRAM: the one artifact with that program too, run for run, and the ratio. On a busy machine: chrt -f 5 tests/bench/noop.sh.
set -eu
cd "$(dirname "$0")/../.."
program=$PWD/kbuild
graph=$PWD/tests/bench/make-graph.py
runs=${RUNS:-15}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

time_it() { # name, command...: prints the median in ms
  python3 - "$runs" "$@" <<'X'
import statistics, subprocess, sys, time
runs, command = int(sys.argv[1]), sys.argv[2:]
times = []
for _ in range(runs):
    start = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    times.append((time.monotonic() - start) * 1000)
print(f"{statistics.median(times):.2f}")
X
}

compare() { # the options of both: prints the medians and the ratio
  python3 - "$runs" "$BEFORE" "$program" "$@" <<'X'
import statistics, subprocess, sys, time
runs, programs, options = int(sys.argv[1]), sys.argv[2:4], sys.argv[4:]
times = {program: [] for program in programs}
for _ in range(runs):
    for program in programs:
        start = time.monotonic()
        subprocess.run([program, *options], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times[program].append((time.monotonic() - start) * 1000)
before, now = (statistics.median(times[program]) for program in programs)
print(f"nothing to do, 1 artifact, before and now: {before:.2f} ms, {now:.2f} ms, ratio {now / before:.3f}")
X
}

base=$(time_it true)
echo "process start (true): $base ms"
for size in 1 10 100; do
  "$graph" "p$size" "$size"
  "$program" --builder=host --versions "p$size/versions.yaml" --recipes "p$size/recipes" --cache "p$size/cache" -o "p$size/build" "n$((size - 1))" >/dev/null 2>&1
  ms=$(time_it "$program" --builder=host --versions "p$size/versions.yaml" --recipes "p$size/recipes" --cache "p$size/cache" -o "p$size/build" "n$((size - 1))")
  echo "nothing to do, $size artifacts: $ms ms, $(awk "BEGIN{printf \"%.3f\", ($ms - $base) / $size}") ms per artifact"
done
if [ -n "${BEFORE:-}" ]; then
  compare --builder=host --versions p1/versions.yaml --recipes p1/recipes --cache p1/cache -o p1/build n0
fi
for size in 1000 10000; do
  "$graph" "p$size" "$size"
  ms=$(time_it "$program" --versions "p$size/versions.yaml" --recipes "p$size/recipes" --cache "p$size/cache" plan "n$((size - 1))")
  echo "plan, $size artifacts: $ms ms, $(awk "BEGIN{printf \"%.3f\", ($ms - $base) / $size}") ms per artifact"
done
