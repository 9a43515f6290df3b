// SPDX-License-Identifier: Apache-2.0
// Opens, locks and stores folders of unfinished downloads.
#include "source/transfer.h"

#include "base/error.h"
#include "source/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

void partial_remove(const struct partial *p)
{
    cleanup_free char *from = xasprintf("%s.from", p->data);
    unlink(p->data);
    unlink(from);
}

void partial_close(struct partial *p)
{
    struct stat st;
    if (p->lock >= 0 && fd_has_name(p->lock, AT_FDCWD, p->folder)) {
        if (lstat(p->data, &st) == 0 && st.st_size == 0)
            partial_remove(p);
        rmdir(p->folder);
    }
    free(p->folder);
    free(p->data);
    if (p->lock >= 0)
        close(p->lock);
    *p = PARTIAL_NONE;
}

// 1: locked; 0: another process has the lock, and `wait` is false.
static int lock_folder(struct partial *p, const char *url, bool wait, struct error **err)
{
    if (make_directories(p->folder, 0777, err) < 0)
        return -1;
    p->lock = open(p->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->lock < 0 && errno == ENOENT) // its owner has just removed it
        return 0;
    if (p->lock < 0)
        return error_errno(err, errno, "opening %s", p->folder);
    if (flock(p->lock, LOCK_EX | LOCK_NB) == 0)
        return 1;
    if (!wait)
        return 0;
    cleanup_free char *shown = url_shown(url);
    log_note("waiting for another kbuild that downloads %s", shown);
    while (flock(p->lock, LOCK_EX) < 0)
        if (errno != EINTR)
            return error_errno(err, errno, "locking %s", p->folder);
    return 1;
}

static int open_folder(struct partial *p, struct store *store, const char *url, bool wait,
                       struct error **err)
{
    char hex[DIGEST_HEX_SIZE];
    digest_bytes(url, strlen(url), hex);
    p->folder = xasprintf("%s/tmp/download-%.40s", store_directory(store), hex);
    p->data = xasprintf("%s/data", p->folder);
    for (;;) {
        int locked = lock_folder(p, url, wait, err);
        // The last owner may have removed the folder while this process waited for it.
        if (locked > 0 && fd_has_name(p->lock, AT_FDCWD, p->folder))
            return 1;
        if (p->lock >= 0)
            close(steal_fd(&p->lock));
        if (locked < 0 || (!locked && !wait))
            return locked;
    }
}

int partial_open(struct partial *p, struct store *store, const char *url, struct error **err)
{
    *p = PARTIAL_NONE;
    return open_folder(p, store, url, true, err) < 0 ? -1 : 0;
}

int partial_try(struct partial *p, struct store *store, const char *url, struct error **err)
{
    *p = PARTIAL_NONE;
    return open_folder(p, store, url, false, err);
}

// Moves the file into a folder of this process first; the store then takes it without a copy.
int partial_store(const struct partial *p, struct store *store, char digest[static DIGEST_HEX_SIZE],
                  struct error **err)
{
    cleanup_free char *folder = store_temporary(store, "archive", err);
    if (!folder)
        return -1;
    cleanup_free char *path = xasprintf("%s/archive", folder);
    int result = rename(p->data, path) < 0 ? error_errno(err, errno, "moving %s", p->data)
                                           : store_put_file(store, path, digest, NULL, err);
    remove_tree(folder, NULL);
    partial_remove(p);
    rmdir(p->folder);
    return result;
}
