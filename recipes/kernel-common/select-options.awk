# SPDX-License-Identifier: Apache-2.0
# Reads config fragments and prints the lines that hold for one kernel version and architecture,
# each followed by the file and line it comes from and by its alternative, separated by tabs:
#     CONFIG_FOO=y <TAB> common/base.conf:12 <TAB> CONFIG_BAR=y
# Needs: -v version=6.1.62 -v architecture=s390 (the kernel's name of it), fragments as arguments.
#
# A fragment holds lines as in a .config ("CONFIG_FOO=y", "# CONFIG_FOO is not set") and comments.
#   CONFIG_FOO=y # <=6.11            only for kernels up to 6.11 (any 6.11.x)
#   CONFIG_FOO=y # >=6.12            only from 6.12 on
#   CONFIG_FOO=y # 6.4..6.11         from 6.4 to 6.11, both included
#   CONFIG_FOO=y # or CONFIG_BAR=y   one of the two must be there: for an option that was renamed,
#                                    which stable kernels take over within a series
#   CONFIG_FOO=y # >=6.12; why       a reason may follow
#   # architectures: x86_64 arm64    the whole file is for these only
# Anything else, and two values for one option, is an error.

function fail(message) {
    printf "%s:%d: %s\n", FILENAME, FNR, message > "/dev/stderr"
    failed = 1
}

# "6.12" and "6.12.3" -> 6012: only the series counts
function series(text,    part) {
    split(text, part, ".")
    return part[1] * 1000 + part[2]
}

function holds(condition,    ends) {
    alternative = ""
    sub(/[ \t]*(;.*)?$/, "", condition)
    if (condition ~ /^or CONFIG_[A-Za-z0-9_]+=[^ \t]+$/) {
        alternative = substr(condition, 4)
        return 1
    }
    gsub(/[ \t]/, "", condition)
    if (condition ~ /^>=[0-9]+\.[0-9]+$/)
        return wanted >= series(substr(condition, 3))
    if (condition ~ /^<=[0-9]+\.[0-9]+$/)
        return wanted <= series(substr(condition, 3))
    if (condition ~ /^[0-9]+\.[0-9]+\.\.[0-9]+\.[0-9]+$/) {
        split(condition, ends, /\.\./)
        return wanted >= series(ends[1]) && wanted <= series(ends[2])
    }
    fail("'" condition "' is no condition (try >=6.12, <=6.11, 6.4..6.11 or 'or CONFIG_FOO=y')")
    return 0
}

function choose(name, line,    place) { # and the alternative that holds() found
    place = FILENAME
    sub(/.*\/configs\//, "", place)
    place = place ":" FNR
    if (name in chosen && chosen[name] != line)
        fail(name " has another value at " origin[name])
    else if (!(name in chosen))
        printf "%s\t%s\t%s\n", line, place, alternative
    chosen[name] = line
    origin[name] = place
}

BEGIN { wanted = series(version) }

FNR == 1 { skip = 0 }

/^# architectures: / {
    skip = index(substr($0, 17) " ", " " architecture " ") == 0
    next
}

skip { next }

/^# CONFIG_[A-Za-z0-9_]+ is not set/ {
    condition = $0
    alternative = ""
    sub(/^# CONFIG_[A-Za-z0-9_]+ is not set[ \t]*/, "", condition)
    if (condition == "" || holds(substr(condition, 2)))
        choose($2, "# " $2 " is not set")
    next
}

/^[ \t]*(#|$)/ { next }

/^CONFIG_[A-Za-z0-9_]+=/ {
    line = $0
    condition = alternative = ""
    if (match(line, /[ \t]+# /)) {
        condition = substr(line, RSTART + RLENGTH)
        line = substr(line, 1, RSTART - 1)
    }
    sub(/[ \t]+$/, "", line)
    if (condition == "" || holds(condition))
        choose(substr(line, 1, index(line, "=") - 1), line)
    next
}

{ fail("neither an option nor a comment: " $0) }

END { exit failed }
