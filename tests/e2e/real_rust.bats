#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Real Rust programs: virtiofsd from its crate, and the agent from Kata's git, for x86_64 and s390x. Very slow: an
# agent is 18 minutes of a processor and 3 GB of memory. `make check-e2e` runs it; KBUILD_E2E_CACHE names a
# cache to start from (default: an empty one).

load real_sources

build() { # target, source that no distribution has, architecture
  run "$KBUILD" -o "$WORK/rust-$3" --source "$2=upstream" --arch="$3" "$1"
  echo "$output"
  [ "$status" -eq 0 ]
}

# What a tarball holds: mode, owner and path of its files.
files_of() {
  tar --numeric-owner -tvf "$1" | awk '$1 !~ /^d/ { print $1, $2, $NF }'
}

virtiofsd() { # architecture, machine as readelf says it
  build virtiofsd virtiofsd "$1"
  [ "$(files_of "$WORK/rust-$1/kata-static-virtiofsd.tar.xz")" = "-rwxr-xr-x 0/0 ./opt/kata/libexec/virtiofsd" ]
  tar -xOf "$WORK/rust-$1/kata-static-virtiofsd.tar.xz" ./opt/kata/libexec/virtiofsd >"$WORK/program"
  readelf -hW "$WORK/program" | grep -q "Machine: *$2"
  # Static, with its symbols.
  [ "$(readelf -lW "$WORK/program" | grep -c INTERP)" -eq 0 ]
  readelf -SW "$WORK/program" | grep -q ' \.symtab '
}

agent() { # architecture, machine as readelf says it
  git ls-remote https://github.com/kata-containers/kata-containers HEAD >/dev/null 2>&1 || skip "Kata's git cannot be reached"
  build agent kata "$1"
  diff - <(files_of "$WORK/rust-$1/kata-static-agent.tar.xz") <<'L'
-rwxr-xr-x 0/0 ./usr/bin/kata-agent
-rw-r--r-- 0/0 ./usr/lib/systemd/system/kata-agent.service
-rw-r--r-- 0/0 ./usr/lib/systemd/system/kata-containers.target
L
  tar -xOf "$WORK/rust-$1/kata-static-agent.tar.xz" ./usr/bin/kata-agent >"$WORK/program"
  readelf -hW "$WORK/program" | grep -q "Machine: *$2"
  # libseccomp is in it; of the system only the C library's family is needed.
  [ "$(readelf -dW "$WORK/program" | grep NEEDED | grep -cvE 'libc\.so|libm\.so|libgcc_s\.so|ld64\.so|ld-linux')" -eq 0 ]
  tar -xOf "$WORK/rust-$1/kata-static-agent.tar.xz" ./usr/lib/systemd/system/kata-agent.service | grep -qx 'ExecStart=/usr/bin/kata-agent'
}

@test "virtiofsd for x86_64" {
  virtiofsd x86_64 'Advanced Micro Devices X86-64'
  [ "$(uname -m)" != x86_64 ] || { chmod +x "$WORK/program" && "$WORK/program" --version; }
}

@test "virtiofsd for s390x" {
  virtiofsd s390x 'IBM S/390'
}

@test "the agent for s390x" {
  agent s390x 'IBM S/390'
}

@test "the agent for x86_64" {
  agent x86_64 'Advanced Micro Devices X86-64'
  if [ "$(uname -m)" = x86_64 ]; then
    chmod +x "$WORK/program"
    "$WORK/program" --version | grep -q agent-policy
  fi
}

# Long: each program is built once more.
@test "a second build of both gives the same bytes" {
  "$KBUILD" --source virtiofsd=upstream verify virtiofsd --arch=s390x
  git ls-remote https://github.com/kata-containers/kata-containers HEAD >/dev/null 2>&1 || skip "Kata's git cannot be reached"
  "$KBUILD" --source kata=upstream verify agent --arch=s390x
}
