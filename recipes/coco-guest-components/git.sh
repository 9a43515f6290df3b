#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Stands for git during the build. The build scripts of two programs ask it for the commit and for
# changes, and write the answers into what `--version` prints; the source has no repository.
# Needs: GUEST_COMPONENTS_VERSION: what versions.yaml names.
set -eu
case "$*" in
    'rev-parse HEAD') printf '%s\n' "$GUEST_COMPONENTS_VERSION" ;;
    'diff HEAD') ;;
    *)
        echo "git: '$*' cannot be answered here: the source is an exported tree" >&2
        exit 1
        ;;
esac
