// SPDX-License-Identifier: Apache-2.0
// Hermetic steps: run one program in a builder's root file system under bubblewrap, with no
// network, no root, read-only inputs, fixed paths and an environment built from nothing. And the
// root file systems themselves, made by mmdebstrap from the package sources that this host is
// configured with, for any architecture, without running foreign code.
#ifndef KBUILD_SANDBOX_SANDBOX_H
#define KBUILD_SANDBOX_SANDBOX_H

#include "base/buf.h"
#include "base/error.h"
#include "cache/store.h"
#include "recipe/recipe.h"

#include <sys/types.h>

struct sandbox_mount {
    const char *source;      // on the host
    const char *destination; // in the sandbox, absolute
    bool writable;
};

// Zero-initialise; nothing is owned.
struct sandbox {
    const char *root;        // root file system, shown read-only; NULL: the host's own /usr, /bin,
                             // /lib*, and the few files of /etc that tools need
    bool root_writable;      // for a builder's setup script only
    const struct sandbox_mount *mounts;
    size_t mount_count;
    const struct strlist *environment; // NAME=value; the whole environment
    char *const *argv;
    const char *directory;   // working directory inside
    int jobserver[2];        // read and write end of a GNU make jobserver, or {0, 0}
    int input, output;       // as in process.h; output is for both streams
    bool interactive;        // `kbuild shell`: keep the terminal
    const char *hostname;    // default "kbuild"
};

// Starts it in its own process group (not when interactive). Everything inside dies with this
// process. Returns the pid of bwrap, or -1. Where user namespaces are switched off or bwrap is
// missing, the error says so and how to mend it.
pid_t sandbox_start(const struct sandbox *s, struct error **err);

// ---- root file systems ----
// The distribution of this host, from /etc/os-release. Owned strings.
struct distribution {
    char *id, *codename; // "debian", "bookworm"
};
int distribution_host(struct distribution *out, struct error **err);
void distribution_free(struct distribution *d);

// Writes deb822 sources for the suites of `codename` that apt on this host is configured with (no
// third-party repositories), with deb-src if `sources`. REPO_URL and REPO_COMPONENTS (upstream's
// variables) win over them, and are needed for another distribution. Text appended to `out`.
int package_sources(const struct distribution *d, bool sources, struct buf *out,
                    struct error **err);

struct rootfs_spec {
    const struct distribution *distribution;
    const struct arch *arch;
    const struct strlist *packages;
    const char *setup;       // script, run inside the new root file system (native only), or NULL
};
// Unpacks the packages and what they depend on into the empty folder `destination`, without running
// anything of theirs (mmdebstrap's extract variant): for builders and, as the content of an
// initrd, for any architecture. Adds the mount points of a step (/src /deps /recipe /shared /inputs
// /build /out) if `builder`. *packages gets a JSON array of {name, version, architecture}, sorted.
int rootfs_unpack(const struct rootfs_spec *spec, const char *destination, bool builder,
                  json_t **packages, struct error **err);
// The same as one deterministic tar stream written to fd, with the owners and modes of the packages
// (for initrds, where ownership counts).
int rootfs_tar(const struct rootfs_spec *spec, const char *temporary, int fd, json_t **packages,
               struct error **err);

// For --builder=host: appends a line per tool, "tool <name> <sha256 of the program> <first line of
// --version>"; a missing one is an error that names the package list to install.
int host_tools_key(const struct recipe_builder *b, const struct arch *target, struct buf *out,
                   struct error **err);

#endif
