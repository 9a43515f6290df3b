#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Needs: /recipe/relay.c; CROSS_COMPILE, TARGET, SOURCE_DATE_EPOCH; a compiler and a static libc for the target, cpio.
# Leaves: /out/$TARGET/agent-relay.cpio with one file in it, agent-relay: static and stripped.
set -eu
umask 022

here=$(dirname "$0")
# -Wl,--build-id=none and no file names: the same bytes from every build.
"${CROSS_COMPILE}gcc" -std=gnu11 -D_GNU_SOURCE -Os -Wall -Wextra -Werror -static -s \
    -ffunction-sections -fdata-sections -Wl,--gc-sections -Wl,--build-id=none \
    -o agent-relay "$here/relay.c"
touch -d "@$SOURCE_DATE_EPOCH" agent-relay
mkdir -p "/out/$TARGET"
echo agent-relay | cpio -o -H newc --reproducible --owner=0:0 --quiet >"/out/$TARGET/agent-relay.cpio"
