#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The stand-in for the agent, for two architectures over two workers of a real Slurm on loopback, in builders
# from the distribution's mirror: bit for bit what one machine makes. Slow. `make check-e2e` runs it.

bats_require_minimum_version 1.5.0

REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)

load shared_cache
load slurm

setup_file() {
  export KBUILD=${KBUILD:-$REPOSITORY/kbuild}
  export KBUILD_SOURCES=debian
  export WORK=${KBUILD_E2E_WORK:-$BATS_FILE_TMPDIR}
  export KBUILD_CACHE=$WORK/spread-cache
  mkdir -p "$WORK"
  slurm_start 2
}

teardown_file() {
  slurm_stop
}

setup() {
  slurm_needed
  cd "$REPOSITORY" || return 1
  export ARTEFACT_REGISTRY=127.0.0.1:$PORT ARTEFACT_REPOSITORY=kata
}

# The files of an output directory but logs, with their digests.
results() {
  (cd "$1" && find . -name logs -prune -o -name targets -prune -o -type f -print0 | sort -z | xargs -0 sha256sum)
}

@test "smoke-init for two architectures over two workers is bit for bit one machine's" {
  cp -r recipes versions.yaml VERSION "$BATS_TEST_TMPDIR/"
  cd "$BATS_TEST_TMPDIR"
  "$KBUILD" spread --with=slurm --arch=x86_64,s390x -o "$WORK/spread/{arch}" smoke-init 3>&- &
  pid=$!
  # What begins later begins on the other worker, which has to get the builders.
  first=
  until [ -n "$first" ] || ! kill -0 "$pid"; do
    first=$(squeue -h -t R -o %N | head -n 1)
    sleep 0.2
  done
  scontrol update NodeName="$first" State=DRAIN Reason=test
  wait "$pid"
  scontrol update NodeName="$first" State=RESUME
  [ "$(squeue -h -t all -o %N | sort -u | grep -c '^worker')" -eq 2 ]
  # One machine, of the same pins, in a cache that knows nothing.
  for arch in x86_64 s390x; do
    KBUILD_CACHE=$WORK/one-cache ARTEFACT_REGISTRY='' ARTEFACT_REPOSITORY='' \
      "$KBUILD" --locked --arch="$arch" -o "$WORK/one/$arch" smoke-init
  done
  diff <(results "$WORK/spread") <(results "$WORK/one")
  [ "$(find "$WORK/one" -name '*.tar.xz' | wc -l)" -eq 2 ]
  # Again: no job.
  jobs=$(slurm_jobs | wc -l)
  "$KBUILD" spread --with=slurm --arch=x86_64,s390x -o "$WORK/spread/{arch}" smoke-init
  [ "$(slurm_jobs | wc -l)" -eq "$jobs" ]
}
