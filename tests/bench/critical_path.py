#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a build's wall time could at best have been: critical_path.py PLAN EVENTS JOBS WALL STOLEN [ALONE]

PLAN is `kbuild --json plan`, EVENTS `kbuild --json TARGET...` of the run that took WALL seconds with -j
JOBS. No schedule on JOBS processors is faster than the larger of

  work       the processor time of all steps, divided by JOBS
  path       the longest path of steps that need each other, each taking what it takes with all JOBS
             processors for itself

STOLEN is how many processor seconds the hypervisor gave to others meanwhile (0 on a machine of one's own);
the last figure is what the wall time would have been with them.

ALONE holds the events of runs that made one step each: how long a step takes by itself. Without it that
is taken to be its processor time divided by JOBS, the least that it can be, and so the path is the
least that it can be, too.
"""
import json
import sys


def lines(path):
    with open(path) as f:
        return [json.loads(line) for line in f if line.startswith("{")]


def times(path):
    """node -> (wall seconds, processor seconds) of what was made."""
    return {e["node"]: (e["ms"] / 1000, e["cpu_ms"] / 1000) for e in lines(path) if e.get("event") == "done"}


def longest(order, weight):
    """The heaviest path: its weight, and its nodes. `order` has what a node needs before it."""
    best = {}
    for node in order:
        before = max((best[n] for n in node["needs"]), key=lambda b: b[0], default=(0.0, []))
        own = weight.get(node["node"], 0.0)
        best[node["node"]] = (before[0] + own, before[1] + [node["node"]] if own else before[1])
    return max(best.values(), key=lambda b: b[0], default=(0.0, []))


def main():
    plan, events, jobs, wall = lines(sys.argv[1]), times(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    stolen, alone = float(sys.argv[5]), times(sys.argv[6]) if len(sys.argv) > 6 else {}
    if not events:
        sys.exit("nothing was made in that run")
    missing = [n for n in events if sys.argv[6:] and n not in alone]
    if missing:
        sys.exit("never made alone: " + ", ".join(missing))
    least = {n: alone[n][0] if alone else cpu / jobs for n, (_, cpu) in events.items()}
    print(f"{'step':44} {'wall s':>9} {'cpu s':>9} {'alone s' if alone else 'at least s':>11}")
    for n, (took, cpu) in sorted(events.items(), key=lambda e: -e[1][1]):
        print(f"{n:44} {took:9.1f} {cpu:9.1f} {least[n]:11.1f}")
    work = sum(cpu for _, cpu in events.values()) / jobs
    path, nodes = longest(plan, least)
    bound = max(work, path)
    print(f"work / {jobs} processors: {work:.1f} s")
    print(f"longest path{'' if alone else ', at least'}: {path:.1f} s ({' -> '.join(nodes)})")
    print(f"bound: {bound:.1f} s; wall: {wall:.1f} s; wall / bound: {wall / bound:.3f}")
    print(f"without the {stolen:.0f} processor seconds that were stolen: {(wall - stolen / jobs) / bound:.3f}")


main()
