// SPDX-License-Identifier: Apache-2.0
// Redraws lines at the end of a terminal (standard error).
#ifndef KBUILD_BASE_LIVE_H
#define KBUILD_BASE_LIVE_H

#include <stdbool.h>

// Whether standard error is a terminal that can move its cursor.
bool live_terminal(void);
// Erases the drawn lines. The window may have been resized since: most terminals rewrap lines, so
// that one line can fill several rows.
void live_erase(void);
// Draws one line below the others, cut to the window, control characters visible. False if the
// window is full but for one row; that row is for the line drawn with `last`.
bool live_line(const char *text, bool last);

#endif
