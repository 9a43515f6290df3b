# SPDX-License-Identifier: Apache-2.0
# Behind gomod.awk, over a go.mod and its go.sum: "MODULE VERSION mod|zip" for each file. Where the graph is pruned the .zip of a
# version that go.mod does not select is never opened.
NF == 0 { next }
NF != 3 || $3 !~ /^h1:[A-Za-z0-9+\/]+=$/ { bad("this is no line of a go.sum") }
{
    version = $2
    kind = sub(/\/go\.mod$/, "", version) ? "mod" : "zip"
    if ($1 !~ /^[A-Za-z0-9._~-]+(\/[A-Za-z0-9._~-]+)*$/ || $1 ~ /(^|\/)\.\.?(\/|$)/ ||
        version !~ /^v[0-9][A-Za-z0-9.+-]*$/) bad("this names no module")
    if (kind == "mod" || !pruned || ($1 " " version) in selected)
        if (!seen[$1 " " version " " kind]++) print $1, version, kind
}
