// SPDX-License-Identifier: Apache-2.0
// genprotimg and pvimg: a script plays them, prints a version, and writes down how it was called.
#include "test.h"

#include "se_fixture.h"

static char *old_path;

static int begin(void **state)
{
    if (fixture_begin(state) < 0)
        return -1;
    struct fixture *f = *state;
    old_path = xstrdup(getenv("PATH"));
    cleanup_free char *path = xasprintf("%s/bin:%s", f->folder, old_path);
    cleanup_free char *bin = in_folder(f, "bin");
    setenv("PATH", path, 1);
    return make_directories(bin, 0755, NULL);
}

static int end(void **state)
{
    setenv("PATH", old_path, 1);
    free(old_path);
    return fixture_end(state);
}

static void put_program(const struct fixture *f, const char *name, const char *script)
{
    cleanup_free char *path = xasprintf("%s/bin/%s", f->folder, name);
    cleanup_error struct error *err = NULL;
    assert_good(file_write(path, script, strlen(script), 0755, &err));
}

static void remove_programs(const struct fixture *f)
{
    static const char *const names[] = {"genprotimg", "pvimg"};
    for (size_t i = 0; i < 2; i++) {
        cleanup_free char *path = xasprintf("%s/bin/%s", f->folder, names[i]);
        unlink(path);
    }
}

// A tool that writes its arguments to <folder>/called and some bytes to its output.
static void put_tool(const struct fixture *f, const char *name, const char *version)
{
    cleanup_free char *script = xasprintf("#!/bin/sh\n"
                                          "if [ \"$1\" = --version ]; then echo '%s'; exit; fi\n"
                                          "printf '%%s\\n' \"$@\" > '%s/called'\n"
                                          "for a; do case $a in --output=*)\n"
                                          "  [ -e \"${a#--output=}\" ] && exit 9\n"
                                          "  echo sealed > \"${a#--output=}\";; esac; done\n",
                                          version, f->folder);
    put_program(f, name, script);
}

ALL_TESTS(begin, end)

TEST(versions_are_understood)
{
    struct fixture *f = *state;
    static const struct {
        const char *name, *line;
        int major, minor, patch;
    } cases[] = {
        {"genprotimg", "genprotimg version 2.16.0-build-20210511", 2, 16, 0},
        {"genprotimg", "genprotimg: version 2.25.1", 2, 25, 1},
        {"genprotimg", "genprotimg version 3.0", 3, 0, 0},
        {"pvimg", "pvimg version 2.36.0 (compiled with OpenSSL 3.0.2)", 2, 36, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        struct external_sealer s;
        remove_programs(f);
        put_tool(f, cases[i].name, cases[i].line);
        assert_int_equal(external_sealer_find(&s, &err), 1);
        assert_int_equal(s.major, cases[i].major);
        assert_int_equal(s.minor, cases[i].minor);
        assert_int_equal(s.patch, cases[i].patch);
        assert_int_equal(s.pvimg, !strcmp(cases[i].name, "pvimg"));
        assert_true(ends_with(s.program, cases[i].name));
        external_sealer_free(&s);
    }
}

TEST(a_tool_that_tells_no_version_is_an_error)
{
    struct fixture *f = *state;
    cleanup_error struct error *err = NULL, *failed = NULL;
    struct external_sealer s;
    remove_programs(f);
    put_tool(f, "genprotimg", "hello");
    assert_int_equal(external_sealer_find(&s, &err), -1);
    assert_message(err, "printed no version number");
    assert_non_null(err->hint);
    put_program(f, "genprotimg", "#!/bin/sh\necho broken library >&2; exit 3\n");
    assert_int_equal(external_sealer_find(&s, &failed), -1);
    assert_message(failed, "broken library");
}

TEST(without_a_tool_none_is_found)
{
    struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *bin = in_folder(f, "bin"), *path = xstrdup(getenv("PATH"));
    struct external_sealer s;
    remove_programs(f);
    setenv("PATH", bin, 1);
    int found = external_sealer_find(&s, &err);
    setenv("PATH", path, 1);
    assert_int_equal(found, 0);
    assert_null(err);
}

// What the tool was called with, one argument a line, HERE being this folder: paths are absolute.
// The output lies in a folder with a random name; that line is left out.
static void called(const struct fixture *f, const char *version, const char *name, bool with_all,
                   struct buf *out)
{
    cleanup_error struct error *err = NULL;
    cleanup_free char *image = in_folder(f, "external.img"), *record = in_folder(f, "called");
    struct external_sealer s;
    struct se_input in = {.kernel = "/k ernel",
                          .initrd = with_all ? "/initrd" : NULL,
                          .hosts = f->hosts,
                          .host_count = with_all ? 2 : 1,
                          .pcf = SE_PCF_DEFAULT};
    remove_programs(f);
    put_tool(f, name, version);
    assert_int_equal(external_sealer_find(&s, &err), 1);
    cleanup_strlist struct strlist certificates = {0}, crls = {0};
    if (with_all) {
        strlist_split(&certificates, "signing.crt intermediate.crt", " ");
        strlist_add(&crls, "signing.crl");
    }
    assert_false(s.offline);
    s.offline = true; // which goes with certificates only
    assert_good(external_sealer_run(&s, &in, with_all ? "/parm'file" : NULL, image, &certificates,
                                    &crls, &err));
    external_sealer_free(&s);
    cleanup_buf struct buf content = {0}, text = {0};
    get_file(image, &content);
    assert_string_equal(content.data, "sealed\n");
    struct stat st;
    assert_int_equal(stat(image, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    get_file(record, &text);
    cleanup_strlist struct strlist lines = {0};
    strlist_split(&lines, text.data, "\n");
    cleanup_free char *here = path_absolute("");
    for (size_t i = 0; i < lines.n; i++) {
        const char *line = lines.items[i], *at = strstr(line, here);
        if (starts_with(line, "--output="))
            continue;
        if (at)
            buf_printf(out, "%.*sHERE/%s\n", (int)(at - line), line, at + strlen(here));
        else
            buf_printf(out, "%s\n", line);
    }
}

TEST(the_tools_are_called_as_their_manuals_say)
{
    struct fixture *f = *state;
    cleanup_buf struct buf old = {0}, current = {0}, newer = {0};
    called(f, "genprotimg version 2.16.0", "genprotimg", true, &old);
    assert_string_equal(old.data, "--host-key-document=HERE/HKD-known-1.crt\n"
                                  "--host-key-document=HERE/HKD-known-2.crt\n"
                                  "--image=/k ernel\n--ramdisk=/initrd\n--parmfile=/parm'file\n"
                                  "--cert=HERE/signing.crt\n--cert=HERE/intermediate.crt\n"
                                  "--crl=HERE/signing.crl\n--offline\n"
                                  "--x-pcf=0xe0\n");
    called(f, "genprotimg version 2.17.0", "genprotimg", false, &current);
    assert_string_equal(current.data, "--host-key-document=HERE/HKD-known-1.crt\n"
                                      "--image=/k ernel\n--no-verify\n");
    called(f, "pvimg version 2.36.0", "pvimg", false, &newer);
    assert_string_equal(newer.data, "create\n--host-key-document=HERE/HKD-known-1.crt\n"
                                    "--image=/k ernel\n--no-verify\n");
}

TEST(a_failing_tool_leaves_nothing_behind)
{
    struct fixture *f = *state;
    cleanup_free char *folder = in_folder(f, "out"), *image = in_folder(f, "out/se.img");
    static const struct {
        const char *script, *message;
    } cases[] = {
        {"#!/bin/sh\n[ \"$1\" = --version ] && echo version 2.20.0 && exit\n"
         "for a; do case $a in --output=*) echo half > \"${a#--output=}\";; esac; done\n"
         "echo no such key >&2; exit 1\n",
         "no such key"},
        {"#!/bin/sh\n[ \"$1\" = --version ] && echo version 2.20.0\nexit 0\n", "wrote no image"},
    };
    assert_int_equal(make_directories(folder, 0755, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        struct external_sealer s;
        struct se_input in = f->input;
        in.fixed = NULL;
        in.keys = (struct se_keys){0};
        in.stage3a = in.stage3b = NULL;
        remove_programs(f);
        put_program(f, "genprotimg", cases[i].script);
        assert_int_equal(external_sealer_find(&s, &err), 1);
        assert_int_equal(external_sealer_run(&s, &in, NULL, image, NULL, NULL, &err), -1);
        assert_message(err, cases[i].message);
        external_sealer_free(&s);
        cleanup_strlist struct strlist left = {0};
        assert_int_equal(list_directory(folder, &left, NULL), 0);
        assert_int_equal(left.n, 0);
    }
}

TEST(what_a_tool_cannot_do_is_an_error)
{
    struct fixture *f = *state;
    cleanup_error struct error *err = NULL, *entry = NULL, *half = NULL;
    cleanup_free char *image = in_folder(f, "never.img");
    struct external_sealer s;
    remove_programs(f);
    put_tool(f, "genprotimg", "genprotimg version 2.36.0");
    assert_int_equal(external_sealer_find(&s, &err), 1);
    assert_int_equal(external_sealer_run(&s, &f->input, NULL, image, NULL, NULL, &err), -1);
    assert_message(err, "cannot be given fixed keys or loaders");
    struct se_input in = {.kernel = "k", .hosts = f->hosts, .host_count = 1, .psw_address = 0x1000};
    assert_int_equal(external_sealer_run(&s, &in, NULL, image, NULL, NULL, &entry), -1);
    assert_message(entry, "cannot be given the kernel's start address");
    // Never a silent --no-verify.
    cleanup_strlist struct strlist crls = {0};
    strlist_add(&crls, "signing.crl");
    in.psw_address = 0;
    assert_int_equal(external_sealer_run(&s, &in, NULL, image, NULL, &crls, &half), -1);
    assert_message(half, "cannot be given revocation lists without certificates");
    assert_false(path_exists(image));
    external_sealer_free(&s);
}
