#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Needs: /recipe/init.c; CROSS_COMPILE, TARGET; a compiler and a static libc for the target.
# Leaves: /out/$TARGET/sbin/init, static and stripped, and init, a link to it.
set -eu
umask 022

here=$(dirname "$0")
# -Wl,--build-id=none and no file names: the same bytes from every build.
"${CROSS_COMPILE}gcc" -std=gnu11 -Os -Wall -Wextra -Werror -static -s \
    -ffunction-sections -fdata-sections -Wl,--gc-sections -Wl,--build-id=none \
    -o init "$here/init.c"
install -D -m 0755 init "/out/$TARGET/sbin/init"
# It is the init also where the layers below have one.
ln -s sbin/init "/out/$TARGET/init"
