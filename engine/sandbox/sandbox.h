// SPDX-License-Identifier: Apache-2.0
// Hermetic steps: runs one program in a builder's root file system under bubblewrap, without
// network or root privileges, with read-only inputs, fixed paths and an environment built from
// nothing. Also makes the root file systems, with mmdebstrap from this host's package sources, for
// any architecture, without running foreign code.
//
// Ownership: all structs borrow what the caller puts into them. Errors: that this machine cannot
// make a sandbox is an error of the user's (ERROR_USER), whose hint says what to install or to
// switch on. How the program inside ended is no error, but a wait status.
#ifndef KBUILD_SANDBOX_SANDBOX_H
#define KBUILD_SANDBOX_SANDBOX_H

#include "base/error.h"
#include "base/memory.h"
#include "recipe/recipe.h"
#include "recipe/versions.h"
#include "source/packages.h"
#include "store/store.h"

#include <sys/types.h>

struct sandbox_mount {
    const char *source;      // on the host
    const char *destination; // in the sandbox, absolute
    bool writable;
};

// Zero-initialise; nothing is owned.
struct sandbox {
    const char *root;   // root file system, shown read-only; NULL: the host's /usr, /bin, /lib*,
                        // and the few files of /etc that tools need
    bool root_writable; // for a builder's setup script only
    const struct sandbox_mount *mounts;
    size_t mount_count;
    const struct strlist *environment; // NAME=value; the whole environment
    char *const *argv;
    const char *directory; // working directory inside
    int jobserver[2];      // read and write end of a GNU make jobserver, or {0, 0}
    int input, output;     // as in process.h; output is for both streams,
    int errors;            // unless this is not 0
    bool interactive;      // set by sandbox_interact(): input is a terminal of its own
    const char *hostname;  // default "kbuild"
    unsigned uid;          // and gid, as seen inside; 0 is the usual one
    mode_t umask;          // 0: 022
    const char *clock;     // a library to show at SANDBOX_CLOCK, or NULL
};
#define SANDBOX_CLOCK "/run/clock.so"

// Starts it. All processes inside end with this process. Returns a pid for sandbox_wait() or
// process_stop(), or -1. If user namespaces are disabled or bwrap is missing, the error says so and
// what to do.
pid_t sandbox_start(const struct sandbox *s, struct error **err);
// Waits until every process of the sandbox has ended, daemons included: after that the step's files
// do not change. process_stop() kills them and waits as long.
int sandbox_wait(pid_t pid, int *status, struct error **err);
// Runs it to its end with this process's terminal or pipes, but never with their descriptors: a
// separate terminal, or pipes, are in between. *status gets the wait status.
int sandbox_interact(const struct sandbox *s, int *status, struct error **err);

// ---- root file systems ----
struct rootfs_spec {
    const struct distribution *distribution; // for messages
    const struct arch *arch;
    struct package_set *set; // packages_open()'s, of source/packages.h; gets the licences
    const struct source_options *options; // for downloading them
    const char *setup; // script, run with sh as root of the new root file system (host's
                       // architecture only), or NULL
};
// Unpacks the packages into the empty folder `destination`, without running their code
// (mmdebstrap's extract variant), for any architecture. The work of their scripts is done as far as
// programs need it: merged /usr, /bin/sh, awk, cc, users, CA bundle. A builder has no
// documentation, and has the mount points of a step (/src /deps /recipe /shared /inputs /build
// /out). Packages of another architecture of arch_table are, with their dependencies, a separate
// root file system at SANDBOX_SYSROOT "/<triplet>": many packages of two architectures exclude each
// other, and a mirror may have different versions for the two, which never install together. All
// files belong to the current user, so that the tree is the same for root and for an ordinary user.
// It is an error if the extracted set differs by name, version or digest.
#define SANDBOX_SYSROOT "/sysroot"
#define SYSROOT_FORMAT "2" // raise it when the same packages would make another one
int rootfs_unpack(const struct rootfs_spec *spec, const char *destination, bool builder,
                  struct error **err);
// The same, without a builder's extras, as one deterministic tar stream written to fd, with the
// owners, modes and times of the packages, read from their headers: the bytes are the same for
// every user. /dev is empty in it. `temporary` is an empty folder for the tree; the caller removes
// it.
int rootfs_tar(const struct rootfs_spec *spec, const char *temporary, int fd, struct error **err);

// PATH of a step.
#define SANDBOX_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// For --builder=host: appends a line per tool, "tool <name> <sha256 of the program> <first line of
// --version>". Compiler and binutils tools are also searched as <triplet>-<name> if the target is
// not this host. Missing ones are an error with the packages to install.
int host_tools_key(struct store *s, const struct recipe_builder *b, const struct arch *target,
                   struct buf *out, struct error **err);

#endif
