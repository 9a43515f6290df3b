# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Where modules come from: Go's own setting GOPROXY (a list with ',' or '|'; http, https and file; off; direct).
# Sourced by toolchain.sh and modules.sh.
# Needs: GOPROXY in the environment, or /configuration/.config/go/env, where `go env -w` writes it, or neither.
# Leaves: canonical, proxies; module_line(), which prints one line of a list.

canonical=https://proxy.golang.org
proxies=()
proxy_setting=${GOPROXY:-}
go_environment=${GO_ENVIRONMENT_FILE:-/configuration/.config/go/env}
if [ -z "$proxy_setting" ] && [ -f "$go_environment" ]; then
    proxy_setting=$(sed -n 's/^GOPROXY=//p' "$go_environment" | tail -n 1)
fi

# A password belongs into ~/.netrc, which is read for these addresses too: the lines of a list are kept.
read_proxies() {
    local entry rest
    local -a entries
    IFS=',|' read -r -a entries <<<"$proxy_setting"
    for entry in "${entries[@]}"; do
        entry=${entry//[[:space:]]/}
        entry=${entry%/}
        case $entry in
            off) break ;; # nothing after it is asked
            '' | direct) ;;
            http://*@* | https://*@*)
                rest=${entry#*://}
                case ${rest%%/*} in
                    *@*)
                        echo "note: GOPROXY: the user and password of ${rest#*@} are left out; put them into ~/.netrc" >&2
                        entry=${entry%%://*}://${rest#*@}
                        ;;
                esac
                proxies+=("$entry")
                ;;
            http://?* | https://?* | file:///*) proxies+=("$entry") ;;
            *)
                echo "GOPROXY: '$entry' is neither http://, https://, file:/// nor off or direct" >&2
                exit 1
                ;;
        esac
    done
    if [ "${#proxies[@]}" = 0 ]; then
        echo "note: GOPROXY=$proxy_setting names no proxy that could be asked; only what is in the cache already can be used" >&2
    fi
}
[ -z "$proxy_setting" ] || read_proxies

# <module>/@v/<version>.<suffix>, with !x for the capital letter X (Go Modules Reference, "GOPROXY protocol").
proxy_path() { # module version.suffix
    case $1$2 in
        *[[:upper:]]*) printf '%s\n' "$1/@v/$2" | sed 's/[A-Z]/!\L&/g' ;;
        *) echo "$1/@v/$2" ;;
    esac
}

# module_line MODULE VERSION SUFFIX [sha256=HEX]: the file's name is its path at a proxy. Without a digest it is pinned in
# versions.lock at the first use. A setting replaces the canonical proxy, whose address stays the one that records say.
module_line() {
    local path proxy word=file
    path=$(proxy_path "$1" "$2.$3")
    [ -z "${4:-}" ] || word=archive
    if [ -z "$proxy_setting" ]; then
        printf '%s %s' "$word" "$canonical/$path"
    else
        printf '%s !%s' "$word" "$canonical/$path"
        for proxy in "${proxies[@]}"; do
            printf ' %s' "$proxy/$path"
        done
    fi
    printf '%s purl=%s %s\n' "${4:+ $4}" "$(purl "$1" "$2")" "$path"
}

# Package URL: lower case, '+' of +incompatible percent-encoded (purl specification, type golang).
purl() { printf 'pkg:golang/%s@%s' "${1,,}" "${2//+/%2B}"; }
