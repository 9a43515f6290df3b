#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Lists Go's toolchain for the building machine: the module golang.org/toolchain, which is the tree of upstream's archive.
# One is enough, since Go compiles for every architecture.
# Usage: toolchain.sh VERSION ARCHITECTURE
# Needs: beside it proxies.sh and toolchains.sha256; what proxies.sh says about GOPROXY.
# Leaves: one line on standard output; with a digest if toolchains.sha256 has it.
set -eu

here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=proxies.sh
. "$here/proxies.sh"

version=$1
case $2 in
    x86_64) machine=amd64 ;;
    aarch64) machine=arm64 ;;
    s390x | ppc64le) machine=$2 ;;
    *) echo "toolchain.sh: Go's name of the architecture $2 is not known" >&2 && exit 1 ;;
esac
if ! [[ $version =~ ^[1-9][0-9]*(\.[0-9]+){1,2}([a-z]+[0-9]+)?$ ]]; then
    echo "toolchain.sh: '$version' (languages.golang of versions.yaml) is no version of Go" >&2
    exit 1
fi
file=v0.0.1-go$version.linux-$machine.zip
digest=$(awk -v file="$file" '$2 == file { print $1 }' "$here/toolchains.sha256")
module_line golang.org/toolchain "${file%.zip}" zip ${digest:+"sha256=$digest"}
