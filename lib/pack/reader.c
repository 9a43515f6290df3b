// SPDX-License-Identifier: Apache-2.0
// Reads archives member by member over libarchive, and checks each name before it is returned. The
// headers of a tar are read a second time (tar_headers.c).
#include "pack/internal.h"
#include "pack/libarchive.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { DIRECT_CHUNK = 1 << 18, ZEROS = 1 << 16, HEADER_MAX = 8 << 20 };
// The limit of a stream: content, headers and padding.
static uint64_t stream_limit(uint64_t max_bytes)
{
    uint64_t twice;
    return __builtin_mul_overflow(max_bytes, 2, &twice) || twice > INT64_MAX
               ? INT64_MAX
               : twice + ((uint64_t)64 << 20);
}

struct reader {
    struct archive *archive;
    struct input in;
    struct decoder *decoder; // or NULL: a zip, which is read by its directory
    struct tar_headers *headers;
    char *direct; // the buffer for that
    char *name;
    const char *problem; // of the decoder
    const char *refused; // by tar_headers.c
    // The last piece given to libarchive, and the bytes given before it.
    const char *last;
    size_t last_length;
    uint64_t before_last;
    uint64_t max_bytes, bytes, members;
    uint64_t next_offset; // end of the content of this member so far
    struct buf path, link;
    char *attributes; // of this member
    bool absolute;    // absolute names are accepted
};

static la_ssize_t on_read(struct archive *a, void *context, const void **bytes)
{
    struct reader *r = context;
    r->before_last += r->last_length;
    r->last_length = 0;
    // libarchive keeps unused input in memory: a cpio may claim a name of 4 GiB.
    if (r->before_last > (uint64_t)archive_filter_bytes(a, 0) + HEADER_MAX) {
        archive_set_error(a, EINVAL, "a header is larger than the limit of 8 MiB");
        return -1;
    }
    const void *piece = NULL;
    int n = decoder_next(r->decoder, &piece, &r->last_length, &r->problem);
    if (n < 0)
        archive_set_error(a, EIO, "%s", r->problem);
    if (n > 0 && !tar_headers_take(r->headers, piece, r->last_length)) {
        r->refused = tar_headers_problem(r->headers);
        archive_set_error(a, EINVAL, "%s", r->refused);
        return -1;
    }
    *bytes = r->last = piece;
    return n <= 0 ? n : (la_ssize_t)r->last_length;
}

static la_ssize_t on_read_direct(struct archive *a, void *context, const void **bytes)
{
    struct reader *r = context;
    ssize_t n = input_read(&r->in, r->direct, DIRECT_CHUNK);
    if (n < 0)
        archive_set_error(a, errno, "%s", strerror(errno));
    *bytes = r->direct;
    return n;
}

static la_int64_t on_seek(struct archive *a, void *context, la_int64_t offset, int whence)
{
    struct reader *r = context;
    la_int64_t from = whence == SEEK_SET   ? 0
                      : whence == SEEK_CUR ? r->in.at
                                           : (la_int64_t)r->in.size;
    if (__builtin_add_overflow(from, offset, &offset) || offset < 0) {
        archive_set_error(a, EINVAL, "it points outside of itself");
        return ARCHIVE_FATAL;
    }
    r->in.at = offset;
    return offset;
}

static int refused(const struct reader *r, struct error **err)
{
    error_user(err, "%s", r->refused);
    return error_hint(err, "programs that unpack tar archives would not all read it alike, so "
                           "kbuild does not read it: pack it again, for example with GNU tar");
}

static int failed(const struct reader *r, struct error **err)
{
    const char *why = archive_error_string(r->archive);
    if (r->problem)
        return error_user(err, "%s", r->problem);
    if (r->refused)
        return refused(r, err);
    if (!why || strstr(why, "Unrecognized archive format")) {
        error_user(err, "it is not an archive that kbuild reads");
        return error_hint(err,
                          "tar, cpio and ar are read, plain or compressed with gzip, xz, zstd or "
                          "bzip2, and zip files");
    }
    cleanup_free char *shown = printable(why);
    return error_user(err, "%s", shown);
}

static int start(struct reader *r, int fd, struct error **err)
{
    if (input_open(&r->in, fd, err) < 0)
        return -1;
    r->archive = archive_read_new();
    if (!r->archive)
        return error_user(err, "there is not enough memory");
    archive_read_set_callback_data(r->archive, r);
    // A zip marks links in its directory, at the end, so only a file can be read.
    if (r->in.seekable && input_is_zip(&r->in)) {
        archive_read_support_format_zip_seekable(r->archive);
        r->direct = xmalloc(DIRECT_CHUNK);
        archive_read_set_read_callback(r->archive, on_read_direct);
        archive_read_set_seek_callback(r->archive, on_seek);
    } else {
        r->decoder = decoder_start(&r->in, stream_limit(r->max_bytes), err);
        if (!r->decoder)
            return -1;
        r->headers = tar_headers_new();
        archive_read_support_format_tar(r->archive);
        archive_read_support_format_cpio(r->archive);
        archive_read_support_format_ar(r->archive);
        archive_read_set_read_callback(r->archive, on_read);
    }
    return archive_read_open1(r->archive) == ARCHIVE_OK ? 0 : failed(r, err);
}

struct reader *reader_open(int fd, const char *name, uint64_t max_bytes, struct error **err)
{
    struct reader *r = xcalloc(1, sizeof *r);
    r->name = xstrdup(name);
    r->max_bytes = max_bytes ? max_bytes : READER_MAX_BYTES;
    if (start(r, fd, err) == 0)
        return r;
    reader_wrap(r, err);
    reader_close(r);
    return NULL;
}

int reader_wrap(const struct reader *r, struct error **err)
{
    cleanup_free char *shown = printable(r->path.len ? r->path.data : "");
    if (*shown)
        error_wrap(err, "\"%s\"", shown);
    return error_wrap(err, "reading %s", r->name);
}

// Reads to the end of the stream, which checks that it is complete and its checksums match.
static int drain(struct reader *r, struct error **err)
{
    if (!r->decoder)
        return 0;
    if (!tar_headers_end(r->headers)) {
        r->refused = tar_headers_problem(r->headers);
        return refused(r, err);
    }
    bool zeros = true;
    uint64_t used = (uint64_t)archive_filter_bytes(r->archive, 0);
    if (used >= r->before_last && used - r->before_last < r->last_length) {
        size_t skip = (size_t)(used - r->before_last);
        zeros = all_zero(r->last + skip, r->last_length - skip);
    }
    const void *bytes;
    size_t length;
    int n;
    while (zeros && (n = decoder_next(r->decoder, &bytes, &length, &r->problem)) != 0) {
        if (n < 0)
            return error_user(err, "%s", r->problem);
        zeros = all_zero(bytes, length);
    }
    if (zeros)
        return 0;
    error_user(err, "it continues after the end of the archive");
    return error_hint(err, "archives that were put together with cat hide all but the first");
}

void reader_accept_absolute(struct reader *r)
{
    r->absolute = true;
}

static const char *from_root(const struct reader *r, const char *name)
{
    if (!r->absolute || *name != '/')
        return name;
    name += strspn(name, "/");
    return *name ? name : ".";
}

// What the headers of a tar say of the member that libarchive found: *tar, NULL for other formats.
static int take_header(struct reader *r, struct archive_entry *entry, const struct tar_member **tar,
                       struct error **err)
{
    bool is_tar = (archive_format(r->archive) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;
    *tar = NULL;
    if (!is_tar && !(r->headers && tar_headers_is_tar(r->headers)))
        return 0;
    const struct tar_member *t = is_tar ? tar_headers_next(r->headers) : NULL;
    const bool hard = archive_entry_hardlink(entry) != NULL;
    if (t && hard == t->hardlink && (hard || (archive_entry_mode(entry) & S_IFMT) == t->kind) &&
        (t->kind != S_IFREG || hard || archive_entry_size(entry) == (la_int64_t)t->size)) {
        *tar = t;
        return 0;
    }
    error_user(err,
               "member %llu is read by libarchive as another kind or size than its header says",
               (unsigned long long)r->members);
    return error_hint(err, "pack the archive again, for example with GNU tar");
}

// The names in a tar are those of its headers, byte by byte: libarchive may change some.
static int take_names(struct reader *r, struct archive_entry *entry, const struct tar_member *tar,
                      struct reader_member *m, struct error **err)
{
    const char *name = tar ? tar->path : archive_entry_pathname(entry);
    if (!name)
        return error_user(err, "member %llu has no name", (unsigned long long)r->members);
    if (clean_name(from_root(r, name), &r->path, err) < 0) {
        r->path.len = 0;
        r->path.data[0] = '\0';
        return -1;
    }
    m->path = r->path.data;
    m->normal = !m->uid && !m->gid && name[0] == '.' && (name[1] == '/' || !name[1]);
    const char *hard = tar ? NULL : archive_entry_hardlink(entry);
    const char *soft = tar ? tar->link : archive_entry_symlink(entry);
    if (tar && tar->hardlink)
        hard = tar->link;
    if (hard) {
        m->hardlink = true;
        m->mode = S_IFREG | (m->mode & 07777);
        if (clean_name(from_root(r, hard), &r->link, err) < 0)
            return error_wrap(err, "a hard link");
        m->link = r->link.data;
    } else if (S_ISLNK(m->mode)) {
        if (!soft || !*soft || strlen(soft) > NAME_LIMIT)
            return error_user(err, "it is a link without a usable target");
        m->link = soft;
    }
    return 0;
}

int reader_next(struct reader *r, struct reader_member *m, struct error **err)
{
    struct archive_entry *entry;
    int n = archive_read_next_header(r->archive, &entry);
    if (n == ARCHIVE_EOF) {
        r->path.len = 0;
        return drain(r, err) < 0 ? reader_wrap(r, err) : 0;
    }
    // The message names the last member with a valid header: the fault is in it or after it. A
    // header that was refused was read ahead.
    if (n != ARCHIVE_OK && n != ARCHIVE_WARN) {
        r->path.len = r->refused ? 0 : r->path.len;
        failed(r, err);
        return reader_wrap(r, err);
    }
    if (++r->members > READER_MAX_MEMBERS) {
        r->path.len = 0;
        error_user(err, "it has more than %d members", READER_MAX_MEMBERS);
        return reader_wrap(r, err);
    }
    *m = (struct reader_member){
        .mode = archive_entry_mode(entry),
        .size_known = archive_entry_size_is_set(entry),
        .mtime = archive_entry_mtime(entry),
        .mtime_ns = archive_entry_mtime_nsec(entry),
        .uid = archive_entry_uid(entry),
        .gid = archive_entry_gid(entry),
        .major = (unsigned)archive_entry_rdevmajor(entry),
        .minor = (unsigned)archive_entry_rdevminor(entry),
    };
    free(r->attributes);
    m->attributes = r->attributes = attributes_of_entry(entry);
    la_int64_t size = archive_entry_size(entry);
    m->size = size > 0 ? (uint64_t)size : 0;
    r->next_offset = 0;
    const struct tar_member *tar;
    if (take_header(r, entry, &tar, err) < 0 || take_names(r, entry, tar, m, err) < 0)
        return reader_wrap(r, err);
    if (m->size > r->max_bytes - r->bytes) {
        error_user(err, "the content is larger than the limit of %llu bytes",
                   (unsigned long long)r->max_bytes);
        return reader_wrap(r, err);
    }
    return 1;
}

int reader_piece(struct reader *r, const void **bytes, size_t *length, uint64_t *offset,
                 struct error **err)
{
    la_int64_t at = 0;
    int n = archive_read_data_block(r->archive, bytes, length, &at);
    if (n != ARCHIVE_OK && n != ARCHIVE_EOF)
        return failed(r, err);
    if (n == ARCHIVE_EOF)
        *length = 0;
    *offset = at < 0 ? 0 : (uint64_t)at;
    if (n == ARCHIVE_EOF && *offset < r->next_offset)
        *offset = r->next_offset;
    uint64_t end;
    if (at < 0 || *offset < r->next_offset || __builtin_add_overflow(*offset, *length, &end))
        return error_user(err, "its content is out of order");
    if (end - r->next_offset > r->max_bytes - r->bytes)
        return error_user(err, "the content is larger than the limit of %llu bytes",
                          (unsigned long long)r->max_bytes);
    r->bytes += end - r->next_offset;
    r->next_offset = end;
    return n == ARCHIVE_OK;
}

int reader_content(struct reader *r, reader_sink *sink, void *context, struct error **err)
{
    static const char zeros[ZEROS];
    uint64_t done = 0;
    for (;;) {
        const void *bytes = NULL;
        size_t length = 0;
        uint64_t offset = 0;
        int n = reader_piece(r, &bytes, &length, &offset, err);
        if (n < 0)
            return -1;
        while (done < offset) {
            size_t gap = offset - done < ZEROS ? (size_t)(offset - done) : ZEROS;
            if (sink(context, zeros, gap, err) < 0)
                return -1;
            done += gap;
        }
        if (n == 0)
            return 0;
        if (length && sink(context, bytes, length, err) < 0)
            return -1;
        done += length;
    }
}

struct destination {
    int fd;
    const char *name;
};
static int into_fd(void *context, const void *bytes, size_t length, struct error **err)
{
    const struct destination *t = context;
    return fd_write_all(t->fd, t->name, bytes, length, err);
}

int reader_content_to(struct reader *r, int to, const char *to_name, struct error **err)
{
    struct destination d = {to, to_name};
    return reader_content(r, into_fd, &d, err);
}

void reader_progress(const struct reader *r, const char *what)
{
    progress(what, atomic_load(&r->in.done), r->in.size, "bytes");
}

void reader_close(struct reader *r)
{
    if (!r)
        return;
    archive_read_free(r->archive);
    decoder_stop(r->decoder);
    tar_headers_free(r->headers);
    buf_free(&r->path);
    buf_free(&r->link);
    free(r->attributes);
    free(r->direct);
    free(r->name);
    free(r);
}
