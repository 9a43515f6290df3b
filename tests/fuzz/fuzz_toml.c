// SPDX-License-Identifier: Apache-2.0
// configuration.toml, or containerd's file, from anyone: read it, and make the edits of every kind,
// and of one key of its own. After an edit the file is still TOML, what was edited reads back (a
// second time changes nothing), and every other value is what it was, byte for byte. Seeds:
// tests/fuzz/seeds/toml/.
#include "config/config.h"
#include "toml/toml.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

// The name in another document.
static struct toml_name *counterpart(const struct toml *t, const struct toml_name *name)
{
    if (!name->parent)
        return t->root;
    struct toml_name *parent = counterpart(t, name->parent);
    return parent ? toml_child(t, parent, name->text) : NULL;
}

// In any case, as Kata's reader takes keys.
static bool is_among(const struct config_edit *edits, size_t count, const char *path)
{
    for (size_t i = 0; i < count; i++) {
        // The class of a request that names none.
        const char *table = edits[i].table, *mark = strstr(table, "@CLASS@");
        cleanup_free char *edit =
            mark ? xasprintf("%.*skata%s.%s", (int)(mark - table), table, mark + 7, edits[i].key)
                 : xasprintf("%s.%s", table, edits[i].key);
        if (!strcasecmp(edit, path))
            return true;
    }
    return false;
}

// True if the edits, of any release, mean this name or one around it.
static bool is_edited(const struct config_kind *kind, const char *own, const struct toml_name *name)
{
    for (; name->parent; name = name->parent) {
        cleanup_free char *path = toml_path(name);
        if (own && !strcmp(own, path))
            return true;
        for (size_t i = 0; i < kind->layout_count; i++)
            if (is_among(kind->layouts[i].edits, kind->layouts[i].count, path))
                return true;
    }
    return false;
}

static void require_rest_unchanged(const struct toml *before, const struct toml *after,
                                   const struct config_kind *kind, const char *own)
{
    for (size_t i = 0; i < before->entry_count; i++) {
        const struct toml_entry *e = before->entries[i];
        // An inline table around an edited key changes with it.
        if (is_edited(kind, own, e->name) || e->value.kind == TOML_INLINE_TABLE)
            continue;
        const struct toml_name *name = counterpart(after, e->name);
        require(name && name->entry);
        const struct toml_value *a = &e->value, *b = &name->entry->value;
        require(a->kind == b->kind && a->end - a->start == b->end - b->start);
        require(!memcmp(before->text + a->start, after->text + b->start, a->end - a->start));
    }
    require(after->header_count >= before->header_count);
}

static void edit(const struct toml *t, const struct config_kind *kind, const char *own)
{
    cleanup_strlist struct strlist settings = {0};
    cleanup_buf struct buf edited = {0}, diff = {0}, again = {0}, nothing = {0};
    cleanup_error struct error *err = NULL;
    if (own)
        strlist_addf(&settings, "%s=7", own);
    const struct config_request request = {.kind = kind, .settings = &settings};
    int result = config_edit_text(t->text, t->length, "f", &request, &edited, &diff, &err);
    require((result < 0) == (err != NULL));
    if (result < 0)
        return;
    require(!diff.len == (edited.len == t->length && !memcmp(edited.data, t->text, t->length)));
    struct toml *after = toml_parse(edited.data, edited.len, &err);
    require(after != NULL);
    require_rest_unchanged(t, after, kind, own);
    require(config_edit_text(edited.data, edited.len, "f", &request, &again, &nothing, &err) == 0);
    require(!nothing.len && again.len == edited.len && !memcmp(again.data, edited.data, again.len));
    toml_free(after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error *err = NULL;
    struct toml *t = toml_parse((const char *)data, size, &err);
    require(!t == !!err);
    error_free(err);
    if (!t)
        return 0;
    for (size_t i = 0; i < config_kind_count; i++)
        edit(t, &config_kinds[i], NULL);
    if (t->entry_count) {
        cleanup_free char *own = toml_path(t->entries[size % t->entry_count]->name);
        edit(t, &config_kinds[0], own);
    }
    toml_free(t);
    return 0;
}
