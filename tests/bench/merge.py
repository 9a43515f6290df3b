#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packing, merging, unpacking and restoring against what else can be done with the same bytes.

Ratios of medians of RUNS (5) interleaved runs. The components are those of tests/bench/components.sh
(TREES=DIR takes what an earlier run of it made), packed by kbuild. ONLY="merge unpack" makes only these
of what follows; with UPSTREAM=yes merge is also compared to the way of upstream's script: unpack
everything, tar cJ. MEMBERS=N takes made-up trees with N small files, MB (106) in all, which do not
compress. BEFORE=PROGRAM also compares merge by that program. All is in one scratch folder (BENCH_DIR, else a temporary one), which is removed.

  merge    kbuild merge                     / cat of the same files to a fresh path
           kbuild merge --rehash            / that cat and sha256sum of each file
  unpack   tar xJ                           / kbuild unpack, of each and all together
  restore  kbuild TARGET, all of it cached  / cp of the tarball, of SIZE (64) MB; by hard link, and to
                                              another file system (OTHER, /dev/shm) by copying
  pack     tar cJ                           / kbuild pack, of each and all together; takes by far the longest
  size     of all parts                     / packed by xz as single blocks
"""
import os, pathlib, random, shutil, statistics, subprocess, tempfile, time

RUNS = int(os.environ.get("RUNS", "5"))
SIZE = os.environ.get("SIZE", "64")
OTHER = os.environ.get("OTHER", "/dev/shm")
here = pathlib.Path(__file__).resolve().parent
kbuild = str(here.parents[1] / "kbuild")
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
    return a, b


def make_up_trees(members, megabytes):
    """Six trees with this number of files, twenty in a folder."""
    size = megabytes * 1000000 // members
    source = random.Random(1)
    for i in range(members):
        folder = pathlib.Path(f"tree-c{i % 6}/opt/kata/share/component-{i % 6}/src/vendor/package{i // 120:04}/internal")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"some_file_name_{i}.go").write_bytes(source.randbytes(size))


def part_of(tree):
    return f"parts/kata-static-{tree.split('tree-')[-1]}.tar.xz"


def compare_restoring():
    """A target whose result is SIZE MB that do not compress, made once and then only restored."""
    os.makedirs("project/recipes/blob")
    pathlib.Path("project/versions.yaml").write_text("assets: {}\n")
    pathlib.Path("project/recipes/blob/recipe.yaml").write_text(
        "description: a large result\nbuilder: {packages: [bash], tools: [bash]}\nrun: build.sh\n")
    pathlib.Path("project/recipes/blob/build.sh").write_text(f"mkdir /out/blob/data\nhead -c {SIZE}000000 /dev/urandom >/out/blob/data/bytes\n")
    build = f"cd project; {kbuild} --builder=host --cache=cache -q blob -o"
    sh(f"{build} build")
    tarball = "project/build/kata-static-blob.tar.xz"
    with tempfile.TemporaryDirectory(dir=OTHER) as other:
        for name, place in (("hard link", "restored"), ("copy", other + "/restored")):
            compare(f"restore by {name} / cp", f"{build} {place}",
                    f"mkdir -p {other}/cp copied; cp {tarball} {other + '/cp' if name == 'copy' else 'copied'}/",
                    f"rm -rf project/restored {other}/restored {other}/cp copied")


def compare_merging(trees):
    pathlib.Path("versions.yaml").write_text("assets: {}\n")
    os.makedirs("recipes", exist_ok=True)
    merge = f"{kbuild} --cache=cache merge parts versions.yaml -o merged.tar.xz"
    print(f"the first merge, which makes the listings: {timed(merge):.3f} s")
    gone = "rm -f merged.tar.xz cat.out"
    # Without a build there is no record of the digests: every merge here hashes. A folder that was built
    # (hard links to the cache) is what a user has: made so by hand.
    sh("for f in parts/*; do d=$(sha256sum $f | cut -c1-64); mkdir -p cache/sha256/${d:0:2}; chmod 444 $f; "
       "ln $f cache/sha256/${d:0:2}/${d:2}; echo \"$d  ${f#parts/}\"; done >parts/all-sha256sum")
    sh(merge)
    compare("merge / cat", merge, "cat parts/*.tar.xz >cat.out", gone)
    before = os.environ.get("BEFORE")
    if before:
        compare("merge by the program before / cat", merge.replace(kbuild, before), "cat parts/*.tar.xz >cat.out", gone)
        compare("merge / merge by the program before", merge, merge.replace(kbuild, before), gone)
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


def together(trees, name, commands, cleanup):
    """The sum of the medians over all trees, after each by itself; commands(tree) gives the pair."""
    times = [compare(f"{tree.split('tree-')[-1]}: {name}", *commands(tree), cleanup) for tree in trees]
    a, b = (sum(t[i] for t in times) for i in (0, 1))
    print(f"{len(trees)} together: {name}: {a:.3f} s / {b:.3f} s = {a / b:.3f}", flush=True)


def compare_unpacking(trees):
    together(trees, "tar xJ / unpack", lambda tree: (f"mkdir t; tar -C t -xJf {part_of(tree)}",
                                                     f"{kbuild} unpack {part_of(tree)} k"), "rm -rf t k")


def compare_packing(trees):
    together(trees, "tar cJ / pack", lambda tree: (f"tar -C {tree} -cJf tar.out .",
                                                   f"{kbuild} pack {tree} pack.tar.xz"),
             "rm -f tar.out pack.tar.xz")


def compare_sizes(trees):
    packed = sum(os.path.getsize(part_of(tree)) for tree in trees)
    single = 0
    for tree in trees:
        sh(f"tar -C {tree} --sort=name -cf - . | xz -T1 >single; stat -c %s single >size")
        single += int(pathlib.Path("size").read_text())
    print(f"size of all / as single blocks: {packed} / {single} = {packed / single:.4f}")


PARTS = {"merge": compare_merging, "unpack": compare_unpacking, "restore": lambda trees: compare_restoring(),
         "pack": compare_packing, "size": compare_sizes}

with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as work:
    os.chdir(work)
    os.environ["SOURCE_DATE_EPOCH"] = "1700000000"
    where = os.environ.get("TREES")
    if not where:
        where = "."
        if "MEMBERS" in os.environ:
            make_up_trees(int(os.environ["MEMBERS"]), int(os.environ.get("MB", "106")))
        else:
            sh(f"{here}/components.sh {work}")
    trees = sorted(str(p) for p in pathlib.Path(where).glob("tree-*"))
    wanted = os.environ.get("ONLY", " ".join(PARTS)).split()
    os.mkdir("parts")
    if wanted != ["restore"]:
        for tree in trees:
            sh(f"{kbuild} pack {tree} {part_of(tree)}")
        total = sum(p.lstat().st_size for tree in trees for p in pathlib.Path(tree).rglob("*") if p.is_file())
        print(f"{len(trees)} components, {total / 1e6:.0f} MB, {sum(map(os.path.getsize, map(part_of, trees))) / 1e6:.0f} MB "
              f"packed; {RUNS} runs, {os.cpu_count()} processors", flush=True)
    for part in wanted:
        PARTS[part](trees)
