// SPDX-License-Identifier: Apache-2.0
// Apt, used as a library would be: the distribution's own package sources as this host is
// configured with them, and a private apt (own lists, own cache, no hooks) that any user can run
// beside the host's. Everything that comes through it is verified by apt against the signed Release
// files.
#ifndef KBUILD_SOURCE_APT_H
#define KBUILD_SOURCE_APT_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"
#include "recipe/arch.h"

// Appends deb822 text (sources.list(5)): the suites `codename` and `codename`-updates, -security
// and so on of distribution `id` ("debian", "ubuntu") that apt on this host is configured with, and
// no third-party repositories. With deb_src the same places are asked for source packages too. The
// environment's REPO_URL, REPO_URL_X86_64 (for amd64, wins there) and REPO_COMPONENTS ("main") take
// the host configuration's place; they are needed for a distribution that is not the host's own.
// Nothing found is an error that says so.
int apt_sources(const char *id, const char *codename, bool deb_src, struct buf *out,
                struct error **err);

// Appends apt.conf(5) text: this host's Acquire:: settings (proxies, timeouts, validity checks) but
// no hooks, and retries. For a private apt or mmdebstrap (--aptopt=FILE).
int apt_settings(struct buf *out, struct error **err);

// A private apt in a folder of the caller's (who removes it), with its indexes up to date.
struct apt;
// `folder` is an existing empty directory. `sources` is deb822 text, as from apt_sources().
// Packages are looked up for `arch`.
struct apt *apt_open(const char *folder, const char *sources, const struct arch *arch,
                     struct error **err);
void apt_close(struct apt *a); // NULL is allowed; the folder stays

// The files that make up a package: one .deb, or a .dsc and what it lists.
struct apt_file {
    char *name;
    char sha256[DIGEST_HEX_SIZE]; // from the signed indexes
    uint64_t size;
};
struct apt_files {
    struct apt_file *items;
    size_t n, cap;
};
void apt_files_free(struct apt_files *f);

// What the newest version of a binary (or, with `source`, source) package is made of, without
// downloading it. 1: found; 0: the distribution has no such package; -1: error.
int apt_find(struct apt *a, const char *package, bool source, struct apt_files *out,
             struct error **err);
// Downloads those files into `folder`, verified by apt.
int apt_download(struct apt *a, const char *package, bool source, const char *folder,
                 struct error **err);

#endif
