#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The kernel as a real QEMU hands it to the firmware.

fw_cfg_kernel.py QEMU KERNEL INITRD APPEND MEMORY OUT: starts QEMU, stopped, with these, and reads setup code
and kernel by its qtest protocol from fw_cfg (QEMU, docs/specs/fw_cfg.rst: a selector at port 0x510, bytes
at 0x511). The setup code is all that QEMU changes; the rest is taken from the file.
"""
import subprocess
import sys
import threading

SETUP_SIZE, SETUP_DATA = 0x17, 0x18


def main():
    qemu, kernel, initrd, append, memory, out = sys.argv[1:]
    guest = subprocess.Popen([qemu, "-machine", "q35", "-accel", "tcg", "-S", "-m", memory, "-display", "none",
                              "-nodefaults", "-qtest", "stdio", "-kernel", kernel, "-initrd", initrd,
                              "-append", append],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    limit = threading.Timer(60, guest.kill)
    limit.start()

    def say(line):
        guest.stdin.write(line + "\n")
        guest.stdin.flush()
        while True:
            words = guest.stdout.readline()
            if not words:
                sys.exit("QEMU ended: " + line)
            if words.startswith("OK"):
                return words.split()[1:]

    def item(selector, size):
        say(f"outw 0x510 {selector:#x}")
        return bytes(int(say("inb 0x511")[0], 16) for _ in range(size))

    try:
        setup = item(SETUP_DATA, int.from_bytes(item(SETUP_SIZE, 4), "little"))
    finally:
        limit.cancel()
        guest.kill()
        guest.wait()
    with open(kernel, "rb") as f:
        rest = f.read()[len(setup):]
    with open(out, "wb") as f:
        f.write(setup + rest)


if __name__ == "__main__":
    main()
