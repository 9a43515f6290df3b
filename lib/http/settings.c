// SPDX-License-Identifier: Apache-2.0
// Applies the network settings of the machine to a transfer: certificate authorities, logins of
// ~/.netrc, and what git's configuration says; and tells from a failure which proxy is at fault.
#include "base/file.h"
#include "base/libcrypto.h"
#include "http/internal.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

// ---- what a transfer is given ----
void http_add_header(struct http_transfer *t, const char *line)
{
    struct curl_slist *longer = curl_slist_append(t->headers, line);
    if (!longer)
        out_of_memory();
    t->headers = longer;
}

void http_set_login(struct http_transfer *t, const char *user, const char *password)
{
    curl_easy_setopt(t->curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(t->curl, CURLOPT_USERNAME, user);
    curl_easy_setopt(t->curl, CURLOPT_PASSWORD, password ? password : "");
}

// ---- certificate authorities ----
#define BUNDLE_MAX ((size_t)64 << 20)

// In order: the first that is set counts. An empty one counts as unset, as for curl.
static const struct {
    const char *variable, *git_key; // one of the two
    bool folder;
} ca_places[] = {
    {"GIT_SSL_CAINFO", NULL, false}, {NULL, "sslcainfo", false},
    {"CURL_CA_BUNDLE", NULL, false}, {"SSL_CERT_FILE", NULL, false},
    {"GIT_SSL_CAPATH", NULL, true},  {NULL, "sslcapath", true},
    {"SSL_CERT_DIR", NULL, true},
};

// Reads one of the ca_places: *value is to be freed, or NULL; *name is for messages.
static int read_ca_place(size_t i, const char *url, char **value, char **name, struct error **err)
{
    const char *text = NULL, *home = getenv("HOME");
    if (ca_places[i].variable)
        text = getenv(ca_places[i].variable);
    else if (git_setting("http", ca_places[i].git_key, url, &text, err) < 0)
        return -1;
    if (!text || !*text)
        return 0;
    *name = ca_places[i].variable
                ? xstrdup(ca_places[i].variable)
                : xasprintf("git's http.%s", ca_places[i].folder ? "sslCAPath" : "sslCAInfo");
    *value = ca_places[i].git_key && starts_with(text, "~/") && home
                 ? xasprintf("%s/%s", home, text + 2)
                 : xstrdup(text);
    return 0;
}

static int check_ca_bundle(const char *path, const char *name, struct error **err)
{
    cleanup_buf struct buf text = {0};
    if (file_read(path, BUNDLE_MAX, &text, err) < 0) {
        error_wrap(err, "the CA file that %s names", name);
        return error_hint(err, "correct %s, or unset it to use the system's CAs", name);
    }
    BIO *bio = BIO_new_mem_buf(text.data ? text.data : "", (int)text.len);
    X509 *x = bio ? PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL) : NULL;
    bool good = x != NULL;
    X509_free(x);
    BIO_free(bio);
    ERR_clear_error();
    if (good)
        return 0;
    error_user(err, "the CA file %s that %s names holds no certificate in PEM form", path, name);
    return error_hint(err, "correct %s, or unset it to use the system's CAs", name);
}

// A list of folders, as OpenSSL reads SSL_CERT_DIR: at least one must exist.
static int check_ca_folders(const char *text, const char *name, struct error **err)
{
    cleanup_strlist struct strlist parts = {0};
    strlist_split(&parts, text, ":");
    for (size_t i = 0; i < parts.n; i++)
        if (is_directory(parts.items[i]))
            return 0;
    error_user(err, "the directory of CAs %s that %s names is not there", text, name);
    return error_hint(err, "correct %s, or unset it to use the system's CAs", name);
}

static int apply_ca(CURL *c, const char *url, struct error **err)
{
    bool done[2] = {false, false}; // a file, a folder
    for (size_t i = 0; i < ARRAY_LEN(ca_places); i++) {
        cleanup_free char *value = NULL, *name = NULL;
        bool folder = ca_places[i].folder;
        if (done[folder])
            continue;
        if (read_ca_place(i, url, &value, &name, err) < 0)
            return -1;
        if (!value)
            continue;
        if ((folder ? check_ca_folders : check_ca_bundle)(value, name, err) < 0)
            return -1;
        curl_easy_setopt(c, folder ? CURLOPT_CAPATH : CURLOPT_CAINFO, value);
        done[folder] = true;
    }
    return 0;
}

// ---- ~/.netrc ----
// Format: GNU inetutils, "The .netrc file"; quotes as in curl.
//
// Not by libcurl, because libcurl searches again for each server that a redirect leads to: a
// `default` entry would be sent to all of them. A login found here is for the first server only.
#define NETRC_MAX ((size_t)1 << 20)

struct netrc {
    const char *at;
    bool line_end; // a newline came before the current word
};

// The next word, to be freed, or NULL at the end. Quoted words may hold blanks; \ escapes the next
// character.
static char *netrc_word(struct netrc *n)
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
static void netrc_skip_macro(struct netrc *n)
{
    const char *end = strstr(n->at, "\n\n");
    n->at = end ? end + 2 : n->at + strlen(n->at);
}

struct netrc_entry {
    char *user, *password;
    bool matches; // the entry is for the host
};

static void netrc_entry_drop(struct netrc_entry *e)
{
    secret_free(steal(e->user));
    secret_free(steal(e->password));
    e->matches = false;
}

static bool netrc_entry_counts(const struct netrc_entry *e, const char *wanted)
{
    return e->matches && e->password && (!wanted || (e->user && strcmp(wanted, e->user) == 0));
}

// Reads up to the first entry that counts.
static bool netrc_search(struct netrc *n, const char *host, const char *wanted,
                         struct netrc_entry *e)
{
    char *word;
    while ((word = netrc_word(n))) {
        bool machine = strcmp(word, "machine") == 0, other = strcmp(word, "default") == 0;
        if ((machine || other) && netrc_entry_counts(e, wanted)) {
            free(word);
            return true;
        }
        if (word[0] == '#') // to the end of the line, as curl has it
            n->at += strcspn(n->at, "\n");
        if (strcmp(word, "macdef") == 0)
            netrc_skip_macro(n);
        bool user = strcmp(word, "login") == 0, password = strcmp(word, "password") == 0;
        bool account = strcmp(word, "account") == 0;
        free(word);
        if (machine || other)
            netrc_entry_drop(e);
        e->matches |= other;
        if (!machine && !user && !password && !account)
            continue;
        char *value = netrc_word(n);
        if (machine)
            e->matches = value && strcasecmp(value, host) == 0;
        char **field = user ? &e->user : password ? &e->password : NULL;
        if (field) {
            secret_free(*field);
            *field = steal(value);
        }
        secret_free(value);
    }
    return netrc_entry_counts(e, wanted);
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
    bool found = netrc_search(&n, host, wanted_user, &e);
    if (found) {
        *user = e.user ? steal(e.user) : xstrdup("");
        *password = steal(e.password);
        *file = steal(path);
    }
    netrc_entry_drop(&e);
    if (text.data)
        explicit_bzero(text.data, text.len);
    return found;
}

// ---- proxies ----
// Which setting names the proxy for `url`, as libcurl looks for them, or NULL. *value belongs to
// the environment or to git's settings.
static const char *proxy_setting(const char *url, enum http_use use, const char **value)
{
    bool secure = strncasecmp(url, "https:", 6) == 0;
    const char *const names[] = {secure ? "https_proxy" : "http_proxy",
                                 secure ? "HTTPS_PROXY" : "all_proxy", "all_proxy", "ALL_PROXY"};
    cleanup_error struct error *ignored = NULL; // settings_apply() reported it
    if (use == HTTP_GIT && git_setting("http", "proxy", url, value, &ignored) == 0 && *value)
        return "git's http.proxy";
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        *value = getenv(names[i]);
        if (*value && **value)
            return names[i];
    }
    return NULL;
}

// The login in the proxy's text, to be freed; NULL if there is none.
static char *proxy_login(const char *value)
{
    const char *start = strstr(value, "://"), *at = strrchr(value, '@');
    start = start ? start + 3 : value;
    return at && at > start ? xstrndup(start, (size_t)(at - start)) : NULL;
}

char *failure_text(const char *url, enum http_use use, CURLcode code, const char *reason)
{
    const char *value = NULL, *name = proxy_setting(url, use, &value);
    const char *text = reason && *reason ? reason : curl_easy_strerror(code);
    if (!name || !*value)
        return xstrdup(text);
    cleanup_free char *login = proxy_login(value), *host = http_url_part(value, CURLUPART_HOST);
    bool tells = login && (strstr(text, value) || strstr(text, login));
    const char *bare = host && *host == '[' ? host + 1 : host; // an IPv6 address: "::1 port 3128"
    cleanup_free char *named = bare ? xstrndup(bare, strcspn(bare, "]")) : NULL;
    if (tells)
        return xasprintf("the proxy that %s names cannot be used: its scheme or its form is none "
                         "that libcurl knows",
                         name);
    bool proxy_at_fault = code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_PROXY ||
                          strstr(text, "CONNECT") || strcasestr(text, "proxy") ||
                          (code == CURLE_COULDNT_CONNECT && named && strstr(text, named));
    return proxy_at_fault ? xasprintf("%s (the proxy is the one that %s names)", text, name)
                          : xstrdup(text);
}

// ---- git ----
static int apply_git_option(CURL *c, CURLoption option, const char *key, const char *url,
                            bool even_empty, struct error **err)
{
    const char *value = NULL;
    if (git_setting("http", key, url, &value, err) < 0)
        return -1;
    if (value && (*value || even_empty))
        curl_easy_setopt(c, option, value);
    return 0;
}

static int apply_git_number(CURL *c, CURLoption option, const char *key, const char *variable,
                            const char *url, struct error **err)
{
    const char *value = NULL, *own = getenv(variable);
    if (git_setting("http", key, url, &value, err) < 0)
        return -1;
    if (own || value)
        curl_easy_setopt(c, option, strtol(own ? own : value, NULL, 10));
    return 0;
}

// Another server, to which one redirected, gets the headers that are for its own url only.
static int apply_git_headers(struct http_transfer *t, struct error **err)
{
    cleanup_strlist struct strlist headers = {0}, general = {0};
    if (git_setting_list("http", "extraheader", t->url, &headers, err) < 0 ||
        git_setting_list("http", "extraheader", "http://none.invalid", &general, err) < 0)
        return -1;
    for (size_t i = 0; i < headers.n; i++) {
        if (t->redirected && strlist_has(&general, headers.items[i]))
            continue;
        http_add_header(t, headers.items[i]);
        if (strncasecmp(headers.items[i], "authorization:", 14) == 0) {
            free(t->login_from);
            t->login_from = xstrdup("git's http.extraHeader");
        }
    }
    return 0;
}

static int apply_git(struct http_transfer *t, struct error **err)
{
    CURL *c = t->curl;
    // An empty proxy: none, whatever the environment says.
    if (apply_git_option(c, CURLOPT_PROXY, "proxy", t->url, true, err) < 0 ||
        apply_git_option(c, CURLOPT_SSLCERT, "sslcert", t->url, false, err) < 0 ||
        apply_git_option(c, CURLOPT_SSLKEY, "sslkey", t->url, false, err) < 0 ||
        apply_git_number(c, CURLOPT_LOW_SPEED_LIMIT, "lowspeedlimit", "GIT_HTTP_LOW_SPEED_LIMIT",
                         t->url, err) < 0 ||
        apply_git_number(c, CURLOPT_LOW_SPEED_TIME, "lowspeedtime", "GIT_HTTP_LOW_SPEED_TIME",
                         t->url, err) < 0)
        return -1;
    return apply_git_headers(t, err);
}

// Without the check, anybody on the network path could replace what is built.
static int refuse_unchecked(const char *url, struct error **err)
{
    const char *value = NULL, *name = NULL;
    if (strncasecmp(url, "https:", 6) != 0)
        return 0;
    if (git_setting("http", "sslverify", url, &value, err) < 0)
        return -1;
    if (getenv("GIT_SSL_NO_VERIFY"))
        name = "GIT_SSL_NO_VERIFY is set";
    else if (value && !git_setting_is_true(value))
        name = "git's http.sslVerify is false";
    if (!name)
        return 0;
    error_user(err,
               "%s: kbuild does not fetch from a server whose certificate is not checked, because "
               "anybody on the way could change what is built",
               name);
    return error_hint(err,
                      "let git's http.sslCAInfo or SSL_CERT_FILE name the CA of the server, "
                      "and %s",
                      getenv("GIT_SSL_NO_VERIFY") ? "unset GIT_SSL_NO_VERIFY"
                                                  : "unset http.sslVerify");
}

// ---- logins ----
static int apply_login(struct http_transfer *t, struct error **err)
{
    cleanup_free char *host = http_url_part(t->url, CURLUPART_HOST);
    cleanup_free char *wanted = http_url_part(t->url, CURLUPART_USER);
    cleanup_free char *given = http_url_part(t->url, CURLUPART_PASSWORD);
    cleanup_free char *file = NULL;
    char *user = NULL, *password = NULL;
    if (given && !t->login_from)
        t->login_from = xstrdup("the url");
    if (!host || given || t->login_from || t->redirected)
        return 0;
    int found = netrc_find(host, wanted, &user, &password, &file, err);
    if (found > 0) {
        http_set_login(t, user, password);
        t->login_from = steal(file);
    }
    secret_free(user);
    secret_free(password);
    return found < 0 ? -1 : 0;
}

int settings_apply(struct http_transfer *t, struct error **err)
{
    bool http = strncasecmp(t->url, "http:", 5) == 0;
    bool https = strncasecmp(t->url, "https:", 6) == 0;
    if (!http && !https)
        return 0;
    if (https && apply_ca(t->curl, t->url, err) < 0)
        return -1;
    if (t->use == HTTP_GIT && (refuse_unchecked(t->url, err) < 0 || apply_git(t, err) < 0))
        return -1;
    return t->use == HTTP_REGISTRY || t->use == HTTP_CRL ? 0 : apply_login(t, err);
}
