#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sealing against SHA-512 over the same bytes, which is the part that cannot be avoided.
#
# Seals an initrd of SIZE (100) MB, half zeros and half random bytes, RUNS (7) times, each time
# followed by the same with a seal secret (which hashes the inputs first), by
# `openssl dgst -sha512` of the initrd and a plain copy of it. Prints the medians of
# elapsed and of processor time (a busy machine spoils the former) and the ratio. Then the memory
# that sealing 1, SIZE and 4 * SIZE MB took at its peak, and what the program takes for nothing.
# Files are written to BENCH_DIR (TMPDIR or /tmp). Needs ./kbuild (or KBUILD), openssl, GNU time.
set -eu
cd "$(dirname "$0")/../.."
kbuild=${KBUILD:-$PWD/kbuild}
runs=${RUNS:-7}
size=${SIZE:-100}
work=$(mktemp -d -p "${BENCH_DIR:-${TMPDIR:-/tmp}}")
trap 'rm -rf "$work"' EXIT
cd "$work"

# As much of a kernel as is looked at: its name, and a command line of up to 4096 bytes.
truncate -s 128K kernel
printf S390EP | dd of=kernel bs=1 seek=$((0x10008)) conv=notrunc status=none
printf '\020\0' | dd of=kernel bs=1 seek=$((0x10436)) conv=notrunc status=none
printf 'panic=1 quiet' >parmfile
"$kbuild" se test-key keys >/dev/null 2>&1
document=$(echo keys/HKD-TEST-*.crt)

initrd() { # name, MB
  truncate -s "$(($2 * 500000))" "$1"
  head -c "$(($2 * 500000))" /dev/urandom >>"$1"
}
seal_command() { # initrd, output: sets `command`
  command=("$kbuild" se seal -i kernel -r "$1" -p parmfile -k "$document" -o "$2" --no-verify)
}
measure() { # name, command...: appends elapsed and processor time, in milliseconds
  local name=$1 start=$EPOCHREALTIME
  shift
  /usr/bin/time -f '%U %S' -o cpu "$@" >/dev/null 2>&1
  local end=$EPOCHREALTIME
  echo $(((${end/./} - ${start/./}) / 1000)) >>"$name.elapsed"
  awk '{ print int(1000 * ($1 + $2)) }' cpu >>"$name.cpu"
}
median() { sort -n "$1" | sed -n "$(($(wc -l <"$1") / 2 + 1))p"; }
ratio() { awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }

initrd initrd "$size"
seal_command initrd image
(umask 077 && head -c 64 /dev/urandom >secret)
"${command[@]}" >/dev/null 2>&1 # once before, so that both find the initrd in memory
for ((i = 0; i < runs; i++)); do
  rm -f image copy
  measure sealing "${command[@]}"
  rm -f image
  measure proving "${command[@]}" --seal-secret secret
  measure hashing openssl dgst -sha512 initrd
  measure copying dd if=initrd of=copy bs=256K conv=fsync status=none
done
for what in elapsed cpu; do
  s=$(median sealing.$what) h=$(median hashing.$what) c=$(median copying.$what)
  p=$(median proving.$what)
  echo "$what, medians of $runs: sealing $size MB $s ms, openssl dgst -sha512 $h ms (ratio" \
    "$(ratio "$s" "$h")), copy and fsync $c ms; with --seal-secret $p ms (ratio $(ratio "$p" "$h"))"
done

peak() { # command...: KB
  /usr/bin/time -f %M -o memory "$@" >/dev/null 2>&1 || true
  tail -n 1 memory
}
echo "peak memory, kbuild --version: $(peak "$kbuild" --version) KB"
for mb in 1 "$size" $((4 * size)); do
  rm -f image copy part
  initrd part "$mb"
  seal_command part image
  kb=$(peak "${command[@]}")
  [ -s image ] || { echo "sealing $mb MB failed" >&2; exit 1; }
  echo "peak memory, sealing $mb MB: $kb KB"
done
