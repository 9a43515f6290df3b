// SPDX-License-Identifier: Apache-2.0
// Pushes the logs of nodes beside their entries, and gets them. A log is an artifact of its own
// (OCI Image 1.1, manifest.md, "Guidelines for Artifact Usage") under the tag "log-<key>".
#include "share/internal.h"

#include "base/error.h"
#include "base/file.h"
#include "oci/oci.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define LOG_TYPE "application/vnd.kbuild.log.v1"

enum { LOG_MAX = 16 << 20 };

static char *log_tag(const struct node *node)
{
    return xasprintf("log-%s", node->key);
}

// The end of a file as text: at most LOG_MAX bytes.
static int read_end(int fd, const char *name, struct buf *out, struct error **err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "reading the log of %s", name);
    off_t from = st.st_size > LOG_MAX ? st.st_size - LOG_MAX : 0;
    char chunk[65536];
    ssize_t n;
    for (uint64_t at = (uint64_t)from; (n = fd_read_at(fd, chunk, sizeof chunk, at)) > 0;
         at += (uint64_t)n)
        buf_add(out, chunk, (size_t)n);
    return n < 0 ? error_errno(err, errno, "reading the log of %s", name) : 0;
}

static int put_log(struct build *b, struct registry *registry, const struct node *node,
                   const struct buf *text, bool failed, struct error **err)
{
    char log[DIGEST_HEX_SIZE], digest[DIGEST_HEX_SIZE];
    struct registry_blob blobs[2];
    cleanup_close int fd = nameless_file(NULL, err);
    if (fd < 0 || fd_write_all(fd, "a log", text->data, text->len, err) < 0 ||
        empty_blob_open(&blobs[1], err) < 0)
        return -1;
    digest_bytes(text->data, text->len, log);
    blobs[0] = (struct registry_blob){.digest = log, .size = text->len, .fd = fd};
    json_auto_t *manifest =
        json_pack("{s:i, s:s, s:s, s:o, s:[o], s:{s:s, s:s, s:s, s:s}}", "schemaVersion", 2,
                  "mediaType", OCI_MANIFEST, "artifactType", LOG_TYPE, "config",
                  empty_blob_descriptor(), "layers", oci_descriptor(LOG_TYPE, log, text->len),
                  "annotations", "kbuild.node", node->id, "kbuild.key", node->key, "kbuild.result",
                  failed ? "failed" : "made", "kbuild.built-by", b->remote->built_by);
    cleanup_free char *tag = log_tag(node);
    cleanup_free char *bytes = json_dumps(manifest, JSON_COMPACT | JSON_SORT_KEYS);
    int result = registry_push_blobs(registry, blobs, 2, err);
    if (!result)
        result =
            registry_put_manifest(registry, tag, bytes, strlen(bytes), OCI_MANIFEST, digest, err);
    close(blobs[1].fd);
    return result < 0 ? -1 : 0;
}

int remote_log_push(struct build *b, const struct node *node, int log, bool failed,
                    struct error **err)
{
    cleanup_buf struct buf text = {0};
    if (!remote_usable(b, node, REMOTE_WRITE))
        return 0;
    if (read_end(log, node_label(node), &text, err) < 0)
        return -1;
    struct registry *registry = remote_repository(b->remote, node, true, err);
    int result = registry ? put_log(b, registry, node, &text, failed, err) : -1;
    if (registry)
        registry_close(registry);
    return result;
}

static const char *annotation_of(const json_t *manifest, const char *name)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(manifest, "annotations"), name));
    return text ? text : "?";
}

// 1, 0, -1
static int get_log(struct registry *registry, const struct node *node, struct pushed_log *out,
                   struct error **err)
{
    cleanup_buf struct buf text = {0};
    cleanup_free char *type = NULL, *tag = log_tag(node);
    char digest[DIGEST_HEX_SIZE];
    int found = registry_get_manifest(registry, tag, &text, &type, digest, err);
    if (found <= 0)
        return found;
    json_auto_t *manifest = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *layer = json_array_get(json_object_get(manifest, "layers"), 0);
    uint64_t size = 0;
    const char *hex = oci_descriptor_digest(layer, &size);
    if (!hex || size > LOG_MAX)
        return error_user(err, "the tag %s is not that of a log", tag);
    cleanup_close int fd = nameless_file(NULL, err);
    struct registry_blob blob = {.digest = hex, .size = size, .fd = fd};
    if (fd < 0 || registry_pull_blobs(registry, &blob, 1, err) < 0)
        return -1;
    if (blob.missing)
        return 0;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "reading a log");
    const char *result = annotation_of(manifest, "kbuild.result");
    out->about = xasprintf("the log of %s, key %.12s: %s by %s", node->id, node->key, result,
                           annotation_of(manifest, "kbuild.built-by"));
    out->failed = !strcmp(result, "failed");
    out->fd = steal_fd(&fd);
    return 1;
}

void pushed_log_close(struct pushed_log *log)
{
    if (log->about)
        close(log->fd);
    free(log->about);
    *log = (struct pushed_log){0};
}

int remote_log_open(struct build *b, const struct node *node, struct pushed_log *out,
                    struct error **err)
{
    struct registry *registry = remote_repository(b->remote, node, false, err);
    int found = registry ? get_log(registry, node, out, err) : -1;
    if (registry)
        registry_close(registry);
    return found < 0 ? error_wrap(err, "the log of %s", node->id) : found;
}
