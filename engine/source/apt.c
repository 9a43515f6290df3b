// SPDX-License-Identifier: Apache-2.0
// Runs a private apt: the configuration file in APT_CONFIG is read before the host's own parts
// (apt.conf(5)), so it can direct apt to kbuild's folders and away from the host's hooks.
#include "source/apt.h"

#include "base/file.h"
#include "base/error.h"
#include "base/process.h"

#include <errno.h>
#include <string.h>

struct apt {
    char *folder;
    struct strlist environment;
};

// ---- configuration ----
// Settings on how to reach a mirror. Hooks (APT::Update::Post-Invoke...) are not among them.
static const char *const kept_settings[] = {
    "Acquire::http::",
    "Acquire::https::",
    "Acquire::ftp::",
    "Acquire::socks::",
    "Acquire::Check-",
    "Acquire::Max-ValidTime",
    "Acquire::Min-ValidTime",
    "Acquire::ForceIPv",
    "Acquire::EnableSrvRecords",
    "Acquire::Retries",
    "Acquire::ForceHash",
    "Acquire::Queue-",
    "Acquire::AllowReleaseInfoChange",
};

static bool setting_is_kept(const char *line)
{
    for (size_t i = 0; i < ARRAY_LEN(kept_settings); i++)
        if (starts_with(line, kept_settings[i]))
            return true;
    return false;
}

int apt_settings(struct buf *out, struct error **err)
{
    static const char *const argv[] = {"apt-config", "dump", "--no-empty", NULL};
    struct process p = {.argv = (char *const *)argv, .input = -1};
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist lines = {0};
    buf_puts(&text, "");
    if (process_run(&p, &text, err) < 0)
        return error_wrap(err, "reading the configuration of apt");
    strlist_split(&lines, text.data, "\n");
    bool retries = false;
    for (size_t i = 0; i < lines.n; i++) {
        if (!setting_is_kept(lines.items[i]))
            continue;
        buf_printf(out, "%s\n", lines.items[i]);
        retries = retries || starts_with(lines.items[i], "Acquire::Retries");
    }
    if (!retries)
        buf_puts(out, "Acquire::Retries \"3\";\n");
    return 0;
}

char *apt_setting_path(const char *setting, struct error **err)
{
    const char *const argv[] = {"apt-config", "shell", "value", setting, NULL};
    struct process p = {.argv = (char *const *)argv, .input = -1};
    cleanup_buf struct buf text = {0};
    buf_puts(&text, "");
    if (process_run(&p, &text, err) < 0)
        return NULL;
    // value='/etc/apt/trusted.gpg'
    const char *start = strchr(text.data, '\''), *end = strrchr(text.data, '\'');
    if (start && end != start)
        return xstrndup(start + 1, (size_t)(end - start - 1));
    error_user(err, "apt-config does not know %s", setting);
    return NULL;
}

// Keys and logins are the host's.
static int host_paths(struct buf *out, struct error **err)
{
    static const struct {
        const char *name, *kind;
    } paths[] = {{"Dir::Etc::trusted", "f"},
                 {"Dir::Etc::trustedparts", "d"},
                 {"Dir::Etc::netrc", "f"},
                 {"Dir::Etc::netrcparts", "d"}};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        cleanup_free char *setting = xasprintf("%s/%s", paths[i].name, paths[i].kind);
        cleanup_free char *path = apt_setting_path(setting, err);
        if (!path)
            return error_wrap(err, "reading the configuration of apt");
        buf_printf(out, "%s \"%s\";\n", paths[i].name, path);
    }
    return 0;
}

static int configuration(const char *folder, const struct arch *arch, struct buf *out,
                         struct error **err)
{
    if (strpbrk(folder, "\"\\\n"))
        return error_user(err, "apt can't work in %s: the path holds a quote or backslash", folder);
    buf_printf(out,
               "Dir \"%s/\";\n"
               "Dir::State \"state/\";\n"
               "Dir::State::status \"%s/state/status\";\n"
               "Dir::Cache \"cache/\";\n"
               "Dir::Log \"log/\";\n"
               "Dir::Etc \"etc/\";\n"
               "APT::Architecture \"%s\";\n"
               "APT::Architectures { \"%s\"; };\n"
               // Root's downloads would be made by the user _apt, who can't write to this folder.
               "APT::Sandbox::User \"root\";\n"
               "APT::Install-Recommends \"false\";\n"
               "Acquire::Languages \"none\";\n"
               "Acquire::PDiffs \"false\";\n",
               folder, folder, arch->debian, arch->debian);
    if (host_paths(out, err) < 0 || apt_settings(out, err) < 0)
        return -1;
    buf_puts(out, "Acquire::ForceHash \"SHA256\";\n");
    return 0;
}

static int write_files(const char *folder, const char *sources, const struct arch *arch,
                       struct error **err)
{
    static const char *const folders[] = {
        "state/lists/partial", "cache/archives/partial", "log",
        "etc/sources.list.d",  "etc/apt.conf.d",         "etc/preferences.d"};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        cleanup_free char *path = xasprintf("%s/%s", folder, folders[i]);
        if (make_directories(path, 0700, err) < 0)
            return -1;
    }
    cleanup_buf struct buf text = {0};
    cleanup_free char *conf = xasprintf("%s/apt.conf", folder);
    cleanup_free char *list = xasprintf("%s/etc/sources.list.d/kbuild.sources", folder);
    cleanup_free char *status = xasprintf("%s/state/status", folder);
    if (configuration(folder, arch, &text, err) < 0 ||
        file_write(conf, text.data, text.len, 0600, err) < 0 ||
        file_write(list, sources, strlen(sources), 0600, err) < 0 ||
        file_write(status, "", 0, 0600, err) < 0)
        return -1;
    return 0;
}

// The caller's environment (with its proxies), but messages in English and this configuration.
static void set_environment(struct apt *a)
{
    for (char **e = environ; *e; e++)
        if (!starts_with(*e, "APT_CONFIG=") && !starts_with(*e, "LC_ALL=") &&
            !starts_with(*e, "LANGUAGE="))
            strlist_add(&a->environment, *e);
    strlist_addf(&a->environment, "APT_CONFIG=%s/apt.conf", a->folder);
    strlist_add(&a->environment, "LC_ALL=C.UTF-8");
}

int apt_run(const struct apt *a, const char *const argv[], const char *directory, struct buf *out,
            struct error **err)
{
    struct process p = {.argv = (char *const *)argv,
                        .environment = a->environment.items,
                        .directory = directory,
                        .input = -1};
    cleanup_buf struct buf ignored = {0};
    if (out)
        buf_puts(out, ""); // a string, even without output
    return process_run(&p, out ? out : &ignored, err);
}

struct apt *apt_open(const char *folder, const char *sources, const struct arch *arch,
                     struct error **err)
{
    struct apt *a = xcalloc(1, sizeof *a);
    a->folder = path_absolute(folder);
    set_environment(a);
    if (write_files(a->folder, sources, arch, err) == 0)
        return a;
    error_wrap(err, "preparing apt in %s", folder);
    apt_close(a);
    return NULL;
}

int apt_update(struct apt *a, bool releases_only, struct error **err)
{
    static const char *const all[] = {"apt-get", "-q", "update", "-oAPT::Update::Error-Mode=any",
                                      NULL};
    static const char *const releases[] = {
        "apt-get",
        "-q",
        "update",
        "-oAcquire::Retries=0",
        "-oAcquire::IndexTargets::deb::Packages::DefaultEnabled=false",
        NULL,
    };
    progress("updating the package indexes", 0, 0, "bytes");
    if (apt_run(a, releases_only ? releases : all, NULL, NULL, err) == 0)
        return 0;
    error_wrap(err, "fetching the package indexes of the distribution");
    if (!(*err)->hint)
        error_hint(err,
                   "see whether `apt-get update` works on this machine; REPO_URL names another "
                   "mirror, and REPO_KEYRING the file of keys that it is signed with");
    return -1;
}

void apt_close(struct apt *a)
{
    if (!a)
        return;
    strlist_free(&a->environment);
    free(a->folder);
    free(a);
}
