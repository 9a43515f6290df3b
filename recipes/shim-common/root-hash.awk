# SPDX-License-Identifier: Apache-2.0
# Reads a root hash file: veritysetup's own output, or one line of NAME=VALUE with commas between them. Prints what the runtime's
# Makefile wants: with form=arguments (releases before 3.27.0) the kernel's arguments for the initramfs that opens the
# disk, which needs a superblock there; with form=parameters that one line, of a disk without a superblock. The file
# of the other kind is of a disk that the runtime could not start.
function take(name, value) {
    gsub(/[[:space:]]/, "", value)
    if (value !~ /^[0-9a-f]+$/) fail(name " is '" value "'")
    got[name] = value
}
function fail(text) {
    print "root-hash.awk: " FILENAME ": " text >"/dev/stderr"
    failed = 1
    exit 1
}
/^root_hash=/ {
    for (i = split($0, pair, ","); i > 0; i--)
        take(substr(pair[i], 1, index(pair[i], "=") - 1), substr(pair[i], index(pair[i], "=") + 1))
    kind = "line"
}
/^Root hash:/ {
    take("root_hash", substr($0, index($0, ":") + 1))
    kind = "veritysetup"
}
END {
    if (failed) exit 1
    if (kind == "") fail("there is no root hash in it")
    wanted = form == "arguments" ? "veritysetup" : "line"
    if (kind != wanted)
        fail("this release of the runtime starts a disk with a root hash of the other form: ROOT_HASH_FORMAT=" wanted)
    if (form == "arguments") {
        print "rootfs_verity.scheme=dm-verity rootfs_verity.hash=" got["root_hash"]
        exit
    }
    count = split("root_hash salt data_blocks data_block_size hash_block_size", order, " ")
    for (i = 1; i <= count; i++) {
        if (got[order[i]] == "") fail("there is no " order[i] " in it")
        line = line (i > 1 ? "," : "") order[i] "=" got[order[i]]
    }
    print line
}
