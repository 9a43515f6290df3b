// SPDX-License-Identifier: Apache-2.0
// Downloads one file, waiting between its tries.
#include "source/transfer.h"

#include <errno.h>
#include <time.h>

static void pause_ms(unsigned ms)
{
    struct timespec left = {ms / 1000, (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

static int run(struct transfer *t, struct error **err)
{
    for (;;) {
        unsigned wait_ms = 0;
        if (transfer_prepare(t, err) < 0)
            return -1;
        int again = transfer_judge(t, curl_easy_perform(t->curl), &wait_ms, err);
        if (again <= 0)
            return again;
        pause_ms(wait_ms);
    }
}

int download_file(const struct download *d, bool *resumed, struct error **err)
{
    struct transfer t;
    int result = transfer_open(&t, d, err);
    if (result == 0)
        result = run(&t, err);
    if (resumed)
        *resumed = t.old_bytes;
    transfer_close(&t);
    return result;
}
