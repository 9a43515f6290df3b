# SPDX-License-Identifier: Apache-2.0
# What `configure --help` says, then the file `switches` -> the switches for one architecture.
# Variables: arch; last: features to enable after all else. What the source does not know goes to
# standard error.
function know(feature) { known[feature] = 1 }

FNR == NR && /^  --(enable|disable)-[a-z0-9]/ {
    sub(/^  --(enable|disable)-/, "")
    sub(/[^a-z0-9-].*/, "")
    know($0)
    next
}
FNR == NR && /^Optional features/ { features = 1; next }
FNR == NR && /^NOTE/ { features = 0 }
FNR == NR && features && /^  [a-z0-9][a-z0-9-]*( |$)/ { know($1); next }
FNR == NR { next }

{ sub(/#.*/, "") }
NF < 3 { next }
("," $1 ",") ~ ("," arch ",") || $1 == "all" {
    for (i = 3; i <= NF; i++)
        want($i, $2)
}

function want(feature, how) {
    if (!(feature in wanted))
        order[++count] = feature
    wanted[feature] = how
}

END {
    n = split(last, more, " ")
    for (i = 1; i <= n; i++)
        want(more[i], "enable")
    for (i = 1; i <= count; i++) {
        feature = order[i]
        if (feature in known)
            print "--" wanted[feature] "-" feature
        else
            unknown[wanted[feature]] = unknown[wanted[feature]] " " feature
    }
    for (how in unknown)
        print "note: this QEMU has no switch to " how ":" unknown[how] | "sort >&2"
}
