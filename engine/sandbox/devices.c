// SPDX-License-Identifier: Apache-2.0
// Makes device nodes for steps of a kbuild that root runs. bwrap shows the host's nodes, which then
// belong to the step's user: a build that sets the mode of its output to 0600 and writes it to
// /dev/null (some do) would change the host's node. So kbuild has its own nodes, in the host's /dev
// because a /tmp or /run may be mounted without devices.
#include "sandbox/internal.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define FOLDER "/dev/kbuild"

// Numbers: Documentation/admin-guide/devices.txt of Linux.
static const struct {
    const char *name;
    unsigned major, minor;
} nodes[] = {{"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
             {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};

// True if the node exists in the right form: also one of an earlier run, whose mode a step changed.
static bool make_node(const char *path, dev_t device)
{
    struct stat st;
    if (mknod(path, S_IFCHR | 0666, device) < 0 && errno != EEXIST)
        return false;
    if (lstat(path, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != device)
        return false;
    return chmod(path, 0666) == 0; // whatever the mask is
}

void bwrap_add_devices(struct bwrap_arguments *a)
{
    bwrap_add(a, "--dev", "/dev");
    if (geteuid() != 0)
        return;
    // If root may make neither, as in some containers, the host's nodes are used.
    struct stat st;
    if (mkdir(FOLDER, 0755) < 0 && errno != EEXIST)
        return;
    if (lstat(FOLDER, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
        cleanup_free char *path = xasprintf(FOLDER "/%s", nodes[i].name);
        cleanup_free char *inside = xasprintf("/dev/%s", nodes[i].name);
        if (make_node(path, makedev(nodes[i].major, nodes[i].minor)))
            bwrap_add(a, "--dev-bind", path, inside);
    }
}
