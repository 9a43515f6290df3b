// SPDX-License-Identifier: Apache-2.0
// The facts of a machine that checks read (its processor, architecture, kernel's log), and the
// checks that more than one group has: of a version, a program, a device, KVM.
#include "doctor/internal.h"

#include <ctype.h>
#include <string.h>

// ---- facts of a machine, for checks ----

bool doctor_has_word(const char *text, const char *word)
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

int doctor_compare_version(const char *text, const char *version)
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

char *doctor_cpu_field(const struct host *h, const char *name)
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
static char *read_uname_word(const struct host *h, size_t n)
{
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist words = {0};
    if (!host_command(h, "uname", &text))
        return NULL;
    strlist_split(&words, text.data, " \t\n");
    return n < words.n ? xstrdup(words.items[n]) : NULL;
}

char *doctor_machine(const struct host *h)
{
    static const struct {
        const char *vendor, *machine;
    } vendors[] = {{"IBM/S390", "s390x"}, {"AuthenticAMD", "x86_64"}, {"GenuineIntel", "x86_64"}};
    char *machine = read_uname_word(h, 2);
    if (machine)
        return machine;
    cleanup_free char *vendor = doctor_cpu_field(h, "vendor_id");
    for (size_t i = 0; vendor && i < ARRAY_LEN(vendors); i++)
        if (!strcmp(vendor, vendors[i].vendor))
            return xstrdup(vendors[i].machine);
    return xstrdup("");
}

bool doctor_kernel_log(const struct host *h, struct buf *log, struct buf *seen)
{
    if (!host_command(h, "dmesg", log)) {
        buf_puts(seen, "no output of dmesg");
        return false;
    }
    if (!strstr(log->data, "] ")) {
        buf_puts(seen, "the kernel's log cannot be read: run this as root");
        return false;
    }
    return true;
}

// ---- checks of several groups ----

enum doctor_state doctor_check_file_value(const struct host *h, const struct doctor_check *c,
                                          struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist accepted = {0}, words = {0};
    if (!host_read(h, c->argument, &text)) {
        buf_printf(seen, "/%s does not exist", c->argument);
        return DOCTOR_FAIL;
    }
    strlist_split(&accepted, c->value, "|");
    strlist_split(&words, text.data, " \t\n");
    buf_printf(seen, "/%s is %s", c->argument, words.n ? words.items[0] : "empty");
    return words.n == 1 && strlist_has(&accepted, words.items[0]) ? DOCTOR_OK : DOCTOR_FAIL;
}

enum doctor_state doctor_check_kernel(const struct host *h, const struct doctor_check *c,
                                      struct buf *seen)
{
    cleanup_free char *release = read_uname_word(h, 1);
    if (!release) {
        buf_puts(seen, "no output of uname");
        return DOCTOR_SKIP;
    }
    buf_printf(seen, "Linux %s; %s or newer is required", release, c->value);
    return doctor_compare_version(release, c->value) >= 0 ? DOCTOR_OK : DOCTOR_FAIL;
}

enum doctor_state doctor_check_version(const struct host *h, const struct doctor_check *c,
                                       struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    if (!host_command(h, c->argument, &text)) {
        buf_puts(seen, "it is not installed");
        return DOCTOR_FAIL;
    }
    buf_printf(seen, "%.*s; %s or newer is required", (int)strcspn(text.data, "\n"), text.data,
               c->value);
    return doctor_compare_version(text.data, c->value) >= 0 ? DOCTOR_OK : DOCTOR_FAIL;
}

enum doctor_state doctor_check_qemu_object(const struct host *h, const struct doctor_check *c,
                                           struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    if (!host_command(h, c->argument, &text)) {
        buf_puts(seen, "QEMU is not installed");
        return DOCTOR_SKIP;
    }
    bool there = doctor_has_word(text.data, c->value);
    buf_printf(seen, "%s %s", c->value, there ? "is there" : "is not one of QEMU's objects");
    return there ? DOCTOR_OK : DOCTOR_FAIL;
}

enum doctor_state doctor_check_programs(const struct host *h, const struct doctor_check *c,
                                        struct buf *seen)
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
    return missing.n ? DOCTOR_FAIL : DOCTOR_OK;
}

enum doctor_state doctor_check_device(const struct host *h, const struct doctor_check *c,
                                      struct buf *seen)
{
    return host_device(h, c->argument, seen) ? DOCTOR_OK : DOCTOR_FAIL;
}

enum doctor_state doctor_check_kvm(const struct host *h, const struct doctor_check *c,
                                   struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    if (!host_device(h, "/dev/kvm", seen))
        return DOCTOR_FAIL;
    host_command(h, "kvm-guest", &text);
    size_t length = strcspn(text.data, "\n");
    if (!length) {
        buf_puts(seen, ", but starting a guest was not tried");
        return DOCTOR_SKIP;
    }
    bool failed = starts_with(text.data, "failed ");
    buf_printf(seen, failed ? ", but it cannot run a guest: %.*s" : ", and %.*s",
               (int)(length - (failed ? strlen("failed ") : 0)),
               text.data + (failed ? strlen("failed ") : 0));
    if (failed)
        return DOCTOR_FAIL;
    return starts_with(text.data, "ran a guest") || starts_with(text.data, "made a guest")
               ? DOCTOR_OK
               : DOCTOR_SKIP;
}
