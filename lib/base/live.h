// SPDX-License-Identifier: Apache-2.0
// Lines at the end of a terminal that are drawn again and again (standard error).
#ifndef KBUILD_BASE_LIVE_H
#define KBUILD_BASE_LIVE_H

#include <stdbool.h>

// Whether standard error is a terminal that can move its cursor.
bool live_terminal(void);
// Takes the lines that are drawn off the screen. The window may have another size by now: most
// terminals wrap lines again, so that one of them can fill several rows.
void live_erase(void);
// Draws one line below the others, cut to the window, control characters visible. False if the
// window has no row left for it, but for one more: the last line is drawn with `last`.
bool live_line(const char *text, bool last);

#endif
