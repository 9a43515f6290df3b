# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Where the files of a registry of crates are. Sourced by list.sh and crate.sh.
# Needs: here, the folder of this file, with config.awk; /answers: what was asked for in the round before.
#        /configuration/{CARGO_HOME,.cargo}/{config,config.toml}, where the user has one: its replacement of the usual registry
#        says where crates come from. Otherwise cargo, which knows the index that it asks where nobody set anything.
# Leaves: die(), ask_registry(), ask_usual(); work, an empty folder that goes at the end; in it `registries`, a line
#         for each registry: its source in a lock, a tab, the address template of its crates; asked, not empty if
#         something was asked, so that nothing more can be said in this round.

configuration=${CARGO_CONFIGURATION:-/configuration}
answers=${CARGO_ANSWERS:-/answers}
asked=
die() {
    echo "${0##*/}: $*" >&2
    exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/registries"

# The address template ("dl") of a registry, out of its config.json.
template_of() { # answer's name
    awk 'BEGIN { RS = "\1" } {
        if (match($0, /"dl"[ \t\r\n]*:[ \t\r\n]*"[^"]*"/)) {
            text = substr($0, RSTART, RLENGTH)
            sub(/^"dl"[ \t\r\n]*:[ \t\r\n]*"/, "", text); sub(/"$/, "", text); gsub(/\\\//, "/", text)
            print text
        }
    }' "$answers/$1"
}

# A sparse index says where its files are (The Cargo Book, "Index Format", "Index Configuration").
ask_registry() { # address of its index, its source in a lock
    local index=$1 name template
    case $index in
        http://* | https://*) ;;
        *) die "the registry $index has no address that can be asked" ;;
    esac
    name=registry-$(printf '%s' "$index" | sha256sum | cut -c1-16).json
    if [ ! -f "$answers/$name" ]; then
        echo "ask ${index%/}/config.json $name"
        # shellcheck disable=SC2034 # for who sources this
        asked=yes
        return
    fi
    template=$(template_of "$name")
    case $template in
        http://*[\ \"\']* | https://*[\ \"\']*) die "config.json of the registry $index names no usable address: $template" ;;
        http://* | https://* | file:///*) printf '%s\t%s\n' "$2" "$template" >>"$work/registries" ;;
        *) die "config.json of the registry $index names no address of crates (\"dl\")" ;;
    esac
}

# The index that cargo asks without any configuration. There is no network here: what cargo wants to read first is in
# its log, and in newer versions in its error, too.
usual_index() {
    local folder=$work/ask message
    mkdir -p "$folder/src" "$folder/home"
    : >"$folder/src/lib.rs"
    printf '[package]\nname = "ask"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nask-nobody = "1"\n' \
        >"$folder/Cargo.toml"
    message=$(cd "$folder" && env -i CARGO_LOG=network=trace PATH="$PATH" HOME="$folder/home" CARGO_HOME="$folder/home" CARGO_NET_RETRY=0 \
        LC_ALL=C "${CARGO:-cargo}" generate-lockfile 2>&1) || :
    # shellcheck disable=SC2016 # the marks around the address
    printf '%s\n' "$message" | sed -n 's|.*["`]\(https\{0,1\}://[^"`]*\)/config\.json["`].*|\1|p' | head -n 1
}

ask_usual() { # its source in a lock
    local replacement='' file index
    for file in "$configuration"/{CARGO_HOME,.cargo}/{config,config.toml}; do
        if [ -f "$file" ]; then
            # shellcheck disable=SC2154 # here: who sources this has set it
            replacement=$(awk -f "$here/config.awk" "$file")
            break
        fi
    done
    case $replacement in
        'sparse '*) ask_registry "${replacement#sparse }" "$1" && return ;;
        'folder '/*)
            printf '%s\tfile://%s/{crate}-{version}.crate\n' "$1" "${replacement#folder }" >>"$work/registries"
            return
            ;;
        '') ;;
        *) echo "${0##*/}: note: cargo's configuration replaces the usual registry by '$replacement', which has no files that can be fetched one by one; crates come from where cargo takes them without it" >&2 ;;
    esac
    index=$(usual_index)
    [ -n "$index" ] ||
        die "cargo does not say where it takes crates from: name a registry in ~/.cargo/config.toml ([source.crates-io] replace-with, docs/rust.md)"
    ask_registry "$index" "$1"
}
