#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Does a QEMU have the devices and objects that Kata's runtime uses?
#   required.sh wanted SOURCE LIST            prints what of LIST (required-<arch>.txt) this source
#                                             must have; fails if it does not even name one of them
#   required.sh in-program PROGRAM WANTED     asks the program itself
#   required.sh in-objects BUILD PROGRAM WANTED
#                                             looks into the objects that ninja linked to PROGRAM,
#                                             where it cannot be run on this machine
# LIST and WANTED hold lines "device NAME" and "object NAME". In LIST a third word is a file of the
# source: only a source where that file has the name must have it.
set -eu

# The file has the name as a word, in which - counts as a letter.
names() { # FILE NAME
    grep -Eq "(^|[^A-Za-z0-9_-])$2([^A-Za-z0-9_-]|\$)" "$1" 2>/dev/null
}

lines() { # FILE: without comments and empty lines
    sed 's/#.*//; /^[[:space:]]*$/d' "$1"
}

# All that C sources give as a name, one a line.
quoted() { # FOLDER...
    find "$@" -name '*.[ch]' -print0 | sort -z | xargs -0 cat |
        grep -oE '"[A-Za-z0-9_-]+"' | tr -d '"' | sort -u
}

report() { # WHAT, names on standard input
    local missing
    missing=$(tr '\n' ' ' | sed 's/ $//')
    [ -z "$missing" ] || { echo "error: $1: $missing" >&2; return 1; }
}

wanted() { # SOURCE LIST
    local source=$1 kind name file absent=''
    while read -r kind name file; do
        if [ -z "$file" ] || names "$source/$file" "$name"; then
            echo "$kind $name"
        else
            absent="$absent $name"
        fi
    done < <(lines "$2") >wanted.$$
    [ -z "$absent" ] ||
        echo "note: QEMU $(cat "$source/VERSION") does not have, and so is built without:$absent" >&2
    folders=()
    for folder in backends chardev crypto hw include net target; do
        [ ! -d "$source/$folder" ] || folders+=("$source/$folder")
    done
    quoted "${folders[@]}" >quoted.$$
    cut -d' ' -f2 wanted.$$ | sort -u | comm -23 - quoted.$$ |
        report "$source is no QEMU that Kata can use: it does not know" || { rm -f ./*.$$; exit 1; }
    cat wanted.$$
    rm -f wanted.$$ quoted.$$
}

# What is missing is in neither list of the program.
in_program() { # PROGRAM WANTED
    local kind
    for kind in device object; do
        # name "virtio-blk-pci", bus PCI ...   |   memory-backend-ram
        "$1" -machine none "-$kind" help | sed 's/^name "\([^"]*\)".*/\1/; s/^ *//; s/ *$//' |
            sort -u >"have.$$"
        lines "$2" | sed -n "s/^$kind //p" | sort -u | comm -23 - "have.$$" |
            report "$1 lacks these ${kind}s" || { rm -f "have.$$"; return 1; }
        echo "$(basename "$1") has every needed $kind: $(lines "$2" | grep -c "^$kind ")"
    done
    rm -f "have.$$"
}

# The objects and archives of a program, and the objects that thin archives only name. Libraries of the
# distribution, at absolute paths, hold no devices.
linked() { # BUILD PROGRAM
    local file member
    ninja -C "$1" -t query "$2" | sed -n '/^  input:/,/^  outputs:/s/^    |* *//p' |
        while read -r file; do
            case $file in
                /*) ;;
                *.o) echo "$1/$file" ;;
                *.fa | *.a)
                    echo "$1/$file"
                    ar t "$1/$file" | while read -r member; do
                        [ ! -f "$1/${member#"$1"/}" ] || echo "$1/${member#"$1"/}"
                    done
                    ;;
            esac
        done
}

# A type's name is in the object that registers it. Tables of other types' names do not count: those
# of old machines' properties, of aliases, of default devices, and what is generated from the schema,
# which names every object that any architecture has.
in_objects() { # BUILD PROGRAM WANTED
    linked "$1" "$2" | grep -Ev '(hw_core_machine|qdev-monitor|softmmu_vl|system_vl)\.c\.o$|_qapi_qapi-' |
        xargs strings -a | sort -u >"have.$$"
    lines "$3" | cut -d' ' -f2 | sort -u | comm -23 - "have.$$" |
        report "$2 lacks these devices or objects" || { rm -f "have.$$"; return 1; }
    echo "$2 is linked from objects with every needed device and object: $(lines "$3" | wc -l)"
    rm -f "have.$$"
}

command=$1
shift
case $command in
    wanted) wanted "$@" ;;
    in-program) in_program "$@" ;;
    in-objects) in_objects "$@" ;;
    *) echo "required.sh: unknown command '$command'" >&2; exit 2 ;;
esac
