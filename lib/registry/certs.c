// SPDX-License-Identifier: Apache-2.0
// certs.d (docker's "Verify repository client with certificates", containers-certs.d(5)): a folder
// a registry, "host:port", with CAs as *.crt and client certificates as NAME.cert and NAME.key.
#include "base/file.h"
#include "registry/room.h"

#include <string.h>

#define CERTIFICATE_MAX ((size_t)1 << 20)

static int read_folder(const char *folder, struct certs *out, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    if (list_directory(folder, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        const char *name = names.items[i];
        cleanup_free char *path = xasprintf("%s/%s", folder, name);
        if (ends_with(name, ".crt")) {
            if (file_read(path, CERTIFICATE_MAX, &out->ca, err) < 0)
                return -1;
            buf_puts(&out->ca, "\n");
        }
        if (!ends_with(name, ".cert") || out->certificate)
            continue;
        out->key = xasprintf("%.*s.key", (int)(strlen(path) - strlen(".cert")), path);
        if (!path_exists(out->key))
            return error_user(err, "%s has no key beside it: %s is missing", path, out->key);
        out->certificate = steal(path);
    }
    return 0;
}

int certs_find(const char *host, struct certs *out, struct error **err)
{
    const char *home = getenv("HOME");
    cleanup_free char *own =
        xasprintf("%s/.config/containers", home && *home ? home : "/nonexistent");
    const char *const places[] = {own, "/etc/containers", "/etc/docker"};
    if (strchr(host, '/'))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        cleanup_free char *folder = xasprintf("%s/certs.d/%s", places[i], host);
        if (!is_directory(folder))
            continue;
        if (read_folder(folder, out, err) == 0)
            return 0;
        certs_free(out);
        return error_wrap(err, "reading the certificates for %s", host);
    }
    return 0;
}

void certs_free(struct certs *c)
{
    buf_free(&c->ca);
    free(c->certificate);
    free(c->key);
    *c = (struct certs){0};
}
