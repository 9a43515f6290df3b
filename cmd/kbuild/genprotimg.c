// SPDX-License-Identifier: Apache-2.0
// Runs kbuild as genprotimg or pvimg when it was started under that name.
#include "genprotimg.h"

#include "base/file.h"
#include "base/error.h"

#include <string.h>

static void warn_like_genprotimg(enum log_level level, const char *line, void *context)
{
    print_prefixed(stderr, level == LOG_WARNING ? "WARNING: " : "", line);
}

static void warn_like_pvimg(enum log_level level, const char *line, void *context)
{
    print_prefixed(stderr, level == LOG_WARNING ? "warning: " : "", line);
}

static const struct program {
    const char *name;
    int (*run)(struct strlist *, struct error **);
    log_sink *log;
    const char *error_prefix;
    bool tells_usage; // exit status 2 for a wrong command line; else every failure is 1
} programs[] = {
    {"genprotimg", run_genprotimg, warn_like_genprotimg, "", false},
    {"pvimg", run_pvimg, warn_like_pvimg, "error: ", true},
};

static int finish(const struct program *p, int status, struct error *err)
{
    bool lost = fflush(stdout) != 0 || ferror(stdout);
    if (!err)
        return lost ? 1 : status;
    print_prefixed(stderr, p->error_prefix, err->message);
    if (err->hint)
        print_prefixed(stderr, "", err->hint);
    status = p->tells_usage && err->kind == ERROR_USAGE ? 2 : 1;
    error_free(err);
    return status;
}

bool run_other_program(int argc, char **argv, int *status)
{
    const char *name = argc > 0 ? path_base(argv[0]) : "";
    for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
        if (strcmp(name, programs[i].name))
            continue;
        cleanup_strlist struct strlist words = {0};
        for (int k = 1; k < argc; k++)
            strlist_add(&words, argv[k]);
        struct error *err = NULL;
        log_redirect(programs[i].log, NULL);
        *status = programs[i].run(&words, &err);
        *status = finish(&programs[i], *status, err);
        return true;
    }
    return false;
}

int run_genprotimg(struct strlist *words, struct error **err)
{
    struct seal_command command = {0};
    int result = parse_seal_options(words, TOOL_GENPROTIMG, &command, err);
    if (!result)
        result = run_seal_command(&command, TOOL_GENPROTIMG, err);
    seal_request_free(&command.request);
    return result;
}
