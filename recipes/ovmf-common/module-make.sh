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
# Not with bash's `read -t`: it loses what it has read when the time ends in that moment.
job=
take_job() {
    job=$(dd bs=1 count=1 iflag=nonblock status=none <&"$take" 2>/dev/null) && [ -n "$job" ]
}
until flock --nonblock "$lock" || take_job; do
    sleep 0.1
done
give_back() {
    if [ -n "$job" ]; then
        printf '%s' "$job" >&"$give"
    fi
}
trap give_back EXIT
trap 'exit 143' TERM INT HUP
"$REAL_MAKE" "$@" {take}<&- {give}>&-
