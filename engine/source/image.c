// SPDX-License-Identifier: Apache-2.0
// Fetches an OCI image of a registry as a source: the image for the target's architecture, named by
// the digest of its manifest. The tree has `rootfs/`, its layers, and `config.json`, its unchanged
// config.
#include "source/internal.h"

#include "oci/oci.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define SCHEME "docker://"
#define PLATFORM "#linux/"

// ---- names ----
// The name of an image in versions.lock: "docker://registry/repository:tag#linux/s390x". So changes
// to an index for other platforms have no effect.

char *image_source_url(const char *image, const struct arch *target, struct error **err)
{
    struct reference r;
    const char *name = starts_with(image, SCHEME) ? image + strlen(SCHEME) : image;
    if (reference_parse(name, &r, err) < 0)
        return NULL;
    if (!r.tag && !r.digest)
        r.tag = xstrdup("latest");
    cleanup_free char *text = reference_text(&r);
    reference_free(&r);
    return xasprintf(SCHEME "%s" PLATFORM "%s", text, target->oci);
}

struct image_name {
    struct reference reference;
    char *text;               // without scheme and platform
    const char *architecture; // in the url
};

static int read_image_name(const struct source_spec *spec, struct image_name *out,
                           struct error **err)
{
    const char *platform = strstr(spec->url, PLATFORM);
    out->architecture = platform + strlen(PLATFORM);
    out->text =
        xstrndup(spec->url + strlen(SCHEME), (size_t)(platform - spec->url) - strlen(SCHEME));
    return reference_parse(out->text, &out->reference, err);
}

static void image_name_free(struct image_name *n)
{
    free(n->text);
    reference_free(&n->reference);
}

static int hint_other_image(const struct source_spec *spec, struct error **err)
{
    if ((*err)->hint)
        return -1;
    if (spec->debian_too)
        return error_hint(err, "this distribution has this source too: --sources=debian");
    return error_hint(err, "a mirror of the registry can be named in registries.conf, or "
                           "--source NAME=DIR gives a directory with rootfs/ and config.json");
}

// ---- resolving ----

static int find_image(const struct source_spec *spec, const struct source_options *o,
                      const struct image_name *name, char digest[static DIGEST_HEX_SIZE],
                      struct error **err)
{
    if (o->locked)
        return refuse_unlocked(o, spec->url, err);
    if (o->offline)
        return refuse_offline(spec->url, err);
    if (oci_find_image(name->text, name->architecture, digest, err) == 0)
        return 0;
    error_wrap(err, "%s", name->text);
    return hint_other_image(spec, err);
}

int image_source_resolve(const struct source_spec *spec, const struct source_options *o,
                         struct source_pin *out, struct error **err)
{
    const struct lock_entry *known = o->lock ? lock_find(o->lock, spec->url, NULL) : NULL;
    if (known && known->sha256) {
        out->sha256 = xstrdup(known->sha256);
        return 0;
    }
    struct image_name name = {0};
    char digest[DIGEST_HEX_SIZE];
    int result = read_image_name(spec, &name, err);
    if (!result)
        result = find_image(spec, o, &name, digest, err);
    image_name_free(&name);
    if (result < 0)
        return -1;
    pin_new_digest(spec, o, digest, out);
    return 0;
}

// ---- fetching ----

// The creation time in the image's config: RFC 3339, "2024-06-12T19:49:56.123Z". 1980-01-01 if
// there is none.
static int64_t creation_time(const struct buf *config)
{
    json_auto_t *c = json_loadb(config->data, config->len, JSON_REJECT_DUPLICATES, NULL);
    const char *text = json_string_value(json_object_get(c, "created"));
    struct tm tm = {0};
    const char *end = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    int hours = 0, minutes = 0;
    char sign[2] = "+";
    if (end && *end == '.')
        end += 1 + strspn(end + 1, "0123456789");
    bool known = end && (*end == 'Z' || *end == 'z' ||
                         sscanf(end, "%1[+-]%2d:%2d", sign, &hours, &minutes) == 3);
    int64_t offset = (*sign == '-' ? -1L : 1L) * (hours * 3600L + minutes * 60L);
    int64_t when = known ? timegm(&tm) - offset : -1;
    return when < 0 ? SOURCE_TIME_UNKNOWN : when;
}

static int unpack_image(const struct source_spec *spec, const struct source_options *o,
                        const char *pinned, const char *architecture, const char *destination,
                        bool *unusable, struct error **err)
{
    cleanup_free char *rootfs = xasprintf("%s/rootfs", destination);
    cleanup_free char *file = xasprintf("%s/config.json", destination);
    cleanup_buf struct buf config = {0};
    if (make_directories(rootfs, 0755, err) < 0)
        return -1;
    if (oci_pull_image(o->store, pinned, architecture, rootfs, &config, unusable, err) < 0) {
        error_wrap(err, "pulling %s", pinned);
        return *unusable ? -1 : hint_other_image(spec, err);
    }
    if (file_write(file, config.data, config.len, 0644, err) < 0)
        return -1;
    int64_t when = creation_time(&config);
    if (set_folder_time(file, when, err) < 0 || set_folder_time(rootfs, when, err) < 0)
        return -1;
    return set_folder_time(destination, when, err);
}

int image_source_fetch(const struct source_spec *spec, const struct source_pin *pin,
                       const struct source_options *o, const char *destination, json_t *provenance,
                       bool *unusable, struct error **err)
{
    if (o->offline)
        return refuse_offline(spec->url, err);
    struct image_name name = {0};
    int result = read_image_name(spec, &name, err);
    cleanup_free char *pinned = result < 0 ? NULL
                                           : xasprintf("%s/%s@sha256:%s", name.reference.registry,
                                                       name.reference.repository, pin->sha256);
    if (!result)
        result = unpack_image(spec, o, pinned, name.architecture, destination, unusable, err);
    if (!result) {
        cleanup_free char *repository =
            xasprintf("%s/%s", name.reference.registry, name.reference.repository);
        json_object_update_new(provenance, json_pack("{s:s, s:s, s:s*, s:s, s:s}", "kind", "image",
                                                     "repository", repository, "tag",
                                                     name.reference.tag, "architecture",
                                                     name.architecture, "manifest", pin->sha256));
    }
    image_name_free(&name);
    return result;
}
