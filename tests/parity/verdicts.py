#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Has both tools verify the same host key documents and compares the verdicts.

The certificates are those of the unit tests (tests/unit/hkd_world.h). Each of them takes its part in
a set that is otherwise good: alone, beside the good one, and without another file of the set; then two
change at once, by chance, the same each time. What genprotimg refuses must be refused. What it takes
and kbuild refuses must have a reason here, which docs/genprotimg.md tells.
Arguments: a folder for temporary files.
"""
import os
import random
import re
import sys

from common import Place, Tally, kernel, must, read, run, write

GOOD = {"root": ["root.crt"], "certs": ["sign.crt", "inter.crt"],
        "crls": ["root.crl", "inter.crl", "sign.crl"], "hosts": ["HKD-good.crt"]}

# Where kbuild is stricter on purpose: words of its message, and the reason.
STRICTER = [
    ("please specify only one IBM Z signing key", "all certificates of a file count, not the first alone"),
    ("delta", "a delta list alone does not say what is revoked"),
    ("a digest that is too weak", "SHA-1 signatures of documents and lists are refused, too"),
    ("unknown critical extension", "a list with an unknown critical extension"),
    ("it is about some certificates", "a list about some certificates only, as issuers say in it"),
]


def role(name):
    """The list that a file belongs to, and what it stands in for there."""
    kind = "crls" if name.endswith(".crl") or name == "crls.pem" else "certs"
    if name.startswith("HKD-"):
        return "hosts", "HKD-good.crt"
    if kind == "crls":
        return kind, {"root": "root.crl", "inter": "inter.crl"}.get(name[:-4].split("-")[0], "sign.crl")
    if name.startswith(("root", "two-roots")):
        return "root", "root.crt"
    return kind, "inter.crt" if name.startswith("inter") else "sign.crt"


def replaced(files, name):
    part, old = role(name)
    new = {k: list(v) for k, v in files.items()}
    new[part] = [name if f == old else f for f in new[part]]
    return new


def added(files, name):
    part = role(name)[0]
    new = {k: list(v) for k, v in files.items()}
    new[part] = new[part] + [name]
    return new


def cases(names):
    yield GOOD
    for part, files in GOOD.items():
        for name in files:
            if part not in ("root", "hosts"):
                yield {**GOOD, part: [f for f in files if f != name]}
    yield {**GOOD, "crls": []}
    yield {**GOOD, "certs": ["chain.pem"]}
    yield {**GOOD, "certs": ["chain-and-root.pem"]}
    yield {**GOOD, "crls": ["crls.pem"]}
    yield {**GOOD, "certs": ["chain-with-crls.pem", "inter.crt"], "crls": []}
    yield {**GOOD, "certs": ["sign.crt", "sign.crt", "inter.crt"]}
    for name in names:
        yield replaced(GOOD, name)
        if role(name)[0] != "root":
            yield added(GOOD, name)
    chance = random.Random(3)
    # A key needs documents and lists of its own: pairs find what one change alone cannot.
    for _ in range(150):
        first, second = chance.sample(names, 2)
        yield replaced(replaced(GOOD, first), second)
    for other, lists in (("sign-ec.crt", "ec.crl"), ("sign-two.crt", "two.crl"), ("sign-old.crt", "sign-old.crl")):
        for host in ("HKD-ec.crt", "HKD-two.crt", "HKD-two-no-akid.crt", "HKD-good.crt", "HKD-no-akid.crt"):
            yield replaced(replaced(replaced(GOOD, other), lists), host)
    for sign, crl in (("sign-by-inter2.crt", ["inter2.crl"]), ("sign-by-inter3.crt", ["inter2.crl", "inter3.crl"])):
        yield {**GOOD, "certs": [sign, "inter.crt", "inter2.crt", "inter3.crt"], "crls": GOOD["crls"] + crl}
    yield {**GOOD, "certs": ["sign-by-root.crt"]}
    yield {**GOOD, "root": ["root-weak.crt"], "certs": ["sign.crt", "inter-by-weak.crt"],
           "crls": ["root-weak.crl", "inter.crl", "sign.crl"]}


def command(case):
    words = ["--offline", "-i", "kernel", "-o", "image"]
    options = {"root": "--root-ca", "certs": "--cert", "crls": "--crl", "hosts": "--host-key-document"}
    for part, files in case.items():
        words += [f"{options[part]}=world/{name}" for name in files]
    return words


def verdict(tool, words):
    if os.path.exists("image"):
        os.remove("image")
    status, _, err = run(tool, words)
    if os.path.exists("image") != (status == 0):
        sys.exit(f"{tool} {' '.join(words)}: status {status}, and yet: {os.listdir('.')}\n{err}")
    lines = [line for line in err.splitlines() if not line.startswith("WARNING: ")]
    return status, " ".join(lines)


BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----\n", re.S)


def one_each(case):
    """The same set with a file for each certificate and each list: what genprotimg reads of a file with
    several is the first certificate, and no lists among certificates. None if it is the same."""
    new, count = {**case, "root": [], "certs": [], "crls": list(case["crls"])}, 0
    for kind in ("root", "certs"):
        for name in case[kind]:
            blocks = list(BLOCK.finditer(read(f"world/{name}")))
            if len(blocks) < 2:
                new[kind].append(name)
                continue
            for block in blocks:
                count += 1
                part = f"{name}-{count}"
                write(f"world/{part}", block.group(0))
                new["crls" if b"CRL" in block.group(1) else kind].append(part)
    return new if count else None


def explain(place, case, theirs, ours, our_text):
    """Why the verdicts may differ, or None."""
    if (theirs, ours) == (0, 1):
        return next((f"stricter: {r}" for word, r in STRICTER if word in our_text), None)
    if (theirs, ours) == (1, 0):
        apart = one_each(case)
        if apart and verdict(place.reference, command(apart))[0] == 0:
            return "as genprotimg, were each certificate in a file of its own"
    return None


def main(folder):
    place = Place(folder)
    tally = Tally("verdicts")
    write("kernel", kernel(66616))
    os.mkdir("world")
    must(os.environ["WORLD"], ["world", "http://127.0.0.1:1/"])
    names = [n for n in sorted(os.listdir("world")) if "online" not in n]
    taken = refused = 0
    seen, differences = set(), {}
    for case in cases(names):
        words = command(case)
        if tuple(words) in seen:
            continue
        seen.add(tuple(words))
        (theirs, their_text), (ours, our_text) = verdict(place.reference, words), verdict(place.ours, words)
        changed = [f for part in case for f in case[part] if f not in GOOD[part]]
        why = f"  genprotimg: {theirs} {their_text}\n  kbuild:     {ours} {our_text}"
        name = f"{' '.join(changed) or 'missing'}: {' '.join(words[5:])}"
        taken += theirs == 0
        refused += theirs != 0
        if theirs == ours:
            tally.check(name, True)
            continue
        reason = explain(place, case, theirs, ours, our_text)
        tally.check(name, reason is not None, why)
        differences.setdefault(reason, []).append(" ".join(changed))
    print(f"genprotimg took {taken} sets and refused {refused}")
    for reason, sets in differences.items():
        print(f"{reason}: {len(sets)} sets, as {sets[0]}")
    tally.end()


if __name__ == "__main__":
    main(sys.argv[1])
