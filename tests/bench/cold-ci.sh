#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A CI job with an empty cache, and everything in the registry: how long until build/ is complete, and how
# long skopeo takes to copy the same bytes.
#
# Usage: cold-ci.sh [TARGET [OPTION...]]. Builds TARGET (boot-image-se) with the cache in KBUILD_CACHE if it is
# not there yet, pushes it to a fresh registry (Debian's docker-registry) on loopback, and then RUNS (5) times
# makes build/ with an empty cache, and copies what was placed with skopeo, in turn. Prints medians of
# elapsed and of processor time, peak memory, the bytes, and the difference. KBUILD is the program (./kbuild).
# Needs what the target needs, docker-registry, skopeo, GNU time.
set -eu
program=${KBUILD:-$(cd "$(dirname "$0")/../.." && pwd)/kbuild}
runs=${RUNS:-5}
target=${1:-boot-image-se}
shift $(($# > 0))
work=$(mktemp -d -p "${BENCH_DIR:-${TMPDIR:-/tmp}}")
server=
cleanup() {
  [ -z "$server" ] || kill "$server"
  wait
  chmod -R u+w "${work:?}"
  rm -rf "${work:?}"
}
trap cleanup EXIT

port=$((20000 + RANDOM % 20000))
cat >"$work/registry.yml" <<X
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $work/registry}}
http: {addr: "127.0.0.1:$port"}
X
docker-registry serve "$work/registry.yml" >/dev/null 2>&1 &
server=$!
for _ in $(seq 100); do
  (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
  sleep 0.05
done
export ARTEFACT_REGISTRY=127.0.0.1:$port ARTEFACT_REPOSITORY=kata
unset BUILDER_REGISTRY KBUILD_SIGNING_KEY KBUILD_TRUSTED_KEYS PUSH_TO_REGISTRY

PUSH_TO_REGISTRY=yes "$program" "$@" -q --remote=require -o "$work/warm" "$target"
bytes=$(cat "$work"/warm/kata-static-*.tar.* | wc -c)
targets=$(find "$work/warm" -name '*-sha256sum' -printf '%f\n' | sed 's/-sha256sum$//')
arch=$(sed -n 's/-[0-9a-f]*$//p' "$work/warm/$target-version")

cold() {
  [ ! -e "$work/cache" ] || chmod -R u+w "$work/cache"
  rm -rf "${work:?}/cache" "${work:?}/build"
  KBUILD_CACHE=$work/cache /usr/bin/time -a -o "$work/cold" -f '%e %U %S %M' \
    "$program" "$@" --remote=require -o "$work/build" "$target" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
  ! grep -q ': done in' "$work/log" || { echo "something was made:" >&2; cat "$work/log" >&2; exit 1; }
}

copy() {
  rm -rf "${work:?}/copied"
  mkdir "$work/copied"
  # shellcheck disable=SC2016 # the inner shell's
  /usr/bin/time -a -o "$work/copy" -f '%e %U %S %M' sh -c 'for t in $1; do
    skopeo copy -q --src-tls-verify=false "docker://$2/cached-artefacts/$t:latest-main-$3" "dir:$4/$t" || exit 1
  done' sh "$targets" "$ARTEFACT_REGISTRY/$ARTEFACT_REPOSITORY" "$arch" "$work/copied"
}

for _ in $(seq "$runs"); do
  cold "$@"
  copy
done

median() { # file column
  cut -d' ' -f"$2" "$work/$1" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
for name in cold copy; do
  processor=$(awk "BEGIN{print $(median $name 2) + $(median $name 3)}")
  echo "$name: $(median $name 1) s, processor $processor s, memory $(($(median $name 4) / 1024)) MB"
done
echo "placed: $(awk "BEGIN{printf \"%.1f\", $bytes / 1e6}") MB of $(wc -w <<<"$targets") targets"
echo "beyond the transfer: $(awk "BEGIN{printf \"%.2f\", $(median cold 1) - $(median copy 1)}") s"
