# SPDX-License-Identifier: Apache-2.0
# Checks that a firmware image is what it should be before it is packed.
# Needs: the kind (generic, sev, tdx), the architecture and the image.
# Leaves: one line on stdout that says what was found; exit status 1 and a line on stderr if not.
#
# Firmware volumes: UEFI Platform Initialization Specification, volume 3, 3.2.1: at offset 40 of a
# volume stand "_FVH" and, at 32, its length.
# The table of GUIDs that ends 32 bytes before the image does: edk2, OvmfPkg/ResetVector/Ia16/
# ResetVectorVtf0.asm. An entry is its data, its length (2 bytes, itself included) and its GUID; the
# last one holds the length of all. Two of them say where, from the image's end, a list of memory
# sections is: OvmfPkg/ResetVector/X64/OvmfSevMetadata.asm and IntelTdxMetadata.asm.
import struct
import sys
import uuid

MIB = 1 << 20
FOOTER = uuid.UUID("96b582de-1fb2-45f7-baea-a366c55a082d")
SEV_ES_RESET = uuid.UUID("00f771de-1a7e-4fcb-890e-68c77e2fb44e")
SEV_HASHES = uuid.UUID("7255371f-3a3b-4b04-927b-1da6efa8d454")
SEV_SECRET = uuid.UUID("4c2eb361-7d9b-4cc3-8081-127c90d3d294")
SEV_METADATA = uuid.UUID("dc886566-984a-4798-a75e-5585a7bf67cc")
TDX_METADATA = uuid.UUID("e47a6535-984a-4798-865e-4685a7bf8ec2")
NAMES = {
    SEV_ES_RESET: "SEV-ES reset block",
    SEV_HASHES: "place for the table of hashes",
    SEV_SECRET: "place for a launch secret",
    SEV_METADATA: "SEV metadata",
    TDX_METADATA: "TDX metadata",
}
# What a kind cannot do without.
ENTRIES = {
    "generic": [SEV_ES_RESET, SEV_METADATA],
    "sev": [SEV_ES_RESET, SEV_METADATA, SEV_HASHES, SEV_SECRET],
    "tdx": [TDX_METADATA],
}
# Metadata entry: signature, size of the header, size of a section, offset of the type in it, and the
# types that must be there.
METADATA = {
    SEV_METADATA: (b"ASEV", 16, 12, 8, {1: "memory", 2: "secrets page", 3: "CPUID page"}),
    TDX_METADATA: (b"TDVF", 16, 32, 24, {0: "boot volume", 2: "hand-off block", 3: "memory"}),
}
SNP_KERNEL_HASHES = 16
# ArmVirtPkg/ArmVirtQemu.fdf: "b 0x1000", and the volume there.
ARM_PAGE = 0x1000
ARM_JUMP = b"\x00\x04\x00\x14"


class Unfit(Exception):
    """Why an image is not the firmware that was asked for."""


def check_volume(image):
    # A volume cannot lie at address 0, where the code of ArmVirtQemu is: there is a jump over a page.
    start = ARM_PAGE if image[:4] == ARM_JUMP else 0
    volume = image[start:]
    if len(volume) < 64 or volume[40:44] != b"_FVH":
        raise Unfit("it does not begin with a firmware volume")
    (length,) = struct.unpack_from("<Q", volume, 32)
    if not 64 <= length <= len(volume):
        raise Unfit(f"its first volume says it has {length} bytes, the image has {len(volume)}")


def read_table(image):
    """The entries of the table of GUIDs, data by GUID."""
    end = len(image) - 32
    if uuid.UUID(bytes_le=image[end - 16 : end]) != FOOTER:
        raise Unfit("there is no table of GUIDs before its reset vector")
    (length,) = struct.unpack_from("<H", image, end - 18)
    start = end - length
    if length < 18 or start < 0:
        raise Unfit(f"its table of GUIDs says it has {length} bytes")
    entries = {}
    at = end - 18
    while at > start:
        if at - start < 18:
            raise Unfit("its table of GUIDs ends inside an entry")
        (size,) = struct.unpack_from("<H", image, at - 18)
        if not 18 <= size <= at - start:
            raise Unfit(f"an entry of its table of GUIDs says it has {size} bytes")
        entries[uuid.UUID(bytes_le=image[at - 16 : at])] = image[at - size : at - 18]
        at -= size
    return entries


def section_types(image, guid, data):
    signature, header, size, type_at, needed = METADATA[guid]
    if len(data) != 4:
        raise Unfit(f"its {NAMES[guid]} entry has {len(data)} bytes")
    at = len(image) - struct.unpack("<I", data)[0]
    if not 0 <= at <= len(image) - header or image[at : at + 4] != signature:
        raise Unfit(f"its {NAMES[guid]} entry leads nowhere")
    length, _, count = struct.unpack_from("<III", image, at + 4)
    if length != header + count * size or at + length > len(image):
        raise Unfit(f"its {NAMES[guid]} says it has {count} sections in {length} bytes")
    first = at + header + type_at
    types = [struct.unpack_from("<I", image, first + i * size)[0] for i in range(count)]
    for number, name in needed.items():
        if number not in types:
            raise Unfit(f"its {NAMES[guid]} has no section for the {name}")
    return types


def check_x86(kind, image):
    if len(image) % MIB or not MIB <= len(image) <= 16 * MIB:
        raise Unfit(f"it has {len(image)} bytes, which is no size of a flash image")
    entries = read_table(image)
    for guid in ENTRIES[kind]:
        if guid not in entries:
            raise Unfit(f"there is no {NAMES[guid]} in it")
    types = {g: section_types(image, g, d) for g, d in entries.items() if g in METADATA}
    found = sorted(NAMES[guid] for guid in entries if guid in NAMES)
    if kind == "sev" and SNP_KERNEL_HASHES not in types[SEV_METADATA]:
        found.append("but no SNP page for the hashes: QEMU cannot measure a kernel for SEV-SNP with it")
    return ", ".join(found)


def main():
    kind, architecture, path = sys.argv[1:]
    try:
        with open(path, "rb") as file:
            image = file.read()
        check_volume(image)
        found = check_x86(kind, image) if architecture == "x86_64" else "firmware volume"
    except (OSError, Unfit) as why:
        sys.exit(f"{path} is no {kind} firmware for {architecture}: {why}")
    print(f"{path}: {len(image)} bytes, {found}")


main()
