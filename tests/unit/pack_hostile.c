// SPDX-License-Identifier: Apache-2.0
// Hostile archives through everything that reads one: listing, unpacking, merging. Each gives one
// clear error that names the archive, and leaves nothing.
#include "test.h"

#include "pack_help.h"

static const char *const makers[] = {
    // what is in the message | a shell script that makes in.tar
    "contains \"..\"|python3 -c 'import tarfile; t=tarfile.open(\"in.tar\",\"w\"); "
    "t.addfile(tarfile.TarInfo(\"a/../../x\"))'",
    "is absolute|python3 -c 'import tarfile; t=tarfile.open(\"in.tar\",\"w\"); "
    "i=tarfile.TarInfo(\"x\"); i.name=\"/etc/x\"; t.addfile(i)'",
    "in.tar|python3 -c 'import tarfile; t=tarfile.open(\"in.tar\",\"w\"); "
    "i=tarfile.TarInfo(\"h\"); i.type=tarfile.LNKTYPE; i.linkname=\"nowhere\"; t.addfile(i)'",
    "in.tar|python3 -c 'import tarfile; t=tarfile.open(\"in.tar\",\"w\"); "
    "l=tarfile.TarInfo(\"l\"); l.type=tarfile.SYMTYPE; l.linkname=\"d\"; t.addfile(l); "
    "d=tarfile.TarInfo(\"d\"); d.type=tarfile.DIRTYPE; t.addfile(d); "
    "t.addfile(tarfile.TarInfo(\"l/x\"))'",
    // a size that lies: more than there is
    "in.tar|python3 -c 'import tarfile; i=tarfile.TarInfo(\"x\"); i.size=1<<30; "
    "open(\"in.tar\",\"wb\").write(i.tobuf()+b\"x\"*512)'",
    "in.tar|python3 -c 'import tarfile; "
    "t=tarfile.open(\"in.tar\",\"w\",format=tarfile.PAX_FORMAT); "
    "t.addfile(tarfile.TarInfo(\"n\"*65536))'",
    "newline|python3 -c 'import tarfile; t=tarfile.open(\"in.tar\",\"w\"); "
    "t.addfile(tarfile.TarInfo(\"a\\nb\"))'",
    "device node|python3 -c 'import tarfile; t=tarfile.open(\"in.tar\",\"w\"); "
    "i=tarfile.TarInfo(\"n\"); i.type=tarfile.CHRTYPE; t.addfile(i)'",
    // the second stream would be hidden from most readers
    "continues after the end|mkdir -p t; echo x >t/x; tar -C t -cJf one.xz .; cat one.xz one.xz "
    ">in.tar",
    "in.tar|mkdir -p t; echo x >t/x; tar -C t -cJf one.xz .; head -c -20 one.xz >in.tar",
};

static int run(const char *script)
{
    char *const argv[] = {(char *)"sh", (char *)"-euc", (char *)script, NULL};
    struct process p = {.argv = argv, .directory = scratch, .input = -1};
    struct error *err = NULL;
    int result = process_run(&p, NULL, &err);
    if (err)
        print_message("%s\n", err->message);
    error_free(err);
    return result;
}

static int merge_it(const char *name, struct error **err)
{
    const struct merge_options o = {.version = "x", .prefix = "opt/kata", .scratch = scratch};
    cleanup_strlist struct strlist paths = {0};
    strlist_add(&paths, at("%s", name));
    cleanup_close int fd = create(at("merged"));
    return merge_archives(&paths, fd, &o, err);
}

ALL_TESTS(make_scratch, drop_scratch)

TEST(each_is_an_error_for_merging_and_unpacking)
{
    for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
        const char *script = strchr(makers[i], '|') + 1;
        cleanup_free char *why = xstrndup(makers[i], (size_t)(script - makers[i] - 1));
        struct error *err = NULL;
        assert_int_equal(run(script), 0);
        expect_error(merge_it("in.tar", &err), err, why);
        // Unpacking hits the same, or the link that a merge refuses for what lies behind it.
        err = NULL;
        int result = unpack_new(at("in.tar"), at("new"), &err);
        if (result == 0)
            fail_msg("unpacked: %s", script);
        assert_non_null(strstr(err->message, "in.tar"));
        error_free(err);
        assert_false(path_exists(at("new")));
    }
}

// Names that are no text are bytes like others.
TEST(names_that_are_no_utf8_survive)
{
    struct error *err = NULL;
    assert_int_equal(run("rm -rf t; mkdir -p t/opt; printf x >\"t/opt/$(printf '\\351\\377')\"; "
                         "tar -C t -cf in.tar ."),
                     0);
    no_error(merge_it("in.tar", &err), err);
    assert_int_equal(run("rm -rf o; mkdir o; tar -C o -xJf merged; rm -r o/opt/kata; diff -r t o"),
                     0);
}

TEST(a_sparse_file_keeps_its_content)
{
    struct error *err = NULL;
    assert_int_equal(
        run("rm -rf t; mkdir t; truncate -s 5M t/x; printf end >>t/x; tar -C t -S -cf in.tar ."),
        0);
    no_error(merge_it("in.tar", &err), err);
    assert_int_equal(run("rm -rf o; mkdir o; tar -C o -xJf merged; cmp t/x o/x"), 0);
}

TEST(many_members_take_their_time_and_no_more)
{
    struct error *err = NULL;
    assert_int_equal(run("python3 -c 'import tarfile\n"
                         "t = tarfile.open(\"in.tar\", \"w\")\n"
                         "i = tarfile.TarInfo()\n"
                         "for n in range(100000):\n"
                         "    i.name = \"d%d/%d\" % (n % 100, n)\n"
                         "    t.addfile(i)\n"
                         "t.close()'"),
                     0);
    no_error(merge_it("in.tar", &err), err);
    assert_int_equal(run("[ \"$(tar -tJf merged | grep -vc '/$')\" -eq 100001 ]"), 0);
}
