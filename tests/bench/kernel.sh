#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What kbuild adds to a kernel build: the whole step (inputs verified, sandbox, script, packing, storing)
# against the same script with the same `make -jN` by hand in the same sandbox.
#
# Two figures, since other work on the machine moves a comparison of two builds by more than the 2 % that are
# asked for:
#   inside one build   the step's time / the time of its script alone, both from that one build
#   against by hand    the step's time / the script started by hand in `kbuild shell`; elapsed and CPU time
# The second takes two kernel builds a run, RUNS (1) runs, in turn; BY_HAND=no leaves it out. Needs the
# distribution's mirror once (or a cache that has the inputs: KBUILD_CACHE).
set -eu
cd "$(dirname "$0")/../.."
export KBUILD_SOURCES=${KBUILD_SOURCES:-debian}
exec python3 - "${ARCH_OF_KERNEL:-s390x}" "${RUNS:-1}" "${BY_HAND:-yes}" <<'END'
import json, os, resource, statistics, subprocess, sys, tempfile, time

arch, runs, by_hand = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "yes"
target = "kernel-confidential"


def timed(run):
    """The elapsed and the CPU seconds of everything that run() starts and waits for."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - started, cpu


with tempfile.TemporaryDirectory() as work:
    kbuild = ["./kbuild", "-o", f"{work}/build", f"--arch={arch}"]
    subprocess.run([*kbuild, "-q", "fetch", target], check=True)
    inside, elapsed, cpu = [], [], []
    for _ in range(runs):
        phases = []

        def step():
            process = subprocess.Popen([*kbuild, "--json", target], stdout=subprocess.PIPE, text=True,
                                       stderr=subprocess.DEVNULL, env={**os.environ, "USE_CACHE": "no"})
            for line in process.stdout:
                event = json.loads(line)
                if event["label"] == target:
                    phases.append((time.monotonic(), event["event"], event.get("text")))
            if process.wait():
                sys.exit(f"{target} failed: see `kbuild log {target}`")

        step_time = timed(step)
        at = [moment for moment, _, text in phases if text == "building"][0]
        # The first thing reported after the script has ended.
        end = [moment for moment, event, text in phases if moment > at and text != "building"][0]
        total = phases[-1][0] - phases[0][0]
        inside.append(total / (end - at))
        print(f"step {total:.1f} s, of which its script {end - at:.1f} s: ratio {inside[-1]:.4f}", flush=True)
        if by_hand:
            script = b"bash /shared/kernel-common/build.sh >/build/log 2>&1; exit $?\n"
            hand_time = timed(lambda: subprocess.run([*kbuild, "-q", "shell", target], input=script, check=True,
                                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            elapsed.append(step_time[0] / hand_time[0])
            cpu.append(step_time[1] / hand_time[1])
            print(f"by hand {hand_time[0]:.1f} s: ratio {elapsed[-1]:.4f} elapsed, {cpu[-1]:.4f} CPU", flush=True)
    print(f"median ratio inside one build {statistics.median(inside):.4f}")
    if by_hand:
        print(f"median ratio against by hand {statistics.median(elapsed):.4f} elapsed, {statistics.median(cpu):.4f} CPU")
END
