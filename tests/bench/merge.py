#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packing, merging, unpacking and restoring against what else can be done with the same bytes.

Ratios of medians of RUNS (5) interleaved runs. The components are made of this machine's own files
(libraries, programs, headers: MEGABYTES (600) in all, in ten parts), packed by kbuild. With
UPSTREAM=yes also the way of upstream's merge script: unpack everything, tar cJ. Everything stays in one
scratch folder (BENCH_DIR, else a temporary one), which is removed.

  merge          kbuild merge                     / cat of the same files to a fresh path
  merge, hashed  kbuild merge --rehash            / that cat and sha256sum of each file
  pack           kbuild pack                      / tar cJ of the same tree; also the sizes of all parts
  unpack         kbuild unpack                    / tar xJ of the same file
"""
import os, pathlib, shutil, statistics, subprocess, tempfile, time

RUNS = int(os.environ.get("RUNS", "5"))
MEGABYTES = int(os.environ.get("MEGABYTES", "600"))
PARTS = 10
kbuild = str(pathlib.Path(__file__).resolve().parents[2] / "kbuild")
kbuild = os.environ.get("KBUILD", kbuild)


def sh(command, **more):
    subprocess.run(["bash", "-euo", "pipefail", "-c", command], check=True, stdout=subprocess.DEVNULL, **more)


def timed(command):
    started = time.monotonic()
    sh(command, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def peak_megabytes(*argv):
    """The most memory that this one process had, in MB, by /usr/bin/time."""
    out = subprocess.run(["/usr/bin/time", "-f", "%M", *argv], check=True, stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True).stderr
    return int(out.split()[-1]) / 1024


def make_parts(work):
    """Ten trees of real files, each file once."""
    files, total = [], 0
    for top in ("/usr/lib", "/usr/bin", "/usr/include", "/usr/share"):
        for folder, folders, names in os.walk(top):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                if total < MEGABYTES * 1000000 and os.path.isfile(path) and not os.path.islink(path):
                    files.append(path)
                    total += os.path.getsize(path)
    size, part = 0, 0
    for path in files:
        to = f"{work}/tree-{part}/opt/kata/part-{part}{path}"
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copyfile(path, to)
        size += os.path.getsize(path)
        if size > total / PARTS * (part + 1):
            part += 1
    return total


def compare(name, one, other, cleanup):
    times = []
    for _ in range(RUNS):
        pair = []
        for command in (one, other):
            sh(cleanup)
            pair.append(timed(command))
        times.append(pair)
    a, b = (statistics.median(t[i] for t in times) for i in (0, 1))
    print(f"{name}: {a:.3f} s / {b:.3f} s = {a / b:.3f}", flush=True)


with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as work:
    os.chdir(work)
    os.environ["SOURCE_DATE_EPOCH"] = "1700000000"
    total = make_parts(work)
    trees = sorted(p for p in os.listdir() if p.startswith("tree-"))
    os.mkdir("parts")
    for i, tree in enumerate(trees):
        sh(f"{kbuild} pack {tree} parts/kata-static-part{i}.tar.xz")
    pathlib.Path("versions.yaml").write_text("assets: {}\n")
    sizes = sum(os.path.getsize(f"parts/{p}") for p in os.listdir("parts"))
    print(f"{len(trees)} components, {total / 1e6:.0f} MB, {sizes / 1e6:.0f} MB packed; {RUNS} runs, "
          f"{os.cpu_count()} processors")
    merge = f"{kbuild} --cache=cache merge parts versions.yaml -o merged.tar.xz"
    first = timed(merge)
    print(f"the first merge, which makes the listings: {first:.3f} s")
    gone = "rm -f merged.tar.xz cat.out"
    # Without a build there is no record of the digests: every merge here hashes. A folder that was built
    # (hard links to the cache) is what a user has: made so by hand.
    sh("for f in parts/*; do d=$(sha256sum $f | cut -c1-64); mkdir -p cache/sha256/${d:0:2}; chmod 444 $f; "
       "ln $f cache/sha256/${d:0:2}/${d:2}; echo \"$d  ${f#parts/}\"; done >parts/all-sha256sum")
    sh(merge)
    compare("merge / cat", merge, "cat parts/*.tar.xz >cat.out", gone)
    compare("merge --rehash / cat and sha256sum", merge + " --rehash",
            "cat parts/*.tar.xz >cat.out; sha256sum parts/*.tar.xz", gone)
    sh(gone)
    print(f"peak memory: merge {peak_megabytes(*merge.split()):.1f} MB, with --rehash "
          f"{peak_megabytes(*merge.split(), '--rehash'):.1f} MB")
    if os.environ.get("UPSTREAM") == "yes":
        slow = timed("mkdir all; for f in parts/*.tar.xz; do tar -C all -xJf $f; done; "
                     "cd all; tar cJf ../upstream.tar.xz --owner=0 --group=0 .")
        sh(gone)
        fast = timed(merge)
        print(f"upstream's way / merge: {slow:.1f} s / {fast:.3f} s = {slow / fast:.0f}")
    tree, part = trees[0], "parts/kata-static-part0.tar.xz"
    compare("tar cJ / pack", f"tar -C {tree} -cJf tar.out .", f"{kbuild} pack {tree} pack.tar.xz",
            "rm -f tar.out pack.tar.xz")
    compare("tar xJ / unpack", f"mkdir t; tar -C t -xJf {part}", f"{kbuild} unpack {part} k", "rm -rf t k")
    single = 0
    for i, tree in enumerate(trees):
        sh(f"tar -C {tree} --sort=name -cf - . | xz -T1 >single; stat -c %s single >size")
        single += int(pathlib.Path("size").read_text())
    print(f"size of all / as single blocks: {sizes} / {single} = {sizes / single:.4f}")
