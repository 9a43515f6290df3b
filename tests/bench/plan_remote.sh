#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Plans for several machines, and a node that another machine made, with a registry (docker-registry) on loopback.
#
# Prints medians of RUNS (5): `kbuild plan --remote --json` of made-up graphs, of SIZES (100 10000) artifacts: "chain", of which one key
# is known, and "flat", of which all are, so that the registry is asked for each; and `kbuild run` of a node of 100 that is found.
# In brackets the processor time of kbuild itself, which a busy machine does not change much.
set -eu
cd "$(dirname "$0")/../.."
program=$PWD/kbuild
graph=$PWD/tests/bench/make-graph.py
runs=${RUNS:-5}
work=$(mktemp -d)
registry=
trap '[ -z "$registry" ] || kill "$registry"; chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
export HOME=$work
unset KBUILD_SIGNING_KEY KBUILD_TRUSTED_KEYS PUSH_TO_REGISTRY BUILDER_REGISTRY

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:%s"}\n' \
  "$work/registry" "$port" >registry.yml
docker-registry serve registry.yml >registry.log 2>&1 &
registry=$!
for _ in $(seq 100); do
  curl -s -o /dev/null "http://127.0.0.1:$port/v2/" && break
  sleep 0.1
done
export ARTEFACT_REGISTRY=127.0.0.1:$port ARTEFACT_REPOSITORY=kata

time_it() { # command...: prints the medians in ms
  python3 - "$runs" "$@" <<'P'
import resource, statistics, subprocess, sys, time
runs, command = int(sys.argv[1]), sys.argv[2:]
times, work = [], []
for _ in range(runs):
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    times.append((time.monotonic() - start) * 1000)
    work.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000)
print(f"{statistics.median(times):.0f} ms ({statistics.median(work):.0f})")
P
}

kb() { # project, words
  local project=$1
  shift
  "$program" --builder=host --versions "$project/versions.yaml" --recipes "$project/recipes" --cache "$project/cache" "$@"
}

for size in ${SIZES:-100 10000}; do
  for shape in chain flat; do
    project=$shape$size
    "$graph" "$project" "$size" "$shape"
    echo "plan --remote, $size artifacts, $shape: $(time_it "$program" --builder=host --versions "$project/versions.yaml" \
      --recipes "$project/recipes" --cache "$project/cache" plan --remote --json "n$((size - 1))")"
    [ "$(kb "$project" plan --remote --json "n$((size - 1))" | wc -l)" -eq "$((size + 1))" ]
  done
done

"$graph" found 100
# shellcheck disable=SC2094 # the folder found/ is no file
kb found plan --remote --json n99 >plan
kb found run n0:"$(uname -m)" --plan=plan >/dev/null 2>&1
chmod -R u+w found/cache
rm -r found/cache
kb found run n0:"$(uname -m)" --plan=plan 2>&1 | grep -q found
echo "run of a node that is found: $(time_it "$program" --versions found/versions.yaml --recipes found/recipes --cache found/cache -o found/build run "n0:$(uname -m)" --plan=plan)"
