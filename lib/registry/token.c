// SPDX-License-Identifier: Apache-2.0
// What a token service is asked, and what it answers.
#include "registry/room.h"

#include <string.h>

#define SECONDS_DEFAULT 60 // the specification's, for an answer without expires_in
#define SECONDS_MAX 86400
#define TOKEN_MAX (64 << 10)

// Percent-encoded but for RFC 3986's unreserved characters.
static void add_field(struct buf *out, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    buf_printf(out, "%s%s=", out->len ? "&" : "", name);
    for (const unsigned char *c = (const unsigned char *)value; *c; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                     (*c >= '0' && *c <= '9') || strchr("-._~", *c);
        buf_printf(out, plain ? "%c" : "%%%02X", *c);
    }
}

char *token_query(const char *service, const struct strlist *scopes, const char *identity_token)
{
    struct buf out = {0};
    add_field(&out, "service", service);
    if (identity_token) {
        cleanup_free char *all = strlist_join(scopes, " ");
        add_field(&out, "client_id", "kbuild");
        add_field(&out, "grant_type", "refresh_token");
        add_field(&out, "scope", all);
        add_field(&out, "refresh_token", identity_token);
    } else {
        for (size_t i = 0; i < scopes->n; i++)
            add_field(&out, "scope", scopes->items[i]);
    }
    return buf_take(&out);
}

int token_parse(const char *text, size_t length, char **token, long *seconds, struct error **err)
{
    json_t *all = length ? json_loadb(text, length, 0, NULL) : NULL;
    const char *found = json_string_value(json_object_get(all, "token"));
    if (!found || !*found)
        found = json_string_value(json_object_get(all, "access_token"));
    bool clean = found && *found && strlen(found) <= TOKEN_MAX;
    for (const char *c = found; clean && *c; c++)
        clean = *c > ' ' && *c < 0x7f; // it goes into a header
    if (clean) {
        json_int_t given = json_integer_value(json_object_get(all, "expires_in"));
        *seconds = given <= 0 ? SECONDS_DEFAULT : given < SECONDS_MAX ? (long)given : SECONDS_MAX;
        *token = xstrdup(found);
    }
    json_decref(all);
    return clean ? 0 : error_user(err, "the token service's answer holds no token");
}
