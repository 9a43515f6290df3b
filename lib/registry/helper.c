// SPDX-License-Identifier: Apache-2.0
// Credential helpers (github.com/docker/docker-credential-helpers): `docker-credential-NAME get`
// reads a server's name from standard input and writes {"Username": ..., "Secret": ...}.
#include "base/file.h"
#include "base/process.h"
#include "registry/room.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>

#define HELPER_SECONDS 30 // it may ask its user for something, but not forever
#define LOOK_MS 200       // for an interrupt, which is pending where signals are held back
#define ANSWER_MAX ((size_t)1 << 20)

static bool is_name(const char *name)
{
    for (const char *c = name; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", *c))
            return false;
    return *name && strlen(name) < 100;
}

static int input_of(const char *server, struct error **err)
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

// Everything up to the end, within the time. The answer may be secret, so it is in no message.
static int read_answer(int fd, struct buf *out, struct error **err)
{
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (;;) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        int left = HELPER_SECONDS - (int)(now.tv_sec - begin.tv_sec);
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = left > 0 ? poll(&p, 1, LOOK_MS) : 0;
        if (http_interrupted())
            return error_set(err, ERROR_INTERRUPT, "interrupted");
        if (left > 0 && (ready == 0 || (ready < 0 && errno == EINTR)))
            continue;
        if (ready == 0)
            return error_user(err, "it did not answer within %d seconds", HELPER_SECONDS);
        char chunk[4096];
        ssize_t n = ready < 0 ? -1 : read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
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
        // The protocol's way to say that there is none.
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

static int ask(const char *program, const char *server, struct credentials *out, struct error **err)
{
    cleanup_close int input = input_of(server, err);
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
    int status = 0, result = read_answer(from, &answer, err);
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

bool credentials_has_helper(const char *helper)
{
    cleanup_free char *program = xasprintf("docker-credential-%s", helper);
    cleanup_free char *found = is_name(helper) ? find_program(program) : NULL;
    return found || !is_name(helper);
}

int credentials_of_helper(const char *helper, const char *server, struct credentials *out,
                          struct error **err)
{
    if (!is_name(helper))
        return error_user(err, "the name of the credential helper is none");
    cleanup_free char *program = xasprintf("docker-credential-%s", helper);
    if (ask(program, server, out, err) < 0)
        return error_wrap(err, "asking %s", program);
    return 0;
}
