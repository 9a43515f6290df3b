#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The guest with Kata's agent, for both architectures and with both inits: it starts, and a container runs
# in it; the same from the measured disk, and out of the sealed image. Kata's sources come from upstream's git host, the rest from
# the distribution's mirror. Very slow. `make check-e2e` runs it; KBUILD_E2E_CACHE names a cache to start
# from (default: an empty one), KBUILD_E2E_SOURCE which sources are upstream's: without kata nothing is tried.

load real_sources

setup() {
  export KBUILD_SOURCE=${KBUILD_E2E_SOURCE-kata=upstream}
  [[ " $KBUILD_SOURCE " == *" kata="* ]] || skip "KBUILD_E2E_SOURCE leaves Kata's source out: there is no agent"
  cd "$REPOSITORY" || return 1
}

boot() { # architecture, target
  run "$KBUILD" -o "$WORK/build-{arch}" --arch="$1" boot "$2" --timeout 600
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" != *"not proven"* ]]
}

# What the container said: its machine, that it has processes of its own, and how it ended.
a_container_ran() { # architecture
  grep -qE "proven: ReadOutput: .*stdout \"container [0-9a-f]+, process 1\\\\n$1\\\\n\"" <<<"$output"
  grep -qE 'proven: WaitProcess: .*exit_status 3|proven: WaitProcess: .*status 3' <<<"$output"
  grep -q 'proven: DestroySandbox' <<<"$output"
}

@test "s390x: systemd starts the agent, and a container runs" {
  boot s390x rootfs-initrd-confidential
  a_container_ran s390x
}

@test "x86_64: systemd starts the agent, and a container runs" {
  boot x86_64 rootfs-initrd-confidential
  a_container_ran x86_64
}

@test "s390x: the agent is the first process, and a container runs" {
  AGENT_INIT=yes boot s390x rootfs-initrd-confidential
  a_container_ran s390x
}

measured_disk() { # architecture
  boot "$1" rootfs-image-confidential
  a_container_ran "$1"
  # And neither with another hash nor with another byte.
  [ "$(grep -c 'proven: with .* it does not start: the kernel reports a corrupted block' <<<"$output")" -eq 2 ]
}

@test "s390x: systemd starts the agent on the measured disk, and a container runs" {
  measured_disk s390x
}

@test "x86_64: systemd starts the agent on the measured disk, and a container runs" {
  measured_disk x86_64
}

@test "a second build of both disks gives the same bytes" {
  for arch in s390x x86_64; do
    "$KBUILD" verify rootfs-image --arch="$arch"
    "$KBUILD" verify rootfs-image-confidential --arch="$arch"
  done
}

@test "out of the sealed image, with its own kernel, initrd and command line" {
  [ -d "$WORK/hkd_dir" ] || "$KBUILD" se test-key "$WORK/hkd_dir"
  HKD_PATH="$WORK/hkd_dir" boot s390x boot-image-se
  a_container_ran s390x
  [[ "$output" == *"proven: kernel, initrd and command line of the image: the service runs, command line as expected"* ]]
  [[ "$output" == *"proven: the second stage on the decrypted image: the service runs"* ]]
}

@test "a policy that forbids containers is heeded" {
  cat >"$WORK/none.rego" <<'Y'
package agent_policy
default GuestDetailsRequest := true
default CreateSandboxRequest := true
default CreateContainerRequest := false
Y
  AGENT_POLICY_FILE="$WORK/none.rego" run "$KBUILD" -o "$WORK/build-{arch}" --arch=s390x boot rootfs-initrd-confidential --timeout 600
  echo "$output"
  [ "$status" -eq 3 ]
  [[ "$output" == *"proven: CreateSandbox"* ]]
  [[ "$output" == *"CreateContainer: "*"CreateContainerRequest"*policy* ]]
}
