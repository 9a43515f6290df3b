# SPDX-License-Identifier: Apache-2.0
# Reads a root hash file: veritysetup's own output (releases before 3.27.0), or one line of NAME=VALUE with commas
# between them. Prints what the runtime's Makefile wants: with form=arguments the kernel's arguments for the initramfs
# that opens the disk, with form=parameters that one line.
function take(name, value) {
    gsub(/[[:space:]]/, "", value)
    if (name in known && value != "") {
        if (value !~ /^[0-9a-f]+$/) fail(name " is " value)
        got[name] = value
    }
}
function fail(text) {
    print "root-hash.awk: " FILENAME ": " text >"/dev/stderr"
    failed = 1
    exit 1
}
BEGIN {
    count = split("root_hash salt data_blocks data_block_size hash_block_size", order, " ")
    for (i = 1; i <= count; i++) known[order[i]]
}
/^root_hash=/ {
    for (i = split($0, pair, ","); i > 0; i--) take(substr(pair[i], 1, index(pair[i], "=") - 1), substr(pair[i], index(pair[i], "=") + 1))
    next
}
/^[A-Z][A-Za-z ]*:/ {
    name = tolower(substr($0, 1, index($0, ":") - 1))
    gsub(/ /, "_", name)
    value = substr($0, index($0, ":") + 1)
    sub(/\[.*/, "", value) # "4096 [bytes]"
    take(name, value)
}
END {
    if (failed) exit 1
    if (got["root_hash"] == "") fail("there is no root hash in it")
    if (form == "arguments") {
        print "rootfs_verity.scheme=dm-verity rootfs_verity.hash=" got["root_hash"]
        exit
    }
    for (i = 1; i <= count; i++) {
        if (got[order[i]] == "") fail("there is no " order[i] " in it")
        line = line (i > 1 ? "," : "") order[i] "=" got[order[i]]
    }
    print line
}
