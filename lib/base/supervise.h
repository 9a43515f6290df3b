// SPDX-License-Identifier: Apache-2.0
// For process.c: the process between kbuild and a program whose descendants have to be over when it
// is.
#ifndef KBUILD_BASE_SUPERVISE_H
#define KBUILD_BASE_SUPERVISE_H

#include <sys/types.h>

// In a fork of this process, which is `parent`'s child: starts the program with `become`, and ends
// as it ends, but not before all its descendants are dead, whatever groups and sessions they made.
// They are killed when the program ends, when SIGTERM comes, and when the parent dies.
_Noreturn void supervise(void (*become)(const void *program, pid_t parent, int report),
                         const void *program, pid_t parent, int report);

// This descriptor stays open in every supervisor until all is over, so that whoever reads the other
// end knows that. -1: none.
void supervisors_hold(int fd);

#endif
