// SPDX-License-Identifier: Apache-2.0
// What kbuild signs after a script, and with which of the recipe's variables.
#include "recipe/reader.h"

#include <string.h>

#define AT(member) offsetof(struct recipe_sign, member)
static const struct field sign_fields[] = {
    {"key", read_line, AT(key), ANYWHERE, ANYWHERE},
    {"certificate", read_line, AT(certificate), ANYWHERE, ANYWHERE},
    {"files", read_name_pattern, AT(files), ANYWHERE, ANYWHERE},
};
#undef AT
static const struct schema sign_schema = SCHEMA("sign", sign_fields);

int read_sign(struct reader *r, const struct yaml *node, void *target)
{
    struct recipe *recipe = target;
    recipe->sign = xcalloc(1, sizeof *recipe->sign);
    return read_map(r, node, &sign_schema, 1, recipe->sign);
}

bool sign_names_key(const struct reader *r, const char *variable)
{
    const struct yaml *sign = yaml_get(r->document->root, "sign");
    const struct yaml *key = sign && sign->kind == YAML_MAP ? yaml_get(sign, "key") : NULL;
    return key && key->kind == YAML_SCALAR && !strcmp(key->text, variable);
}

static int check_type(struct reader *r, const char *key, const char *name, enum variable_type type,
                      const char *type_name)
{
    const struct yaml *place = yaml_get(yaml_get(r->document->root, "sign"), key);
    for (size_t i = 0; i < r->recipe->variable_count; i++) {
        const struct recipe_variable *v = &r->recipe->variables[i];
        if (strcmp(v->name, name) != 0)
            continue;
        return v->type == type && !v->list
                   ? 0
                   : yaml_error(r->document, place, r->err, "sign: %s: %s must be of the type %s%s",
                                key, name, type_name, v->list ? ", and no list" : "");
    }
    yaml_error(r->document, place, r->err, "sign: %s: %s is not in 'variables'", key, name);
    return error_hint(r->err, "add it there: %s: {type: %s}", name, type_name);
}

int check_sign(struct reader *r)
{
    const struct recipe_sign *s = r->recipe->sign;
    return !s || (check_type(r, "key", s->key, VARIABLE_SECRET, "secret") == 0 &&
                  check_type(r, "certificate", s->certificate, VARIABLE_FILE, "file") == 0)
               ? 0
               : -1;
}

void sign_free(struct recipe_sign *s)
{
    if (!s)
        return;
    free(s->key);
    free(s->certificate);
    free(s->files);
    free(s);
}
