// SPDX-License-Identifier: Apache-2.0
// Asks apt: for the settings of this host, its package sources and what their Release files say;
// and runs a private apt. The configuration file in APT_CONFIG is read before the host's own parts
// (apt.conf(5)), so it can direct apt to kbuild's folders and away from the host's hooks.
#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "source/internal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#define BLANKS " \t\r"
#define APT_FILE_MAX ((size_t)1 << 20)
#define RELEASE_MAX ((size_t)8 << 20)
#define MIRROR_LIST_MAX ((size_t)1 << 20)

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

int apt_setting_path(const char *setting, char **out, struct error **err)
{
    const char *const argv[] = {"apt-config", "shell", "value", setting, NULL};
    struct process p = {.argv = (char *const *)argv, .input = -1};
    cleanup_buf struct buf text = {0};
    buf_puts(&text, "");
    if (process_run(&p, &text, err) < 0)
        return -1;
    // value='/etc/apt/trusted.gpg'
    const char *start = strchr(text.data, '\''), *end = strrchr(text.data, '\'');
    if (!start || end == start)
        return 0;
    *out = xstrndup(start + 1, (size_t)(end - start - 1));
    return 1;
}

// Keys and logins are the host's.
static int add_host_paths(struct buf *out, struct error **err)
{
    static const struct {
        const char *name, *kind;
    } paths[] = {{"Dir::Etc::trusted", "f"},
                 {"Dir::Etc::trustedparts", "d"},
                 {"Dir::Etc::netrc", "f"},
                 {"Dir::Etc::netrcparts", "d"}};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        cleanup_free char *setting = xasprintf("%s/%s", paths[i].name, paths[i].kind);
        cleanup_free char *path = NULL;
        int known = apt_setting_path(setting, &path, err);
        if (known < 0)
            return error_wrap(err, "reading the configuration of apt");
        if (known)
            buf_printf(out, "%s \"%s\";\n", paths[i].name, path);
    }
    return 0;
}

static int apt_configuration(const char *folder, const struct arch *arch, struct buf *out,
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
    if (add_host_paths(out, err) < 0 || apt_settings(out, err) < 0)
        return -1;
    buf_puts(out, "Acquire::ForceHash \"SHA256\";\n");
    return 0;
}

static int write_apt_files(const char *folder, const char *sources, const struct arch *arch,
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
    if (apt_configuration(folder, arch, &text, err) < 0 ||
        file_write(conf, text.data, text.len, 0600, err) < 0 ||
        file_write(list, sources, strlen(sources), 0600, err) < 0 ||
        file_write(status, "", 0, 0600, err) < 0)
        return -1;
    return 0;
}

// The caller's environment (with its proxies), but messages in English and this configuration.
static void set_apt_environment(struct apt *a)
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
    set_apt_environment(a);
    if (write_apt_files(a->folder, sources, arch, err) == 0)
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

// ---- the options of an entry of sources.list(5), in either of its two formats ----

// The others (arch, lang, target, pdiffs) select indexes, and apt reports its selection.
static const char *const kept_options[] = {
    "Signed-By",       "Trusted",    "Check-Valid-Until", "Valid-Until-Min",
    "Valid-Until-Max", "Check-Date", "Date-Max-Future",   "By-Hash",
    "Allow-Insecure",  "Allow-Weak", "Snapshot",          "Allow-Downgrade-To-Insecure",
};

static void keep_option(const char *name, size_t length, const char *value, struct strlist *out)
{
    for (size_t i = 0; i < ARRAY_LEN(kept_options); i++)
        if (strncasecmp(kept_options[i], name, length) == 0 && !kept_options[i][length])
            strlist_addf(out, "%s: %s", kept_options[i], value);
}

// "deb [arch=amd64 signed-by=a,b] uri suite component..."
static void read_entry_line(const char *line, struct strlist *out)
{
    const char *start = line + strspn(line, BLANKS);
    start += strcspn(start, BLANKS); // "deb"
    start += strspn(start, BLANKS);
    const char *end = *start == '[' ? strchr(start, ']') : NULL;
    if (!end)
        return;
    cleanup_free char *inside = xstrndup(start + 1, (size_t)(end - start - 1));
    cleanup_strlist struct strlist words = {0};
    strlist_split(&words, inside, BLANKS);
    for (size_t i = 0; i < words.n; i++) {
        const char *equals = strchr(words.items[i], '=');
        if (equals)
            keep_option(words.items[i], (size_t)(equals - words.items[i]), equals + 1, out);
    }
}

// ---- deb822(5): fields whose values continue in lines that begin with a blank ----

static void end_option_field(struct buf *field, struct strlist *out)
{
    const char *colon = field->len ? strchr(field->data, ':') : NULL;
    if (colon) {
        const char *value = colon + 1 + strspn(colon + 1, BLANKS);
        size_t n = strlen(value);
        while (n && strchr(BLANKS "\n", value[n - 1]))
            n--;
        cleanup_free char *trimmed = xstrndup(value, n);
        keep_option(field->data, (size_t)(colon - field->data), trimmed, out);
    }
    field->len = 0;
}

static bool is_blank_line(const char *line)
{
    return line[strspn(line, BLANKS)] == '\0';
}

// The stanza's fields. Comments may stand between the lines of a value.
static void read_entry_stanza(char *text, size_t wanted, struct strlist *out)
{
    cleanup_buf struct buf field = {0};
    size_t stanza = 0;
    bool inside = false;
    for (char *line; (line = strsep(&text, "\n"));) {
        if (*line == '#')
            continue;
        if (is_blank_line(line)) {
            end_option_field(&field, out);
            inside = false;
            continue;
        }
        stanza += !inside;
        inside = true;
        if (stanza != wanted)
            continue;
        if (*line != ' ' && *line != '\t')
            end_option_field(&field, out);
        buf_printf(&field, "%s%s", field.len ? "\n" : "", line);
    }
    end_option_field(&field, out);
}

static void read_entry_at_line(char *text, size_t wanted, struct strlist *out)
{
    char *line = strsep(&text, "\n");
    for (size_t i = 1; line && i < wanted; i++)
        line = strsep(&text, "\n");
    if (line)
        read_entry_line(line, out);
}

void apt_entry_parse(char *text, bool deb822, size_t number, struct strlist *out)
{
    if (deb822)
        read_entry_stanza(text, number, out);
    else
        read_entry_at_line(text, number, out);
}

int apt_entry_options(const char *entry, struct strlist *out, struct error **err)
{
    const char *colon = strrchr(entry, ':');
    if (!colon)
        return error_user(err, "apt calls an entry of its sources \"%s\", which is not FILE:NUMBER",
                          entry);
    cleanup_free char *path = xstrndup(entry, (size_t)(colon - entry));
    size_t number = strtoul(colon + 1, NULL, 10);
    cleanup_buf struct buf text = {0};
    if (file_read(path, APT_FILE_MAX, &text, err) < 0)
        return -1;
    if (text.data)
        apt_entry_parse(text.data, ends_with(path, ".sources"), number, out);
    return 0;
}

// ---- what apt is configured with ----

void apt_places_free(struct apt_places *l)
{
    for (size_t i = 0; i < l->n; i++) {
        struct apt_place *p = &l->items[i];
        free(p->entry);
        free(p->uri);
        free(p->suite);
        free(p->release_path);
        free(p->codename);
        free(p->origin);
        strlist_free(&p->components);
        strlist_free(&p->architectures);
        strlist_free(&p->options);
    }
    free(l->items);
    *l = (struct apt_places){0};
}

enum apt_field { ENTRY, URI, SUITE, COMPONENT, ARCHITECTURE, FILENAME, FIELDS };
#define TARGET_FORMAT                                                                              \
    "$(SOURCESENTRY)\t$(REPO_URI)\t$(RELEASE)\t$(COMPONENT)\t$(ARCHITECTURE)\t$(FILENAME)"

// The first mirror of a list of mirrors (apt-transport-mirror(1)): the one with the lowest
// priority, if any has one; to be freed. apt's downloader of single files does not read such lists.
static char *first_mirror(const char *list)
{
    cleanup_buf struct buf text = {0};
    cleanup_error struct error *ignored = NULL;
    cleanup_strlist struct strlist lines = {0};
    char *first = NULL;
    unsigned long best = ULONG_MAX;
    if (file_read(list, MIRROR_LIST_MAX, &text, &ignored) < 0 || !text.data)
        return NULL;
    strlist_split(&lines, text.data, "\n");
    for (size_t i = 0; i < lines.n; i++) {
        cleanup_strlist struct strlist words = {0};
        unsigned long priority = ULONG_MAX;
        strlist_split(&words, lines.items[i], " \t\r");
        for (size_t k = 1; k < words.n; k++)
            if (starts_with(words.items[k], "priority:"))
                priority = strtoul(words.items[k] + strlen("priority:"), NULL, 10);
        if (!words.n || *words.items[0] == '#' || (first && priority >= best))
            continue;
        free(first);
        first = xstrdup(words.items[0]);
        best = priority;
    }
    return first;
}

char *apt_readable_uri(const char *uri)
{
    if (starts_with(uri, "mirror+file:")) {
        cleanup_free char *list = xstrdup(uri + strlen("mirror+file:"));
        size_t n = strlen(list);
        while (n > 1 && list[n - 1] == '/')
            list[--n] = '\0';
        cleanup_free char *mirror = first_mirror(list + (starts_with(list, "//") ? 2 : 0));
        return mirror ? apt_readable_uri(mirror) : xstrdup(uri);
    }
    return starts_with(uri, "file:") ? xasprintf("copy:%s", uri + strlen("file:")) : xstrdup(uri);
}

// "<lists>/mirror.example_debian_dists_bookworm_main_binary-amd64_Packages": up to the component.
static char *release_path(const char *filename, const char *suite)
{
    cleanup_free char *middle = xasprintf("_dists_%s_", suite);
    for (char *p = middle; *p; p++)
        if (*p == '/')
            *p = '_';
    const char *at = filename, *found = NULL;
    while ((at = strstr(at, middle)))
        found = at++;
    return found ? xstrndup(filename, (size_t)(found - filename) + strlen(middle)) : NULL;
}

static struct apt_place *apt_place_named(struct apt_places *l, char *const *fields, const char *uri)
{
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->items[i].entry, fields[ENTRY]) && !strcmp(l->items[i].uri, uri) &&
            !strcmp(l->items[i].suite, fields[SUITE]))
            return &l->items[i];
    l->items = xgrow(l->items, &l->cap, l->n + 1, sizeof *l->items);
    struct apt_place *p = &l->items[l->n++];
    *p = (struct apt_place){.entry = xstrdup(fields[ENTRY]),
                            .uri = xstrdup(uri),
                            .suite = xstrdup(fields[SUITE]),
                            .release_path = release_path(fields[FILENAME], fields[SUITE])};
    return p;
}

// A flat repository (no components) is never the distribution's own; cdroms need manual work.
static void add_target(struct apt_places *l, char *line)
{
    char *fields[FIELDS];
    for (size_t i = 0; i < FIELDS; i++)
        if (!(fields[i] = strsep(&line, "\t")))
            return;
    if (*fields[COMPONENT] == '$' || starts_with(fields[URI], "cdrom:"))
        return;
    cleanup_free char *uri = apt_readable_uri(fields[URI]);
    struct apt_place *p = apt_place_named(l, fields, uri);
    strlist_add_once(&p->components, fields[COMPONENT]);
    strlist_add_once(&p->architectures, fields[ARCHITECTURE]);
}

void apt_places_parse(const char *text, struct apt_places *out)
{
    cleanup_strlist struct strlist lines = {0};
    strlist_split(&lines, text, "\n");
    for (size_t i = 0; i < lines.n; i++)
        add_target(out, lines.items[i]);
}

// Of the machine's apt, or of a private one. Requests all architectures: an entry without an
// architecture has all of them.
int apt_places_list(const struct apt *private, struct apt_places *out, struct error **err)
{
    cleanup_strlist struct strlist argv = {0};
    cleanup_buf struct buf text = {0};
    strlist_split(&argv, "apt-get indextargets --no-release-info", " ");
    for (size_t i = 0; i < arch_count; i++)
        strlist_addf(&argv, "-oAPT::Architectures::=%s", arch_table[i].debian);
    strlist_add(&argv, "--format");
    strlist_add(&argv, TARGET_FORMAT);
    strlist_add(&argv, "Created-By: Packages");
    buf_puts(&text, "");
    struct process p = {.argv = argv.items, .input = -1};
    if ((private ? apt_run(private, (const char *const *)argv.items, NULL, &text, err)
                 : process_run(&p, &text, err)) < 0)
        return error_hint(err, "the distribution's packages need apt on this machine (Debian or "
                               "Ubuntu), and sources that apt can read");
    apt_places_parse(text.data, out);
    return 0;
}

// ---- Release files ----

char *deb822_field(const char *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncasecmp(line, name, length) != 0 || line[length] != ':')
            continue;
        const char *value = line + length + 1;
        value += strspn(value, " \t");
        size_t n = strcspn(value, "\r\n");
        while (n && strchr(" \t", value[n - 1]))
            n--;
        return xstrndup(value, n);
    }
    return NULL;
}

// From the file that apt keeps after verification.
void apt_place_read_release(struct apt_place *p, const char *path)
{
    static const char *const names[] = {"InRelease", "Release"};
    for (size_t i = 0; path && i < ARRAY_LEN(names) && !p->origin; i++) {
        cleanup_free char *file = xasprintf("%s%s", path, names[i]);
        cleanup_buf struct buf text = {0};
        cleanup_error struct error *ignored = NULL;
        if (!path_exists(file) || file_read(file, RELEASE_MAX, &text, &ignored) < 0 || !text.data)
            continue;
        p->codename = deb822_field(text.data, "Codename");
        p->origin = deb822_field(text.data, "Origin");
        if (!p->origin)
            p->origin = xstrdup("");
    }
}
