// SPDX-License-Identifier: Apache-2.0
// Checks and cleans names of members.
#include "pack/internal.h"

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

char *printable(const char *text)
{
    struct buf b = {0};
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7f)
            buf_printf(&b, "\\x%02x", c);
        else
            buf_add(&b, p, 1);
    }
    return buf_take(&b);
}

static int refuse(const char *raw, const char *why, struct error **err)
{
    // Shortened for the message.
    cleanup_free char *start = xstrndup(raw, strnlen(raw, 200));
    cleanup_free char *shown = printable(start);
    return error_user(err, "the member \"%s\" is refused: %s", shown, why);
}

int clean_name(const char *raw, struct buf *out, struct error **err)
{
    out->len = 0;
    buf_add(out, "", 0);
    if (!*raw)
        return refuse(raw, "its name is empty", err);
    if (*raw == '/')
        return refuse(raw, "its name is absolute", err);
    if (strlen(raw) > NAME_LIMIT)
        return refuse(raw, "its name is longer than 4095 bytes", err);
    if (strchr(raw, '\n'))
        return refuse(raw, "its name contains a newline", err);
    unsigned depth = 0;
    for (const char *p = raw; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.')
            return refuse(raw, "its name contains \"..\"", err);
        if (n && !(n == 1 && p[0] == '.')) {
            if (++depth > DEPTH_LIMIT)
                return refuse(raw, "it is more than 128 directories deep", err);
            if (out->len)
                buf_add(out, "/", 1);
            buf_add(out, p, n);
        }
        p += n + (p[n] == '/');
    }
    return 0;
}

enum link_reach link_reach(const char *path, const char *target)
{
    if (*target == '/')
        return LINK_OUTSIDE;
    long depth = 0;
    for (const char *p = path; *p; p++)
        depth += *p == '/';
    bool descended = false, doubtful = false;
    for (const char *p = target; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            doubtful |= descended;
            if (--depth < 0)
                return LINK_OUTSIDE;
        } else if (n && !(n == 1 && p[0] == '.')) {
            depth++;
            descended = true;
        }
        p += n + (p[n] == '/');
    }
    return doubtful ? LINK_UNDECIDED : LINK_INSIDE;
}

unsigned normal_mode(unsigned mode)
{
    unsigned type = mode & S_IFMT;
    if (type == S_IFLNK)
        return type | 0777;
    return type | (type == S_IFDIR || mode & S_IXUSR ? 0755 : 0644);
}

int64_t clamp_time(int64_t mtime, int64_t epoch)
{
    if (mtime > epoch)
        mtime = epoch;
    return mtime < 0 ? 0 : mtime;
}

struct utf8_scope utf8_begin(void)
{
    struct utf8_scope s = {.utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0)};
    if (s.utf8)
        s.old = uselocale(s.utf8);
    return s;
}

void utf8_end(struct utf8_scope *s)
{
    if (!s->utf8)
        return;
    uselocale(s->old);
    freelocale(s->utf8);
}
