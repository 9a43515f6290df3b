#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs both tools with the same command lines, good ones and bad ones, and compares exit status and
messages. What may differ is named in the table, and why in docs/genprotimg.md.
Arguments: a folder for temporary files.
"""
import os
import subprocess
import sys

from common import Place, Tally, host_key, kernel, run, write

SAME = ""
# Ours refuses (status 1), theirs does not.
STRICTER = "stricter"
# Both refuse, in other words.
WORDS = "words"
# Both succeed and print other text: help, versions.
TEXT = "text"
# Ours takes it, as the later genprotimg (pvimg) does; theirs does not.
NEWER = "newer"

# A row: why a difference is expected, and the words. OK stands for a good command line.
TABLE = [
    (SAME, "OK"),
    (SAME, "OK -r initrd -p parmfile"),
    (SAME, "OK --ramdisk=initrd --parmfile=parmfile"),
    (SAME, ""),
    (SAME, "-i kernel -k HKD --no-verify"),
    (SAME, "-k HKD -o image --no-verify"),
    (SAME, "-i kernel -o image --no-verify"),
    (SAME, "-i kernel -k HKD -o image"),
    (SAME, "-o image"),
    (SAME, "-o image -i kernel"),
    # how words are read
    (SAME, "--foo"), (SAME, "--foo OK"), (SAME, "OK --foo"), (SAME, "OK --foo=1"), (SAME, "OK -x"),
    (SAME, "OK -Vx"), (SAME, "OK --imag kernel"), (SAME, "OK --Image kernel"), (WORDS, "OK -i=kernel"),
    (SAME, "OK foo"), (SAME, "foo OK bar"), (SAME, "OK -- foo"), (SAME, "OK -- --foo"), (SAME, "OK -"),
    (SAME, "foo"), (SAME, "OK --"), (SAME, "-V OK -r initrd"), (SAME, "-Vi kernel -k HKD -o image --no-verify"),
    (SAME, "OK -i kernel"), (SAME, "OK --image kernel"), (SAME, "OK --image=kernel"), (SAME, "OK -o other"),
    (SAME, "OK --output other"), (SAME, "OK -r initrd -r initrd"), (SAME, "OK -p parmfile --parmfile parmfile"),
    (SAME, "OK --comm-key k32 --comm-key k32"), (SAME, "OK --root-ca a --root-ca b"),
    (SAME, "OK --x-pcf=0 --x-pcf=0"), (SAME, "OK --x-comp-key a --x-comp-key b"),
    (SAME, "OK --no-verify --no-verify"), (SAME, "OK --offline"), (STRICTER, "OK --offline=x"),
    (SAME, "OK -i"), (SAME, "OK -r"), (SAME, "OK --ramdisk"), (SAME, "OK --x-pcf"), (SAME, "OK --crl"), (SAME, "OK -k"),
    (SAME, "--version --foo"), (SAME, "--foo --help"), (SAME, "--help=1"), (WORDS, "--kernel kernel"),
    (WORDS, "--cck k32"), (WORDS, "--hdr-key k32"), (WORDS, "--enable-cck-update"), (WORDS, "--overwrite"),
    (SAME, "--seal-secret k32"), (SAME, "--online"), (SAME, "--enable-foo"), (SAME, "--enable-"),
    # what goes together
    (SAME, "OK --enable-dump"), (WORDS, "OK --enable-dump=1"), (SAME, "OK --enable-cck-extension-secret"),
    (SAME, "OK --enable-dump --comm-key k32"), (SAME, "OK --enable-cck-extension-secret --comm-key k32"),
    (SAME, "OK --enable-dump --disable-dump"), (SAME, "OK --disable-pckmo --enable-pckmo"),
    (WORDS, "OK --enable-cck-extension-secret --disable-cck-extension-secret"),
    (SAME, "OK --enable-pckmo --enable-pckmo"), (SAME, "OK --disable-dump --disable-cck-extension-secret"),
    (SAME, "OK --enable-dump --disable-dump --foo"), (SAME, "OK --foo --enable-dump --disable-dump"),
    (SAME, "OK --x-pcf=0xe0 --enable-pckmo"), (SAME, "OK --x-pcf=0xe0 --disable-dump"),
    (SAME, "OK --x-scf=0 --enable-cck-extension-secret"), (SAME, "--x-pcf=1 --enable-dump --x-scf=1 foo"),
    (SAME, "OK --enable-dump foo"), (STRICTER, "OK -C nowhere"), (SAME, "OK --crl nowhere"), (SAME, "OK --root-ca nowhere"),
    # values
    (SAME, "OK --x-pcf=zz"), (SAME, "OK --x-pcf=0xzz"), (SAME, "OK --x-pcf=1z"), (SAME, "OK --x-pcf="),
    (SAME, "OK --x-pcf=0x12345678901234567"), (SAME, "OK --x-scf=zz"), (SAME, "OK --x-psw=zz"),
    (SAME, "OK --x-psw=yy --x-pcf=zz --x-scf=xx"), (SAME, "OK --x-pcf=zz --x-scf=xx"), (SAME, "OK --x-pcf=0XE0"),
    (STRICTER, "OK --x-pcf=-1"), (STRICTER, "OK --x-pcf=0x1"), (STRICTER, "OK --x-scf=0x1"),
    (STRICTER, "OK --x-psw=0x80000000"), (STRICTER, "OK --x-psw=0"), (STRICTER, "OK --x-pcf=0x200000e0"),
    (SAME, "OK --x-pcf=0x200000e0 --comm-key k32"),
    # keys
    (SAME, "OK --x-comp-key k32"), (SAME, "OK --x-comp-key nowhere"), (SAME, "OK --x-comp-key dir"),
    (SAME, "OK --x-comp-key empty"), (SAME, "OK --comm-key k64"), (SAME, "OK --comm-key nowhere"),
    (SAME, "OK --x-header-key k64"), (SAME, "OK --x-header-key empty"), (SAME, "OK --x-header-key dir"),
    (SAME, "OK --x-header-key no1 --comm-key no2 --x-comp-key no3"), (SAME, "OK --x-header-key no1 --comm-key no2"),
    (SAME, "OK --x-header-key no1 -k no4"), (WORDS, "OK --x-comp-key halves"),
    # host key documents
    (SAME, "OK -k nowhere"), (SAME, "OK -k dir"), (SAME, "OK -k empty"), (SAME, "OK -k parmfile"), (SAME, "OK -k PRIVATE"),
    (SAME, "OK -k two"), (SAME, "OK -k rsa.crt"), (SAME, "OK -k p256.crt"), (SAME, "OK " + "-k HKD " * 94),
    (SAME, "OK " + "-k HKD " * 95), (SAME, "-i no5 -k no4 -o nowhere/x --no-verify"), (NEWER, "OK -k HKD,HKD"),
    # parts
    (SAME, "-i nowhere -k HKD -o image --no-verify"), (SAME, "-i dir -k HKD -o image --no-verify"),
    (WORDS, "-i= -k HKD -o image --no-verify"), (SAME, "--image= -k HKD -o image --no-verify"),
    (SAME, "OK -r nowhere"), (SAME, "OK -r dir"), (SAME, "OK -p nowhere"), (SAME, "OK -p dir"), (SAME, "OK -p empty"),
    (SAME, "-i no5 -r no6 -p no7 -k HKD -o nowhere/x --no-verify"), (SAME, "OK -r no6 -p no7"),
    (STRICTER, "-i empty -k HKD -o image --no-verify"), (STRICTER, "-i parmfile -k HKD -o image --no-verify"),
    (STRICTER, "OK -r empty"), (STRICTER, "OK -p long"),
    # output
    (SAME, "-i kernel -k HKD -o nowhere/x --no-verify"), (SAME, "-i kernel -k HKD -o dir --no-verify"),
    (SAME, "-i kernel -k HKD -o existing --no-verify"), (SAME, "-i kernel -k HKD -o link --no-verify"),
    (STRICTER, "-i kernel -k HKD -o /dev/null --no-verify"),
    # verification, before any certificate counts
    (SAME, "-i kernel -k HKD -o image --offline -C nowhere"), (SAME, "-i kernel -k HKD -o image --offline -C parmfile"),
    (SAME, "-i kernel -k HKD -o image --offline -C HKD --crl nowhere"),
    (SAME, "-i kernel -k HKD -o image --offline -C HKD --crl parmfile"),
    (SAME, "-i kernel -k HKD -o image --offline -C HKD --root-ca nowhere"),
    (SAME, "-i kernel -k HKD -o image --offline -C HKD --root-ca parmfile"),
    (SAME, "-i kernel -k HKD -o image --offline -C HKD --root-ca two"),
    (WORDS, "-i kernel -k HKD -o image --offline -C HKD"),
    (TEXT, "--help"), (TEXT, "-h"), (TEXT, "--help-all"), (TEXT, "--help-experimental"), (TEXT, "--version"),
    (TEXT, "-v"), (STRICTER, "-v foo"), (STRICTER, "--version -i kernel"),
    # what the genprotimg since 2.36 has, and this one has not
    (NEWER, "OK --overwrite"), (NEWER, "OK --no-component-check"), (NEWER, "OK -q"), (NEWER, "OK --cck k32"),
    (NEWER, "OK --hdr-key k32"), (NEWER, "OK --image-key k64"), (NEWER, "OK --enable-backup-keys"),
    (NEWER, "--kernel kernel -kHKD -oimage --no-verify"), (NEWER, "-ikernel -k HKD -o=image --no-verify"),
 (TEXT, "-h --foo"),
]


def make_files(kbuild):
    document, private = host_key(kbuild, "a")
    write("kernel", kernel(131072))
    write("initrd", b"initrd" * 1000)
    write("parmfile", b"panic=1 quiet")
    write("long", b"x" * 5000)
    write("empty", b"")
    write("k32", bytes(range(32)))
    write("k64", bytes(range(64)))
    write("halves", bytes(range(32)) * 2)
    with open(document, "rb") as f:
        write("two", f.read() * 2)
    os.mkdir("dir")
    for name, kind in (("rsa", ["rsa:2048"]), ("p256", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"])):
        subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-subj", "/CN=TEST", "-days", "2",
                        "-keyout", "other.pem", "-out", f"{name}.crt"], check=True, capture_output=True)
    return document, private


def prepare_output():
    for name in ("image", "existing", "target", "link", "other"):
        if os.path.lexists(name):
            os.remove(name)
    write("existing", b"old")
    write("target", b"old")
    os.symlink("target", "link")


def images():
    """The sizes of what was written; our stage3b may have another number of pages."""
    return sorted(n for n in ("image", "existing", "target", "other") if os.path.exists(n) and os.path.getsize(n) > 5000)


def ordinary(text):
    """Without our line about the TEST key, with one kind of quotes, and without the blanks with which we
    indent what continues a message, so that no file name can pretend to be one."""
    text = text.replace("\u201c", "'").replace("\u201d", "'")
    return [line.lstrip() for line in text.splitlines() if "TEST host key" not in line and "only the first one counts" not in line and "--crl is of no use" not in line]


def compare(tally, place, expected, words, name):
    got = []
    for tool in (place.reference, place.ours):
        prepare_output()
        status, out, err = run(tool, words)
        got.append((status, ordinary(out), ordinary(err), images()))
    (status, out, err, written), (our_status, our_out, our_err, our_written) = got
    why = f"  theirs: {status} {out} {err} {written}\n  ours:   {our_status} {our_out} {our_err} {our_written}"
    if expected == STRICTER:
        good = status == 0 and our_status == 1 and not our_written
    elif expected == TEXT:
        good = status == our_status == 0 and err == our_err and bool(our_out)
    elif expected == NEWER:
        good = status == 1 and our_status == 0 and len(our_written) == 1
    elif expected == WORDS:
        good = status == our_status == 1 and bool(our_err)
    else:
        # Ours may have more where theirs ends: what is wrong with the file, and what to do.
        same = len(our_err) >= len(err) and all(o.startswith(t) for t, o in zip(err, our_err))
        parts = [[line.split(":")[0] for line in lines] for lines in (out, our_out)]
        good = status == our_status and written == our_written and same and parts[0] == parts[1]
    tally.check(name, good, why)


def main(folder):
    place = Place(folder)
    tally = Tally("command lines")
    document, private = make_files(place.kbuild)
    for expected, line in TABLE:
        words = []
        for word in line.split():
            words += ["-i", "kernel", "-k", document, "-o", "image", "--no-verify"] if word == "OK" else \
                [word.replace("HKD", document).replace("PRIVATE", private)]
        compare(tally, place, expected, words, f"{expected} {line[:100]}")
    tally.end()


if __name__ == "__main__":
    main(sys.argv[1])
