// SPDX-License-Identifier: Apache-2.0
// Converts the records of sources, builders and root file systems to one row for each thing that
// was fetched.
#include "http/libcurl.h"
#include "provenance/internal.h"

#include <string.h>

static struct material *add(struct materials *m)
{
    m->items = xgrow(m->items, &m->cap, m->n + 1, sizeof *m->items);
    m->items[m->n] = (struct material){0};
    return &m->items[m->n++];
}

void materials_free(struct materials *m)
{
    for (size_t i = 0; i < m->n; i++) {
        struct material *x = &m->items[i];
        char *const texts[] = {x->name,      x->version, x->uri,     x->purl,
                               x->algorithm, x->digest,  x->licence, x->supplier};
        for (size_t k = 0; k < ARRAY_LEN(texts); k++)
            free(texts[k]);
    }
    free(m->items);
    *m = (struct materials){0};
}

static char *copy(const char *text)
{
    return text && *text ? xstrdup(text) : NULL;
}

const char *provenance_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

// Package URL (purl-spec): reserved characters are written as %XX, except ':'.
static char *purl_escape(const char *text)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_~:";
    struct buf out = {0};
    for (; *text; text++) {
        if (strchr(plain, *text))
            buf_add(&out, text, 1);
        else
            buf_printf(&out, "%%%02X", (unsigned char)*text);
    }
    return buf_take(&out);
}

// "pkg:deb/debian/bash@5.2?arch=amd64&distro=bookworm" (purl-spec, type deb)
static char *purl(const char *distribution, const char *codename, const char *package,
                  const char *version, const char *architecture)
{
    cleanup_free char *name = purl_escape(package), *at = purl_escape(version);
    cleanup_free char *distro = purl_escape(codename);
    const char *between = !*distro ? "" : *architecture ? "&distro=" : "?distro=";
    return xasprintf("pkg:deb/%s/%s%s%s%s%s%s%s", *distribution ? distribution : "debian", name,
                     *at ? "@" : "", at, *architecture ? "?arch=" : "", architecture, between,
                     distro);
}

static char *distribution_name(const char *id)
{
    static const struct {
        const char *id, *name;
    } names[] = {{"debian", "Debian"}, {"ubuntu", "Ubuntu"}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(id, names[i].id))
            return xstrdup(names[i].name);
    return copy(id);
}

// The publisher of a URL: the host, and on a host of many projects also the first folder.
static char *publisher(const char *url)
{
    const char *host = strstr(url, "://");
    if (!host || !host[3] || host[3] == '/')
        return NULL;
    host += 3;
    const char *at = strchr(host, '@'), *slash = strchr(host, '/');
    if (at && (!slash || at < slash))
        host = at + 1;
    size_t n = strcspn(host, "/");
    bool shared = starts_with(host, "git") && host[n]; // github.com, gitlab.com
    size_t folder = shared ? 1 + strcspn(host + n + 1, "/") : 0;
    return xstrndup(host, n + folder);
}

// ---- sources ----

static void add_git(const char *name, const char *licence, const json_t *p, struct materials *out)
{
    const char *url = provenance_at(p, "url"), *commit = provenance_at(p, "commit");
    const char *ref = provenance_at(p, "ref");
    struct material *m = add(out);
    m->name = xstrdup(name);
    m->version = copy(*ref ? ref : commit);
    m->uri = xasprintf("git+%s@%s", url, commit);
    m->algorithm = xstrdup("gitCommit");
    m->digest = copy(commit);
    m->licence = copy(licence);
    m->supplier = publisher(url);
    const json_t *list = json_object_get(p, "submodules");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *sub = json_array_get(list, i);
        m = add(out);
        m->role = MATERIAL_SUBMODULE;
        m->name = xasprintf("%s: submodule %s", name, provenance_at(sub, "path"));
        m->version = copy(provenance_at(sub, "commit"));
        m->uri = xasprintf("git+%s@%s", provenance_at(sub, "url"), provenance_at(sub, "commit"));
        m->algorithm = xstrdup("gitCommit");
        m->digest = copy(provenance_at(sub, "commit"));
        m->supplier = publisher(provenance_at(sub, "url"));
    }
}

// pkg:oci/<name>@sha256%3A<digest>?arch=s390x&repository_url=<registry>/<repository>&tag=<tag>
// (purl-spec, type oci)
static void add_image(const char *name, const char *licence, const json_t *p, struct materials *out)
{
    const char *repository = provenance_at(p, "repository"), *digest = provenance_at(p, "manifest");
    const char *tag = provenance_at(p, "tag");
    cleanup_free char *base = purl_escape(path_base(repository)), *at = purl_escape(tag);
    struct material *m = add(out);
    m->name = xstrdup(name);
    m->version = *tag ? xstrdup(tag) : xasprintf("sha256:%s", digest);
    m->purl = xasprintf("pkg:oci/%s@sha256%%3A%s?arch=%s&repository_url=%s%s%s", base, digest,
                        provenance_at(p, "architecture"), repository, *tag ? "&tag=" : "", at);
    m->uri = xasprintf("docker://%s@sha256:%s", repository, digest);
    m->algorithm = xstrdup("sha256");
    m->digest = copy(digest);
    m->licence = copy(licence);
    m->supplier = xstrndup(repository, strcspn(repository, "/"));
}

// The local path is private and is left out; the digest of the tree is beside it.
static void add_local(const char *name, const char *licence, const json_t *p, struct materials *out)
{
    const char *commit = provenance_at(p, "commit");
    bool dirty = json_is_true(json_object_get(p, "dirty"));
    struct material *m = add(out);
    m->name = xasprintf("%s: local files%s%s%s", name, *commit ? " of commit " : "", commit,
                        dirty ? ", changed" : "");
    m->version = *commit ? xasprintf("%s%s", commit, dirty ? "-dirty" : "") : NULL;
    m->algorithm = xstrdup("kbuildTree");
    m->digest = copy(provenance_at(p, "tree"));
}

static void add_archive(const char *name, const char *licence, const json_t *p,
                        struct materials *out)
{
    struct material *m = add(out);
    m->name = xstrdup(name);
    m->uri = copy(provenance_at(p, "url"));
    m->version = copy(m->uri ? path_base(m->uri) : NULL); // "linux-6.7.tar.xz"
    m->algorithm = xstrdup("sha256");
    m->digest = copy(provenance_at(p, "sha256"));
    m->licence = copy(licence);
    m->supplier = publisher(provenance_at(p, "url"));
}

static void add_debian(const char *name, const char *licence, const json_t *p,
                       struct materials *out)
{
    const char *source = provenance_at(p, "source");
    const char *package = *source ? source : provenance_at(p, "package");
    const json_t *files = json_object_get(p, "files");
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        struct material *m = add(out);
        m->name = json_array_size(files) == 1
                      ? xstrdup(name)
                      : xasprintf("%s: %s", name, provenance_at(file, "name"));
        m->version = copy(provenance_at(p, "version"));
        const json_t *distribution = json_object_get(p, "distribution");
        const char *id = provenance_at(distribution, "id");
        m->purl = purl(id, provenance_at(distribution, "codename"), package,
                       provenance_at(p, "version"), *source ? "source" : "");
        m->supplier = distribution_name(id);
        m->uri = xstrdup(m->purl);
        m->algorithm = xstrdup("sha256");
        m->digest = copy(provenance_at(file, "sha256"));
        m->licence = copy(licence);
    }
}

// "pkg:generic/name@1.2?x=y": the part after '@', without percent signs; NULL if there is none.
static char *purl_version(const char *purl)
{
    const char *at = strrchr(purl, '@');
    if (!at || !at[1])
        return NULL;
    cleanup_free char *raw = xstrndup(at + 1, strcspn(at + 1, "?#"));
    int length = 0;
    char *decoded = curl_easy_unescape(NULL, raw, 0, &length);
    char *version = decoded && (size_t)length == strlen(decoded) ? copy(decoded) : copy(raw);
    curl_free(decoded);
    return version;
}

// One row for each file or tree of a list.
static void add_list(const char *name, const char *licence, const json_t *p, struct materials *out)
{
    const json_t *list = json_object_get(p, "entries");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *e = json_array_get(list, i);
        const char *url = provenance_at(e, "url"), *commit = provenance_at(e, "commit");
        struct material *m = add(out);
        m->role = MATERIAL_ENTRY;
        m->name = xasprintf("%s: %s", name, provenance_at(e, "name"));
        m->purl = copy(provenance_at(e, "purl"));
        m->uri = *commit ? xasprintf("git+%s@%s", url, commit) : copy(url);
        m->version = m->purl ? purl_version(m->purl) : NULL;
        if (!m->version)
            m->version = copy(*commit ? commit : path_base(url));
        m->algorithm = xstrdup(*commit ? "gitCommit" : "sha256");
        m->digest = copy(*commit ? commit : provenance_at(e, "sha256"));
        m->licence = copy(licence);
        m->supplier = publisher(url);
    }
}

static void add_patches(const char *name, const json_t *p, struct materials *out)
{
    const json_t *list = json_object_get(p, "patches");
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct material *m = add(out);
        m->role = MATERIAL_PATCH;
        m->name = xasprintf("%s: patch %s", name, provenance_at(json_array_get(list, i), "name"));
        m->algorithm = xstrdup("sha256");
        m->digest = copy(provenance_at(json_array_get(list, i), "sha256"));
    }
}

void materials_of_source(const char *name, const char *licence, const json_t *record,
                         struct materials *out)
{
    static const struct {
        const char *kind;
        void (*add)(const char *name, const char *licence, const json_t *provenance,
                    struct materials *out);
    } kinds[] = {{"git", add_git},   {"archive", add_archive}, {"debian", add_debian},
                 {"list", add_list}, {"local", add_local},     {"image", add_image}};
    const json_t *p = json_object_get(record, "provenance");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(provenance_at(p, "kind"), kinds[i].kind))
            kinds[i].add(name, licence, p, out);
    add_patches(name, p, out);
}

void materials_of_node(const struct node *node, const json_t *record, struct materials *out)
{
    const struct recipe *r = job_of(node)->recipe;
    const char *colon = strchr(node->name, ':'), *name = colon ? colon + 1 : node->name;
    const char *licence = NULL;
    for (size_t i = 0; i < r->source_count; i++)
        if (!strcmp(r->sources[i].name, name))
            licence = r->sources[i].licence;
    materials_of_source(name, licence, record, out);
}

// ---- packages ----

void materials_of_packages(const struct job *job, const json_t *record, struct materials *out)
{
    const json_t *list = json_object_get(json_object_get(record, "provenance"), "packages");
    const char *id = job->distribution.id ? job->distribution.id : "";
    const char *codename = job->distribution.codename ? job->distribution.codename : "";
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *p = json_array_get(list, i);
        struct material *m = add(out);
        m->name = xstrdup(provenance_at(p, "name"));
        m->version = copy(provenance_at(p, "version"));
        m->purl = purl(id, codename, m->name, provenance_at(p, "version"),
                       provenance_at(p, "architecture"));
        m->supplier = distribution_name(id);
        m->uri = xstrdup(m->purl);
        m->digest = copy(provenance_at(p, "sha256"));
        m->algorithm = copy(m->digest ? "sha256" : NULL);
        m->licence = copy(provenance_at(p, "licence"));
    }
}
