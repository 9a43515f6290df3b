#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The phase build of a guest kernel: the image and its modules.
# Needs: what kernel.sh says; /build/obj/.config.
# Leaves: the kernel's object files in /build/obj.
set -eu
umask 022

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=kernel.sh
. "$here/kernel.sh"

# Nothing to do after setup.sh; a configuration that was changed by hand is made whole.
kernel_make olddefconfig
if ! awk -f "$here/check-config.awk" "$OBJECTS/.wanted" "$OBJECTS/.config"; then
    echo "so the configuration was changed after setup: it is built as it is" >&2
fi

modules=()
if has_modules; then
    modules=(modules)
fi
kernel_make "$image" "${modules[@]}"
