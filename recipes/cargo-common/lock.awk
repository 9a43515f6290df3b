# SPDX-License-Identifier: Apache-2.0
# Reads a Cargo.lock and prints one line for each package that has a source, fields separated by tabs:
#   name version source checksum dependencies
# A checksum that the lock does not have is "-"; dependencies are as the lock writes them, separated by
# "|". Versions 1 to 4 of the format are known (cargo's documentation says: cargo wrote them since 2015,
# 1.41, 1.53 and 1.78). Only the shape that cargo itself writes is taken: anything else is an error.

function fail(text) {
    printf "%s:%d: %s\n", FILENAME, FNR, text >"/dev/stderr"
    failed = 1
    exit 1
}

# name = "value"
function quoted(line,    text) {
    text = line
    sub(/^[a-z-]+ = "/, "", text)
    if (text == line || text !~ /"$/)
        fail("a text in quotes was expected: " line)
    text = substr(text, 1, length(text) - 1)
    if (text ~ /["\\\t]/ || text == "")
        fail("this cannot be a value in a lock: " line)
    return text
}

function is_hex(text, n) {
    return length(text) == n && text !~ /[^0-9a-f]/
}

function finish() {
    if (!in_package)
        return
    in_package = 0
    if (name == "" || version == "")
        fail("a package before this line has no name or no version")
    if (name !~ /^[A-Za-z0-9_][A-Za-z0-9_-]*$/ || length(name) > 100)
        fail("'" name "' cannot be the name of a package")
    if (version !~ /^[0-9][0-9A-Za-z.+-]*$/ || length(version) > 100)
        fail("'" version "' cannot be the version of " name)
    packages++
    if (source == "") # of the workspace itself
        return
    check_source()
    n++
    names[n] = name
    versions[n] = version
    sources[n] = source
    checksums[n] = checksum
    needs[n] = dependencies
}

function check_source(    kind, commit) {
    if (source ~ /[[:space:]<>|'`$;]/ || length(source) > 1000)
        fail("'" source "' cannot be the source of " name)
    kind = source
    sub(/\+.*/, "", kind)
    if (kind != "registry" && kind != "sparse" && kind != "git")
        fail(name " " version " comes from '" source "', which is neither a registry nor git")
    if (source !~ /^[a-z]+\+(https?|ssh|git):\/\/[A-Za-z0-9[]/ && source !~ /^[a-z]+\+file:\/\/\/[A-Za-z0-9._-]/)
        fail(name " " version ": no address that can be fetched: " source)
    commit = source
    if (kind == "git" && (sub(/^[^#]*#/, "", commit) != 1 || !(is_hex(commit, 40) || is_hex(commit, 64))))
        fail(name " " version " comes from git, but its commit is not named: " source)
    if (checksum != "" && !is_hex(checksum, 64))
        fail("the checksum of " name " " version " is not 64 hexadecimal digits")
}

{ sub(/\r$/, "") }
/^(<<<<<<<|=======|>>>>>>>)/ { fail("the lock holds an unfinished merge") }
/^version = [0-9]+$/ && !in_package {
    if ($3 + 0 > 4)
        fail("this is version " $3 " of the format; known are 1 to 4")
    next
}
/^\[\[package\]\]$/ {
    finish()
    in_package = 1
    name = version = source = checksum = dependencies = ""
    next
}
/^\[/ {
    finish()
    in_metadata = $0 == "[metadata]"
    next
}
# version 1: "checksum NAME VERSION (SOURCE)" = "HEX"
in_metadata && /^"checksum / {
    text = $0
    if (sub(/^"checksum /, "", text) && split(text, field, /" = "/) == 2) {
        sub(/"$/, "", field[2])
        if (is_hex(field[2], 64))
            listed[field[1]] = field[2]
        else if (field[2] != "<none>")
            fail("no checksum of 64 hexadecimal digits: " $0)
    }
    next
}
!in_package { next }
/^name = / { name = quoted($0); next }
/^version = / { version = quoted($0); next }
/^source = / { source = quoted($0); next }
/^checksum = / { checksum = quoted($0); next }
/^dependencies = \[\]?$/ { in_list = $0 !~ /\]$/; next }
in_list && /^\]$/ { in_list = 0; next }
in_list {
    text = $0
    if (!sub(/^ "/, "", text) || !sub(/",?$/, "", text) || text ~ /["\\|\t]/)
        fail("this is not a dependency: " $0)
    dependencies = dependencies (dependencies == "" ? "" : "|") text
    next
}
/^replace = / || /^$/ || /^#/ { next }
{ fail("cargo writes no such line into a lock: " substr($0, 1, 80)) }

END {
    if (failed)
        exit 1
    finish()
    if (failed)
        exit 1
    if (!packages) {
        printf "%s: no package is in it, so this is not a Cargo.lock\n", FILENAME >"/dev/stderr"
        exit 1
    }
    for (i = 1; i <= n; i++) {
        key = names[i] " " versions[i] " (" sources[i] ")"
        if (checksums[i] == "" && key in listed)
            checksums[i] = listed[key]
        if (checksums[i] == "")
            checksums[i] = "-"
        printf "%s\t%s\t%s\t%s\t%s\n", names[i], versions[i], sources[i], checksums[i], needs[i]
    }
}
