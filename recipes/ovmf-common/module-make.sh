#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Stands before make while edk2 builds: edk2 runs a make for each module, as many at a time as it was
# told, and closes the jobserver's pipe in them. This one takes a job of kbuild's, runs make with one
# job, and gives it back, so that kbuild -j bounds edk2 together with all other steps.
# Needs: REAL_MAKE (make itself), MODULE_LOCK (a file to lock); MODULE_TAKE and MODULE_GIVE, the
#        ends of the jobserver's pipe, or none of them.
set -eu
unset MAKEFLAGS MFLAGS MAKELEVEL

if [ -z "${MODULE_TAKE:-}" ]; then
    exec "$REAL_MAKE" "$@"
fi

# One job is the step's own and in no pipe; whoever has the lock has that one.
exec {lock}>>"$MODULE_LOCK" {take}<"$MODULE_TAKE" {give}>"$MODULE_GIVE"
job=
until flock --nonblock "$lock" || read -r -N 1 -t 0.1 -u "$take" job; do
    :
done
give_back() {
    if [ -n "$job" ]; then
        printf '%s' "$job" >&"$give"
    fi
}
trap give_back EXIT
trap 'exit 143' TERM INT HUP
"$REAL_MAKE" "$@" {take}<&- {give}>&-
