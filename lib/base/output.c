// SPDX-License-Identifier: Apache-2.0
// Writes text to standard output and standard error. Where the runner of a CI reads it, no line of
// it is a command to that runner (ci_log.h).
#include "base/ci_log.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool read_by_runner, guarded;

void output_read_by_runner(bool on)
{
    read_by_runner = on;
}

void output_guard(bool on)
{
    guarded = on;
}

bool output_is_read(FILE *to)
{
    struct stat st;
    if (!read_by_runner || (to != stdout && to != stderr))
        return false;
    // A message in a file is often shown later; what was written to standard output is data.
    return to == stderr || fstat(fileno(to), &st) < 0 || !S_ISREG(st.st_mode);
}

// ---- commands ----

// What of a command stands at the end of the text so far. A text may be written in parts.
struct command_state {
    enum { LINE_BEGINS, ONE_COLON, IN_LINE } at;
    unsigned hashes; // 2: or more
};
static struct command_state states[2]; // of standard output, of standard error

// Whether the next character would make a command.
static bool completes_command(struct command_state *s, char c)
{
    const bool hash = c == '[' && s->hashes == 2, colon = c == ':' && s->at == ONE_COLON;
    if ((unsigned char)c >= 0x80) // blanks, and characters without a width, are among them
        return false;
    if (c == '\n') {
        *s = (struct command_state){0};
        return false;
    }
    s->hashes = c != '#' ? 0 : s->hashes < 2 ? s->hashes + 1 : 2;
    if (s->at == LINE_BEGINS && (c == ' ' || c == '\t'))
        return false;
    s->at = s->at == LINE_BEGINS && c == ':' ? ONE_COLON : IN_LINE;
    return hash || colon;
}

static void add_guarded(struct command_state *s, const char *text, size_t length, struct buf *out)
{
    size_t done = 0;
    for (size_t i = 0; i < length; i++) {
        if (!completes_command(s, text[i]))
            continue;
        buf_add(out, text + done, i - done);
        buf_printf(out, "\\x%02x", text[i]);
        done = i + 1;
    }
    buf_add(out, text + done, length - done);
}

// ---- writing ----

enum { WRITE_MAX = 4096 }; // bytes that a pipe takes whole, whoever else writes to it

// The part to write at once: whole lines, as long as they fit.
static size_t next_part(const char *text, size_t length)
{
    if (length <= WRITE_MAX)
        return length;
    const char *newline = memrchr(text, '\n', WRITE_MAX);
    return newline ? (size_t)(newline - text) + 1 : WRITE_MAX;
}

void output_write(FILE *to, const char *text, size_t length)
{
    if (!guarded || !output_is_read(to)) {
        fwrite(text, 1, length, to);
        return;
    }
    cleanup_buf struct buf out = {0};
    add_guarded(&states[to == stderr], text, length, &out);
    for (size_t done = 0, n; done < out.len; done += n) {
        n = next_part(out.data + done, out.len - done);
        fwrite(out.data + done, 1, n, to);
    }
}
