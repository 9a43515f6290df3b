#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Lays out crates and git dependencies as cargo's directory sources, and writes its configuration.
# Usage: layout.sh CRATES STUBS WORK
# Needs: CRATES: NAME-VERSION.crate files and git-REPOSITORY-COMMIT folders, as list.sh listed them; STUBS: the
#        packages that are never compiled; WORK/packages: what lock.awk printed; WORK/home; JOBS.
# Leaves: WORK/crates, WORK/git, WORK/dir-N: the packages; WORK/home/config.toml.
# A package that is a stub here has its manifest and no code: compiling it is an error that says so.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
crates=$1
stubs=$2
work=$3
config=$work/home/config.toml
cargo_die() {
    printf 'error: %s\n' "$@" >&2
    exit 1
}

mkdir "$work/crates" "$work/git"

# ---- crates ----

# Never compiled for Linux, and more than half of all bytes.
only_windows() {
    case $1 in
        windows | windows[-_]* | winapi-*-pc-windows-gnu) true ;;
        *) false ;;
    esac
}

refuse_to_compile() { # folder of a package, its name
    local file
    while read -r file; do
        mkdir -p "$(dirname "$1/$file")"
        printf 'compile_error!("%s is a stub in this build: it was expected never to be compiled for this target (docs/rust.md)");\n' \
            "$2" >"$1/$file"
    done < <(
        echo src/lib.rs
        # where the manifest says that the library is
        awk '/^\[/ { lib = $0 == "[lib]" } lib && sub(/^path *= *"/, "") { sub(/".*/, ""); if ($0 !~ /^\/|\.\./) print }' "$1/Cargo.toml"
    )
}

unpack_crate() { # name, version, checksum
    local name=$1-$2 file="$crates/$1-$2.crate" checksum=$3
    [ -f "$file" ] || cargo_die "there is no $name.crate in $crates: is the list of another lock?"
    if only_windows "$1"; then
        tar -xzf "$file" -C "$work/crates" --no-same-owner "$name/Cargo.toml"
        refuse_to_compile "$work/crates/$name" "$1"
    else
        tar -xzf "$file" -C "$work/crates" --no-same-owner
    fi
    if [ "$checksum" = - ]; then
        printf '{"files":{}}' >"$work/crates/$name/.cargo-checksum.json"
    else
        printf '{"files":{},"package":"%s"}' "$checksum" >"$work/crates/$name/.cargo-checksum.json"
    fi
}


# One worker for each job, over every JOBS-th crate.
awk -F'\t' '$3 !~ /^git\+/ { print $1, $2, $4 }' "$work/packages" >"$work/list"
workers=()
for ((i = 0; i < ${JOBS:-1}; i++)); do
    (
        awk -v n="${JOBS:-1}" -v i="$i" 'NR % n == i' "$work/list" |
            while read -r name version checksum; do
                unpack_crate "$name" "$version" "$checksum"
            done
    ) &
    workers+=($!)
done
for worker in "${workers[@]}"; do
    wait "$worker"
done

{
    echo '# Written by kbuild: everything comes from folders.'
    echo '[source.crates-io]'
    echo 'replace-with = "crates"'
    echo '[source.crates]'
    printf 'directory = "%s"\n' "$work/crates"
} >"$config"
n=0
while read -r source; do
    n=$((n + 1))
    printf '[source."registry-%d"]\nregistry = "%s"\nreplace-with = "crates"\n' "$n" \
        "$(case $source in registry+*) echo "${source#registry+}" ;; *) echo "$source" ;; esac)"
done < <(awk -F'\t' '$3 !~ /^git\+/ && $3 !~ /crates\.io-index$/ { print $3 }' \
    "$work/packages" | LC_ALL=C sort -u) >>"$config"

# ---- git dependencies ----

# A text of a query string: %2F is a slash.
decode() {
    local text=${1//+/ }
    printf '%b' "${text//%/\\x}"
}

# Folders in a tree that hold the package of this name, the shallowest first.
find_package() { # tree, name
    find "$1" -name Cargo.toml -type f | awk '{ print gsub("/", "/"), $0 }' | LC_ALL=C sort -n | cut -d' ' -f2- |
        while read -r manifest; do
            if awk -v name="$2" '/^\[/ { package = $0 ~ /^\[package\]/ }
                package && /^name *= */ { sub(/^name *= *["'\'']/, ""); sub(/["'\''].*/, ""); found = $0 == name }
                END { exit !found }' "$manifest"; then
                dirname "$manifest"
            fi
        done
}

# Cargo looks for the workspace that a manifest inherits from in the folders above it. Behind a link there is
# none, so the manifest names it.
name_workspace() { # folder of the package, tree
    local folder=$1
    if awk '/^\[/ { package = $0 ~ /^\[package\]/ } /^\[workspace[].]/ || package && /^workspace *=/ { found = 1 }
        END { exit !found }' "$folder/Cargo.toml"; then
        return
    fi
    while [ "$folder" != "$2" ]; do
        folder=$(dirname "$folder")
        if grep -Eqs '^\[workspace(\]|\.)' "$folder/Cargo.toml"; then
            sed -i "0,/^\[package\]/s|^\[package\].*|&\nworkspace = \"$folder\"|" "$1/Cargo.toml"
            return
        fi
    done
}

is_stub() { # name, version
    awk -v name="$1" -v version="$2" '{ sub(/#.*/, "") } $1 == name || $1 == name "@" version { found = 1 } END { exit !found }' "$stubs"
}

# A manifest for a package of which there is nothing: name, version, and the dependencies that the lock lists.
write_stub() { # folder, name, version
    mkdir -p "$1"
    awk -F'\t' -v name="$2" -v version="$3" -v stubs="$stubs" -f "$here/stub.awk" "$work/packages" >"$1/Cargo.toml"
    refuse_to_compile "$1" "$2"
    printf '{"files":{}}' >"$1/.cargo-checksum.json"
}

link_package() { # folder of links, tree, name, version
    local found other
    mapfile -t found < <(find_package "$2" "$3")
    [ ${#found[@]} -gt 0 ] ||
        cargo_die "${2##*/} holds no package $3; it may lie in a submodule, which is not fetched" \
            "if $3 is never compiled for this target, name it in the recipe's list of stubs"
    for other in "${found[@]:1}"; do
        echo "note: $3 is also in ${other#"$work/git/"}; ${found[0]#"$work/git/"} counts" >&2
    done
    name_workspace "${found[0]}" "$2"
    printf '{"files":{}}' >"${found[0]}/.cargo-checksum.json"
    ln -s "${found[0]}" "$1/$3"
}

n=0
while read -r source; do
    n=$((n + 1))
    links=$work/dir-$n
    mkdir "$links"
    address=${source#git+}
    commit=${address##*#}
    address=${address%#*}
    query=
    case $address in
        *\?*)
            query=${address#*\?}
            address=${address%%\?*}
            ;;
    esac
    repository=${address%/}
    repository=${repository##*/}
    repository=${repository%.git}
    name=git-${repository//[^A-Za-z0-9._-]/-}-${commit:0:12}
    while IFS=$'\t' read -r package version; do
        if is_stub "$package" "$version"; then
            write_stub "$links/$package" "$package" "$version"
            continue
        fi
        [ -d "$crates/$name" ] || cargo_die "there is no $name in $crates: is the list of another lock?"
        if [ ! -d "$work/git/$name" ]; then
            cp -R "$crates/$name" "$work/git/$name"
            chmod -R u+w "$work/git/$name"
        fi
        link_package "$links" "$work/git/$name" "$package" "$version"
    done < <(awk -F'\t' -v source="$source" '$3 == source { print $1 "\t" $2 }' "$work/packages")
    {
        printf '[source."git-%d"]\ngit = "%s"\n' "$n" "$address"
        case $query in
            rev=* | tag=* | branch=*) printf '%s = "%s"\n' "${query%%=*}" "$(decode "${query#*=}")" ;;
            '') ;;
            *) cargo_die "$source: this is neither a revision, a tag nor a branch" ;;
        esac
        printf 'replace-with = "dir-%d"\n[source."dir-%d"]\ndirectory = "%s"\n' "$n" "$n" "$links"
    } >>"$config"
done < <(awk -F'\t' '$3 ~ /^git\+/ { print $3 }' "$work/packages" | LC_ALL=C sort -u)
