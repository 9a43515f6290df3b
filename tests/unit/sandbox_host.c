// SPDX-License-Identifier: Apache-2.0
// What is found out about the host: its distribution, its tools.
#include "test.h"

#include "sandbox/internal.h"
#include "sandbox_help.h"

#include "base/digest.h"

TEST(the_distribution_is_read_from_os_release)
{
    static const struct {
        const char *text, *id, *codename, *debian_version;
    } cases[] = {
        {"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n",
         "debian", "bookworm", NULL},
        {"ID=\"ubuntu\"\r\nID_LIKE=debian\r\nVERSION_CODENAME='noble'\r\n", "ubuntu", "noble",
         NULL},
        {"#ID=x\nVERSION_ID=1\nID=debian\nVERSION_CODENAME=trixie", "debian", "trixie", NULL},
        // Derivatives: Mint, Pop!_OS, LMDE with and without DEBIAN_CODENAME, Debian testing.
        {"ID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_CODENAME=victoria\n"
         "UBUNTU_CODENAME=jammy\n",
         "ubuntu", "jammy", "bookworm/sid\n"},
        {"ID=pop\nID_LIKE=\"ubuntu debian\"\nVERSION_CODENAME=noble\nUBUNTU_CODENAME=noble\n",
         "ubuntu", "noble", NULL},
        {"ID=linuxmint\nID_LIKE=debian\nVERSION_CODENAME=faye\nDEBIAN_CODENAME=bookworm\n",
         "debian", "bookworm", NULL},
        {"ID=linuxmint\nID_LIKE=debian\nVERSION_CODENAME=faye\n", "debian", "bookworm", "12.5\n"},
        {"ID=x\nID_LIKE=debian\nVERSION_CODENAME=y\n", "debian", "trixie", "trixie/sid\n"},
        {"ID=debian\n", "debian", "forky", "forky/sid\n"},
        // Not derived in this sense: an archive of its own, or nothing that says from what.
        {"ID=devuan\nID_LIKE=debian\nVERSION_CODENAME=daedalus\n", "devuan", "daedalus", "12.0\n"},
        {"ID=x\nID_LIKE=debian\nVERSION_CODENAME=y\n", "x", "y", "rolling\n"},
        {"ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\nUBUNTU_CODENAME=noble\n", "ubuntu",
         "noble", "trixie/sid\n"},
    };
    char *folder = temporary_folder(), *path = xasprintf("%s/os-release", folder);
    char *version = xasprintf("%s/debian_version", folder);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error *err = NULL;
        struct distribution d;
        write_text(folder, "os-release", cases[i].text);
        write_text(folder, "debian_version",
                   cases[i].debian_version ? cases[i].debian_version : "");
        distribution_read(path, version, &d, &err);
        fail_with(err);
        assert_string_equal(d.id, cases[i].id);
        assert_string_equal(d.codename, cases[i].codename);
        distribution_free(&d);
    }
    static const char *const bad[] = {"", "ID=arch\n", "VERSION_CODENAME=x\n", "ID=\n",
                                      "ID=\"\"\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error *err = NULL;
        struct distribution d;
        write_text(folder, "os-release", bad[i]);
        assert_int_equal(distribution_read(path, version, &d, &err), -1);
        assert_non_null(strstr(err->hint, "--builder=host"));
        error_free(err);
    }
    remove_tree(folder, NULL);
    free(version);
    free(path);
    free(folder);
}

// The digests of tools are remembered in a store.
struct scratch_store {
    char *folder;
    struct store *store;
};

static struct scratch_store scratch_store_open(void)
{
    struct error *err = NULL;
    struct scratch_store s = {.folder = temporary_folder()};
    cleanup_free char *cache = xasprintf("%s/cache", s.folder);
    s.store = store_open(cache, &err);
    fail_with(err);
    return s;
}

static void scratch_store_close(struct scratch_store *s)
{
    store_close(s->store);
    remove_tree(s->folder, NULL);
    free(s->folder);
}

TEST(the_key_names_each_tool_by_content_and_version)
{
    struct scratch_store s = scratch_store_open();
    struct recipe_builder b = {0};
    strlist_split(&b.tools, "sh make", " ");
    struct buf key = {0}, again = {0};
    struct error *err = NULL;
    host_tools_key(s.store, &b, arch_host(), &key, &err);
    fail_with(err);
    // Sorted, whatever the order in the recipe; the program's own digest.
    char hex[DIGEST_HEX_SIZE];
    assert_int_equal(digest_file("/usr/bin/make", hex, NULL, NULL), 0);
    char *expected = xasprintf("tool make %s GNU Make ", hex);
    assert_true(starts_with(key.data, expected));
    free(expected);
    char *second = strchr(key.data, '\n') + 1;
    assert_true(starts_with(second, "tool sh "));
    assert_true(digest_is_hex(strtok(second + strlen("tool sh "), " ")));
    strlist_free(&b.tools);
    strlist_split(&b.tools, "make", " ");
    host_tools_key(s.store, &b, arch_host(), &again, &err);
    assert_memory_equal(key.data, again.data, again.len);
    strlist_free(&b.tools);
    buf_free(&key);
    buf_free(&again);
    scratch_store_close(&s);
}

TEST(missing_tools_are_all_named_with_their_packages)
{
    struct scratch_store s = scratch_store_open();
    const struct arch *foreign = arch_host() == &arch_table[2] ? &arch_table[3] : &arch_table[2];
    struct recipe_builder b = {0};
    strlist_split(&b.tools, "sh no-such-tool another-one", " ");
    strlist_split(&b.packages, "tool-package", " ");
    strlist_split(&b.cross[foreign - arch_table], "cross-package", " ");
    struct buf key = {0};
    struct error *err = NULL;
    assert_int_equal(host_tools_key(s.store, &b, foreign, &key, &err), -1);
    assert_non_null(strstr(err->message, "another-one, no-such-tool"));
    assert_non_null(strstr(err->hint, "tool-package cross-package"));
    error_free(err);
    strlist_free(&b.tools);
    strlist_free(&b.packages);
    strlist_free(&b.cross[foreign - arch_table]);
    buf_free(&key);
    scratch_store_close(&s);
}

TEST(a_compiler_for_the_target_is_asked_for_too)
{
    struct scratch_store s = scratch_store_open();
    const struct arch *foreign = arch_host() == &arch_table[2] ? &arch_table[3] : &arch_table[2];
    struct recipe_builder b = {0};
    strlist_split(&b.tools, "gcc sh", " ");
    struct buf key = {0};
    struct error *err = NULL;
    cleanup_free char *cross = xasprintf("%s-gcc", foreign->triplet);
    cleanup_free char *path = find_program(cross);
    int result = host_tools_key(s.store, &b, foreign, &key, &err);
    if (path) {
        assert_int_equal(result, 0);
        assert_non_null(strstr(key.data, cross));
    } else {
        assert_int_equal(result, -1);
        assert_non_null(strstr(err->message, cross));
        assert_null(strstr(err->message, "-sh"));
    }
    error_free(err);
    strlist_free(&b.tools);
    buf_free(&key);
    scratch_store_close(&s);
}
