# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Makes Go ready for a step without network. Sourced: . /shared/go-common/setup.sh, then go_setup FOLDER.
# Needs: /src/go, the toolchain that toolchain.sh lists, or, in a recipe without such a source, go in the builder; /src/gomod,
#        what modules.sh lists, if FOLDER has no vendor folder; beside this file gomod.awk; ARCH, CROSS_COMPILE, JOBS; awk, find, unzip; with cgo a C
#        compiler for the target.
# Leaves: go on PATH, its environment: GOARCH and CC for the target, caches below /build.

go_common=${BASH_SOURCE[0]%/*}

go_die() {
    echo "go: $*" >&2
    exit 1
}

go_architecture() {
    case $1 in
        x86_64) echo amd64 ;;
        aarch64) echo arm64 ;;
        *) echo "$1" ;;
    esac
}

# The module is the tree of upstream's archive below a folder of its own name, and a zip of a module has no modes.
go_unpack() {
    local zip
    zip=$(find "$1" -name '*.zip')
    [ -f "$zip" ] || go_die "there is no toolchain in $1"
    unzip -q "$zip" -d /build/go.zip
    mv /build/go.zip/golang.org/toolchain@* /build/go
    rm -r /build/go.zip
    find /build/go/bin /build/go/pkg/tool -type f -exec chmod 0755 {} +
    export GOROOT=/build/go
    PATH=/build/go/bin:$PATH
}

# Is the version $1 as new as $2 (1.23.12; of 1.24rc1 the numbers count)?
go_is_at_least() {
    awk -v a="$1" -v b="$2" 'BEGIN {
        split(a, x, "."); split(b, y, ".")
        for (i = 1; i <= 3; i++) if (x[i] + 0 != y[i] + 0) exit x[i] + 0 < y[i] + 0
    }'
}

go_check_version() { # folder
    local needed have
    needed=$(awk -v ask=go -f "$go_common/gomod.awk" "$1/go.mod") || go_die "reading $1/go.mod"
    have=$(cd / && go env GOVERSION)
    go_is_at_least "${have#go}" "${needed:-1.0}" ||
        go_die "$1/go.mod needs Go $needed, and here is ${have#go}. languages.golang of versions.yaml says which is taken: use the versions.yaml of the release that is built"
}

# Modules lie as at a proxy, whose address is then a folder.
go_proxy() { # folder
    local modules=${GO_MODULES:-/src/gomod}
    if [ -f "$1/vendor/modules.txt" ]; then
        export GOPROXY=off GOFLAGS="$GOFLAGS -mod=vendor"
        return
    fi
    if [ -z "$(find "$modules" -name '*.mod' 2>/dev/null | head -n 1)" ]; then
        [ "$(awk -v ask=needs -f "$go_common/gomod.awk" "$1/go.mod")" = 0 ] ||
            go_die "$1 has no vendor folder, and there are no modules in $modules"
        export GOPROXY=off GOFLAGS="$GOFLAGS -mod=readonly"
        return
    fi
    # What go.sum does not name is refused, so there is nothing to ask a checksum database.
    export GOPROXY="file://$modules" GOSUMDB=off GOFLAGS="$GOFLAGS -mod=readonly"
}

go_setup() { # folder with go.mod
    local toolchain=${GO_SOURCE:-/src/go}
    export GOTOOLCHAIN=local GOENV=off GOCACHE=/build/.gocache GOPATH=/build/.gopath GOMAXPROCS="$JOBS"
    export GOFLAGS="-trimpath -buildvcs=false -p=$JOBS"
    export GOARCH GOOS=linux CC="${CROSS_COMPILE}gcc"
    GOARCH=$(go_architecture "$ARCH")
    [ ! -d "$toolchain" ] || go_unpack "$toolchain"
    command -v go >/dev/null || go_die "there is no go: the recipe needs the source 'go' (shared/go-common/toolchain.sh) or a package of its builder"
    go_check_version "$1"
    go_proxy "$1"
}
