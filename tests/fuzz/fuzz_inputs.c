// SPDX-License-Identifier: Apache-2.0
// Small texts of users, servers and distributions, by the first byte: a list of (s)ums, an (a)pt
// source of one line, a stanza of (d)eb822, what apt says of its (t)argets and of (u)ris, a
// (R)elease file, a (p)ackage list as JSON, a (c)opyright file, an (o)s-release, versions.(l)ock,
// build's (T)argets, a (n)etrc, (r)egistries.conf, a url for (g)it's settings, a (v)erity device's
// root hash, what the script of a list (L) prints, a (k)build.yaml. Seeds:
// tests/fuzz/seeds/inputs/.
#include "disk/disk.h"
#include "fuzz.h"
#include "http/http.h"
#include "http/internal.h"
#include "recipe/settings.h"
#include "recipe/versions.h"
#include "registry/internal.h"
#include "run/run.h"
#include "sandbox/internal.h"
#include "source/download.h"
#include "source/internal.h"
#include "source/list.h"

#define A_DIGEST "d9014c4624844aa5bac314773d6b689ad467fa4e1d1a50a1b8a99d5a95f72ff5"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char *const settings[][2] = {
        {"http.proxy", "a"},
        {"http.https://*.example.org/.proxy", "b"},
        {"http.https://me@www.example.org:8443/a/b.proxy", "c"},
        {"http.http://[::1]:8080/.proxy", "d"},
        {"http.https://*.*.org/a/.proxy", "e"},
        {"url.https://mirror.example.org/.insteadOf", "https://www.example.org/"},
        {"url.git@host:.insteadOf", "gh:"},
    };
    fuzz_begin("fuzz-inputs");
    cleanup_free char *netrc = fuzz_path("netrc"), *conf = fuzz_path("registries.conf");
    cleanup_free char *count = xasprintf("%zu", ARRAY_LEN(settings));
    cleanup_free char *kata = fuzz_path("kata");
    require(make_directories(kata, 0755, NULL) == 0); // a directory that kbuild.yaml can name
    setenv("NETRC", netrc, 1);
    setenv("CONTAINERS_REGISTRIES_CONF", conf, 1);
    setenv("HOME", fuzz_folder, 1);
    setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
    setenv("GIT_CONFIG_GLOBAL", "/dev/null", 1);
    setenv("GIT_CONFIG_COUNT", count, 1);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        cleanup_free char *key = xasprintf("GIT_CONFIG_KEY_%zu", i);
        cleanup_free char *value = xasprintf("GIT_CONFIG_VALUE_%zu", i);
        setenv(key, settings[i][0], 1);
        setenv(value, settings[i][1], 1);
    }
    http_begin();
    return 0;
}

static bool is_line(const char *text)
{
    return text && *text && !strpbrk(text, "\r\n");
}

static void try_sums(const char *text, size_t length)
{
    cleanup_error struct error *err = NULL;
    char out[DIGEST_HEX_SIZE] = "";
    int result = sums_find("sums", text, "linux-6.12.tar.xz", out, &err);
    require_result(result, err);
    require(result < 0 || digest_is_hex(out));
}

static void check_options(const struct strlist *options)
{
    for (size_t i = 0; i < options->n; i++)
        require(strchr(options->items[i], ':') && !strstr(options->items[i], "\n\n"));
}

static void try_apt_line(const char *text, size_t length)
{
    cleanup_free char *copy = xstrdup(text);
    cleanup_strlist struct strlist options = {0};
    apt_entry_parse(copy, false, 1 + length % 3, &options);
    for (size_t i = 0; i < options.n; i++)
        require(is_line(options.items[i]) || strchr(options.items[i], '\r'));
}

static void try_apt_stanza(const char *text, size_t length)
{
    cleanup_free char *copy = xstrdup(text);
    cleanup_strlist struct strlist options = {0};
    apt_entry_parse(copy, true, 1 + length % 3, &options);
    check_options(&options);
}

static void try_targets(const char *text, size_t length)
{
    cleanup_apt_places struct apt_places places = {0};
    apt_places_parse(text, &places);
    for (size_t i = 0; i < places.n; i++) {
        const struct apt_place *p = &places.items[i];
        require(p->entry && p->uri && p->suite && p->components.n && p->architectures.n);
        require(!strpbrk(p->uri, "\n\t") && !strpbrk(p->suite, "\n\t"));
    }
}

static void try_release(const char *text, size_t length)
{
    cleanup_free char *origin = deb822_field(text, "Origin");
    cleanup_free char *codename = deb822_field(text, "Codename");
    require(!origin || !strpbrk(origin, "\r\n"));
    require(!codename || !strpbrk(codename, "\r\n"));
}

static void try_uris(const char *text, size_t length)
{
    struct package_set set = {0};
    cleanup_error struct error *err = NULL;
    require_result(packages_of_uris(text, length % 2 ? "amd64" : NULL, &set, &err), err);
    for (size_t i = 0; i < set.n; i++) {
        const struct package *p = &set.items[i];
        require(path_is_clean(p->file) && !strchr(p->file, '/') && p->uri);
        require(digest_is_hex(p->sha256));
        require(err || !p->of || (p->name && p->version && p->architecture));
    }
    package_set_free(&set);
}

static void try_packages(const char *text, size_t length)
{
    json_t *list = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    (void)packages_are(list, A_DIGEST);
    json_decref(list);
}

static void try_copyright(const char *text, size_t length)
{
    cleanup_free char *licence = licence_of_copyright(text);
    // SPDX: names of letters, digits, '.' and '-', operators and parentheses.
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  ".-+ ()";
    require(!licence || (*licence && !licence[strspn(licence, allowed)]));
}

static void try_os_release(const char *text, size_t length)
{
    struct distribution d = {0};
    cleanup_error struct error *err = NULL;
    fuzz_write("os-release", text, length);
    cleanup_free char *path = fuzz_path("os-release");
    int result = distribution_read(path, path, &d, &err);
    require_result(result, err);
    require(result < 0 || (is_line(d.id) && is_line(d.codename)));
    distribution_free(&d);
}

static void try_lock(const char *text, size_t length)
{
    cleanup_error struct error *err = NULL;
    fuzz_write("versions.lock", text, length);
    cleanup_free char *path = fuzz_path("versions.lock");
    struct lock *l = lock_load(path, &err);
    require(!l == !!err);
    for (size_t i = 0; l && i < l->n; i++) {
        const struct lock_entry *e = &l->entries[i];
        require(*e->url && (!e->ref || *e->ref) && (e->ref ? e->commit && e->tree : !!e->sha256));
        require(lock_find(l, e->url, e->ref) == e);
    }
    require(!l || !l->changed);
    lock_free(l);
}

static void try_wanted(const char *text, size_t length)
{
    cleanup_error struct error *err = NULL;
    cleanup_output_targets struct output_targets w = {0};
    fuzz_write("targets", text, length);
    require_result(output_targets_read(fuzz_folder, &w, &err), err);
    for (size_t i = 0; i < w.n; i++) {
        require(path_is_clean(w.items[i].file) && !strchr(w.items[i].file, '/'));
        require(!*w.items[i].digest || digest_is_hex(w.items[i].digest));
    }
}

static void try_netrc(const char *text, size_t length)
{
    cleanup_error struct error *err = NULL;
    char *user = NULL, *password = NULL, *file = NULL;
    fuzz_write("netrc", text, length);
    int found = netrc_find("example.org", length % 2 ? "me" : NULL, &user, &password, &file, &err);
    require_result(found, err);
    require((found > 0) == (user && password && file));
    require(found <= 0 || length % 2 == 0 || !strcmp(user, "me"));
    free(user);
    free(password);
    free(file);
}

static void try_registries(const char *text, size_t length)
{
    static const char *const names[] = {"docker.io/library/debian", "reg.example.org:5000/a/b"};
    fuzz_write("registries.conf", text, length);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        cleanup_error struct error *err = NULL;
        struct reference r;
        struct registry_places places;
        require(reference_parse(names[i], &r, NULL) == 0);
        int result = registry_places_find(&r, &places, &err);
        require_result(result, err);
        require(result < 0 || (places.own.registry && places.own.repository));
        for (size_t k = 0; k < places.n; k++)
            require(places.mirrors[k].registry && places.mirrors[k].repository);
        registry_places_free(&places);
        reference_free(&r);
    }
}

static void try_url(const char *text, size_t length)
{
    const char *proxy = NULL;
    cleanup_error struct error *err = NULL, *other = NULL;
    require_result(git_setting("http", "proxy", text, &proxy, &err), err);
    require(proxy != NULL);
    cleanup_free char *instead = git_url_instead(text, &other);
    cleanup_free char *shown = http_url_shown(text), *kept = http_url_kept(text);
    cleanup_free char *again = http_url_shown(shown), *once = http_url_kept(kept);
    require(instead && !strcmp(shown, again) && !strcmp(kept, once));
    // Each way of naming the same source finds the same line of versions.lock.
    require(!strncasecmp(text, "http", 4) || strlen(shown) <= strlen(kept));
    (void)http_same_server(text, shown);
}

static void try_verity(const char *text, size_t length)
{
    cleanup_error struct error *err = NULL, *other = NULL;
    cleanup_buf struct buf again = {0};
    struct verity v, back;
    int result = verity_text_read(text, length, &v, &err);
    require_result(result, err);
    if (result < 0)
        return;
    verity_text_write(&v, v.superblock ? VERITY_TEXT_VERITYSETUP : VERITY_TEXT_LINE, "x", &again);
    require(verity_text_read(again.data, again.len, &back, &other) == 0);
    require(!memcmp(&v, &back, sizeof v));
}

// The folders that file: addresses may lie below come from the text, too.
static void try_list(const char *text, size_t length)
{
    cleanup_error struct error *err = NULL;
    cleanup_strlist struct strlist folders = {0};
    struct list l;
    list_folders(text, length % 2, &folders);
    for (size_t i = 0; i < folders.n; i++)
        require(*folders.items[i] == '/' && path_is_clean(folders.items[i] + 1));
    int result = list_parse(text, length, &folders, &l, &err);
    require_result(result, err);
    require(!err || !l.n);
    for (size_t i = 0; i < l.n; i++) {
        const struct list_line *x = &l.items[i];
        require(path_is_clean(x->name) && *x->name != '-' && !strstr(x->name, "/-"));
        require(x->urls.n > 0);
        for (size_t k = 0; k < x->urls.n; k++) {
            bool local = starts_with(x->urls.items[k], "file:");
            require(is_line(x->urls.items[k]) && strstr(x->urls.items[k], "://"));
            require(!local || (folders.n && (k > 0 || x->kind == LIST_ASK)));
            require(!local || !strstr(x->urls.items[k], "/../"));
        }
        require((x->kind == LIST_ARCHIVE || x->kind == LIST_GIT) == (x->digest != NULL));
        for (size_t k = 0; k < i && k < 20; k++)
            require(strcmp(x->name, l.items[k].name) != 0 ||
                    (x->kind == LIST_ASK) != (l.items[k].kind == LIST_ASK));
    }
    list_lines_free(&l);
}

// What a project's file names that exists is in the project.
static void check_inside(const struct settings_file *f, enum setting which)
{
    for (size_t i = 0; i < f->values[which].items.n; i++) {
        const char *text = f->values[which].items.items[i];
        const char *path = which == SETTING_SOURCE ? strchr(text, '=') + 1 : text;
        cleanup_free char *real = *path == '/' ? realpath(path, NULL) : NULL;
        require(*path == '/' ? real && path_below(real, fuzz_folder) : !strchr(path, '/'));
    }
}

static void check_settings(const struct settings_file *f)
{
    static const enum setting inside[] = {SETTING_SOURCE, SETTING_RECIPES, SETTING_VERSIONS,
                                          SETTING_TRUSTED_KEYS};
    for (enum setting which = 0; which < SETTINGS; which++)
        for (size_t i = 0; i < f->values[which].items.n; i++)
            require(is_line(f->values[which].items.items[i]) && f->values[which].lines[i] > 0);
    for (size_t i = 0; i < ARRAY_LEN(inside) && f->owner == SETTINGS_PROJECT; i++)
        check_inside(f, inside[i]);
    if (f->owner == SETTINGS_PROJECT)
        require(!strlist_has(&f->values[SETTING_BUILDER].items, "host"));
    for (size_t i = 0; i < f->values[SETTING_REGISTRY].items.n; i++)
        require(!strchr(f->values[SETTING_REGISTRY].items.items[i], '@'));
}

static void try_settings(const char *text, size_t length)
{
    cleanup_free char *path = fuzz_path("kbuild.yaml");
    int results[2];
    for (enum settings_owner owner = SETTINGS_PROJECT; owner <= SETTINGS_USER; owner++) {
        cleanup_error struct error *err = NULL;
        struct settings_file f;
        results[owner] = settings_parse(path, owner, text, length, &f, &err);
        require_result(results[owner], err);
        if (!results[owner])
            check_settings(&f);
        settings_file_free(&f);
    }
    require(results[SETTINGS_PROJECT] < 0 || !results[SETTINGS_USER]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fuzz_kind kinds[] = {
        {'s', try_sums},       {'a', try_apt_line}, {'d', try_apt_stanza}, {'t', try_targets},
        {'u', try_uris},       {'R', try_release},  {'p', try_packages},   {'c', try_copyright},
        {'o', try_os_release}, {'l', try_lock},     {'T', try_wanted},     {'n', try_netrc},
        {'r', try_registries}, {'g', try_url},      {'v', try_verity},     {'L', try_list},
        {'k', try_settings},
    };
    fuzz_run(kinds, ARRAY_LEN(kinds), data, size);
    return 0;
}
