# SPDX-License-Identifier: Apache-2.0
# Helpers for tests of several machines: each has a home, a cache and an empty folder of its own, and
# nothing of the project but what --plan gives it. After `load project` and `load shared_cache`.

# kbuild on the machine $1.
on() { # machine, words of kbuild...
  local machine=$PROJECT/machine-$1
  shift
  mkdir -p "$machine/here"
  (cd "$machine/here" && HOME=$machine exec "$KBUILD" --cache "$machine/cache" "$@")
}

# The same with the project at hand, at the same path.
here() { # machine, words of kbuild...
  local machine=$PROJECT/machine-$1
  shift
  mkdir -p "$machine"
  HOME=$machine "$KBUILD" --cache "$machine/cache" -o "$machine/build" "$@"
}

# The plan of targets, as JSON in $PROJECT/plan.
plan() { # words of kbuild plan...
  kb plan --remote --json "$@" >"$PROJECT/plan"
}

field() { # node, jq expression on its line
  jq -r --arg node "$1" 'select(.node == $node) | '"$2" plan
}

nodes_to_make() {
  jq -r 'select(.command) | .node' plan
}

# Makes all nodes of the plan, each on another machine.
make_all() { # words of kbuild run...
  local n=0 node
  for node in $(nodes_to_make); do
    n=$((n + 1))
    on "all$n" run "$node" "$@"
  done
}

# The project that `plan --push` names.
push_project() { # words of kbuild plan...
  kb plan --remote --push --json "$@" 2>messages >plan
  sed -n 's/^kbuild: the project is //p' messages
}

# A greeting from git, and two targets above it, with a lock.
greeting() {
  make_repositories
  serve_repositories
  sed -i "s/127.0.0.1:[0-9]*/127.0.0.1:$GIT_PORT/" versions.yaml
  noisy low 'sources: {greet: {version: externals.greet, git: "{url}", ref: "{version}"}}' \
    'mkdir -p /out/low/opt; cp /src/greet/greet.c /out/low/opt/low'
  noisy middle 'needs: [low]' 'mkdir -p /out/middle/opt; sed s/hello/HELLO/ /deps/low/opt/low >/out/middle/opt/middle'
  noisy top 'needs: [low, middle]' 'mkdir -p /out/top/opt; cat /deps/*/opt/* >/out/top/opt/top'
  kb lock top
}

end_machines() {
  stop_registry
  [ -z "${GIT_PID:-}" ] || kill "$GIT_PID" 2>/dev/null || true
}
