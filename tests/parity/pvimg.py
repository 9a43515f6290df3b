#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs pvimg and kbuild, each under both names (pvimg, and genprotimg since s390-tools 2.36), with the same command
lines, and compares exit status, whether there is an image, and that what one seals the other reads and finds sealed for
the same hosts. What may differ is named in the table, and why in docs/genprotimg.md.
Arguments: a folder for temporary files. Environment: PVIMG, KBUILD.
"""
import json
import os
import sys

from common import Tally, host_key, kernel, must, run, write

SAME = ""
STRICTER = "stricter"  # theirs succeeds, ours refuses
LOOSER = "looser"      # theirs refuses, ours does what was asked for, whole
STATUS = "status"      # both refuse; genprotimg's own status has been 1 before

# OK stands for a good command line of `create`.
CREATE = [
    (SAME, "OK"), (SAME, "OK -r initrd -p parmfile"), (SAME, "OK -v"), (SAME, "OK -vv"), (SAME, "OK -V"),
    (SAME, "OK -q"), (SAME, "OK -qq"), (STATUS, "OK -v -q"), (STATUS, "OK --verbose --quiet"), (SAME, "OK --offline"),
    (SAME, "-ikernel -kHKD -oimage --no-verify"), (SAME, "-i=kernel -k=HKD -o=image --no-verify"),
    (SAME, "--kernel=kernel --host-key-document=HKD,HKD --output=image --no-verify"), (SAME, "--image kernel -k HKD -o image --no-verify"),
    (SAME, "OK --cck k32"), (SAME, "OK --comm-key k32"), (SAME, "OK --hdr-key k32"), (SAME, "OK --x-header-key k32"),
    (SAME, "OK --image-key k64"), (SAME, "OK --x-comp-key k64"), (SAME, "OK --overwrite"), (SAME, "OK --no-component-check"),
    (SAME, "OK --enable-dump --cck k32"), (SAME, "OK --enable-dump --enable-cck-update"), (STATUS, "OK --enable-dump"),
    (SAME, "OK --enable-cck-update"), (SAME, "OK --disable-cck-update"), (SAME, "OK --enable-cck-update --cck k32"),
    (STATUS, "OK --enable-cck-extension-secret"), (SAME, "OK --enable-cck-extension-secret --cck k32"),
    (STATUS, "OK --enable-cck-extension-secret --enable-cck-update"),
    (SAME, "OK --enable-pckmo"), (SAME, "OK --disable-pckmo"), (STATUS, "OK --enable-pckmo --disable-pckmo"),
    (SAME, "OK --enable-pckmo-hmac"), (SAME, "OK --disable-pckmo-hmac"), (SAME, "OK --enable-backup-keys"),
    (SAME, "OK --disable-backup-keys"), (SAME, "OK --disable-image-encryption"), (SAME, "OK --enable-image-encryption"),
    (STATUS, "OK --disable-image-encryption --image-key k64"), (SAME, "OK --enable-image-encryption --image-key k64"),
    (SAME, "OK --x-pcf 0xe0"), (SAME, "OK --x-scf 0x0"), (STATUS, "OK --x-pcf 0xe0 --enable-dump --cck k32"),
    (SAME, "OK --root-ca nowhere"), (SAME, "OK --crl nowhere"), (STATUS, "OK --cert nowhere"), (STATUS, "OK --crt nowhere"),
    (STATUS, "OK --foo"), (STATUS, "OK foo"), (STATUS, "OK -x"), (STATUS, "OK --offline=x"), (STATUS, "OK --imag kernel"),
    (STATUS, ""), (STATUS, "-i kernel"), (STATUS, "-i kernel -k HKD -o image"), (STATUS, "OK -i kernel"), (STATUS, "OK -o other"),
    (STATUS, "OK -p parmfile -p parmfile"), (STATUS, "OK --cck k32 --comm-key k32"), (STATUS, "OK -k"), (STATUS, "OK --cck"),
    (STATUS, "OK --version"), (SAME, "OK --cck k64"), (SAME, "OK --hdr-key empty"), (SAME, "OK --image-key k32"),
    (SAME, "-i nowhere -k HKD -o image --no-verify"), (SAME, "-i parmfile -k HKD -o image --no-verify"),
    (SAME, "-i kernel -k nowhere -o image --no-verify"), (SAME, "-i kernel -k parmfile -o image --no-verify"),
    (SAME, "-i kernel -k HKD -o image --crt nowhere --offline"), (SAME, "OK -p long"), (SAME, "OK -r dir"), (SAME, "--help"), (SAME, "-h"),
    # the reasons are in docs/genprotimg.md
    (STRICTER, "OK --x-pcf 0x1"), (STRICTER, "OK -r empty"), (STRICTER, "OK --x-bootloader-directory LOADERS"),
    (LOOSER, "OK --no-verify"), (LOOSER, "OK --offline --offline"), (LOOSER, "OK --x-pcf 0xe0 --enable-cck-update"),
]
OTHERS = [
    (SAME, "version"), (SAME, "--version"), (SAME, "-V version"), (SAME, "help"), (SAME, "--help"), (SAME, "-h"), (SAME, "help create"),
    (SAME, "help info"), (SAME, "info --help"), (SAME, "test --help"), (SAME, "info -h"), (SAME, "create --help"), (SAME, ""), (SAME, "foo"),
    (SAME, "-x"), (SAME, "--version create OK"), (SAME, "create --version"), (SAME, "-v create OK"), (SAME, "-q create OK"),
    (SAME, "-v -q create OK"), (SAME, "-VV create OK"), (SAME, "--verbose create OK"), (SAME, "help foo"), (SAME, "version foo"),
    (SAME, "test IMAGE -k HKD"), (SAME, "test IMAGE -k HKD,other.crt"), (SAME, "test IMAGE -k other.crt,HKD"),
    (SAME, "test IMAGE -k other.crt"), (SAME, "test IMAGE -kHKD"), (SAME, "-v test IMAGE -k HKD"), (SAME, "test IMAGE -k HKD -q"), (SAME, "test IMAGE"),
    (SAME, "test IMAGE -k HKD --key-hashes=hashes"), (SAME, "test IMAGE --key-hashes=hashes"), (SAME, "test IMAGE --key-hashes=zeros"),
    (SAME, "test IMAGE --key-hashes=later"), (SAME, "test IMAGE --key-hashes=short"), (SAME, "test IMAGE --key-hashes hashes"),
    (SAME, "test IMAGE --key-hashes=kernel"), (SAME, "test kernel -k HKD"), (SAME, "test -- IMAGE"), (SAME, "test -k HKD -- IMAGE"),
    (SAME, "info IMAGE"), (SAME, "info IMAGE --format json"), (SAME, "info IMAGE --format JSON:minify"), (SAME, "info IMAGE --format json:pretty"),
    (SAME, "info IMAGE --format text"), (SAME, "info IMAGE --format text:full"), (SAME, "info IMAGE --format yaml"),
    (SAME, "info IMAGE --hdr-key k32"), (SAME, "info IMAGE --key k32 --show-secrets"), (SAME, "info IMAGE --show-secrets"),
    (SAME, "info IMAGE --hdr-key wrong"), (SAME, "-q info IMAGE"), (SAME, "info -v IMAGE"), (SAME, "info"), (SAME, "info kernel"), (SAME, "info nowhere"),
    (SAME, "info --print-schema json"), (SAME, "info IMAGE --print-schema json"), (SAME, "info --print-schema"), (STRICTER, "info --print-schema text"),
]


def tools(folder, kbuild, pvimg):
    made = {}
    for who, program in (("theirs", pvimg), ("ours", kbuild)):
        os.makedirs(f"{folder}/{who}", exist_ok=True)
        for name in ("pvimg", "genprotimg"):
            os.symlink(program, f"{folder}/{who}/{name}")
            made[who, name] = f"{folder}/{who}/{name}"
    return made


def make_files(kbuild):
    document, private = host_key(kbuild, "a")
    other, _ = host_key(kbuild, "b")
    os.rename(other, "other.crt")
    write("kernel", kernel(131072))
    write("initrd", b"initrd" * 1000)
    write("parmfile", b"panic=1 quiet")
    write("long", b"x" * 5000)
    write("empty", b"")
    write("k32", bytes(range(32)))
    write("wrong", bytes(range(1, 33)))
    write("k64", bytes(range(64)))
    os.mkdir("dir")
    return document, private


def facts(tool, image):
    out, _ = must(tool, ["info", image, "--format", "json"])
    data = json.loads(out)["data"]
    return {k: data[k] for k in ("magic_hex", "version", "sehs", "nks", "sea", "pcf_hex")}, \
        [slot["phkh_hex"] for slot in data["keyslots"]]


def keys(value):
    """The shape of a JSON document: the names in it."""
    if isinstance(value, dict):
        return {k: keys(v) for k, v in value.items()}
    return [keys(v) for v in value] if isinstance(value, list) else type(value).__name__


class Pvimg:
    def __init__(self, folder):
        os.makedirs(folder)
        os.chdir(folder)
        self.tool = tools(folder, os.environ["KBUILD"], os.environ["PVIMG"])
        self.tally = Tally("pvimg and genprotimg since 2.36")
        self.document, _ = make_files(os.environ["KBUILD"])

    def words(self, line):
        words = []
        for word in line.split():
            words += ["-i", "kernel", "-k", self.document, "-o", "image", "--no-verify"] if word == "OK" else \
                [word.replace("HKD", self.document).replace("IMAGE", "ready").replace("LOADERS", os.environ.get("LOADERS", "."))]
        return words

    def compare(self, name, expected, line, before=()):
        got = []
        words = [*before, *self.words(line)]
        for who in ("theirs", "ours"):
            if os.path.exists("image"):
                os.remove("image")
            status, _, err = run(self.tool[who, name], words)
            sealed = facts(self.tool["ours", "pvimg"], "image") if os.path.exists("image") else None
            got.append((status, sealed, err))
        (status, sealed, err), (our_status, our_sealed, our_err) = got
        asked = name == "genprotimg" or "create" in words
        whole = (our_sealed is not None) == (our_status == 0) if asked and not {"-h", "--help", "--version", "help"} & set(words) else True
        if expected == STRICTER:
            good = status == 0 and our_status != 0
        elif expected == LOOSER:
            good = status != 0 and our_status == 0
        elif expected == STATUS:
            good = status != 0 and our_status == (1 if name == "genprotimg" else 2)
        else:
            good = status == our_status and sealed == our_sealed
        self.tally.check(f"{name} {expected} {line}", good and whole,
                         f"  theirs: {status} {sealed} {err}\n  ours:   {our_status} {our_sealed} {our_err}")

    def prepare(self):
        """An image of theirs with one of ours beside it, and lists of key hashes."""
        must(self.tool["theirs", "pvimg"], ["create", *self.words("OK --hdr-key k32 --overwrite")])
        os.rename("image", "ready")
        sealed = facts(self.tool["theirs", "pvimg"], "ready")[1][0]
        zero = "0" * 64
        for name, at, count in (("hashes", 0, 15), ("later", 7, 15), ("zeros", -1, 15), ("short", 0, 14)):
            write(name, "".join((sealed if i == at else zero) + "\n" for i in range(count)).encode())

    def each_reads_the_other(self):
        must(self.tool["ours", "pvimg"], ["create", *self.words("OK --hdr-key k32 --overwrite -r initrd")])
        for image in ("ready", "image"):
            words = ["info", image, "--format", "json", "--hdr-key", "k32", "--show-secrets"]
            theirs, ours = (json.loads(must(self.tool[who, "pvimg"], words)[0]) for who in ("theirs", "ours"))
            self.tally.check(f"info of {image}: the header", theirs["data"] == ours["data"])
            self.tally.check(f"info of {image}: the names", keys(theirs) == keys(ours))
            status, _, _ = run(self.tool["theirs", "pvimg"], ["test", image, "-k", self.document])
            self.tally.check(f"theirs finds the host in {image}", status == 0)

    def run(self):
        self.prepare()
        for expected, line in CREATE:
            for name, before in (("pvimg", ["create"]), ("genprotimg", [])):
                self.compare(name, expected, line, before)
        for expected, line in OTHERS:
            self.compare("pvimg", expected, line)
        self.each_reads_the_other()
        self.tally.end()


if __name__ == "__main__":
    Pvimg(sys.argv[1]).run()
