// SPDX-License-Identifier: Apache-2.0
// Keeps what the last build of a node was made of, to explain the next one (change.h).
#include "graph/change.h"

#include <string.h>

// `kbuild explain` and `kbuild why` read the records of artifacts by their ids, which no change of
// the recipe changes.
static void last_key(const char *id, char key[static DIGEST_HEX_SIZE])
{
    cleanup_free char *text = xasprintf("last build of %s", id);
    digest_bytes(text, strlen(text), key);
}

// ---- texts ----

char *key_file_path(const struct build *b, const struct node *node, const char *name)
{
    const struct recipe *r = job_of(node)->recipe;
    if (starts_with(name, "recipe/"))
        return xasprintf("%s/%s", r->folder, name + strlen("recipe/"));
    if (starts_with(name, "like/"))
        return r->like ? xasprintf("%s/%s", r->like->folder, name + strlen("like/")) : NULL;
    if (starts_with(name, "shared/"))
        return recipe_set_path(b->recipes, name + strlen("shared/"));
    const char *setup = job_of(node)->setup;
    return setup && !strcmp(name, "setup") ? xstrdup(setup) : NULL;
}

struct text_collection {
    const struct build *b;
    const struct node *node;
    json_t *texts;
    size_t total;
};

// A text of people: what is compared line by line.
static bool is_text(const struct buf *text)
{
    if (text->len > LAST_TEXT_MAX || (text->len && memchr(text->data, '\0', text->len)))
        return false;
    json_auto_t *utf8 = json_stringn(text->data ? text->data : "", text->len);
    return utf8;
}

static bool has_digest(const struct buf *text, const char *digest)
{
    char now[DIGEST_HEX_SIZE];
    digest_bytes(text->data ? text->data : "", text->len, now);
    return !strcmp(now, digest);
}

bool last_text_read(const char *path, const char *digest, struct buf *out)
{
    return file_read(path, LAST_TEXT_MAX, out, NULL) == 0 && has_digest(out, digest) &&
           is_text(out);
}

static void keep_text(struct text_collection *c, const char *name, const char *text)
{
    size_t length = strlen(text);
    if (c->total + length <= LAST_TEXTS_MAX &&
        !json_object_set_new(c->texts, name, json_string(text)))
        c->total += length;
}

static void collect_file(struct text_collection *c, const char *name, const char *digest)
{
    cleanup_buf struct buf text = {0};
    cleanup_free char *path = key_file_path(c->b, c->node, name);
    if (path && last_text_read(path, digest, &text))
        keep_text(c, name, text.data ? text.data : "");
}

// "recipe environment <digest>"
static void collect_recipe_key(struct text_collection *c, const char *name, const char *digest)
{
    cleanup_buf struct buf text = {0};
    const struct yaml *root = job_of(c->node)->recipe->document->root;
    const struct yaml *node = yaml_get(root, name + strlen("recipe "));
    if (!node)
        return;
    yaml_print(node, &text);
    if (has_digest(&text, digest) && is_text(&text))
        keep_text(c, name, text.data);
}

static void collect_text(const struct key_line *line, void *context)
{
    struct text_collection *c = context;
    const char *last = strrchr(line->text, ' ');
    if (line->kind == KEY_FILE) {
        if (line->value[-2] == '-' || line->value[-2] == 'x')
            collect_file(c, line->name, line->value);
    } else if (last && starts_with(line->text, "recipe ") &&
               last > line->text + strlen("recipe ")) {
        cleanup_free char *name = xstrndup(line->text, (size_t)(last - line->text));
        collect_recipe_key(c, name, last + 1);
    } else if (last && starts_with(line->text, "setup ")) {
        collect_file(c, "setup", last + 1);
    }
}

static void collect_versions(struct text_collection *c)
{
    const struct version_values *used = &job_of(c->node)->filled_in;
    for (size_t i = 0; i < used->n; i++) {
        cleanup_free char *name = xasprintf("versions %s", used->items[i].path);
        keep_text(c, name, used->items[i].text);
    }
}

// Adds the texts to the record. Without them no line can be named: an error is ignored.
static void record_texts(struct build *b, const struct node *node, json_t *record)
{
    json_auto_t *texts = json_object();
    struct text_collection c = {b, node, texts, 0};
    if (job_of(node)->recipe)
        key_text_read(node->key_text, collect_text, &c);
    collect_versions(&c);
    if (!json_object_size(texts))
        return;
    cleanup_free char *text = json_dumps(texts, JSON_COMPACT | JSON_SORT_KEYS);
    char digest[DIGEST_HEX_SIZE];
    if (!text || store_put_bytes(b->store, text, strlen(text), digest, NULL) < 0)
        return;
    json_object_set_new(record, "texts", json_string(digest));
    record_output(record, "texts", digest, false, strlen(text));
}

// ---- needs ----

static void record_needs(const struct node *node, bool *seen, json_t *out)
{
    for (size_t i = 0; i < node->need_count; i++) {
        const struct node *need = node->needs[i].node;
        if (!node->needs[i].input || seen[need->index])
            continue;
        seen[need->index] = true;
        if (*need->key)
            json_array_append_new(out, json_pack("{s:s, s:s, s:s}", "id", need->id, "name",
                                                 need->name, "key", need->key));
        record_needs(need, seen, out);
    }
}

// What was recorded of `need`: by its id, else by its name if only one node had that; or NULL.
static const json_t *find_recorded(const struct last_build *l, const struct node *need)
{
    const json_t *by_name = NULL;
    size_t names = 0;
    for (size_t i = 0; i < json_array_size(l->needs); i++) {
        const json_t *item = json_array_get(l->needs, i);
        const char *id = json_string_value(json_object_get(item, "id"));
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *key = json_string_value(json_object_get(item, "key"));
        if (!id || !name || !key || !digest_is_hex(key))
            continue;
        if (!strcmp(id, need->id))
            return item;
        if (!strcmp(name, need->name)) {
            by_name = item;
            names++;
        }
    }
    return names == 1 ? by_name : NULL;
}

const char *last_build_key_of(const struct last_build *l, const struct node *need)
{
    return json_string_value(json_object_get(find_recorded(l, need), "key"));
}

// ---- the record ----

void record_last_build(struct build *b, const struct node *node)
{
    char key[DIGEST_HEX_SIZE];
    last_key(node->id, key);
    json_auto_t *record =
        json_pack("{s:s, s:s, s:[]}", "node", node->name, "key_text", node->key_text, "outputs");
    for (size_t i = 0; i < node->output_count; i++)
        record_output(record, node->outputs[i].name, node->outputs[i].digest, node->outputs[i].tree,
                      node->outputs[i].size);
    cleanup_free bool *seen = xcalloc(b->graph.n + 1, sizeof *seen);
    json_t *needs = json_array();
    record_needs(node, seen, needs);
    json_object_set_new(record, "needs", needs);
    record_texts(b, node, record);
    store_action_put(b->store, key, record, NULL); // explaining is optional: errors are ignored
}

static json_t *read_record(struct build *b, const char *id)
{
    char key[DIGEST_HEX_SIZE];
    last_key(id, key);
    json_t *record = NULL;
    store_action_get(b->store, key, &record, NULL);
    return record;
}

char *build_last_key_text(struct build *b, const struct node *node)
{
    json_auto_t *record = read_record(b, node->id);
    const char *text = json_string_value(json_object_get(record, "key_text"));
    return text ? xstrdup(text) : NULL;
}

json_t *build_last_outputs(struct build *b, const struct node *node)
{
    json_auto_t *record = read_record(b, node->id);
    return json_incref(json_object_get(record, "outputs"));
}

void note_last_build(struct build *b, const struct node *node)
{
    cleanup_free char *last = build_last_key_text(b, node);
    if (!last || strcmp(last, node->key_text) != 0)
        record_last_build(b, node);
}

static json_t *read_texts(struct build *b, const char *digest)
{
    cleanup_buf struct buf text = {0};
    if (!digest || !digest_is_hex(digest) || store_has_blob(b->store, digest, NULL) <= 0)
        return NULL;
    cleanup_close int fd = store_open_blob(b->store, digest, NULL);
    if (fd < 0 || fd_read_all(fd, digest, 8 * LAST_TEXTS_MAX, &text, NULL) < 0)
        return NULL;
    return json_loadb(text.data ? text.data : "", text.len, 0, NULL);
}

static bool read_last_build(struct build *b, const char *id, struct last_build *out)
{
    json_auto_t *record = read_record(b, id);
    const char *text = json_string_value(json_object_get(record, "key_text"));
    if (!text)
        return false;
    *out = (struct last_build){
        .key_text = xstrdup(text),
        .needs = json_incref(json_object_get(record, "needs")),
        .texts = read_texts(b, json_string_value(json_object_get(record, "texts")))};
    return true;
}

bool last_build_read(struct build *b, const struct node *node, struct last_build *out)
{
    return read_last_build(b, node->id, out);
}

bool last_build_read_need(struct build *b, const struct last_build *root, const struct node *need,
                          struct last_build *out)
{
    const json_t *item = find_recorded(root, need);
    const char *id = json_string_value(json_object_get(item, "id"));
    const char *key = json_string_value(json_object_get(item, "key"));
    json_auto_t *record = NULL;
    char last[DIGEST_HEX_SIZE];
    if (!item)
        return false;
    // Its own last build has the texts, too, if it is that one.
    if (read_last_build(b, id, out)) {
        digest_bytes(out->key_text, strlen(out->key_text), last);
        if (!strcmp(last, key))
            return true;
        last_build_free(out);
    }
    if (store_action_get(b->store, key, &record, NULL) <= 0)
        return false;
    const char *text = json_string_value(json_object_get(record, "key_text"));
    out->key_text = text ? xstrdup(text) : NULL;
    return text;
}

void last_build_free(struct last_build *l)
{
    free(l->key_text);
    json_decref(l->needs);
    json_decref(l->texts);
    *l = (struct last_build){0};
}

// ---- cost ----

enum { COST_MAX = INT32_MAX }; // some weeks of milliseconds, or 2 TiB

json_t *record_cost_of(const json_t *record)
{
    static const char *const parts[] = {"ms", "cpu_ms", "peak_kib"};
    const json_t *cost = json_object_get(record, "cost");
    json_t *out = cost ? json_object() : NULL;
    for (size_t i = 0; out && i < ARRAY_LEN(parts); i++) {
        json_int_t n = json_integer_value(json_object_get(cost, parts[i]));
        json_object_set_new(out, parts[i], json_integer(n < 0 ? 0 : n > COST_MAX ? COST_MAX : n));
    }
    return out;
}

static json_t *cost_of(struct build *b, const char *key)
{
    json_auto_t *record = NULL;
    if (!*key || store_action_get(b->store, key, &record, NULL) <= 0)
        return NULL;
    return record_cost_of(record);
}

static void elsewhere_key(const struct node *node, char key[static DIGEST_HEX_SIZE])
{
    cleanup_free char *text = xasprintf("cost elsewhere of %s", node->id);
    digest_bytes(text, strlen(text), key);
}

void record_cost_elsewhere(struct build *b, const struct node *node, const json_t *record)
{
    char key[DIGEST_HEX_SIZE];
    json_t *cost = record_cost_of(record);
    if (!cost)
        return;
    json_auto_t *kept = json_pack("{s:s, s:[], s:o}", "node", node->name, "outputs", "cost", cost);
    elsewhere_key(node, key);
    store_action_put(b->store, key, kept, NULL); // estimates are optional: errors are ignored
}

json_t *build_expected_cost(struct build *b, const struct node *node)
{
    char key[DIGEST_HEX_SIZE];
    json_t *cost = cost_of(b, node->key);
    cleanup_free char *last = cost ? NULL : build_last_key_text(b, node);
    if (last) {
        digest_bytes(last, strlen(last), key);
        cost = cost_of(b, key);
    }
    if (cost)
        return cost;
    elsewhere_key(node, key);
    return cost_of(b, key);
}
