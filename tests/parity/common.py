# SPDX-License-Identifier: Apache-2.0
"""What the parity checks share: running both tools, synthetic inputs, counting."""
import os
import random
import shutil
import subprocess
import sys


class Place:
    """A temporary folder with both tools in it: ours under genprotimg's name, so that argv[0] is it."""

    def __init__(self, folder):
        self.folder = folder
        self.reference = os.environ["GENPROTIMG"]
        self.kbuild = os.environ["KBUILD"]
        self.ours = self.link("ours", self.kbuild)
        self.hooked = self.link("hooked", os.environ["KBUILD_HOOKED"])
        self.preload = os.environ["FIXED_RANDOM"]
        os.makedirs(folder, exist_ok=True)
        os.chdir(folder)

    def link(self, name, program):
        folder = os.path.join(self.folder, name)
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "genprotimg")
        os.symlink(program, path)
        return path


def run(program, arguments, **variables):
    """Exit status, standard output, standard error."""
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "ASAN_OPTIONS": "detect_leaks=0"}
    environment.update(variables)
    done = subprocess.run([program, *arguments], env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=120, check=False)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def must(program, arguments, **variables):
    status, out, err = run(program, arguments, **variables)
    if status:
        sys.exit(f"{program} {' '.join(arguments)}: status {status}\n{out}{err}")
    return out, err


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def kernel(size):
    """As much of a raw s390x kernel as is looked at."""
    data = bytearray(random.Random(size).randbytes(size))
    data[0:4] = b"\x00\x08\x00\x01"
    data[0x10008:0x1000E] = b"S390EP"
    data[0x10430:0x10438] = (4096).to_bytes(8, "big")
    return bytes(data)


def host_key(kbuild, name):
    """A TEST host key: the paths of its document and of the private key."""
    folder = f"host-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    out, _ = must(kbuild, ["se", "test-key", folder])
    return out.split("\n")[0:2]


class Tally:
    def __init__(self, what):
        self.what, self.passed, self.failed = what, 0, []

    def check(self, name, good, why=""):
        if good:
            self.passed += 1
        else:
            self.failed.append(name)
            print(f"not equal: {name}\n{why}".rstrip())
        return good

    def end(self):
        print(f"parity, {self.what}: {self.passed} passed, {len(self.failed)} failed")
        sys.exit(1 if self.failed else 0)
