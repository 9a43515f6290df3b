// SPDX-License-Identifier: Apache-2.0
// Knows what is edited: a table of edits for each kind of guest, of Kata's guides for IBM Secure
// Execution ("Adjust the configuration") and for AMD SEV-SNP ("Kata Containers Configuration for
// SNP"), and for a runtime class in containerd's file; and the values and requirements of such a
// class (containerd's docs/cri/config.md, Kata's docs/how-to/containerd-kata.md and kata-deploy.sh
// at 3.20.0). Paths of a guide's author are replaced by those where the tarballs of this project
// install. docs/config.md lists them.
#include "config/internal.h"

#include "base/file.h"

#include <string.h>

// ---- the tables ----

#define QEMU "hypervisor.qemu"
#define AGENT "agent.kata"
#define QEMU_LATER "runtime.emptydir_mode" // since 3.28, in all of Kata's files
#define SHARE "@PREFIX@/share/kata-containers/"

static const struct config_edit se_edits[] = {
    {QEMU, "kernel", CONFIG_SET, "\"" SHARE "kata-containers-se.img\""},
    // Both are in the sealed image.
    {QEMU, "image", CONFIG_COMMENT_OUT, NULL},
    {QEMU, "initrd", CONFIG_COMMENT_OUT, NULL},
    {QEMU, "confidential_guest", CONFIG_SET, "true"},
    {AGENT, "dial_timeout", CONFIG_AT_LEAST, "90"},
};

static const struct config_edit snp_edits[] = {
    {QEMU, "path", CONFIG_SET, "\"@PREFIX@/bin/qemu-system-x86_64-snp-experimental\""},
    {QEMU, "kernel", CONFIG_SET, "\"" SHARE "vmlinuz-confidential.container\""},
    {QEMU, "initrd", CONFIG_SET, "\"" SHARE "kata-containers-initrd-confidential.img\""},
    {QEMU, "image", CONFIG_COMMENT_OUT, NULL},
    {QEMU, "firmware", CONFIG_SET, "\"@PREFIX@/share/ovmf/AMDSEV.fd\""},
    {QEMU, "shared_fs", CONFIG_SET, "\"virtio-9p\""},
    {QEMU, "virtio_fs_daemon", CONFIG_COMMENT_OUT, NULL},
    {QEMU, "disable_image_nvdimm", CONFIG_SET, "true"},
    {QEMU, "file_mem_backend", CONFIG_SET, "\"\""},
    {QEMU, "confidential_guest", CONFIG_SET, "true"},
    {QEMU, "sev_snp_guest", CONFIG_SET, "true"},
};

// Kata's own file for SNP, from 3.13 on: another QEMU, and images are pulled in the guest.
static const struct config_edit snp_own_edits[] = {
    {QEMU, "kernel", CONFIG_SET, "\"" SHARE "vmlinuz-confidential.container\""},
    {QEMU, "initrd", CONFIG_SET, "\"" SHARE "kata-containers-initrd-confidential.img\""},
    {QEMU, "image", CONFIG_COMMENT_OUT, NULL},
    {QEMU, "firmware", CONFIG_SET, "\"@PREFIX@/share/ovmf/AMDSEV.fd\""},
    {QEMU, "confidential_guest", CONFIG_SET, "true"},
    {QEMU, "sev_snp_guest", CONFIG_SET, "true"},
};

// From 3.27 on there is one kernel for all, and from 3.29 on SNP boots an image whose hash is in
// the file (kernel_verity_params).
#define SNP_COMMON                                                                                 \
    {QEMU, "kernel", CONFIG_SET, "\"" SHARE "vmlinuz.container\""},                                \
        {QEMU, "firmware", CONFIG_SET, "\"@PREFIX@/share/ovmf/AMDSEV.fd\""},                       \
        {QEMU, "shared_fs", CONFIG_SET, "\"none\""},                                               \
        {QEMU, "disable_image_nvdimm", CONFIG_SET, "true"},                                        \
        {QEMU, "confidential_guest", CONFIG_SET, "true"},                                          \
        {QEMU, "sev_snp_guest", CONFIG_SET, "true"},                                               \
    {                                                                                              \
        AGENT, "dial_timeout", CONFIG_AT_LEAST, "90"                                               \
    }

static const struct config_edit snp_initrd_edits[] = {
    SNP_COMMON,
    {QEMU, "initrd", CONFIG_SET, "\"" SHARE "kata-containers-initrd-confidential.img\""},
    {QEMU, "image", CONFIG_COMMENT_OUT, NULL},
};
static const struct config_edit snp_image_edits[] = {
    SNP_COMMON,
    {QEMU, "initrd", CONFIG_COMMENT_OUT, NULL},
};
static const struct config_need snp_needs[] = {{QEMU, "sev_snp_guest", NULL}};
static const struct config_need snp_image_needs[] = {
    {QEMU, "image", "kata-containers-confidential.img"}};

// runtime-rs: kernel, image and extension belong together and are unchanged; no virtio-9p, and no
// timeouts in seconds, for which it rejects the file.
#define RUST_COMMON                                                                                \
    {QEMU, "confidential_guest", CONFIG_SET, "true"},                                              \
        {AGENT, "dial_timeout", CONFIG_COMMENT_OUT, NULL},                                         \
    {                                                                                              \
        AGENT, "reconnect_timeout_ms", CONFIG_AT_LEAST, "45000"                                    \
    }
static const struct config_edit snp_rust_edits[] = {
    {QEMU, "firmware", CONFIG_SET, "\"@PREFIX@/share/ovmf/AMDSEV.fd\""},
    {QEMU, "shared_fs", CONFIG_SET, "\"none\""},
    RUST_COMMON,
};
static const struct config_edit se_rust_edits[] = {
    {QEMU, "image", CONFIG_COMMENT_OUT, NULL},
    {QEMU, "initrd", CONFIG_COMMENT_OUT, NULL},
    RUST_COMMON,
};
static const struct config_edit se_composed_edits[] = {
    {QEMU, "kernel", CONFIG_SET, "\"" SHARE "kata-containers-se-runtime-rs.img\""},
    {QEMU, "image", CONFIG_COMMENT_OUT, NULL},
    {QEMU, "initrd", CONFIG_COMMENT_OUT, NULL},
    RUST_COMMON,
};
static const struct config_need se_rust_needs[] = {{QEMU, "kernel", "kata-containers-se.img"}};

#define EXTENSION QEMU ".guest_extension_images"
#define EDITS(edits) edits, ARRAY_LEN(edits)
static const struct config_layout se_layouts[] = {
    {"Kata's runtime in Go", false, 0, 9999, NULL, NULL, NULL, EDITS(se_edits), NULL, 0,
     "configuration-qemu-se.toml"},
    {"runtime-rs of Kata 4.1", true, 401, 9999, EXTENSION, NULL, NULL, EDITS(se_composed_edits),
     NULL, 0, "configuration-qemu-se-runtime-rs.toml"},
    {"runtime-rs", true, 0, 400, NULL, EXTENSION, NULL, EDITS(se_rust_edits), EDITS(se_rust_needs),
     "configuration-qemu-se-runtime-rs.toml"},
};
static const struct config_layout snp_layouts[] = {
    {"Kata 3.27", false, 327, 327, NULL, QEMU_LATER, "vmlinuz.container", EDITS(snp_initrd_edits),
     NULL, 0, "configuration-qemu-snp.toml"},
    {"Kata's own for SNP up to 3.26", false, 313, 326, QEMU ".sev_snp_guest", QEMU_LATER, NULL,
     EDITS(snp_own_edits), NULL, 0, "configuration-qemu-snp.toml"},
    {"Kata up to 3.26", false, 0, 326, NULL, QEMU_LATER, NULL, EDITS(snp_edits), NULL, 0,
     "configuration-qemu-snp.toml"},
    {"Kata 3.27", false, 327, 327, NULL, QEMU_LATER, NULL, EDITS(snp_initrd_edits), NULL, 0,
     "configuration-qemu-snp.toml"},
    {"Kata 3.29 and later", false, 329, 9999, QEMU ".kernel_verity_params", NULL, NULL,
     EDITS(snp_image_edits), EDITS(snp_image_needs), "configuration-qemu-snp.toml"},
    {"Kata 3.28 and later", false, 328, 9999, QEMU_LATER, QEMU ".kernel_verity_params", NULL,
     EDITS(snp_initrd_edits), EDITS(snp_needs), "configuration-qemu-snp.toml"},
    {"runtime-rs", true, 326, 9999, NULL, NULL, NULL, EDITS(snp_rust_edits), EDITS(snp_needs),
     "configuration-qemu-snp-runtime-rs.toml"},
};

// Kata's docs/how-to/containerd-kata.md. runtime_path is kata-deploy's: containerd does not search
// below /opt for a shim. Its runtime_type for the class "kata" is that page's
// io.containerd.kata.v2. The first row keeps the class of ordinary pods, which containerd 1.x drops
// if a file has another (below).
#define CLASSES(plugin) "plugins.\"" plugin "\".containerd.runtimes."
#define CLASS(plugin) CLASSES(plugin) "@CLASS@"
#define ANNOTATIONS "[\"io.katacontainers.*\"]"
#define CLASS_EDITS(plugin)                                                                        \
    {CLASSES(plugin) "@DEFAULT@", "runtime_type", CONFIG_TABLE, "\"io.containerd.runc.v2\""},      \
        {CLASS(plugin), "runtime_type", CONFIG_SET, "\"io.containerd.@CLASS@.v2\""},               \
        {CLASS(plugin), "runtime_path", CONFIG_SET, "\"@SHIM@\""},                                 \
        {CLASS(plugin), "privileged_without_host_devices", CONFIG_SET, "true"},                    \
        {CLASS(plugin), "pod_annotations", CONFIG_INCLUDE, ANNOTATIONS},                           \
        {CLASS(plugin), "container_annotations", CONFIG_INCLUDE, ANNOTATIONS},                     \
    {                                                                                              \
        CLASS(plugin) ".options", "ConfigPath", CONFIG_SET, "\"@CONFIGURATION@\""                  \
    }
static const struct config_edit class_2_edits[] = {CLASS_EDITS("io.containerd.grpc.v1.cri")};
static const struct config_edit class_3_edits[] = {CLASS_EDITS("io.containerd.cri.v1.runtime")};
static const struct config_layout class_layouts[] = {
    {"version 2", false, 2, 2, NULL, NULL, NULL, EDITS(class_2_edits), NULL, 0, NULL},
    {"version 3", false, 3, 3, NULL, NULL, NULL, EDITS(class_3_edits), NULL, 0, NULL},
};

const struct config_kind config_kinds[] = {
    {"se", "IBM Secure Execution", CONFIG_KATA, EDITS(se_edits), EDITS(se_layouts)},
    {"snp", "AMD SEV-SNP", CONFIG_KATA, EDITS(snp_edits), EDITS(snp_layouts)},
    {"containerd", "the runtime class", CONFIG_CONTAINERD, EDITS(class_2_edits),
     EDITS(class_layouts)},
};
const size_t config_kind_count = ARRAY_LEN(config_kinds);

const struct config_kind *config_kind_find(const char *name, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    for (size_t i = 0; i < config_kind_count; i++) {
        if (!strcmp(config_kinds[i].name, name))
            return &config_kinds[i];
        strlist_add(&names, config_kinds[i].name);
    }
    cleanup_free char *known = strlist_join(&names, ", ");
    error_set(err, ERROR_USAGE, "config: '%s' is neither a kind of guest nor containerd", name);
    error_hint(err, "it can be one of: %s", known);
    return NULL;
}

#define DEFAULT_CLASS "kata"
#define RUNC "runc"

// ---- the values for a class ----

static const char *requested_class(const struct config_request *request)
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

static char *default_configuration(const char *prefix, const char *name, bool rust,
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
              "--class %s is not one of Kata's classes, so its configuration file is not known",
              name);
    error_hint(err, "name the file: --configuration /etc/kata-containers/configuration.toml");
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
            return error_set(err, ERROR_USAGE, "%s %s: %s needs an absolute path", paths[i].option,
                             paths[i].path, paths[i].who);
    return 0;
}

int config_marks_read(const struct config_request *request, const char *default_class,
                      struct config_marks *out, struct error **err)
{
    const char *name = requested_class(request);
    const char *prefix = request->prefix ? request->prefix : CONFIG_PREFIX;
    bool rust = ends_with(name, "-runtime-rs");
    *out = (struct config_marks){.prefix = prefix, .name = name, .default_class = default_class};
    if (config_paths_check(request, err) < 0)
        return -1;
    if (request->kind->reader != CONFIG_CONTAINERD)
        return 0;
    if (!is_label(name)) {
        error_set(err, ERROR_USAGE, "--class '%s' is not a valid name of a runtime class", name);
        return error_hint(
            err, "allowed are at most 63 of a-z, 0-9 and, not at an end, '-': kata-qemu-se");
    }
    out->configuration = request->configuration ? xstrdup(request->configuration)
                                                : default_configuration(prefix, name, rust, err);
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

static int check_plugin_enabled(const struct toml *t, struct error **err)
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
            error_user(
                err,
                "disabled_plugins contains \"%s\", the plugin that all runtime classes belong to",
                plugins[i]);
            return error_hint(err, "remove it from the list; Docker's package adds it");
        }
    return 0;
}

// containerd 1.x uses only the classes of the file, and its CRI plugin does not start without that
// of default_runtime_name. So that class must exist, or be the one that is added.
static int read_default_class(const struct toml *t, const char *plugin,
                              const struct config_request *request, char **out, struct error **err)
{
    cleanup_free char *quoted = toml_quote(plugin);
    char *path[] = {(char *)"plugins", quoted, (char *)"containerd",
                    (char *)"default_runtime_name"};
    const struct toml_entry *e = config_find(t, path, ARRAY_LEN(path), false, NULL);
    if (e && e->value.kind != TOML_STRING)
        return error_user(err, "default_runtime_name is not a string");
    bool named = e && e->value.string.len;
    cleanup_free char *name = toml_quote(named ? e->value.string.data : RUNC);
    cleanup_strlist struct strlist part = {0};
    if (toml_key_parse(name, &part, err) < 0)
        return error_wrap(err, "default_runtime_name");
    char *table[] = {path[0], path[1], path[2], (char *)"runtimes", part.items[0]};
    *out = xstrdup(part.items[0]);
    if (!strcmp(*out, RUNC) || !strcmp(*out, requested_class(request)) ||
        toml_find(t, table, ARRAY_LEN(table)))
        return 0;
    error_user(err, "default_runtime_name is %s, and there is no such class in the file", name);
    return error_hint(err, "containerd would not start: correct this first");
}

// ---- the existing class ----

// "kata" and "kata-...": a class or a runtime of Kata's.
static bool is_kata_name(const char *name, size_t length)
{
    static const char own[] = DEFAULT_CLASS;
    size_t n = strlen(own);
    return length >= n && !strncmp(name, own, n) && (length == n || name[n] == '-');
}

static bool is_kata_shim(const char *path)
{
    return starts_with(path_base(path), "containerd-shim-kata-");
}

static const char *entry_string(const struct toml_entry *e)
{
    return e && e->value.kind == TOML_STRING && e->value.string.data ? e->value.string.data : "";
}

// containerd's docs: runtime_type is "io.containerd.<name>.<version>", or the path of a shim. A
// class with its own name has that name as its type (kinds.c); its shim identifies the runtime.
static bool is_kata_type(const char *type, const char *class, const char *shim)
{
    static const char domain[] = "io.containerd.";
    cleanup_free char *own = xasprintf("%s%s.v2", domain, class);
    if (*type == '/')
        return is_kata_shim(type);
    const char *name = starts_with(type, domain) ? type + strlen(domain) : "";
    return is_kata_name(name, strcspn(name, ".")) || (!strcmp(type, own) && is_kata_shim(shim));
}

// Why the class is not Kata's, to be freed; NULL: it is, or it does not exist. Without a type
// containerd uses runc, which is also the default for pods without a class.
static char *describe_other_runtime(const struct toml *t, const char *plugin, const char *name)
{
    cleanup_free char *quoted = toml_quote(plugin);
    char *path[] = {(char *)"plugins",  quoted,       (char *)"containerd",
                    (char *)"runtimes", (char *)name, (char *)"runtime_type"};
    size_t last = ARRAY_LEN(path) - 1;
    bool runc = !strcmp(name, RUNC);
    const struct toml_entry *type = config_find(t, path, last + 1, true, NULL);
    path[last] = (char *)"runtime_path";
    const char *shim = entry_string(config_find(t, path, last + 1, true, NULL));
    if (!toml_find(t, path, last))
        return runc ? xstrdup("is the class of pods that name none") : NULL;
    if (!type && !runc && (is_kata_name(name, strlen(name)) || is_kata_shim(shim)))
        return NULL;
    if (!type)
        return xstrdup("exists without a runtime_type, which means runc");
    if (type->value.kind != TOML_STRING)
        return xstrdup("exists with a runtime_type that is not a string");
    if (!runc && is_kata_type(entry_string(type), name, shim))
        return NULL;
    cleanup_free char *text = toml_quote(entry_string(type));
    return xasprintf("exists with the runtime_type %s", text);
}

// Otherwise Kata's shim would start the pods of another runtime's class.
static int check_existing_class(const struct toml *t, const char *plugin,
                                const struct config_request *request, struct error **err)
{
    const char *name = requested_class(request);
    // config_marks_read() reports an invalid name.
    cleanup_free char *why = is_label(name) ? describe_other_runtime(t, plugin, name) : NULL;
    if (!why)
        return 0;
    error_user(
        err, "the class %s %s: it is not one of Kata's classes, and its pods would no longer start",
        name, why);
    return error_hint(err, "name another class, for example --class kata-qemu-se; if this class is "
                           "to run Kata, remove its section from the file first");
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
        if (check_plugin_enabled(t, err) < 0 || check_existing_class(t, plugin, request, err) < 0)
            return -1;
        return read_default_class(t, plugin, request, &out->default_class, err);
    }
    error_user(err, e ? "the file's version is neither 2 nor 3" : "the file has no version");
    return error_hint(err, "containerd's file has version = 2 (containerd 1.3 and later) or 3 (2.0 "
                           "and later); 'containerd config default' and, for an older file, "
                           "'containerd config migrate' print such a file");
}
