// SPDX-License-Identifier: Apache-2.0
// One file of credentials: {"auths": {NAME: {"auth": base64("user:password")}}, "credHelpers":
// {NAME: HELPER}, "credsStore": HELPER} (docker's config.json, containers-auth.json(5)).
#include "registry/room.h"

#include <openssl/evp.h>
#include <string.h>

#define DOCKER_SERVER "https://index.docker.io/v1/"

const char *credentials_server(const char *registry)
{
    return strcmp(registry, "docker.io") ? registry : DOCKER_SERVER;
}

// base64("user:password") of an entry. What is no such thing is an error that does not repeat it.
static int decode(const char *encoded, struct credentials *out)
{
    size_t n = strlen(encoded);
    while (n && strchr(" \t\r\n", encoded[n - 1]))
        n--;
    if (n % 4 || n > (64 << 10))
        return -1;
    char *plain = xcalloc(1, n / 4 * 3 + 1);
    int length = EVP_DecodeBlock((unsigned char *)plain, (const unsigned char *)encoded, (int)n);
    for (size_t i = n; length > 0 && i && encoded[i - 1] == '='; i--)
        plain[--length] = '\0';
    char *colon = length > 0 ? strchr(plain, ':') : NULL;
    if (colon) {
        out->user = xstrndup(plain, (size_t)(colon - plain));
        out->password = xstrdup(colon + 1);
    }
    if (length > 0)
        explicit_bzero(plain, (size_t)length);
    free(plain);
    return colon ? 0 : -1;
}

// What is there and of another type than docker's is no "no login".
static int check_types(const json_t *object, const char *const *names, size_t n, json_type wanted,
                       const char *path, struct error **err)
{
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_object_get(object, names[i]);
        if (value && !json_is_null(value) && json_typeof(value) != wanted)
            return error_user(err, "reading %s: \"%s\" is not %s", path, names[i],
                              wanted == JSON_STRING ? "a text" : "an object");
    }
    return 0;
}

static int take_entry(const json_t *entry, const char *path, const char *registry,
                      struct credentials *out, struct error **err)
{
    static const char *const texts[] = {"auth", "username", "password", "identitytoken"};
    if (check_types(entry, texts, ARRAY_LEN(texts), JSON_STRING, path, err) < 0)
        return -1;
    const char *auth = json_string_value(json_object_get(entry, "auth"));
    const char *user = json_string_value(json_object_get(entry, "username"));
    const char *password = json_string_value(json_object_get(entry, "password"));
    const char *identity = json_string_value(json_object_get(entry, "identitytoken"));
    if (identity && *identity)
        out->identity_token = xstrdup(identity);
    if (auth && *auth && decode(auth, out) < 0)
        return error_user(err, "reading %s: the \"auth\" for %s is not base64 of user:password",
                          path, registry);
    if (!out->user && user && *user) {
        out->user = xstrdup(user);
        out->password = xstrdup(password ? password : "");
    }
    return 0;
}

// "https://host/v1/" of old versions of docker is "host".
static bool is_host_of(const char *name, const char *registry)
{
    name += starts_with(name, "https://") ? 8 : starts_with(name, "http://") ? 7 : 0;
    size_t n = strcspn(name, "/");
    bool versioned = !strcmp(name + n, "") || !strcmp(name + n, "/") ||
                     starts_with(name + n, "/v1") || starts_with(name + n, "/v2");
    if (!strcmp(registry, "docker.io") && versioned &&
        (!strncmp(name, "index.docker.io", n) || !strncmp(name, "registry-1.docker.io", n)) &&
        n > 9)
        return true;
    return versioned && n == strlen(registry) && !strncmp(name, registry, n);
}

// Most specific first: "host/a/b", "host/a", "host"; then the older forms.
static const json_t *find_entry(const json_t *auths, const char *registry, const char *repository)
{
    cleanup_free char *name = xasprintf("%s/%s", registry, repository);
    for (;;) {
        const json_t *entry = json_object_get(auths, name);
        char *slash = strrchr(name, '/');
        if (entry || !slash)
            return entry;
        *slash = '\0';
    }
}

static const json_t *find_old_entry(const json_t *auths, const char *registry)
{
    const char *name;
    json_t *entry;
    json_object_foreach((json_t *)auths, name, entry) if (is_host_of(name, registry)) return entry;
    return NULL;
}

int credentials_of_file(const json_t *file, const char *path, const char *registry,
                        const char *repository, struct credentials *out, char **helper,
                        struct error **err)
{
    static const char *const objects[] = {"auths", "credHelpers"}, *const texts[] = {"credsStore"};
    const json_t *helpers = json_object_get(file, "credHelpers");
    if (check_types(file, objects, ARRAY_LEN(objects), JSON_OBJECT, path, err) < 0 ||
        check_types(file, texts, ARRAY_LEN(texts), JSON_STRING, path, err) < 0 ||
        check_types(helpers, &registry, 1, JSON_STRING, path, err) < 0)
        return -1;
    const char *named = json_string_value(json_object_get(helpers, registry));
    if (!named)
        named = json_string_value(json_object_get(helpers, credentials_server(registry)));
    if (named && *named) {
        *helper = xstrdup(named);
        return 0;
    }
    const json_t *auths = json_object_get(file, "auths");
    const json_t *entry = find_entry(auths, registry, repository);
    if (!entry)
        entry = find_old_entry(auths, registry);
    if (entry && take_entry(entry, path, registry, out, err) < 0)
        return -1;
    const char *store = json_string_value(json_object_get(file, "credsStore"));
    // docker leaves an empty entry for what it put into the store.
    if (!out->user && !out->identity_token && store && *store)
        *helper = xstrdup(store);
    return 0;
}
