#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Pushing and pulling against `skopeo copy` of the same blob, with Debian's docker-registry on loopback.
#
# Makes an image of one layer of SIZE (500) MB of random bytes, and RUNS (3) times pushes it to a fresh
# repository of a fresh registry and pulls it, by registry_client and by skopeo in turn. skopeo is told not to
# compress. Prints the medians of elapsed time, the ratios, peak memory, and how long a push of what is there
# takes. Files are written to BENCH_DIR (TMPDIR or /tmp): five times SIZE. Needs REGISTRY_CLIENT
# (obj/registry_client), docker-registry, skopeo, GNU time.
set -eu
cd "$(dirname "$0")/../.."
client=${REGISTRY_CLIENT:-$PWD/obj/registry_client}
runs=${RUNS:-3}
size=${SIZE:-500}
[ -x "$client" ] || { echo "no $client: make obj/registry_client" >&2; exit 1; }
work=$(mktemp -d -p "${BENCH_DIR:-${TMPDIR:-/tmp}}")
server=
stop() { [ -z "$server" ] || { kill "$server"; wait "$server" 2>/dev/null || true; }; server=; }
trap 'stop; rm -rf "$work"' EXIT
cd "$work"

start() { # a fresh registry; sets `registry`
  stop
  rm -rf store
  local port=$((20000 + RANDOM % 20000))
  cat >config.yml <<X
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $work/store}}
http: {addr: "127.0.0.1:$port"}
X
  docker-registry serve config.yml >/dev/null 2>&1 &
  server=$!
  for _ in $(seq 100); do
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    sleep 0.05
  done
  registry=localhost:$port
}

# The image, as an OCI layout.
mkdir -p image/blobs/sha256
blob() { # file: gives it its name, prints descriptor's members
  local sum bytes
  sum=$(sha256sum "$1" | cut -d' ' -f1) bytes=$(stat -c %s "$1")
  mv "$1" "image/blobs/sha256/$sum"
  printf '"digest":"sha256:%s","size":%s' "$sum" "$bytes"
}
mkdir -p layer && head -c "${size}000000" /dev/urandom >layer/data
tar -cf layer.tar -C layer data && rm -r layer
diff=$(sha256sum layer.tar | cut -d' ' -f1)
printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$diff" >config
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json",%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar",%s}]}' \
  "$(blob config)" "$(blob layer.tar)" >manifest
printf '{"imageLayoutVersion":"1.0.0"}' >image/oci-layout
printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",%s,"annotations":{"org.opencontainers.image.ref.name":"x"}}]}' \
  "$(blob manifest)" >image/index.json

measure() { # name, command...: appends milliseconds and KB
  local name=$1 begin=$EPOCHREALTIME
  shift
  /usr/bin/time -f %M -o memory "$@" >out 2>&1 || { cat out >&2; exit 1; }
  local end=$EPOCHREALTIME
  echo $(((${end/./} - ${begin/./}) / 1000)) >>"$name.ms"
  tail -n 1 memory >>"$name.kb"
}
median() { sort -n "$1" | sed -n "$((($(wc -l <"$1") + 1) / 2))p"; }
ratio() { awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }

for ((i = 0; i < runs; i++)); do
  start
  measure push "$client" push image "$registry/a/x:t"
  measure again "$client" push image "$registry/a/x:t"
  rm -rf got && measure pull "$client" pull "$registry/a/x:t" got
  cmp "got/blobs/sha256/$diff" "image/blobs/sha256/$diff"
  start
  measure skopeo-push skopeo copy -q --dest-tls-verify=false oci:image:x "docker://$registry/b/x:t"
  measure skopeo-again skopeo copy -q --dest-tls-verify=false oci:image:x "docker://$registry/b/x:t"
  rm -rf got && measure skopeo-pull skopeo copy -q --src-tls-verify=false "docker://$registry/b/x:t" oci:got:x
done
for what in push pull again; do
  ours=$(median $what.ms) theirs=$(median skopeo-$what.ms)
  echo "$what, $size MB, medians of $runs: ours $ours ms, skopeo $theirs ms (ratio $(ratio "$ours" "$theirs"));" \
    "peak memory $(sort -n $what.kb | tail -n 1) KB, skopeo $(sort -n skopeo-$what.kb | tail -n 1) KB"
done
