# SPDX-License-Identifier: Apache-2.0
# Writes a firmware image that is one in form only, for tests/e2e/ovmf.bats.
#   make-firmware.py FILE [SIZE] [without=NAME] [section=NAME:TYPE,TYPE...] [length=NAME:BYTES]
# A name is one of ENTRIES; `length` is what the entry (or the whole table: "table") says of itself.
import struct
import sys
import uuid

ENTRIES = {
    "tdx": "e47a6535-984a-4798-865e-4685a7bf8ec2",
    "snp": "dc886566-984a-4798-a75e-5585a7bf67cc",
    "hashes": "7255371f-3a3b-4b04-927b-1da6efa8d454",
    "secret": "4c2eb361-7d9b-4cc3-8081-127c90d3d294",
    "reset": "00f771de-1a7e-4fcb-890e-68c77e2fb44e",
}
TABLE = "96b582de-1fb2-45f7-baea-a366c55a082d"

path, size = sys.argv[1], 2 << 20
sections = {"snp": [1, 2, 3, 16], "tdx": [0, 2, 3]}
lengths = {}
without = []
for word in sys.argv[2:]:
    if word.isdigit():
        size = int(word)
        continue
    key, value = word.split("=")
    if key == "without":
        without.append(value)
        continue
    name, value = value.split(":")
    if key == "section":
        sections[name] = [int(n) for n in value.split(",") if n]
    else:
        lengths[name] = int(value)


def guid(text):
    return uuid.UUID(text).bytes_le


image = bytearray(size)
struct.pack_into("<Q4s", image, 32, size, b"_FVH")
distance = {"snp": 0x1000, "tdx": 0x2000}
for name, form, each in (("snp", "<4sIII", "<III"), ("tdx", "<4sIII", "<IIQQII")):
    at = size - distance[name]
    count, one = len(sections[name]), struct.calcsize(each)
    signature = b"ASEV" if name == "snp" else b"TDVF"
    struct.pack_into(form, image, at, signature, 16 + count * one, 1, count)
    for i, number in enumerate(sections[name]):
        fields = (0, 0, number) if name == "snp" else (0, 0, 0, 0, number, 0)
        struct.pack_into(each, image, at + 16 + i * one, *fields)
table = b""
for name, text in ENTRIES.items():
    if name in without:
        continue
    data = struct.pack("<I", distance.get(name, 0))
    table += data + struct.pack("<H", lengths.get(name, len(data) + 18)) + guid(text)
if "table" not in without:
    table += struct.pack("<H", lengths.get("table", len(table) + 18)) + guid(TABLE)
image[size - 32 - len(table) : size - 32] = table
with open(path, "wb") as file:
    file.write(image)
