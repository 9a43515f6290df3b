// SPDX-License-Identifier: Apache-2.0
// Reads files below a root, whatever their links say, and the output of programs and collectors
// (facts about a machine that are not in its files), as text that is safe to print.
#include "host/host.h"

#include "base/file.h"
#include "base/process.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/statvfs.h>

#define COMMAND_SECONDS 10

// ---- files ----

// A descriptor of a file or directory beneath the root, or -1 with errno.
static int open_beneath(const struct host *h, const char *path, int flags)
{
    // O_NONBLOCK so that a fifo is not waited for.
    flags |= O_CLOEXEC | (flags & O_PATH ? 0 : O_NONBLOCK | O_NOCTTY);
    int fd = beneath_open_in_root(h->root, path, flags);
    // Linux before 5.6, and containers that do not know the call: this machine's own root needs no
    // protection.
    if (fd < 0 && (errno == ENOSYS || errno == EPERM) && h->live)
        fd = openat(h->root, path, flags);
    return fd;
}

int host_open(struct host *h, const char *root, struct error **err)
{
    h->live = !root;
    h->root = open(root ? root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (h->root < 0)
        return error_errno(err, errno, "opening the tree %s", root ? root : "/");
    cleanup_close int probe = open_beneath(h, ".", O_PATH);
    if (probe >= 0)
        return 0;
    error_errno(err, errno, "opening files in the tree %s", root ? root : "/");
    host_close(h);
    return error_hint(err, "--root needs Linux 5.6 or newer");
}

void host_close(struct host *h)
{
    close(steal_fd(&h->root));
}

static void make_printable(char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((text[i] < 0x20 && text[i] != '\n' && text[i] != '\t') || text[i] >= 0x7f)
            text[i] = '?';
}

// Up to the limit, and no error beyond it.
static bool read_text(int fd, struct buf *out)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    buf_add(out, "", 0);
    size_t start = out->len;
    char chunk[65536];
    ssize_t n = 1;
    while (n && out->len - start < HOST_TEXT) {
        size_t room = HOST_TEXT - (out->len - start);
        n = fd_read(fd, chunk, room < sizeof chunk ? room : sizeof chunk);
        if (n < 0)
            return false;
        make_printable(chunk, (size_t)n);
        buf_add(out, chunk, (size_t)n);
    }
    return true;
}

// Recording is for later inspection; a failed write is ignored.
static void record_text(const struct host *h, const char *path, const char *text, size_t length)
{
    if (!h->record)
        return;
    cleanup_free char *file = xasprintf("%s/%s", h->record, path);
    cleanup_error struct error *err = NULL;
    if (make_parent(file, &err) == 0)
        file_write(file, text, length, 0644, &err);
}

bool host_read(const struct host *h, const char *path, struct buf *out)
{
    cleanup_close int fd = open_beneath(h, path, O_RDONLY);
    buf_add(out, "", 0);
    size_t start = out->len;
    if (fd < 0 || !read_text(fd, out))
        return false;
    record_text(h, path, out->data + start, out->len - start);
    return true;
}

// ---- programs ----

// Where a program may be in a tree; Kata's own come first, as in its runtime's configuration.
static const char *const program_folders[] = {"opt/kata/bin",   "usr/local/bin", "usr/bin", "bin",
                                              "usr/local/sbin", "usr/sbin",      "sbin"};

// "/usr/bin/git", to be freed, or NULL.
static char *find_in_tree(const struct host *h, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(program_folders); i++) {
        char *path = xasprintf("/%s/%s", program_folders[i], name);
        cleanup_close int fd = open_beneath(h, path, O_PATH);
        struct stat st;
        if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111))
            return path;
        free(path);
    }
    return NULL;
}

static char *find_host_program(const struct host *h, const char *name)
{
    char *path = find_in_tree(h, name);
    return path || !h->live ? path : find_program(name);
}

static const char *const programs[] = {
    "bwrap",
    "mmdebstrap",
    "apt-get",
    "dpkg-deb",
    "git",
    "patch",
    "xz",
    "make",
    "gcc",
    "s390x-linux-gnu-gcc",
    "x86_64-linux-gnu-gcc",
    "aarch64-linux-gnu-gcc",
    "powerpc64le-linux-gnu-gcc",
    "qemu-system-s390x",
    "qemu-system-x86_64",
    "qemu-system-x86_64-snp-experimental",
    "genprotimg",
};

// "git /usr/bin/git": one program a line.
static void list_programs(const struct host *h, struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
        cleanup_free char *path = find_host_program(h, programs[i]);
        if (path)
            buf_printf(out, "%s %s\n", programs[i], path);
    }
}

// ---- devices ----

static const char *const devices[] = {"dev/kvm", "dev/sev", "dev/vhost-vsock"};

// "/dev/kvm usable": whether this user can read and write it ("usable", "forbidden").
static void list_devices(const struct host *h, struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(devices); i++) {
        cleanup_close int fd = open_beneath(h, devices[i], O_PATH);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode))
            continue;
        // Permissions say little about a device, so it is opened. In a tree no device is behind it.
        cleanup_free char *self = xasprintf("/proc/self/fd/%d", fd);
        cleanup_close int opened =
            h->live ? open(self, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
        bool usable =
            h->live ? opened >= 0 : faccessat(AT_FDCWD, self, R_OK | W_OK, AT_EACCESS) == 0;
        buf_printf(out, "/%s %s\n", devices[i], usable ? "usable" : "forbidden");
    }
}

// "ran a guest", or why not (kvm_probe()).
static void probe_kvm(const struct host *h, struct buf *out)
{
    if (h->live)
        kvm_probe(open_beneath(h, "dev/kvm", O_RDWR), out);
}

// ---- package sources ----

// Counts only sources that apt would use: a stanza of a .sources file may be disabled, or be for
// source packages alone.
struct source_count {
    unsigned found, stanza;
    bool off;
};

static void end_stanza(struct source_count *c)
{
    c->found += c->off ? 0 : c->stanza;
    *c = (struct source_count){.found = c->found};
}

// As apt reads truth values (StringToBool()).
static bool is_no(const char *value)
{
    static const char *const words[] = {"no", "false", "without", "off", "disable", "0"};
    size_t n = strcspn(value, " \t\r");
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strlen(words[i]) == n && !strncasecmp(value, words[i], n))
            return true;
    return false;
}

static void count_line(struct source_count *c, const char *line)
{
    const char *value = strchr(line, ':');
    value = value ? value + 1 + strspn(value + 1, " \t") : "";
    if (!line[strspn(line, " \t")])
        end_stanza(c);
    else if (starts_with(line, "URIs:"))
        c->stanza++;
    else if (!strncasecmp(line, "Enabled:", strlen("Enabled:")))
        c->off = c->off || is_no(value);
    else if (!strncasecmp(line, "Types:", strlen("Types:")))
        c->off = c->off || !strcmp(value, "deb-src");
    else
        c->found +=
            starts_with(line, "deb ") || starts_with(line, "deb\t") || starts_with(line, "deb [");
}

static unsigned count_sources(const struct host *h, const char *path)
{
    cleanup_buf struct buf text = {0};
    struct host unrecorded = *h;
    unrecorded.record = NULL; // these lines can hold passwords
    if (!host_read(&unrecorded, path, &text))
        return 0;
    struct source_count count = {0};
    for (char *line = text.data, *end; line; line = end) {
        end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        count_line(&count, line + (*line == ' ' || *line == '\t' ? strspn(line, " \t") : 0));
    }
    end_stanza(&count);
    return count.found;
}

// "/etc/apt/sources.list.d/debian.sources 1": how many sources a file names, never which.
static void list_package_sources(const struct host *h, struct buf *out)
{
    cleanup_strlist struct strlist files = {0}, names = {0};
    strlist_add(&files, "etc/apt/sources.list");
    cleanup_close int fd = open_beneath(h, "etc/apt/sources.list.d", O_RDONLY | O_DIRECTORY);
    cleanup_free char *folder = xasprintf("/proc/self/fd/%d", fd);
    if (fd >= 0)
        list_directory(folder, &names, NULL);
    for (size_t i = 0; i < names.n && i < 1000; i++)
        if (ends_with(names.items[i], ".list") || ends_with(names.items[i], ".sources"))
            strlist_addf(&files, "etc/apt/sources.list.d/%s", names.items[i]);
    for (size_t i = 0; i < files.n; i++) {
        unsigned n = count_sources(h, files.items[i]);
        if (n)
            buf_printf(out, "/%s %u\n", files.items[i], n);
    }
}

// ---- disk ----

// "12345678 /var/cache/kbuild": free bytes where the cache is or will be made; and a line "noexec"
// if it is mounted so.
static void measure_disk(const struct host *h, struct buf *out)
{
    if (!h->live || !h->cache)
        return;
    cleanup_free char *path = path_absolute(h->cache);
    struct statvfs st;
    while (statvfs(path, &st) < 0) {
        char *slash = strrchr(path, '/');
        if (!slash || slash == path)
            return;
        *slash = '\0';
    }
    buf_printf(out, "%llu %s\n", (unsigned long long)st.f_bavail * st.f_frsize, path);
    if (st.f_flag & ST_NOEXEC)
        buf_puts(out, "noexec\n");
}

// ---- the processor ----

// "eax 1010f0f ebx 41b3 ecx 1fd edx 1": CPUID Fn8000_001F, which describes memory encryption.
static void read_cpuid(const struct host *h, struct buf *out)
{
#ifdef __x86_64__
    unsigned a, b, c, d;
    if (h->live && __get_cpuid(0x8000001f, &a, &b, &c, &d))
        buf_printf(out, "eax %x ebx %x ecx %x edx %x\n", a, b, c, d);
#endif
}

// ---- running ----

// Reads until the end, the limit or the deadline. Returns false at the latter two.
static bool read_pipe(int fd, struct buf *out)
{
    long long end = now_ms() + 1000LL * COMMAND_SECONDS;
    for (;;) {
        long long left = end - now_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, left > 0 ? (int)left : 0);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0 || out->len > HOST_TEXT)
            return false;
        char chunk[65536];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n > 0)
            buf_add(out, chunk, (size_t)n);
        else if (n == 0 || errno != EINTR)
            return true;
    }
}

// `words`: the program and its arguments, with blanks between.
static bool run_program(const struct host *h, const char *words, struct buf *out)
{
    cleanup_strlist struct strlist argv = {0}, environment = {0};
    strlist_split(&argv, words, " ");
    cleanup_free char *program = find_host_program(h, argv.items[0]);
    int ends[2];
    if (!program || pipe2(ends, O_CLOEXEC) < 0)
        return false;
    free(argv.items[0]);
    argv.items[0] = xstrdup(program);
    strlist_add(&environment, "LC_ALL=C");
    strlist_add(&environment, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    struct process p = {.argv = argv.items,
                        .environment = environment.items,
                        .input = -1,
                        .output = ends[1],
                        .errors = ends[1],
                        .own_group = true};
    cleanup_error struct error *err = NULL;
    pid_t pid = process_start(&p, &err);
    close(ends[1]);
    if (pid > 0 && !read_pipe(ends[0], out)) {
        process_stop(pid, 0);
        buf_puts(out, "\nstopped: too slow or too long\n");
    } else if (pid > 0) {
        int status;
        process_wait(pid, &status, NULL);
    }
    close(ends[0]);
    return pid > 0;
}

static const struct {
    const char *name;
    const char *words;                                     // run it, or
    void (*collect)(const struct host *, struct buf *out); // collect it here
} commands[] = {
    {"uname", "uname -srm", NULL},
    {"dmesg", "dmesg", NULL},
    {"qemu-s390x-version", "qemu-system-s390x --version", NULL},
    {"qemu-s390x-objects", "qemu-system-s390x -object help", NULL},
    {"qemu-x86_64-version", "qemu-system-x86_64 --version", NULL},
    {"qemu-x86_64-objects", "qemu-system-x86_64 -object help", NULL},
    {"qemu-snp-version", "qemu-system-x86_64-snp-experimental --version", NULL},
    {"qemu-snp-objects", "qemu-system-x86_64-snp-experimental -object help", NULL},
    {"bwrap-version", "bwrap --version", NULL},
    // A sandbox like that of a step, which prints its version from inside.
    {"sandbox",
     "bwrap --unshare-all --unshare-user --uid 0 --gid 0 --cap-drop ALL --ro-bind / / --proc /proc "
     "--dev /dev --tmpfs /tmp -- bwrap --version",
     NULL},
    {"programs", NULL, list_programs},
    {"devices", NULL, list_devices},
    {"kvm-guest", NULL, probe_kvm},
    {"package-sources", NULL, list_package_sources},
    {"disk", NULL, measure_disk},
    {"cpuid-8000001f", NULL, read_cpuid},
};

static bool collect_output(const struct host *h, const char *name, struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].name, name))
            continue;
        if (commands[i].words)
            return h->live && run_program(h, commands[i].words, out);
        commands[i].collect(h, out);
        return true;
    }
    return false;
}

bool host_command(const struct host *h, const char *name, struct buf *out)
{
    cleanup_free char *path = xasprintf("commands/%s.txt", name);
    buf_add(out, "", 0);
    if (!h->live && host_read(h, path, out))
        return true;
    size_t start = out->len;
    if (!collect_output(h, name, out))
        return false;
    make_printable(out->data + start, out->len - start);
    record_text(h, path, out->data + start, out->len - start);
    return true;
}

char *host_line_with(const char *text, const char *words)
{
    const char *at = strstr(text, words);
    if (!at)
        return NULL;
    while (at > text && at[-1] != '\n')
        at--;
    return xstrndup(at, strcspn(at, "\n"));
}

bool host_device(const struct host *h, const char *path, struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    host_command(h, "devices", &text);
    cleanup_free char *wanted = xasprintf("%s ", path);
    cleanup_free char *line = host_line_with(text.data, wanted);
    if (!line) {
        buf_printf(seen, "there is no %s", path);
        return false;
    }
    bool usable = ends_with(line, " usable");
    buf_printf(seen, "%s is there%s", path, usable ? "" : ", but this user can't open it");
    return usable;
}
