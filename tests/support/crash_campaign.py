#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills kbuild at random moments, or lets one of its calls find a full disk, and looks at what is left.

  crash_campaign.py kill KBUILD COUNT [SEED]
  crash_campaign.py full KBUILD FAULTS.so [SAMPLE]

In a new temporary folder; prints one line a verb. `full` counts the calls of each verb first; SAMPLE of them fail (0: all, each once alone
and once with all that follow; a sample: one or the other). After each: `cache verify` finds nothing, an error is one line that says
what it is, the next run of the same verb succeeds, its result is the right one, and nothing is left
over. The exit status is 1 if any of that did not hold. CRASH_VERBS="build gc" tries only those.
"""

import ctypes, hashlib, os, random, shutil, signal, struct, subprocess, sys, tempfile, time

KBUILD = ""
PROBLEMS = []


def sh(script):
    subprocess.run(["bash", "-euc", script], check=True, stdin=subprocess.DEVNULL)


def write(path, text):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def recipe(name, lines, scripts):
    write(f"recipes/{name}/recipe.yaml", "description: test\narchitectures: [x86_64, s390x, aarch64, ppc64le]\n"
          "builder: {packages: [bash], tools: [bash]}\n" + lines)
    for script, text in scripts.items():
        write(f"recipes/{name}/{script}", "set -eu\n" + text)


def kbuild(*words):
    return [KBUILD, "--builder=host", "--cache", "cache", "--versions", "versions.yaml", "--recipes", "recipes", *words]


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def make_project():
    here = os.getcwd()
    write("versions.yaml", f'externals:\n  greet:\n    url: "file://{here}/git/greet"\n    version: v1\nassets: {{}}\n')
    recipe("low", "run: build.sh\n", {"build.sh": "mkdir -p /out/low/opt; head -c 300000 /dev/zero >/out/low/opt/low\n"})
    recipe("high", "run: build.sh\nneeds: [low]\n",
           {"build.sh": "mkdir -p /out/high/opt/d; echo high >/out/high/opt/high; ln -s high /out/high/opt/d/l\n"})
    recipe("three", "phases: {setup: a.sh, build: b.sh}\n",
           {"a.sh": "echo plain >config; mkdir -p d; echo x >d/x\n",
            "b.sh": "mkdir -p /out/three/opt; cp config /out/three/opt/c\n"})
    recipe("src", "run: build.sh\nsources:\n  greet: {version: externals.greet, git: \"{url}\", ref: \"{version}\"}\n",
           {"build.sh": "mkdir -p /out/src/opt; cp /src/greet/greet.c /out/src/opt/\n"})
    sh("""mkdir -p git/greet tree/opt/d out; cd git/greet
        git init -q -b main .; echo 'int main(void) { return 0; }' >greet.c; git add .
        git -c user.name=T -c user.email=t@localhost commit -q -m one
        git -c user.name=T -c user.email=t@localhost tag -a -m v1 v1
        cd ../..; head -c 200000 /dev/urandom >tree/opt/x; echo y >tree/opt/d/y""")
    os.makedirs("hkd", exist_ok=True)
    subprocess.run([KBUILD, "se", "test-key", "hkd"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    kernel = bytearray((7 * i) % 251 for i in range(131072))  # what is read of one is right
    kernel[0:4] = b"\x00\x08\x00\x01"
    kernel[0x10008:0x1000E] = b"S390EP"
    kernel[0x10430:0x10438] = (4096).to_bytes(8, "big")
    with open("kernel", "wb") as f:
        f.write(kernel)
    write("parm", "quiet\n")
    for words in (("pack", "tree", "packed.tar.xz"), ("high",)):
        subprocess.run(kbuild(*words), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    sh("mkdir comps; cp build/kata-static-*.tar.xz comps/; rm -rf build cache")
    subprocess.run(kbuild("merge", "comps", "-o", "whole.tar.xz"), check=True, stderr=subprocess.DEVNULL)


class Verb:
    """before() makes it have something to do; result() is what has to be the same after each success."""

    def __init__(self, name, words, before, results=()):
        self.name, self.words, self.before, self.results = name, words, before, results

    def result(self):
        return [digest(p) if os.path.isfile(p) else sorted(os.listdir(p)) for p in self.results]


def fresh(*names):
    def remove():
        for n in names:
            if os.path.isdir(n) and not os.path.islink(n):
                shutil.rmtree(n)
            elif os.path.lexists(n):
                os.unlink(n)
    return remove


def verbs():
    build = ["build/kata-static-high.tar.xz"]

    def filled():
        fresh("cache", "build")()
        subprocess.run(kbuild("high"), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    all_verbs = [
        Verb("build", kbuild("high"), fresh("cache", "build"), build),
        Verb("fetch", kbuild("fetch", "src"), fresh("cache", "versions.lock"), ["versions.lock"]),
        Verb("merge", kbuild("merge", "comps", "-o", "out/m.tar.xz"), fresh("cache"), ["out/m.tar.xz"]),
        Verb("gc", kbuild("cache", "gc", "--max-size=0"), filled),
        Verb("payload", kbuild("payload", "push", "whole.tar.xz", "--base=scratch", "--output", "oci:out/layout",
                               "--commit", "c0ffee", "--arch", os.uname().machine), fresh("cache", "out/layout"),
             ["out/layout/index.json", "out/layout/blobs/sha256"]),
        Verb("until", kbuild("three", "--until=build"), lambda: None, ["build/three/builddir/config"]),
        Verb("pack", kbuild("pack", "tree", "out/p.tar.xz"), lambda: None, ["out/p.tar.xz"]),
        Verb("unpack", kbuild("unpack", "packed.tar.xz", "out/u"), fresh("out/u"), ["out/u/opt/x", "out/u/opt/d"]),
    ]
    key = sorted("hkd/" + n for n in os.listdir("hkd") if n.startswith("HKD"))[0]
    all_verbs.append(Verb("seal", kbuild("se", "seal", "-k", key, "--no-verify", "-i", "kernel", "-p", "parm", "-o",
                                         "out/sealed"), fresh("out/sealed")))
    wanted = os.environ.get("CRASH_VERBS", "").split()
    return [v for v in all_verbs if not wanted or v.name in wanted]


def problem(verb, where, what):
    PROBLEMS.append(f"{verb.name} {where}: {what}")
    print(f"  PROBLEM {PROBLEMS[-1]}", flush=True)


def leftovers():
    found = []
    for folder, names, files in os.walk("."):
        if folder.startswith("./cache/tmp"):
            continue
        found += [os.path.join(folder, n) for n in names + files if ".kbuild-" in n or n.endswith(".link")]
    for name in os.listdir("cache/tmp") if os.path.isdir("cache/tmp") else []:
        found.append("cache/tmp/" + name)
    return found


def check_after(verb, where, expected):
    """The store is valid, and the same again works. Returns True if all held."""
    count = len(PROBLEMS)
    verify = subprocess.run(kbuild("cache", "verify"), capture_output=True, text=True, check=False)
    if verify.returncode or "damaged" in verify.stdout + verify.stderr:
        problem(verb, where, "cache verify: " + verify.stdout + verify.stderr)
    if verb.name == "unpack" and os.path.isdir("out/u"):
        shutil.rmtree("out/u")  # it was done
    again = subprocess.run(verb.words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if again.returncode:
        problem(verb, where, "the next run failed: " + again.stdout[-300:] + again.stderr[-1500:])
    elif verb.result() != expected:
        problem(verb, where, f"the next run's result differs: {verb.result()} {expected}")
    left = leftovers()
    if left:
        problem(verb, where, "left over: " + " ".join(left))
    return len(PROBLEMS) == count


def adopt_orphans():
    """What a killed kbuild started becomes a child of this process, so that its end can be waited for."""
    PR_SET_CHILD_SUBREAPER = 36
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        sys.exit("prctl: " + os.strerror(ctypes.get_errno()))


def orphans_died(seconds=60):
    """What was started dies with it, in its own time: on a busy machine, later than the next run would begin."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.002)
        except ChildProcessError:
            return True
    return False


def kill_campaign(count, seed):
    adopt_orphans()
    chance = random.Random(seed)
    tried = verbs()
    took, expected, good, died = {}, {}, {}, {}
    for v in tried:
        v.before()
        start = time.monotonic()
        r = subprocess.run(v.words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if r.returncode:
            sys.exit(f"{v.name}: {r.stderr}")
        took[v.name], expected[v.name], good[v.name], died[v.name] = time.monotonic() - start, v.result(), 0, 0
    rounds = {v.name: 0 for v in tried}
    for i in range(count):
        v = tried[i % len(tried)]
        v.before()
        rounds[v.name] += 1
        p = subprocess.Popen(v.words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             start_new_session=True)
        moment = chance.random() * took[v.name] * 1.1
        time.sleep(moment)
        p.send_signal(signal.SIGKILL)
        died[v.name] += p.wait() == -signal.SIGKILL
        where = f"kill {i} after {moment:.3f} s"
        if orphans_died():
            good[v.name] += check_after(v, where, expected[v.name])
        else:
            problem(v, where, "what it had started lives on")
    for v in tried:
        print(f"{v.name}: {rounds[v.name]} kills, {died[v.name]} in time; the next run succeeded {good[v.name]} times")
    print(f"kills: {count}, all well: {sum(good.values())}")


def run_with_fault(verb, faults, at, sticky):
    with open("counter", "wb") as f:
        f.write(struct.pack("Q", 0))
    environment = dict(os.environ, LD_PRELOAD=faults, FAULT_COUNTER=os.path.abspath("counter"), FAULT_AT=str(at))
    if sticky:
        environment["FAULT_STICKY"] = "1"
    r = subprocess.run(verb.words, capture_output=True, text=True, errors="replace", env=environment,
                       stdin=subprocess.DEVNULL, timeout=120, check=False)
    with open("counter", "rb") as f:
        return r, struct.unpack("Q", f.read(8))[0]


def full_campaign(faults, sample):
    chance = random.Random(1)
    for v in verbs():
        v.before()
        r, calls = run_with_fault(v, faults, 0, False)
        if r.returncode:
            problem(v, "without a fault", r.stderr)
            continue
        if not calls:
            problem(v, "without a fault", "no call was counted: the faults are not loaded")
            continue
        expected = v.result()
        points = list(range(1, calls + 1))
        if sample and sample < calls:
            points = sorted(chance.sample(points, sample))
        good = refused = 0
        for at in points:
            sticky = (at % 2 == 0) if sample else None
            for s in ([sticky] if sticky is not None else [False, True]):
                where = f"call {at} of {calls}{' and all after it' if s else ''}"
                v.before()
                r, _ = run_with_fault(v, faults, at, s)
                count = len(PROBLEMS)
                errors = r.stderr.count("kbuild: error:")
                if r.returncode and (errors != 1 or "No space left" not in r.stderr or r.returncode < 0):
                    problem(v, where, f"status {r.returncode}, {errors} errors: {r.stderr[-800:]}")
                if not r.returncode and v.result() != expected:
                    problem(v, where, "status 0 and a wrong result")
                refused += r.returncode != 0
                good += check_after(v, where, expected) and len(PROBLEMS) == count
        runs = len(points) * (1 if sample else 2)
        print(f"{v.name}: {calls} calls, {runs} runs on a full disk, {refused} errors; all well {good} times", flush=True)


def main():
    global KBUILD
    mode, KBUILD, what, *more = sys.argv[1:]
    KBUILD = os.path.abspath(KBUILD)
    what = os.path.abspath(what) if mode == "full" else int(what)
    folder = tempfile.mkdtemp(prefix="kbuild-crash.", dir=os.environ.get("BATS_TEST_TMPDIR"))
    os.chdir(folder)
    for name in ("SUDO_UID", "KBUILD_CACHE"):
        os.environ.pop(name, None)
    try:
        make_project()
        if mode == "full":
            full_campaign(what, int(more[0]) if more else 0)
        else:
            seed = int(more[0]) if more else random.randrange(1 << 30)
            print("seed", seed)
            kill_campaign(what, seed)
    finally:
        os.chdir("/")
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if PROBLEMS else 0)


main()
