// SPDX-License-Identifier: Apache-2.0
// Runs kbuild: converts a command line to a verb, and an error to an exit status.
#include "se.h"

#include "base/ci_log.h"
#include "base/process.h"
#include "http/http.h"
#include "registry/registry.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>

static int run(int argc, char **argv, struct global_options *g, struct error **err)
{
    struct command_line *c = &g->line;
    if (command_line_parse(argc, argv, c, err) < 0)
        return -1;
    if (c->version)
        return verb_version(g, NULL, err);
    if (c->help && c->verb) {
        print_verb_help(c->verb);
        return 0;
    }
    if (c->help)
        return print_help_of(&c->help_words, err);
    if (!(c->verb->flags & READS_OPTIONS) &&
        (global_options_read(g, err) < 0 || outputs_check(g, err) < 0))
        return -1;
    if (c->verb->names == TARGETS && check_targets(g, &c->operands, !c->named, err) < 0)
        return -1;
    return c->verb->run(g, &c->operands, err);
}

// ---- logins that were put where none belongs ----

// In a message, `raw` becomes what http_text_shown() leaves of it.
static void hide_login(char **message, const char *raw)
{
    cleanup_free char *shown = http_text_shown(raw);
    if (!*message || !strcmp(shown, raw))
        return;
    for (char *at; (at = strstr(*message, raw));) {
        char *all = xasprintf("%.*s%s%s", (int)(at - *message), *message, shown, at + strlen(raw));
        free(*message);
        *message = all;
    }
}

// The text, its words, and what follows each '=' in them.
static void hide_logins(struct error *err, const char *text)
{
    cleanup_strlist struct strlist words = {0};
    strlist_add(&words, text);
    strlist_split(&words, text, " \t\n,");
    for (size_t i = 0; i < words.n; i++)
        for (const char *p = words.items[i]; p; p = strchr(p, '=') ? strchr(p, '=') + 1 : NULL) {
            if (starts_with(p, "oci:") || starts_with(p, "oci-archive:"))
                continue; // a path of this machine
            hide_login(&err->message, p);
            hide_login(&err->hint, p);
        }
}

// Whatever refuses a value may repeat it.
static void hide_all_logins(struct error *err, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        hide_logins(err, argv[i]);
    for (size_t i = 0; i < SETTINGS; i++) {
        const char *name = setting_names[i].variable, *value = name ? getenv(name) : NULL;
        if (value)
            hide_logins(err, value);
    }
}

static void print_error(const struct error *err)
{
    fflush(stdout);
    print_prefixed(stderr, "kbuild: error: ", err->message);
    if (err->hint)
        print_prefixed(stderr, "kbuild: hint: ", err->hint);
    ci_annotate_error(err);
}

// Engines that call kbuild try again after ERROR_AGAIN; for people it is a failure like others.
static int exit_status(const struct command_line *c, const struct error *err)
{
    return err->kind == ERROR_AGAIN && !(c->verb && c->verb->flags & FOR_ENGINES) ? ERROR_USER
                                                                                  : (int)err->kind;
}

int main(int argc, char **argv)
{
    standard_streams_on_entry();
    signals_on_entry();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a file limit (ulimit -f) is then an ordinary error (EFBIG)
    // Libraries and programs make files with the mode that the umask leaves, and the next run
    // refuses a cache into which others can put something.
    umask(umask(077) | 022);
    registry_take_login();
    struct error *err = NULL;
    int other, status = ci_log_open(&err);
    if (run_other_program(argc, argv, &other)) {
        error_free(err); // about a variable that is not theirs
        return other;
    }
    struct global_options g = {0};
    if (!err)
        status = run(argc, argv, &g, &err);
    if (err) {
        hide_all_logins(err, argc, argv);
        print_error(err);
        status = exit_status(&g.line, err);
        error_free(err);
    } else if (fflush(stdout) != 0 || ferror(stdout)) {
        print_prefixed(stderr, "kbuild: error: ", "writing to standard output failed");
        status = 1;
    }
    global_options_free(&g);
    return status;
}
