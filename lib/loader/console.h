// SPDX-License-Identifier: Apache-2.0
// Messages on the ASCII console, over SCLP (image format, section 7.5). Failures are ignored: there
// is no other place to report them, and booting matters more.
#ifndef KBUILD_LOADER_CONSOLE_H
#define KBUILD_LOADER_CONSOLE_H

#include <stdint.h>

void console_on(void); // for sending only
void console_off(void);

// Prints the text and a newline. At most some 4000 characters: one page holds the request.
void console_line(const char *text);
// The same with a number in hexadecimal after the text, as in "failed: 0x402".
void console_line_hex(const char *text, uint64_t number);

#endif
