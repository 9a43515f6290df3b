// SPDX-License-Identifier: Apache-2.0
#include "source/apt_entry.h"

#include "base/process.h"

#include <string.h>
#include <strings.h>

#define BLANKS " \t\r"

// Options that say whom to trust and for how long; they stay with an entry. The others (arch, lang,
// target, pdiffs) choose among indexes, which a private apt does by itself.
static const char *const kept_options[] = {
    "Signed-By",       "Trusted",    "Check-Valid-Until", "Valid-Until-Min",
    "Valid-Until-Max", "Check-Date", "Date-Max-Future",   "By-Hash",
    "Allow-Insecure",  "Allow-Weak", "Snapshot",          "Allow-Downgrade-To-Insecure",
};

static const char *option_name(const char *name, size_t length)
{
    for (size_t i = 0; i < ARRAY_LEN(kept_options); i++)
        if (strncasecmp(kept_options[i], name, length) == 0 && !kept_options[i][length])
            return kept_options[i];
    return NULL;
}

static void entry_free(struct apt_entry *e)
{
    strlist_free(&e->uris);
    strlist_free(&e->suites);
    strlist_free(&e->components);
    strlist_free(&e->options);
}

void apt_entries_free(struct apt_entries *e)
{
    for (size_t i = 0; i < e->n; i++)
        entry_free(&e->items[i]);
    free(e->items);
    *e = (struct apt_entries){0};
}

static void entry_option(struct apt_entry *e, const char *name, const char *value)
{
    strlist_addf(&e->options, "%s: %s", name, value);
    if (strcmp(name, "Signed-By") == 0)
        e->signed_by = e->options.items[e->options.n - 1] + strlen("Signed-By: ");
}

static void entry_add(struct apt_entries *out, struct apt_entry *e)
{
    // A flat repository (no components) is never the distribution's own; cdroms need hands.
    bool usable = e->uris.n && e->suites.n && e->components.n;
    for (size_t i = 0; i < e->uris.n; i++)
        usable = usable && !starts_with(e->uris.items[i], "cdrom:");
    if (!usable) {
        entry_free(e);
        return;
    }
    out->items = xgrow(out->items, &out->cap, out->n + 1, sizeof *out->items);
    out->items[out->n++] = *e;
}

// "[arch=amd64 signed-by=a,b]": returns what follows the bracket, or NULL if there is no end.
static const char *parse_options(struct apt_entry *e, const char *text)
{
    const char *end = strchr(text, ']');
    if (!end)
        return NULL;
    cleanup_free char *inside = xstrndup(text + 1, (size_t)(end - text - 1));
    cleanup_strlist struct strlist words = {0};
    strlist_split(&words, inside, BLANKS);
    for (size_t i = 0; i < words.n; i++) {
        const char *equals = strchr(words.items[i], '=');
        const char *name =
            equals ? option_name(words.items[i], (size_t)(equals - words.items[i])) : NULL;
        if (name)
            entry_option(e, name, equals + 1);
    }
    return end + 1;
}

// "deb [options] uri suite component..." up to a '#'
static void parse_line(struct apt_entries *out, char *line)
{
    line[strcspn(line, "#")] = '\0';
    const char *p = line + strspn(line, BLANKS);
    size_t word = strcspn(p, BLANKS);
    bool deb = word == 3 && strncmp(p, "deb", 3) == 0;
    if (!deb && !(word == 7 && strncmp(p, "deb-src", 7) == 0))
        return;
    struct apt_entry e = {.deb = deb};
    p += word;
    p += strspn(p, BLANKS);
    if (*p == '[')
        p = parse_options(&e, p);
    cleanup_strlist struct strlist words = {0};
    if (p)
        strlist_split(&words, p, BLANKS);
    for (size_t i = 0; i < words.n; i++)
        strlist_add(i == 0 ? &e.uris : i == 1 ? &e.suites : &e.components, words.items[i]);
    entry_add(out, &e);
}

void apt_entries_parse_lines(struct apt_entries *out, const char *text)
{
    cleanup_strlist struct strlist lines = {0};
    strlist_split(&lines, text, "\n");
    for (size_t i = 0; i < lines.n; i++)
        parse_line(out, lines.items[i]);
}

// ---- deb822 ----
struct stanza {
    struct apt_entry entry;
    bool enabled;
    bool any; // a field was seen
};

static void stanza_field(struct stanza *s, const char *name, const char *value)
{
    struct apt_entry *e = &s->entry;
    s->any = true;
    if (strcasecmp(name, "Types") == 0) {
        cleanup_strlist struct strlist types = {0};
        strlist_split(&types, value, BLANKS "\n");
        e->deb = strlist_has(&types, "deb");
    } else if (strcasecmp(name, "URIs") == 0) {
        strlist_split(&e->uris, value, BLANKS "\n");
    } else if (strcasecmp(name, "Suites") == 0) {
        strlist_split(&e->suites, value, BLANKS "\n");
    } else if (strcasecmp(name, "Components") == 0) {
        strlist_split(&e->components, value, BLANKS "\n");
    } else if (strcasecmp(name, "Enabled") == 0) {
        static const char *const no[] = {"no", "false", "without", "off", "disable"};
        for (size_t i = 0; i < ARRAY_LEN(no); i++)
            if (strcasecmp(value, no[i]) == 0)
                s->enabled = false;
    } else {
        const char *kept = option_name(name, strlen(name));
        if (kept)
            entry_option(e, kept, value);
    }
}

static void stanza_end(struct stanza *s, struct apt_entries *out)
{
    if (s->any && s->enabled)
        entry_add(out, &s->entry);
    else
        entry_free(&s->entry);
    *s = (struct stanza){.enabled = true};
}

static void trim_end(char *text)
{
    size_t n = strlen(text);
    while (n && strchr(BLANKS "\n", text[n - 1]))
        text[--n] = '\0';
}

static void field_end(struct stanza *s, struct buf *field)
{
    char *colon = field->data ? strchr(field->data, ':') : NULL;
    if (colon) {
        *colon = '\0';
        char *value = colon + 1 + strspn(colon + 1, BLANKS);
        trim_end(value);
        stanza_field(s, field->data, value);
    }
    buf_free(field);
    *field = (struct buf){0};
}

void apt_entries_parse_deb822(struct apt_entries *out, const char *text)
{
    struct stanza s = {.enabled = true};
    cleanup_buf struct buf field = {0};
    while (*text) {
        size_t length = strcspn(text, "\n");
        if (*text == '#') {
            ; // a comment, also between the lines of a value
        } else if (length == 0 || strspn(text, BLANKS) >= length) {
            field_end(&s, &field);
            stanza_end(&s, out);
        } else {
            if (*text != ' ' && *text != '\t')
                field_end(&s, &field);
            else
                buf_puts(&field, "\n");
            buf_add(&field, text, length);
        }
        text += length + (text[length] == '\n');
    }
    field_end(&s, &field);
    stanza_end(&s, out);
}

int apt_config_path(const char *setting, char **out, struct error **err)
{
    const char *const argv[] = {"apt-config", "shell", "value", setting, NULL};
    struct process p = {.argv = (char *const *)argv, .input = -1};
    cleanup_buf struct buf text = {0};
    buf_puts(&text, "");
    if (process_run(&p, &text, err) < 0)
        return error_hint(err, "the distribution's packages need apt on this machine (Debian or "
                               "Ubuntu)");
    // value='/etc/apt/sources.list'
    const char *start = strchr(text.data, '\''), *end = strrchr(text.data, '\'');
    if (!start || end == start)
        return error_user(err, "apt-config does not know %s", setting);
    *out = xstrndup(start + 1, (size_t)(end - start - 1));
    return 0;
}
