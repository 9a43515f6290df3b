// SPDX-License-Identifier: Apache-2.0
// Finds a login in ~/.netrc (format: GNU inetutils, "The .netrc file"; quotes as in curl).
//
// Not by libcurl, because libcurl searches again for each server that a redirect leads to: a
// `default` entry would be sent to all of them. A login found here is for the first server only.
#include "base/file.h"
#include "http/internal.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define NETRC_MAX ((size_t)1 << 20)

struct netrc {
    const char *at;
    bool line_end; // a newline came before the current word
};

// The next word, to be freed, or NULL at the end. Quoted words may hold blanks; \ escapes the next
// character.
static char *next_word(struct netrc *n)
{
    struct buf word = {0};
    n->line_end = false;
    for (; *n->at && strchr(" \t\r\n", *n->at); n->at++)
        n->line_end |= *n->at == '\n';
    if (!*n->at)
        return NULL;
    bool quoted = *n->at == '"';
    n->at += quoted;
    while (*n->at && (quoted ? *n->at != '"' : !strchr(" \t\r\n", *n->at))) {
        char c = *n->at++;
        if (quoted && c == '\\' && *n->at) {
            c = *n->at++;
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
        }
        buf_add(&word, &c, 1);
    }
    n->at += quoted && *n->at;
    return buf_take(&word);
}

// A macro ends with an empty line.
static void skip_macro(struct netrc *n)
{
    const char *end = strstr(n->at, "\n\n");
    n->at = end ? end + 2 : n->at + strlen(n->at);
}

struct netrc_entry {
    char *user, *password;
    bool ours; // the entry is for the host
};

static void entry_drop(struct netrc_entry *e)
{
    http_wipe(steal(e->user));
    http_wipe(steal(e->password));
    e->ours = false;
}

static bool entry_counts(const struct netrc_entry *e, const char *wanted)
{
    return e->ours && e->password && (!wanted || (e->user && strcmp(wanted, e->user) == 0));
}

// Reads up to the first entry that counts.
static bool search(struct netrc *n, const char *host, const char *wanted, struct netrc_entry *e)
{
    char *word;
    while ((word = next_word(n))) {
        bool machine = strcmp(word, "machine") == 0, other = strcmp(word, "default") == 0;
        if ((machine || other) && entry_counts(e, wanted)) {
            free(word);
            return true;
        }
        if (word[0] == '#') // to the end of the line, as curl has it
            n->at += strcspn(n->at, "\n");
        if (strcmp(word, "macdef") == 0)
            skip_macro(n);
        bool user = strcmp(word, "login") == 0, password = strcmp(word, "password") == 0;
        bool account = strcmp(word, "account") == 0;
        free(word);
        if (machine || other)
            entry_drop(e);
        e->ours |= other;
        if (!machine && !user && !password && !account)
            continue;
        char *value = next_word(n);
        if (machine)
            e->ours = value && strcasecmp(value, host) == 0;
        char **field = user ? &e->user : password ? &e->password : NULL;
        if (field) {
            http_wipe(*field);
            *field = steal(value);
        }
        http_wipe(value);
    }
    return entry_counts(e, wanted);
}

int netrc_find(const char *host, const char *wanted_user, char **user, char **password, char **file,
               struct error **err)
{
    const char *named = getenv("NETRC"), *home = getenv("HOME");
    cleanup_buf struct buf text = {0};
    if ((!named || !*named) && (!home || !*home))
        return 0;
    bool own = named && *named;
    cleanup_free char *path = own ? xstrdup(named) : xasprintf("%s/.netrc", home);
    if (!own && access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    if (file_read(path, NETRC_MAX, &text, err) < 0)
        return error_wrap(err, "reading the logins%s", own ? " that NETRC names" : "");
    struct netrc n = {.at = text.data ? text.data : ""};
    struct netrc_entry e = {0};
    bool found = search(&n, host, wanted_user, &e);
    if (found) {
        *user = e.user ? steal(e.user) : xstrdup("");
        *password = steal(e.password);
        *file = steal(path);
    }
    entry_drop(&e);
    if (text.data)
        explicit_bzero(text.data, text.len);
    return found;
}
