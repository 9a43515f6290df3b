// SPDX-License-Identifier: Apache-2.0
// Implements helpers for several checks.
#include "doctor/check.h"

#include <ctype.h>
#include <string.h>

bool host_has_word(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = text; (p = strstr(p, word)); p++)
        if ((p == text || isspace((unsigned char)p[-1])) && (!p[n] || isspace((unsigned char)p[n])))
            return true;
    return false;
}

// One number of a version; moves *p past it and a following dot.
static unsigned long next_number(const char **p)
{
    unsigned long n = 0;
    for (; isdigit((unsigned char)**p); ++*p)
        n = 10 * n + (unsigned long)(**p - '0');
    if (**p == '.')
        ++*p;
    return n;
}

int host_compare_version(const char *text, const char *version)
{
    while (*text && !(isdigit((unsigned char)text[0]) && text[strspn(text, "0123456789")] == '.'))
        text += isdigit((unsigned char)*text) ? strspn(text, "0123456789") : 1;
    if (!*text)
        return -2;
    while (*version) {
        unsigned long have = next_number(&text), want = next_number(&version);
        if (have != want)
            return have < want ? -1 : 1;
    }
    return 0;
}

char *host_cpu_field(const struct host *h, const char *name)
{
    cleanup_buf struct buf text = {0};
    if (!host_read(h, "proc/cpuinfo", &text))
        return NULL;
    for (char *save = NULL, *line = strtok_r(text.data, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        size_t n = strlen(name);
        const char *colon = line + n + (starts_with(line, name) ? strspn(line + n, " \t") : 0);
        if (starts_with(line, name) && *colon == ':')
            return xstrdup(colon + 1 + strspn(colon + 1, " \t"));
    }
    return NULL;
}

// Word `n` of uname -srm, to be freed, or NULL.
static char *uname_word(const struct host *h, size_t n)
{
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist words = {0};
    if (!host_command(h, "uname", &text))
        return NULL;
    strlist_split(&words, text.data, " \t\n");
    return n < words.n ? xstrdup(words.items[n]) : NULL;
}

char *host_machine(const struct host *h)
{
    static const struct {
        const char *vendor, *machine;
    } vendors[] = {{"IBM/S390", "s390x"}, {"AuthenticAMD", "x86_64"}, {"GenuineIntel", "x86_64"}};
    char *machine = uname_word(h, 2);
    if (machine)
        return machine;
    cleanup_free char *vendor = host_cpu_field(h, "vendor_id");
    for (size_t i = 0; vendor && i < ARRAY_LEN(vendors); i++)
        if (!strcmp(vendor, vendors[i].vendor))
            return xstrdup(vendors[i].machine);
    return xstrdup("");
}

bool host_log(const struct host *h, struct buf *log, struct buf *seen)
{
    if (!host_command(h, "dmesg", log)) {
        buf_puts(seen, "no output of dmesg");
        return false;
    }
    if (!strstr(log->data, "] ")) {
        buf_puts(seen, "the kernel's log can't be read: run this as root");
        return false;
    }
    return true;
}

enum host_state look_file_value(const struct host *h, const struct host_check *c, struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist wanted = {0}, words = {0};
    if (!host_read(h, c->argument, &text)) {
        buf_printf(seen, "there is no /%s", c->argument);
        return HOST_FAIL;
    }
    strlist_split(&wanted, c->wanted, "|");
    strlist_split(&words, text.data, " \t\n");
    buf_printf(seen, "/%s is %s", c->argument, words.n ? words.items[0] : "empty");
    return words.n == 1 && strlist_has(&wanted, words.items[0]) ? HOST_OK : HOST_FAIL;
}

enum host_state look_kernel(const struct host *h, const struct host_check *c, struct buf *seen)
{
    cleanup_free char *release = uname_word(h, 1);
    if (!release) {
        buf_puts(seen, "no output of uname");
        return HOST_SKIP;
    }
    buf_printf(seen, "Linux %s, wanted %s or newer", release, c->wanted);
    return host_compare_version(release, c->wanted) >= 0 ? HOST_OK : HOST_FAIL;
}

enum host_state look_version(const struct host *h, const struct host_check *c, struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    if (!host_command(h, c->argument, &text)) {
        buf_puts(seen, "it is not installed");
        return HOST_FAIL;
    }
    buf_printf(seen, "%.*s, wanted %s or newer", (int)strcspn(text.data, "\n"), text.data,
               c->wanted);
    return host_compare_version(text.data, c->wanted) >= 0 ? HOST_OK : HOST_FAIL;
}

enum host_state look_object(const struct host *h, const struct host_check *c, struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    if (!host_command(h, c->argument, &text)) {
        buf_puts(seen, "QEMU is not installed");
        return HOST_SKIP;
    }
    bool there = host_has_word(text.data, c->wanted);
    buf_printf(seen, "%s %s", c->wanted, there ? "is there" : "is not among QEMU's objects");
    return there ? HOST_OK : HOST_FAIL;
}

enum host_state look_program(const struct host *h, const struct host_check *c, struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist names = {0}, words = {0}, missing = {0};
    host_command(h, "programs", &text);
    strlist_split(&names, c->argument, " ");
    strlist_split(&words, text.data, " \n");
    for (size_t i = 0; i < names.n; i++)
        if (!strlist_has(&words, names.items[i]))
            strlist_add(&missing, names.items[i]);
    cleanup_free char *which = strlist_join(missing.n ? &missing : &names, ", ");
    buf_printf(seen, "%s%s", missing.n ? "not installed: " : "", which);
    return missing.n ? HOST_FAIL : HOST_OK;
}

enum host_state look_device(const struct host *h, const struct host_check *c, struct buf *seen)
{
    return host_device(h, c->argument, seen) ? HOST_OK : HOST_FAIL;
}

enum host_state look_kvm(const struct host *h, const struct host_check *c, struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    if (!host_device(h, "/dev/kvm", seen))
        return HOST_FAIL;
    host_command(h, "kvm-guest", &text);
    size_t length = strcspn(text.data, "\n");
    if (!length) {
        buf_puts(seen, ", and whether it starts guests was not tried");
        return HOST_SKIP;
    }
    bool failed = starts_with(text.data, "failed ");
    buf_printf(seen, failed ? ", but it runs no guest: %.*s" : ", and %.*s",
               (int)(length - (failed ? strlen("failed ") : 0)),
               text.data + (failed ? strlen("failed ") : 0));
    if (failed)
        return HOST_FAIL;
    return starts_with(text.data, "ran a guest") || starts_with(text.data, "made a guest")
               ? HOST_OK
               : HOST_SKIP;
}
