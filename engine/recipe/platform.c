// SPDX-License-Identifier: Apache-2.0
// Finds architectures by any of their names, and the distribution of this host from os-release(5),
// or the one that it is derived from.
#include "recipe/platform.h"

#include "base/file.h"

#include <string.h>
#include <sys/utsname.h>

// ---- architectures ----

const struct arch arch_table[] = {
    {"x86_64", "amd64", "x86_64", "x86_64-linux-gnu", "x86_64", "amd64"},
    {"s390x", "s390x", "s390", "s390x-linux-gnu", "s390x", "s390x"},
    {"aarch64", "arm64", "arm64", "aarch64-linux-gnu", "aarch64", "arm64"},
    {"ppc64le", "ppc64el", "powerpc", "powerpc64le-linux-gnu", "ppc64", "ppc64le"},
};
const size_t arch_count = ARRAY_LEN(arch_table);

static const struct arch *lookup_arch(const char *name)
{
    for (size_t i = 0; i < arch_count; i++) {
        const struct arch *a = &arch_table[i];
        if (!strcmp(name, a->name) || !strcmp(name, a->debian) || !strcmp(name, a->linux_) ||
            !strcmp(name, a->oci))
            return a;
    }
    return NULL;
}

const struct arch *arch_find(const char *name, struct error **err)
{
    const struct arch *found = lookup_arch(name);
    if (found)
        return found;
    struct strlist names = {0};
    for (size_t i = 0; i < arch_count; i++)
        strlist_add(&names, arch_table[i].name);
    const char *nearest = nearest_name(name, &names);
    cleanup_free char *all = strlist_join(&names, ", ");
    error_user(err, "unknown architecture '%s'", name);
    if (nearest)
        error_hint(err, "did you mean %s? (known: %s)", nearest, all);
    else
        error_hint(err, "known architectures: %s", all);
    strlist_free(&names);
    return NULL;
}

const struct arch *arch_host(void)
{
    struct utsname u;
    const struct arch *found = uname(&u) == 0 ? lookup_arch(u.machine) : NULL;
    return found ? found : &arch_table[0];
}

char *arch_expand(const char *text, const struct arch *a)
{
    const struct placeholder names[] = {{"{arch}", a->name}, {"{linux_arch}", a->linux_}};
    return placeholders_expand(text, names, ARRAY_LEN(names));
}

// ---- distribution ----

#define OS_RELEASE_MAX ((size_t)1 << 16)

// The value of NAME in os-release text without quotes, to be freed; NULL if absent or empty.
static char *release_value(const char *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) != 0 || line[length] != '=')
            continue;
        const char *value = line + length + 1;
        size_t n = strcspn(value, "\r\n");
        if (n >= 2 && (*value == '"' || *value == '\'') && value[n - 1] == *value) {
            value++;
            n -= 2;
        }
        return n ? xstrndup(value, n) : NULL;
    }
    return NULL;
}

// The names of Debian's releases in /etc/debian_version, before the point.
static const struct {
    const char *number, *codename;
} debian_releases[] = {
    {"10", "buster"}, {"11", "bullseye"}, {"12", "bookworm"},
    {"13", "trixie"}, {"14", "forky"},    {"15", "duke"},
};

// Derivatives that rebuild the whole archive: they have their own mirrors and code names.
static const char *const own_archives[] = {"devuan", "kali", "parrot", "pureos", "raspbian"};

static bool has_own_archive(const char *id)
{
    for (size_t i = 0; i < ARRAY_LEN(own_archives); i++)
        if (!strcmp(id, own_archives[i]))
            return true;
    return false;
}

// "12.5", or "trixie/sid" before a release; to be freed, NULL for other text.
static char *debian_codename(const char *path)
{
    cleanup_buf struct buf text = {0};
    if (!path_exists(path) || file_read(path, OS_RELEASE_MAX, &text, NULL) < 0 || !text.data)
        return NULL;
    size_t length = strcspn(text.data, "./ \t\r\n");
    if (*text.data >= 'a' && *text.data <= 'z' && text.data[length] == '/')
        return xstrndup(text.data, length);
    for (size_t i = 0; i < ARRAY_LEN(debian_releases); i++)
        if (strlen(debian_releases[i].number) == length &&
            !strncmp(text.data, debian_releases[i].number, length))
            return xstrdup(debian_releases[i].codename);
    return NULL;
}

static bool is_like(const char *text, const char *id)
{
    cleanup_free char *like = release_value(text, "ID_LIKE");
    cleanup_strlist struct strlist ids = {0};
    if (like)
        strlist_split(&ids, like, " \t");
    return strlist_has(&ids, id);
}

// A derivative installs its parent's packages, so the parent and its code name are used. Ubuntu
// comes first: its derivatives name Debian, too.
static void use_parent(const char *text, const char *debian_version, struct distribution *out)
{
    cleanup_free char *id = NULL, *codename = NULL;
    if (out->id && (!strcmp(out->id, "debian") || !strcmp(out->id, "ubuntu")))
        return;
    if (is_like(text, "ubuntu") && (codename = release_value(text, "UBUNTU_CODENAME")))
        id = xstrdup("ubuntu");
    else if (is_like(text, "debian") && !is_like(text, "ubuntu")) {
        codename = release_value(text, "DEBIAN_CODENAME");
        if (!codename && out->id && !has_own_archive(out->id))
            codename = debian_codename(debian_version);
        id = codename ? xstrdup("debian") : NULL;
    }
    if (!id)
        return;
    distribution_free(out);
    *out = (struct distribution){.id = steal(id), .codename = steal(codename)};
}

int distribution_read(const char *path, const char *debian_version, struct distribution *out,
                      struct error **err)
{
    cleanup_buf struct buf text = {0};
    *out = (struct distribution){0};
    if (file_read(path, OS_RELEASE_MAX, &text, err) < 0)
        return -1;
    const char *lines = text.data ? text.data : "";
    out->id = release_value(lines, "ID");
    out->codename = release_value(lines, "VERSION_CODENAME");
    use_parent(lines, debian_version, out);
    if (out->id && !out->codename && !strcmp(out->id, "debian")) // testing and unstable have none
        out->codename = debian_codename(debian_version);
    if (out->id && out->codename)
        return 0;
    error_user(err, "%s names no %s", path, out->id ? "VERSION_CODENAME" : "ID");
    distribution_free(out);
    return error_hint(err, "builders are made from Debian or Ubuntu packages; on another "
                           "distribution use --builder=host");
}

int distribution_host(struct distribution *out, struct error **err)
{
    const char *path = path_exists("/etc/os-release") ? "/etc/os-release" : "/usr/lib/os-release";
    if (distribution_read(path, "/etc/debian_version", out, err) < 0)
        return error_wrap(err, "detecting this host's distribution");
    return 0;
}

void distribution_free(struct distribution *d)
{
    free(d->id);
    free(d->codename);
    *d = (struct distribution){0};
}
