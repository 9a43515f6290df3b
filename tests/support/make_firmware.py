#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Firmware images and kernels in small, as tests/unit/measure_fixture.h makes them.

make_firmware.py DIR [LEAVE_OUT...]: writes OVMF.fd, vmlinuz, vmlinuz.efi (the same as a PE/COFF image of Linux
6.12) and initrd.img to DIR; LEAVE_OUT can be sev, tdx, reset, hashes, kernel-hashes. The word `modules` instead
writes firmware with programs in it as DIR/TDVF-<release of edk2>.fd, and TDVF-none.fd without TdTcg2Dxe.
"""
import lzma
import struct
import sys
import uuid

FOOTER = "96b582de-1fb2-45f7-baea-a366c55a082d"
RESET = "00f771de-1a7e-4fcb-890e-68c77e2fb44e"
HASHES = "7255371f-3a3b-4b04-927b-1da6efa8d454"
SEV = "dc886566-984a-4798-a75e-5585a7bf67cc"
TDX = "e47a6535-984a-4798-865e-4685a7bf8ec2"
OTHER = "4c2eb361-7d9b-4cc3-8081-127c90d3d294"
SEC_MEM, SECRETS, CPUID, SVSM_CAA, KERNEL_HASHES = 1, 2, 3, 4, 16

SECTIONS = [(0x800000, 0x9000, SEC_MEM), (0x80A000, 0x3000, SEC_MEM), (0x80D000, 0x1000, SECRETS),
            (0x80E000, 0x1000, CPUID), (0x80F000, 0x1000, SVSM_CAA), (0x811000, 0xF000, SEC_MEM),
            (0x810000, 0x1000, KERNEL_HASHES)]
TDX_SECTIONS = [(0x1F000, 0x1000, 0xFFFFF000, 0x1000, 0, 1), (0, 0x2000, 0xFFFE0000, 0x2000, 1, 0),
                (0, 0, 0x810000, 0x2000, 3, 0), (0, 0, 0x809000, 0x2000, 2, 0),
                (0, 0, 0x100000, 0x400000, 4, 2)]


def entry(guid, *words):
    data = struct.pack("<%dI" % len(words), *words)
    return data + struct.pack("<H", len(data) + 18) + uuid.UUID(guid).bytes_le


def firmware(size=0x20000, reset=0x80B004, hashes=(0x810C00, 0x400), sections=SECTIONS,
             tdx=TDX_SECTIONS, fill=None):
    image = bytearray(fill or ((i * 7 % 251) for i in range(size)))
    sev_at, tdx_at = size - 0x2000, size - 0x3000
    # Written in reading order: the table is read from its end.
    table = entry(TDX, size - tdx_at) if tdx else b""
    table += entry(SEV, size - sev_at) if sections is not None else b""
    table += entry(HASHES, *(hashes or (0, 0))) + entry(OTHER, 0, 0)
    table += entry(RESET, reset) if reset else b""
    table += struct.pack("<H", len(table) + 18) + uuid.UUID(FOOTER).bytes_le
    image[size - 32 - len(table):size - 32] = table
    listed = b"".join(struct.pack("<III", *s) for s in sections or [])
    head = struct.pack("<4sIII", b"ASEV", 16 + len(listed), 1, len(listed) // 12)
    image[sev_at:sev_at + 16 + len(listed)] = head + listed
    listed = b"".join(struct.pack("<IIQQII", *s) for s in tdx or [])
    head = struct.pack("<4sIII", b"TDVF", 16 + len(listed), 1, len(listed) // 32)
    image[tdx_at:tdx_at + 16 + len(listed)] = head + listed
    return bytes(image)


TD_TCG2 = "f062221e-c607-44c2-b0b4-c3886331d351"
BDS = "6d33944a-ec75-4855-a54d-809c75241f6c"
LZMA = "ee4e5898-3914-4259-9d6e-dc7bd79403cf"
# What the program that starts kernels holds, by release of edk2.
LOADERS = {202408: b"\0 initrd=initrd\0", 202411: b"\0 initrd=initrd\0",
           202502: b"\0 initrd=initrd\0" + "shim\0".encode("utf-16le"),
           202508: b"\0initrd=initrd \0" + "shim\0".encode("utf-16le")}


def section(kind, data):
    size = 4 + len(data)
    return size.to_bytes(3, "little") + bytes([kind]) + data + bytes(-size % 4)


def guided(guid, data):
    return section(2, uuid.UUID(guid).bytes_le + struct.pack("<HH", 24, 1) + data)


def ffs_file(guid, kind, data):
    size = 24 + len(data)
    return uuid.UUID(guid).bytes_le + b"\0\0" + bytes([kind, 0]) + size.to_bytes(3, "little") + b"\xf8" + data + bytes(
        -size % 8)


def volume(files, size):
    body = b"".join(files)
    assert 72 + len(body) <= size, len(body)
    return bytes(32) + struct.pack("<Q4sIHHHBB", size, b"_FVH", 0, 72, 0, 0, 0, 2) + bytes(16) + body + b"\xff" * (
        size - 72 - len(body))


def modules(release, measures=True):
    """A compressed volume with the programs that matter, in a volume, as OVMF has it."""
    programs = [ffs_file(BDS, 7, section(0x10, b"MZ" + LOADERS[release] + bytes(100)))]
    if measures:
        programs.append(ffs_file(TD_TCG2, 7, section(0x10, b"MZ" + bytes(100))))
    inner = section(0x17, volume(programs, 4096))
    packed = lzma.compress(inner, lzma.FORMAT_ALONE, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16}])
    packed = packed[:5] + struct.pack("<Q", len(inner)) + packed[13:]
    return volume([ffs_file(OTHER, 11, guided(LZMA, packed))], 4096)


def trust_domain_firmware(release, measures=True):
    image = bytearray(firmware())
    packed = modules(release, measures)
    image[0x4000:0x4000 + len(packed)] = packed
    return bytes(image)


def bzimage(size=20000, fill=None):
    k = bytearray(fill or ((i * 5 % 249) for i in range(size)))
    k[0x1F1] = 4
    k[0x1FE:0x200] = b"\x55\xaa"
    k[0x202:0x206] = b"HdrS"
    k[0x206:0x208] = b"\x0f\x02"
    k[0x236:0x238] = b"\x3f\x00"
    k[0x238:0x23C] = struct.pack("<I", 2047)
    return bytes(k)


def efi(kernel):
    """As tests/unit/measure_tdx_rtmr.c makes it: sections from 0x200 on, nothing behind them but signatures."""
    k, pe = bytearray(kernel), 0x80
    optional = pe + 24
    sections = ((0xA00, 0x3000), (0x3A00, 0x1000), (0, 0), (0x200, 0x800))
    behind = 0x4A00

    def put(at, form, *values):
        struct.pack_into("<" + form, k, at, *values)

    put(0x3C, "I", pe)
    put(pe, "4s", b"PE")
    put(pe + 6, "H", len(sections))
    put(pe + 20, "H", 160)
    put(optional, "H", 0x20B)
    put(optional + 60, "I", 0x200)
    put(optional + 108, "I", 6)
    put(optional + 144, "II", behind, len(k) - behind)
    for i, (at, size) in enumerate(sections):
        put(optional + 160 + 40 * i + 16, "II", size, at)
    put(0x20E, "H", 0xC00)
    put(0x211, "B", 1)
    put(0x226, "H", 0)
    put(0x236, "H", 0x7F)
    put(0xE00, "14s", b"6.12.1 (x) #1")
    return bytes(k)


def uki(kernel):
    """A program for EFI around a kernel: its headers, nothing else, and the section .linux."""
    head = bytearray(0x400)
    head[0:2] = b"MZ"
    struct.pack_into("<I", head, 0x3C, 0x80)
    struct.pack_into("<4sHH12xHH", head, 0x80, b"PE", 0x8664, 2, 240, 0x22E)
    struct.pack_into("<H", head, 0x98, 0x20B)
    for i, (name, at, size) in enumerate(((b".text", 0x200, 0x200), (b".linux", 0x400, len(kernel)))):
        struct.pack_into("<8sIIII", head, 0x98 + 240 + 40 * i, name, size, 0x1000, size, at)
    return bytes(head) + kernel


def write_modules(folder):
    for release in LOADERS:
        with open("%s/TDVF-%d.fd" % (folder, release), "wb") as f:
            f.write(trust_domain_firmware(release))
    with open(folder + "/TDVF-none.fd", "wb") as f:
        f.write(trust_domain_firmware(202508, measures=False))
    with open(folder + "/uki.efi", "wb") as f:
        f.write(uki(bzimage()))


def main():
    folder, without = sys.argv[1], sys.argv[2:]
    if without == ["modules"]:
        return write_modules(folder)
    sections = [s for s in SECTIONS if "kernel-hashes" not in without or s[2] != KERNEL_HASHES]
    image = firmware(reset=0 if "reset" in without else 0x80B004,
                     hashes=None if "hashes" in without else (0x810C00, 0x400),
                     sections=None if "sev" in without else sections,
                     tdx=None if "tdx" in without else TDX_SECTIONS)
    for name, data in (("OVMF.fd", image), ("vmlinuz", bzimage()), ("vmlinuz.efi", efi(bzimage())),
                       ("initrd.img", bytes(i * 3 % 241 for i in range(9001)))):
        with open(folder + "/" + name, "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main()
