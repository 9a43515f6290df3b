// SPDX-License-Identifier: Apache-2.0
// Reads git's configuration, finds its entries for a url, and asks credential helpers.
#include "base/file.h"
#include "base/process.h"
#include "http/internal.h"
#include "http/libgit2.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

struct setting {
    char *name, *value; // "http.https://x/.proxy"; value: NULL if the key has none
};
static struct {
    struct setting *items;
    size_t n, cap;
    struct error *failure;
} settings;
static pthread_once_t settings_once = PTHREAD_ONCE_INIT;

static void add_setting(const char *name, const char *value)
{
    settings.items = xgrow(settings.items, &settings.cap, settings.n + 1, sizeof *settings.items);
    settings.items[settings.n++] = (struct setting){xstrdup(name), value ? xstrdup(value) : NULL};
}

// "name\nvalue\0", or "name\0" for a key without a value.
static int read_settings_from_git(struct error **err)
{
    static const char *const argv[] = {"git", "config", "--null", "--list", NULL};
    cleanup_buf struct buf text = {0};
    struct process p = {.argv = (char *const *)argv, .input = -1};
    if (process_run(&p, &text, err) < 0)
        return error_wrap(err, "reading git's configuration");
    for (size_t at = 0; at < text.len; at += strlen(text.data + at) + 1) {
        char *value = strchr(text.data + at, '\n');
        if (!value) {
            add_setting(text.data + at, NULL);
            continue;
        }
        cleanup_free char *name = xstrndup(text.data + at, (size_t)(value - (text.data + at)));
        add_setting(name, value + 1);
    }
    return 0;
}

static int add_entry(const git_config_entry *entry, void *context)
{
    add_setting(entry->name, entry->value);
    return 0;
}

static int read_settings_from_files(struct error **err)
{
    git_config *config = NULL;
    git_libgit2_init();
    int result = git_config_open_default(&config);
    if (result == 0)
        result = git_config_foreach(config, add_entry, NULL);
    git_config_free(config);
    if (result == 0)
        return 0;
    const git_error *last = git_error_last();
    return error_user(err, "reading git's configuration: %s",
                      last && last->message ? last->message : "libgit2 failed");
}

static void read_settings(void)
{
    cleanup_free char *git = find_program("git");
    if (git)
        read_settings_from_git(&settings.failure);
    else
        read_settings_from_files(&settings.failure);
}

static int settings_ready(struct error **err)
{
    pthread_once(&settings_once, read_settings);
    if (!settings.failure)
        return 0;
    error_user(err, "%s", settings.failure->message);
    return -1;
}

// ---- "http.<url>.*" ----
struct url_parts {
    char *scheme, *user, *host, *port, *path;
};

static void url_parts_free(struct url_parts *p)
{
    free(p->scheme);
    free(p->user);
    free(p->host);
    free(p->port);
    free(p->path);
}
#define cleanup_url_parts __attribute__((cleanup(url_parts_free)))

// libcurl's parser refuses a '*' in a host, so "_wild_" replaces it.
static bool url_parts_of(const char *url, struct url_parts *out)
{
    static const struct placeholder star[] = {{"*", "_wild_"}};
    cleanup_free char *text = placeholders_expand(url, star, ARRAY_LEN(star));
    CURLU *u = curl_url();
    bool good = u && strstr(url, "://") &&
                curl_url_set(u, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
    *out = (struct url_parts){0};
    if (good) {
        out->scheme = url_part(u, CURLUPART_SCHEME, 0);
        out->user = url_part(u, CURLUPART_USER, CURLU_URLDECODE);
        out->host = url_part(u, CURLUPART_HOST, 0);
        out->port = url_part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
        out->path = url_part(u, CURLUPART_PATH, 0);
    }
    curl_url_cleanup(u);
    return good && out->scheme && out->host;
}

// Label by label; "*" stands for exactly one.
static bool host_matches(const char *pattern, const char *host)
{
    for (;;) {
        size_t p = strcspn(pattern, "."), h = strcspn(host, ".");
        bool wild = p == strlen("_wild_") && strncmp(pattern, "_wild_", p) == 0;
        if (!wild && (p != h || strncasecmp(pattern, host, p) != 0))
            return false;
        if (!pattern[p] || !host[h])
            return !pattern[p] && !host[h];
        pattern += p + 1;
        host += h + 1;
    }
}

static bool path_matches(const char *pattern, const char *path, size_t *length)
{
    size_t n = strlen(pattern);
    while (n && pattern[n - 1] == '/')
        n--;
    *length = n;
    return strncmp(pattern, path, n) == 0 && (!path[n] || path[n] == '/');
}

static bool same_ignoring_case(const char *a, const char *b)
{
    return a && b ? strcasecmp(a, b) == 0 : a == b;
}

// How well a pattern matches: by host, then path, then user.
struct fit {
    size_t host, path;
    bool user;
};

// git counts the pattern's own characters: "*" is one.
static size_t host_length(const char *host)
{
    size_t n = strlen(host);
    for (const char *at = host; (at = strstr(at, "_wild_")); at++)
        n -= strlen("_wild_") - 1;
    return n;
}

static bool pattern_fits(const char *pattern, const struct url_parts *url, struct fit *out)
{
    cleanup_url_parts struct url_parts p;
    if (!url_parts_of(pattern, &p))
        return false;
    *out = (struct fit){.host = host_length(p.host), .user = p.user != NULL};
    return same_ignoring_case(p.scheme, url->scheme) && host_matches(p.host, url->host) &&
           same_ignoring_case(p.port, url->port) &&
           path_matches(p.path ? p.path : "", url->path ? url->path : "", &out->path) &&
           (!p.user || (url->user && strcmp(p.user, url->user) == 0));
}

static int fit_order(const struct fit *a, const struct fit *b)
{
    if (a->host != b->host)
        return a->host < b->host ? -1 : 1;
    if (a->path != b->path)
        return a->path < b->path ? -1 : 1;
    return (int)a->user - (int)b->user;
}

// The pattern in "section.<pattern>.key", to be freed; "" for "section.key"; NULL for other names.
static char *pattern_in(const char *name, const char *section, const char *key)
{
    size_t s = strlen(section), n = strlen(name), k = strlen(key);
    if (strncasecmp(name, section, s) != 0 || name[s] != '.' || n < s + 1 + k ||
        strcasecmp(name + n - k, key) != 0 || name[n - k - 1] != '.')
        return NULL;
    return n == s + 1 + k ? xstrdup("") : xstrndup(name + s + 1, n - k - s - 2);
}

// Visits all values in order, without those that match worse than an earlier one.
static int visit_settings(const char *section, const char *key, const char *url,
                          void (*visit)(const char *value, void *context), void *context,
                          struct error **err)
{
    struct fit best = {0};
    cleanup_url_parts struct url_parts parts = {0};
    if (settings_ready(err) < 0)
        return -1;
    bool is_url = url_parts_of(url, &parts);
    for (size_t i = 0; i < settings.n; i++) {
        cleanup_free char *pattern = pattern_in(settings.items[i].name, section, key);
        struct fit fit = {0};
        if (!pattern || (*pattern && (!is_url || !pattern_fits(pattern, &parts, &fit))) ||
            fit_order(&fit, &best) < 0)
            continue;
        best = fit;
        visit(settings.items[i].value ? settings.items[i].value : "true", context);
    }
    return 0;
}

static void keep_last_value(const char *value, void *context)
{
    *(const char **)context = value;
}

int git_setting(const char *section, const char *key, const char *url, const char **out,
                struct error **err)
{
    *out = NULL;
    return visit_settings(section, key, url, keep_last_value, out, err);
}

static void add_value(const char *value, void *context)
{
    if (*value)
        strlist_add(context, value);
    else
        strlist_free(context);
}

int git_setting_list(const char *section, const char *key, const char *url, struct strlist *out,
                     struct error **err)
{
    return visit_settings(section, key, url, add_value, out, err);
}

bool git_setting_is_true(const char *value)
{
    static const char *const words[] = {"true", "yes", "on", "1"};
    for (size_t i = 0; value && i < ARRAY_LEN(words); i++)
        if (strcasecmp(value, words[i]) == 0)
            return true;
    return false;
}

char *git_url_instead(const char *url, struct error **err)
{
    const char *base = NULL;
    size_t base_length = 0, longest = 0;
    if (settings_ready(err) < 0)
        return NULL;
    for (size_t i = 0; i < settings.n; i++) {
        const char *name = settings.items[i].name, *value = settings.items[i].value;
        static const char head[] = "url.", tail[] = ".insteadof";
        size_t n = strlen(name), around = sizeof head + sizeof tail - 2;
        if (!value || n <= around || strncasecmp(name, head, sizeof head - 1) != 0 ||
            strcasecmp(name + n - (sizeof tail - 1), tail) != 0)
            continue;
        if (strlen(value) > longest && starts_with(url, value)) {
            longest = strlen(value);
            base = name + sizeof head - 1;
            base_length = n - around;
        }
    }
    return base ? xasprintf("%.*s%s", (int)base_length, base, url + longest) : xstrdup(url);
}

// ---- credential helpers ----
static int run_git_credential(const char *verb, const struct buf *text, struct buf *out,
                              struct error **err)
{
    const char *const argv[] = {"git", "credential", verb, NULL};
    cleanup_strlist struct strlist environment = {0};
    static const char *const silent[] = {"GIT_TERMINAL_PROMPT=0",
                                         "GIT_ASKPASS=", "SSH_ASKPASS=", "GCM_INTERACTIVE=never"};
    for (char **e = environ; *e; e++) {
        bool ours = false;
        for (size_t i = 0; i < ARRAY_LEN(silent); i++)
            ours |= strncmp(*e, silent[i], strcspn(silent[i], "=") + 1) == 0;
        if (!ours)
            strlist_add(&environment, *e);
    }
    for (size_t i = 0; i < ARRAY_LEN(silent); i++)
        strlist_add(&environment, silent[i]);
    int ends[2];
    // Limited so that the write fits a pipe's buffer.
    if (text->len > 4096 || pipe2(ends, O_CLOEXEC) < 0)
        return error_user(err, "talking to git credential failed");
    int result = fd_write_all(ends[1], "git credential", text->data, text->len, err);
    close(ends[1]);
    struct process p = {
        .argv = (char *const *)argv, .environment = environment.items, .input = ends[0]};
    if (result == 0)
        result = process_run(&p, out, err);
    close(ends[0]);
    return result;
}

static void describe_login(const char *url, bool with_path, struct buf *out)
{
    cleanup_url_parts struct url_parts p;
    if (!url_parts_of(url, &p))
        return;
    bool standard = !p.port || (strcmp(p.scheme, "https") == 0 && strcmp(p.port, "443") == 0) ||
                    (strcmp(p.scheme, "http") == 0 && strcmp(p.port, "80") == 0);
    buf_printf(out, "protocol=%s\nhost=%s%s%s\n", p.scheme, p.host, standard ? "" : ":",
               standard ? "" : p.port);
    if (with_path && p.path && p.path[1])
        buf_printf(out, "path=%s\n", p.path + 1);
    if (p.user)
        buf_printf(out, "username=%s\n", p.user);
    buf_puts(out, "\n");
}

static char *credential_field(const struct buf *text, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = text->data; line && *line;) {
        size_t length = strcspn(line, "\n");
        if (length > n && strncmp(line, name, n) == 0 && line[n] == '=')
            return xstrndup(line + n + 1, length - n - 1);
        line += length + (line[length] == '\n');
    }
    return NULL;
}

int git_login_fill(const char *url, struct git_login *out, struct error **err)
{
    *out = (struct git_login){0};
    const char *helper = NULL;
    cleanup_buf struct buf asked = {0};
    cleanup_free char *git = find_program("git");
    if (git_setting("credential", "helper", url, &helper, err) < 0)
        return -1;
    if (!git || !helper)
        return 0;
    describe_login(url, true, &asked); // git drops the path unless credential.useHttpPath is set
    cleanup_error struct error *why = NULL; // "terminal prompts disabled": no helper has a login
    if (!asked.len || run_git_credential("fill", &asked, &out->text, &why) < 0) {
        git_login_free(out);
        return 0;
    }
    out->user = credential_field(&out->text, "username");
    out->password = credential_field(&out->text, "password");
    if (out->user && out->password)
        return 1;
    git_login_free(out);
    return 0;
}

void git_login_report(const struct git_login *l, bool good)
{
    cleanup_buf struct buf out = {0};
    if (l->text.len)
        run_git_credential(good ? "approve" : "reject", &l->text, &out, NULL);
}

void git_login_free(struct git_login *l)
{
    secret_free(l->user);
    secret_free(l->password);
    if (l->text.data)
        explicit_bzero(l->text.data, l->text.len);
    buf_free(&l->text);
    *l = (struct git_login){0};
}
