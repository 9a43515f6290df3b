// SPDX-License-Identifier: Apache-2.0
// Resolves and checks runtime classes in containerd's configuration (containerd's
// docs/cri/config.md, Kata's docs/how-to/containerd-kata.md and kata-deploy.sh at 3.20.0).
#include "base/file.h"
#include "config/edit.h"

#include <string.h>

#define DEFAULT_CLASS "kata"
#define RUNC "runc"

// ---- the values for a class ----

static const char *class_of(const struct config_request *request)
{
    return request->runtime_class ? request->runtime_class : DEFAULT_CLASS;
}

// A handler of Kubernetes is a DNS label (RFC 1123).
static bool is_label(const char *name)
{
    size_t n = strlen(name);
    return n && n <= 63 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n &&
           name[0] != '-' && name[n - 1] != '-';
}

static char *usual_configuration(const char *prefix, const char *name, bool rust,
                                 struct error **err)
{
    const char *folder = rust ? "/runtime-rs" : "";
    static const char own[] = DEFAULT_CLASS "-";
    if (!strcmp(name, DEFAULT_CLASS))
        return xasprintf("%s/share/defaults/kata-containers/configuration.toml", prefix);
    if (starts_with(name, own))
        return xasprintf("%s/share/defaults/kata-containers%s/configuration-%s.toml", prefix,
                         folder, name + strlen(own));
    error_set(err, ERROR_USAGE,
              "--class %s is not a class of Kata's: its configuration file is not known", name);
    error_hint(err, "name that file: --configuration /etc/kata-containers/configuration.toml");
    return NULL;
}

int config_paths_check(const struct config_request *request, struct error **err)
{
    const struct {
        const char *option, *path, *who;
    } paths[] = {{"--prefix", request->prefix, "the runtime"},
                 {"--configuration", request->configuration, "containerd"}};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (paths[i].path && *paths[i].path != '/')
            return error_set(err, ERROR_USAGE, "%s %s: %s needs the whole path, from '/' on",
                             paths[i].option, paths[i].path, paths[i].who);
    return 0;
}

int config_marks_read(const struct config_request *request, const char *default_class,
                      struct config_marks *out, struct error **err)
{
    const char *name = class_of(request);
    const char *prefix = request->prefix ? request->prefix : CONFIG_PREFIX;
    bool rust = ends_with(name, "-runtime-rs");
    *out = (struct config_marks){.prefix = prefix, .name = name, .default_class = default_class};
    if (config_paths_check(request, err) < 0)
        return -1;
    if (request->kind->reader != CONFIG_CONTAINERD)
        return 0;
    if (!is_label(name)) {
        error_set(err, ERROR_USAGE, "--class '%s': a runtime class has no such name", name);
        return error_hint(err, "a-z, 0-9 and '-' within, at most 63 of them: kata-qemu-se");
    }
    out->configuration = request->configuration ? xstrdup(request->configuration)
                                                : usual_configuration(prefix, name, rust, err);
    out->shim = xasprintf("%s%s/bin/containerd-shim-kata-v2", prefix, rust ? "/runtime-rs" : "");
    return out->configuration ? 0 : -1;
}

void config_marks_free(struct config_marks *m)
{
    free(m->shim);
    free(m->configuration);
}

char *config_marks_expand(const struct config_marks *m, const char *text, bool quoted)
{
    const struct {
        const char *mark, *text;
    } known[] = {{"@PREFIX@", m->prefix},
                 {"@CLASS@", m->name},
                 {"@DEFAULT@", m->default_class},
                 {"@SHIM@", m->shim},
                 {"@CONFIGURATION@", m->configuration}};
    struct buf out = {0};
    buf_add(&out, "", 0);
    while (*text) {
        size_t i = 0;
        while (i < ARRAY_LEN(known) && !starts_with(text, known[i].mark))
            i++;
        if (i == ARRAY_LEN(known)) {
            buf_add(&out, text++, 1);
            continue;
        }
        cleanup_free char *string = quoted ? toml_quote(known[i].text) : NULL;
        if (string)
            buf_add(&out, string + 1, strlen(string) - 2);
        else
            buf_puts(&out, known[i].text);
        text += strlen(known[i].mark);
    }
    return buf_take(&out);
}

char *config_absent(const struct config_request *request)
{
    struct config_marks m;
    struct error *ignored = NULL;
    char *absent = NULL;
    if (config_marks_read(request, NULL, &m, &ignored) == 0 && m.shim)
        absent = !path_exists(m.shim)            ? xstrdup(m.shim)
                 : !path_exists(m.configuration) ? xstrdup(m.configuration)
                                                 : NULL;
    error_free(ignored);
    config_marks_free(&m);
    return absent;
}

// ---- containerd's file ----

static int check_enabled(const struct toml *t, struct error **err)
{
    static const char *const plugins[] = {"cri", "io.containerd.grpc.v1.cri",
                                          "io.containerd.cri.v1.runtime"};
    char *path[] = {(char *)"disabled_plugins"};
    cleanup_strlist struct strlist off = {0};
    const struct toml_entry *e = config_find(t, path, 1, false, NULL);
    if (!e)
        return 0;
    if (config_list(t, &e->value, &off, err) < 0)
        return error_wrap(err, "%s", path[0]);
    for (size_t i = 0; i < ARRAY_LEN(plugins); i++)
        if (strlist_has(&off, plugins[i])) {
            error_user(err, "disabled_plugins holds \"%s\", which all runtime classes belong to",
                       plugins[i]);
            return error_hint(err,
                              "take it out of that list; docker's own package writes it there");
        }
    return 0;
}

// containerd 1.x uses only the classes of the file, and its CRI plugin does not start without that
// of default_runtime_name. So that class must exist, or be the one that is added.
static int read_default(const struct toml *t, const char *plugin,
                        const struct config_request *request, char **out, struct error **err)
{
    cleanup_free char *quoted = toml_quote(plugin);
    char *path[] = {(char *)"plugins", quoted, (char *)"containerd",
                    (char *)"default_runtime_name"};
    const struct toml_entry *e = config_find(t, path, ARRAY_LEN(path), false, NULL);
    if (e && e->value.kind != TOML_STRING)
        return error_user(err, "default_runtime_name is no string");
    bool named = e && e->value.string.len;
    cleanup_free char *name = toml_quote(named ? e->value.string.data : RUNC);
    cleanup_strlist struct strlist part = {0};
    if (toml_key_parse(name, &part, err) < 0)
        return error_wrap(err, "default_runtime_name");
    char *table[] = {path[0], path[1], path[2], (char *)"runtimes", part.items[0]};
    *out = xstrdup(part.items[0]);
    if (!strcmp(*out, RUNC) || !strcmp(*out, class_of(request)) ||
        toml_find(t, table, ARRAY_LEN(table)))
        return 0;
    error_user(err, "default_runtime_name is %s, and there is no such class in the file", name);
    return error_hint(err, "containerd would not start pods: correct that first");
}

// ---- the existing class ----

// "kata" and "kata-...": a class or a runtime of Kata's.
static bool is_of_kata(const char *name, size_t length)
{
    static const char own[] = DEFAULT_CLASS;
    size_t n = strlen(own);
    return length >= n && !strncmp(name, own, n) && (length == n || name[n] == '-');
}

static bool is_shim_of_kata(const char *path)
{
    return starts_with(path_base(path), "containerd-shim-kata-");
}

static const char *string_of(const struct toml_entry *e)
{
    return e && e->value.kind == TOML_STRING && e->value.string.data ? e->value.string.data : "";
}

// containerd's docs: runtime_type is "io.containerd.<name>.<version>", or the path of a shim. A
// class with its own name has that name as its type (kinds.c); its shim identifies the runtime.
static bool type_is_of_kata(const char *type, const char *class, const char *shim)
{
    static const char domain[] = "io.containerd.";
    cleanup_free char *own = xasprintf("%s%s.v2", domain, class);
    if (*type == '/')
        return is_shim_of_kata(type);
    const char *name = starts_with(type, domain) ? type + strlen(domain) : "";
    return is_of_kata(name, strcspn(name, ".")) || (!strcmp(type, own) && is_shim_of_kata(shim));
}

// Why the class is not Kata's, to be freed; NULL: it is, or it does not exist. Without a type
// containerd uses runc, which is also the default for pods without a class.
static char *other_runtime(const struct toml *t, const char *plugin, const char *name)
{
    cleanup_free char *quoted = toml_quote(plugin);
    char *path[] = {(char *)"plugins",  quoted,       (char *)"containerd",
                    (char *)"runtimes", (char *)name, (char *)"runtime_type"};
    size_t last = ARRAY_LEN(path) - 1;
    bool runc = !strcmp(name, RUNC);
    const struct toml_entry *type = config_find(t, path, last + 1, true, NULL);
    path[last] = (char *)"runtime_path";
    const char *shim = string_of(config_find(t, path, last + 1, true, NULL));
    if (!toml_find(t, path, last))
        return runc ? xstrdup("is that of the pods that name none") : NULL;
    if (!type && !runc && (is_of_kata(name, strlen(name)) || is_shim_of_kata(shim)))
        return NULL;
    if (!type)
        return xstrdup("is there without a runtime_type, which stands for runc");
    if (type->value.kind != TOML_STRING)
        return xstrdup("is there with a runtime_type that is no string");
    if (!runc && type_is_of_kata(string_of(type), name, shim))
        return NULL;
    cleanup_free char *text = toml_quote(string_of(type));
    return xasprintf("is there with the runtime_type %s", text);
}

// Otherwise Kata's shim would start the pods of another runtime's class.
static int check_class(const struct toml *t, const char *plugin,
                       const struct config_request *request, struct error **err)
{
    const char *name = class_of(request);
    // config_marks_read() reports an invalid name.
    cleanup_free char *why = is_label(name) ? other_runtime(t, plugin, name) : NULL;
    if (!why)
        return 0;
    error_user(err,
               "the class %s %s: it is no class of Kata, and its pods would not start any more",
               name, why);
    return error_hint(err, "name another class, for example --class kata-qemu-se; if this one is "
                           "meant to be Kata's, take its section out of the file first");
}

int config_containerd_read(const struct toml *t, const struct config_request *request,
                           struct config_containerd *out, struct error **err)
{
    static const char *const plugins[] = {
        [2] = "io.containerd.grpc.v1.cri", [3] = "io.containerd.cri.v1.runtime"};
    char *path[] = {(char *)"version"};
    const struct toml_entry *e = config_find(t, path, 1, false, NULL);
    *out = (struct config_containerd){0};
    if (e && e->value.kind == TOML_INTEGER && (e->value.integer == 2 || e->value.integer == 3)) {
        out->version = (unsigned)e->value.integer;
        const char *plugin = plugins[out->version];
        if (check_enabled(t, err) < 0 || check_class(t, plugin, request, err) < 0)
            return -1;
        return read_default(t, plugin, request, &out->default_class, err);
    }
    error_user(err, e ? "its version is neither 2 nor 3" : "it has no version");
    return error_hint(err,
                      "containerd's file says version = 2 (containerd 1.3 and later) or 3 (2.0 and "
                      "later); 'containerd config default' and, for an older file, 'containerd "
                      "config migrate' print such a file");
}
