#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The name under which upstream's guides know `kbuild payload push FILE REGISTRY/REPOSITORY [TAG]`.
set -eu
here=$(dirname "$(readlink -f "$0")")
exec "$here/../../../../kbuild" payload push "$@"
