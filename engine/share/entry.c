// SPDX-License-Identifier: Apache-2.0
// Makes names and tags of entries, and reads their manifests.
#include "share/share.h"

#include <ctype.h>
#include <string.h>

// ---- names ----

// A component of a repository's name (distribution's grammar): lower case, separated by one of ".",
// "_" and "-". Different nodes may share one repository; their tags differ.
static void add_component(struct buf *out, const char *name)
{
    bool separated = true; // none at the beginning
    for (; *name; name++) {
        unsigned char c = (unsigned char)tolower((unsigned char)*name);
        if (isalnum(c)) {
            buf_add(out, &c, 1);
            separated = false;
        } else if (!separated && isalnum((unsigned char)name[1])) {
            buf_puts(out, c == '_' || c == '.' ? (char[]){(char)c, '\0'} : "-");
            separated = true;
        }
    }
}

char *entry_path(const struct node *node)
{
    static const char *const folders[] = {
        [NODE_SOURCE] = "cached-sources/",
        [NODE_BUILDER] = "cached-builders/",
        [NODE_ROOTFS] = "cached-rootfs/",
        [NODE_ARTIFACT] = "cached-artefacts/",
    };
    struct buf out = {0};
    const struct job *job = job_of(node);
    const char *colon = strchr(node->name, ':');
    buf_puts(&out, folders[node->kind]);
    size_t before = out.len;
    add_component(&out, node->kind == NODE_ARTIFACT || !colon ? job->recipe->name : colon + 1);
    if (out.len == before)
        buf_puts(&out, "x");
    return buf_take(&out);
}

bool entry_is_image(const struct remote *r, const struct node *node)
{
    return r->builders && node->kind == NODE_BUILDER;
}

char *entry_tag(const struct remote *r, const struct node *node)
{
    const struct job *job = job_of(node);
    if (!entry_is_image(r, node))
        return xasprintf("kbuild-%s", node->key);
    cleanup_free char *text = xasprintf("%s-%.9s", job->recipe->builder->name, node->key);
    return registry_tag(text, job->target->name);
}

void entry_upstream_tags(const struct remote *r, const struct node *node, const char *version,
                         const char *commit, struct strlist *out)
{
    const char *arch = job_of(node)->target->name;
    cleanup_free char *latest = xasprintf("latest-%s", r->branch);
    const char *const texts[] = {latest, r->release ? version : NULL, commit};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (!texts[i] || !*texts[i])
            continue;
        cleanup_free char *tag = registry_tag(texts[i], arch);
        if (!strlist_has(out, tag))
            strlist_add(out, tag);
    }
}

// ---- manifests ----

json_t *entry_record(const json_t *record)
{
    json_t *copy = json_deep_copy(record);
    json_object_del(copy, "key");
    json_object_del(copy, "sha256");
    json_object_del(copy, SHARED_MARK);
    return copy;
}

void entry_mark(const struct entry *e, json_t *record)
{
    json_object_set_new(record, SHARED_MARK,
                        e->mark ? json_incref(e->mark) : vouch_mark(NULL, NULL));
}

static const char *annotation(const json_t *of, const char *name)
{
    return json_string_value(json_object_get(json_object_get(of, "annotations"), name));
}

const json_t *entry_layer(const struct entry *e, const char *output)
{
    const json_t *layers = json_object_get(e->manifest, "layers");
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const json_t *layer = json_array_get(layers, i);
        const char *its = annotation(layer, OUTPUT_ANNOTATION);
        if (its && !strcmp(its, output))
            return oci_descriptor_digest(layer, NULL) ? layer : NULL;
    }
    return NULL;
}

bool entry_derived(const struct node *node, const char *output)
{
    return node->kind == NODE_BUILDER && !strcmp(output, "image");
}

int entry_read(const struct node *node, const struct buf *manifest, struct entry *out,
               struct error **err)
{
    out->manifest = json_loadb(manifest->data ? manifest->data : "", manifest->len,
                               JSON_REJECT_DUPLICATES, NULL);
    const char *text = annotation(out->manifest, RECORD_ANNOTATION);
    if (!text)
        return error_user(err, "the entry has no record");
    out->size = manifest->len;
    out->record = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *key_text = json_string_value(json_object_get(out->record, "key_text"));
    if (!key_text)
        return error_user(err, "the record of the entry has no key");
    digest_bytes(key_text, strlen(key_text), out->key);
    if (strcmp(out->key, node->key) != 0 && node->kind == NODE_BUILDER)
        return 0; // a tag has only 9 digits of the key
    if (strcmp(out->key, node->key) != 0)
        return error_user(err, "the record of the entry has the key %s instead of %s", out->key,
                          node->key);
    if (!outputs_allowed(node, out->record))
        return error_user(err, "the record of the entry has outputs that %s does not have",
                          node_label(node));
    if (!packages_match(node, out->record))
        return error_user(err, "the record of the entry names other packages than its key");
    return 1;
}

void entry_free(struct entry *e)
{
    json_decref(e->manifest);
    json_decref(e->record);
    json_decref(e->mark);
    buf_free(&e->text);
    *e = (struct entry){0};
}

void entry_forget(struct job *job)
{
    if (job->entry)
        entry_free(job->entry);
    free(steal(job->entry));
}
