#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The phase setup of a guest kernel: its configuration.
# Needs: what kernel.sh says.
# Leaves: /build/obj/.config, for build.sh, or for a person to change before.
set -eu
umask 022

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=kernel.sh
. "$here/kernel.sh"
"$BASH" "$here/configure.sh"
