// SPDX-License-Identifier: Apache-2.0
// Prints and counts the findings of `kbuild check`.
#include "handover/internal.h"

const char *const check_result_names[CHECK_RESULTS] = {"good", "bad", "stated", "not checked"};

void finding(struct check_run *c, enum check_result result, const char *what, const char *format,
             ...)
{
    va_list args;
    va_start(args, format);
    cleanup_free char *text = xvasprintf(format, args);
    va_end(args);
    c->bad += result == CHECK_BAD;
    c->content_good += result == CHECK_GOOD;
    c->print(result, what, text, c->context);
}

int finding_of_error(struct check_run *c, const char *what, struct error *why, struct error **err)
{
    if (why->kind == ERROR_INTERRUPT || !error_may_blame_content(why)) {
        *err = why;
        return -1;
    }
    finding(c, CHECK_BAD, what, "%s%s%s", why->message, why->hint ? "; " : "",
            why->hint ? why->hint : "");
    error_free(why);
    return 0;
}
