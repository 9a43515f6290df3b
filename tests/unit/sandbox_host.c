// SPDX-License-Identifier: Apache-2.0
// What is found out about the host: its distribution, its tools.
#include "test.h"

#include "sandbox/internal.h"
#include "sandbox_help.h"

#include "base/digest.h"

#include <glob.h>
#include <sys/stat.h>
#include <time.h>

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

TEST(the_key_names_each_tool_by_content_and_version)
{
    struct recipe_builder b = {0};
    strlist_split(&b.tools, "sh make", " ");
    struct buf key = {0}, again = {0};
    struct error *err = NULL;
    host_tools_key(&b, arch_host(), NULL, &key, &err);
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
    host_tools_key(&b, arch_host(), NULL, &again, &err);
    assert_memory_equal(key.data, again.data, again.len);
    strlist_free(&b.tools);
    buf_free(&key);
    buf_free(&again);
}

TEST(missing_tools_are_all_named_with_their_packages)
{
    const struct arch *foreign = arch_host() == &arch_table[2] ? &arch_table[3] : &arch_table[2];
    struct recipe_builder b = {0};
    strlist_split(&b.tools, "sh no-such-tool another-one", " ");
    strlist_split(&b.packages, "tool-package", " ");
    strlist_split(&b.cross[foreign - arch_table], "cross-package", " ");
    struct buf key = {0};
    struct error *err = NULL;
    assert_int_equal(host_tools_key(&b, foreign, NULL, &key, &err), -1);
    assert_non_null(strstr(err->message, "another-one, no-such-tool"));
    assert_non_null(strstr(err->hint, "tool-package cross-package"));
    error_free(err);
    strlist_free(&b.tools);
    strlist_free(&b.packages);
    strlist_free(&b.cross[foreign - arch_table]);
    buf_free(&key);
}

TEST(a_compiler_for_the_target_is_asked_for_too)
{
    const struct arch *foreign = arch_host() == &arch_table[2] ? &arch_table[3] : &arch_table[2];
    struct recipe_builder b = {0};
    strlist_split(&b.tools, "gcc sh", " ");
    struct buf key = {0};
    struct error *err = NULL;
    cleanup_free char *cross = xasprintf("%s-gcc", foreign->triplet);
    cleanup_free char *path = find_program(cross);
    int result = host_tools_key(&b, foreign, NULL, &key, &err);
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
}

// ---- what a tool answered, remembered ----

static char *scratch, *tool, *memo_pattern;
static struct store *store;

static int set_up_tools(void **state)
{
    scratch = temporary_folder();
    tool = xasprintf("%s/tool", scratch);
    cleanup_free char *cache = xasprintf("%s/cache", scratch);
    memo_pattern = xasprintf("%s/memo/*/*", cache);
    store = store_open(cache, NULL);
    return store ? 0 : -1;
}

static int tear_down_tools(void **state)
{
    store_close(store);
    int result = remove_tree(scratch, NULL);
    free(scratch);
    free(tool);
    free(memo_pattern);
    return result;
}

static void need_ptrace(void)
{
    char path[] = "/bin/true", *argv[] = {path, NULL}, *environment[] = {NULL};
    cleanup_buf struct buf out = {0};
    struct observed seen = {0};
    int result = observe_program(argv, environment, &out, &seen);
    observed_free(&seen);
    if (result < 0) {
        print_message("SKIPPED: ptrace does not work here\n");
        skip();
    }
    assert_int_equal(result, 1);
}

static void write_scratch(const char *name, const char *text)
{
    cleanup_free char *path = xasprintf("%s/%s", scratch, name);
    assert_int_equal(make_parent(path, NULL), 0);
    assert_int_equal(file_write(path, text, strlen(text), 0755, NULL), 0);
}

// With its size and both times as before; only the time of the last change cannot be set.
static void replace_content(const char *name, const char *text)
{
    cleanup_free char *path = xasprintf("%s/%s", scratch, name);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, strlen(text));
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    const struct timespec times[] = {st.st_atim, st.st_mtim};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

// A script that runs `body`, with the shell `shell`.
static void write_tool(const char *shell, const char *body)
{
    cleanup_free char *text = xasprintf("#!%s\n%s\n", shell, body);
    write_scratch("tool", text);
}

// What the tool says, without its digest; as if all its files were older than they are.
static char *ask(time_t now)
{
    struct error *err = NULL;
    cleanup_free char *line = host_tool_line(tool, store, now, &err);
    fail_with(err);
    char digest[DIGEST_HEX_SIZE];
    assert_int_equal(digest_file(tool, digest, NULL, NULL), 0);
    assert_memory_equal(line, digest, strlen(digest));
    return xstrdup(line + strlen(digest) + 1);
}
#define LATER (time(NULL) + 60)

static void expect_answer(const char *expected)
{
    cleanup_free char *answer = ask(LATER);
    assert_string_equal(answer, expected);
}

// The memo, to be freed; NULL if there is none.
static char *memo_text(char **path)
{
    glob_t found;
    cleanup_buf struct buf text = {0};
    if (glob(memo_pattern, 0, NULL, &found) != 0)
        return NULL;
    assert_int_equal(found.gl_pathc, 1);
    assert_int_equal(file_read(found.gl_pathv[0], 1 << 20, &text, NULL), 0);
    if (path)
        *path = xstrdup(found.gl_pathv[0]);
    globfree(&found);
    return buf_take(&text);
}

// Another answer is put into the memo, so that one can see whether it is used. False: the memo
// says that the tool cannot be observed, or there is none.
static bool forge_memo(void)
{
    cleanup_free char *path = NULL, *memo = memo_text(&path);
    if (!memo || starts_with(memo, "unobservable\n"))
        return false;
    cleanup_free char *forged = xasprintf("%.64s forged%s", memo, memo + strcspn(memo, "\n"));
    assert_int_equal(file_write(path, forged, strlen(forged), 0644, NULL), 0);
    return true;
}

static void expect_remembered(void)
{
    if (!forge_memo())
        fail_msg("it is not remembered");
    expect_answer("forged");
}

TEST_WITH(a_tool_is_asked_again_when_a_file_that_its_answer_depends_on_has_changed, set_up_tools,
          tear_down_tools)
{
    need_ptrace();
    cleanup_free char *reads = xasprintf("read x <%s/data; echo $x", scratch);
    cleanup_free char *looks =
        xasprintf("if [ -e %s/new ]; then echo two; else echo one; fi", scratch);
    cleanup_free char *lists =
        xasprintf("cd /; for f in %s/folder/*; do :; done; echo ${f##*/}", scratch);
    cleanup_free char *link = xasprintf("read x <%s/link; echo $x", scratch);
    cleanup_free char *old = xasprintf("%s/data", scratch), *other = xasprintf("%s/other", scratch),
                      *name = xasprintf("%s/link", scratch);
    write_scratch("data", "one\n");
    write_scratch("other", "two\n");
    write_scratch("folder/one", "");
    assert_int_equal(symlink(old, name), 0);

    write_tool("/bin/sh", "echo one");
    expect_answer("one");
    expect_remembered();
    replace_content("tool", "#!/bin/sh\necho two\n");
    expect_answer("two");

    write_tool("/bin/sh", reads);
    expect_answer("one");
    expect_remembered();
    replace_content("data", "two\n");
    expect_answer("two");

    replace_content("data", "one\n");
    write_tool("/bin/sh", link);
    expect_answer("one");
    expect_remembered();
    assert_int_equal(unlink(name), 0);
    assert_int_equal(symlink(other, name), 0);
    expect_answer("two");

    write_tool("/bin/sh", looks);
    expect_answer("one");
    expect_remembered();
    write_scratch("new", "");
    expect_answer("two");

    write_tool("/bin/sh", lists);
    expect_answer("one");
    expect_remembered();
    write_scratch("folder/two", "");
    expect_answer("two");
}

TEST_WITH(the_interpreter_of_a_script_and_what_it_runs_belong_to_the_tool, set_up_tools,
          tear_down_tools)
{
    need_ptrace();
    cleanup_free char *shell = xasprintf("%s/shell", scratch);
    cleanup_free char *runs = xasprintf("%s/helper; %s/helper", scratch, scratch);
    write_scratch("shell", "#!/bin/sh\necho one\n");
    write_tool(shell, ":");
    expect_answer("one");
    expect_remembered();
    replace_content("shell", "#!/bin/sh\necho two\n");
    expect_answer("two");

    write_scratch("helper", "#!/bin/sh\necho one\n");
    write_tool("/bin/sh", runs);
    expect_answer("one");
    expect_remembered();
    replace_content("helper", "#!/bin/sh\necho two\n");
    expect_answer("two");
}

static void compile(const char *output, const char *source, const char *more)
{
    cleanup_free char *command = xasprintf(
        "cd %s && printf '%%s' '%s' >x.c && ${CC:-cc} -o %s x.c %s", scratch, source, output, more);
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): of this file
}

TEST_WITH(a_program_depends_on_its_libraries_and_on_the_loader, set_up_tools, tear_down_tools)
{
    need_ptrace();
    compile("libanswer.so", "const char *answer(void) { return \"one\"; }", "-shared -fPIC");
    compile("tool",
            "#include <stdio.h>\nconst char *answer(void);\nint main(void) { puts(answer()); }",
            "-L. -lanswer -Wl,-rpath,$PWD");
    expect_answer("one");
    cleanup_free char *memo = memo_text(NULL);
    assert_non_null(strstr(memo, "/libanswer.so\n"));
    assert_non_null(strstr(memo, "/libc.so.6\n"));
    assert_non_null(strstr(memo, "/ld")); // the loader, whose name depends on the architecture
    expect_remembered();

    cleanup_free char *library = xasprintf("%s/libanswer.so", scratch);
    struct stat st;
    cleanup_buf struct buf bytes = {0};
    assert_int_equal(stat(library, &st), 0);
    assert_int_equal(file_read(library, (size_t)st.st_size, &bytes, NULL), 0);
    char *constant = memmem(bytes.data, bytes.len, "one", 4);
    assert_non_null(constant);
    for (size_t i = 0; i < 3; i++)
        constant[i] = "two"[i];
    int fd = open(library, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(fd, bytes.data, bytes.len), bytes.len);
    const struct timespec times[] = {st.st_atim, st.st_mtim};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
    expect_answer("two");
}

TEST_WITH(an_answer_that_may_change_by_itself_is_not_remembered, set_up_tools, tear_down_tools)
{
    need_ptrace();
    cleanup_free char *writes = xasprintf("echo x >%s/out; echo one", scratch);
    const char *const bodies[] = {
        "read x </proc/uptime; echo one",
        "cd /usr; echo one", // then a relative path names another file
        "umask; echo one",
        writes,
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        write_tool("/bin/sh", bodies[i]);
        cleanup_free char *first = ask(LATER);
        cleanup_free char *memo = memo_text(NULL);
        if (!memo || !starts_with(memo, "unobservable\n"))
            fail_msg("'%s' is remembered: %s", bodies[i], memo ? memo : "");
        cleanup_free char *again = ask(LATER);
        assert_string_equal(first, again);
    }
    // That it cannot be observed is forgotten when it changes.
    write_tool("/bin/sh", "echo one");
    expect_answer("one");
    expect_remembered();
}

TEST_WITH(a_failure_is_remembered_as_no_version, set_up_tools, tear_down_tools)
{
    need_ptrace();
    write_tool("/bin/sh", "echo one; exit 2");
    expect_answer("-");
    expect_remembered();
}

TEST_WITH(what_has_just_changed_may_change_again_unseen, set_up_tools, tear_down_tools)
{
    need_ptrace();
    write_tool("/bin/sh", "echo one");
    cleanup_free char *answer = ask(time(NULL));
    assert_string_equal(answer, "one");
    assert_null(memo_text(NULL));
    write_scratch("data", "");
    cleanup_free char *reads = xasprintf("read x <%s/data; echo one", scratch);
    write_tool("/bin/sh", reads);
    cleanup_free char *again = ask(time(NULL));
    assert_null(memo_text(NULL));
}

TEST_WITH(a_damaged_memo_is_not_believed, set_up_tools, tear_down_tools)
{
    need_ptrace();
    static const char *const damaged[] = {"", "\n", "\nfile 1\n", "\nabsent /nowhere/x"};
    write_tool("/bin/sh", "echo one");
    expect_answer("one");
    for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
        cleanup_free char *path = NULL, *memo = memo_text(&path);
        cleanup_free char *text = xasprintf("%.64s forged%s", memo, damaged[i]);
        assert_int_equal(file_write(path, text, strlen(text), 0644, NULL), 0);
        expect_answer("one");
    }
}
