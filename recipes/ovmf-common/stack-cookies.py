# SPDX-License-Identifier: Apache-2.0
# Writes the values that edk2's stack protector is built with, so that it does not draw them.
# edk2 (since edk2-stable202411) takes one of 100 by a hash of the module's GUID. That they can be
# computed costs nothing: they are constants in a firmware image that anyone may read.
# Needs: the platform's build folder and a number (the source's time) to derive them from.
# Leaves: StackCookieValues32.json and StackCookieValues64.json there.
import hashlib
import json
import sys

folder, seed = sys.argv[1:]
for bits in (32, 64):
    values = []
    for i in range(100):
        digest = hashlib.sha256(f"stack cookie {seed} {bits} {i}".encode()).digest()
        values.append(int.from_bytes(digest[: bits // 8], "little"))
    with open(f"{folder}/StackCookieValues{bits}.json", "w", encoding="ascii") as file:
        json.dump(values, file)
