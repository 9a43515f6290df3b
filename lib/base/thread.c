// SPDX-License-Identifier: Apache-2.0
// Starts threads without signals, and runs one function in several of them.
#include "base/thread.h"

#include <signal.h>

int thread_start(pthread_t *thread, void *(*run)(void *context), void *context)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int errnum = pthread_create(thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return errnum;
}

void workers_run(size_t threads, void *(*work)(void *context), void *context)
{
    pthread_t others[WORKERS_MAX];
    size_t started = 0;
    while (started + 1 < threads && started < WORKERS_MAX &&
           thread_start(&others[started], work, context) == 0)
        started++;
    work(context);
    while (started)
        pthread_join(others[--started], NULL);
}
