# SPDX-License-Identifier: Apache-2.0
# Helpers for the end-to-end tests: a project of its own in a temporary directory, with a small real C
# program in a git repository with a submodule, served by git daemon on loopback. Steps use the host's
# tools (--builder=host), so nothing here needs a package mirror.

# Tests run in CI, too: what kbuild prints there is another thing (docs/ci.md), and ci_log.bats asks for it.
unset GITHUB_ACTIONS GITHUB_STEP_SUMMARY GITHUB_WORKSPACE GITLAB_CI KBUILD_CI_LOG

REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
KBUILD=${KBUILD:-$REPOSITORY/kbuild}
# Whatever a developer has in a kbuild.yaml: tests are not to see it.
export KBUILD_SETTINGS=none
# What tests make by hand, as part of a cache or as keys, is closed to others; folders.bats tries other masks.
umask 022

# kbuild on this project.
kb() {
  "$KBUILD" --builder=host --cache "$PROJECT/cache" "$@"
}

# The same for a background job, so that its pid is kbuild's own: kb_exec TARGET &
kb_exec() {
  exec "$KBUILD" --builder=host --cache "$PROJECT/cache" "$@"
}

git_here() {
  git -c user.name=Test -c user.email=test@localhost -c protocol.file.allow=always -c init.defaultBranch=main "$@"
}

# The repositories: greet (a program) with the submodule shout (a library).
make_repositories() {
  mkdir -p "$PROJECT/git"
  git_here init -q "$PROJECT/git/shout"
  cat >"$PROJECT/git/shout/shout.h" <<'X'
#define SHOUT(text) text "!"
X
  git_here -C "$PROJECT/git/shout" add .
  git_here -C "$PROJECT/git/shout" commit -q -m "Shout"
  git_here init -q "$PROJECT/git/greet"
  cat >"$PROJECT/git/greet/greet.c" <<'X'
#include "shout/shout.h"
#include <stdio.h>
int main(void) { puts(SHOUT("hello")); return 0; }
X
  printf 'greet: greet.c\n\t$(CC) -I. -o $(OUT)/greet greet.c\n' >"$PROJECT/git/greet/Makefile"
  git_here -C "$PROJECT/git/greet" submodule -q add ../shout shout
  git_here -C "$PROJECT/git/greet" add .
  git_here -C "$PROJECT/git/greet" commit -q -m "Greet"
  git_here -C "$PROJECT/git/greet" tag -a -m v1 v1
}

# Serves $PROJECT/git at git://127.0.0.1:$GIT_PORT/. $1: a repository in it (greet).
serve_repositories() {
  for _ in 1 2 3 4 5; do
    # Below the ports that the kernel gives to clients; another test may have it all the same.
    GIT_PORT=$((20000 + RANDOM % 12000))
    git daemon --reuseaddr --listen=127.0.0.1 --port="$GIT_PORT" --base-path="$PROJECT/git" --export-all \
      "$PROJECT/git" >/dev/null 2>&1 3>&- &
    GIT_PID=$!
    for _ in $(seq 100); do
      kill -0 "$GIT_PID" 2>/dev/null || break
      git ls-remote "git://127.0.0.1:$GIT_PORT/${1:-greet}" >/dev/null 2>&1 && kill -0 "$GIT_PID" && return 0
      sleep 0.1
    done
    kill "$GIT_PID" 2>/dev/null || true
  done
  return 1
}

# A recipe that writes one file. $1 name, $2 further lines of recipe.yaml, $3 lines of the script
# (default: the file says the recipe's name).
make_recipe() {
  mkdir -p "$PROJECT/recipes/$1"
  {
    echo "description: test $1"
    echo "architectures: [x86_64, s390x, aarch64, ppc64le]"
    echo "builder: {packages: [bash], tools: [bash]}"
    echo "run: build.sh"
    [ -z "${2:-}" ] || printf '%s\n' "$2"
  } >"$PROJECT/recipes/$1/recipe.yaml"
  printf 'set -eu\n%s\n' "${3:-mkdir -p "/out/$1/opt"; echo "$1" >"/out/$1/opt/$1"}" >"$PROJECT/recipes/$1/build.sh"
}

make_project() {
  PROJECT=$(mktemp -d "${BATS_TEST_TMPDIR:-/tmp}/project.XXXXXX")
  mkdir -p "$PROJECT/recipes"
  cat >"$PROJECT/versions.yaml" <<X
externals:
  greet:
    url: "git://127.0.0.1:${GIT_PORT:-1}/greet"
    version: v1
X
  cd "$PROJECT" || return 1
}

content_of() { # tarball member
  tar -xOf "$1" "./$2"
}
