// SPDX-License-Identifier: Apache-2.0
// Sets the CAs that server certificates are checked against, in one way for all transports.
#include "base/file.h"
#include "http/git_settings.h"
#include "http/internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <strings.h>

#define BUNDLE_MAX ((size_t)64 << 20)

// In order: the first that is set counts. An empty one counts as unset, as for curl.
static const struct {
    const char *variable, *git_key; // one of the two
    bool folder;
} places[] = {
    {"GIT_SSL_CAINFO", NULL, false}, {NULL, "sslcainfo", false},
    {"CURL_CA_BUNDLE", NULL, false}, {"SSL_CERT_FILE", NULL, false},
    {"GIT_SSL_CAPATH", NULL, true},  {NULL, "sslcapath", true},
    {"SSL_CERT_DIR", NULL, true},
};

// Reads one of the places: *value is to be freed, or NULL; *name is for messages.
static int read_place(size_t i, const char *url, char **value, char **name, struct error **err)
{
    const char *text = NULL, *home = getenv("HOME");
    if (places[i].variable)
        text = getenv(places[i].variable);
    else if (git_setting("http", places[i].git_key, url, &text, err) < 0)
        return -1;
    if (!text || !*text)
        return 0;
    *name = places[i].variable
                ? xstrdup(places[i].variable)
                : xasprintf("git's http.%s", places[i].folder ? "sslCAPath" : "sslCAInfo");
    *value = places[i].git_key && starts_with(text, "~/") && home
                 ? xasprintf("%s/%s", home, text + 2)
                 : xstrdup(text);
    return 0;
}

static int check_bundle(const char *path, const char *name, struct error **err)
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
static int check_folders(const char *text, const char *name, struct error **err)
{
    cleanup_strlist struct strlist parts = {0};
    strlist_split(&parts, text, ":");
    for (size_t i = 0; i < parts.n; i++)
        if (is_directory(parts.items[i]))
            return 0;
    error_user(err, "the folder of CAs %s that %s names is not there", text, name);
    return error_hint(err, "correct %s, or unset it to use the system's CAs", name);
}

int ca_apply(CURL *c, const char *url, struct error **err)
{
    bool done[2] = {false, false}; // a file, a folder
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        cleanup_free char *value = NULL, *name = NULL;
        bool folder = places[i].folder;
        if (done[folder])
            continue;
        if (read_place(i, url, &value, &name, err) < 0)
            return -1;
        if (!value)
            continue;
        if ((folder ? check_folders : check_bundle)(value, name, err) < 0)
            return -1;
        curl_easy_setopt(c, folder ? CURLOPT_CAPATH : CURLOPT_CAINFO, value);
        done[folder] = true;
    }
    return 0;
}
