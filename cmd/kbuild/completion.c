// SPDX-License-Identifier: Apache-2.0
// The table of verbs as the completions of all shells need it: which words, or which kind of thing,
// a place can have. Targets and logs are looked up when the user asks.
#include "completion.h"

#include <string.h>

// ---- what can be in a place: words, or a kind of thing ----

static bool is_any_of(const char *word, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(word, words[i]))
            return true;
    return false;
}

// Words between bars, to words between blanks; to be freed.
static char *words_of(const char *alternatives)
{
    char *words = xstrdup(alternatives);
    for (char *p = words; (p = strpbrk(p, "[]|"));)
        *p = ' ';
    size_t start = strspn(words, " "), n = strlen(words);
    while (n > start && words[n - 1] == ' ')
        n--;
    cleanup_free char *all = words;
    return xstrndup(all + start, n - start);
}

static char *architectures(bool several)
{
    return xstrdup(several ? "x86_64 s390x aarch64 ppc64le all" : "x86_64 s390x aarch64 ppc64le");
}

// The kind of a placeholder in help: "FILE", "DIR", "gzip|zstd".
static char *kind_of(const char *placeholder)
{
    static const char *const files[] = {"FILE",
                                        "IMAGE",
                                        "IMAGE|-",
                                        "HKD",
                                        "KEY",
                                        "INITRD",
                                        "PARMFILE",
                                        "FILE|DIR",
                                        "VERSIONS_YAML",
                                        "KERNEL",
                                        "FILE|oci:REFERENCE",
                                        "host|PATH",
                                        "FILE|none"};
    static const char *const targets[] = {"TARGET", "TARGET[=REFERENCE],..."};
    if (is_any_of(placeholder, files, ARRAY_LEN(files)))
        return xstrdup("@files");
    if (is_any_of(placeholder, targets, ARRAY_LEN(targets)))
        return xstrdup("@targets");
    if (!strcmp(placeholder, "DIR") || !strcmp(placeholder, "DIR|default"))
        return xstrdup("@folders");
    if (strpbrk(placeholder, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        return xstrdup("@nothing");
    return words_of(placeholder);
}

char *value_kind(const struct verb *v, const struct option *o)
{
    if (!o->value)
        return NULL;
    if (!strcmp(o->value, "ARCH"))
        return architectures(v->flags & SEVERAL_ARCHITECTURES);
    return kind_of(o->value);
}

void operands_free(struct operands *o)
{
    strlist_free(&o->kinds);
}
void operands_read(const struct verb *v, struct operands *out)
{
    static const struct {
        const char *verb, *kind;
    } special[] = {{"log", "@logs"}, {"help", "@verbs"}, {"versions get", "@nothing"}};
    cleanup_strlist struct strlist words = {0};
    strlist_split(&words, v->flags & OWN_PARSER ? "FILE..." : v->operands, " ");
    for (size_t i = 0; i < words.n; i++) {
        char *word = words.items[i];
        char *dots = strstr(word, "...");
        out->repeated = dots != NULL;
        if (dots)
            *dots = 0; // what may be repeated is of the same kind
        // "[TAG]" and "[build|se|snp]": what is optional is offered, too.
        cleanup_free char *bare = *word == '[' ? words_of(word) : xstrdup(word);
        cleanup_free char *kind = *word == '[' && strchr(word, '|') ? steal(bare) : kind_of(bare);
        for (size_t k = 0; k < ARRAY_LEN(special); k++)
            if (!strcmp(special[k].verb, v->name)) {
                free(kind);
                kind = xstrdup(special[k].kind);
            }
        strlist_add(&out->kinds, kind);
    }
    if (v->flags & OWN_PARSER)
        out->repeated = true;
}

void first_words(struct strlist *out)
{
    for (size_t i = 0; i < verb_count; i++) {
        cleanup_free char *first = xstrndup(verbs[i].name, strcspn(verbs[i].name, " "));
        if (!strlist_has(out, first))
            strlist_add(out, first);
    }
}

void walk_options(void (*each)(const struct option *o, void *walk), struct buf *out)
{
    for (size_t i = 0; i < verb_count; i++) {
        struct option_walk w = {&verbs[i], out};
        verb_each_option(&verbs[i], each, &w);
    }
}

void put_escaped(struct buf *out, const char *text, const char *special)
{
    for (const char *p = text; *p; p++) {
        if (strchr(special, *p))
            buf_puts(out, "\\");
        buf_add(out, p, 1);
    }
}

void put_group_help(struct buf *out, const char *group, const char *special)
{
    cleanup_free char *words = verb_group_words(group, ", ");
    cleanup_free char *help = xasprintf("%s: %s", group, words);
    put_escaped(out, help, special);
}
