# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Where modules come from: Go's own setting GOPROXY (a list with ',' or '|'; http, https and file; off; direct).
# Sourced by toolchain.sh and modules.sh.
# Needs: GOPROXY in the environment, or /configuration/.config/go/env, where `go env -w` writes it, or a go in the
#        builder, which says what Go takes where nobody set anything.
# Leaves: proxies; module_line(), which prints one line of a list.

proxies=()
proxy_setting=${GOPROXY:-}
go_environment=${GO_ENVIRONMENT_FILE:-/configuration/.config/go/env}
if [ -z "$proxy_setting" ] && [ -f "$go_environment" ]; then
    proxy_setting=$(sed -n 's/^GOPROXY=//p' "$go_environment" | tail -n 1)
fi
if [ -z "$proxy_setting" ] && [ -n "$(type -P go)" ]; then
    proxy_setting=$(GOENV=off HOME=/nonexistent go env GOPROXY)
fi
if [ -z "$proxy_setting" ]; then
    echo "GOPROXY is set neither in the environment nor in ~/.config/go/env, and there is no go to ask: set it to the address of a proxy of Go modules ('go help goproxy' and 'go env GOPROXY' on a machine with Go name the usual one)" >&2
    exit 1
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
read_proxies

# <module>/@v/<version>.<suffix>, with !x for the capital letter X (Go Modules Reference, "GOPROXY protocol").
proxy_path() { # module version.suffix
    case $1$2 in
        *[[:upper:]]*) printf '%s\n' "$1/@v/$2" | sed 's/[A-Z]/!\L&/g' ;;
        *) echo "$1/@v/$2" ;;
    esac
}

# module_line MODULE VERSION SUFFIX [sha256=HEX]: the file's name is its path at a proxy. Without a digest it is pinned in
# versions.lock at the first use, under its package URL: the same for whatever proxy it comes from.
module_line() {
    local path proxy word=file package
    path=$(proxy_path "$1" "$2.$3")
    package=$(purl "$1" "$2")
    [ -z "${4:-}" ] || word=archive
    # The purl specification writes names in small letters, Go's names differ by them: the path tells such names apart.
    printf '%s %s?file_name=%s' "$word" "$package" "${path//+/%2B}"
    for proxy in "${proxies[@]}"; do
        printf ' %s' "$proxy/$path"
    done
    printf '%s purl=%s %s\n' "${4:+ $4}" "$package" "$path"
}

# Package URL: lower case, '+' of +incompatible percent-encoded (purl specification, type golang).
purl() { printf 'pkg:golang/%s@%s' "${1,,}" "${2//+/%2B}"; }
