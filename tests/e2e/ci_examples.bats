#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The pipelines of examples/ that people copy (docs/ci.md): their shape always, and as they are through
# act and gitlab-ci-local where these are installed, with a real registry on loopback.
bats_require_minimum_version 1.5.0
load project
load shared_cache

setup() {
  setup_shared_cache
  make_keys
}

teardown() {
  stop_registry
}

# A python3 with PyYAML.
python_yaml() {
  for p in python3 /usr/bin/python3; do
    "$p" -c 'import yaml' 2>/dev/null && { echo "$p"; return; }
  done
  return 1
}

@test "the examples: secrets where they sign and nowhere else, known actions, command lines that parse" {
  "$(python_yaml)" "$REPOSITORY/tests/support/ci_shape.py" "$REPOSITORY" "$KBUILD"
}

# shellcheck disable=SC2016 # text of the files
@test "the check of the examples sees what is wrong" {
  python=$(python_yaml)
  copy() { rm -rf copy; mkdir copy; cp -r "$REPOSITORY/examples" "$REPOSITORY/docs" copy/; }
  refused() { run "$python" "$REPOSITORY/tests/support/ci_shape.py" copy "$KBUILD"; [ "$status" -ne 0 ] && copy; }
  copy
  sed -i 's/--keep-going/--keep-goingg/' copy/examples/github/main.yml
  refused
  sed -i 's/kbuild report/kbuild raport --output=x/' copy/examples/gitlab/main.yml
  refused
  sed -i 's/\[pull_request\]/[pull_request_target]/' copy/examples/github/pull-request.yml
  refused
  sed -i 's/packages: read/packages: write/' copy/examples/github/pull-request.yml
  refused
  sed -i 's/KBUILD_TARGETS: all/KBUILD_TARGETS: $KBUILD_SIGNING_KEY/' copy/examples/gitlab/merge-request.yml
  refused
  sed -i 's/^env:$/env:\n  KEY: ${{ secrets.KBUILD_SIGNING_KEY }}/' copy/examples/github/release.yml
  refused
  sed -i 's/kbuild --keep-going \$KBUILD_TARGETS/kbuild --keep-going ${{ github.head_ref }}/' copy/examples/github/pull-request.yml
  refused
  "$python" "$REPOSITORY/tests/support/ci_shape.py" copy "$KBUILD"
}

# A repository as the pipelines expect it; `make kbuild` takes the program that is tested, with a cache
# for each machine. $1: where the files of the CI go, the others are they.
make_checkout() {
  local folder=$1 file
  shift
  start_registry
  noisy kernel
  noisy agent
  noisy initrd 'needs: [kernel, agent]'
  mkdir -p bin "$folder" tools ci
  cp "$PROJECT/builder.pub.pem" ci/
  echo '  kata: {version: "3.20.0"}' >>versions.yaml
  for file; do cp "$REPOSITORY/examples/$file" "$folder/"; done
  cat >bin/kbuild <<X
#!/bin/sh
export HOME=$PROJECT
echo "\$*" >>$PROJECT/calls
case \${KBUILD_SIGNING_KEY-} in */builder.pem) echo "\$KBUILD_SIGNING_KEY" >>$PROJECT/keys.log ;; esac
exec "$KBUILD" --builder=host --cache "\${WORKER:-$PROJECT/worker}" "\$@"
X
  printf '#!/bin/sh\n[ "$*" = "build run" ]\n' >tools/install-dependencies
  printf 'kbuild:\n\tcp bin/kbuild kbuild\n' >Makefile
  printf '#!/bin/sh\necho "gh $*" >>%s/calls\n' "$PROJECT" >bin/gh
  chmod +x bin/* tools/install-dependencies
  printf '%s\n' cache registry 'registry.*' 'TEST-*' worker calls '*.log' stub artifacts .gitlab-ci-local docker build release \
    .kbuild-cache .kbuild-state .config >.gitignore
  git_here init -q .
  commit Project
  unset ARTEFACT_REPOSITORY
  export TAGS=$BLOBS/docker/registry/v2/repositories
}

commit() {
  git_here add -A .
  git_here commit -q -m "$1"
}

# What is in the registry: each tag of each repository, with its digest.
pushed() {
  find "$TAGS" -path '*/current/link' -printf '%P ' -exec cat {} ';' -printf '\n' 2>/dev/null | sort
}

signatures() {
  grep -rlaF vnd.kbuild.signature.v1 "$BLOBS/docker/registry/v2/blobs" | wc -l
}

# Nothing of the private key is in what a job printed.
no_key_in() {
  ! grep -qF "$(sed -n 2p "$PROJECT/TEST-builder.pem")" "$@" || false
}

# The files that jobs wrote the private key to are not there any more.
keys_are_gone() {
  local key
  [ -s keys.log ]
  while read -r key; do [ ! -e "$key" ]; done <keys.log
  rm keys.log
}

# ---- GitHub ----

# Actions that keep files in $PROJECT/artifacts, in place of those that need GitHub.
make_stub_actions() {
  mkdir -p stub/upload stub/download
  cat >stub/upload/action.yml <<'X'
name: upload
description: upload
inputs: {name: {description: n}, path: {description: p}, if-no-files-found: {description: i}}
runs:
  using: composite
  steps:
    - shell: bash
      env: {NAME: "${{ inputs.name }}", PATHS: "${{ inputs.path }}"}
      run: |
        mkdir -p "$ARTIFACTS/$NAME"
        while read -r path; do
          if [ -d "$path" ]; then cp -r "$path/." "$ARTIFACTS/$NAME/"; elif [ -f "$path" ]; then cp "$path" "$ARTIFACTS/$NAME/"; fi
        done <<<"$PATHS"
X
  cat >stub/download/action.yml <<'X'
name: download
description: download
inputs: {path: {description: p}, pattern: {description: p}, merge-multiple: {description: m}}
runs:
  using: composite
  steps:
    - shell: bash
      env: {INTO: "${{ inputs.path }}", PATTERN: "${{ inputs.pattern }}"}
      run: mkdir -p "$INTO"; cp "$ARTIFACTS"/$PATTERN/* "$INTO/"
X
}

run_act() { # event, workflow, further options
  local event=$1 workflow=$2
  shift 2
  XDG_CACHE_HOME=$BATS_TEST_TMPDIR/act PATH=$PROJECT/bin:$PATH act "$event" -W ".github/workflows/$workflow" \
    -P ubuntu-24.04=-self-hosted --no-cache-server --var ARTEFACT_REGISTRY="$ARTEFACT_REGISTRY" \
    --var ARTEFACT_REPOSITORY=kata --var KBUILD_TARGETS=initrd --env ARTIFACTS="$PROJECT/artifacts" \
    --local-repository actions/upload-artifact@v4="$PROJECT/stub/upload" \
    --local-repository actions/download-artifact@v4="$PROJECT/stub/download" "$@" >act.log 2>&1 || {
    cat act.log
    return 1
  }
}

@test "github: act runs main, a pull request and a release, unchanged" {
  command -v act >/dev/null || skip "act is not installed"
  make_checkout .github/workflows github/main.yml github/pull-request.yml github/release.yml
  make_stub_actions
  # Without the key nothing is built.
  run ! run_act push main.yml
  grep -q "the secret KBUILD_SIGNING_KEY is not set" act.log
  [ -z "$(pushed)" ]
  # As act reads secrets: a line each, or from the environment.
  KBUILD_SIGNING_KEY=$(cat TEST-builder.pem)
  export KBUILD_SIGNING_KEY
  run_act push main.yml -s KBUILD_SIGNING_KEY
  unset KBUILD_SIGNING_KEY
  no_key_in act.log calls -r artifacts
  keys_are_gone
  [ "$(pushed | grep -c 'cached-artefacts/.*/tags/kbuild-')" -eq 3 ]
  [ "$(signatures)" -ge 3 ]
  for name in kernel agent initrd; do grep -q STEP-RAN "artifacts/kbuild-report/$name.log"; done
  grep -q 'where each node' artifacts/kbuild-report/report.html || [ -s artifacts/kbuild-report/report.html ]

  # A pull request, on another machine, that changes one recipe: all else is taken, nothing is pushed.
  before=$(pushed)
  sed -i 's/echo agent/echo "agent of a pull request"/' recipes/agent/build.sh
  commit "A change"
  rm -r artifacts
  run_act pull_request pull-request.yml --env WORKER="$PROJECT/worker-pr"
  grep -q STEP-RAN artifacts/kbuild-report/agent.log
  grep -q STEP-RAN artifacts/kbuild-report/initrd.log
  run ! grep -qs STEP-RAN artifacts/kbuild-report/kernel.log
  grep -q 'kernel x86_64: from the shared cache' act.log
  [ "$(pushed)" = "$before" ]

  # What a stranger signed is not taken.
  rm -rf "$TAGS" "$BLOBS" worker-stranger build
  PUSH_TO_REGISTRY=yes KBUILD_SIGNING_KEY=$PROJECT/TEST-stranger.pem ARTEFACT_REPOSITORY=kata \
    "$KBUILD" --builder=host --cache worker-stranger initrd -q
  rm -r artifacts
  run_act pull_request pull-request.yml --env WORKER="$PROJECT/worker-pr2"
  grep -q STEP-RAN artifacts/kbuild-report/kernel.log

  # A release for two architectures.
  echo '{"ref": "refs/tags/v1.0"}' >event.json
  rm -rf artifacts worker
  KBUILD_SIGNING_KEY=$(cat TEST-builder.pem)
  export KBUILD_SIGNING_KEY
  run_act push release.yml -e event.json -s KBUILD_SIGNING_KEY --var KBUILD_ARCHITECTURES='["x86_64","s390x"]'
  unset KBUILD_SIGNING_KEY
  no_key_in act.log calls -r artifacts
  keys_are_gone
  for arch in x86_64 s390x; do
    tar -tf "artifacts/release-$arch/kata-static-v1.0-$arch.tar.xz" | grep -q 'opt/initrd$'
    jq -e --arg a "$arch" '.predicateType == "https://slsa.dev/provenance/v1" and (.subject[0].name | contains("initrd"))' \
      "artifacts/release-$arch/$arch-initrd-provenance.json"
    [ -s "artifacts/release-$arch/$arch-initrd-spdx.json" ]
    "$KBUILD" check --trusted-keys ci/builder.pub.pem "artifacts/release-$arch/kata-static-v1.0-$arch.tar.xz"
  done
  skopeo inspect --raw --tls-verify=false "docker://$ARTEFACT_REGISTRY/kata/payload:v1.0" >index.json
  [ "$(jq -r '.manifests[].platform.architecture' index.json | sort | paste -sd' ')" = "amd64 s390x" ]
  grep '^gh release create v1.0 --verify-tag ' calls | grep -q 'release/SHA256SUMS.*release/kata-static-v1.0-s390x.tar.xz'
}

# ---- GitLab ----

run_gitlab() { # further options
  PATH=$PROJECT/bin:$PATH gitlab-ci-local --force-shell-executor --shell-isolation --variable KBUILD_IMAGE=none \
    --variable CI_REGISTRY="$ARTEFACT_REGISTRY" --variable CI_PROJECT_PATH=Group/Kata \
    --variable KBUILD_TARGETS=initrd "$@" >gcl.log 2>&1 || {
    cat gcl.log
    return 1
  }
}

@test "gitlab: gitlab-ci-local runs main, a merge request and a release, unchanged" {
  command -v gitlab-ci-local >/dev/null || skip "gitlab-ci-local is not installed"
  command -v rsync >/dev/null || skip "rsync is not installed"
  make_checkout ci gitlab/main.yml gitlab/merge-request.yml gitlab/release.yml
  echo 'include: [{local: ci/merge-request.yml}, {local: ci/main.yml}, {local: ci/release.yml}]' >.gitlab-ci.yml
  git remote add origin git@gitlab.com:group/kata.git
  commit CI
  # As the docker executor leaves a checkout, and a variable of the type File.
  chmod -R go+w recipes ci versions.yaml
  install -m 0666 TEST-builder.pem key.file
  run ! run_gitlab "kbuild main"
  grep -q 'KBUILD_SIGNING_KEY.*is not set' gcl.log
  [ -z "$(pushed)" ]
  run_gitlab --variable KBUILD_SIGNING_KEY="$PROJECT/key.file" "kbuild main"
  no_key_in gcl.log calls
  keys_are_gone
  [ "$(pushed | grep -c '^group/kata/cached-artefacts/.*/tags/kbuild-')" -eq 3 ]
  [ "$(signatures)" -ge 3 ]

  before=$(pushed)
  sed -i 's/echo agent/echo "agent of a merge request"/' recipes/agent/build.sh
  commit "A change"
  rm -rf worker build
  run_gitlab --variable CI_PIPELINE_SOURCE=merge_request_event --variable CI_MERGE_REQUEST_PROJECT_PATH=Group/Kata "kbuild merge request"
  cat gcl.log
  grep -q 'kernel x86_64: from the shared cache' gcl.log
  grep -q 'agent x86_64: done' gcl.log
  [ "$(pushed)" = "$before" ]

  # A release: all jobs of a tag.
  rm -rf worker build
  run_gitlab --variable CI_COMMIT_TAG=v1.0 --variable KBUILD_SIGNING_KEY="$PROJECT/key.file"
  no_key_in gcl.log calls
  keys_are_gone
  skopeo inspect --raw --tls-verify=false "docker://$ARTEFACT_REGISTRY/group/kata/payload:v1.0" >index.json
  [ "$(jq -r '.manifests[].platform.architecture' index.json | sort | paste -sd' ')" = "amd64 arm64 ppc64le s390x" ]
  for arch in x86_64 s390x aarch64 ppc64le; do
    grep -q "^merge build --output=release/kata-static-v1.0-$arch.tar.xz" calls
    grep -q "^provenance --arch=$arch initrd" calls
  done
  grep -q "kata-static-v1.0-s390x.tar.xz" release/SHA256SUMS
  for tarball in release/kata-static-v1.0-*.tar.xz; do
    "$KBUILD" check --trusted-keys builder.pub.pem "$tarball"
  done
}
