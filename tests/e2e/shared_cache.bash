# SPDX-License-Identifier: Apache-2.0
# Helpers for tests of the shared cache: a real registry (docker-registry) on loopback, and a project
# that knows nothing of the user's own settings. After `load project`.

# A port that nobody has at the moment.
free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# $1: further lines of the configuration
start_registry() {
  command -v docker-registry >/dev/null || skip "docker-registry is not installed"
  PORT=$(free_port)
  BLOBS=$PROJECT/registry
  printf 'version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:%s"}\n%s\n' \
    "$BLOBS" "$PORT" "${1:-}" >"$PROJECT/registry.yml"
  env -u REGISTRY_AUTH_FILE docker-registry serve "$PROJECT/registry.yml" >"$PROJECT/registry.log" 2>&1 3>&- &
  REGISTRY_PID=$!
  for _ in $(seq 100); do
    curl -s -o /dev/null "http://127.0.0.1:$PORT/v2/" && break
    sleep 0.1
  done
  export ARTEFACT_REGISTRY=127.0.0.1:$PORT ARTEFACT_REPOSITORY=kata
}

stop_registry() {
  [ -z "${REGISTRY_PID:-}" ] || kill "$REGISTRY_PID" 2>/dev/null || true
  [ -z "${REGISTRY_PID:-}" ] || wait "$REGISTRY_PID" 2>/dev/null || true
  REGISTRY_PID=
}

setup_shared_cache() {
  make_project
  unset KBUILD_SIGNING_KEY KBUILD_TRUSTED_KEYS PUSH_TO_REGISTRY BUILDER_REGISTRY RELEASE TARGET_BRANCH
  unset ARTEFACT_REGISTRY_USERNAME ARTEFACT_REGISTRY_PASSWORD ARTEFACT_REGISTRY ARTEFACT_REPOSITORY
  export HOME=$PROJECT DOCKER_CONFIG=$PROJECT/docker REGISTRY_AUTH_FILE=$PROJECT/none
}

# A recipe whose step says in its log that it ran.
noisy() {
  make_recipe "$1" "${2:-}" "echo STEP-RAN; ${3:-mkdir -p /out/$1/opt; echo $1 >/out/$1/opt/$1}"
}

ran() { # target
  grep -qs STEP-RAN "build/logs/$1.log"
}

# All that this machine knows is gone: another machine.
forget() {
  chmod -R u+w cache
  rm -rf cache build
}

make_keys() {
  for name in builder stranger; do
    openssl genpkey -algorithm ed25519 -out "$PROJECT/TEST-$name.pem" 2>/dev/null
    openssl pkey -in "$PROJECT/TEST-$name.pem" -pubout -out "$PROJECT/$name.pub.pem"
  done
}

manifest() { # repository tag
  curl -sf -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://127.0.0.1:$PORT/v2/kata/$1/manifests/$2"
}

# The digest of what a tag names.
digest_of_tag() { # repository tag
  manifest "$1" "$2" | sha256sum | cut -d' ' -f1
}

# What names the manifest as its subject: distribution 2.8 has no API for it, but the tag.
referrers() { # repository digest
  curl -sf -H 'Accept: application/vnd.oci.image.index.v1+json' "http://127.0.0.1:$PORT/v2/kata/$1/manifests/sha256-$2"
}
