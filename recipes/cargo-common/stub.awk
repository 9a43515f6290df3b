# SPDX-License-Identifier: Apache-2.0
# Writes the manifest of a package that is in a lock and never compiled, of which there is nothing else.
# Reads what lock.awk printed; -v name, version, stubs: the list of stubs, whose line for this package may
# name features that others ask for (FEATURE), and features that it asks of a dependency (DEPENDENCY/FEATURE).
# Its dependencies have to be those of the lock, and what they need for a feature as well, or cargo would want
# to write another lock.
BEGIN {
    while ((getline line <stubs) > 0) {
        sub(/#.*/, "", line)
        n = split(line, word, /[ \t]+/)
        if (word[1] == name || word[1] == name "@" version)
            for (i = 2; i <= n; i++)
                if (split(word[i], part, "/") == 2)
                    asked[part[1]] = asked[part[1]] "\"" part[2] "\", "
                else if (word[i] != "")
                    feature[word[i]] = 1
    }
}
{
    count[$1]++
    version_of[$1] = $2
    source_of[$1, $2] = source_of[$1] = $3
}
$1 == name && $2 == version { needs = $5 }

function place(source,    text, query) {
    if (source !~ /^git\+/)
        return ""
    text = source
    sub(/^git\+/, "", text)
    sub(/#.*/, "", text)
    query = text
    if (!sub(/^[^?]*\?/, "", query))
        query = ""
    sub(/\?.*/, "", text)
    text = "\ngit = \"" text "\""
    if (query != "") {
        sub(/=/, " = \"", query)
        text = text "\n" query "\""
    }
    return text
}

END {
    print "[package]"
    printf "name = \"%s\"\nversion = \"%s\"\nedition = \"2018\"\n", name, version
    print "[lib]\npath = \"src/lib.rs\"\n[features]"
    for (item in feature)
        print item " = []"
    n = split(needs, need, "|")
    for (i = 1; i <= n; i++) {
        split(need[i], word, " ")
        wanted = word[2] == "" ? version_of[word[1]] : word[2]
        source = word[2] == "" ? source_of[word[1]] : source_of[word[1], word[2]]
        sub(/\+.*/, "", wanted)
        # A key of its own for each: one package may be there in two versions.
        printf "[dependencies.d%d]\npackage = \"%s\"\nversion = \"=%s\"%s\n", i, word[1], wanted, place(source)
        if (word[1] in asked)
            print "features = [" asked[word[1]] "]"
    }
}
