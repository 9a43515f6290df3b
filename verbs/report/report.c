// SPDX-License-Identifier: Apache-2.0
// Reads the record of the last run in an output directory, and writes the page.
#include "report/internal.h"

#include "base/document.h"
#include "base/file.h"
#include "base/print.h"
#include "source/source.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { RECORD_MAX = 256 << 20 };

int report_page(const char *text, size_t length, const char *name, const struct strlist *targets,
                struct store *store, bool beside, struct buf *out, struct error **err)
{
    struct report_run run;
    int result = report_run_read(text, length, name, &run, err);
    if (!result)
        result = report_run_select(&run, targets, name, err);
    if (!result && store)
        report_run_costs(&run, store);
    if (!result)
        html_page(out, &run, beside);
    report_run_free(&run);
    return result;
}

// ---- other output directories ----

enum { LOOKED_AT = 200, NAMED = 3 }; // entries of a directory; directories

static void note_run(const char *directory, const char *besides, struct strlist *out)
{
    cleanup_free char *record = xasprintf("%s/run.json", directory);
    if (strcmp(directory, besides) != 0 && is_regular_file(record))
        strlist_add_once(out, directory);
}

static void find_below(const char *parent, const char *besides, struct strlist *out)
{
    cleanup_strlist struct strlist names = {0};
    list_directory(parent, &names, NULL); // what can't be read has none
    for (size_t i = 0; i < names.n && i < LOOKED_AT; i++) {
        cleanup_free char *path = strcmp(parent, ".") ? xasprintf("%s/%s", parent, names.items[i])
                                                      : xstrdup(names.items[i]);
        note_run(path, besides, out);
    }
}

// Records of runs below the directory, above it, and beside it.
static void find_runs(const char *directory, struct strlist *out)
{
    size_t n = strlen(directory);
    while (n > 1 && directory[n - 1] == '/')
        n--;
    cleanup_free char *itself = xstrndup(directory, n);
    size_t above = (size_t)(path_base(itself) - itself);
    while (above > 1 && itself[above - 1] == '/')
        above--;
    cleanup_free char *parent = above ? xstrndup(itself, above) : xstrdup(".");
    find_below(itself, itself, out);
    note_run(parent, itself, out);
    find_below(parent, itself, out);
}

static int no_record(const char *directory, struct error **err)
{
    cleanup_strlist struct strlist found = {0};
    error_user(err, "there is no record of a run in %s", directory);
    find_runs(directory, &found);
    if (!found.n)
        return error_hint(err, "kbuild TARGET writes one when it ends; `kbuild -o DIR report` is "
                               "about the runs that had that output directory");
    cleanup_buf struct buf all = {0};
    const size_t named = found.n > NAMED ? NAMED : found.n;
    for (size_t i = 0; i < named; i++)
        buf_printf(&all, "%s%s",
                   !i                                   ? ""
                   : i + 1 == named && named == found.n ? " and "
                                                        : ", ",
                   found.items[i]);
    if (named < found.n)
        buf_printf(&all, " and %zu more directories", found.n - named);
    return error_hint(err, "there is one in %s: `kbuild -o %s report` shows it", all.data,
                      found.items[0]);
}

// ---- files ----

static int read_record(const char *directory, const char *path, struct buf *text,
                       struct error **err)
{
    cleanup_close int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct error *why = NULL;
    if (folder < 0)
        error_errno(&why, errno, "opening the output directory %s", directory);
    else
        file_read_at(folder, "run.json", path, RECORD_MAX, text, &why);
    if (why && why->errnum == ENOENT) {
        error_free(why);
        return no_record(directory, err);
    }
    *err = why;
    return why ? -1 : 0;
}

static int write_page(const struct report_request *r, const char *path, const struct buf *page,
                      struct error **err)
{
    return document_write(path ? path : "-", DOCUMENT_TEXT, page->data, page->len, err) < 0
               ? error_wrap(err, "writing the report of %s", r->directory)
               : 0;
}

int report_write(const struct report_request *r, char **written, struct error **err)
{
    cleanup_free char *record = xasprintf("%s/run.json", r->directory);
    cleanup_buf struct buf text = {0}, page = {0};
    cleanup_free char *path = !r->file ? xasprintf("%s/report.html", r->directory)
                              : !is_standard_output(r->file) ? xstrdup(r->file)
                                                             : NULL;
    *written = NULL;
    if (read_record(r->directory, record, &text, err) < 0)
        return -1;
    if (path && same_file(path, record)) {
        error_user(err, "%s is the record that the report is made from", path);
        return error_hint(err, "its content would be lost: name another file");
    }
    // Without the cache the page does not say what making the cached nodes took.
    struct store *store = is_directory(r->cache) ? cache_open(r->cache, false, NULL) : NULL;
    int result = report_page(text.data ? text.data : "", text.len, record, r->targets, store,
                             !r->file, &page, err);
    store_close(store);
    if (result < 0 || write_page(r, path, &page, err) < 0)
        return -1;
    *written = steal(path);
    return 0;
}
