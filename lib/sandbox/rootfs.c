// SPDX-License-Identifier: Apache-2.0
// Root file systems from distribution packages. mmdebstrap finds, verifies, downloads and extracts
// them; all that would have been done by running code from them is done natively afterwards.
#include "base/process.h"
#include "sandbox/room.h"
#include "source/apt.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

#define OUTPUT_MAX ((size_t)64 << 20)

// What of a Debian package's name apt and mmdebstrap take as just that (no paths, no patterns).
static int check_name(const char *name, struct error **err)
{
    if (*name >= 'a' && *name <= 'z')
        if (name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789+-.:")] == '\0')
            return 0;
    if (*name >= '0' && *name <= '9')
        if (name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789+-.:")] == '\0')
            return 0;
    return error_user(err, "'%s' is not the name of a package", name);
}

// The architecture first, then those that packages ask for ("libssl-dev:s390x").
static char *architectures(const struct rootfs_spec *spec)
{
    struct strlist all = {0};
    strlist_add(&all, spec->arch->debian);
    for (size_t i = 0; i < spec->packages->n; i++) {
        const char *colon = strchr(spec->packages->items[i], ':');
        if (colon && strcmp(colon, ":any") != 0 && strcmp(colon, ":all") != 0 &&
            !strlist_has(&all, colon + 1))
            strlist_add(&all, colon + 1);
    }
    char *text = strlist_join(&all, ",");
    strlist_free(&all);
    return text;
}

static int write_text(const char *folder, const char *name, const struct buf *text, char **path,
                      struct error **err)
{
    *path = xasprintf("%s/%s", folder, name);
    // Proxies may hold passwords: for the user's eyes only.
    return file_write(*path, text->data ? text->data : "", text->len, 0600, err);
}

// mmdebstrap's environment: the user's, but for what changes its results or its messages.
static void add_environment(struct strlist *out, const char *temporary)
{
    static const char *const own[] = {
        "LC_ALL=", "LANGUAGE=", "TMPDIR=", "PATH=", "SOURCE_DATE_EPOCH=", "APT_CONFIG="};
    for (char **e = environ; *e; e++) {
        bool skip = false;
        for (size_t i = 0; i < ARRAY_LEN(own); i++)
            skip = skip || starts_with(*e, own[i]);
        if (!skip)
            strlist_add(out, *e);
    }
    const char *path = getenv("PATH");
    strlist_addf(out, "PATH=%s:%s", path ? path : "/usr/bin:/bin", SANDBOX_PATH);
    strlist_add(out, "LC_ALL=C.UTF-8");
    strlist_addf(out, "TMPDIR=%s", temporary);
}

// The extract variant runs nothing of the packages, so the chrootless mode, which any user may use,
// is as good as root's; and with one mode for all, all get the same.
static int run_mmdebstrap(const struct rootfs_spec *spec, const char *root, const char *work,
                          bool builder, struct error **err)
{
    cleanup_free char *program = find_program("mmdebstrap");
    if (!program) {
        error_user(err, "mmdebstrap is not installed: root file systems can't be made");
        return error_hint(err,
                          "install mmdebstrap (apt install mmdebstrap), or use --builder=host");
    }
    cleanup_buf struct buf sources = {0}, settings = {0};
    cleanup_free char *sources_path = NULL, *settings_path = NULL;
    const struct apt_wanted wanted = {.id = spec->distribution->id,
                                      .codename = spec->distribution->codename,
                                      .arch = spec->arch,
                                      .folder = work};
    if (apt_sources(&wanted, &sources, err) < 0 ||
        apt_settings(&settings, err) < 0)
        return -1;
    // The user _apt, which root's apt would change to, has no way into our folders.
    buf_puts(&settings, "APT::Sandbox::User \"root\";\n");
    if (write_text(work, "kbuild.sources", &sources, &sources_path, err) < 0 ||
        write_text(work, "apt.conf", &settings, &settings_path, err) < 0)
        return -1;

    cleanup_free char *include = strlist_join(spec->packages, ",");
    cleanup_free char *arches = architectures(spec);
    cleanup_strlist struct strlist argv = {0}, environment = {0};
    strlist_add(&argv, program);
    strlist_split(&argv,
                  "--mode=chrootless --variant=extract --format=directory "
                  "--skip=cleanup/apt/cache",
                  " ");
    strlist_addf(&argv, "--architectures=%s", arches);
    strlist_addf(&argv, "--aptopt=%s", settings_path);
    strlist_addf(&argv, "--include=%s", include);
    if (builder) // the essential packages of one architecture only
        strlist_addf(&argv, "--include=?essential?architecture(%s)", spec->arch->debian);
    strlist_add(&argv, "");
    strlist_add(&argv, root);
    strlist_add(&argv, sources_path);
    add_environment(&environment, work);
    struct process p = {
        .argv = argv.items, .environment = environment.items, .input = -1, .mask = 022};
    cleanup_buf struct buf out = {0};
    if (process_run(&p, &out, err) < 0)
        return error_hint(err,
                          "is the package mirror reachable, and does %s have these packages for "
                          "%s: %s? REPO_URL takes another mirror",
                          spec->distribution->codename, spec->arch->debian, include);
    return 0;
}

static int compare_packages(const void *a, const void *b)
{
    const struct deb_package *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    if (!order)
        order = strcmp(x->architecture, y->architecture);
    return order ? order : strcmp(x->version, y->version);
}

// What was extracted, from the packages that mmdebstrap left in apt's cache.
static int read_packages(const char *root, struct deb_files *files, json_t **packages,
                         struct error **err)
{
    cleanup_free char *folder = xasprintf("%s/var/cache/apt/archives", root);
    struct strlist names = {0};
    struct deb_package *list = NULL;
    size_t n = 0, cap = 0;
    int result = list_directory(folder, &names, err);
    for (size_t i = 0; !result && i < names.n; i++) {
        if (!ends_with(names.items[i], ".deb"))
            continue;
        cleanup_free char *path = xasprintf("%s/%s", folder, names.items[i]);
        list = xgrow(list, &cap, n + 1, sizeof *list);
        result = deb_read(path, &list[n], files, err);
        n += !result;
    }
    if (!result && !n)
        result = error_user(err, "mmdebstrap extracted no packages");
    if (list && !result) {
        qsort(list, n, sizeof *list, compare_packages);
        *packages = json_array();
        for (size_t i = 0; i < n; i++)
            json_array_append_new(*packages,
                                  json_pack("{s:s, s:s, s:s}", "name", list[i].name, "version",
                                            list[i].version, "architecture", list[i].architecture));
    }
    for (size_t i = 0; i < n; i++)
        deb_package_free(&list[i]);
    free(list);
    strlist_free(&names);
    return result;
}

// Runs a builder's setup script in the new root file system, which it may change. It sees nothing
// else: what it does depends on the packages and its own text.
static int run_setup(const char *script, const char *root, const char *work, struct error **err)
{
    cleanup_free char *folder = xasprintf("%s/setup", work), *copy = NULL;
    cleanup_free char *log = xasprintf("%s/setup.log", work);
    cleanup_buf struct buf text = {0}, output = {0};
    if (file_read(script, (size_t)1 << 20, &text, err) < 0 ||
        make_directories(folder, 0755, err) < 0 ||
        write_text(folder, "setup.sh", &text, &copy, err) < 0)
        return -1;
    cleanup_close int fd = open(log, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cleanup_strlist struct strlist argv = {0}, environment = {0};
    strlist_split(&argv, "/bin/bash /recipe/setup.sh", " ");
    strlist_split(&environment, "PATH=" SANDBOX_PATH " HOME=/root LANG=C.UTF-8 TZ=UTC", " ");
    struct sandbox_mount mount = {folder, "/recipe", false};
    struct sandbox s = {.root = root,
                        .root_writable = true,
                        .mounts = &mount,
                        .mount_count = 1,
                        .environment = &environment,
                        .argv = argv.items,
                        .directory = "/",
                        .input = -1,
                        .output = fd};
    int status = 0;
    pid_t pid = fd < 0 ? error_user(err, "writing %s", log) : sandbox_start(&s, err);
    if (pid < 0 || sandbox_wait(pid, &status, err) < 0)
        return -1;
    if (status == 0)
        return 0;
    lseek(fd, 0, SEEK_SET);
    cleanup_free char *how = process_status_text(status);
    fd_read_all(fd, log, OUTPUT_MAX, &output, NULL);
    size_t skip = output.len > 4096 ? output.len - 4096 : 0;
    return error_set(err, ERROR_STEP, "%s: %s: %s", script, how,
                     output.data ? output.data + skip : "");
}

int rootfs_extract(const struct rootfs_spec *spec, const char *root, const char *work, bool builder,
                   struct deb_files *files, json_t **packages, struct error **err)
{
    for (size_t i = 0; i < spec->packages->n; i++)
        if (check_name(spec->packages->items[i], err) < 0)
            return -1;
    if (run_mmdebstrap(spec, root, work, builder, err) < 0 ||
        read_packages(root, files, packages, err) < 0 || rootfs_clean(root, builder, err) < 0 ||
        rootfs_merge_usr(root, err) < 0 || rootfs_complete(root, err) < 0)
        return -1;
    return 0;
}

// A builder's own packages, then those of other architectures beside them.
static int extract_builder(const struct rootfs_spec *spec, const char *root, const char *work,
                           json_t **packages, struct error **err)
{
    struct strlist own = {0};
    struct rootfs_spec main = *spec;
    main.packages = &own;
    for (size_t i = 0; i < spec->packages->n; i++)
        if (!sysroot_arch(spec, spec->packages->items[i]))
            strlist_add(&own, spec->packages->items[i]);
    int result = rootfs_extract(&main, root, work, true, NULL, packages, err);
    strlist_free(&own);
    return result < 0 ? -1 : rootfs_sysroots(spec, root, work, *packages, err);
}

static int finish_builder(const struct rootfs_spec *spec, const char *root, const char *work,
                          struct error **err)
{
    if (rootfs_mount_points(root, err) < 0 || rootfs_own(root, err) < 0)
        return -1;
    if (!spec->setup)
        return 0;
    if (spec->arch != arch_host())
        return error_user(err, "%s can't be run: it would be %s code on %s", spec->setup,
                          spec->arch->name, arch_host()->name);
    if (run_setup(spec->setup, root, work, err) < 0 || rootfs_clean(root, true, err) < 0)
        return -1;
    return rootfs_own(root, err);
}

int rootfs_unpack(const struct rootfs_spec *spec, const char *destination, bool builder,
                  json_t **packages, struct error **err)
{
    cleanup_free char *root = path_absolute(destination);
    cleanup_free char *parent = xstrndup(root, (size_t)(path_base(root) - root));
    cleanup_free char *work = make_temporary_directory(parent, "apt", err);
    if (!work)
        return -1;
    *packages = NULL;
    int result = builder ? extract_builder(spec, root, work, packages, err)
                         : rootfs_extract(spec, root, work, false, NULL, packages, err);
    if (!result)
        result = builder ? finish_builder(spec, root, work, err) : rootfs_own(root, err);
    if (remove_tree(work, result ? NULL : err) < 0)
        result = -1;
    if (result) {
        json_decref(*packages);
        *packages = NULL;
        return error_wrap(err, "making a root file system of %s for %s",
                          spec->distribution->codename, spec->arch->name);
    }
    return 0;
}

int rootfs_tar(const struct rootfs_spec *spec, const char *temporary, int fd, json_t **packages,
               struct error **err)
{
    cleanup_free char *base = path_absolute(temporary);
    cleanup_free char *root = xasprintf("%s/root", base), *work = xasprintf("%s/work", base);
    struct deb_files files = {0};
    *packages = NULL;
    int result = 0;
    if (spec->setup)
        result = error_user(err, "a setup script is for builders only: %s", spec->setup);
    if (!result && (make_directories(root, 0755, err) < 0 || make_directories(work, 0700, err) < 0))
        result = -1;
    if (!result)
        result = rootfs_extract(spec, root, work, false, &files, packages, err);
    if (!result)
        result = rootfs_write_tar(root, &files, fd, err);
    deb_files_free(&files);
    if (result) {
        json_decref(*packages);
        *packages = NULL;
        return error_wrap(err, "making a root file system of %s for %s",
                          spec->distribution->codename, spec->arch->name);
    }
    return 0;
}
