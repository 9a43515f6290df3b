#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long a release takes on 1 to 16 machines, simulated: spread_simulation.py [OPTION...] PLAN...

PLAN is the output of `kbuild plan --remote --json`; each is a row of the table. A job starts when its needs are in the registry and a
machine has processors for it, the longest path first, on the first such machine, as Slurm does it. It takes SECONDS to start, then
fetches those needs that its machine does not have, runs, and pushes its result. Every machine can run every job.

How long a node runs is what the plan has from records (`resources`): their wall time, or with fewer processors than it then used,
their processor time divided by those. With --busy the records are of a machine that did other work, too: only
their processor time counts. Where no record is, spread_costs.json has a figure and says where it is from; sizes are from there always,
since a plan has none.

Prints the table; then for each plan the processor time, the longest path, the limit and the nodes that are it; and where the times
are from.
"""
import argparse
import fnmatch
import json
import os

MACHINES = [1, 2, 4, 8, 16]
NEAR = 1.05  # of the longest path: more machines do not help


def read_plan(path):
    with open(path) as f:
        lines = [json.loads(line) for line in f if line.startswith("{")]
    if not lines or "plan" not in lines[0]:
        raise SystemExit(f"{path} is no output of `kbuild plan --remote --json`")
    return lines[0], lines[1:]


class Costs:
    def __init__(self, table, options):
        with open(table) as f:
            self.rows = json.load(f)["costs"]
        self.options = options
        self.recorded, self.of_table = {}, {}

    def row(self, node):
        return next((r for r in self.rows if fnmatch.fnmatchcase(node, r["node"])), None)

    def job(self, line):
        """processor seconds, at least so many seconds, processors, MB"""
        node, cores, row = line["node"], self.options.cores, self.row(line["node"])
        width, mb = min(cores, row.get("width", cores) if row else cores), row["mb"] if row else 0
        record = line["resources"]
        if record:
            cpu, wall = record["cpu_ms"] / 1000, record["ms"] / 1000
            self.recorded[node] = cpu
            if self.options.busy:
                return cpu, cpu / width, width, mb
            return cpu, max(wall, cpu / cores), max(1, min(cores, round(cpu / wall))) if wall else 1, mb
        if not row:
            raise SystemExit(f"neither a record nor spread_costs.json says what {node} costs")
        self.of_table[node] = row
        return row["cpu_s"], row["cpu_s"] / width, width, mb


class Job:
    def __init__(self, line, costs, jobs):
        self.node, self.arch = line["node"], line["arch"]
        self.to_do = "command" in line
        self.cpu, self.seconds, self.width, self.mb = costs.job(line) if self.to_do else (0, 0, 0, (costs.row(line["node"]) or {"mb": 0})["mb"])
        self.needs = [jobs[n] for n in line["needs"] if n in jobs]
        self.users = []
        for need in self.needs:
            need.users.append(self)
        self.path = 0.0


def make_jobs(lines, costs):
    jobs = {}
    for line in lines:
        jobs[line["node"]] = Job(line, costs, jobs)
    return list(jobs.values())


def alone(job, options):
    """On a machine that has nothing."""
    if not job.to_do:
        return 0.0
    return options.start + job.seconds + (job.mb + sum(n.mb for n in job.needs)) / options.bandwidth


def find_paths(jobs, options):
    for job in reversed(jobs):
        job.path = alone(job, options) + max((u.path for u in job.users), default=0.0)


def longest_path(jobs):
    chain = [max(jobs, key=lambda j: j.path)]
    while chain[-1].users:
        chain.append(max(chain[-1].users, key=lambda j: j.path))
    return [j for j in chain if j.to_do]


def simulate(jobs, count, options):
    """The time until the last job ended, and the MB that were moved."""
    free, have = [options.cores] * count, [set() for _ in range(count)]
    done = {j for j in jobs if not j.to_do}
    waiting = sorted((j for j in jobs if j.to_do), key=lambda j: -j.path)
    running, now, moved = [], 0.0, 0.0
    while waiting or running:
        for job in list(waiting):
            machine = next((m for m in range(count) if free[m] >= job.width), None)
            if machine is None or not all(n in done for n in job.needs):
                continue
            fetch = sum(n.mb for n in job.needs if n not in have[machine])
            moved += fetch + job.mb
            have[machine].update(job.needs)
            free[machine] -= job.width
            running.append((now + options.start + job.seconds + (fetch + job.mb) / options.bandwidth, machine, job))
            waiting.remove(job)
        end, machine, job = min(running, key=lambda r: r[0])
        running.remove((end, machine, job))
        now = end
        free[machine] += job.width
        have[machine].add(job)
        done.add(job)
    return now, moved


def print_table(rows):
    print("| machines | " + " | ".join(map(str, MACHINES)) + " | longest path |")
    print("| --- |" + " --- |" * (len(MACHINES) + 1))
    for name, jobs, times in rows:
        longest = max(j.path for j in jobs) / 60
        print(f"| {name} | " + " | ".join(f"{t / 60:.1f}" for t, _ in times) + f" | {longest:.1f} |")


def print_limit(name, jobs, times, options):
    path, cpu = max(j.path for j in jobs), sum(j.cpu for j in jobs)
    enough = next((m for m, (t, _) in zip(MACHINES, times) if t <= NEAR * path), None)
    print(f"\n{name}: {sum(j.to_do for j in jobs)} jobs, {cpu / 60:.0f} processor minutes; the longest path has {path / 60:.1f} minutes")
    if enough:
        print(f"  the limit is the longest path, from {enough} machines on:")
    else:
        print(f"  the limit is the number of machines: with {MACHINES[-1]} it takes {times[-1][0] / path:.2f} times the longest path:")
    for job in longest_path(jobs):
        moved = (job.mb + sum(n.mb for n in job.needs)) / options.bandwidth
        print(f"    {job.node:44} {alone(job, options):7.1f} s: step {job.seconds:.1f}, network {moved:.1f}, start {options.start:.1f}")
    time, moved = times[-1]
    print(f"  with {MACHINES[-1]} machines {moved / 1000:.1f} GB pass the registry, {moved / time:.0f} MB/s on average")


def print_origins(costs):
    total = sum(costs.recorded.values()) + sum(r["cpu_s"] for r in costs.of_table.values())
    part = 100 * sum(costs.recorded.values()) / total
    print(f"\nfrom records: {len(costs.recorded)} nodes, {part:.0f} % of the processor time: {', '.join(sorted(costs.recorded)) or 'none'}")
    print(f"from spread_costs.json: {len(costs.of_table)} nodes")
    by_row = {}
    for node, row in costs.of_table.items():
        by_row.setdefault((row["node"], row["cpu_s"], row["origin"]), []).append(node)
    for (pattern, cpu, origin), nodes in sorted(by_row.items()):
        print(f"  {pattern:30} {len(nodes):3} nodes, {cpu:5} s each: {origin}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plans", nargs="+", metavar="PLAN")
    parser.add_argument("--cores", type=int, default=2, help="of a machine (2)")
    parser.add_argument("--bandwidth", type=float, default=25, help="of a machine to the registry, MB/s (25)")
    parser.add_argument("--start", type=float, default=2, metavar="SECONDS", help="to start a job (2)")
    parser.add_argument("--busy", action="store_true", help="of records only the processor time counts")
    parser.add_argument("--costs", default=os.path.join(os.path.dirname(__file__), "spread_costs.json"))
    options = parser.parse_args()
    costs, rows = Costs(options.costs, options), []
    for path in options.plans:
        header, lines = read_plan(path)
        jobs = make_jobs(lines, costs)
        find_paths(jobs, options)
        archs = list(dict.fromkeys(j.arch for j in jobs if j.arch))
        name = " ".join(header["targets"]) + ": " + ", ".join(archs)
        rows.append((name, jobs, [simulate(jobs, m, options) for m in MACHINES]))
    print(f"Minutes on machines of {options.cores} processors, {options.bandwidth:g} MB/s to the registry, {options.start:g} s to start a job\n")
    print_table(rows)
    for name, jobs, times in rows:
        print_limit(name, jobs, times, options)
    print_origins(costs)


if __name__ == "__main__":
    main()
