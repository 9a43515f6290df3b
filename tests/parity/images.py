#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Seals the same inputs with genprotimg and with kbuild and compares the images.

First with what is drawn at random fixed in both, and genprotimg's loaders in ours too: then every byte
must be equal. Then as users run them, with the keys fixed that users can fix: then what does not
depend on chance or on the loaders must be, and both images must open to the same parts.
Arguments: a folder for temporary files.
"""
import itertools
import json
import os
import random
import sys

from common import Place, Tally, host_key, kernel, must, read, run, write

PAGE = 4096
HEADER = 0x14000

KERNELS = [66616, 131072, 131073, 200000]
INITRDS = [None, 1, 4095, 4096, 4097, 300001]
PARMFILES = [None, b"", b"panic=1 quiet", b"root=/dev/vda console=ttysclp0\n", b"x" * 4095]
HOSTS = ["a", "b", "a b", "a a", "44", "45", "95"]
KEYS = ["", "--x-header-key k32", "--x-comp-key k64", "--comm-key cck",
        "--x-header-key k32 --x-comp-key k64 --comm-key cck"]
FLAGS = ["", "--disable-pckmo", "--enable-pckmo --disable-dump", "--x-pcf 0xe0", "--x-pcf=0x100000e0",
         "--x-pcf 0", "--x-scf 0x0 --x-pcf E0", "--x-psw 0x20000", "--x-psw=11000 --disable-pckmo"]
CCK_FLAGS = ["--enable-dump", "--enable-cck-extension-secret", "--x-pcf 200000e0",
             "--enable-dump --disable-pckmo --enable-cck-extension-secret"]


def be(data, offset, size=8):
    return int.from_bytes(data[offset:offset + size], "big")


def loader_templates(image, opened_stage3b):
    """genprotimg's loaders, taken out of an image of its own. stage3a ends in its arguments, the first
    of which is the distance to the header."""
    for at in range(0x10000, 0x13000 - 24, 2):
        if be(image, at) == HEADER - at and be(image, at + 16) == HEADER - PAGE - at:
            return image[0x10000:at + 24], opened_stage3b
    sys.exit("genprotimg's stage3a was not found in its image")


class Images:
    def __init__(self, folder):
        self.place = Place(folder)
        self.tally = Tally("images")
        self.keys = {name: host_key(self.place.kbuild, name) for name in "ab"}
        chance = random.Random(1)
        write("k32", chance.randbytes(32))
        write("cck", chance.randbytes(32))
        write("k64", chance.randbytes(64))
        write("random", chance.randbytes(4096))
        for size in KERNELS:
            write(f"kernel-{size}", kernel(size))
        for size in INITRDS[1:]:
            write(f"initrd-{size}", chance.randbytes(size))
        for i, text in enumerate(PARMFILES[1:], 1):
            write(f"parmfile-{i}", text)
        customer = host_key(self.place.kbuild, "customer")[1]
        self.fixed = {"KBUILD_TEST_RANDOM": os.path.abspath("random"),
                      "KBUILD_TEST_CUSTOMER": os.path.abspath(customer)}

    def words(self, case):
        size, initrd, parmfile, hosts, keys, flags = case
        words = ["--no-verify", "-i", f"kernel-{size}"]
        if initrd is not None:
            words += ["-r", f"initrd-{initrd}"]
        if parmfile:
            words += ["-p", f"parmfile-{parmfile}"]
        if hosts.isdigit():
            names = ["a"] * int(hosts)
        else:
            names = hosts.split()
        for name in names:
            words += ["-k", self.keys[name][0]]
        return words + keys.split() + flags.split()

    def cases(self, count):
        """Every value of every list at least once, else by chance, the same each time."""
        chance = random.Random(2)
        lists = [KERNELS, INITRDS, range(len(PARMFILES)), HOSTS, KEYS, FLAGS]
        made = [tuple(values[i % len(values)] for values in lists) for i in range(max(map(len, lists)))]
        made += [tuple(chance.choice(values) for values in lists) for _ in range(count)]
        with_cck = [k for k in KEYS if "--comm-key" in k]
        made += [(KERNELS[0], 4097, 2, "a b", k, f) for k, f in itertools.product(with_cck, CCK_FLAGS)]
        return made

    def equal_bytes(self, case):
        words = self.words(case)
        must(self.place.reference, [*words, "-o", "theirs.img"], LD_PRELOAD=self.place.preload,
             **self.fixed)
        must(self.place.hooked, [*words, "-o", "ours.img"], KBUILD_TEST_STAGE3A="stage3a",
             KBUILD_TEST_STAGE3B="stage3b", **self.fixed)
        theirs, ours = read("theirs.img"), read("ours.img")
        first = next((i for i, (x, y) in enumerate(zip(theirs, ours)) if x != y), None)
        self.tally.check(" ".join(words), theirs == ours,
                         f"  sizes {len(theirs)} and {len(ours)}, first difference at {first}")

    def open(self, image, folder):
        os.makedirs(folder, exist_ok=True)
        for name in os.listdir(folder):
            os.remove(os.path.join(folder, name))
        must(self.place.kbuild, ["se", "open", image, "--host-key", self.keys["a"][1], "-o", folder])
        return {name: read(os.path.join(folder, name)) for name in os.listdir(folder)}

    def header_facts(self, image):
        """What must be equal whatever is drawn: sizes, slots, flags, and which hosts they are for."""
        slots = be(image, HEADER + 0x20)
        hashes = [image[HEADER + 0x1A0 + 80 * i:][:32] for i in range(slots)]
        return {"short PSW": image[:8], "zeros": image[8:0x10000], "magic": image[HEADER:HEADER + 12],
                "phs": be(image, HEADER + 0xC, 4), "slots": slots, "sea": be(image, HEADER + 0x28),
                "pcf": be(image, HEADER + 0x38), "hashes": hashes}

    def ipib_facts(self, image):
        """The block without the random part of the prefixes; stage3b may have another size."""
        at = HEADER - PAGE
        count = be(image, at + 0x74, 4)
        entries = [(image[at + 0x88 + 24 * i:][:2], image[at + 0x90 + 24 * i:][:16]) for i in range(count)]
        last = entries.pop()
        return {"IPIB head": image[at:at + 0x88], "IPIB entries": entries,
                "stage3b": (last[0], last[1][:8]), "IPIB rest": image[at + 0x88 + 24 * count:at + PAGE]}

    def info(self, image):
        """What `kbuild se info` says of it, without what depends on chance and on the loaders."""
        out, _ = must(self.place.kbuild, ["se", "info", image, "--json"])
        data = json.loads(out)["data"]
        return {k: data[k] for k in ("kind", "magic_hex", "version", "sehs", "nks", "sea", "pcf_hex")}, \
            [slot["phkh_hex"] for slot in data["keyslots"]]

    def equal_structure(self, case):
        words = self.words(case)
        must(self.place.reference, [*words, "-o", "theirs.img"])
        must(self.place.ours, [*words, "-o", "ours.img"])
        theirs, ours = read("theirs.img"), read("ours.img")
        name = "structure: " + " ".join(words)
        for facts in (self.header_facts, self.ipib_facts):
            t, o = facts(theirs), facts(ours)
            self.tally.check(name, t == o, f"  {[k for k in t if t[k] != o[k]]}")
        self.tally.check(name + ": se info", self.info("theirs.img") == self.info("ours.img"))
        if case[3].split()[0] == "b":
            return
        t, o = self.open("theirs.img", "theirs"), self.open("ours.img", "ours-opened")
        t.pop("stage3b"), o.pop("stage3b")
        self.tally.check(name + ": opened", t == o and t["kernel"] == read(f"kernel-{case[0]}"))

    def our_loaders_change_nothing_else(self):
        """With equal chance and our own loaders: the components but for stage3b are equal."""
        words = self.words((131073, 4097, 2, "a b", "--x-comp-key k64", ""))
        must(self.place.reference, [*words, "-o", "theirs.img"], LD_PRELOAD=self.place.preload, **self.fixed)
        must(self.place.hooked, [*words, "-o", "ours.img"], **self.fixed)
        theirs, ours = read("theirs.img"), read("ours.img")
        end = be(theirs, HEADER - PAGE + 0x88 + 24 * 3 + 8)
        self.tally.check("components with our loaders", theirs[HEADER + PAGE:end] == ours[HEADER + PAGE:end])
        for start, end in ((0, 0x30), (0x38, 0xE0)):  # between them: pages, and stage3b has its own
            self.tally.check(f"header from {start:#x} with our loaders",
                             theirs[HEADER + start:HEADER + end] == ours[HEADER + start:HEADER + end])

    def ours_are_random(self):
        """The program that is installed ignores what fixes the test build."""
        words = self.words(self.cases(0)[0])
        must(self.place.ours, [*words, "-o", "ours.img"], **self.fixed)
        first = read("ours.img")
        must(self.place.ours, [*words, "-o", "ours.img"], **self.fixed)
        self.tally.check("two images of the installed program differ", first != read("ours.img"))
        self.tally.check("the installed program knows no hooks", b"KBUILD_TEST_" not in read(self.place.ours))
        self.tally.check("the test build does", b"KBUILD_TEST_" in read(self.place.hooked))

    def run(self):
        words = self.words((66616, None, 0, "a", "", ""))
        must(self.place.reference, [*words, "-o", "theirs.img"])
        stage3a, stage3b = loader_templates(read("theirs.img"), self.open("theirs.img", "theirs")["stage3b"])
        write("stage3a", stage3a)
        write("stage3b", stage3b)
        for case in self.cases(40):
            self.equal_bytes(case)
        for case in self.cases(6):
            self.equal_structure(case)
        self.our_loaders_change_nothing_else()
        self.ours_are_random()
        must(self.place.reference, [*words, "-o", "theirs.img"])
        status, _, _ = run(self.place.kbuild, ["se", "open", "theirs.img", "--host-key", self.keys["b"][1]])
        self.tally.check("genprotimg's image opens with no other key", status == 1)
        self.tally.end()


if __name__ == "__main__":
    Images(sys.argv[1]).run()
