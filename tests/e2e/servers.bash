# SPDX-License-Identifier: Apache-2.0
# Servers of tests/support for a whole file of tests: start_server in setup_file, stop_servers in teardown_file.

# A server of tests/support that ends with the file; its port goes into the variable.
start_server() { # VARIABLE SCRIPT ARGUMENT...
  local name=$1 script=$2 fifo
  shift 2
  fifo="$BATS_FILE_TMPDIR/$name"
  mkfifo "$fifo.in"
  python3 "$REPOSITORY/tests/support/$script" "$@" <"$fifo.in" >"$fifo.out" 2>/dev/null 3>&- &
  echo "$!" >>"$BATS_FILE_TMPDIR/pids"
  sleep 600 >"$fifo.in" 3>&- &
  echo "$!" >>"$BATS_FILE_TMPDIR/pids"
  until [ -s "$fifo.out" ]; do sleep 0.02; done
  printf -v "$name" %s "$(cat "$fifo.out")"
}

stop_servers() {
  local pid
  while read -r pid; do kill "$pid" 2>/dev/null || true; done <"$BATS_FILE_TMPDIR/pids"
}

# `! command` does not fail a test of bats.
refute() {
  if "$@"; then return 1; fi
}
