# SPDX-License-Identifier: Apache-2.0
# A user at a terminal: runs a program on a pseudo-terminal of 33 by 77, types a line and then "exit", prints
# what the program wrote, and says how it left the terminal. Usage: terminal.py LINE PROGRAM [ARGUMENT...]
import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time

pid, master = pty.fork()
if pid == 0:
    # The user's shell: it stays, as the leader of the session, and reads from the terminal afterwards.
    before = termios.tcgetattr(0)
    child = os.fork()
    if child == 0:
        os.execvp(sys.argv[2], sys.argv[2:])
    status = os.waitpid(child, 0)[1]
    print("status %d" % os.waitstatus_to_exitcode(status))
    print("settings restored" if termios.tcgetattr(0) == before else "settings changed")
    left = struct.unpack("i", fcntl.ioctl(0, termios.FIONREAD, b"\0\0\0\0"))[0]
    print("left to read: %d" % left)
    sys.stdout.flush()
    os._exit(0)

fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
typed = False
deadline = time.monotonic() + 50
while time.monotonic() < deadline:
    if not select.select([master], [], [], 0.2)[0]:
        continue
    try:
        data = os.read(master, 4096)
    except OSError:
        break
    sys.stdout.buffer.write(data)
    if not typed and (b"$ " in data or b"# " in data):  # a prompt
        typed = True
        os.write(master, sys.argv[1].encode() + b"\nexit\n")
sys.stdout.flush()
