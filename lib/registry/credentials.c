// SPDX-License-Identifier: Apache-2.0
// Where user names and passwords come from: the files of docker and of podman, skopeo and buildah
// (containers-auth.json(5)), and their credential helpers.
#include "base/file.h"
#include "base/log.h"
#include "registry/room.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX ((size_t)4 << 20)

void secret_free(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void credentials_free(struct credentials *c)
{
    free(c->user);
    secret_free(c->password);
    secret_free(c->identity_token);
    *c = (struct credentials){0};
}

// The files to be looked at, in this order.
static void collect_files(struct strlist *out)
{
    const char *only = getenv("REGISTRY_AUTH_FILE"), *home = getenv("HOME");
    const char *runtime = getenv("XDG_RUNTIME_DIR"), *docker = getenv("DOCKER_CONFIG");
    const char *config = getenv("XDG_CONFIG_HOME");
    if (only && *only) {
        strlist_add(out, only);
        return;
    }
    // Where `podman login` and `skopeo login` write to: without a session (cron, sudo, containers)
    // that is /run/containers, and a session's file counts there, too.
    if (runtime && *runtime) {
        strlist_addf(out, "%s/containers/auth.json", runtime);
    } else {
        strlist_addf(out, "/run/containers/%ju/auth.json", (uintmax_t)geteuid());
        strlist_addf(out, "/run/user/%ju/containers/auth.json", (uintmax_t)geteuid());
    }
    if (config && *config)
        strlist_addf(out, "%s/containers/auth.json", config);
    else if (home && *home)
        strlist_addf(out, "%s/.config/containers/auth.json", home);
    if (docker && *docker)
        strlist_addf(out, "%s/config.json", docker);
    else if (home && *home)
        strlist_addf(out, "%s/.docker/config.json", home);
    if (home && *home)
        strlist_addf(out, "%s/.dockercfg", home); // docker's before 1.7: the "auths" alone
}

static int ask_file(const char *path, const char *registry, const char *repository,
                    struct credentials *out, struct error **err)
{
    cleanup_buf struct buf text = {0};
    secrets_guard();
    if (file_read(path, FILE_MAX, &text, err) < 0)
        return -1;
    if (!text.len) // as `mktemp` makes it, for a login to come
        return 0;
    json_t *all = json_loadb(text.data, text.len, 0, NULL);
    explicit_bzero(text.data, text.len);
    if (!json_is_object(all)) {
        json_decref(all);
        return error_user(err, "reading %s: it is no JSON object", path);
    }
    cleanup_free char *helper = NULL;
    if (ends_with(path, "/.dockercfg"))
        all = json_pack("{s:o}", "auths", all);
    int result = credentials_of_file(all, path, registry, repository, out, &helper, err);
    json_decref(all);
    if (result == 0 && helper && !credentials_has_helper(helper)) {
        // Whoever removed it may still read what everybody may.
        log_warning("%s says that docker-credential-%.100s has the password for %s, and it is not "
                    "installed: taken for none",
                    path, helper, registry);
    } else if (result == 0 && helper)
        result = credentials_of_helper(helper, credentials_server(registry), out, err);
    return result;
}

int credentials_find(const char *registry, const char *repository, struct credentials *out,
                     struct error **err)
{
    cleanup_strlist struct strlist files = {0};
    collect_files(&files);
    for (size_t i = 0; i < files.n; i++) {
        if (!path_exists(files.items[i]))
            continue;
        if (ask_file(files.items[i], registry, repository, out, err) < 0) {
            credentials_free(out);
            return error_wrap(err, "finding the password for %s", registry);
        }
        if (out->user || out->identity_token)
            return 0;
    }
    return 0;
}
