# SPDX-License-Identifier: Apache-2.0
# Checks that every option asked for is in the final configuration with the value asked for.
# Needs: two files, the output of select-options.awk and the final .config.
# Leaves: one line on stderr for each option that did not make it, and exit status 1 if there is one.

BEGIN { FS = "\t" }

# A name and its value; an option that is not set counts as "n".
function parse(line) {
    if (line ~ /^# CONFIG_[A-Za-z0-9_]+ is not set$/) {
        name = substr(line, 3, length(line) - 13)
        value = "n"
        return 1
    }
    if (line !~ /^CONFIG_[A-Za-z0-9_]+=/)
        return 0
    name = substr(line, 1, index(line, "=") - 1)
    value = substr(line, index(line, "=") + 1)
    return 1
}

FILENAME == ARGV[1] {
    if (parse($3)) {
        other = name
        want[name] = value
    } else {
        other = ""
    }
    if (parse($1)) {
        wanted[++count] = name
        want[name] = value
        place[name] = $2
        alternative[name] = other
    }
    next
}

parse($0) { got[name] = value }

function present(name) {
    return (name in got ? got[name] : "n") == want[name]
}

END {
    for (i = 1; i <= count; i++) {
        name = wanted[i]
        other = alternative[name]
        if (present(name) || (other != "" && present(other)))
            continue
        printf "%s: %s asks for %s, the kernel's configuration has %s\n", place[name],
            other == "" ? name : name " (or " other ")", want[name],
            name in got ? got[name] : "n (no such option here, or hidden)" > "/dev/stderr"
        missing++
    }
    if (missing) {
        printf "%d of %d options did not make it into the configuration\n", missing, count > "/dev/stderr"
        exit 1
    }
    printf "all %d options are in the configuration\n", count
}
