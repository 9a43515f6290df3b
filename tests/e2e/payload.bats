#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kbuild payload and provenance, with a real registry on loopback and clients that are not ours.

load project

setup_file() {
  export TMP_ALL=$BATS_FILE_TMPDIR
  [ -x "$(command -v docker-registry)" ] || return 0
  for _ in 1 2 3 4 5; do
    PORT=$((20000 + RANDOM % 20000))
    cat >"$TMP_ALL/registry.yml" <<X
version: 0.1
log: {level: info}
storage: {filesystem: {rootdirectory: $TMP_ALL/registry}}
http: {addr: "127.0.0.1:$PORT"}
X
    docker-registry serve "$TMP_ALL/registry.yml" >"$TMP_ALL/registry.log" 2>&1 3>&- &
    export REGISTRY_PID=$! REGISTRY=localhost:$PORT
    for _ in $(seq 50); do
      kill -0 "$REGISTRY_PID" 2>/dev/null || break
      (: <"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null && return 0
      sleep 0.1
    done
    kill "$REGISTRY_PID" 2>/dev/null || true
  done
  return 1
}

teardown_file() {
  [ -z "${REGISTRY_PID:-}" ] || kill "$REGISTRY_PID"
}

need() {
  for tool in "$@"; do
    [ -x "$(command -v "$tool")" ] || skip "$tool is not installed"
  done
}

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
  mkdir build
  echo 'assets: {}' >versions.yaml
  echo 3.12.0 >VERSION
  export RELEASE=yes SOURCE_DATE_EPOCH=1700000000
  component kernel share/kata-containers/vmlinuz "a kernel"
  component qemu bin/qemu "an emulator"
}

teardown() {
  chmod -R u+rwX . # what buildah stored of an image may be read-only
}

component() { # name path content
  rm -rf tree
  mkdir -p "tree/opt/kata/$(dirname "$2")"
  printf '%s' "$3" >"tree/opt/kata/$2"
  kb pack tree "build/kata-static-$1.tar.xz"
}

kb() {
  "$KBUILD" --cache cache --versions versions.yaml "$@"
}

push() { # on scratch unless a base is named; notes are for people
  local base=(--base=scratch)
  [[ " $* " != *" --base"* ]] || base=()
  kb payload push --quiet "${base[@]}" "$@" --commit c0ffee --arch x86_64
}

# What the registry was asked for since the last call: "PUT blobs/uploads", one line each.
requests() {
  local all
  all=$(grep -ao '"\(GET\|HEAD\|POST\|PUT\|PATCH\) /v2/[^ ?"]*' "$TMP_ALL/registry.log" | tr -d '"')
  printf '%s\n' "$all" | tail -n "+$((${SEEN:-0} + 1))"
  SEEN=$(printf '%s\n' "$all" | wc -l)
}

content() { # image (DIR:NAME): unpacks it to un
  rm -rf un
  umoci unpack --rootless --image "$1" un >/dev/null
}

@test "a directory becomes an image with a layer for each component" {
  need skopeo umoci
  run push build --base=scratch --output oci:layout
  [ "$status" -eq 0 ]
  [[ "$output" =~ ^kata-containers-c0ffee-amd64:\ digest:\ (sha256:[0-9a-f]{64})\ size:\ [0-9]+$ ]]
  [ "$(skopeo inspect --format '{{.Digest}}' oci:layout:kata-containers-c0ffee-amd64)" = "${BASH_REMATCH[1]}" ]
  skopeo inspect oci:layout:kata-containers-c0ffee-amd64 | jq -e \
    '.Architecture == "amd64" and .Os == "linux" and (.Layers | length) == 3'
  content layout:kata-containers-c0ffee-amd64
  cd un/rootfs
  [ "$(find . -type f | LC_ALL=C sort | xargs)" = "./opt/kata-artifacts/opt/kata/VERSION ./opt/kata-artifacts/opt/kata/bin/qemu ./opt/kata-artifacts/opt/kata/share/kata-containers/vmlinuz ./opt/kata-artifacts/opt/kata/versions.yaml" ]
  [ "$(cat opt/kata-artifacts/opt/kata/bin/qemu)" = "an emulator" ]
  [ "$(cat opt/kata-artifacts/opt/kata/VERSION)" = 3.12.0 ]
}

@test "the merged tarball has the same content as its components" {
  need umoci
  kb merge build versions.yaml
  push build --output oci:one:v
  push kata-static.tar.xz --output oci:two:v
  content one:v
  mv un first
  content two:v
  diff -r first/rootfs un/rootfs
}

@test "the same input gives the same image, whatever the cache and the time" {
  push build --output oci:one >first
  sleep 1
  touch build/*
  "$KBUILD" --cache other --versions versions.yaml payload push build --base=scratch --commit c0ffee --arch x86_64 --output oci:two >second
  cmp first second
  diff -r one two
}

@test "a tarball that was replaced is noticed, though its digest is remembered" {
  kb merge build versions.yaml
  touch -d '2020-01-01' kata-static.tar.xz
  sleep 3 # what has just changed is not remembered
  first=$(push kata-static.tar.xz --output oci:one:v)
  [ "$(push kata-static.tar.xz --output oci:one:v)" = "$first" ]
  component qemu bin/qemu "another em"
  kb merge build versions.yaml
  touch -d '2020-01-01' kata-static.tar.xz
  [ "$(push kata-static.tar.xz --output oci:one:v)" != "$first" ]
  # Altered in place: the same inode, size and time of modification.
  sleep 3
  second=$(push kata-static.tar.xz --output oci:one:v)
  component qemu bin/qemu "an emulator"
  kb merge build versions.yaml -o other.tar.xz
  cat other.tar.xz >kata-static.tar.xz
  touch -d '2020-01-01' kata-static.tar.xz
  [ "$(push kata-static.tar.xz --output oci:one:v)" != "$second" ]
}

@test "an archive is read by skopeo, and is the same every time" {
  need skopeo
  push build repository v1 --output oci-archive:a.tar
  push build repository v1 --output oci-archive:b.tar
  cmp a.tar b.tar
  skopeo copy -q oci-archive:a.tar:v1 dir:copied
  [ "$(jq '.layers | length' copied/manifest.json)" -eq 3 ]
}

@test "layers can be compressed with zstd" {
  need skopeo umoci
  push build --output oci:layout:v --compression=zstd
  skopeo inspect --raw oci:layout:v | jq -e '.layers[0].mediaType == "application/vnd.oci.image.layer.v1.tar+zstd"'
  skopeo copy -q oci:layout:v dir:copied
  zstd -dc <copied/"$(jq -r '.layers[0].digest[7:]' copied/manifest.json)" | tar -t | grep -q kata-artifacts/opt/kata
}

@test "the layout of components keeps the tarballs as they are" {
  need umoci
  echo '{}' >shim.json
  push build --layout=components --shim-components shim.json --output oci:layout:v
  content layout:v
  cmp build/kata-static-qemu.tar.xz un/rootfs/opt/kata-artifacts/tarballs/kata-static-qemu.tar.xz
  cmp build/kata-static-kernel.tar.xz un/rootfs/opt/kata-artifacts/tarballs/kata-static-kernel.tar.xz
  cmp versions.yaml un/rootfs/opt/kata-artifacts/versions.yaml
  cmp shim.json un/rootfs/opt/kata-artifacts/shim-components.json
}

@test "a registry gets both tags, and unchanged components cost no bytes" {
  need docker-registry skopeo
  requests >/dev/null
  run push build "$REGISTRY/build-kata-deploy" latest --base=scratch
  [ "$status" -eq 0 ]
  [ "$(printf '%s\n' "$output" | sed 's/:.*//' | xargs)" = "kata-containers-c0ffee-amd64 latest" ]
  requests >first
  [ "$(grep -c 'POST .*/blobs/uploads' first)" -eq 4 ]
  digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$REGISTRY/build-kata-deploy:latest")
  [[ "$output" == *"latest: digest: $digest size: "* ]]
  requests >/dev/null
  push build "$REGISTRY/build-kata-deploy" again
  requests >second
  grep -q 'HEAD .*/blobs/' second
  [ "$(grep -c 'POST\|PATCH\|PUT .*/blobs/' second)" -eq 0 ]
  component kernel share/kata-containers/vmlinuz "another kernel"
  push build "$REGISTRY/build-kata-deploy" changed
  requests >third
  # The changed component and the config that names it.
  [ "$(grep -c 'POST .*/blobs/uploads' third)" -eq 2 ]
}

@test "upstream's script name pushes a payload, and guests' components stay out of one" {
  need docker-registry skopeo umoci
  kb merge build versions.yaml
  run "$REPOSITORY/tools/packaging/kata-deploy/local-build/kata-deploy-build-and-upload-payload.sh" \
    kata-static.tar.xz "$REGISTRY/by-script" latest --versions versions.yaml --cache cache --commit c0ffee --arch x86_64 --base=scratch
  [ "$status" -eq 0 ]
  [[ "$output" == *"latest: digest: sha256:"* ]]
  [ "$(skopeo list-tags --tls-verify=false "docker://$REGISTRY/by-script" | jq -c .Tags)" = '["kata-containers-c0ffee-amd64","latest"]' ]
  component agent bin/agent agent
  push build --base=scratch --output oci:without:v
  content without:v
  [ ! -e un/rootfs/opt/kata-artifacts/opt/kata/bin/agent ]
  push kata-static.tar.xz --base=scratch --output oci:other:v --recipes "$REPOSITORY/recipes"
  content other:v
  [ -e un/rootfs/opt/kata-artifacts/opt/kata/VERSION ]
}

@test "a base image comes from a layout or a registry, and its configuration stays" {
  need docker-registry skopeo umoci buildah
  umoci init --layout base
  umoci new --image base:v
  umoci config --image base:v --config.entrypoint /usr/bin/kata-deploy --config.env A=b --architecture amd64 --os linux
  mkdir -p tree2/usr/bin
  echo program >tree2/usr/bin/kata-deploy
  umoci insert --rootless --image base:v tree2/usr /usr
  skopeo copy -q --dest-tls-verify=false oci:base:v "docker://$REGISTRY/base:v"
  # docker's own manifest, too.
  skopeo copy -q --format v2s2 --dest-tls-verify=false oci:base:v "docker://$REGISTRY/base:docker"
  for base in oci:base:v oci:base "$REGISTRY/base:v" "$REGISTRY/base:docker"; do
    rm -rf layout
    push build --base "$base" --output oci:layout:v
    skopeo inspect --config oci:layout:v | jq -e '.config.Entrypoint == ["/usr/bin/kata-deploy"] and .config.Env == ["A=b"]'
    skopeo inspect --raw oci:layout:v | jq -e '[.layers[].mediaType] | unique == ["application/vnd.oci.image.layer.v1.tar+gzip"]'
    content layout:v
    [ "$(cat un/rootfs/usr/bin/kata-deploy)" = program ]
    [ "$(cat un/rootfs/opt/kata-artifacts/opt/kata/bin/qemu)" = "an emulator" ]
  done
  push build "$REGISTRY/deploy" v --base "$REGISTRY/base:v"
  skopeo copy -q --src-tls-verify=false "docker://$REGISTRY/deploy:v" dir:copied
  run buildah --root "$PWD/storage" --runroot "$PWD/run" --storage-driver vfs pull -q --tls-verify=false "$REGISTRY/deploy:v"
  [ "$status" -eq 0 ]
}

@test "architectures are joined to one index" {
  need docker-registry skopeo
  push build "$REGISTRY/multi" v-amd64
  kb payload push build "$REGISTRY/multi" v-s390x --commit c0ffee --arch s390x --base=scratch
  run kb payload index "$REGISTRY/multi:v" v-amd64 v-s390x
  [ "$status" -eq 0 ]
  skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/multi:v" |
    jq -e '[.manifests[].platform.architecture] == ["amd64", "s390x"]'
  for arch in amd64 s390x; do
    skopeo inspect --override-arch "$arch" --tls-verify=false "docker://$REGISTRY/multi:v" |
      jq -e --arg arch "$arch" '.Architecture == $arch'
  done
  # An index is a base, too; of the right architecture only.
  push build --base "$REGISTRY/multi:v" --any-base --output oci:layout
  run kb payload push build --commit c --arch aarch64 --base "$REGISTRY/multi:v" --any-base --output oci:layout
  [ "$status" -eq 1 ]
  [[ "$output" == *linux/arm64* ]]
  run kb payload index "$REGISTRY/multi:w" v-amd64 kata-containers-c0ffee-amd64
  [ "$status" -eq 1 ]
  [[ "$output" == *"two images for linux/amd64"* ]]
  run kb payload index "$REGISTRY/multi:w" v-amd64 missing
  [ "$status" -eq 1 ]
  [[ "$output" == *missing* ]]
}

put_manifest() { # repository tag type file: its digest
  curl -sf -X PUT -H "Content-Type: $3" --data-binary "@$4" "http://$REGISTRY/v2/$1/manifests/$2" -o /dev/null -D - |
    tr -d '\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p'
}

@test "indexes as buildx makes them are joined: attestations, nested indexes, entries without a platform" {
  need docker-registry skopeo
  index=application/vnd.oci.image.index.v1+json image=application/vnd.oci.image.manifest.v1+json
  for arch in amd64 s390x; do
    kb payload push build "$REGISTRY/buildx" "v-$arch" --commit c0ffee --arch "$arch" --base=scratch
    skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/buildx:v-$arch" >"$arch.json"
    digest=sha256:$(sha256sum "$arch.json" | cut -d' ' -f1)
    # An attestation is an image of its own, about the other one.
    jq -c --arg d "$digest" '. + {annotations: {about: $d}}' "$arch.json" >attestation.json
    attestation=$(put_manifest buildx "a-$arch" "$image" attestation.json)
    jq -nc --arg i "$index" --arg m "$image" --arg d "$digest" --arg a "$attestation" --arg arch "$arch" \
      --argjson ds "$(wc -c <"$arch.json")" --argjson asize "$(wc -c <attestation.json)" '{schemaVersion: 2, mediaType: $i, manifests: [
        {mediaType: $m, digest: $d, size: $ds, platform: {os: "linux", architecture: $arch}},
        {mediaType: $m, digest: $a, size: $asize, platform: {os: "unknown", architecture: "unknown"},
         annotations: {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": $d}}]}' >index.json
    put_manifest buildx "i-$arch" "$index" index.json
  done
  kb payload index "$REGISTRY/buildx:v" i-amd64 i-s390x
  skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/buildx:v" |
    jq -e '[.manifests[].platform.architecture] == ["amd64", "unknown", "s390x", "unknown"]
           and ([.manifests[].annotations // {} | .["vnd.docker.reference.digest"] // empty] | length) == 2'
  # An index that holds that one, and an image whose entry does not say what it is for.
  jq -nc --arg i "$index" --arg m "$image" --arg d "sha256:$(sha256sum amd64.json | cut -d' ' -f1)" --argjson ds "$(wc -c <amd64.json)" \
    '{schemaVersion: 2, mediaType: $i, manifests: [{mediaType: $m, digest: $d, size: $ds}]}' >bare.json
  bare=$(put_manifest buildx bare "$index" bare.json)
  jq -nc --arg i "$index" --arg d "$bare" --argjson ds "$(wc -c <bare.json)" \
    '{schemaVersion: 2, mediaType: $i, manifests: [{mediaType: $i, digest: $d, size: $ds}]}' >nested.json
  put_manifest buildx nested "$index" nested.json
  kb payload index "$REGISTRY/buildx:w" nested v-s390x
  skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/buildx:w" | jq -e '[.manifests[].platform.architecture] == ["amd64", "s390x"]'
}

@test "bad input is refused before anything is pushed" {
  run push build 'localhost:1/Upper/case' v
  [ "$status" -eq 1 ]
  run push build localhost:1/x 'a tag'
  [ "$status" -eq 1 ]
  [[ "$output" == *"a tag"* ]]
  run push build localhost:1/x .hidden
  [ "$status" -eq 1 ]
  run push build localhost:1/x "$(printf 'x%.0s' $(seq 129))"
  [ "$status" -eq 1 ]
  run kb payload push build localhost:1/x v --commit 'a;b'
  [ "$status" -eq 1 ]
  run push build localhost:1/x:tag
  [ "$status" -eq 2 ]
  run push build --output docker:x
  [ "$status" -eq 2 ]
  run push build --output oci:x --layout=flat
  [ "$status" -eq 2 ]
  run push build --output oci:x --shim-components none
  [ "$status" -eq 2 ]
  run push build
  [ "$status" -eq 2 ]
  run push missing.tar.xz --output oci:x
  [ "$status" -eq 1 ]
  echo text >kata-static.tar.xz
  run push kata-static.tar.xz --output oci:x
  [ "$status" -eq 1 ]
  [[ "$output" == *kata-static.tar.xz* ]]
  component qemu share/kata-containers/vmlinuz "another kernel"
  run push build --output oci:x
  [ "$status" -eq 1 ]
  [[ "$output" == *vmlinuz* ]]
  [ ! -e x ]
}

@test "a registry that is not there is an error that names it" {
  run timeout 120 "$KBUILD" --cache cache --versions versions.yaml payload push build localhost:1/x v --base=scratch --commit c --arch x86_64
  [ "$status" -eq 1 ]
  [[ "$output" == *localhost:1* ]]
}

@test "the commit is that of the project" {
  git_here init -q .
  git_here add VERSION versions.yaml
  git_here commit -q -m Test
  run kb payload push --quiet build --output oci:layout --arch aarch64 --base=scratch
  [ "$status" -eq 0 ]
  # Go's name from 3.30.0 on.
  [[ "$output" == "kata-containers-$(git rev-parse HEAD)-aarch64: digest: "* ]]
  printf 'externals:\n  kata: {version: "3.30.0"}\n' >versions.yaml
  run kb payload push --quiet build --output oci:layout --arch aarch64 --base=scratch
  [[ "$output" == "kata-containers-$(git rev-parse HEAD)-arm64: digest: "* ]]
}

@test "without a commit only the given tag is set, and where the image went is said" {
  run kb payload push build x/y latest --output oci:layout --arch x86_64 --base=scratch
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"upstream's tag kata-containers-<commit>-amd64 is left out (--commit=ID): "*"git"* ]]
  [[ "$output" == *"written to oci:layout; nothing was sent to x/y"* ]]
  [ "$(jq -r '.manifests[].annotations["org.opencontainers.image.ref.name"]' layout/index.json)" = latest ]
  run kb payload push build --output oci:other --arch x86_64 --base=scratch
  [ "$status" -eq 1 ]
  [[ "$output" == *"asking git for the commit in upstream's tag"*"--commit=ID, or give a tag"* ]]
  [ ! -e other ]
}

@test "signatures beside the tarballs are no components" {
  kb merge build versions.yaml
  cp kata-static.tar.xz before
  for tarball in build/*.tar.xz; do
    echo '{"payloadType": "x"}' >"$tarball.intoto.jsonl"
    echo "0 x" >"$tarball.sha256"
  done
  run kb merge build versions.yaml
  [ "$status" -eq 0 ]
  [[ "$output" != *jsonl* ]]
  cmp kata-static.tar.xz before
  push build --output oci:layout
}

elf() { # class data machine (16 bits, in the file's order): the first bytes of a program
  printf '\177ELF%b%b\1\0\0\0\0\0\0\0\0\0%b' "$1" "$2" "$3"
}

@test "a set knows its architecture, and nothing else is believed" {
  need skopeo
  other=s390x bytes='\0\3\0\26'
  elf '\2' '\2' "$bytes" >program
  mkdir -p tree3/opt/kata/bin tree3/opt/kata/share
  install -m 755 program tree3/opt/kata/bin/program
  # What a QEMU carries for other machines is not executed by a host.
  elf '\2' '\1' '\2\0\76\0' >tree3/opt/kata/share/firmware
  chmod 644 tree3/opt/kata/share/firmware
  kb pack tree3 build/kata-static-shim.tar.xz
  kb merge build versions.yaml
  for source in build kata-static.tar.xz; do
    for layout in unpacked components; do
      run kb payload push "$source" --commit c0ffee --base=scratch --layout="$layout" --output oci:layout:v
      [ "$status" -eq 0 ]
      [[ "$output" == *"kata-containers-c0ffee-$other: "* ]]
      [ "$(skopeo inspect --config oci:layout:v | jq -r .architecture)" = "$other" ]
    done
  done
  run push kata-static.tar.xz --output oci:wrong
  [ "$status" -eq 1 ]
  [[ "$output" == *"--arch is x86_64, but the payload is for s390x (kata-static.tar.xz: "*bin/program* ]]
  [ ! -e wrong ]
  # Two architectures in one set.
  elf '\2' '\1' '\3\0\76\0' >tree3/opt/kata/bin/program
  chmod 755 tree3/opt/kata/bin/program
  mv tree3/opt/kata/bin/program tree3/opt/kata/bin/second
  kb pack tree3 build/kata-static-other.tar.xz
  run kb payload push build --commit c0ffee --output oci:wrong
  [ "$status" -eq 1 ]
  [[ "$output" == *"programs for x86_64 ("*"and for s390x ("* ]]
  rm build/kata-static-other.tar.xz build/kata-static-shim.tar.xz
  # Nothing says it: then the user has to. What the file of targets says counts for just that tarball.
  run kb payload push build --commit c0ffee --output oci:wrong
  [ "$status" -eq 1 ]
  [[ "$output" == *"nothing in it shows"*--arch* ]]
  echo "$(sha256sum build/kata-static-qemu.tar.xz | cut -d' ' -f1) kata-static-qemu.tar.xz qemu ppc64le" >build/targets
  run kb payload push build --commit c0ffee --base=scratch --output oci:layout:v
  [[ "$output" == *"kata-containers-c0ffee-ppc64le: "* ]]
  [ "$status" -eq 0 ]
  component qemu bin/qemu "another one"
  run kb payload push build --commit c0ffee --output oci:wrong
  [ "$status" -eq 1 ]
  [[ "$output" == *"nothing in it shows"* ]]
}

# An image of directories, one layer each, for amd64. umoci's tars end too early for some readers.
image_of() { # layout name directory...
  python3 - "$@" <<'P'
import gzip, hashlib, io, json, os, sys, tarfile
layout, name, *trees = sys.argv[1:]
os.makedirs(f"{layout}/blobs/sha256", exist_ok=True)
def put(data, kind):
    digest = hashlib.sha256(data).hexdigest()
    open(f"{layout}/blobs/sha256/{digest}", "wb").write(data)
    return {"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + digest, "size": len(data)}
layers, ids = [], []
for tree in trees:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as t:
        for top in sorted(os.listdir(tree)):
            t.add(f"{tree}/{top}", top)
    ids.append("sha256:" + hashlib.sha256(tar.getvalue()).hexdigest())
    layers.append(put(gzip.compress(tar.getvalue(), mtime=0), "layer.v1.tar+gzip"))
config = put(json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": ids}}).encode(), "config.v1+json")
manifest = put(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": layers}).encode(), "manifest.v1+json")
manifest["annotations"] = {"org.opencontainers.image.ref.name": name}
index = f"{layout}/index.json"
images = json.load(open(index))["manifests"] if os.path.exists(index) else []
json.dump({"schemaVersion": 2, "manifests": images + [manifest]}, open(index, "w"))
open(f"{layout}/oci-layout", "w").write('{"imageLayoutVersion": "1.0.0"}')
P
}

# As upstream publishes them: base:script, where files lie unpacked, and base:program, where tarballs lie.
upstream_bases() {
  mkdir -p script/opt/kata-artifacts/{scripts,opt/kata/bin} program/usr/bin program/opt/kata-artifacts/tarballs
  echo script >script/opt/kata-artifacts/scripts/kata-deploy.sh
  echo upstream >script/opt/kata-artifacts/opt/kata/bin/qemu
  echo upstream >script/opt/kata-artifacts/opt/kata/bin/stale
  echo program >program/usr/bin/kata-deploy
  echo upstream >program/opt/kata-artifacts/tarballs/kata-static-stale.tar.zst
  echo '{"shims": {"qemu-small": {"x86_64": ["kernel", "qemu"]}, "qemu-se": {"s390x": ["kernel"], "x86_64": ["kernel", "qemu", "boot-image-se"]},
    "qemu-arm": {"aarch64": ["kernel"]}}}' >program/opt/kata-artifacts/shim-components.json
  image_of base script script
  image_of base program program
}

@test "without --base it is upstream's kata-deploy of the release, pinned, with our files in the place of its own" {
  need docker-registry skopeo umoci
  upstream_bases
  skopeo copy -q --dest-tls-verify=false oci:base:script "docker://$REGISTRY/kata-containers/kata-deploy:3.12.0"
  printf '[[registry]]\nprefix = "quay.io"\nlocation = "%s"\ninsecure = true\n' "$REGISTRY" >registries.conf
  export CONTAINERS_REGISTRIES_CONF=$PWD/registries.conf
  digest=$(skopeo inspect --raw oci:base:script | sha256sum | cut -d' ' -f1)
  run kb payload push build --commit c0ffee --arch x86_64 --output oci:layout:v
  [ "$status" -eq 0 ]
  [[ "$output" == *"VERSION is 3.12.0: the file $PWD/VERSION"* ]]
  [[ "$output" == *"the base is upstream's kata-deploy of this release: quay.io/kata-containers/kata-deploy:3.12.0, sha256:$digest"* ]]
  grep -qx "archive docker://quay.io/kata-containers/kata-deploy:3.12.0 sha256=$digest" versions.lock
  content layout:v
  cd un/rootfs/opt/kata-artifacts
  [ "$(cat scripts/kata-deploy.sh)" = script ]
  [ "$(cat opt/kata/bin/qemu)" = "an emulator" ]
  [ "$(cat opt/kata/VERSION)" = 3.12.0 ]
  [ ! -e opt/kata/bin/stale ]
  cd "$BATS_TEST_TMPDIR"
  # The tag moves; what was pinned does not, and the same bytes come out.
  first=$(kb payload push --quiet build --commit c0ffee --arch x86_64 --output oci:layout:v)
  skopeo copy -q --dest-tls-verify=false oci:base:program "docker://$REGISTRY/kata-containers/kata-deploy:3.12.0"
  [ "$(kb payload push --quiet build --commit c0ffee --arch x86_64 --output oci:layout:v)" = "$first" ]
  # What the base would install can stay.
  kb payload push --quiet build --commit c0ffee --arch x86_64 --keep-base-files --output oci:kept:v
  content kept:v
  [ "$(cat un/rootfs/opt/kata-artifacts/opt/kata/bin/stale)" = upstream ]
  [ "$(cat un/rootfs/opt/kata-artifacts/opt/kata/bin/qemu)" = "an emulator" ]
  # With keys, only what the user names by its digest.
  openssl genpkey -algorithm ed25519 2>/dev/null | openssl pkey -pubout -out TEST.pub.pem
  KBUILD_TRUSTED_KEYS=TEST.pub.pem run kb payload push build --commit c0ffee --arch x86_64 --output oci:other
  [ "$status" -eq 1 ]
  [[ "$output" == *"named by a tag, which is not signed"*"quay.io/kata-containers/kata-deploy@sha256:"* ]]
}

@test "without --base and without a release that upstream published, nothing is made" {
  printf 'externals:\n  kata: {version: "3.20.0-45-gc0ffee"}\n' >versions.yaml
  run kb payload push build --commit c0ffee --arch x86_64 --output oci:layout
  [ "$status" -eq 1 ]
  [[ "$output" == *"there is no published kata-deploy of version 3.20.0-45-gc0ffee"*"--base=scratch makes an image of the files alone"* ]]
  printf '[[registry]]\nprefix = "quay.io"\nlocation = "localhost:1"\ninsecure = true\n' >registries.conf
  printf 'externals:\n  kata: {version: "3.20.0"}\n' >versions.yaml
  CONTAINERS_REGISTRIES_CONF=$PWD/registries.conf run timeout 120 "$KBUILD" --cache cache --versions versions.yaml payload push build --commit c --arch x86_64 --output oci:layout
  [ "$status" -eq 1 ]
  [[ "$output" == *"quay.io/kata-containers/kata-deploy:3.20.0"*"hint: "* ]]
  [ ! -e layout ]
  [ ! -e versions.lock ]
}

@test "a merged tarball is of the release that VERSION in it says" {
  mkdir -p merged/opt/kata
  echo 9.9.9 >merged/opt/kata/VERSION
  kb pack merged merged.tar.xz
  run kb payload push --base=scratch merged.tar.xz --output oci:one --commit c0ffee --arch aarch64
  [ "$status" -eq 0 ]
  [[ "$output" == *"VERSION is 9.9.9: opt/kata/VERSION in merged.tar.xz"* ]]
  [[ "$output" == *"warning: VERSION will be 9.9.9 (opt/kata/VERSION in merged.tar.xz), but the file $PWD/VERSION is 3.12.0"* ]]
  [[ "$output" == *"kata-containers-c0ffee-arm64: digest"* ]] # as releases from 3.30.0 on are called
  # Without --base it is that release's kata-deploy.
  run kb payload push merged.tar.xz --output oci:two --commit c0ffee --arch x86_64 --plain-http
  [ "$status" -eq 1 ]
  [[ "$output" == *kata-deploy:9.9.9* ]]
  # Where it says nothing, the sources do; what is no version is an error.
  echo unknown >merged/opt/kata/VERSION
  kb pack merged merged.tar.xz
  run kb payload push --base=scratch merged.tar.xz --output oci:three --commit c0ffee --arch x86_64
  [ "$status" -eq 0 ]
  [[ "$output" == *"VERSION is 3.12.0: the file $PWD/VERSION"* ]]
  printf '3.12.0\n9.9.9\n' >merged/opt/kata/VERSION
  kb pack merged merged.tar.xz
  run kb payload push --base=scratch merged.tar.xz --output oci:four --commit c0ffee --arch x86_64
  [ "$status" -eq 1 ]
  [[ "$output" == *"opt/kata/VERSION in it is no version: it is no text of one line"* ]]
}

@test "kata-deploy that installs tarballs gets tarballs, under the names that it looks for" {
  need umoci skopeo zstd
  upstream_bases
  component extra bin/extra extra
  run kb payload push build --commit c0ffee --arch x86_64 --base oci:base:program --output oci:layout:v
  [ "$status" -eq 0 ]
  [[ "$output" == *"kata-deploy can install these shims from it: qemu-small"* ]]
  content layout:v
  [ "$(cd un/rootfs/opt/kata-artifacts/tarballs && echo *)" = "kata-static-extra.tar.zst kata-static-kernel.tar.zst kata-static-qemu.tar.zst" ]
  [ "$(zstd -dc un/rootfs/opt/kata-artifacts/tarballs/kata-static-qemu.tar.zst | tar -xO ./opt/kata/bin/qemu)" = "an emulator" ]
  cmp versions.yaml un/rootfs/opt/kata-artifacts/versions.yaml
  cmp program/opt/kata-artifacts/shim-components.json un/rootfs/opt/kata-artifacts/shim-components.json
  # The same again, from another cache and with another number of threads.
  one=$(push build --base oci:base:program --output oci:one:v)
  [ "$("$KBUILD" --cache other --versions versions.yaml payload push -q -j1 build --commit c0ffee --arch x86_64 --base oci:base:program --output oci:two:v)" = "$one" ]
  # A component is missing, everything is in one file, or the form is another one.
  rm build/kata-static-qemu.tar.xz
  run push build --base oci:base:program --output oci:wrong
  [ "$status" -eq 1 ]
  [[ "$output" == *"kata-deploy could install nothing of this for x86_64: qemu-small lacks qemu"*"--keep-base-files"* ]]
  push build --base oci:base:program --keep-base-files --output oci:kept:v
  content kept:v
  [ -e un/rootfs/opt/kata-artifacts/tarballs/kata-static-stale.tar.zst ]
  kb merge build versions.yaml
  run push kata-static.tar.xz --base oci:base:program --output oci:wrong
  [ "$status" -eq 1 ]
  [[ "$output" == *"push the directory"* ]]
  run push build --base oci:base:program --layout=unpacked --output oci:wrong
  [ "$status" -eq 1 ]
  [[ "$output" == *"installs tarballs of components, and would not see the files of --layout=unpacked"* ]]
  run push build --base oci:base:script --layout=components --output oci:wrong
  [ "$status" -eq 1 ]
  [[ "$output" == *"installs unpacked files, and would not see the files of --layout=components"* ]]
  [ ! -e wrong ]
  # A list of one's own: then that shim.
  echo '{"shims": {"qemu-own": {"x86_64": ["kernel"]}}}' >own.json
  run kb payload push build --commit c0ffee --arch x86_64 --base oci:base:program --shim-components own.json --output oci:own:v
  [ "$status" -eq 0 ]
  [[ "$output" == *"these shims from it: qemu-own"* ]]
  # What it does not name is nothing that is there.
  echo '{"shims": {"qemu-own": {"x86_64": [{"name": "kernel"}, 1]}}}' >own.json
  run kb payload push build --commit c0ffee --arch x86_64 --base oci:base:program --shim-components own.json --output oci:wrong
  [ "$status" -eq 1 ]
  [[ "$output" == *"qemu-own lacks a component that has no name"* ]]
  echo '[]' >own.json
  run push build --base oci:base:program --shim-components own.json --output oci:wrong
  [ "$status" -eq 1 ]
  [[ "$output" == *'has no object "shims"'* ]]
}

@test "a base without kata-deploy is refused, unless the image is only to be copied from" {
  need umoci skopeo
  upstream_bases
  mkdir empty
  image_of base empty empty
  run push build --base oci:base:empty --output oci:wrong
  [ "$status" -eq 1 ]
  [[ "$output" == *"oci:base:empty has no kata-deploy"*"nothing would install the files"*"COPY --from"* ]]
  [ ! -e wrong ]
  push build --base oci:base:empty --any-base --output oci:layout
  # One that a later layer removed is none either, however it does that; one that it brings is one.
  for mark in .wh.usr usr/.wh.bin usr/bin/.wh.kata-deploy usr/.wh..wh..opq; do
    rm -rf removed
    mkdir -p "removed/$(dirname "$mark")"
    touch "removed/$mark"
    image_of "base-$mark" removed program removed
    run push build --base "oci:base-$mark" --output oci:wrong
    [ "$status" -eq 1 ]
    [[ "$output" == *"has no kata-deploy"* ]]
    image_of "back-$mark" again program removed program
    push build --base "oci:back-$mark" --output oci:back
  done
  run kb payload push build --commit c0ffee --arch x86_64 --base=scratch --output oci:files
  [ "$status" -eq 0 ]
  [[ "$output" == *"the image has files alone"*"no program in it installs them"* ]]
  run push build --base=scratch --any-base --output oci:files
  [ "$status" -eq 2 ]
}

@test "a base without a history gets one, so that others can build on the payload" {
  need umoci skopeo buildah
  umoci init --layout base
  umoci new --image base:v
  umoci config --image base:v --architecture amd64 --os linux
  mkdir -p tree2/usr/bin
  echo program >tree2/usr/bin/kata-deploy
  umoci insert --rootless --image base:v tree2/usr /usr
  # Without the optional member: config, manifest and index again.
  config=$(skopeo inspect --raw oci:base:v | jq -r .config.digest)
  jq -c 'del(.history)' "base/blobs/sha256/${config#*:}" >new
  new=$(sha256sum new | cut -d' ' -f1)
  skopeo inspect --raw oci:base:v | jq -c --arg d "sha256:$new" --argjson s "$(wc -c <new)" '.config.digest = $d | .config.size = $s' >manifest
  manifest=$(sha256sum manifest | cut -d' ' -f1)
  size=$(wc -c <manifest)
  mv new "base/blobs/sha256/$new"
  mv manifest "base/blobs/sha256/$manifest"
  jq -c --arg d "sha256:$manifest" --argjson s "$size" '.manifests[0].digest = $d | .manifests[0].size = $s' base/index.json >index
  mv index base/index.json
  push build --base oci:base:v --output oci:layout:v
  skopeo inspect --config oci:layout:v | jq -e '([.history[] | select(.empty_layer | not)] | length) == (.rootfs.diff_ids | length)'
  [ "$(skopeo inspect --config oci:layout:v | jq '.rootfs.diff_ids | length')" -eq 4 ]
}

@test "names of a layer: marked only where they are no UTF-8, control characters refused" {
  need skopeo
  mkdir -p tree4/opt/kata/share
  echo plain >tree4/opt/kata/share/plain
  echo long >"tree4/opt/kata/share/$(printf 'n%.0s' $(seq 150))"
  echo umlaut >tree4/opt/kata/share/$'\303\274'
  kb pack tree4 build/kata-static-names.tar.xz
  push build --output oci:layout:v
  skopeo copy -q oci:layout:v dir:copied
  count=0
  for layer in $(jq -r '.layers[].digest[7:]' copied/manifest.json); do
    zcat "copied/$layer" >layer.tar
    LC_ALL=C.UTF-8 tar -tvf layer.tar >listing 2>warnings
    [ ! -s warnings ]
    count=$((count + $(grep -ac hdrcharset layer.tar || true)))
  done
  [ "$count" -eq 0 ]
  echo bad >tree4/opt/kata/share/$'a\033[2Jb'
  kb pack tree4 build/kata-static-names.tar.xz
  run push build --output oci:wrong
  [ "$status" -eq 1 ]
  [[ "$output" == *"control character"* ]]
  [ ! -e wrong ]
}

@test "provenance names the result, its key and its sources, and is the same every time" {
  export PROJECT=$PWD
  make_repositories
  serve_repositories
  mkdir -p recipes
  printf 'externals:\n  greet:\n    url: "git://127.0.0.1:%s/greet"\n    version: v1\n' "$GIT_PORT" >versions.yaml
  make_recipe hello 'sources:
  greet: {version: externals.greet, git: "{url}", ref: "{version}"}'
  build() { "$KBUILD" --builder=host --cache "$1" "${@:2}"; }
  build cache hello || { kill "$GIT_PID"; return 1; }
  build cache provenance hello
  build other -o again hello || { kill "$GIT_PID"; return 1; }
  kill "$GIT_PID"
  "$KBUILD" --builder=host --cache other -o again provenance hello
  cmp build/hello-provenance.json again/hello-provenance.json
  cmp build/hello-spdx.json again/hello-spdx.json
  commit=$(git -C git/greet rev-parse 'v1^{commit}')
  sum=$(sha256sum build/kata-static-hello.tar.xz | cut -d' ' -f1)
  jq -e --arg sum "$sum" --arg commit "$commit" '
    ._type == "https://in-toto.io/Statement/v1" and .predicateType == "https://slsa.dev/provenance/v1"
    and .subject == [{name: "kata-static-hello.tar.xz", digest: {sha256: $sum}}]
    and ([.predicate.buildDefinition.resolvedDependencies[] | select(.digest.gitCommit == $commit)] | length) == 1
    and (.predicate.buildDefinition.resolvedDependencies | any(.name == "recipe/build.sh"))' build/hello-provenance.json
  jq -e --arg sum "$sum" --arg commit "$commit" '
    .spdxVersion == "SPDX-2.3" and .packages[0].checksums[0].checksumValue == $sum
    and (.packages | any(.downloadLocation | endswith($commit)))
    and (.packages | any(.name == "greet: submodule shout"))
    and ([.packages[].SPDXID] | length == (unique | length))
    and ([.relationships[] | .spdxElementId, .relatedSpdxElement] | unique) - [.packages[].SPDXID] == ["SPDXRef-DOCUMENT"]' build/hello-spdx.json
  build cache provenance hello --spdx -o - | cmp - build/hello-spdx.json
  build cache provenance hello -o - | cmp - build/hello-provenance.json
  # What the minimum elements for an SBOM (NTIA, 2021) ask of each package.
  jq -e '[.packages[] | select((.supplier // "" | startswith("Organization: ") | not) or (.versionInfo // "") == "")] == []' build/hello-spdx.json
  echo '# changed' >>recipes/hello/build.sh
  run build cache provenance hello
  [ "$status" -eq 1 ]
  [[ "$output" == *"has not been built"* ]]
}

@test "provenance of a group is that of its members" {
  export PROJECT=$PWD
  mkdir -p recipes/both
  make_recipe one
  make_recipe two
  printf 'description: both\narchitectures: [x86_64, s390x, aarch64, ppc64le]\naction: group\nmembers: [one, two]\n' >recipes/both/recipe.yaml
  build() { "$KBUILD" --builder=host --cache cache "$@"; }
  build both
  run build provenance both
  [ "$status" -eq 0 ]
  for name in one two; do jq -e '.subject | length == 1' "build/$name-provenance.json"; done
  run build provenance both -o all.json
  [ "$status" -eq 2 ]
  [ ! -e all.json ]
}
