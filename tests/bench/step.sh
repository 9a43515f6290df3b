#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a target's step takes, and what of that is kbuild's: the whole step (inputs verified, sandbox, script,
# packing, storing) against its script alone, inside one build.
#
# Usage: tests/bench/step.sh [KBUILD-OPTION...] TARGET     (for example --sources=debian --arch=s390x kernel)
# Environment: KBUILD=program (./kbuild), RUNS (1); SCRIPT=FILE in the sandbox (/shared/kernel-common/build.sh):
# the same script also by hand, in `kbuild shell`, in turn with the step.
#
# Prints for each run: the step's elapsed time over its script's; processor seconds of kbuild and all that it
# started, what of them is the supervising processes' own, and the largest process. What TARGET needs is made before.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ "$#" -gt 0 ] || { sed -n 's/^# Usage: //p' "$0" >&2; exit 2; }
exec python3 - "${KBUILD:-$here/../../kbuild}" "${RUNS:-1}" "${SCRIPT:-}" "$@" <<'END'
import json, os, resource, statistics, subprocess, sys, tempfile, threading, time

program, runs, script = sys.argv[1], int(sys.argv[2]), sys.argv[3]
options, target = sys.argv[4:-1], sys.argv[-1]
ticks = os.sysconf("SC_CLK_TCK")


def timed(run):
    """Elapsed seconds, processor seconds and the largest process (MB) of what run() starts and waits for."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - started, cpu, after.ru_maxrss / 1024


def own_seconds(seen):
    """Adds to seen the processor seconds of each process that runs this program, by its id."""
    name = os.path.realpath(program)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe") == name:
                fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
                seen[pid] = (int(fields[11]) + int(fields[12])) / ticks
        except OSError:
            pass


with tempfile.TemporaryDirectory() as work:
    kbuild = [program, "-o", f"{work}/build", *options]
    subprocess.run([*kbuild, "-q", target], check=True)  # what it needs, too
    inside, elapsed, cpu = [], [], []
    for _ in range(runs):
        phases, own = [], {}

        def step():
            process = subprocess.Popen([*kbuild, "--json", target], stdout=subprocess.PIPE, text=True,
                                       stderr=subprocess.DEVNULL, env={**os.environ, "USE_CACHE": "no"})
            done = threading.Event()

            def watch():
                while not done.wait(1):
                    own_seconds(own)

            watcher = threading.Thread(target=watch)
            watcher.start()
            for line in process.stdout:
                event = json.loads(line)
                if event.get("label", "").split(":")[0] == target:
                    phases.append((time.monotonic(), event["event"], event.get("text")))
            done.set()
            watcher.join()
            if process.wait():
                sys.exit(f"{target} failed (exit {process.returncode}): see `kbuild log {target}`")

        step_time = timed(step)
        at = [moment for moment, _, text in phases if text == "building"][0]
        # The first thing reported after the script has ended.
        end = [moment for moment, event, text in phases if moment > at and text != "building"][0]
        total = phases[-1][0] - phases[0][0]
        inside.append(total / (end - at))
        print(f"{target}: step {total:.1f} s, of which its script {end - at:.1f} s: ratio {inside[-1]:.4f}; "
              f"processor {step_time[1]:.0f} s, kbuild's own {sum(own.values()):.1f} s, "
              f"largest process {step_time[2]:.0f} MB", flush=True)
        if script:
            words = f"bash {script} >/build/log 2>&1; exit $?\n".encode()
            hand_time = timed(lambda: subprocess.run([*kbuild, "-q", "shell", target], input=words, check=True,
                                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            elapsed.append(step_time[0] / hand_time[0])
            cpu.append(step_time[1] / hand_time[1])
            print(f"by hand {hand_time[0]:.1f} s: ratio {elapsed[-1]:.4f} elapsed, {cpu[-1]:.4f} CPU", flush=True)
    print(f"median ratio inside one build {statistics.median(inside):.4f}")
    if script:
        print(f"median ratio against by hand {statistics.median(elapsed):.4f} elapsed, {statistics.median(cpu):.4f} CPU")
END
