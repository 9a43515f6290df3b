// SPDX-License-Identifier: Apache-2.0
// What tests of apt's world share: a private apt configuration, and keys that mirrors are signed
// with.
#ifndef KBUILD_TESTS_SOURCE_APT_HELP_H
#define KBUILD_TESTS_SOURCE_APT_HELP_H

#include "source_help.h"

// apt reads its sources and lists from the scratch folder, has a hook, and no way to any network.
static inline void use_apt_folder(struct place *p)
{
    run_sh(p, "mkdir -p parts; printf 'Dir::Etc::sourcelist \"%%s/sources.list\";\\n"
              "Dir::Etc::sourceparts \"%%s/parts\";\\nDir::State::lists \"%%s/lists\";\\n"
              "Acquire::http::Proxy \"http://127.0.0.1:9\";\\n"
              "APT::Update::Post-Invoke { \"touch %%s/hook\"; };\\n' $PWD $PWD $PWD $PWD > conf");
    cleanup_free char *conf = xasprintf("%s/conf", p->folder);
    setenv("APT_CONFIG", conf, 1);
    unsetenv("REPO_URL");
    unsetenv("REPO_URL_X86_64");
    unsetenv("REPO_COMPONENTS");
    unsetenv("REPO_KEYRING");
}

static inline int place_end_apt(void **state)
{
    unsetenv("APT_CONFIG");
    unsetenv("REPO_URL");
    unsetenv("REPO_URL_X86_64");
    unsetenv("REPO_COMPONENTS");
    unsetenv("REPO_KEYRING");
    return place_end(state);
}

// A key without a passphrase; its public half is <name>.gpg.
static inline void make_key(struct place *p, const char *name)
{
    run_sh(p,
           "mkdir -p -m 700 gpg; export GNUPGHOME=$PWD/gpg\n"
           "gpg --batch --quiet --passphrase '' --quick-gen-key 'TEST %s <%s@localhost>' ed25519 "
           "sign never 2>/dev/null\n"
           "gpg --batch --export %s@localhost > %s.gpg; gpgconf --kill gpg-agent",
           name, name, name, name);
}

#endif
