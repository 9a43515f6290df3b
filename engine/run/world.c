// SPDX-License-Identifier: Apache-2.0
// Sets up the different environment of a second build: another user, umask, locale, clock and
// number of processors.
#include "run/world.h"

#include "base/file.h"
#include "base/memory.h"

#include <glob.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { OTHER_USER = 1234 };

// libfaketime of this host; it works in a builder whose C library is of the same release.
static char *find_clock(void)
{
    glob_t found;
    char *path = NULL;
    if (glob("/usr/lib/*/faketime/libfaketime.so.1", 0, NULL, &found) == 0)
        path = xstrdup(found.gl_pathv[0]);
    globfree(&found);
    return path;
}

static int processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

void world_describe(const struct world *w, struct strlist *differs, struct strlist *same)
{
    strlist_add(differs, "user: uid 1234 instead of 0");
    strlist_add(differs, "umask: 077 instead of 022");
    strlist_add(differs, "time zone: Pacific/Kiritimati instead of UTC");
    strlist_add(differs, "locale: tr_TR.UTF-8 instead of C.UTF-8");
    strlist_add(differs, "PATH, HOME and host name: others");
    strlist_add(differs, "jobs of make: one more");
    cleanup_free char *clock = find_clock();
    if (w->keep_clock)
        strlist_add(same, "clock: left as it is, as was asked for");
    else if (clock)
        strlist_add(differs, "clock: 400 days later");
    else
        strlist_add(same, "clock: install libfaketime to change it");
    if (w->keep_processors)
        strlist_add(same, "processors: left as they are, as was asked for");
    else if (processors() > 1)
        strlist_add(differs, "processors: one fewer");
    else
        strlist_add(same, "processors: there is one only");
    if (w->scratch)
        strlist_addf(differs, "place and file order of the work: %s", w->scratch);
    else
        strlist_add(same, "file order: --scratch=DIR on another file system (a tmpfs) changes it");
}

static void hide_a_processor(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0 || CPU_COUNT(&set) < 2)
        return;
    int last = CPU_SETSIZE - 1;
    while (!CPU_ISSET(last, &set))
        last--;
    CPU_CLR(last, &set);
    sched_setaffinity(0, sizeof set, &set);
}

void world_enter(const struct world *w)
{
    setenv("TZ", "Pacific/Kiritimati", 1);
    setenv("LC_ALL", "tr_TR.UTF-8", 1);
    if (!w->keep_processors)
        hide_a_processor();
}

static void set(struct strlist *environment, const char *name, const char *value)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < environment->n; i++)
        if (!strncmp(environment->items[i], name, n) && environment->items[i][n] == '=') {
            free(environment->items[i]);
            environment->items[i] = xasprintf("%s=%s", name, value);
            return;
        }
    strlist_addf(environment, "%s=%s", name, value);
}

void world_step(const struct world *w, struct sandbox *s, struct strlist *environment)
{
    s->uid = OTHER_USER;
    s->umask = 077;
    s->hostname = "elsewhere";
    set(environment, "TZ", "Pacific/Kiritimati");
    set(environment, "LANG", "tr_TR.UTF-8");
    set(environment, "LC_ALL", "tr_TR.UTF-8");
    set(environment, "HOME", "/tmp");
    set(environment, "PATH", SANDBOX_PATH ":/nowhere/bin");
    s->clock = w->keep_clock ? NULL : find_clock();
    if (!s->clock)
        return;
    set(environment, "LD_PRELOAD", SANDBOX_CLOCK);
    set(environment, "FAKETIME", "+400d");
    set(environment, "NO_FAKE_STAT", "1");
    // With only one of the two clocks moved, libfaketime 0.9.10 makes Python's sleep fail.
    set(environment, "FAKETIME_DONT_FAKE_MONOTONIC", "0");
}

unsigned world_jobs(unsigned jobs)
{
    return jobs + 1;
}
