// SPDX-License-Identifier: Apache-2.0
// Declarations shared by the files of `kbuild payload`. Not for others.
#ifndef KBUILD_PAYLOAD_INTERNAL_H
#define KBUILD_PAYLOAD_INTERNAL_H

#include "payload/payload.h"

#include "pack/merge_plan.h"
#include "pack/reader.h"
#include "store/store.h"

#define PAYLOAD_ROOT "opt/kata-artifacts"

// ---- layer.c: files -> layers in the store ----

enum layer_filter { LAYER_PLAIN, LAYER_GZIP, LAYER_ZSTD };
struct payload_layer {
    char digest[DIGEST_HEX_SIZE], diff_id[DIGEST_HEX_SIZE];
    uint64_t size;
    int64_t newest;   // seconds since 1970
    char *media_type; // owned
    char *made_of;    // for the history; owned
    bool base;        // from the base image
};
struct payload_layers {
    struct payload_layer *items;
    size_t n, cap;
};
struct payload_layer *
payload_layers_add(struct payload_layers *l); // zeroed, valid until the next call
void payload_layers_free(struct payload_layers *l);
// The content of a layer: the members of a tarball, below PAYLOAD_ROOT. `digest` is the file's.
struct layer_source {
    int fd;           // of the file
    const char *name; // for messages and the history
    const char *path; // place of the unchanged file below PAYLOAD_ROOT; NULL: it is unpacked
    bool at_root;     // unpacked at the root of the image, not below PAYLOAD_ROOT
    const char *digest;
    const char *recompress; // with `path`: the tarball's own path; it is written as .tar.zst
    uint64_t max_bytes;     // of content; 0: READER_MAX_BYTES
    unsigned threads;       // compression threads; 0: one
};
int payload_layer_make(struct store *s, const struct layer_source *from, enum layer_filter filter,
                       int64_t epoch, struct payload_layer *out, struct error **err);
// A small layer with texts of kbuild: <path below PAYLOAD_ROOT> -> bytes.
struct layer_text {
    const char *path;
    const void *bytes;
    size_t length;
};
int payload_layer_make_texts(struct store *s, const struct layer_text *texts, size_t count,
                             const char *made_of, enum layer_filter filter,
                             struct payload_layer *out, struct error **err);

// A layer that removes this path below PAYLOAD_ROOT from those under it.
int payload_layer_make_removal(struct store *s, const char *path, struct payload_layer *out,
                               struct error **err);

// ---- base.c ----

struct payload_image {
    json_t *config;    // of the base, or empty; extended by the layers
    const char *maker; // for the history; NULL: "kbuild payload"
    struct payload_layers layers;
    char manifest[DIGEST_HEX_SIZE];
    uint64_t manifest_size;
    char config_digest[DIGEST_HEX_SIZE];
    uint64_t config_size;
};
void payload_image_free(struct payload_image *i);
// Loads the base into the store. NULL is scratch.
int payload_base_load(struct store *s, const char *base, const struct arch *arch, bool plain_http,
                      struct payload_image *out, struct error **err);

// The default base: upstream's published image of this release, by the digest in versions.lock,
// which is added if it is not there. To be freed; NULL: the release is not a published one.
char *payload_base_default(const char *version, const char *versions_yaml, bool installed,
                           bool plain_http, struct error **err);

// ---- installer.c: kata-deploy in a base image ----

enum installer_part {
    INSTALLER_PROGRAM, // from 3.28.0 on
    INSTALLER_SCRIPT,  // before
    INSTALLER_SHIMS,   // which components each shim needs: it installs tarballs
    INSTALLER_FILES,   // unpacked files of the base's own
    INSTALLER_TARBALLS // tarballs of the base's own
};
struct payload_installer {
    unsigned parts;   // bits of enum installer_part
    struct buf shims; // shim-components.json, if it has one
};
int payload_installer_find(struct store *s, const struct payload_layers *base,
                           struct payload_installer *out, struct error **err);
bool payload_installer_has(const struct payload_installer *i, enum installer_part part);
// Which shims of shim-components.json have all their components; of the others *nearest names the
// one that lacks least (to be freed, or NULL). `components` are names of tarballs.
int payload_installer_check(const struct buf *shims, const struct arch *arch,
                            const struct strlist *components, struct strlist *complete,
                            char **nearest, struct error **err);

// ---- base.c: the source of a base image (here for the fuzzer) ----

struct image_blob {
    char digest[DIGEST_HEX_SIZE];
    uint64_t size;
};
struct image_source;
struct image_source *image_source_open(const char *name, bool plain_http, struct error **err);
// `digest` NULL: that of the name. The bytes are checked against it.
int image_source_manifest(struct image_source *s, const char *digest, struct buf *out,
                          struct error **err);
void image_source_close(struct image_source *s); // NULL is allowed

// ---- arch.c ----

// The architecture of the set in `plan`: from the notes in `directory` (may be NULL) for each
// tarball, else from the programs inside. Errors: programs for two architectures, `given` (or NULL)
// against the result, no result. Fills in missing digests of the plan's components.
int payload_arch_find(struct store *s, struct merge_plan *plan, const char *directory,
                      const struct arch *given, const struct arch **out, struct error **err);

// The index in arch_table for these first bytes of a file; PAYLOAD_ARCHES: none.
enum { PAYLOAD_ARCHES = 4 };
size_t payload_elf_arch(const void *start, size_t length);

// ---- output.c ----

const char *payload_text(const json_t *object, const char *key); // "" if it is no string
// The hex digest and size of a descriptor (descriptor.md), or an error.
int descriptor_read(const json_t *descriptor, struct image_blob *out, struct error **err);
json_t *payload_json(const struct buf *text, const char *what, struct error **err); // an object
// Writes config and manifest into the store.
int payload_image_compose(struct store *s, struct payload_image *i, struct error **err);

// "oci:DIR[:NAME]", "oci-archive:FILE[:NAME]", as in other tools. Both results are to be freed;
// *name is NULL if none is given.
int payload_output_parse(const char *text, char **path, char **name, struct error **err);

struct payload_target {
    struct store *store;
    const struct payload_request *request;
    const char *path; // of the layout or archive
    const struct strlist *tags;
};
int payload_deliver(const struct payload_target *t, const struct payload_image *i,
                    struct error **err);

#endif
