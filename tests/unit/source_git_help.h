// SPDX-License-Identifier: Apache-2.0
// What the tests of git sources share: repositories made by git itself, and getting from them.
#ifndef KBUILD_TESTS_SOURCE_GIT_HELP_H
#define KBUILD_TESTS_SOURCE_GIT_HELP_H

#include "source_help.h"

#include "source/git_internal.h"

static inline struct source_spec git_spec(const char *url, const char *ref)
{
    return (struct source_spec){.kind = SOURCE_GIT,
                                .label = (char *)"demo (externals.demo)",
                                .url = (char *)url,
                                .ref = (char *)ref,
                                .submodules = SUBMODULES_YES};
}

// A repository "up" with history: a branch main, a tag v1 (annotated) and v0 (light).
static inline void make_repository(struct place *p)
{
    run_sh(p, "t=$HOME/repository; [ -d $t ] || {\n"
              "git init -q -b main $t && cd $t\n"
              "echo one > file; mkdir dir; echo '#!/bin/sh' > dir/run; chmod +x dir/run\n"
              "ln -s ../file dir/link; ln -s /etc/passwd absolute\n"
              "echo 'secret export-ignore' > .gitattributes; echo text eol=crlf >> .gitattributes\n"
              "echo kept > secret; printf 'a\\nb\\n' > text\n"
              "git add -A; git commit -qm one; git tag v0; git tag -a v1 -m v1\n"
              "echo two > file; git commit -qam two; cd -; } >/dev/null; cp -a $t up");
}

static inline char *url_of(const struct place *p, const char *name)
{
    return xasprintf("%s/%s", p->folder, name);
}

// Resolves and fetches into <folder>/out; the pin is given back if wanted.
static inline void get(struct place *p, const char *url, const char *ref, struct source_pin *keep)
{
    cleanup_error struct error *err = NULL;
    struct source_spec spec = git_spec(url, ref);
    struct source_pin pin = {0};
    cleanup_free char *out = fresh_folder(p, "out");
    assert_ok(source_resolve(&spec, &p->o, &pin, &err), &err);
    assert_ok(source_fetch(&spec, &pin, &p->o, out, NULL, &err), &err);
    if (keep)
        *keep = pin;
    else
        source_pin_free(&pin);
}

// "up" with the submodule third/middle, which has lib/inner.
static inline void make_submodules(struct place *p)
{
    make_repository(p);
    run_sh(p,
           "[ -d $HOME/submodules ] || { g='git -c protocol.file.allow=always'\n"
           "git init -q -b main inner; cd inner; echo deep > deep; git add -A; git commit -qm a\n"
           "cd ..; git init -q -b main middle; cd middle; echo mid > mid\n"
           "$g submodule --quiet add ../inner lib/inner; git add -A; git commit -qm a; cd ..\n"
           "cd up; $g submodule --quiet add ../middle third/middle; git add -A\n"
           "git commit -qm sub; cd ../inner; echo later > deep; git commit -qam later; cd ..\n"
           "mkdir $HOME/submodules; mv up middle inner $HOME/submodules; }\n"
           "rm -rf up; cp -a $HOME/submodules/* .");
}

#endif
