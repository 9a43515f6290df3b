#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# An OCI image of a registry as a source: docker-registry on loopback, images for two architectures.
# shellcheck disable=SC2016,SC2030,SC2031 # scripts of recipes; each test has its own PROJECT

bats_require_minimum_version 1.5.0

load project
load shared_cache
load servers

setup() {
  setup_shared_cache
  start_registry
  unset ARTEFACT_REGISTRY ARTEFACT_REPOSITORY
  printf 'externals:\n  pause: {repo: "docker://127.0.0.1:%s/up/pause", version: "3.9"}\n' "$PORT" >versions.yaml
  make_recipe pause 'sources: {pause: {version: externals.pause, image: "{repo}:{version}"}}' '
mkdir -p "/out/pause/opt"
cp -a /src/pause "/out/pause/opt/tree"
find /src/pause -printf "%P %y %l\n" | sort >/out/pause/opt/list
echo "$SOURCE_DATE_EPOCH" >/out/pause/opt/epoch'
}

teardown() {
  stop_registry
}

teardown_file() {
  [ ! -e "$BATS_FILE_TMPDIR/pids" ] || stop_servers
}

# The image of the registry with this fault is the source.
with_fault() {
  printf 'externals:\n  pause: {repo: "127.0.0.1:%s/%s/pause", version: "3.9"}\n' "$FAULTY" "$1" >versions.yaml
}

push() {
  python3 "$REPOSITORY/tests/support/push_image.py" "127.0.0.1:$PORT/up/pause:3.9" "$@"
}

made() { # member
  content_of build/kata-static-pause.tar.xz "opt/$1"
}

@test "the image of the target's architecture is unpacked, with its config as it is" {
  push amd64=intel s390x=zet >digests
  kb --arch=s390x pause
  [ "$(made tree/rootfs/pause)" = zet ]
  [ "$(made tree/rootfs/etc/text)" = zet ]
  [ "$(made epoch)" = 1718221796 ]
  made list >list
  grep -qx 'rootfs/link l /nowhere' list
  run ! grep -q gone list
  config=$(made tree/config.json | sha256sum | cut -d' ' -f1)
  curl -sf -o manifest "http://127.0.0.1:$PORT/v2/up/pause/manifests/$(sed -n 's/^s390x //p' digests)" \
    -H 'Accept: application/vnd.oci.image.manifest.v1+json'
  [ "$(jq -r .config.digest manifest)" = "sha256:$config" ]
  grep -qx "archive docker://127.0.0.1:$PORT/up/pause:3.9#linux/s390x sha256=$(sed -n 's/^s390x sha256://p' digests)" versions.lock
  kb --arch=x86_64 pause
  [ "$(made tree/rootfs/pause)" = intel ]
  [ "$(grep -c '^archive docker://' versions.lock)" -eq 2 ]
  run -1 kb --arch=aarch64 pause
  [[ "$output" == *"it has no image for linux/arm64"* ]]
  kb --arch=s390x provenance pause
  jq -e --arg d "$(sed -n 's/^s390x sha256://p' digests)" --arg u "127.0.0.1:$PORT/up/pause" '
    .predicate.buildDefinition.resolvedDependencies[] | select(.name == "pause") |
    .digest.sha256 == $d and .uri == "docker://" + $u + "@sha256:" + $d' build/pause-provenance.json
  jq -e --arg d "$(sed -n 's/^s390x sha256://p' digests)" --arg u "127.0.0.1:$PORT/up/pause" '
    [.packages[].externalRefs[]?.referenceLocator] |
    any(. == "pkg:oci/pause@sha256%3A" + $d + "?arch=s390x&repository_url=" + $u + "&tag=3.9")' build/pause-spdx.json
}

@test "other platforms of an index change nothing; a tag that moves changes nothing until its line goes" {
  push amd64=one s390x=zet
  kb --arch=s390x pause
  push amd64=two s390x=zet
  rm versions.lock
  run kb --arch=s390x pause
  [[ "$output" == *"0 made, 2 cached"* ]]
  push amd64=two s390x=new
  run kb --arch=s390x pause
  [[ "$output" == *"0 made, 2 cached"* ]]
  forget
  kb --arch=s390x pause # from the manifest that the lock names, though the tag is another's
  [ "$(made tree/rootfs/pause)" = zet ]
  rm versions.lock
  kb --arch=s390x pause
  [ "$(made tree/rootfs/pause)" = new ]
}

@test "of several images for the architecture the one for every processor is taken" {
  push amd64/v3=newest amd64=plain arm64/v9=newest arm64/v8=first
  kb --arch=x86_64 pause
  [ "$(made tree/rootfs/pause)" = plain ]
  kb --arch=aarch64 pause
  [ "$(made tree/rootfs/pause)" = first ]
  rm versions.lock
  push amd64/v3=only
  kb --arch=x86_64 pause
  [ "$(made tree/rootfs/pause)" = only ]
}

@test "without the network, with --locked, with the distribution's sources, with a folder" {
  push amd64=intel s390x=zet
  run -1 kb --arch=s390x --offline pause
  [[ "$output" == *"docker://127.0.0.1:$PORT/up/pause:3.9#linux/s390x is not in the cache"* ]]
  run -1 kb --arch=s390x --locked pause
  [[ "$output" == *"is not in"*"versions.lock, and --locked allows nothing else"* ]]
  run kb --arch=s390x plan pause
  [ "$status" -eq 0 ]
  [[ "$output" == *"to resolve source"* ]]
  [ ! -e versions.lock ]
  kb --arch=s390x fetch pause
  stop_registry
  kb --arch=s390x --offline --locked pause
  [ "$(made tree/rootfs/pause)" = zet ]
  run -1 kb --arch=x86_64 pause
  [[ "$output" == *"registries.conf"* ]]
  run -1 kb --arch=s390x --sources=debian pause
  [[ "$output" == *"--source pause=upstream"* ]]
  kb --arch=s390x --sources=debian --source pause=upstream pause
  mkdir -p mine/rootfs
  touch mine/rootfs/pause mine/config.json
  kb --arch=s390x --source pause=mine pause
  [ "$(made list | sed -n 2,4p | tr '\n' ';')" = "config.json f ;rootfs d ;rootfs/pause f ;" ]
}

@test "an image without an index is taken if it is for the target; what cannot be a source is not pinned" {
  push alone:amd64=intel
  kb --arch=x86_64 pause
  [ "$(made tree/rootfs/pause)" = intel ]
  rm versions.lock
  run -1 kb --arch=s390x pause
  [[ "$output" == *"it is for linux/amd64, not linux/s390x"* ]]
  push s390x+hostile=x
  run -1 kb --arch=s390x pause
  [[ "$output" == *"../out"* ]]
  run ! grep -qs s390x versions.lock
  printf 'externals:\n  pause: {repo: "127.0.0.1:%s/UP//pause", version: "3.9"}\n' "$PORT" >versions.yaml
  run -1 kb --arch=s390x pause
  [[ "$output" == *"recipe.yaml:5: source pause"* ]]
}

@test "an image that turns out to be lost or damaged is not pinned; a registry that fails leaves the line, and the hint names it" {
  start_server FAULTY faulty_image_registry.py
  with_fault good
  kb --arch=x86_64 pause
  cp versions.lock good.lock
  for fault in negative short long other lost lost-layer changed; do
    with_fault $fault
    run -1 kb --arch=x86_64 pause
    echo "$fault: $output"
    cmp versions.lock good.lock
    [[ "$output" != *"pins it"* ]]
  done
  for fault in denied busy away; do
    with_fault $fault
    run -1 kb --arch=x86_64 pause
    echo "$fault: $output"
    line=$(grep -n "/$fault/pause" versions.lock | cut -d: -f1)
    [[ "$output" == *"; line $line of "*"versions.lock pins it"* ]]
  done
  # A line of an earlier run is the user's, whatever is wrong.
  for fault in short lost; do
    with_fault $fault
    printf 'archive docker://127.0.0.1:%s/%s/pause:3.9#linux/amd64 sha256=%064d\n' "$FAULTY" "$fault" 7 >versions.lock
    run -1 kb --arch=x86_64 pause
    [[ "$output" == *"hint: "*"line 1 of "*"versions.lock pins it"* ]]
    grep -q "/$fault/pause" versions.lock
  done
}

@test "the same of an image to build in" {
  start_server BUILDERS faulty_image_registry.py
  make_recipe one
  build_in() { # fault
    sed -i "s|^builder:.*|builder: {image: \"127.0.0.1:$BUILDERS/$1/image:1\"}|" recipes/one/recipe.yaml
    run -1 "$KBUILD" --cache "$PROJECT/cache" --arch=x86_64 one
    echo "$1: $output"
  }
  for fault in negative short other lost lost-layer changed; do
    build_in $fault
    run ! grep -qs "/$fault/" versions.lock
  done
  for fault in denied busy away; do
    build_in $fault
    [[ "$output" == *"line $(grep -n "/$fault/image" versions.lock | cut -d: -f1) of "*"versions.lock pins it"* ]]
  done
}

@test "the time of an image is what its config says, in any zone; without one that can be read, 1980" {
  epoch_of() {
    rm -f versions.lock
    CREATED=$1 push amd64=intel >/dev/null
    kb --arch=x86_64 pause
    made epoch
  }
  [ "$(epoch_of 2024-06-12T19:49:56+02:00)" = 1718214596 ]
  [ "$(epoch_of 2024-06-12T19:49:56.5-00:30)" = 1718223596 ]
  for wrong in 2024-06-12T19:49:56-05 2024-06-12T19:49:56 yesterday; do
    [ "$(epoch_of "$wrong")" = 315532800 ]
  done
}

@test "a mirror in registries.conf is asked, and a signing policy is about results, not about sources" {
  push amd64=intel s390x=zet
  sed -i "s,127.0.0.1:$PORT/up,registry.example.test/up," versions.yaml
  mkdir -p .config/containers
  cat >.config/containers/registries.conf <<Y
[[registry]]
prefix = "registry.example.test/up"
location = "registry.example.test/up"
[[registry.mirror]]
location = "127.0.0.1:$PORT/up"
Y
  make_keys
  KBUILD_TRUSTED_KEYS=$PROJECT/builder.pub.pem kb --arch=s390x pause
  [ "$(made tree/rootfs/pause)" = zet ]
  grep -q '^archive docker://registry.example.test/up/pause:3.9#linux/s390x ' versions.lock
}
