#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The name under which upstream's guides know `kbuild merge DIR [VERSIONS_YAML]`.
set -eu
here=$(dirname "$(readlink -f "$0")")
exec "$here/../../../../kbuild" merge "$@"
