// SPDX-License-Identifier: Apache-2.0
// The guest's end of the proof by boot: the agent listens on a unix socket, the machine has a
// virtio serial port, and this program copies bytes between them, so that a program on the host
// talks to the agent without vsock.
//
// It is the first process (rdinit=/agent-relay), starts the copier as a child, and becomes the
// guest's own init with the arguments that the kernel gave: /init of the initrd, of which nothing
// is changed. Where there is no /init, this file is all of the initrd: the root file system that
// the command line names (root=, rootfstype=, rw, init=) is mounted as the kernel would mount it.
//
// The copier has mounts of its own, which the guest does not see, and finds the socket through the
// root of process 1.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PORT "agent" // name of the virtio serial port
#define OWN "/agent-relay.d"
#define SOCKET OWN "/proc/1/root/run/agent.sock" // agent.server_addr=unix:///run/agent.sock

enum { STEP_MS = 20, DEVICE_MS = 30000, CHUNK = 65536, COMMAND_LINE_MAX = 65536 };

static void complain(const char *what, const char *which)
{
    dprintf(STDERR_FILENO, "agent-relay: %s %s: %s\n", what, which, strerror(errno));
}

static void rest(void)
{
    poll(NULL, 0, STEP_MS);
}

static bool mount_own(const char *type, const char *target)
{
    mkdir(OWN, 0700); // there already, or mount says what is wrong
    mkdir(target, 0700);
    if (mount(type, target, type, MS_NOSUID, NULL) == 0)
        return true;
    complain("cannot mount", target);
    return false;
}

// ---- the copier ----

// Opens the port called PORT when there is one.
static int open_port(void)
{
    for (;; rest()) {
        DIR *ports = opendir(OWN "/sys/class/virtio-ports");
        const struct dirent *entry;
        int port = -1;
        while (ports && port < 0 && (entry = readdir(ports))) {
            char path[PATH_MAX], name[64] = "";
            snprintf(path, sizeof path, OWN "/sys/class/virtio-ports/%s/name", entry->d_name);
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            if (fd < 0)
                continue;
            ssize_t n = read(fd, name, sizeof name - 1);
            close(fd);
            if (n <= 0)
                continue;
            name[strcspn(name, "\n")] = '\0';
            snprintf(path, sizeof path, OWN "/dev/%s", entry->d_name);
            if (!strcmp(name, PORT))
                port = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        }
        if (ports)
            closedir(ports);
        if (port >= 0)
            return port;
    }
}

// Connects to the agent when it is listening.
static int connect_agent(void)
{
    const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET};
    for (;; rest()) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
            return fd;
        if (fd >= 0)
            close(fd);
    }
}

// All of it, to a descriptor that may have no room now; false when the other side is gone.
static bool write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n > 0) {
            bytes += n;
            size -= (size_t)n;
            continue;
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        poll(&p, 1, -1);
        if (p.revents & (POLLHUP | POLLERR))
            return false;
    }
    return true;
}

static bool copy_some(int from, int to)
{
    static char chunk[CHUNK];
    ssize_t n = read(from, chunk, sizeof chunk);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    return n > 0 && write_all(to, chunk, (size_t)n);
}

// One conversation, until either side ends it.
static void copy_session(int port, int agent)
{
    for (;;) {
        struct pollfd p[2] = {{.fd = port, .events = POLLIN}, {.fd = agent, .events = POLLIN}};
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return;
        if (p[0].revents && !copy_some(port, agent))
            return;
        if (p[1].revents && !copy_some(agent, port))
            return;
    }
}

static _Noreturn void copy_for_ever(void)
{
    int port = open_port();
    for (;; rest()) {
        struct pollfd p = {.fd = port, .events = POLLIN};
        poll(&p, 1, -1);
        if (p.revents & POLLHUP) // nobody on the host
            continue;
        int agent = connect_agent();
        copy_session(port, agent);
        close(agent);
    }
}

// Starts the copier; returns when it has mounts of its own, or is dead.
static void start_copier(void)
{
    int ready[2];
    char byte;
    if (pipe2(ready, O_CLOEXEC) < 0) {
        complain("cannot make", "a pipe");
        return;
    }
    pid_t pid = fork();
    if (pid < 0)
        complain("cannot start", "the copier");
    if (pid == 0) {
        close(ready[0]);
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
            complain("cannot get", "mounts of its own");
        else if (mount_own("proc", OWN "/proc") && mount_own("sysfs", OWN "/sys") &&
                 mount_own("devtmpfs", OWN "/dev")) {
            close(ready[1]);
            copy_for_ever();
        }
        _exit(1);
    }
    close(ready[1]);
    while (read(ready[0], &byte, 1) < 0 && errno == EINTR)
        ;
    close(ready[0]);
}

// ---- a root file system on a disk ----

static char command_line[COMMAND_LINE_MAX + 1];

static void read_command_line(void)
{
    int fd = open(OWN "/proc/cmdline", O_RDONLY | O_CLOEXEC);
    size_t size = 0;
    ssize_t n;
    while (fd >= 0 && size < COMMAND_LINE_MAX &&
           (n = read(fd, command_line + size, COMMAND_LINE_MAX - size)) > 0)
        size += (size_t)n;
    if (fd >= 0)
        close(fd);
    command_line[size] = '\0';
}

// The next word in *at; NULL at the end. A blank between double quotes is part of a word.
static char *next_word(char **at)
{
    char *word = *at + strspn(*at, " \n"), *end = word;
    bool quoted = false;
    if (!*word)
        return NULL;
    for (; *end && (quoted || !strchr(" \n", *end)); end++)
        quoted ^= *end == '"';
    *at = *end ? end + 1 : end;
    *end = '\0';
    return word;
}

struct root {
    const char *device, *type, *init;
    unsigned long flags;
};

static void read_root(struct root *r)
{
    char *at = command_line, *word;
    *r = (struct root){.init = "/sbin/init", .flags = MS_RDONLY};
    while ((word = next_word(&at))) {
        if (!strncmp(word, "root=/dev/", 10))
            r->device = word + 10;
        else if (!strncmp(word, "rootfstype=", 11))
            r->type = word + 11;
        else if (!strncmp(word, "init=", 5))
            r->init = word + 5;
        else if (!strcmp(word, "rw"))
            r->flags &= ~MS_RDONLY;
        else if (!strcmp(word, "ro"))
            r->flags |= MS_RDONLY;
    }
}

static bool mount_root(const struct root *r)
{
    static const char *const usual[] = {"ext4", "erofs", "xfs", NULL};
    const char *const given[] = {r->type, NULL};
    const char *const *types = r->type ? given : usual;
    char device[PATH_MAX];
    snprintf(device, sizeof device, OWN "/dev/%s", r->device);
    for (int left = DEVICE_MS; access(device, F_OK) < 0 && left > 0; left -= STEP_MS)
        rest();
    mkdir(OWN "/root", 0755);
    for (size_t i = 0; types[i]; i++)
        if (mount(device, OWN "/root", types[i], r->flags, NULL) == 0)
            return true;
    complain("cannot mount", device);
    return false;
}

static void start_root(char **argv)
{
    struct root r;
    if (!mount_own("proc", OWN "/proc") || !mount_own("devtmpfs", OWN "/dev"))
        return;
    read_command_line();
    read_root(&r);
    if (!r.device) {
        errno = EINVAL;
        complain("there is no /init, and the command line has no", "root=/dev/...");
        return;
    }
    if (!mount_root(&r))
        return;
    // As the kernel does it (CONFIG_DEVTMPFS_MOUNT); a root without /dev goes without.
    mount("devtmpfs", OWN "/root/dev", "devtmpfs", MS_NOSUID, NULL);
    if (chdir(OWN "/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
        chdir("/") < 0) {
        complain("cannot enter", r.device);
        return;
    }
    argv[0] = (char *)r.init;
    execv(r.init, argv);
    complain("cannot start", r.init);
}

int main(int argc, char **argv)
{
    struct stat st;
    (void)argc;
    if (getpid() != 1) {
        fprintf(stderr, "agent-relay: runs only as the first process of a guest\n");
        return 1;
    }
    start_copier();
    if (lstat("/init", &st) == 0) {
        argv[0] = (char *)"/init";
        execv("/init", argv);
        complain("cannot start", "/init");
    } else {
        start_root(argv);
    }
    return 1; // the kernel panics, and the console shows why
}
