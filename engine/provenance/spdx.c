// SPDX-License-Identifier: Apache-2.0
// Writes the list of the contents of a result and the tools it was made with: SPDX 2.3, JSON
// (clauses 6, 7 and 11, and schemas/spdx-schema.json). Identifiers are numbers in the order of the
// walk, which follows the recipe.
#include "provenance/provenance.h"

#include <string.h>
#include <time.h>

#define NONE_KNOWN "NOASSERTION"
#define MAKER "kbuild" // supplier of the results of its recipes

struct spdx {
    struct build *b;
    json_t *packages, *relationships;
    char **ids;      // by node->index: the element that stands for the node, or NULL
    unsigned number; // of the last element
};

static char *new_id(struct spdx *s, const char *kind)
{
    return xasprintf("SPDXRef-%s-%u", kind, ++s->number);
}

static void relate(struct spdx *s, const char *from, const char *how, const char *to)
{
    json_array_append_new(s->relationships,
                          json_pack("{s:s, s:s, s:s}", "spdxElementId", from, "relationshipType",
                                    how, "relatedSpdxElement", to));
}

static json_t *make_package(const char *id, const char *name, const char *licence)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:s}", "SPDXID", id, "name", name,
                     "downloadLocation", NONE_KNOWN, "filesAnalyzed", 0, "licenseConcluded",
                     NONE_KNOWN, "licenseDeclared", licence ? licence : NONE_KNOWN, "copyrightText",
                     NONE_KNOWN);
}

static void set_supplier(json_t *package, const char *organization)
{
    cleanup_free char *text = xasprintf("Organization: %s", organization);
    json_object_set_new(package, "supplier", json_string(text));
}

static void set_sha256(json_t *package, const char *digest)
{
    json_object_set_new(package, "checksums",
                        json_pack("[{s:s, s:s}]", "algorithm", "SHA256", "checksumValue", digest));
}

// Adds a fetched thing, related to `user`; returns its identifier, to be freed.
static char *add_material(struct spdx *s, const struct material *m)
{
    static const char *const kinds[] = {[MATERIAL_SOURCE] = "source",
                                        [MATERIAL_SUBMODULE] = "source",
                                        [MATERIAL_PATCH] = "patch",
                                        [MATERIAL_ENTRY] = "source"};
    char *id = new_id(s, m->purl ? "package" : kinds[m->role]);
    json_t *p = make_package(id, m->name, m->licence);
    const char *version = m->version ? m->version : m->digest;
    if (version)
        json_object_set_new(p, "versionInfo", json_string(version));
    // A patch is a part of the recipe, as are the recipe's results.
    if (m->supplier || m->role == MATERIAL_PATCH)
        set_supplier(p, m->supplier ? m->supplier : MAKER);
    if (m->uri && !starts_with(m->uri, "pkg:")) // a purl is a name, not a location
        json_object_set_new(p, "downloadLocation", json_string(m->uri));
    if (m->algorithm && m->digest && !strcmp(m->algorithm, "sha256"))
        set_sha256(p, m->digest);
    if (m->purl)
        json_object_set_new(p, "externalRefs",
                            json_pack("[{s:s, s:s, s:s}]", "referenceCategory", "PACKAGE-MANAGER",
                                      "referenceType", "purl", "referenceLocator", m->purl));
    json_array_append_new(s->packages, p);
    return id;
}

// ---- nodes ----

static json_t *make_node_package(const struct node *node, const char *id, const char *name,
                                 const char *digest)
{
    json_t *p = make_package(id, name, NULL);
    json_object_set_new(p, "versionInfo", json_string(node->key));
    set_supplier(p, MAKER);
    if (digest)
        set_sha256(p, digest);
    return p;
}

// A source: its first material represents it, the others are its parts. Of a list all materials are
// parts.
static char *add_source(struct spdx *s, const struct node *node, const json_t *record)
{
    struct materials m = {0};
    materials_of_node(node, record, &m);
    char *whole = NULL;
    if (job_of(node)->list) { // which is not a file itself
        whole = new_id(s, "source");
        json_array_append_new(s->packages, make_node_package(node, whole, node->name, NULL));
    }
    for (size_t i = 0; i < m.n; i++) {
        cleanup_free char *id = add_material(s, &m.items[i]);
        if (!whole)
            whole = steal(id);
        else if (m.items[i].role == MATERIAL_PATCH)
            relate(s, id, "PATCH_APPLIED", whole);
        else
            relate(s, whole, "CONTAINS", id);
    }
    materials_free(&m);
    if (!whole) { // an empty record: at least the name and the tree
        whole = new_id(s, "source");
        json_array_append_new(s->packages, make_node_package(node, whole, node->name, NULL));
    }
    return whole;
}

static const char *digest_of(const struct node *node)
{
    for (size_t i = 0; i < node->output_count; i++)
        if (!node->outputs[i].tree)
            return node->outputs[i].digest;
    return NULL;
}

// A builder or root file system, and the packages in it.
static char *add_root(struct spdx *s, const struct node *node, const json_t *record)
{
    char *whole = new_id(s, node_kind_names[node->kind]);
    json_array_append_new(s->packages, make_node_package(node, whole, node->name, digest_of(node)));
    struct materials m = {0};
    materials_of_packages(job_of(node), record, &m);
    for (size_t i = 0; i < m.n; i++) {
        cleanup_free char *id = add_material(s, &m.items[i]);
        relate(s, whole, "CONTAINS", id);
    }
    materials_free(&m);
    return whole;
}

// An artifact: its first tarball represents it.
static char *add_artifact(struct spdx *s, const struct node *node, const json_t *record)
{
    const char *from = provenance_at(
        json_object_get(json_object_get(record, "provenance"), "prebuilt"), "reference");
    cleanup_free char *address = xasprintf("docker://%s", from);
    char *whole = NULL;
    for (size_t i = 0; i < node->output_count; i++) {
        const struct node_output *o = &node->outputs[i];
        if (o->side)
            continue;
        cleanup_free char *id = new_id(s, "artifact");
        json_array_append_new(s->packages,
                              make_node_package(node, id, o->name, o->tree ? NULL : o->digest));
        if (*from) // it was made elsewhere
            json_object_set_new(json_array_get(s->packages, json_array_size(s->packages) - 1),
                                "downloadLocation", json_string(address));
        if (!whole) {
            whole = steal(id);
            continue;
        }
        relate(s, whole, "OTHER", id);
        json_object_set_new(json_array_get(s->relationships, json_array_size(s->relationships) - 1),
                            "comment", json_string("made by the same step"));
    }
    return whole ? whole : new_id(s, "artifact");
}

static void relate_input(struct spdx *s, const char *user, const struct node *input)
{
    const char *id = s->ids[input->index];
    if (!id)
        return;
    if (input->kind == NODE_BUILDER)
        relate(s, id, "BUILD_TOOL_OF", user);
    else
        relate(s, user, "GENERATED_FROM", id);
}

// Adds inputs after their result; each node once. The graph has no cycles.
static int walk_inputs(struct spdx *s, const struct node *node, struct error **err)
{
    if (s->ids[node->index])
        return 0;
    json_auto_t *record = provenance_record(s->b, node, err);
    if (!record)
        return -1;
    s->ids[node->index] = node->kind == NODE_SOURCE     ? add_source(s, node, record)
                          : node->kind == NODE_ARTIFACT ? add_artifact(s, node, record)
                                                        : add_root(s, node, record);
    for (size_t i = 0; i < node->need_count; i++) {
        const struct node *input = node->needs[i].node;
        if (!node->needs[i].input)
            continue;
        if (walk_inputs(s, input, err) < 0)
            return -1;
        relate_input(s, s->ids[node->index], input);
    }
    return 0;
}

// ---- the document ----

// What the packages name and the SPDX list does not have has to be described once (clause 10): by
// where its text is. NULL: there is nothing to describe.
static json_t *extracted_licences(const json_t *packages)
{
    static const char word[] = "LicenseRef-";
    json_t *list = NULL;
    cleanup_strlist struct strlist seen = {0};
    for (size_t i = 0; i < json_array_size(packages); i++) {
        const json_t *p = json_array_get(packages, i);
        const char *at = provenance_at(p, "licenseDeclared");
        while ((at = strstr(at, word))) {
            size_t n = strcspn(at, " ()");
            cleanup_free char *id = xstrndup(at, n);
            at += n;
            if (strlist_has(&seen, id))
                continue;
            strlist_add(&seen, id);
            cleanup_free char *text = xasprintf(
                "The text is in /usr/share/doc/%s/copyright of %s %s.", provenance_at(p, "name"),
                provenance_at(p, "name"), provenance_at(p, "versionInfo"));
            list = list ? list : json_array();
            json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "licenseId", id, "name",
                                                  id + strlen(word), "extractedText", text));
        }
    }
    return list;
}

// The epoch of the result, so that the document does not depend on the time of writing.
static char *format_created(int64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;
    char text[64];
    bool good = gmtime_r(&t, &tm) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return xstrdup(good ? text : "1980-01-01T00:00:00Z");
}

static json_t *make_document(const struct spdx *s, const struct node *node)
{
    cleanup_free char *when = format_created(node->epoch);
    // Not the label, which depends on what else is in the plan.
    cleanup_free char *name = xasprintf("kbuild-%s", job_of(node)->recipe->name);
    cleanup_free char *space = xasprintf("https://spdx.org/spdxdocs/kbuild-%s", node->key);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:s, s:[s]}, s:O, s:O, s:o*}", "spdxVersion",
                     "SPDX-2.3", "dataLicense", "CC0-1.0", "SPDXID", "SPDXRef-DOCUMENT", "name",
                     name, "documentNamespace", space, "creationInfo", "created", when, "creators",
                     "Tool: kbuild-" KBUILD_VERSION, "packages", s->packages, "relationships",
                     s->relationships, "hasExtractedLicensingInfos",
                     extracted_licences(s->packages));
}

json_t *provenance_spdx(struct build *b, const struct node *node, struct error **err)
{
    json_auto_t *packages = json_array(), *relationships = json_array();
    struct spdx s = {.b = b, .packages = packages, .relationships = relationships};
    s.ids = xcalloc(b->graph.n, sizeof *s.ids);
    json_t *result = NULL;
    if (walk_inputs(&s, node, err) == 0) {
        relate(&s, "SPDXRef-DOCUMENT", "DESCRIBES", s.ids[node->index]);
        result = make_document(&s, node);
    }
    for (size_t i = 0; i < b->graph.n; i++)
        free(s.ids[i]);
    free(s.ids);
    return result;
}
