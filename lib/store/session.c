// SPDX-License-Identifier: Apache-2.0
// Manages work in progress: each process locks a file tmp/<pid>.XXXXXX.lock while it lives, and so
// owns the folder tmp/<pid>.XXXXXX. The kernel releases the lock when the process dies, so a
// process that gets the lock knows that the folder has no owner. (The pid is for people only: pids
// are reused, and differ between containers.) The folder is made at its first use, since a build
// with nothing to do would spend milliseconds on removing it.
//
// An owner and a sweep can race for a lock file that was just made or is about to be removed: each,
// after locking, checks that the name still leads to the locked file.
#include "base/error.h"
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>

// "<start><six letters><end>", as mkstemp(3) would choose it.
static char *random_name(const char *start, const char *end)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char bytes[6] = {0};
    char text[7] = "";
    ssize_t ignored = getrandom(bytes, sizeof bytes, 0);
    (void)ignored;
    for (size_t i = 0; i < sizeof bytes; i++)
        text[i] = letters[bytes[i] % (sizeof letters - 1)];
    return xasprintf("%s%s%s", start, text, end);
}

int session_folder(struct store *s, struct error **err)
{
    if (session_open(s, err) < 0)
        return -1;
    if (at_mkdir(s, s->session, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "writing into the cache %s", s->directory);
    return 0;
}

int session_open(struct store *s, struct error **err)
{
    if (s->session)
        return 0;
    for (int attempt = 0; attempt < 100; attempt++) {
        cleanup_free char *start = xasprintf("%s/tmp/%d.", s->directory, (int)getpid());
        cleanup_free char *path = random_name(start, ".lock");
        cleanup_close int fd = at_create_in(s, "tmp", path, 0600);
        if (fd < 0 && errno == EEXIST)
            continue;
        if (fd < 0)
            return error_errno(err, errno, "writing into the cache %s", s->directory);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            if (errno == EWOULDBLOCK)
                continue; // a sweep locked it, and removes it
            error_errno(err, errno, "locking %s", path);
            at_unlink(s, path);
            return -1;
        }
        if (!at_is_named(s, fd, path))
            continue;
        s->session = xstrndup(path, strlen(path) - 5);
        s->session_lock = steal_fd(&fd);
        s->owner = getpid();
        return 0;
    }
    return error_user(err, "writing into the cache %s: no temporary folder could be claimed",
                      s->directory);
}

void session_close(struct store *s)
{
    if (s->session && s->owner == getpid()) {
        cleanup_free char *lock = xasprintf("%s.lock", s->session);
        if (at_remove(s, s->session, NULL) == 0)
            at_unlink(s, lock); // while still locked; a sweep removes the rest
    }
    if (s->session_lock >= 0)
        close(steal_fd(&s->session_lock));
    free(steal(s->session));
}

char *session_file(struct store *s, const char *prefix, int *fd, struct error **err)
{
    if (session_folder(s, err) < 0)
        return NULL;
    cleanup_free char *start = xasprintf("%s/%s.", s->session, prefix);
    do {
        cleanup_free char *path = random_name(start, "");
        *fd = at_open(s, path, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (*fd >= 0)
            return steal(path);
    } while (errno == EEXIST);
    error_errno(err, errno, "writing into the cache %s", s->directory);
    return NULL;
}

char *store_temporary(struct store *s, const char *prefix, struct error **err)
{
    if (session_folder(s, err) < 0)
        return NULL;
    cleanup_free char *start = xasprintf("%s/%s.", s->session, prefix);
    for (char *p = start + strlen(s->session) + 1; *p; p++)
        if (*p == '/')
            *p = '-';
    do {
        cleanup_free char *path = random_name(start, "");
        if (at_mkdir(s, path, 0700) == 0)
            return steal(path);
    } while (errno == EEXIST);
    error_errno(err, errno, "creating a temporary directory in %s", s->session);
    return NULL;
}

static void sweep_session(struct store *s, const char *lock)
{
    cleanup_close int fd = at_open(s, lock, O_RDWR | O_NONBLOCK, 0);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || !at_is_named(s, fd, lock))
        return;
    cleanup_free char *folder = xstrndup(lock, strlen(lock) - 5);
    cleanup_error struct error *why = NULL;
    if (at_remove(s, folder, &why) == 0)
        at_unlink(s, lock);
    else
        log_warning("cache: what a killed kbuild left can't be removed: %s", why->message);
}

void session_sweep(struct store *s, bool all)
{
    cleanup_free char *folder = xasprintf("%s/tmp", s->directory);
    cleanup_strlist struct strlist names = {0};
    cleanup_error struct error *why = NULL;
    if (at_list(s, folder, &names, &why) < 0) {
        if (why->errnum != ENOENT) // a read-only store may have no tmp/
            log_warning("cache: what a killed kbuild left can't be found: %s", why->message);
        return;
    }
    const char *mine = s->session ? path_base(s->session) : "";
    for (size_t i = 0; i < names.n; i++) {
        const char *name = names.items[i];
        cleanup_free char *path = xasprintf("%s/%s", folder, name);
        if (*mine && starts_with(name, mine))
            continue;
        if (ends_with(name, ".lock"))
            sweep_session(s, path);
        else if (all)
            at_remove(s, path, NULL);
    }
}
