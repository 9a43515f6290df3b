// SPDX-License-Identifier: Apache-2.0
// Images and packages of others, by the first byte: a (l)ayer that is unpacked over another one,
// the (L)owest layer, what a name in a registry leads to (manifests and configs, divided by lines
// that are empty; (i)), the index of an image lay(o)ut, a (.deb; 'd'), a program's first bytes (e),
// the (h)eader Link of a list. Nothing may be written outside of the folder that a layer is
// unpacked into. A run of a layer makes and removes a tree of files, which is most of its time.
// Seeds: tests/fuzz/seeds/images/.
#include "fuzz.h"
#include "oci/oci.h"
#include "payload/internal.h"
#include "registry/internal.h"
#include "sandbox/internal.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define IN_LAYOUT "{\"layers\":[]}"
enum { MAX_BYTES = 1 << 20, HEADER_MAX = 8 << 20, MANIFESTS_MAX = 200 };

static void make_layout(void)
{
    char digest[DIGEST_HEX_SIZE];
    digest_bytes(IN_LAYOUT, strlen(IN_LAYOUT), digest);
    cleanup_free char *name = xasprintf("layout/blobs/sha256/%s", digest), *path = fuzz_path(name);
    require(make_parent(path, NULL) == 0);
    fuzz_write(name, IN_LAYOUT, strlen(IN_LAYOUT));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    // A file of holes must not fill memory.
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){64 << 20, 64 << 20});
    fuzz_begin("fuzz-images");
    make_layout();
    return 0;
}

// libarchive asks malloc for as much as a header of a newc cpio claims its name to have (offset 94)
// or a list of names in an ar, before anything stops it from filling that.
static bool claims_much(const char *text, size_t length)
{
    for (const char *p = text; (p = memmem(p, length - (size_t)(p - text), "07070", 5)); p++) {
        char digits[9] = "";
        if (length - (size_t)(p - text) < 110)
            break;
        memcpy(digits, p + 94, 8);
        if (strtoul(digits, NULL, 16) > HEADER_MAX)
            return true;
        memcpy(digits, p + 54, 8); // the size, which is that of a link's target
        if (strtoul(digits, NULL, 16) > HEADER_MAX)
            return true;
    }
    return length > 10 && !memcmp(text, "!<arch>\n//", 10);
}

// ---- layers ----

// A root as a layer below could have left it, with links that lead out of it.
static char *make_lower(void)
{
    char *root = fuzz_path("root");
    cleanup_free char *folder = xasprintf("%s/a/b", root), *file = xasprintf("%s/a/f", root);
    cleanup_free char *up = xasprintf("%s/up", root), *out = xasprintf("%s/out", root);
    cleanup_free char *in = xasprintf("%s/in", root), *loop = xasprintf("%s/loop", root);
    cleanup_close int fd = -1;
    require(mkdir(root, 0755) == 0 && make_directories(folder, 0755, NULL) == 0);
    require((fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)) >= 0);
    require(symlink("../outside", up) == 0 && symlink("/outside", out) == 0);
    require(symlink("a/b", in) == 0 && symlink("loop", loop) == 0);
    return root;
}

static void unpack_layer(const char *text, size_t length, bool lowest)
{
    if (claims_much(text, length))
        return;
    cleanup_close int fd = fuzz_memory(text, length);
    cleanup_free char *outside = fuzz_path("outside"), *root = NULL;
    cleanup_error struct error *err = NULL;
    require(mkdir(outside, 0755) == 0 || is_directory(outside));
    root = make_lower();
    require_result(oci_unpack_layer(fd, "fuzz", root, lowest, MAX_BYTES, &err), err);
    require(remove_tree(root, NULL) == 0);
    require(rmdir(outside) == 0); // still there, and empty
    cleanup_strlist struct strlist names = {0};
    require(list_directory(fuzz_folder, &names, NULL) == 0 && names.n == 1); // layout
}

static void try_layer(const char *text, size_t length)
{
    unpack_layer(text, length, false);
}

static void try_lowest(const char *text, size_t length)
{
    unpack_layer(text, length, true);
}

// ---- what a name leads to ----

struct pieces {
    const char *items[16];
    size_t lengths[16], n;
    unsigned asked;
};

static void split(const char *text, size_t length, struct pieces *out)
{
    const char *end = text + length, *stop;
    for (; out->n < ARRAY_LEN(out->items) && text <= end; text = stop + 2) {
        stop = memmem(text, (size_t)(end - text), "\n\n", 2);
        stop = stop ? stop : end;
        out->items[out->n] = text;
        out->lengths[out->n++] = (size_t)(stop - text);
    }
}

// The first digit of a digest is the number of a piece. So an index may lead to itself, which the
// bounds have to end.
static int give_manifest(void *context, const char *digest, struct buf *out, struct error **err)
{
    struct pieces *p = context;
    unsigned i = 0;
    require(++p->asked < MANIFESTS_MAX);
    if (digest) {
        require(digest_is_hex(digest));
        i = (unsigned)strtoul((const char[]){digest[0], '\0'}, NULL, 16);
    }
    if (i >= p->n)
        return error_user(err, "there is none");
    buf_add(out, p->items[i], p->lengths[i]);
    return 0;
}

static int give_config(void *context, const char *digest, uint64_t size, struct buf *out,
                       struct error **err)
{
    require(digest != NULL);
    return give_manifest(context, digest, out, err);
}

static void try_index(const char *text, size_t length)
{
    struct pieces pieces = {0};
    char digest[DIGEST_HEX_SIZE] = "";
    cleanup_error struct error *err = NULL;
    split(text, length, &pieces);
    const struct oci_reader reader = {give_manifest, give_config, &pieces};
    json_t *image = oci_choose(&reader, "s390x", digest, &err);
    require(!image == !!err);
    require(!image || (json_is_object(image) && digest_is_hex(digest)));
    struct image_blob config;
    cleanup_error struct error *why = NULL;
    if (image)
        require_result(descriptor_read(json_object_get(image, "config"), &config, &why), why);
    json_decref(image);
}

static void try_layout(const char *text, size_t length)
{
    fuzz_write("layout/index.json", text, length);
    cleanup_free char *name = xasprintf("oci:%s/layout%s", fuzz_folder, length % 2 ? ":x" : "");
    cleanup_buf struct buf manifest = {0};
    cleanup_error struct error *err = NULL;
    struct image_source *s = image_source_open(name, false, NULL);
    require(s != NULL);
    int result = image_source_manifest(s, NULL, &manifest, &err);
    require_result(result, err);
    require(result < 0 || !strcmp(manifest.data, IN_LAYOUT)); // there is nothing else
    image_source_close(s);
}

// ---- packages ----

static void check_package(const struct deb_package *p)
{
    require(p->name && p->version && p->architecture && p->control);
    require(!strpbrk(p->name, "\r\n") && !strpbrk(p->version, "\r\n"));
}

static void try_deb(const char *text, size_t length)
{
    if (claims_much(text, length))
        return;
    cleanup_close int fd = fuzz_memory(text, length);
    cleanup_free char *path = xasprintf("/proc/self/fd/%d", fd);
    for (int content = 0; content < 2; content++) {
        struct deb_package p;
        struct deb_files files = {0};
        cleanup_error struct error *err = NULL;
        int result = deb_read(path, &p, content ? &files : NULL, &err);
        require_result(result, err);
        if (!result)
            check_package(&p);
        for (size_t i = 0; !result && i < files.n; i++)
            require(!*files.items[i].path || path_is_clean(files.items[i].path));
        deb_package_free(&p);
        deb_files_free(&files);
    }
}

static void try_program(const char *text, size_t length)
{
    require(payload_elf_arch(text, length) <= PAYLOAD_ARCHES);
}

static void try_link(const char *text, size_t length)
{
    static const char origin[] = "https://registry.example.org:443";
    cleanup_free char *next =
        link_next(text, "https://registry.example.org/v2/a/referrers/b", origin);
    require(!next || starts_with(next, "https://registry.example.org"));
    require(!next || !strpbrk(next, " \r\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fuzz_kind kinds[] = {
        {'l', try_layer}, {'L', try_lowest},  {'i', try_index}, {'o', try_layout},
        {'d', try_deb},   {'e', try_program}, {'h', try_link}};
    fuzz_run(kinds, ARRAY_LEN(kinds), data, size);
    return 0;
}
