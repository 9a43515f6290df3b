#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds agent-check in the runtime's module, whose client of the agent it is made of. The result runs on the building
# machine, whatever the guest's architecture is.
# Needs: /src/kata; /src/go and /src/gomod (go-common/setup.sh); /recipe/*.go.
# Leaves: /out/$TARGET/usr/bin/agent-check, static.
set -eu
umask 022

# shellcheck source-path=SCRIPTDIR source=../go-common/setup.sh
. /shared/go-common/setup.sh
cp -R --no-preserve=mode /src/kata/src/runtime runtime
install -D -t runtime/cmd/agent-check /recipe/*.go
go_setup runtime
GOARCH=$(go env GOHOSTARCH)
export GOARCH
cd runtime
CGO_ENABLED=0 go build -ldflags '-s -w' -o "/out/$TARGET/usr/bin/agent-check" ./cmd/agent-check
