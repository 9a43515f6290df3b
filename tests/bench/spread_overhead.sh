#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What `kbuild spread --with=slurm` costs beside the steps, on a Slurm cluster of loopback with two workers of CPUS (2) CPUs each. All share
# this machine with Slurm and the registry: with more CPUs than it has processors, jobs wait for those, too.
#
# The graph has the shape of boot-image-se:s390x and snp:x86_64: 12 artifacts, each a step that sleeps STEP (4) seconds. Prints, for each
# of RUNS (1) runs from empty caches: the critical path (the steps of the longest chain), the bound (list scheduling of the steps on all
# CPUs, longest path first), the wall time of spread, the ratio, and where the difference went along the chain of jobs that ended last:
# before the first job was submitted, between a job's end and the start of the next, kbuild run beside its step, after the last job.
# Then the same graph again, with nothing to do. Sleeping steps need no processor, but kbuild and Slurm do: on a machine
# that is busy with other work the ratio says more of that work; the first line has the load.
#
# Needs what tests/e2e/slurm.bash needs. SLURM_PARAMETERS replaces its SchedulerParameters.
set -eu
cd "$(dirname "$0")/../.."
program=${KBUILD:-$PWD/kbuild}
step=${STEP:-4}
cpus=${CPUS:-2}
work=$(mktemp -d)
export BATS_TEST_DIRNAME=$PWD/tests/e2e BATS_FILE_TMPDIR=$work BATS_TEST_TMPDIR=$work
skip() { echo "$1" >&2; exit 1; }
# shellcheck source=tests/e2e/project.bash
. tests/e2e/project.bash
# shellcheck source=tests/e2e/shared_cache.bash
. tests/e2e/shared_cache.bash
# shellcheck source=tests/e2e/slurm.bash
. tests/e2e/slurm.bash
trap 'slurm_stop 2>/dev/null; rm -rf "$work"' EXIT

# Programs that write down when they ran: "BEGIN END WORKER PROGRAM WORDS".
mkdir "$work/bin"
wrapper() { # NAME PROGRAM
  cat >"$work/bin/$1" <<W
#!/bin/bash
begin=\$EPOCHREALTIME
status=0
"$2" "\$@" || status=\$?
echo "\$begin \$EPOCHREALTIME \${SLURMD_NODENAME:--} $1 \$*" >>"$work/times"
exit \$status
W
  chmod +x "$work/bin/$1"
}
wrapper kbuild "$program"
for tool in sbatch squeue scancel; do wrapper "$tool" "$(command -v "$tool")"; done
KBUILD=$work/bin/kbuild

eval "configure_as_tested() $(declare -f slurm_configure | tail -n +2)"
slurm_configure() {
  configure_as_tested
  sed -i "s/ CPUs=2 / CPUs=$cpus /" "$SLURM_CONF"
  [ -z "${SLURM_PARAMETERS:-}" ] || sed -i "s/^SchedulerParameters=.*/SchedulerParameters=$SLURM_PARAMETERS/" "$SLURM_CONF"
}

setup_shared_cache
slurm_start 2
slurm_needed
export PATH=$work/bin:$PATH

make_step() { make_recipe "$1" "${2:-}" "sleep $step; mkdir -p /out/$1/opt; echo $1-$run >/out/$1/opt/$1"; }
make_graph() {
  local name
  for name in kernel agent components qemu ovmf ovmf-sev; do make_step "$name"; done
  make_step initrd "needs: [agent, components]"
  make_step boot-image "needs: [kernel, initrd]"
  mkdir -p recipes/release
  cat >recipes/release/recipe.yaml <<R
description: everything
action: group
members:
  s390x: [boot-image]
  x86_64: [kernel, initrd, qemu, ovmf, ovmf-sev]
R
}

timed() { # COMMAND...: its wall time
  local begin=$EPOCHREALTIME
  "$@" >"$work/out" 2>&1 || { cat "$work/out" >&2; slurm_jobs >&2; return 1; }
  awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.6f %.6f\n", a, b}'
}

spread() {
  PUSH_TO_REGISTRY=yes timed "$program" --builder=host --cache="$PROJECT/cache" spread --with=slurm --arch=x86_64,s390x release
}

report() { # "BEGIN END" "BEGIN END of plan"
  python3 - "$step" "$((2 * cpus))" "$work/plan" "$work/times" "$@" <<'P'
import json, sys

step, cpus = float(sys.argv[1]), int(sys.argv[2])
nodes = [json.loads(line) for line in open(sys.argv[3])][1:]
needs = {n["node"]: n["needs"] for n in nodes}
after = {n: max([v["path_ms"] for v in nodes if v["node"] == n]) for n in needs}
begin, end, plan_begin, plan_end = map(float, " ".join(sys.argv[5:7]).split())
jobs, submitted, polls = {}, [], []
for line in open(sys.argv[4]):
    words = line.split()
    if float(words[0]) < begin:
        continue
    if words[3] == "kbuild" and words[4] == "run":
        jobs[words[5]] = (float(words[0]), float(words[1]), words[2])
    elif words[3] == "sbatch":
        submitted.append((float(words[0]), float(words[1])))
    elif words[3] == "squeue":
        polls.append((float(words[0]), float(words[1])))
if set(jobs) != set(needs):
    sys.exit(f"{len(jobs)} jobs ran, and the plan has {len(needs)}")


def chain(node):
    return step + max((chain(n) for n in needs[node]), default=0)


def bound():
    free, done, left = [0.0] * cpus, {}, sorted(needs, key=lambda n: -after[n])
    while left:
        free.sort()
        now = free[0]
        ready = [n for n in left if all(done.get(k, 1e9) <= now for k in needs[n])]
        if not ready:
            free[0] = min(t for t in done.values() if t > now)
            continue
        done[ready[0]] = free[0] = now + step
        left.remove(ready[0])
    return max(done.values())


path, best, wall = max(map(chain, needs)), bound(), end - begin
print(f"critical path {path:.2f} s; bound on {cpus} CPUs {best:.2f} s; wall {wall:.2f} s; wall / bound {wall / best:.3f}")
# Backwards from the job that ended last: it waited for a need, or for a CPU of its worker.
node, gaps, own, words = max(jobs, key=lambda n: jobs[n][1]), [], [], []
last = jobs[node][1]
while True:
    start, stop, worker = jobs[node]
    own.append(stop - start - step)
    before = [n for n in jobs if jobs[n][1] <= start and (n in needs[node] or jobs[n][2] == worker)]
    words.insert(0, node)
    if not before:
        break
    node = max(before, key=lambda n: jobs[n][1])
    gaps.append(start - jobs[node][1])
first = jobs[node][0]
print(f"  plan --remote, alone                         {plan_end - plan_begin:6.2f} s")
print(f"  plan, lock, push of the project              {submitted[0][0] - begin:6.2f} s")
print(f"  first submission to first job's start        {first - submitted[0][0]:6.2f} s")
print(f"    {len(submitted)} times sbatch                            {sum(b - a for a, b in submitted):6.2f} s, {submitted[-1][1] - submitted[0][0]:.2f} s from first to last")
print(f"  steps of the chain that ended last           {step * len(own):6.2f} s: {' -> '.join(words)}")
print(f"  kbuild run beside its step, {len(own)} jobs           {sum(own):6.2f} s, each {' '.join(f'{x:.2f}' for x in reversed(own))}")
print(f"  from a job's end to the next one's start     {sum(gaps):6.2f} s, each {' '.join(f'{x:.2f}' for x in reversed(gaps))}")
seen = max(b for a, b in polls)
print(f"  last job's end until squeue says so          {seen - last:6.2f} s ({len(polls)} questions)")
print(f"  plan again, pull and place                   {end - seen:6.2f} s")
P
}

run=0
echo "load $(cut -d' ' -f1-3 /proc/loadavg); steps of $step s; $(slurmctld -V); $(grep ^SchedulerParameters "$SLURM_CONF")"
while [ "$run" -lt "${RUNS:-1}" ]; do
  run=$((run + 1))
  rm -rf recipes build && mkdir recipes
  make_graph
  true >"$work/times"
  plan_times=$(timed "$program" --builder=host --cache="$PROJECT/cache" plan --remote --json --arch=x86_64,s390x release)
  grep '^{' "$work/out" >"$work/plan"
  times=$(spread)
  report "$times" "$plan_times"
  true >"$work/times"
  times=$(spread)
  echo "again: $(grep -c " sbatch " "$work/times" || true) jobs, $(awk '{printf "%.2f s", $2 - $1}' <<<"$times")"
done
