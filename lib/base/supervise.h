// SPDX-License-Identifier: Apache-2.0
// For process.c: a process between kbuild and a program, which ends all descendants of the program.
#ifndef KBUILD_BASE_SUPERVISE_H
#define KBUILD_BASE_SUPERVISE_H

#include <sys/types.h>

// Called in a forked child of `parent`: starts the program with `become`, and ends with its status,
// but only after all its descendants are dead, in whatever groups and sessions. They are killed
// when the program ends, when SIGTERM comes, and when the parent dies.
_Noreturn void supervise(void (*become)(const void *program, pid_t parent, int report),
                         const void *program, pid_t parent, int report);

// Every supervisor keeps this descriptor open until it ends, so that a reader of the other end
// knows when all have ended. -1: none.
void supervisors_hold(int fd);

#endif
