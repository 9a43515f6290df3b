# SPDX-License-Identifier: Apache-2.0
# Reads a go.mod, the first file on the command line (Go Modules Reference, "go.mod files"); a line that is not understood is
# an error. Alone it answers -v ask=needs (how many modules it needs that are no folders of the same tree) or ask=go (the
# version of its line `go`); before gosum.awk it leaves selected["MODULE VERSION"], and whether the module graph is pruned:
# from go 1.17 on go.mod names every module that a build reads ("Module graph pruning").
function bad(text) {
    print FILENAME ":" FNR ": " text >"/dev/stderr"
    failed = 1
    exit 1
}

# Texts may be in quotes.
function plain(text) {
    if (text ~ /^"[^"\\]*"$/ || text ~ /^`[^`]*`$/) return substr(text, 2, length(text) - 2)
    if (text ~ /["`]/) bad("the quotes in it are not understood")
    return text
}

# One entry: its words are word[first] to word[count].
function entry(verb, first,    path, left) {
    left = count - first + 1
    if (verb == "go" && left == 1 && word[first] ~ /^[0-9]+(\.[0-9]+)*([a-z]+[0-9]+)?$/) {
        go = word[first]
        split(go, part, ".")
        pruned = part[1] + 0 > 1 || part[2] + 0 >= 17
    } else if (verb == "require" && left == 2) {
        required[++requires] = word[first] " " word[first + 1]
        selected[word[first] " " word[first + 1]] = 1
    } else if (verb == "replace" && (word[first + 1] == "=>" || word[first + 2] == "=>")) {
        path = word[first + 1] == "=>" ? word[first] : word[first] " " word[first + 1]
        left -= word[first + 1] == "=>" ? 2 : 3
        if (left == 2)
            selected[word[count - 1] " " word[count]] = 1
        else if (left == 1 && word[count] ~ /^\.?\.?\//)
            folder[path] = 1
        else
            bad("this is no line of a go.mod")
    } else if (!(verb ~ /^(module|tool|ignore|toolchain|godebug)$/ && left == 1) && !(verb == "exclude" && left == 2) &&
        !(verb == "retract" && left >= 1))
        bad("this is no line of a go.mod")
}

FILENAME == ARGV[1] {
    sub(/\r$/, "")
    sub(/\/\/.*/, "")
    gsub(/[(]/, " ( ")
    gsub(/[)]/, " ) ")
    count = split($0, word, " ")
    for (i = 1; i <= count; i++) word[i] = plain(word[i])
    if (!count) next
    if (block != "" && count == 1 && word[1] == ")") block = ""
    else if (block != "") entry(block, 1)
    else if (count == 2 && word[2] == "(" && word[1] != "go" && word[1] != "toolchain") block = word[1]
    else entry(word[1], 2)
    next
}

END {
    if (failed) exit 1
    if (ask == "go") print go
    if (ask != "needs") exit
    for (i = 1; i <= requires; i++) {
        split(required[i], word, " ")
        needs += !((required[i] in folder) || (word[1] in folder))
    }
    print needs + 0
}
