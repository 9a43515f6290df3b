// SPDX-License-Identifier: Apache-2.0
// git's configuration as git itself sees it in the current folder (git-config(1)): all its files
// with their includes and conditions, and GIT_CONFIG_COUNT and its like. Read once, by
// `git config --list`; by libgit2 where there is no git program, which then reads the user's and
// the system's files.
#ifndef KBUILD_HTTP_GIT_SETTINGS_H
#define KBUILD_HTTP_GIT_SETTINGS_H

#include "base/memory.h"
#include "base/error.h"

// The value of `<section>.<key>` for `url`, where a matching `<section>.<pattern>.<key>` wins as in
// git (git-config(1), "http.<url>.*"); NULL if there is none. A value may be empty. *out belongs to
// this file and stays valid.
int git_setting(const char *section, const char *key, const char *url, const char **out,
                struct error **err);
// The same for a key that may occur several times: all values in order; an empty value drops those
// before it.
int git_setting_list(const char *section, const char *key, const char *url, struct strlist *out,
                     struct error **err);
// git's reading of a truth value: yes, on, true, 1 and a key without a value are true.
bool git_setting_is_true(const char *value);
// The url after url.<base>.insteadOf: the longest match counts. To be freed.
char *git_url_instead(const char *url, struct error **err);

// ---- logins of credential helpers (git-credential(1)) ----
struct git_login {
    char *user, *password;
    struct buf text; // what `git credential fill` said, to be handed back
};
// Asks the helpers of git's configuration. Nobody is prompted. 1 and *out, or 0 if none knows.
int git_login_fill(const char *url, struct git_login *out, struct error **err);
// Tells the helpers whether the server accepted the login.
void git_login_judge(const struct git_login *l, bool good);
void git_login_free(struct git_login *l);

#endif
