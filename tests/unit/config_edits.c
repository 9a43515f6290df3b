// SPDX-License-Identifier: Apache-2.0
// kbuild config: each edit as a careful person makes it, and nothing else.
#include "test.h"

#include "base/file.h"
#include "config/config.h"

#include <stdint.h>
#include <string.h>

// A kind of one edit, so that each way of making it can be seen alone.
static int edit(const char *text, const struct config_edit *e, struct buf *edited, struct buf *diff,
                struct error **err)
{
    const struct config_kind kind = {"test", "a test", CONFIG_KATA, e, 1, NULL, 0};
    const struct config_request request = {.kind = &kind};
    return config_edit_text(text, strlen(text), "f.toml", &request, edited, diff, err);
}

static const struct {
    const char *what, *before, *after;
    struct config_edit edit;
} edits[] = {
    {"a value is replaced, its comment and blanks stay",
     "[s]\n  k  =  'old'   # why  \n",
     "[s]\n  k  =  \"new\"   # why  \n",
     {"s", "k", CONFIG_SET, "\"new\""}},
    {"CRLF stays",
     "[s]\r\nk = 1\r\nl = 2\r\n",
     "[s]\r\nk = 5\r\nl = 2\r\n",
     {"s", "k", CONFIG_SET, "5"}},
    {"an equal value stays as it is written",
     "[s]\nk = 'x'",
     "[s]\nk = 'x'",
     {"s", "k", CONFIG_SET, "\"x\""}},
    {"a value of several lines becomes one",
     "[s]\nk = [ # a\n 1,\n 2 ] # b\nl = 1\n",
     "[s]\nk = 5 # b\nl = 1\n",
     {"s", "k", CONFIG_SET, "5"}},
    {"the same key elsewhere stays",
     "k = 1\n[s]\nk = 1\n[t]\nk = 1\n",
     "k = 1\n[s]\nk = 5\n[t]\nk = 1\n",
     {"s", "k", CONFIG_SET, "5"}},
    {"a comment with the value loses its '#'",
     "[s]\na = 1\n  #  k = true # c \nb = 2\n",
     "[s]\na = 1\n  k = true # c \nb = 2\n",
     {"s", "k", CONFIG_SET, "true"}},
    {"of two comments the one with the value",
     "[s]\n#k = true\n# k = false\n",
     "[s]\nk = true\n# k = false\n",
     {"s", "k", CONFIG_SET, "true"}},
    {"below a comment with another value",
     "[s]\n\t# k = \"a\"\n\n# more\n",
     "[s]\n\t# k = \"a\"\n\tk = \"b\"\n\n# more\n",
     {"s", "k", CONFIG_SET, "\"b\""}},
    {"a comment of another section is none of its own",
     "[t]\n# k = 5\n[s]\na = 1\n",
     "[t]\n# k = 5\n[s]\na = 1\nk = 5\n",
     {"s", "k", CONFIG_SET, "5"}},
    {"nor one below a header in a comment",
     "[s]\na = 1\n# [t]\n# k = 5\n",
     "[s]\na = 1\nk = 5\n# [t]\n# k = 5\n",
     {"s", "k", CONFIG_SET, "5"}},
    {"nor a line of a long value",
     "[s]\na = [\n# k = 5\n]\nb = '''\n# k = 5\n'''\n",
     "[s]\na = [\n# k = 5\n]\nb = '''\n# k = 5\n'''\nk = 5\n",
     {"s", "k", CONFIG_SET, "5"}},
    {"nor prose",
     "[s]\n# k = what you like\na = 1\n",
     "[s]\n# k = what you like\na = 1\nk = 5\n",
     {"s", "k", CONFIG_SET, "5"}},
    {"at the end of its section, before blanks",
     "[s]\na = 1\n\n# about t\n[t]\n",
     "[s]\na = 1\nk = 5\n\n# about t\n[t]\n",
     {"s", "k", CONFIG_SET, "5"}},
    {"in an empty section", "[s]\n[t]\n", "[s]\nk = 5\n[t]\n", {"s", "k", CONFIG_SET, "5"}},
    {"a last line without an end stays the last",
     "[s]\na = 1",
     "[s]\na = 1\nk = 5",
     {"s", "k", CONFIG_SET, "5"}},
    {"in a section that was not there",
     "a = 1\r\n",
     "a = 1\r\n\r\n[s.t]\r\nk = 5\r\n",
     {"s.t", "k", CONFIG_SET, "5"}},
    {"in an empty file", "", "[s]\nk = 5\n", {"s", "k", CONFIG_SET, "5"}},
    {"in a section that only its parts name",
     "[s.t]\na = 1\n",
     "[s.t]\na = 1\n\n[s]\nk = 5\n",
     {"s", "k", CONFIG_SET, "5"}},
    {"among dotted keys",
     "[s]\n t.a = 1\nb = 2\n",
     "[s]\n t.a = 1\n t.k = 5\nb = 2\n",
     {"s.t", "k", CONFIG_SET, "5"}},
    {"a value in an inline table",
     "s = { t = {k = 1, l = 2} } # c\n",
     "s = { t = {k = 5, l = 2} } # c\n",
     {"s.t", "k", CONFIG_SET, "5"}},
    {"a key is commented out",
     "[s]\n  k = 1 # c\nl = 2\n",
     "[s]\n  # k = 1 # c\nl = 2\n",
     {"s", "k", CONFIG_COMMENT_OUT, NULL}},
    {"with all its lines",
     "[s]\r\nk = [\r\n  1,\r\n\r\n]\r\nl = 2\r\n",
     "[s]\r\n# k = [\r\n  # 1,\r\n#\r\n# ]\r\nl = 2\r\n",
     {"s", "k", CONFIG_COMMENT_OUT, NULL}},
    {"what is not there need not be",
     "[s]\n# k = 1\n",
     "[s]\n# k = 1\n",
     {"s", "k", CONFIG_COMMENT_OUT, NULL}},
    {"less becomes enough", "[s]\nk = 45\n", "[s]\nk = 90\n", {"s", "k", CONFIG_AT_LEAST, "90"}},
    {"more stays", "[s]\nk = 180\n", "[s]\nk = 180\n", {"s", "k", CONFIG_AT_LEAST, "90"}},
    {"a list gets what it lacks",
     "[s]\nk = [\n 'a', # one\n \"b\\\"]\", ] # c\n",
     "[s]\nk = [\"a\", \"b\\\"]\", \"x\"] # c\n",
     {"s", "k", CONFIG_INCLUDE, "[\"x\"]"}},
    {"a list that has it stays as it is written",
     "[s]\nk = [ 'x', 'a' ]\n",
     "[s]\nk = [ 'x', 'a' ]\n",
     {"s", "k", CONFIG_INCLUDE, "[\"x\"]"}},
    {"an empty list gets it",
     "[s]\nk = []\n",
     "[s]\nk = [\"x\"]\n",
     {"s", "k", CONFIG_INCLUDE, "[\"x\"]"}},
    {"a list that is not there is made",
     "[s]\n",
     "[s]\nk = [\"x\"]\n",
     {"s", "k", CONFIG_INCLUDE, "[\"x\"]"}},
    {"what is no number becomes one",
     "[s]\nk = 'x'\n",
     "[s]\nk = 90\n",
     {"s", "k", CONFIG_AT_LEAST, "90"}},
};

TEST(each_edit_changes_what_it_means_and_nothing_else)
{
    for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
        cleanup_buf struct buf edited = {0}, diff = {0}, again = {0}, nothing = {0};
        struct error *err = NULL;
        if (edit(edits[i].before, &edits[i].edit, &edited, &diff, &err) < 0)
            fail_msg("%s: %s", edits[i].what, err->message);
        if (strcmp(edited.data, edits[i].after) != 0)
            fail_msg("%s:\n%s\nwanted:\n%s", edits[i].what, edited.data, edits[i].after);
        assert_int_equal(diff.len != 0, strcmp(edits[i].before, edits[i].after) != 0);
        assert_int_equal(edit(edited.data, &edits[i].edit, &again, &nothing, &err), 0);
        assert_string_equal(again.data, edited.data);
        assert_int_equal(nothing.len, 0);
    }
}

static const struct {
    const char *text, *message;
    struct config_edit edit;
} refusals[] = {
    {"[s]\nk = [1, 2]\n", "a list of strings", {"s", "k", CONFIG_INCLUDE, "[\"x\"]"}},
    {"[s]\nk = \"x\"\n", "a list of strings", {"s", "k", CONFIG_INCLUDE, "[\"x\"]"}},
    {"[s]\nk = [\"\"\"x\"\"\"]\n", "a list of strings", {"s", "k", CONFIG_INCLUDE, "[\"x\"]"}},
    {"[s]\nk = [['x']]\n", "a list of strings", {"s", "k", CONFIG_INCLUDE, "[\"x\"]"}},
    {"[s]\nk = \n", "line 2, column 5", {"s", "k", CONFIG_SET, "5"}},
    {"s = {k = 1}\n", "inline table", {"s", "k", CONFIG_COMMENT_OUT, NULL}},
    {"s = {a = 1}\n", "[header]", {"s", "k", CONFIG_SET, "5"}},
    {"s = 1\n", "[header]", {"s", "k", CONFIG_SET, "5"}},
    {"[[s]]\na = 1\n", "[header]", {"s", "k", CONFIG_SET, "5"}},
    {"[s.k]\na = 1\n", "the key is a table", {"s", "k", CONFIG_SET, "5"}},
    {"[s]\nk.a = 1\n", "the key is a table", {"s", "k", CONFIG_COMMENT_OUT, NULL}},
    {"[hypervisor.clh]\n", "hypervisor 'clh'", {"hypervisor.qemu", "k", CONFIG_SET, "5"}},
};

// ---- files of releases, in small ----

#define OLD_SNP                                                                                    \
    "[hypervisor.qemu]\npath = \"/opt/kata/bin/qemu-system-x86_64\"\nkernel = \"/k/vmlinux\"\n"
#define OWN_SNP(guest)                                                                             \
    "[hypervisor.qemu]\npath = \"/opt/kata/bin/qemu-system-x86_64\"\nkernel = "                    \
    "\"/opt/kata/share/kata-containers/vmlinuz-confidential.container\"\ninitrd = "                \
    "\"/opt/kata/share/kata-containers/kata-containers-initrd-confidential.img\"\nfirmware = "     \
    "\"/opt/kata/share/ovmf/AMDSEV.fd\"\nshared_fs = \"none\"\nconfidential_guest = "              \
    "true\nsev_snp_guest = " guest "\n"
#define FOUR(more)                                                                                 \
    "[hypervisor.qemu]\npath = \"/opt/kata/bin/qemu-system-x86_64\"\n"                             \
    "kernel = \"/opt/kata/share/kata-containers/vmlinuz.container\"\n" more                        \
    "confidential_guest = true\nsev_snp_guest = true\n"                                            \
    "firmware = \"/opt/kata/share/ovmf/AMDSEV.fd\"\nshared_fs = \"none\"\n"                        \
    "disable_image_nvdimm = true\n"
#define GO_END "[agent.kata]\ndial_timeout = 90\n[runtime]\nemptydir_mode = \"block-encrypted\"\n"
#define RUST_END                                                                                   \
    "[agent.kata]\ndial_timeout_ms = 100\nreconnect_timeout_ms = 45000\n"                          \
    "[runtime]\nhypervisor_name = \"qemu\"\n"
#define MEASURED                                                                                   \
    "image = \"/opt/kata/share/kata-containers/kata-containers-confidential.img\"\n"               \
    "kernel_verity_params = \"root_hash=1\"\n"
#define COCO "[[hypervisor.qemu.guest_extension_images]]\nname = \"coco\"\n"
#define SE_RUST(kernel)                                                                            \
    "[hypervisor.qemu]\nkernel = \"/opt/kata/share/kata-containers/" kernel "\"\n"                 \
    "confidential_guest = true\n"

// What changes in a file, as the lines of its diff; NULL and a message: it is refused.
static const struct {
    const char *what, *kind, *release, *text, *changes, *message;
} releases[] = {
    {"4.1.0's own file for SNP is right", "snp", NULL, FOUR(MEASURED) GO_END, "", NULL},
    {"so is that of runtime-rs", "snp", NULL, FOUR("image = \"/i\"\n") RUST_END COCO, "", NULL},
    {"another image has another hash", "snp", NULL,
     FOUR("image = \"/i/kata-containers.img\"\nkernel_verity_params = \"\"\n") GO_END, NULL,
     "image must be kata-containers-confidential.img already"},
    {"3.28 has one kernel, and an initrd", "snp", NULL,
     FOUR("initrd = "
          "\"/opt/kata/share/kata-containers/kata-containers-initrd-confidential.img\"\n") GO_END,
     "", NULL},
    {"4.1.0's plain file can't become one", "snp", NULL,
     "[hypervisor.qemu]\nkernel = \"/k\"\n" GO_END, NULL, "sev_snp_guest must be true"},
    {"nor that of runtime-rs", "snp", NULL, "[hypervisor.qemu]\nkernel = \"/k\"\n" RUST_END, NULL,
     "sev_snp_guest must be true"},
    {"a file for SE of 4.1.0's runtime-rs is right", "se", NULL,
     SE_RUST("kata-containers-se-runtime-rs.img") RUST_END COCO, "", NULL},
    {"and gets its own image", "se", NULL, SE_RUST("kata-containers-se.img") RUST_END COCO,
     "-kernel = \"/opt/kata/share/kata-containers/kata-containers-se.img\"\n"
     "+kernel = \"/opt/kata/share/kata-containers/kata-containers-se-runtime-rs.img\"\n",
     NULL},
    {"before 4.1 runtime-rs started the other one", "se", NULL,
     SE_RUST("kata-containers-se.img") RUST_END, "", NULL},
    {"a kernel with an image beside it is none", "se", NULL, SE_RUST("vmlinuz.container") RUST_END,
     NULL, "kernel must be kata-containers-se.img already"},
    {"a timeout in seconds makes runtime-rs refuse its file", "se", NULL,
     SE_RUST("kata-containers-se-runtime-rs.img") "[agent.kata]\ndial_timeout = "
                                                  "90\nreconnect_timeout_ms = 5000\n" COCO,
     "-dial_timeout = 90\n-reconnect_timeout_ms = 5000\n+# dial_timeout = 90\n"
     "+reconnect_timeout_ms = 45000\n",
     NULL},
    {"a release that the keys contradict", "snp", "3.12.0", FOUR(MEASURED) GO_END, NULL,
     "its keys are those of another release of Kata's runtime in Go than 3.12.0"},
    {"3.20.0's own file for SNP is right, with its QEMU and without a shared folder", "snp", NULL,
     OWN_SNP("true"), "", NULL},
    {"as the guide has it if one says that it is 3.12's", "snp", "3.12.0", OWN_SNP("true"),
     "-path = \"/opt/kata/bin/qemu-system-x86_64\"\n"
     "+path = \"/opt/kata/bin/qemu-system-x86_64-snp-experimental\"\n"
     "-shared_fs = \"none\"\n+shared_fs = \"virtio-9p\"\n"
     "+disable_image_nvdimm = true\n+file_mem_backend = \"\"\n",
     NULL},
    {"one that switches SNP off is no such file", "snp", NULL, OWN_SNP("false"),
     "-path = \"/opt/kata/bin/qemu-system-x86_64\"\n"
     "+path = \"/opt/kata/bin/qemu-system-x86_64-snp-experimental\"\n"
     "-shared_fs = \"none\"\n+shared_fs = \"virtio-9p\"\n"
     "-sev_snp_guest = false\n+sev_snp_guest = true\n"
     "+disable_image_nvdimm = true\n+file_mem_backend = \"\"\n",
     NULL},
    {"a release that is no number", "snp", "new", OLD_SNP, NULL,
     "--release new is no release of Kata"},
    {"3.27 by its kernel", "snp", NULL,
     FOUR("initrd = "
          "\"/opt/kata/share/kata-containers/kata-containers-initrd-confidential.img\"\n") "[age"
                                                                                           "nt."
                                                                                           "kata"
                                                                                           "]\nd"
                                                                                           "ial_"
                                                                                           "time"
                                                                                           "out "
                                                                                           "= "
                                                                                           "90"
                                                                                           "\n",
     "", NULL},
};

static void changed_lines(const struct buf *diff, struct buf *out)
{
    buf_add(out, "", 0);
    for (const char *p = diff->len ? diff->data : ""; *p;) {
        size_t n = strcspn(p, "\n") + (strchr(p, '\n') ? 1 : 0);
        if (strchr("+-", *p) && !starts_with(p, "+++") && !starts_with(p, "---"))
            buf_add(out, p, n);
        p += n;
    }
}

TEST(each_release_gets_what_is_wrong_in_its_files)
{
    for (size_t i = 0; i < ARRAY_LEN(releases); i++) {
        cleanup_buf struct buf edited = {0}, diff = {0}, lines = {0};
        cleanup_error struct error *err = NULL;
        const struct config_request request = {.kind = config_kind_find(releases[i].kind, NULL),
                                               .release = releases[i].release};
        const char *text = releases[i].text;
        int result = config_edit_text(text, strlen(text), "f", &request, &edited, &diff, &err);
        if (releases[i].message) {
            if (result == 0 || !strstr(err->message, releases[i].message))
                fail_msg("%s: %s", releases[i].what, err ? err->message : "it was edited");
            continue;
        }
        if (result < 0)
            fail_msg("%s: %s", releases[i].what, err->message);
        changed_lines(&diff, &lines);
        if (strcmp(lines.data, releases[i].changes) != 0)
            fail_msg("%s:\n%s\nwanted:\n%s", releases[i].what, lines.data, releases[i].changes);
    }
}

// Go's runtime takes Image for image; runtime-rs does not.
TEST(keys_are_found_as_the_runtime_finds_them)
{
    static const struct {
        const char *before, *after, *message;
    } cases[] = {
        {"[Hypervisor.qemu]\nImage = \"/i\"\nINITRD = \"/r\"\nimage = \"/j\"\nKernel = \"/k\"\n"
         "Confidential_Guest = true\n[agent.kata]\nDial_Timeout = 90\n",
         "[Hypervisor.qemu]\n# Image = \"/i\"\n# INITRD = \"/r\"\n# image = \"/j\"\n"
         "Kernel = \"/opt/kata/share/kata-containers/kata-containers-se.img\"\n"
         "Confidential_Guest = true\n[agent.kata]\nDial_Timeout = 90\n",
         NULL},
        {"[hypervisor.qemu]\nkernel = \"/k\"\nKERNEL = \"/l\"\n", NULL, "the key exists 2 times"},
        {SE_RUST("kata-containers-se-runtime-rs.img") "Image = \"/i\"\n" RUST_END COCO,
         SE_RUST("kata-containers-se-runtime-rs.img") "Image = \"/i\"\n" RUST_END COCO, NULL},
    };
    const struct config_request request = {.kind = config_kind_find("se", NULL)};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_buf struct buf edited = {0}, diff = {0};
        cleanup_error struct error *err = NULL;
        int result = config_edit_text(cases[i].before, strlen(cases[i].before), "f", &request,
                                      &edited, &diff, &err);
        if (cases[i].message) {
            assert_int_equal(result, -1);
            assert_non_null(strstr(err->message, cases[i].message));
            continue;
        }
        if (result < 0)
            fail_msg("%s", err->message);
        assert_string_equal(edited.data, cases[i].after);
    }
}

TEST(a_byte_order_mark_stays)
{
    cleanup_buf struct buf edited = {0}, diff = {0};
    struct error *err = NULL;
    const struct config_edit e = {"s", "k", CONFIG_SET, "5"};
    assert_int_equal(edit("\xEF\xBB\xBF[s]\nk = 1\n", &e, &edited, &diff, &err), 0);
    assert_string_equal(edited.data, "\xEF\xBB\xBF[s]\nk = 5\n");
    assert_non_null(strstr(diff.data, "\n-k = 1\n+k = 5\n"));
}

TEST(what_can_not_be_edited_is_refused)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        cleanup_buf struct buf edited = {0}, diff = {0};
        cleanup_error struct error *err = NULL;
        assert_int_equal(edit(refusals[i].text, &refusals[i].edit, &edited, &diff, &err), -1);
        if (!strstr(err->message, refusals[i].message) || !strstr(err->message, "f.toml"))
            fail_msg("%s: %s", refusals[i].text, err->message);
        assert_non_null(err->hint ? err->hint : err->message);
    }
}

TEST(the_diff_is_the_one_of_diff_u)
{
    static const char before[] =
        "a = 1\nb = 2\nc = 3\nd = 4\ne = 5\nf = 6\ng = 7\nh = 8\ni = 9\n[s]";
    static const char after[] = "--- f.toml\n+++ f.toml\n"
                                "@@ -7,4 +7,5 @@\n g = 7\n h = 8\n i = 9\n-[s]\n"
                                "\\ No newline at end of file\n+[s]\n+k = 5\n"
                                "\\ No newline at end of file\n";
    cleanup_buf struct buf edited = {0}, diff = {0};
    struct error *err = NULL;
    const struct config_edit e = {"s", "k", CONFIG_SET, "5"};
    assert_int_equal(edit(before, &e, &edited, &diff, &err), 0);
    assert_string_equal(diff.data, after);
}

// Hunks that are near are one, those that are far are two.
TEST(hunks_have_three_lines_of_context)
{
    static const struct config_edit two[] = {{"", "k", CONFIG_SET, "5"},
                                             {"", "l", CONFIG_SET, "6"}};
    static const struct {
        unsigned between; // lines
        const char *marks;
    } cases[] = {{6, "@@ -1,13 +1,13 @@\n"}, {7, "@@ -1,7 +1,7 @@\n@@ -9,6 +9,6 @@\n"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_buf struct buf text = {0}, edited = {0}, diff = {0}, marks = {0};
        buf_puts(&text, "#\n#\n#\nk = 1\n");
        for (unsigned n = 0; n < cases[i].between; n++)
            buf_puts(&text, "# x\n");
        buf_puts(&text, "l = 1\n# y\n# z\n");
        const struct config_kind kind = {"test", "a test", CONFIG_KATA, two, ARRAY_LEN(two),
                                         NULL,   0};
        const struct config_request request = {.kind = &kind};
        struct error *err = NULL;
        assert_int_equal(config_edit_text(text.data, text.len, "f", &request, &edited, &diff, &err),
                         0);
        for (const char *p = diff.data; (p = strstr(p, "@@ -")); p = strchr(p, '\n'))
            buf_add(&marks, p, strcspn(p, "\n") + 1);
        assert_string_equal(marks.data, cases[i].marks);
    }
}

static int set(const char *text, const char *setting, struct buf *edited, struct error **err)
{
    cleanup_strlist struct strlist settings = {0};
    cleanup_buf struct buf diff = {0};
    strlist_add(&settings, setting);
    const struct config_request request = {
        .kind = &config_kinds[0], .prefix = "/p\"x", .settings = &settings};
    return config_edit_text(text, strlen(text), "f", &request, edited, &diff, err);
}

TEST(settings_take_the_place_of_the_kinds_own)
{
    static const struct {
        const char *setting, *line;
    } good[] = {
        {"kernel=/my/kernel", "kernel = \"/my/kernel\"\n"},
        {"dial_timeout=120", "dial_timeout = 120\n"},
        {"hypervisor.qemu.x=[1, 2]", "x = [1, 2]\n"},
        {"hypervisor.qemu.x=", "x = \"\"\n"},
        {"hypervisor.qemu.x=say \"a=b\"", "x = \"say \\\"a=b\\\"\"\n"},
        {"hypervisor.qemu.\"x y\"=false", "\"x y\" = false\n"},
        {"other.section.x=1", "\n[other.section]\nx = 1\n"},
        {"image=/my/image", "image = \"/my/image\"\n"},
        {"confidential_guest=true",
         "kernel = \"/p\\\"x/share/kata-containers/kata-containers-se.img\"\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        cleanup_buf struct buf edited = {0};
        struct error *err = NULL;
        if (set("[hypervisor.qemu]\n", good[i].setting, &edited, &err) < 0)
            fail_msg("%s: %s", good[i].setting, err->message);
        if (!strstr(edited.data, good[i].line))
            fail_msg("%s:\n%s", good[i].setting, edited.data);
    }
    static const char *const bad[] = {"", "=1", "x", "x=1", "a b.c=1", "a.x=\xff", "a.=1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        cleanup_buf struct buf edited = {0};
        cleanup_error struct error *err = NULL;
        assert_int_equal(set("[hypervisor.qemu]\n", bad[i], &edited, &err), -1);
        assert_non_null(strstr(err->message, "--set"));
    }
}

// Every edit of every kind is TOML, and names a section.
TEST(the_tables_are_valid)
{
    for (size_t i = 0; i < config_kind_count; i++) {
        const struct config_request request = {.kind = &config_kinds[i]};
        cleanup_buf struct buf edited = {0}, diff = {0}, again = {0}, nothing = {0};
        struct error *err = NULL;
        const char *least =
            request.kind->reader == CONFIG_CONTAINERD ? "version = 2\n" : "[hypervisor.qemu]\n";
        assert_int_equal(
            config_edit_text(least, strlen(least), "f", &request, &edited, &diff, &err), 0);
        assert_null(strchr(edited.data, '@')); // the marks
        assert_int_equal(
            config_edit_text(edited.data, edited.len, "f", &request, &again, &nothing, &err), 0);
        assert_int_equal(nothing.len, 0);
        for (size_t k = 0; k < config_kinds[i].count; k++) {
            const struct config_edit *e = &config_kinds[i].edits[k];
            cleanup_free char *line = xasprintf("\n%s = ", e->key);
            assert_int_equal(strstr(edited.data, line) != NULL, e->operation != CONFIG_COMMENT_OUT);
            assert_int_equal(e->value != NULL, e->operation != CONFIG_COMMENT_OUT);
        }
    }
    cleanup_error struct error *err = NULL;
    assert_null(config_kind_find("tdx", &err));
    assert_int_equal(err->kind, ERROR_USAGE);
}

// ---- files ----

static char *folder;

static int make_folder(void **state)
{
    return (folder = make_temporary_directory("/tmp", "kbuild-config", NULL)) ? 0 : -1;
}

static int remove_folder(void **state)
{
    int result = remove_tree(folder, NULL);
    free(folder);
    return result;
}

static char *in_folder(const char *name)
{
    return xasprintf("%s/%s", folder, name);
}

static void expect_file(const char *name, const char *text)
{
    cleanup_free char *path = in_folder(name);
    cleanup_buf struct buf have = {0};
    assert_int_equal(file_read(path, 1 << 20, &have, NULL), 0);
    assert_string_equal(have.data, text);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    cleanup_free char *path = in_folder(name);
    assert_int_equal(file_write(path, text, strlen(text), mode, NULL), 0);
}

static const struct config_edit only[] = {{"s", "k", CONFIG_SET, "5"}};
static const struct config_kind only_kind = {
    .name = "test", .title = "a test", .edits = only, .count = 1};

// Edits a file of the folder; its name's copy, or "", is compared with `backup`.
static void edit_file(const char *name, bool dry_run, const char *backup)
{
    cleanup_free char *path = in_folder(name);
    const struct config_request request = {.kind = &only_kind};
    struct config_result r;
    struct error *err = NULL;
    if (config_edit_file(path, &request, dry_run, &r, &err) < 0)
        fail_msg("%s", err->message);
    assert_string_equal(r.backup ? path_base(r.backup) : "", backup);
    config_result_free(&r);
}

TEST_WITH(the_original_is_kept_and_never_overwritten, make_folder, remove_folder)
{
    write_file("c", "[s]\nk = 1\n", 0640);
    edit_file("c", true, "");
    expect_file("c", "[s]\nk = 1\n");
    edit_file("c", false, "c.old");
    expect_file("c", "[s]\nk = 5\n");
    expect_file("c.old", "[s]\nk = 1\n");
    edit_file("c", false, ""); // nothing to do
    cleanup_free char *path = in_folder("c");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    cleanup_free char *old = in_folder("c.old");
    assert_int_equal(stat(old, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);

    write_file("c", "[s]\nk = 2\n", 0600);
    edit_file("c", false, "c.old.1");
    expect_file("c.old", "[s]\nk = 1\n");
    expect_file("c.old.1", "[s]\nk = 2\n");
    write_file("c", "[s]\nk = 2\n", 0600); // an equal copy is there already
    edit_file("c", false, "c.old.1");
    cleanup_strlist struct strlist names = {0};
    assert_int_equal(list_directory(folder, &names, NULL), 0);
    assert_int_equal(names.n, 3);
}

TEST_WITH(a_link_is_followed, make_folder, remove_folder)
{
    write_file("real", "[s]\nk = 1\n", 0644);
    cleanup_free char *link = in_folder("link");
    assert_int_equal(symlink("real", link), 0);
    edit_file("link", false, "real.old");
    expect_file("real", "[s]\nk = 5\n");
    struct stat st;
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
}

TEST_WITH(a_file_that_is_no_toml_is_left_alone, make_folder, remove_folder)
{
    write_file("bad", "[s]\nk = 1\nk = 2\n", 0644);
    cleanup_free char *path = in_folder("bad");
    const struct config_request request = {.kind = &only_kind};
    struct config_result r;
    cleanup_error struct error *err = NULL;
    assert_int_equal(config_edit_file(path, &request, false, &r, &err), -1);
    config_result_free(&r);
    assert_non_null(strstr(err->message, "line 3, column 1: this key is defined twice"));
    assert_non_null(strstr(err->message, path));
    expect_file("bad", "[s]\nk = 1\nk = 2\n");
    cleanup_free char *old = in_folder("bad.old");
    assert_false(path_exists(old));
}
