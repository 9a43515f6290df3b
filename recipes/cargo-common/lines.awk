# SPDX-License-Identifier: Apache-2.0
# Prints the lines of list.sh. Reads, in this order: registries (source <tab> address template), the
# packages that are never compiled (one a line: NAME or NAME@VERSION, further words are features), and what lock.awk printed.
# -v usual: what the lock calls the registry that needs no name. Its crates are known by their package URLs,
# whichever mirror they come from; those of another registry by their address there.

# The file name of a crate in an index: "ab/cd" of "abcdef" (The Cargo Book, "Index Files").
function prefix_of(name,    n) {
    n = length(name)
    if (n <= 2)
        return n
    if (n == 3)
        return "3/" substr(name, 1, 1)
    return substr(name, 1, 2) "/" substr(name, 3, 2)
}

# Replaces a marker by a text that may hold characters with a meaning for sub().
function fill(text, marker, value,    at) {
    while ((at = index(text, marker)) > 0)
        text = substr(text, 1, at - 1) value substr(text, at + length(marker))
    return text
}

function address(template, name, version, checksum) {
    if (template !~ /\{(crate|version|prefix|lowerprefix|sha256-checksum)\}/)
        template = template "/{crate}/{version}/download"
    template = fill(template, "{crate}", name)
    template = fill(template, "{version}", version)
    template = fill(template, "{prefix}", prefix_of(name))
    template = fill(template, "{lowerprefix}", tolower(prefix_of(name)))
    return fill(template, "{sha256-checksum}", checksum)
}

# "git+URL?rev=..#COMMIT": sets url, commit and the folder's name.
function split_git(source,    base) {
    commit = url = source
    sub(/^.*#/, "", commit)
    sub(/^git\+/, "", url)
    sub(/[?#].*$/, "", url)
    base = url
    sub(/\/+$/, "", base)
    sub(/^.*\//, "", base)
    sub(/\.git$/, "", base)
    gsub(/[^A-Za-z0-9._-]/, "-", base)
    folder = "git-" base "-" substr(commit, 1, 12)
}

FILENAME == ARGV[1] { templates[$1] = $2; next }
FILENAME == ARGV[2] {
    sub(/#.*/, "")
    if (split($0, word, /[ \t]+/) && word[1] != "")
        stub[word[1]] = 1
    next
}
$3 ~ /^git\+/ {
    if ($1 in stub || ($1 "@" $2) in stub)
        next
    split_git($3)
    if (!(folder in printed))
        out[++n] = "git " url " commit=" commit " " folder
    printed[folder] = 1
    next
}
{
    archive = $1 "-" $2 ".crate"
    if (archive in printed) {
        printf "%s: %s %s is there from two registries\n", lock, $1, $2 >"/dev/stderr"
        failed = 1
        exit 1
    }
    printed[archive] = 1
    version = $2
    gsub(/\+/, "%2B", version)
    package = "pkg:cargo/" $1 "@" version
    where = address(templates[$3], $1, $2, $4)
    if ($3 == usual)
        where = package " " where
    digest = $4 == "-" ? "" : " sha256=" $4
    out[++n] = ($4 == "-" ? "file " : "archive ") where digest " purl=" package " " archive
}

END {
    if (failed)
        exit 1
    for (i = 1; i <= n; i++)
        print out[i]
}
