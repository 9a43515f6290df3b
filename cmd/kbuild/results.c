// SPDX-License-Identifier: Apache-2.0
// Implements the verbs on built results: boot, install, verify, provenance, report.
#include "kbuild.h"
#include "se.h"

#include "base/error.h"
#include "boot/boot.h"
#include "install/install.h"
#include "prove/prove.h"
#include "report/report.h"

#include <errno.h>
#include <stdlib.h>

// ---- boot ----

int verb_boot(struct global_options *g, struct strlist *words, struct error **err)
{
    struct boot_options o = {.timeout = 120,
                             .host_key = option_value(g, "--host-key"),
                             .image = option_value(g, "--image"),
                             .member = SE_IMAGE_MEMBER,
                             .qemu = option_value(g, "--qemu"),
                             .root = option_value(g, "--root"),
                             .plain = option_given(g, "--plain"),
                             .verbose = option_given(g, "--verbose")};
    const char *timeout = option_value(g, "--timeout");
    if (timeout) {
        char *end;
        unsigned long n = strtoul(timeout, &end, 10);
        if (*end || *timeout < '0' || *timeout > '9' || n < 1 || n > 86400)
            return usage_error(err, "boot",
                               "--timeout must be a number of seconds from 1 to 86400");
        o.timeout = (unsigned)n;
    }
    if (o.image && command_line_mode(&g->line, "a given image",
                                     "--image --host-key --timeout --verbose", err) < 0)
        return -1;
    struct build *b = build_open(&g->build, err);
    int result = b ? build_boot(b, words->items[0], &o, err) : -1;
    build_close(b);
    return result;
}

// ---- install ----

static void print_installed(const char *path, void *context)
{
    print("%s\n", path);
    ++*(size_t *)context;
}

int verb_install(struct global_options *g, struct strlist *words, struct error **err)
{
    size_t count = 0;
    struct install_request r = {.print = print_installed,
                                .context = &count,
                                .prefix = option_value(g, "--prefix"),
                                .root = option_value(g, "--root"),
                                .dry_run = option_given(g, "--dry-run")};
    if (r.prefix && *r.prefix != '/')
        return usage_error(err, "install", "--prefix must be an absolute path");
    struct build *b = open_with_targets(g, words, err);
    int result = b && build_evaluate(b, true, err) == 0 && build_run(b, err) == 0
                     ? build_install(b, &r, err)
                     : -1;
    build_close(b);
    if (result < 0)
        return -1;
    fflush(stdout);
    const char *files = count == 1 ? "file" : "files and links";
    if (r.dry_run)
        log_note("nothing was written (--dry-run): %zu %s", count, files);
    else
        log_note("installed %zu %s below %s", count, files, r.root ? r.root : "/");
    return 0;
}

// ---- verify ----

// A given file may have other inputs: a difference proves no more.
static void explain_difference(const char *target, const char *against, int differing,
                               struct error **err)
{
    if (against) {
        error_user(err, "%s differs from the result of %s here", against, target);
        error_hint(err,
                   "they may have been built from different inputs: compare their provenance; "
                   "`kbuild verify %s` shows whether this build gives the same bytes again",
                   target);
        return;
    }
    error_user(err, "%s is not reproducible: %d of its outputs differ", target, differing);
    error_hint(err,
               "find what wrote those bytes in the script of %s; docs/reproducibility.md lists the "
               "usual causes",
               target);
}

int build_for_proof(struct global_options *g, struct error **err)
{
    const bool cache = option_given(g, "--trust-cache");
    if (!cache && command_line_common(&g->line, COMMON_REMOTE) && g->build.remote != REMOTE_OFF) {
        usage_error(err, g->line.verb->name, "--remote is used only with --trust-cache");
        return error_hint(err, "a registry may be of the one who made the file: all is made here");
    }
    g->build.anew = !cache;
    if (!cache || !command_line_common(&g->line, COMMON_REMOTE))
        g->build.remote = REMOTE_OFF;
    return 0;
}

int verb_verify(struct global_options *g, struct strlist *words, struct error **err)
{
    struct verify_options o = {.not_made = true,
                               .against = option_value(g, "--against"),
                               .all = option_given(g, "--all"),
                               .diffoscope = !option_given(g, "--no-diffoscope")};
    o.variation.scratch = option_value(g, "--scratch");
    o.variation.keep_processors = option_given(g, "--keep-processors");
    o.variation.keep_clock = option_given(g, "--keep-clock");
    if (command_line_mode(&g->line, o.against ? "comparing with a file" : "building again",
                          o.against ? "--against --trust-cache --no-diffoscope"
                                    : "--all --scratch --keep-processors --keep-clock "
                                      "--no-diffoscope",
                          err) < 0)
        return -1;
    // Checked before a build that may take an hour.
    if (o.against && access(o.against, R_OK) < 0)
        return error_errno(err, errno, "reading %s", o.against);
    if (o.against && build_for_proof(g, err) < 0)
        return -1;
    struct build *b = open_with_targets(g, words, err);
    if (!b)
        return -1;
    int differing =
        build_evaluate(b, true, err) < 0 ? -1 : build_verify(b, &o, print_line, NULL, err);
    build_close(b);
    if (differing > 0)
        explain_difference(words->items[0], o.against, differing, err);
    return differing ? -1 : 0;
}

// ---- provenance ----

int verb_provenance(struct global_options *g, struct strlist *words, struct error **err)
{
    struct provenance_request r = {.spdx = option_given(g, "--spdx"),
                                   .file = option_value(g, "--output"),
                                   .target = words->items[0]};
    struct build *b = build_open(&g->build, err);
    int result = b ? provenance_write(b, &r, print_line, NULL, err) : -1;
    build_close(b);
    return result;
}

// ---- report ----

int verb_report(struct global_options *g, struct strlist *words, struct error **err)
{
    const struct report_request r = {.directory = g->build.output,
                                     .cache = g->build.cache,
                                     .targets = words,
                                     .file = option_value(g, "--output")};
    cleanup_free char *written = NULL;
    if (report_write(&r, &written, err) < 0)
        return -1;
    if (written && !g->build.quiet)
        print("%s\n", written);
    return 0;
}
