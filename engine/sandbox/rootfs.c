// SPDX-License-Identifier: Apache-2.0
// Makes root file systems from resolved distribution packages. mmdebstrap extracts them from a
// repository that contains nothing else; all work of their scripts is then done natively.
#include "base/process.h"
#include "sandbox/internal.h"
#include "source/packages.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

#define OUTPUT_MAX ((size_t)64 << 20)

static int write_text_file(const char *folder, const char *name, const struct buf *text,
                           char **path, struct error **err)
{
    *path = xasprintf("%s/%s", folder, name);
    // Proxies may contain passwords: only the user may read them.
    return file_write(*path, text->data ? text->data : "", text->len, 0600, err);
}

// mmdebstrap's environment: the user's, without variables that change its results or messages.
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

// ---- a repository of just these packages ----

static void add_escaped(struct buf *out, const char *path)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/";
    for (; *path; path++)
        buf_printf(out, strchr(plain, *path) ? "%c" : "%%%02X", (unsigned char)*path);
}

// One paragraph of its index. The file is named by its digest, since apt reads '%' in a name as an
// escape.
static int index_package(const struct package *p, const char *folder, struct buf *out,
                         struct error **err)
{
    cleanup_free char *came = xasprintf("%s/%s", folder, p->file);
    cleanup_free char *path = xasprintf("%s/%s.deb", folder, p->sha256);
    struct deb_package deb = {0};
    struct stat st;
    if (rename(came, path) < 0 || stat(path, &st) < 0)
        return error_errno(err, errno, "renaming %s", came);
    if (deb_read(path, &deb, NULL, err) < 0)
        return -1;
    size_t n = strlen(deb.control);
    while (n && deb.control[n - 1] == '\n')
        n--;
    buf_printf(out, "%.*s\nFilename: ./%s.deb\nSize: %lld\nSHA256: %s\n\n", (int)n, deb.control,
               p->sha256, (long long)st.st_size, p->sha256);
    deb_package_free(&deb);
    return 0;
}

static int make_repository(const struct rootfs_spec *spec, const char *folder, struct error **err)
{
    cleanup_buf struct buf index = {0};
    cleanup_free char *path = NULL;
    if (make_directories(folder, 0755, err) < 0 ||
        packages_download(spec->set, spec->arch->debian, spec->options, folder, err) < 0)
        return -1;
    for (size_t i = 0; i < spec->set->n; i++)
        if (!strcmp(spec->set->items[i].of, spec->arch->debian) &&
            index_package(&spec->set->items[i], folder, &index, err) < 0)
            return -1;
    return write_text_file(folder, "Packages", &index, &path, err);
}

// ---- mmdebstrap ----

static char *names_of(const struct rootfs_spec *spec)
{
    cleanup_strlist struct strlist names = {0};
    for (size_t i = 0; i < spec->set->n; i++)
        if (!strcmp(spec->set->items[i].of, spec->arch->debian))
            strlist_add(&names, spec->set->items[i].name);
    return strlist_join(&names, ",");
}

// The extract variant runs no code of the packages, so the chrootless mode, which any user may use,
// is sufficient for root, too; with one mode all users get the same result.
static int run_mmdebstrap(const struct rootfs_spec *spec, const char *root, const char *work,
                          struct error **err)
{
    cleanup_free char *program = find_program("mmdebstrap");
    if (!program) {
        error_user(err, "mmdebstrap is not installed: root file systems can't be made");
        return error_hint(err,
                          "install mmdebstrap (apt install mmdebstrap), or use --builder=host");
    }
    cleanup_buf struct buf sources = {0}, settings = {0};
    cleanup_free char *sources_path = NULL, *settings_path = NULL;
    cleanup_free char *repository = xasprintf("%s/repository", work);
    if (make_repository(spec, repository, err) < 0)
        return -1;
    buf_puts(&sources, "Types: deb\nURIs: copy:");
    add_escaped(&sources, repository);
    buf_puts(&sources, "/\nSuites: ./\nTrusted: yes\n"); // each file was compared with its digest
    // The user _apt, to which root's apt would change, has no access to these folders.
    buf_puts(&settings, "APT::Sandbox::User \"root\";\n");
    if (write_text_file(work, "kbuild.sources", &sources, &sources_path, err) < 0 ||
        write_text_file(work, "apt.conf", &settings, &settings_path, err) < 0)
        return -1;

    cleanup_free char *include = names_of(spec);
    cleanup_strlist struct strlist argv = {0}, environment = {0};
    strlist_add(&argv, program);
    strlist_split(&argv,
                  "--mode=chrootless --variant=extract --format=directory "
                  "--skip=cleanup/apt/cache",
                  " ");
    strlist_addf(&argv, "--architectures=%s", spec->arch->debian);
    strlist_addf(&argv, "--aptopt=%s", settings_path);
    strlist_addf(&argv, "--include=%s", include);
    strlist_add(&argv, "");
    strlist_add(&argv, root);
    strlist_add(&argv, sources_path);
    add_environment(&environment, work);
    progress("extracting packages", 0, 0, "bytes");
    struct process p = {
        .argv = argv.items, .environment = environment.items, .input = -1, .mask = 022};
    cleanup_buf struct buf out = {0};
    return process_run(&p, &out, err);
}

static const struct package *package_with_digest(const struct rootfs_spec *spec, const char *sha256)
{
    for (size_t i = 0; i < spec->set->n; i++) {
        const struct package *p = &spec->set->items[i];
        if (!strcmp(p->of, spec->arch->debian) && !strcmp(p->sha256, sha256))
            return p;
    }
    return NULL;
}

// A file is read only if its digest is that of a resolved package.
static int check_package(const struct rootfs_spec *spec, const char *path, struct deb_files *files,
                         struct error **err)
{
    struct deb_package deb = {0};
    char digest[DIGEST_HEX_SIZE];
    if (digest_file(path, digest, NULL, err) < 0)
        return -1;
    const struct package *p = package_with_digest(spec, digest);
    if (!p)
        return error_user(err, "mmdebstrap extracted %s, which was not resolved", path_base(path));
    if (deb_read(path, &deb, files, err) < 0)
        return -1;
    bool same = !strcmp(p->name, deb.name) && !strcmp(p->version, deb.version) &&
                !strcmp(p->architecture, deb.architecture);
    int result = same ? 0
                      : error_user(err, "mmdebstrap extracted %s %s (%s), which was not resolved",
                                   deb.name, deb.version, deb.architecture);
    deb_package_free(&deb);
    return result;
}

// The extracted packages, which mmdebstrap left in apt's cache, must be exactly the resolved ones.
static int check_packages(const struct rootfs_spec *spec, const char *root, struct deb_files *files,
                          struct error **err)
{
    cleanup_free char *folder = xasprintf("%s/var/cache/apt/archives", root);
    cleanup_strlist struct strlist names = {0};
    size_t wanted = 0, found = 0;
    if (list_directory(folder, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < spec->set->n; i++)
        wanted += !strcmp(spec->set->items[i].of, spec->arch->debian);
    for (size_t i = 0; i < names.n; i++) {
        if (!ends_with(names.items[i], ".deb"))
            continue;
        cleanup_free char *path = xasprintf("%s/%s", folder, names.items[i]);
        if (check_package(spec, path, files, err) < 0)
            return -1;
        found++;
    }
    return found == wanted
               ? 0
               : error_user(err, "mmdebstrap extracted %zu of %zu packages", found, wanted);
}

// Runs a builder's setup script in the new root file system, which it may change. It sees nothing
// else: its effect depends only on the packages and its text.
static int run_setup(const char *script, const char *root, const char *work, struct error **err)
{
    cleanup_free char *folder = xasprintf("%s/setup", work), *copy = NULL;
    cleanup_free char *log = xasprintf("%s/setup.log", work);
    cleanup_buf struct buf text = {0}, output = {0};
    if (file_read(script, (size_t)1 << 20, &text, err) < 0 ||
        make_directories(folder, 0755, err) < 0 ||
        write_text_file(folder, "setup.sh", &text, &copy, err) < 0)
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

// Downloads and unpacks the packages for spec->arch into `root`, merges /usr, completes it. `work`
// is scratch.
static int extract_rootfs(const struct rootfs_spec *spec, const char *root, const char *work,
                          bool builder, struct deb_files *files, struct error **err)
{
    if (run_mmdebstrap(spec, root, work, err) < 0 || check_packages(spec, root, files, err) < 0 ||
        rootfs_licences(root, spec->arch->debian, spec->set, err) < 0 ||
        rootfs_clean(root, builder, err) < 0 || rootfs_merge_usr(root, err) < 0 ||
        rootfs_complete(root, err) < 0)
        return -1;
    return 0;
}

// ---- sysroots ----
// Packages of another architecture, in a separate root file system inside a builder. They are
// resolved (source/packages_apt.c) and extracted separately: together, `Multi-Arch: same` packages
// would need the same version for both architectures, which a mirror does not always have (security
// updates reach some architectures later or not at all), and packages without that mark exclude
// each other.

// Makes an absolute link relative. The sysroot is level 0, its entries are level 1.
static int make_link_relative(const struct beneath_entry *e, void *context, struct error **err)
{
    char target[PATH_MAX];
    ssize_t n =
        e->type == DT_LNK ? readlinkat(e->directory, e->name, target, sizeof target - 1) : 0;
    if (n <= 0 || *target != '/')
        return n < 0 ? error_errno(err, errno, "reading the link %s", e->path) : 0;
    target[n] = '\0';
    cleanup_buf struct buf relative = {0};
    for (unsigned level = 1; level < e->depth; level++)
        buf_puts(&relative, "../");
    buf_puts(&relative, target + strspn(target, "/"));
    if (!*relative.data)
        buf_puts(&relative, ".");
    if (unlinkat(e->directory, e->name, 0) < 0 ||
        symlinkat(relative.data, e->directory, e->name) < 0)
        return error_errno(err, errno, "making the link %s relative", e->path);
    return 0;
}

int sysroot_relative_links(const char *sysroot, struct error **err)
{
    return rootfs_walk(sysroot, make_link_relative, NULL, err);
}

static int make_sysroot(const struct rootfs_spec *spec, const char *root, const char *work,
                        struct error **err)
{
    cleanup_free char *folder = xasprintf("%s" SANDBOX_SYSROOT "/%s", root, spec->arch->triplet);
    cleanup_free char *scratch = xasprintf("%s/%s", work, spec->arch->triplet);
    if (make_directories(folder, 0755, err) < 0 || make_directories(scratch, 0700, err) < 0 ||
        extract_rootfs(spec, folder, scratch, false, NULL, err) < 0 ||
        rootfs_clean(folder, true, err) < 0 || sysroot_relative_links(folder, err) < 0)
        return error_wrap(err, "its packages of %s", spec->arch->debian);
    return 0;
}

static bool has_packages_of(const struct package_set *set, const struct arch *arch)
{
    for (size_t i = 0; i < set->n; i++)
        if (!strcmp(set->items[i].of, arch->debian))
            return true;
    return false;
}

// Extracts the packages of other architectures than spec->arch below root + SANDBOX_SYSROOT.
static int make_sysroots(const struct rootfs_spec *spec, const char *root, const char *work,
                         struct error **err)
{
    for (size_t a = 0; a < arch_count; a++) {
        struct rootfs_spec one = *spec;
        one.arch = &arch_table[a];
        if (one.arch != spec->arch && has_packages_of(spec->set, one.arch) &&
            make_sysroot(&one, root, work, err) < 0)
            return -1;
    }
    return 0;
}

// ---- whole root file systems ----

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
                  struct error **err)
{
    cleanup_free char *root = path_absolute(destination);
    cleanup_free char *parent = xstrndup(root, (size_t)(path_base(root) - root));
    cleanup_free char *work = make_temporary_directory(parent, "apt", err);
    if (!work)
        return -1;
    int result = extract_rootfs(spec, root, work, builder, NULL, err);
    if (!result && builder)
        result = make_sysroots(spec, root, work, err);
    if (!result)
        result = builder ? finish_builder(spec, root, work, err) : rootfs_own(root, err);
    if (remove_tree(work, result ? NULL : err) < 0)
        result = -1;
    return result ? error_wrap(err, "making a root file system of %s for %s",
                               spec->distribution->codename, spec->arch->name)
                  : 0;
}

int rootfs_tar(const struct rootfs_spec *spec, const char *temporary, int fd, struct error **err)
{
    cleanup_free char *base = path_absolute(temporary);
    cleanup_free char *root = xasprintf("%s/root", base), *work = xasprintf("%s/work", base);
    struct deb_files files = {0};
    int result = 0;
    if (spec->setup)
        result = error_user(err, "a setup script is for builders only: %s", spec->setup);
    if (!result && (make_directories(root, 0755, err) < 0 || make_directories(work, 0700, err) < 0))
        result = -1;
    if (!result)
        result = extract_rootfs(spec, root, work, false, &files, err);
    if (!result)
        result = rootfs_write_tar(root, &files, fd, err);
    deb_files_free(&files);
    return result ? error_wrap(err, "making a root file system of %s for %s",
                               spec->distribution->codename, spec->arch->name)
                  : 0;
}
