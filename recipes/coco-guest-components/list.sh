#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Lists the crates of the guest components, without what is only in the lock.
# Needs: stubs beside it; cargo-common/list.sh; Cargo.lock in the current folder.
# Leaves: lines on standard output (cargo-common/list.sh).
set -eu
exec bash /shared/cargo-common/list.sh --stubs="$(dirname "$0")/stubs" Cargo.lock
