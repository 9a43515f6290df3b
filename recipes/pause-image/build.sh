#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes an OCI bundle of an image. Upstream's tool (umoci) also leaves a manifest with the times of the unpacking,
# sha256_<digest>.mtree: nothing reads it, and it would make each build another one, so there is none here.
# Needs: /src/pause: rootfs/, and config.json, the image's configuration; jq.
# Leaves: /out/$TARGET/pause_bundle: config.json, a runtime specification, and rootfs/.
set -eu
umask 022

image=/src/pause/config.json
bundle=/out/$TARGET/pause_bundle
if [ ! -d /src/pause/rootfs ] || [ ! -f "$image" ]; then
    echo "pause-image: the source 'pause' is no unpacked image: a folder with rootfs/ and config.json, the image's configuration" >&2
    exit 1
fi
mkdir "$bundle"
cp -R --preserve=mode,links /src/pause/rootfs "$bundle/rootfs"
chmod 0755 "$bundle/rootfs"
jq -f "$(dirname "$0")/bundle.jq" "$image" >"$bundle/config.json"

# The agent runs rootfs/<first argument> (src/agent/src/confidential_data_hub/image.rs).
program=$(jq -r '.process.args[0]' "$bundle/config.json")
case $program in
    /*) ;;
    *) echo "pause-image: the image's entry point '$program' is no absolute path" >&2 && exit 1 ;;
esac
if ! [ -f "$bundle/rootfs$program" ] || ! [ -x "$bundle/rootfs$program" ]; then
    echo "pause-image: the image has no program $program" >&2
    exit 1
fi
