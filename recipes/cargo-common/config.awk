# SPDX-License-Identifier: Apache-2.0
# Reads cargo's configuration (TOML) and prints what takes the place of the usual registry, if anything does:
#   sparse URL     an index that is asked file by file
#   index URL      an index that is a git repository
#   folder PATH    a local registry: crates in a folder
#   other KIND     a replacement of another kind, whose crates are not files of a registry
# Tables, dotted keys and inline tables of one line are understood; other values are passed over.
# Rules: The Cargo Book, "Source Replacement" and "Configuration".

# Splits a dotted key into path[1..]; returns their number, 0 if it is none. A key may be quoted.
function split_key(text, path,    n, c, part, mark, i) {
    n = 0
    while (text != "") {
        sub(/^[ \t]+/, "", text)
        c = substr(text, 1, 1)
        if (c == "\"" || c == "'") {
            i = index(substr(text, 2), c)
            if (!i)
                return 0
            part = substr(text, 2, i - 1)
            text = substr(text, i + 2)
        } else {
            if (!match(text, /^[A-Za-z0-9_-]+/))
                return 0
            part = substr(text, 1, RLENGTH)
            text = substr(text, RLENGTH + 1)
        }
        path[++n] = part
        sub(/^[ \t]+/, "", text)
        if (text == "")
            return n
        if (substr(text, 1, 1) != ".")
            return 0
        text = substr(text, 2)
        if (text == "")
            return 0
    }
    return n
}

# The place of a character outside of quotes, or 0.
function outside(text, wanted,    i, c, mark) {
    for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        if (mark != "") {
            if (c == "\\" && mark == "\"")
                i++
            else if (c == mark)
                mark = ""
        } else if (c == wanted)
            return i
        else if (c == "\"" || c == "'")
            mark = c
    }
    return 0
}

function trim(text) {
    gsub(/^[ \t]+|[ \t]+$/, "", text)
    return text
}

# Notes prefix.key = value; an inline table key by key.
function assign(prefix, text,    at, key, value, n, path, i, full, rest) {
    at = outside(text, "=")
    if (!at)
        return
    key = trim(substr(text, 1, at - 1))
    value = trim(substr(text, at + 1))
    n = split_key(key, path)
    if (!n)
        return
    full = prefix
    for (i = 1; i <= n; i++)
        full = full SUBSEP path[i]
    if (value ~ /^\{.*\}$/) {
        rest = substr(value, 2, length(value) - 2)
        while ((at = outside(rest, ",")) > 0) {
            assign(full, substr(rest, 1, at - 1))
            rest = substr(rest, at + 1)
        }
        assign(full, rest)
    } else if (value ~ /^".*"$/ || value ~ /^'.*'$/) {
        value = substr(value, 2, length(value) - 2)
        if (value !~ /["\\]/)
            values[full] = value
    }
}

function at_source(name, key) {
    return values[SUBSEP "source" SUBSEP name SUBSEP key]
}

{ sub(/\r$/, "") }
{
    at = outside($0, "#")
    line = trim(at ? substr($0, 1, at - 1) : $0)
}
line ~ /^\[.*\]$/ {
    table = ""
    known = 0
    if (line !~ /^\[\[/) {
        known = n = split_key(trim(substr(line, 2, length(line) - 2)), path)
        for (i = 1; i <= n; i++)
            table = table SUBSEP path[i]
    }
    started = 1
    next
}
line != "" && (known || !started) { assign(table, line) }

END {
    name = at_source("crates-io", "replace-with")
    for (turn = 0; name != "" && turn < 10; turn++) {
        next_name = at_source(name, "replace-with")
        if (next_name == "")
            break
        name = next_name
    }
    if (name == "" || name == "crates-io")
        exit
    url = at_source(name, "registry")
    if (url == "")
        url = values[SUBSEP "registries" SUBSEP name SUBSEP "index"]
    if (url ~ /^sparse\+/)
        print "sparse " substr(url, 8)
    else if (url != "")
        print "index " url
    else if (at_source(name, "local-registry") != "")
        print "folder " at_source(name, "local-registry")
    else if (at_source(name, "directory") != "")
        print "other directory"
    else
        print "other " name
}
