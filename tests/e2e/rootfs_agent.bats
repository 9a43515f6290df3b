#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The agent as root file systems get it, and which init the initrd gets: the real recipes, with a program
# that stands for the agent.

load project

setup() {
  PROJECT=$(mktemp -d "$BATS_TEST_TMPDIR/project.XXXXXX")
  cd "$PROJECT" || return 1
  ls /usr/share/ca-certificates/mozilla/*.crt >/dev/null 2>&1 || skip "ca-certificates is not installed"
  mkdir -p agent/usr/bin agent/usr/lib/systemd/system
  echo 'int main(void) { return 0; }' >agent.c
  cc -g -o agent/usr/bin/kata-agent agent.c
  echo '[Unit]' >agent/usr/lib/systemd/system/kata-agent.service
  pack_agent
  export AGENT_TARBALL=$PWD/agent.tar.xz
}

pack_agent() { tar -C agent -cJf agent.tar.xz .; }

real() {
  kb --versions "$REPOSITORY/versions.yaml" --recipes "$REPOSITORY/recipes" --sources=debian "$@"
}

member() { tar -tvf build/kata-static-rootfs-agent.tar.xz | grep -F " ./$1"; }

@test "the agent is stripped, and has a policy, units and certificates" {
  run real rootfs-agent
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"the agent's policy allows everything: there is no AGENT_POLICY_FILE"* ]]
  content_of build/kata-static-rootfs-agent.tar.xz usr/bin/kata-agent >got
  readelf -S agent/usr/bin/kata-agent | grep -q symtab
  ! readelf -S got | grep -q symtab || false
  chmod +x got && ./got
  [[ "$(member usr/bin/kata-agent)" == -rwxr-xr-x* ]]
  [[ "$(member usr/lib/systemd/system/kata-agent.service)" == -rw-r--r--* ]]
  [[ "$(member etc/kata-opa/allow-all.rego)" == -rw-r--r--* ]]
  [[ "$(member etc/kata-opa/default-policy.rego)" == *"-> allow-all.rego" ]]
  content_of build/kata-static-rootfs-agent.tar.xz etc/kata-opa/allow-all.rego | grep -q '^package agent_policy'
  # Other steps get it unpacked: no link leads out of it.
  ! tar -tvf build/kata-static-rootfs-agent.tar.xz | grep -- "-> /" || false
  content_of build/kata-static-rootfs-agent.tar.xz etc/ssl/certs/ca-certificates.crt | openssl x509 -noout -subject | grep -q .
}

@test "a policy of one's own, or none" {
  echo 'package agent_policy # own' >own.rego
  AGENT_POLICY_FILE=own.rego real rootfs-agent
  content_of build/kata-static-rootfs-agent.tar.xz etc/kata-opa/own.rego | cmp - own.rego
  [[ "$(member etc/kata-opa/default-policy.rego)" == *"-> own.rego" ]]
  ! member etc/kata-opa/allow-all.rego || false
  AGENT_POLICY=no real rootfs-agent
  ! member etc/kata-opa || false
  AGENT_POLICY=no AGENT_POLICY_FILE=own.rego run real rootfs-agent
  [ "$status" -eq 3 ]
  [[ "$output" == *"AGENT_POLICY_FILE is given, but AGENT_POLICY=no leaves policies out"* ]]
  AGENT_POLICY=maybe run real rootfs-agent
  [ "$status" -eq 1 ]
  AGENT_POLICY_FILE=gone.rego run real rootfs-agent
  [ "$status" -eq 1 ]
}

@test "a tarball is taken whoever packed it, with xz, zstd and gzip" {
  for way in --xz --zstd --gzip; do
    tar -C agent --owner=1001 --group=1001 -cf agent.tar.xz $way .
    real rootfs-agent
    [[ "$(member usr/bin/kata-agent)" == "-rwxr-xr-x root/root"* || "$(member usr/bin/kata-agent)" == "-rwxr-xr-x 0/0"* ]]
  done
}

@test "a tarball without the agent is an error" {
  echo junk >junk.tar.xz
  AGENT_TARBALL=$PWD/junk.tar.xz run real rootfs-agent
  echo "$output"
  [ "$status" -eq 3 ]
  [[ "$output" == *"AGENT_TARBALL is no tarball"* ]]
  mv agent/usr/bin/kata-agent agent/usr/bin/agent
  pack_agent
  run real rootfs-agent
  [ "$status" -eq 3 ]
  [[ "$output" == *"the agent's tarball has no file usr/bin/kata-agent"* ]]
  ln -s /bin/sh agent/usr/bin/kata-agent
  pack_agent
  run real rootfs-agent
  [ "$status" -eq 3 ]
  [[ "$output" == *"the agent's tarball has no file usr/bin/kata-agent"* ]]
}

@test "the initrd takes the agent that is given, ours where its source is to be had, and else the stand-in" {
  nodes() { "$KBUILD" --cache cache --versions "$REPOSITORY/versions.yaml" --recipes "$REPOSITORY/recipes" --sources=debian "$@" --json plan rootfs-initrd-confidential 2>said | jq -r .node | grep -oE '^(agent|rootfs-agent|smoke-init):' | tr '\n' ' '; }
  [ "$(nodes)" = "rootfs-agent: " ]
  unset AGENT_TARBALL
  [ "$(nodes)" = "smoke-init: " ]
  cat said
  grep -q 'rootfs-initrd-confidential takes smoke-init instead of rootfs-agent: no distribution package has its source kata' said
  mkdir -p kata/src/agent kata/src/runtime
  touch kata/file
  [ "$(nodes --source kata="$PWD/kata")" = "agent: rootfs-agent: " ]
}

@test "a folder that is no checkout, and a versions.yaml of upstream outside of one, are errors that say what to do" {
  unset AGENT_TARBALL
  plan() { "$KBUILD" --cache cache --recipes "$REPOSITORY/recipes" --sources=debian "$@"; }
  mkdir -p kata/src/agent
  run plan --versions "$REPOSITORY/versions.yaml" --source kata="$PWD/kata" plan agent
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"$PWD/kata is not a checkout of this source: it has no src/runtime"*"--source kata=DIR"* ]]
  # As upstream's, which has no component for itself.
  sed '/^  kata:/,/^$/d' "$REPOSITORY/versions.yaml" >versions.yaml
  run plan --versions versions.yaml --source kata=upstream plan agent
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"has no externals.kata, and is in no checkout of this source"*"hint: "*"--source kata=DIR"* ]]
  run plan --locked --versions versions.yaml plan agent
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"has no externals.kata, and --locked does not allow a checkout in its place"*"leave --locked out"* ]]
}

@test "with the versions.yaml of a checkout, agent and policy are that checkout's" {
  unset AGENT_TARBALL
  mkdir -p kata/src/agent kata/src/runtime
  touch kata/src/agent/file kata/src/runtime/file
  cp "$REPOSITORY/versions.yaml" kata/
  git_here init -q kata
  git_here -C kata add .
  git_here -C kata commit -qm kata
  "$KBUILD" --cache cache --versions kata/versions.yaml --recipes "$REPOSITORY/recipes" --source libseccomp=kata \
    plan rootfs-agent --json | jq -r 'select(.node | startswith("source:kata")) | .node + " " + .local' >nodes
  cat nodes
  [[ "$(cat nodes)" == "source:kata:"*" the checkout that versions.yaml is in, $PROJECT/kata, commit "* ]]
  [ "$(wc -l <nodes)" -eq 1 ]
}
