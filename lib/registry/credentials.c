// SPDX-License-Identifier: Apache-2.0
// Finds user names and passwords in the environment, in the files of docker and of podman, skopeo
// and buildah (containers-auth.json(5)) and with their credential helpers, and finds certificates
// in certs.d.
#include "base/error.h"
#include "base/file.h"
#include "base/libcrypto.h"
#include "base/process.h"
#include "registry/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void credentials_free(struct credentials *c)
{
    free(c->user);
    secret_free(c->password);
    secret_free(c->identity_token);
    *c = (struct credentials){0};
}

// ---- one file ----
// Credentials: {"auths": {NAME: {"auth": base64("user:password")}}, "credHelpers":
// {NAME: HELPER}, "credsStore": HELPER} (docker's config.json, containers-auth.json(5)).

#define DOCKER_SERVER "https://index.docker.io/v1/"

// Its name in config files.
static const char *credentials_server(const char *registry)
{
    return strcmp(registry, "docker.io") ? registry : DOCKER_SERVER;
}

// base64("user:password") of an entry. Other text is an error, without the text.
static int decode_auth(const char *encoded, struct credentials *out)
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

// A value of another type than docker's is an error, not "no login".
static int check_json_types(const json_t *object, const char *const *names, size_t n,
                            json_type wanted, const char *path, struct error **err)
{
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_object_get(object, names[i]);
        if (value && !json_is_null(value) && json_typeof(value) != wanted)
            return error_user(err, "reading %s: \"%s\" is not %s", path, names[i],
                              wanted == JSON_STRING ? "a text" : "an object");
    }
    return 0;
}

static int read_login_entry(const json_t *entry, const char *path, const char *registry,
                            struct credentials *out, struct error **err)
{
    static const char *const texts[] = {"auth", "username", "password", "identitytoken"};
    if (check_json_types(entry, texts, ARRAY_LEN(texts), JSON_STRING, path, err) < 0)
        return -1;
    const char *auth = json_string_value(json_object_get(entry, "auth"));
    const char *user = json_string_value(json_object_get(entry, "username"));
    const char *password = json_string_value(json_object_get(entry, "password"));
    const char *identity = json_string_value(json_object_get(entry, "identitytoken"));
    if (identity && *identity)
        out->identity_token = xstrdup(identity);
    if (auth && *auth && decode_auth(auth, out) < 0)
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
static const json_t *find_login_entry(const json_t *auths, const char *registry,
                                      const char *repository)
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

static const json_t *find_old_login_entry(const json_t *auths, const char *registry)
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
    if (check_json_types(file, objects, ARRAY_LEN(objects), JSON_OBJECT, path, err) < 0 ||
        check_json_types(file, texts, ARRAY_LEN(texts), JSON_STRING, path, err) < 0 ||
        check_json_types(helpers, &registry, 1, JSON_STRING, path, err) < 0)
        return -1;
    const char *named = json_string_value(json_object_get(helpers, registry));
    if (!named)
        named = json_string_value(json_object_get(helpers, credentials_server(registry)));
    if (named && *named) {
        *helper = xstrdup(named);
        return 0;
    }
    const json_t *auths = json_object_get(file, "auths");
    const json_t *entry = find_login_entry(auths, registry, repository);
    if (!entry)
        entry = find_old_login_entry(auths, registry);
    if (entry && read_login_entry(entry, path, registry, out, err) < 0)
        return -1;
    const char *store = json_string_value(json_object_get(file, "credsStore"));
    // docker keeps an empty entry for a login in the store.
    if (!out->user && !out->identity_token && store && *store)
        *helper = xstrdup(store);
    return 0;
}

// ---- credential helpers ----
// (github.com/docker/docker-credential-helpers): `docker-credential-NAME get`
// reads a server's name from standard input and writes {"Username": ..., "Secret": ...}.

#define HELPER_SECONDS 30 // it may prompt the user, but not forever
#define LOOK_MS 200       // between checks for a pending interrupt
#define ANSWER_MAX ((size_t)1 << 20)

static bool is_helper_name(const char *name)
{
    for (const char *c = name; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", *c))
            return false;
    return *name && strlen(name) < 100;
}

static int helper_input(const char *server, struct error **err)
{
    int fd = memfd_create("server", MFD_CLOEXEC);
    if (fd < 0 || write(fd, server, strlen(server)) != (ssize_t)strlen(server) ||
        lseek(fd, 0, SEEK_SET) < 0) {
        int errnum = errno;
        if (fd >= 0)
            close(fd);
        return error_errno(err, errnum, "making the input of a credential helper");
    }
    return fd;
}

// Reads to the end, within the time limit. The answer may be secret, so it is in no message.
static int read_helper_answer(int fd, struct buf *out, struct error **err)
{
    long long end = now_ms() + HELPER_SECONDS * 1000LL;
    for (;;) {
        long long left = end - now_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = left > 0 ? poll(&p, 1, LOOK_MS) : 0;
        if (interrupt_is_pending())
            return error_set(err, ERROR_INTERRUPT, "interrupted");
        if (left > 0 && (ready == 0 || (ready < 0 && errno == EINTR)))
            continue;
        if (ready == 0)
            return error_user(err, "it did not answer within %d seconds", HELPER_SECONDS);
        char chunk[4096];
        ssize_t n = ready < 0 ? -1 : fd_read(fd, chunk, sizeof chunk);
        if (n < 0)
            return error_errno(err, errno, "reading its answer");
        if (n > 0)
            buf_add(out, chunk, (size_t)n);
        explicit_bzero(chunk, sizeof chunk);
        if (n == 0)
            return 0;
        if (out->len > ANSWER_MAX)
            return error_user(err, "its answer is too long");
    }
}

int credentials_of_answer(const struct buf *answer, int status, struct credentials *out,
                          struct error **err)
{
    if (status != 0) {
        // The protocol's answer for no credentials.
        if (answer->len && strstr(answer->data, "credentials not found"))
            return 0;
        cleanup_free char *how = process_status_text(status);
        return error_user(err, "it ended with %s", how);
    }
    json_t *all = answer->len ? json_loadb(answer->data, answer->len, 0, NULL) : NULL;
    const char *user = json_string_value(json_object_get(all, "Username"));
    const char *secret = json_string_value(json_object_get(all, "Secret"));
    if (user && secret && !strcmp(user, "<token>")) {
        out->identity_token = xstrdup(secret);
    } else if (user && secret) {
        out->user = xstrdup(user);
        out->password = xstrdup(secret);
    }
    json_decref(all);
    return user && secret ? 0 : error_user(err, "its answer holds no Username and Secret");
}

static int run_helper(const char *program, const char *server, struct credentials *out,
                      struct error **err)
{
    cleanup_close int input = helper_input(server, err);
    int ends[2];
    if (input < 0)
        return -1;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_errno(err, errno, "making a pipe");
    cleanup_close int from = ends[0];
    const char *const argv[] = {program, "get", NULL};
    const struct process p = {
        .argv = (char *const *)argv, .input = input, .output = ends[1], .own_group = true};
    pid_t pid = process_start(&p, err);
    close(ends[1]);
    if (pid < 0)
        return -1;
    struct buf answer = {0};
    int status = 0, result = read_helper_answer(from, &answer, err);
    if (result < 0)
        process_stop(pid, 500);
    else
        result = process_wait(pid, &status, err);
    if (result == 0)
        result = credentials_of_answer(&answer, status, out, err);
    if (answer.data)
        explicit_bzero(answer.data, answer.len);
    buf_free(&answer);
    return result;
}

// Whether the helper of this name is installed. True for an invalid name, which is refused later.
static bool has_helper(const char *helper)
{
    cleanup_free char *program = xasprintf("docker-credential-%s", helper);
    cleanup_free char *found = is_helper_name(helper) ? find_program(program) : NULL;
    return found || !is_helper_name(helper);
}

static int credentials_of_helper(const char *helper, const char *server, struct credentials *out,
                                 struct error **err)
{
    if (!is_helper_name(helper))
        return error_user(err, "\"%.100s\" cannot be the name of a credential helper", helper);
    cleanup_free char *program = xasprintf("docker-credential-%s", helper);
    if (run_helper(program, server, out, err) < 0)
        return error_wrap(err, "asking %s", program);
    return 0;
}

// ---- all files ----
#define FILE_MAX ((size_t)4 << 20)

// Lists the files to read, in order.
static void list_login_files(struct strlist *out)
{
    const char *only = getenv("REGISTRY_AUTH_FILE"), *home = getenv("HOME");
    const char *runtime = getenv("XDG_RUNTIME_DIR"), *docker = getenv("DOCKER_CONFIG");
    const char *config = getenv("XDG_CONFIG_HOME");
    if (only && *only) {
        strlist_add(out, only);
        return;
    }
    // The file that `podman login` and `skopeo login` write: without a session (cron, sudo,
    // containers) in /run/containers; then a session's file counts, too.
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

static int credentials_from_file(const char *path, const char *registry, const char *repository,
                                 struct credentials *out, struct error **err)
{
    cleanup_buf struct buf text = {0};
    secrets_guard();
    if (file_read(path, FILE_MAX, &text, err) < 0)
        return -1;
    if (!text.len) // made by `mktemp`, for a later login
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
    if (result == 0 && helper && !has_helper(helper)) {
        // Without the helper, public images can still be read.
        log_warning("the password for %s is kept by docker-credential-%.100s, according to %s, and "
                    "that program is not installed: continuing without a password",
                    registry, helper, path);
    } else if (result == 0 && helper) {
        result = credentials_of_helper(helper, credentials_server(registry), out, err);
        if (result < 0 && err && (*err)->kind != ERROR_INTERRUPT)
            error_hint(err,
                       "log in again (`skopeo login %s`), or correct \"credHelpers\" and "
                       "\"credsStore\" in %s",
                       registry, path);
        if (result < 0)
            error_wrap(err, "%s", path);
    }
    return result;
}

int credentials_find(const char *registry, const char *repository, struct credentials *out,
                     struct error **err)
{
    cleanup_strlist struct strlist files = {0};
    list_login_files(&files);
    for (size_t i = 0; i < files.n; i++) {
        if (!path_exists(files.items[i]))
            continue;
        if (credentials_from_file(files.items[i], registry, repository, out, err) < 0) {
            credentials_free(out);
            return error_wrap(err, "finding the password for %s", registry);
        }
        if (out->user || out->identity_token)
            return 0;
    }
    return 0;
}

// ---- the login of the environment ----
static char *taken_user, *taken_password;

static void move_variable(const char *name, char **out)
{
    char *value = getenv(name);
    if (!value)
        return;
    secret_free(*out);
    *out = *value ? xstrdup(value) : NULL;
    explicit_bzero(value, strlen(value)); // /proc/PID/environ shows these very bytes
    unsetenv(name);
}

void registry_take_login(void)
{
    if (getenv("ARTEFACT_REGISTRY_PASSWORD"))
        secrets_guard();
    move_variable("ARTEFACT_REGISTRY_USERNAME", &taken_user);
    move_variable("ARTEFACT_REGISTRY_PASSWORD", &taken_password);
}

void registry_login(const char **user, const char **password)
{
    registry_take_login();
    if (!taken_user)
        return;
    *user = taken_user;
    *password = taken_password;
}

// ---- certs ----
// certs.d (docker's "Verify repository client with certificates", containers-certs.d(5)): a folder
// a registry, "host:port", with CAs as *.crt and client certificates as NAME.cert and NAME.key.

#define CERTIFICATE_MAX ((size_t)1 << 20)

static int read_certs_folder(const char *folder, struct certs *out, struct error **err)
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
        if (read_certs_folder(folder, out, err) == 0)
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
