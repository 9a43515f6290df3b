// SPDX-License-Identifier: Apache-2.0
// Hermetic steps: run one program in a builder's root file system under bubblewrap, with no
// network, no root, read-only inputs, fixed paths and an environment built from nothing. And the
// root file systems themselves, made by mmdebstrap from the package sources that this host is
// configured with, for any architecture, without running foreign code.
#ifndef KBUILD_SANDBOX_SANDBOX_H
#define KBUILD_SANDBOX_SANDBOX_H

#include "base/buf.h"
#include "base/error.h"
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
    const char *root;   // root file system, shown read-only; NULL: the host's own /usr, /bin,
                        // /lib*, and the few files of /etc that tools need
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
    const char *clock;     // a library to be seen as SANDBOX_CLOCK, or NULL
};
#define SANDBOX_CLOCK "/run/clock.so"

// Starts it. Everything inside dies with this process. Returns a pid for sandbox_wait() or
// process_stop(), or -1. Where user namespaces are switched off or bwrap is missing, the error says
// so and what to do.
pid_t sandbox_start(const struct sandbox *s, struct error **err);
// Waits until every process of the sandbox is dead, daemons included: nothing changes after that
// what the step left. process_stop() kills them and waits as long.
int sandbox_wait(pid_t pid, int *status, struct error **err);
// Runs it to its end with this process's own terminal or pipes; never with their descriptors: there
// is a terminal, or pipes, in between. *status gets the wait status.
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
// Unpacks the packages into the empty folder `destination`, without running anything of theirs
// (mmdebstrap's extract variant), for any architecture. What their scripts would have done is done
// as far as programs need it: merged /usr, /bin/sh, awk, cc, users, CA bundle. A builder loses its
// documentation, and has the mount points of a step (/src /deps /recipe /shared /inputs /build
// /out). Packages of another architecture of arch_table are, with what they depend on, a root file
// system of their own at SANDBOX_SYSROOT "/<triplet>": many packages of two architectures exclude
// each other, and a mirror may carry different versions for the two, which never install together.
// Everything belongs to who runs this, so that the tree is the same for root and for an ordinary
// user. What was extracted is exactly the set, by names, versions and digests, or it is an error.
#define SANDBOX_SYSROOT "/sysroot"
#define SYSROOT_FORMAT "2" // raise it when the same packages would make another one
int rootfs_unpack(const struct rootfs_spec *spec, const char *destination, bool builder,
                  struct error **err);
// The same, without a builder's extras, as one deterministic tar stream written to fd, with the
// owners, modes and times of the packages, read from their headers: the bytes are the same whoever
// runs this. /dev is empty in it. `temporary` is an empty folder for the tree; the caller removes
// it.
int rootfs_tar(const struct rootfs_spec *spec, const char *temporary, int fd, struct error **err);

// PATH of a step.
#define SANDBOX_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// For --builder=host: appends a line per tool, "tool <name> <sha256 of the program> <first line of
// --version>". Tools of the compiler and binutils are looked for as <triplet>-<name> too when the
// target is not this host. Missing ones are an error that names the packages to install.
int host_tools_key(const struct recipe_builder *b, const struct arch *target, struct buf *out,
                   struct error **err);

#endif
