// SPDX-License-Identifier: Apache-2.0
// Speaks git's protocol over a socket: to a git:// server (gitprotocol-pack(5), "Git Transport"),
// or to `git upload-pack` on a local folder.
#include "base/process.h"
#include "http/http.h"
#include "source/git_internal.h"
#include "source/internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#define CONNECT_MS 30000
#define SILENCE_MS 60000 // of a server
#define SLOWEST 10       // bytes a second, averaged over one silence
#define ERRORS_MAX 2000

struct git_conversation {
    git_smart_subtransport_stream parent; // first
    struct git_stream *owner;
    int fd, errors; // a socket; standard error of upload-pack, or -1
    pid_t pid;      // of upload-pack, or 0
    bool local;
    bool refs_over; // something was written, so the input is no advertisement
    struct buf seen;
    long long began_ms, window_ms; // of the connection; of the current window of time
    long long left_ms;             // when the last wait ended
    uint64_t received, window_start;
};

struct git_stream {
    git_smart_subtransport parent; // first
    struct git_outcome *outcome;
    struct git_conversation *current;
};

// ---- what both transports share ----
void git_outcome_clear(struct git_outcome *o)
{
    error_free(o->failure);
    *o = (struct git_outcome){0};
}

int git_outcome_fail(struct git_outcome *o, struct error *why)
{
    git_error_set_str(GIT_ERROR_NET, why ? why->message : "failed");
    error_free(o->failure);
    o->failure = why;
    return -1;
}

bool git_advertises_shallow(struct buf *seen, const char *bytes, size_t length)
{
    static const char word[] = "shallow ";
    buf_add(seen, bytes, length);
    bool found = false;
    // "0035shallow <40 digits>"; no ref and no capability has this form.
    for (size_t at = 4; at + sizeof word - 1 + 40 <= seen->len && !found; at++) {
        const char *p = seen->data + at;
        found = memcmp(p, word, sizeof word - 1) == 0 && isxdigit((unsigned char)p[-1]) &&
                isxdigit((unsigned char)p[-4]) && strspn(p + 8, "0123456789abcdef") >= 40;
    }
    size_t keep = seen->len < 128 ? seen->len : 128;
    memmove(seen->data, seen->data + seen->len - keep, keep);
    seen->len = keep;
    return found;
}

int git_refuse_shallow(struct error **err)
{
    error_user(err, "it is a shallow clone, which lacks the history that a fetch needs");
    return error_hint(err, "complete it: `git fetch --unshallow` there");
}

bool git_stream_is_url(const char *url)
{
    return strncasecmp(url, "git://", 6) == 0 || url_is_local(url);
}

char *git_folder_of(const char *url)
{
    if (strncasecmp(url, "file://", 7) != 0)
        return xstrdup(url);
    const char *path = url + 7;
    if (strncasecmp(path, "localhost/", 10) == 0)
        path += 9;
    struct buf out = {0};
    for (; *path; path++) {
        char hex[3] = {path[0] == '%' ? path[1] : '\0', path[0] == '%' && path[1] ? path[2] : '\0'};
        bool escaped = isxdigit((unsigned char)hex[0]) && isxdigit((unsigned char)hex[1]);
        char c = escaped ? (char)strtol(hex, NULL, 16) : *path;
        buf_add(&out, &c, 1);
        path += escaped ? 2 : 0;
    }
    return buf_take(&out);
}

// ---- reading and writing ----

static int server_too_slow(struct git_conversation *c, struct error **err)
{
    c->owner->outcome->may_pass = true;
    return error_user(err, "the server sends less than 8192 bytes a second on average");
}

// Waits for the descriptor, under the rules for slow servers; for a local git without limit.
static int wait_for_socket(struct git_conversation *c, short events, struct error **err)
{
    struct pollfd p = {.fd = c->fd, .events = events};
    // Counts only the time waiting for the server, not the work of this side.
    long long away = now_ms() - c->left_ms;
    c->began_ms += away;
    c->window_ms += away;
    for (;;) {
        long long now = now_ms();
        if (!c->local && now - c->window_ms >= SILENCE_MS) {
            if (c->received - c->window_start < SLOWEST * SILENCE_MS / 1000)
                return server_too_slow(c, err);
            c->window_ms = now;
            c->window_start = c->received;
        }
        if (!c->local && http_is_too_slow((uint64_t)(now - c->began_ms) / 1000, c->received))
            return server_too_slow(c, err);
        int n = poll(&p, 1, 500);
        c->left_ms = now_ms();
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return error_errno(err, errno, "waiting for the server");
    }
}

// The error of upload-pack; its first line is the reason.
static int upload_pack_failed(struct git_conversation *c, struct error **err)
{
    char text[ERRORS_MAX + 1];
    ssize_t n = read(c->errors, text, ERRORS_MAX); // it is at its end
    text[n > 0 ? n : 0] = '\0';
    const char *reason = starts_with(text, "fatal: ") ? text + 7 : text;
    return error_user(err, "git upload-pack failed: %.*s", (int)strcspn(reason, "\n"),
                      *reason ? reason : "it says nothing");
}

static int conversation_end(struct git_conversation *c, struct error **err)
{
    if (c->pid)
        return upload_pack_failed(c, err);
    c->owner->outcome->may_pass = true;
    return error_user(err, "the server closed the connection");
}

static int conversation_read(git_smart_subtransport_stream *stream, char *buffer, size_t size,
                             size_t *got)
{
    struct git_conversation *c = (struct git_conversation *)stream;
    struct error *why = NULL;
    *got = 0;
    if (wait_for_socket(c, POLLIN, &why) < 0)
        return git_outcome_fail(c->owner->outcome, why);
    ssize_t n = fd_read(c->fd, buffer, size);
    if (n < 0) {
        c->owner->outcome->may_pass = true;
        error_errno(&why, errno, "receiving");
    } else if (n == 0) {
        conversation_end(c, &why);
    } else if (!c->refs_over && git_advertises_shallow(&c->seen, buffer, (size_t)n)) {
        git_refuse_shallow(&why);
    }
    if (why)
        return git_outcome_fail(c->owner->outcome, why);
    c->received += (uint64_t)n;
    *got = (size_t)n;
    return 0;
}

static int conversation_write(git_smart_subtransport_stream *stream, const char *bytes,
                              size_t length)
{
    struct git_conversation *c = (struct git_conversation *)stream;
    struct error *why = NULL;
    c->refs_over = true;
    while (length && !why) {
        if (wait_for_socket(c, POLLOUT, &why) < 0)
            break;
        ssize_t n = send(c->fd, bytes, length, MSG_NOSIGNAL);
        if (n > 0) {
            bytes += n;
            length -= (size_t)n;
        } else if (n < 0 && errno != EINTR && errno != EAGAIN) {
            c->owner->outcome->may_pass = true;
            error_errno(&why, errno, "sending");
        }
    }
    return why ? git_outcome_fail(c->owner->outcome, why) : 0;
}

static void conversation_free(git_smart_subtransport_stream *stream)
{
    struct git_conversation *c = (struct git_conversation *)stream;
    if (c->fd >= 0)
        close(c->fd);
    if (c->errors >= 0)
        close(c->errors);
    if (c->pid)
        process_stop(c->pid, 1000);
    if (c->owner->current == c)
        c->owner->current = NULL;
    buf_free(&c->seen);
    free(c);
}

// ---- a folder ----
static int run_upload_pack(struct git_conversation *c, const char *url, struct error **err)
{
    cleanup_free char *named = git_folder_of(url);
    cleanup_free char *folder = path_absolute(named); // never an option
    // The folder's owner does not matter: no program of its configuration is run.
    const char *const argv[] = {"git",  "-c", "safe.directory=*", "upload-pack", "--timeout=0",
                                folder, NULL};
    int ends[2] = {-1, -1}, errors[2] = {-1, -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return error_errno(err, errno, "starting git upload-pack");
    c->fd = ends[0];
    if (pipe2(errors, O_CLOEXEC) < 0) {
        close(ends[1]);
        return error_errno(err, errno, "starting git upload-pack");
    }
    struct process p = {.argv = (char *const *)argv,
                        .input = ends[1],
                        .output = ends[1],
                        .errors = errors[1],
                        .own_group = true};
    c->pid = process_start(&p, err);
    close(ends[1]);
    close(errors[1]);
    c->errors = errors[0];
    fcntl(c->errors, F_SETFL, O_NONBLOCK);
    if (c->pid > 0)
        return 0;
    c->pid = 0;
    return error_hint(err, "install git: it reads sources that are directories");
}

// ---- git:// ----
static int connect_address(const struct addrinfo *a)
{
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
    if (fd < 0)
        return -1;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t length = sizeof error;
    if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
        int n = errno == EINPROGRESS ? poll(&p, 1, CONNECT_MS) : -1;
        error = n == 0 ? ETIMEDOUT : errno;
        if (n > 0)
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    }
    if (error) {
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int connect_host(struct git_conversation *c, const char *host, const char *port,
                        struct error **err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    bool bracketed = host[0] == '[';
    cleanup_free char *bare =
        bracketed ? xstrndup(host + 1, strcspn(host + 1, "]")) : xstrdup(host);
    int code = getaddrinfo(bare, port, &hints, &list);
    c->owner->outcome->may_pass = true;
    if (code)
        return error_user(err, "looking up %s: %s", bare, gai_strerror(code));
    for (const struct addrinfo *a = list; a && c->fd < 0; a = a->ai_next)
        c->fd = connect_address(a);
    int errnum = errno;
    freeaddrinfo(list);
    if (c->fd < 0)
        return error_errno(err, errnum, "connecting to %s port %s", bare, port);
    fcntl(c->fd, F_SETFL, 0);
    c->owner->outcome->may_pass = false;
    return 0;
}

static int connect_server(struct git_conversation *c, const char *url, struct error **err)
{
    cleanup_free char *host = http_url_part(url, CURLUPART_HOST);
    cleanup_free char *port = http_url_part(url, CURLUPART_PORT);
    cleanup_free char *path = http_url_part(url, CURLUPART_PATH);
    if (!host || !path)
        return error_user(err, "the url has no host or no path");
    if (connect_host(c, host, port ? port : "9418", err) < 0)
        return -1;
    // "git-upload-pack /path\0host=name:port\0" as one packet
    cleanup_buf struct buf packet = {0};
    size_t length = 4 + strlen("git-upload-pack ") + strlen(path) + 1 + strlen("host=") +
                    strlen(host) + (port ? 1 + strlen(port) : 0) + 1;
    if (length > 65520)
        return error_user(err, "the url is too long");
    buf_printf(&packet, "%04zxgit-upload-pack %s", length, path);
    buf_add(&packet, "", 1);
    buf_printf(&packet, "host=%s%s%s", host, port ? ":" : "", port ? port : "");
    buf_add(&packet, "", 1);
    int result = conversation_write(&c->parent, packet.data, packet.len);
    c->refs_over = false;
    if (result < 0)
        *err = steal(c->owner->outcome->failure);
    return result;
}

// ---- libgit2's side ----
static int stream_action(git_smart_subtransport_stream **out, git_smart_subtransport *transport,
                         const char *url, git_smart_service_t action)
{
    struct git_stream *s = (struct git_stream *)transport;
    struct error *why = NULL;
    if (action == GIT_SERVICE_UPLOADPACK && s->current) { // the same connection
        *out = &s->current->parent;
        return 0;
    }
    if (action != GIT_SERVICE_UPLOADPACK_LS) {
        error_user(&why, "only fetching is possible");
        return git_outcome_fail(s->outcome, why);
    }
    struct git_conversation *c = xcalloc(1, sizeof *c);
    c->parent.subtransport = transport;
    c->parent.read = conversation_read;
    c->parent.write = conversation_write;
    c->parent.free = conversation_free;
    c->owner = s;
    c->fd = c->errors = -1;
    c->began_ms = c->window_ms = c->left_ms = now_ms();
    c->local = url_is_local(url);
    s->current = c;
    if ((c->local ? run_upload_pack(c, url, &why) : connect_server(c, url, &why)) < 0) {
        conversation_free(&c->parent);
        return git_outcome_fail(s->outcome, why);
    }
    *out = &c->parent;
    return 0;
}

static int stream_close(git_smart_subtransport *transport)
{
    return 0; // with its conversation
}

static void stream_free(git_smart_subtransport *transport)
{
    free(transport);
}

static int stream_new(git_smart_subtransport **out, git_transport *owner, void *outcome)
{
    struct git_stream *s = xcalloc(1, sizeof *s);
    s->parent.action = stream_action;
    s->parent.close = stream_close;
    s->parent.free = stream_free;
    s->outcome = outcome;
    *out = &s->parent;
    return 0;
}

int git_stream_transport(git_transport **out, git_remote *owner, struct git_outcome *o)
{
    git_smart_subtransport_definition definition = {.callback = stream_new, .rpc = 0, .param = o};
    return git_transport_smart(out, owner, &definition);
}
