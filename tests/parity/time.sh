#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Seals SIZE (100) MB RUNS (21) times with genprotimg and with kbuild, each time beside SHA-512 over the
# same bytes, which is the part that cannot be avoided. Prints the medians of elapsed and of processor
# time (a busy machine spoils the former) and the peak memory. Fails if the least time is above 1.25 times
# SHA-512's, or memory above 16 MB; on a machine with one processor time is not judged, since hashing and
# encrypting then take turns. Needs GENPROTIMG, KBUILD, openssl, GNU time. Argument: a folder for temporary files.
set -eu
work=$1
runs=${RUNS:-21} size=${SIZE:-100}
mkdir -p "$work"
cd "$work"

truncate -s 128K kernel
printf S390EP | dd of=kernel bs=1 seek=$((0x10008)) conv=notrunc status=none
printf '\020\0' | dd of=kernel bs=1 seek=$((0x10436)) conv=notrunc status=none
head -c "${size}000000" /dev/urandom >initrd
"$KBUILD" se test-key keys >/dev/null 2>&1
mkdir -p link
ln -sf "$KBUILD" link/genprotimg
words=(--no-verify -i kernel -r initrd -k "$(echo keys/HKD-TEST-*.crt)" -o image)

measure() { # name, command...: appends elapsed ms, processor ms and peak KB
  local name=$1 start
  shift
  rm -f image # to free a large file takes its time, which is no part of sealing
  start=$EPOCHREALTIME
  /usr/bin/time -f '%U %S %M' -o usage "$@" >/dev/null 2>&1
  local end=$EPOCHREALTIME
  awk -v elapsed=$(((${end/./} - ${start/./}) / 1000)) '{ print elapsed, int(1000 * ($1 + $2)), $3 }' usage >>"$name"
}
median() { cut -d ' ' -f "$2" "$1" | sort -n | sed -n "$(($(wc -l <"$1") / 2 + 1))p"; }
least() { cut -d ' ' -f "$2" "$1" | sort -n | head -n 1; }
most() { cut -d ' ' -f "$2" "$1" | sort -n | tail -n 1; }
ratio() { awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }

"$GENPROTIMG" "${words[@]}" >/dev/null 2>&1 # once before, so that all find the initrd in memory
for ((i = 0; i < runs; i++)); do
  measure genprotimg "$GENPROTIMG" "${words[@]}"
  measure kbuild link/genprotimg "${words[@]}"
  measure sha512 openssl dgst -sha512 initrd
done
# The least of many runs is the one that other programs disturbed least.
r=$(ratio "$(least kbuild 1)" "$(least sha512 1)")
good=$(awk "BEGIN { print ($r <= 1.25) }")
for name in genprotimg kbuild sha512; do
  echo "$name: $size MB, median of $(wc -l <"$name"): $(median $name 1) ms elapsed (least $(least $name 1))," \
    "$(median $name 2) ms of processor time, peak $(most $name 3) KB"
done
memory=$(most kbuild 3)
echo "parity, time: kbuild takes $r times as long as SHA-512 (at most 1.25), and $memory KB (at most 16384)"
[ "$memory" -le 16384 ] || exit 1
[ "$(nproc)" -gt 1 ] || { echo "parity, time: one processor, not judged"; exit 0; }
[ "$good" -eq 1 ]
