// SPDX-License-Identifier: Apache-2.0
// Names that somebody else chose: links, exchanged folders, depth, permissions.
#include "test.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static char *scratch;
static int top = -1;

static int set_up(void **state)
{
    scratch = make_temporary_directory("/tmp", "kbuild-beneath", NULL);
    top = scratch ? open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    return top < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    close(top);
    int result = remove_tree(scratch, NULL);
    free(scratch);
    return result;
}

static void make_file(const char *name, mode_t mode)
{
    int fd = openat(top, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static mode_t mode_of(const char *name)
{
    struct stat st;
    assert_int_equal(fstatat(top, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st.st_mode & 07777;
}

EACH_TEST(set_up, tear_down)

TEST(no_link_is_followed)
{
    assert_int_equal(mkdirat(top, "real", 0755), 0);
    make_file("real/file", 0644);
    assert_int_equal(symlinkat("real", top, "link"), 0);
    assert_int_equal(symlinkat("real/file", top, "file-link"), 0);
    assert_int_equal(symlinkat("/proc/self/root", top, "magic"), 0);
    static const struct {
        const char *path;
        int errnum;
    } cases[] = {{"link", ELOOP},      {"link/file", ELOOP}, {"file-link", ELOOP},
                 {"magic/etc", ELOOP}, {"../etc", EXDEV},    {"/etc", EXDEV},
                 {"real/../..", EXDEV}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(beneath_open(top, cases[i].path, O_RDONLY, 0), -1);
        assert_int_equal(errno, cases[i].errnum);
    }
    int fd = beneath_open(top, "real/file", O_RDONLY, 0);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(beneath_chmod(top, "link", 0777), -1);
    assert_int_equal(errno, ELOOP);
}

TEST(what_is_no_real_directory_is_said)
{
    static const struct {
        const char *path, *words;
    } cases[] = {
        {"link", "a link"}, {"link/x", "a link"}, {"file", "not a real"}, {"none", "No such"}};
    assert_int_equal(mkdirat(top, "real", 0755), 0);
    assert_int_equal(symlinkat("real", top, "link"), 0);
    make_file("file", 0644);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error *err = NULL;
        assert_int_equal(beneath_open_directory(top, cases[i].path, "/out/x", &err), -1);
        if (!strstr(err->message, cases[i].words))
            fail_msg("%s: %s", cases[i].path, err->message);
        assert_non_null(strstr(err->message, "/out/x"));
        assert_non_null(strstr(err->message, cases[i].words));
        error_free(err);
    }
    assert_int_equal(mkfifoat(top, "fifo", 0600), 0);
    struct error *err = NULL;
    assert_int_equal(beneath_open_file(top, "fifo", "/out/fifo", &err), -1);
    assert_non_null(strstr(err->message, "a real file"));
    error_free(err);
}

// A chain of directories, with permissions that shut out an owner who is not root, and files.
static void make_deep(unsigned levels, mode_t mode)
{
    int fd = dup(top);
    for (unsigned i = 0; i < levels; i++) {
        assert_int_equal(mkdirat(fd, "d", 0700), 0);
        int below = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(below >= 0);
        if (i)
            assert_int_equal(fchmod(fd, mode), 0);
        close(fd);
        fd = below;
    }
    int file = openat(fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(file >= 0);
    close(file);
    close(fd);
}

static int count(const struct beneath_entry *e, void *context, struct error **err)
{
    unsigned *counts = context;
    counts[e->event]++;
    return 0;
}

TEST(three_thousand_levels_take_few_descriptors)
{
    struct rlimit old, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    make_deep(3000, 0500);
    few = old;
    few.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    unsigned counts[3] = {0};
    struct beneath_walk walk = {.visit = count, .context = counts};
    struct error *err = NULL;
    assert_int_equal(beneath_walk(top, scratch, &walk, &err), 0);
    assert_int_equal(counts[BENEATH_ENTER], 3001);
    assert_int_equal(counts[BENEATH_LEAVE], 3001);
    assert_int_equal(counts[BENEATH_OTHER], 1);
    walk.depth_limit = 256;
    assert_int_equal(beneath_walk(top, scratch, &walk, &err), -1);
    assert_non_null(strstr(err->message, "more than 256 directories"));
    error_free(err);
    err = NULL;
    assert_int_equal(beneath_remove(top, "d", "d", &err), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(faccessat(top, "d", F_OK, 0), -1);
}

// Moves the directory in hand elsewhere, as a step that lives would.
static int move_away(const struct beneath_entry *e, void *context, struct error **err)
{
    if (e->event == BENEATH_ENTER && !strcmp(e->path, "a/b/c"))
        assert_int_equal(renameat(top, "a/b/c", top, "elsewhere"), 0);
    return 0;
}

// Exchanges a directory, whose name was read already, with a link.
static int put_link(const struct beneath_entry *e, void *context, struct error **err)
{
    if (e->event == BENEATH_ENTER && !strcmp(e->path, "a")) {
        assert_int_equal(renameat(top, "z", top, "zz"), 0);
        assert_int_equal(symlinkat("/etc", top, "z"), 0);
    }
    assert_false(e->event == BENEATH_ENTER && *e->name == 'z');
    return 0;
}

TEST(an_exchanged_directory_is_noticed)
{
    static const char *const names[] = {"a", "a/b", "a/b/c", "a/b/c/d", "z"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(mkdirat(top, names[i], 0755), 0);
    struct beneath_walk walk = {.visit = move_away, .sorted = true};
    struct error *err = NULL;
    assert_int_equal(beneath_walk(top, scratch, &walk, &err), -1);
    assert_non_null(strstr(err->message, "was moved while it was read"));
    error_free(err);
    err = NULL;
    walk.visit = put_link;
    assert_int_equal(beneath_walk(top, scratch, &walk, &err), -1);
    assert_non_null(strstr(err->message, "/z was a directory and is none any more"));
    error_free(err);
}

static int note_closed(const struct beneath_entry *e, int errnum, void *context, struct error **err)
{
    assert_string_equal(e->path, "z");
    assert_int_equal(e->event, BENEATH_ENTER);
    assert_int_equal(errnum, ENOTDIR); // a link now
    return *(const bool *)context ? error_user(err, "z is closed") : 0;
}

TEST(a_directory_that_cannot_be_opened_is_the_callers)
{
    bool refuse = true;
    struct beneath_walk walk = {
        .visit = put_link, .closed = note_closed, .context = &refuse, .sorted = true};
    for (int i = 0; i < 2; i++, refuse = !refuse) {
        struct error *err = NULL;
        assert_int_equal(mkdirat(top, "a", 0755), 0);
        assert_int_equal(mkdirat(top, "z", 0755), 0);
        assert_int_equal(beneath_walk(top, scratch, &walk, &err), refuse ? -1 : 0);
        assert_int_equal(err != NULL, refuse);
        error_free(err);
        for (const char *const *name = (const char *const[]){"a", "z", "zz", NULL}; *name; name++)
            assert_int_equal(beneath_remove(top, *name, *name, NULL), 0);
    }
}

// Does not enter "skipped", and counts what it sees.
static int skip_one(const struct beneath_entry *e, void *context, struct error **err)
{
    assert_false(starts_with(e->path, "skipped/"));
    count(e, context, err);
    return e->event == BENEATH_ENTER && !strcmp(e->path, "skipped") ? BENEATH_SKIP : 0;
}

static int skip_all(const struct beneath_entry *e, void *context, struct error **err)
{
    count(e, context, err);
    return BENEATH_SKIP;
}

TEST(a_skipped_directory_is_not_entered)
{
    static const char *const names[] = {"before", "skipped", "skipped/inside", "then"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(mkdirat(top, names[i], 0755), 0);
    unsigned counts[3] = {0};
    struct beneath_walk walk = {.visit = skip_one, .context = counts, .sorted = true};
    struct error *err = NULL;
    assert_int_equal(beneath_walk(top, scratch, &walk, &err), 0);
    assert_int_equal(counts[BENEATH_ENTER], 4); // the root too
    assert_int_equal(counts[BENEATH_LEAVE], 3);
    memset(counts, 0, sizeof counts);
    walk.visit = skip_all; // the root
    assert_int_equal(beneath_walk(top, scratch, &walk, &err), 0);
    assert_null(err);
    assert_int_equal(counts[BENEATH_ENTER], 1);
    assert_int_equal(counts[BENEATH_LEAVE], 0);
}

TEST(a_path_is_below_a_folder_by_its_components)
{
    assert_string_equal(path_below("a/b/c", "a"), "b/c");
    assert_string_equal(path_below("/a/b", "/a/b"), "");
    assert_null(path_below("ab", "a"));
    assert_null(path_below("a", "a/b"));
    assert_null(path_below("b/a", "a"));
}

TEST(removing_a_link_leaves_what_it_leads_to)
{
    assert_int_equal(mkdirat(top, "kept", 0755), 0);
    make_file("kept/file", 0644);
    assert_int_equal(mkdirat(top, "gone", 0755), 0);
    assert_int_equal(symlinkat("../kept", top, "gone/link"), 0);
    assert_int_equal(symlinkat("kept", top, "link"), 0);
    struct error *err = NULL;
    assert_int_equal(beneath_remove(top, "gone", "gone", &err), 0);
    assert_int_equal(beneath_remove(top, "link", "link", &err), 0);
    assert_int_equal(beneath_remove(top, "none", "none", &err), 0);
    assert_int_equal(faccessat(top, "kept/file", F_OK, 0), 0);
    assert_int_equal(faccessat(top, "gone", F_OK, 0), -1);
}

TEST(special_bits_are_taken_away)
{
    assert_int_equal(mkdirat(top, "d", 0755), 0);
    make_file("d/suid", 04755);
    make_file("d/sgid", 02711);
    make_file("d/plain", 0640);
    make_file("d/none", 0);
    assert_int_equal(mkdirat(top, "d/below", 0), 0);
    make_file("outside", 04755);
    assert_int_equal(symlinkat("../outside", top, "d/link"), 0);
    assert_int_equal(fchmodat(top, "d", 07777, 0), 0);
    struct error *err = NULL;
    int fd = openat(top, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(beneath_strip(fd, "d", &err), 0);
    close(fd);
    assert_int_equal(mode_of("d"), 0777);
    assert_int_equal(mode_of("d/suid"), 0755);
    assert_int_equal(mode_of("d/sgid"), 0711);
    assert_int_equal(mode_of("d/plain"), 0640);
    assert_int_equal(mode_of("d/none"), 0400);
    assert_int_equal(mode_of("d/below"), 0700);
    assert_int_equal(mode_of("outside"), 04755);
}
