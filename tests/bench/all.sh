#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How near a build of many targets comes to the best that its steps allow.
#
# Usage: tests/bench/all.sh [KBUILD-OPTION...] TARGET...        (for example --sources=debian all)
# Environment: KBUILD=program (./kbuild), JOBS=N (processors), ALONE=1, KEEP=DIR for all that is written.
#
# Fetches first: the network is not measured. Then makes the targets in an empty cache but for that, and
# prints each step's times, the bound (critical_path.py says what that is) and how far off the run was, and
# what all processors did meanwhile: busy with more than the steps means that something else ran beside them.
# With ALONE=1 each step is made once more by itself, with all processors, which gives the sharper bound and
# takes as long as all steps one after the other.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=${KBUILD:-$here/../../kbuild}
jobs=${JOBS:-$(nproc)}
[ "$#" -gt 0 ] || { echo "usage: $0 [KBUILD-OPTION...] TARGET..." >&2; exit 2; }
work=${KEEP:-$(mktemp -d)}
[ -n "${KEEP:-}" ] || trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
mkdir -p "$work"

kb() { # cache, words...
  local cache=$1
  shift
  "$program" --cache "$cache" -o "$work/build" -j "$jobs" "$@"
}

options=() targets=()
for word in "$@"; do
  case $word in
    -*) options+=("$word") ;;
    *) targets+=("$word") ;;
  esac
done

kb "$work/cache" "${options[@]}" fetch "${targets[@]}"
[ -z "${ALONE:-}" ] || cp -a "$work/cache" "$work/cache-alone"
kb "$work/cache" "${options[@]}" --json plan "${targets[@]}" >"$work/plan.json"
ticks() { # of all processors since the machine started: busy, idle, stolen (proc_stat(5))
  awk '/^cpu / {print $2 + $3 + $4 + $7 + $8, $5 + $6, $9}' /proc/stat
}
before=$(ticks) start=$(date +%s.%N)
kb "$work/cache" "${options[@]}" --offline --json "${targets[@]}" >"$work/run.json"
wall=$(awk "BEGIN{print $(date +%s.%N) - $start}") after=$(ticks)

alone=()
if [ -n "${ALONE:-}" ]; then
  steps() { # a file with a plan: the artifacts that are to be made
    jq -r 'select(.kind == "artifact" and .state != "cached") | (.node | split(":")[0]) + " " + .arch' "$1"
  }
  # Always one of those that are the only thing to make when they are asked for.
  cp "$work/plan.json" "$work/left.json"
  while [ -n "$(steps "$work/left.json")" ]; do
    while read -r target arch; do
      kb "$work/cache-alone" "${options[@]}" --offline --json --arch="$arch" plan "$target" >"$work/one.json"
      [ "$(steps "$work/one.json" | wc -l)" -gt 1 ] || break
    done < <(steps "$work/left.json")
    kb "$work/cache-alone" "${options[@]}" --offline --json --arch="$arch" "$target" >>"$work/alone.json" </dev/null
    kb "$work/cache-alone" "${options[@]}" --json plan "${targets[@]}" >"$work/left.json"
  done
  alone=("$work/alone.json")
fi
stolen=$(awk -v t="$(getconf CLK_TCK)" '{print ($6 - $3) / t}' <<<"$before $after")
"$here/critical_path.py" "$work/plan.json" "$work/run.json" "$jobs" "$wall" "$stolen" "${alone[@]}"
awk -v t="$(getconf CLK_TCK)" '{printf "all processors: %.0f s busy, %.0f s idle, %.0f s stolen\n",
  ($4 - $1) / t, ($5 - $2) / t, ($6 - $3) / t}' <<<"$before $after"
