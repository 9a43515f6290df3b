// SPDX-License-Identifier: Apache-2.0
// Turns tree entries into commands for debugfs, and computes the size of their file system.
#include "disk/disk.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

// debugfs/debugfs.c, source_file(): fgets() into BUFSIZ bytes, which glibc has as 8192.
enum { LINE_LIMIT = 8190, JOURNAL_MIB = 4, INODE = 256, FAST_LINK = 60 };
// Linux, fs/ext4/ext4.h: EXT4_LINK_MAX.
enum { LINKS_MAX = 65000 };
// The inodes 1 to 10 are reserved, the root among them; the next one is lost+found.
enum { RESERVED = 10, LOST_FOUND = 1 };
static const char lost_found[] = "lost+found";
enum { JOURNAL = JOURNAL_MIB * DISK_MIB / DISK_BLOCK };
// e2fsprogs 1.47, lib/ext2fs/mkjournal.c and misc/util.c: below 2048 blocks mke2fs makes no
// journal, and it refuses one larger than half of the free blocks, which are all but 2.
enum { BLOCKS_MIN = 2 * JOURNAL + 2 };

struct ext4_fill {
    char *folder, *inside;
    struct buf commands;
    int content; // of the current file, or -1
    uint64_t left, number;
    uint64_t blocks, inodes;
    uint64_t name_bytes;          // in directories
    struct buf last;              // hard links, which come at the end
    struct digest_stream *digest; // until the end
};

// ---- commands ----

static int add_command(struct ext4_fill *f, struct buf *line, struct error **err)
{
    if (line->len > LINE_LIMIT)
        return error_user(err, "its name is too long for debugfs");
    buf_puts(line, "\n");
    digest_add(f->digest, line->data, line->len);
    buf_add(&f->commands, line->data, line->len);
    line->len = 0;
    return 0;
}

// Adds a quoted word to a command. The text is untrusted.
static int add_quoted(struct buf *line, const char *before, const char *text, struct error **err)
{
    if (strpbrk(text, "\n\r"))
        return error_user(err, "a line break in a name or a link's target cannot be passed on to "
                               "debugfs");
    buf_printf(line, "%s\"", before);
    for (const char *p = text; *p; p++)
        buf_add(line, *p == '"' ? "\"\"" : p, *p == '"' ? 2 : 1);
    buf_puts(line, "\"");
    return 0;
}

// A path begins with a slash, so that debugfs takes it neither for an option nor for "<12>".
static int add_quoted_path(struct buf *line, const char *before, const char *path,
                           struct error **err)
{
    cleanup_free char *absolute = xasprintf("/%s", path);
    if (absolute[1] && ends_with(absolute, "/"))
        absolute[strlen(absolute) - 1] = '\0';
    return add_quoted(line, before, absolute, err);
}

static int set_field(struct ext4_fill *f, const char *path, const char *field, const char *value,
                     struct error **err)
{
    cleanup_buf struct buf line = {0};
    if (add_quoted_path(&line, "set_inode_field ", path, err) < 0)
        return -1;
    buf_printf(&line, " %s %s", field, value);
    return add_command(f, &line, err);
}

static int set_number(struct ext4_fill *f, const char *path, const char *field, int64_t value,
                      struct error **err)
{
    cleanup_free char *text = xasprintf("%lld", (long long)value);
    return set_field(f, path, field, text, err);
}

// Sets what differs from a new inode, which is root's and of the epoch.
static int set_fields(struct ext4_fill *f, const struct pack_entry *e, struct error **err)
{
    const char *path = e->names[0];
    cleanup_free char *mode = xasprintf("0%o", e->mode);
    cleanup_free char *time = xasprintf("@%lld", (long long)e->mtime);
    if (e->uid < 0 || e->gid < 0 || e->uid > UINT32_MAX || e->gid > UINT32_MAX)
        return error_user(err, "ext4 cannot hold its owner %lld:%lld", (long long)e->uid,
                          (long long)e->gid);
    if (!S_ISLNK(e->mode) && set_field(f, path, "mode", mode, err) < 0)
        return -1;
    if ((e->uid && set_number(f, path, "uid", e->uid, err) < 0) ||
        (e->gid && set_number(f, path, "gid", e->gid, err) < 0) ||
        set_field(f, path, "mtime", time, err) < 0)
        return -1;
    return e->name_count < 2 ? 0 : set_number(f, path, "links_count", (int64_t)e->name_count, err);
}

// ---- numbered files: contents, and values of attributes ----

static int create_content_file(struct ext4_fill *f, char **name, struct error **err)
{
    cleanup_free char *path = xasprintf("%s/%llu", f->folder, (unsigned long long)f->number);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_errno(err, errno, "creating %s", path);
    *name = xasprintf("%s/%llu", f->inside, (unsigned long long)f->number++);
    return fd;
}

// "<name>=<value>" in hex (pack/reader.h).
static int add_attribute(struct ext4_fill *f, const char *path, const char *pair, size_t length,
                         struct error **err)
{
    const char *equals = memchr(pair, '=', length);
    size_t n = equals ? (size_t)(equals - pair) / 2 : 0;
    size_t size = equals ? (length - (size_t)(equals - pair) - 1) / 2 : 0;
    cleanup_free char *name = xcalloc(1, n + 1), *hex_name = xstrndup(pair, 2 * n);
    cleanup_free char *hex = xstrndup(pair + 2 * n + 1, 2 * size), *value = xmalloc(size + 1);
    if (!equals || !hex_decode(hex_name, name, n) || !hex_decode(hex, value, size) ||
        strlen(name) != n || size > DISK_BLOCK / 2)
        return error_user(err, "it has an extended attribute that ext4 cannot hold");
    cleanup_free char *file = NULL;
    cleanup_buf struct buf line = {0};
    cleanup_close int fd = create_content_file(f, &file, err);
    if (fd < 0 || fd_write_all(fd, file, value, size, err) < 0)
        return -1;
    digest_add(f->digest, value, size);
    buf_printf(&line, "ea_set -f %s", file);
    if (add_quoted_path(&line, " ", path, err) < 0 || add_quoted(&line, " ", name, err) < 0)
        return -1;
    return add_command(f, &line, err);
}

static int add_attributes(struct ext4_fill *f, const struct pack_entry *e, struct error **err)
{
    const char *p = e->attributes;
    if (!p)
        return 0;
    f->blocks++;
    for (size_t n = strcspn(p, ",");; n = strcspn(p, ",")) {
        if (add_attribute(f, e->names[0], p, n, err) < 0)
            return -1;
        if (!p[n])
            return 0;
        p += n + 1;
    }
}

// ---- entries ----

static int make_directory(struct ext4_fill *f, const struct pack_entry *e, struct error **err)
{
    cleanup_buf struct buf line = {0};
    const char *path = e->names[0];
    f->blocks++;
    if (!*path || !strcmp(path, lost_found)) // every ext4 has both
        return 0;
    if (add_quoted_path(&line, "mkdir ", path, err) < 0)
        return -1;
    return add_command(f, &line, err);
}

static int make_link(struct ext4_fill *f, const struct pack_entry *e, struct error **err)
{
    cleanup_buf struct buf line = {0};
    if (strlen(e->link) >= DISK_BLOCK)
        return error_user(err, "its target is longer than a link of ext4 can be");
    f->blocks += strlen(e->link) >= FAST_LINK;
    if (add_quoted_path(&line, "symlink ", e->names[0], err) < 0 ||
        add_quoted(&line, " ", e->link, err) < 0)
        return -1;
    return add_command(f, &line, err);
}

// mknod takes no path, but a name in the current directory.
static int make_device(struct ext4_fill *f, const struct pack_entry *e, struct error **err)
{
    cleanup_buf struct buf line = {0};
    const char *name = path_base(e->names[0]);
    cleanup_free char *folder = xstrndup(e->names[0], (size_t)(name - e->names[0]));
    if (e->major > UINT16_MAX || e->minor > UINT16_MAX)
        return error_user(err, "debugfs cannot make its device number %u:%u", e->major, e->minor);
    if (add_quoted_path(&line, "cd ", folder, err) < 0 || add_command(f, &line, err) < 0 ||
        add_quoted(&line, "mknod ", name, err) < 0)
        return -1;
    if (S_ISFIFO(e->mode))
        buf_puts(&line, " p");
    else
        buf_printf(&line, " %c %u %u", S_ISCHR(e->mode) ? 'c' : 'b', e->major, e->minor);
    if (add_command(f, &line, err) < 0)
        return -1;
    buf_puts(&line, "cd /");
    return add_command(f, &line, err);
}

// debugfs does not extend a directory for a hard link, so each link adds a block, which e2fsck -D
// frees. Links come last, when no other entry can use that room.
static int add_hard_links(struct ext4_fill *f, const struct pack_entry *e, struct error **err)
{
    for (size_t i = 1; i < e->name_count; i++) {
        const char *path = e->names[i], *name = path_base(path);
        cleanup_free char *folder = xstrndup(path, (size_t)(name - path));
        f->blocks++;
        if (add_quoted_path(&f->last, "expand_dir ", folder, err) < 0)
            return -1;
        buf_puts(&f->last, "\n");
        size_t start = f->last.len;
        if (add_quoted_path(&f->last, "link ", e->names[0], err) < 0 ||
            add_quoted_path(&f->last, " ", path, err) < 0)
            return -1;
        if (f->last.len - start > LINE_LIMIT)
            return error_user(err, "its names are too long for debugfs");
        buf_puts(&f->last, "\n");
    }
    return 0;
}

static int make_file(struct ext4_fill *f, const struct pack_entry *e, struct error **err)
{
    cleanup_free char *content = NULL;
    cleanup_buf struct buf line = {0};
    int fd = create_content_file(f, &content, err);
    if (fd < 0)
        return -1;
    f->content = fd;
    f->left = e->size;
    cleanup_free char *size = xasprintf("%llu\n", (unsigned long long)e->size);
    digest_add(f->digest, size, strlen(size));
    uint64_t blocks = (e->size + DISK_BLOCK - 1) / DISK_BLOCK;
    f->blocks += blocks + blocks / 1024; // and the extents, if fragmented
    buf_printf(&line, "write %s", content);
    if (add_quoted_path(&line, " ", e->names[0], err) < 0)
        return -1;
    return add_command(f, &line, err) < 0 || add_hard_links(f, e, err) < 0 ? -1 : 0;
}

static int end_content(struct ext4_fill *f, struct error **err)
{
    if (f->content < 0)
        return 0;
    int fd = steal_fd(&f->content);
    if (close(fd) < 0)
        return error_errno(err, errno, "writing to %s", f->folder);
    return f->left ? error_user(err, "the content of a file ended early") : 0;
}

static int make_entry(struct ext4_fill *f, const struct pack_entry *e, struct error **err)
{
    switch (e->mode & S_IFMT) {
    case S_IFDIR:
        return make_directory(f, e, err);
    case S_IFLNK:
        return make_link(f, e, err);
    case S_IFREG:
        return make_file(f, e, err);
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
        return make_device(f, e, err);
    default:
        return error_user(err, "it is of a kind that is not kept");
    }
}

// Bytes of names in directories: 8, the name, and up to 3 for alignment.
static uint64_t name_bytes(const struct pack_entry *e)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < e->name_count; i++)
        bytes += 8 + (strlen(path_base(e->names[i])) + 3) / 4 * 4;
    return bytes;
}

static int check_name(const struct pack_entry *e, const char *name, struct error **err)
{
    if (strlen(path_base(name)) > 255)
        return error_user(err, "%s: a name in ext4 has at most 255 bytes", name);
    if (S_ISDIR(e->mode) || strcmp(name, lost_found) != 0)
        return 0;
    error_user(err, "%s: this is no directory, and every ext4 has a directory of that name", name);
    return error_hint(err, "give it another name in its layer");
}

static int check_names(const struct pack_entry *e, struct error **err)
{
    if (e->name_count > LINKS_MAX)
        return error_user(err, "%s: it has %zu names, and a file in ext4 has at most %d",
                          e->names[0], e->name_count, LINKS_MAX);
    for (size_t i = 0; i < e->name_count; i++)
        if (check_name(e, e->names[i], err) < 0)
            return -1;
    return 0;
}

static int on_entry(void *context, const struct pack_entry *e, struct error **err)
{
    struct ext4_fill *f = context;
    if (end_content(f, err) < 0 || check_names(e, err) < 0)
        return -1;
    bool there = S_ISDIR(e->mode) && (!*e->names[0] || !strcmp(e->names[0], lost_found));
    f->inodes += there ? 0 : 1;
    f->name_bytes += name_bytes(e);
    if (make_entry(f, e, err) < 0 || set_fields(f, e, err) < 0 || add_attributes(f, e, err) < 0)
        return error_wrap(err, "%s", e->names[0]);
    return 0;
}

static int on_data(void *context, const void *bytes, size_t length, struct error **err)
{
    struct ext4_fill *f = context;
    if (f->content < 0 || length > f->left)
        return error_user(err, "there is more content than the file has");
    f->left -= length;
    digest_add(f->digest, bytes, length);
    return fd_write_all(f->content, f->folder, bytes, length, err);
}

// ---- begin and end ----

// mke2fs warns without a known type; everything that matters is in its options.
static const char configuration[] = "[fs_types]\n"
                                    "ext4 = {\ninode_size = 256\n}\n"
                                    "small = {\ninode_size = 256\n}\n";

struct ext4_fill *ext4_fill_begin(const char *folder, const char *inside, struct error **err)
{
    struct ext4_fill *f = xcalloc(1, sizeof *f);
    cleanup_free char *conf = xasprintf("%s/mke2fs.conf", folder);
    f->folder = xstrdup(folder);
    f->inside = xstrdup(inside);
    f->content = -1;
    f->digest = digest_begin();
    // Otherwise the hash of names (signed or not) depends on the machine that runs mke2fs.
    buf_puts(&f->commands, "set_super_value flags 1\n");
    if (file_write(conf, configuration, strlen(configuration), 0644, err) == 0)
        return f;
    ext4_fill_free(f);
    return NULL;
}

struct pack_sink ext4_fill_sink(struct ext4_fill *f)
{
    return (struct pack_sink){on_entry, on_data, f};
}

static void compute_size(const struct ext4_fill *f, struct ext4_size *size)
{
    // A directory that is a tree may have half-empty blocks.
    uint64_t blocks = f->blocks + f->name_bytes * 2 / DISK_BLOCK;
    uint64_t groups = blocks / 32768 + 1;
    size->used = RESERVED + LOST_FOUND + f->inodes;
    size->inodes = size->used + size->used / 16 + 64;
    uint64_t tables = size->inodes * INODE / DISK_BLOCK + groups * 16;
    size->blocks = blocks + blocks / 32 + tables + groups * 32 + JOURNAL + 128;
    if (size->blocks < BLOCKS_MIN)
        size->blocks = BLOCKS_MIN;
}

int ext4_fill_end(struct ext4_fill *f, struct ext4_size *size, char digest[static DIGEST_HEX_SIZE],
                  struct error **err)
{
    if (end_content(f, err) < 0)
        return -1;
    cleanup_free char *path = xasprintf("%s/commands", f->folder);
    if (f->last.len)
        buf_add(&f->commands, f->last.data, f->last.len);
    if (file_write(path, f->commands.data, f->commands.len, 0644, err) < 0)
        return -1;
    digest_add(f->digest, f->last.data ? f->last.data : "", f->last.len);
    digest_end(steal(f->digest), digest);
    compute_size(f, size);
    return 0;
}

void ext4_fill_free(struct ext4_fill *f)
{
    char unused[DIGEST_HEX_SIZE];
    if (!f)
        return;
    buf_free(&f->commands);
    if (f->content >= 0)
        close(f->content);
    if (f->digest)
        digest_end(f->digest, unused);
    buf_free(&f->last);
    free(f->folder);
    free(f->inside);
    free(f);
}

void ext4_mke2fs_options(const struct ext4_size *size, const char digest[static DIGEST_HEX_SIZE],
                         struct strlist *argv)
{
    unsigned char uuid[UUID_SIZE];
    char text[UUID_TEXT];
    strlist_split(argv, "-q -F -t ext4 -b 4096 -I 256 -m 0 -O " EXT4_FEATURES, " ");
    strlist_addf(argv, "-Jsize=%u", JOURNAL_MIB);
    strlist_addf(argv, "-N%llu", (unsigned long long)size->inodes);
    uuid_derive(digest, "ext4", uuid);
    uuid_text(uuid, text);
    strlist_addf(argv, "-U%s", text);
    uuid_derive(digest, "ext4 hash seed", uuid);
    uuid_text(uuid, text);
    strlist_addf(argv,
                 "-Ehash_seed=%s,root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard",
                 text);
}

void ext4_environment(const char *inside, int64_t epoch, struct strlist *out)
{
    static const char *const names[] = {"E2FSPROGS_FAKE_TIME", "E2FSCK_TIME", "SOURCE_DATE_EPOCH"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        strlist_addf(out, "%s=%lld", names[i], (long long)epoch);
    strlist_addf(out, "MKE2FS_CONFIG=%s/mke2fs.conf", inside);
}

// ---- checking the result ----

int ext4_check_messages(const char *text, struct error **err)
{
    const char *rest = starts_with(text, "debugfs ") ? strchr(text, '\n') : NULL;
    if (rest && !rest[1])
        return 0;
    return error_set(err, ERROR_STEP, "debugfs printed: %s", rest ? rest + 1 : text);
}

int ext4_check_count(int fd, const char *shown, uint64_t offset, const struct ext4_size *size,
                     struct error **err)
{
    // Linux, Documentation/filesystems/ext4/super.rst
    enum { SUPERBLOCK = 1024, INODES = 0x0, FREE_INODES = 0x10, MAGIC = 0x38 };
    unsigned char super[1024];
    if (disk_read_at(fd, shown, super, sizeof super, offset + SUPERBLOCK, err) < 0)
        return -1;
    if (get_le(super + MAGIC, 2) != 0xef53)
        return error_set(err, ERROR_STEP, "there is no ext4 file system in %s", shown);
    uint64_t used = get_le(super + INODES, 4) - get_le(super + FREE_INODES, 4);
    if (used == size->used)
        return 0;
    return error_set(err, ERROR_STEP, "%s has %llu files and directories instead of %llu", shown,
                     (unsigned long long)used, (unsigned long long)size->used);
}
