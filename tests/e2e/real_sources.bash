# SPDX-License-Identifier: Apache-2.0
# What the tests on the distribution's real sources share: where they work, and with which cache.

REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)

setup_file() {
  export KBUILD=${KBUILD:-$REPOSITORY/kbuild}
  export KBUILD_SOURCES=debian
  export WORK=${KBUILD_E2E_WORK:-$BATS_FILE_TMPDIR}
  export KBUILD_CACHE=${KBUILD_E2E_CACHE:-$WORK/cache}
  mkdir -p "$WORK"
}

setup() {
  cd "$REPOSITORY" || return 1
}
