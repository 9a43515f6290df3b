// SPDX-License-Identifier: Apache-2.0
// Writes messages to the ASCII console over SCLP, before there is any operating system.
#include "loader/internal.h"

#include <stddef.h>

enum {
    WRITE_EVENT_DATA = 0x00760005,
    WRITE_EVENT_MASK = 0x00780005,
    LINE_MODE_MESSAGES = 0x40000000, // mask bits
    ASCII_CONSOLE = 0x00000040,
    ASCII_EVENT = 0x1A, // event type
    BUSY = 2,           // condition code of the service call
    TEXT_ROOM = 4096 - 14,
};

struct sccb {
    uint16_t length;
    uint8_t function;
    uint8_t control[3];
    uint16_t response;
    union {
        struct {
            uint16_t zero, mask_length;
            uint32_t receive, send, sclp_receive, sclp_send;
        } mask;
        struct {
            uint16_t length;
            uint8_t type, flags;
            uint16_t zero;
            char text[TEXT_ROOM];
        } event;
    };
};
_Static_assert(offsetof(struct sccb, response) == 6, "SCCB header");
_Static_assert(offsetof(struct sccb, mask.receive) == 0xC, "event mask");
_Static_assert(offsetof(struct sccb, event.text) == 0xE, "event buffer");
_Static_assert(sizeof(struct sccb) == 4096, "an SCCB must not cross a page");

// The first page of the scratch area; its address comes from the linker script.
extern struct sccb sccb_page;

static void sccb_begin(uint16_t length)
{
    sccb_page.length = length;
    sccb_page.function = 0;
    for (size_t i = 0; i < sizeof(sccb_page.control); i++)
        sccb_page.control[i] = 0;
    sccb_page.response = 0;
}

static void sccb_request(uint32_t command)
{
    int cc;
    // Busy: another request is under way. Its end is signalled too.
    while ((cc = service_call(command, &sccb_page)) == BUSY)
        wait_for_service_signal();
    if (cc == 0)
        wait_for_service_signal();
}

static void set_send_mask(uint32_t send)
{
    sccb_begin(offsetof(struct sccb, mask) + sizeof(sccb_page.mask));
    sccb_page.mask.zero = 0;
    sccb_page.mask.mask_length = 4;
    sccb_page.mask.receive = 0;
    sccb_page.mask.send = send;
    sccb_page.mask.sclp_receive = 0;
    sccb_page.mask.sclp_send = 0;
    sccb_request(WRITE_EVENT_MASK);
}

void console_on(void)
{
    set_send_mask(LINE_MODE_MESSAGES | ASCII_CONSOLE);
}

void console_off(void)
{
    set_send_mask(0);
}

// Appends as much of the text as fits; two bytes stay free for the newline and the NUL.
static size_t append_text(size_t used, const char *text)
{
    for (; *text != '\0' && used < TEXT_ROOM - 2; text++)
        sccb_page.event.text[used++] = *text;
    return used;
}

static void send_event(size_t used)
{
    sccb_page.event.text[used++] = '\n';
    sccb_page.event.text[used++] = '\0';
    sccb_begin((uint16_t)(offsetof(struct sccb, event.text) + used));
    sccb_page.event.length = (uint16_t)(6 + used);
    sccb_page.event.type = ASCII_EVENT;
    sccb_page.event.flags = 0;
    sccb_page.event.zero = 0;
    sccb_request(WRITE_EVENT_DATA);
}

void console_line(const char *text)
{
    send_event(append_text(0, text));
}

void console_line_hex(const char *text, uint64_t number)
{
    char digits[2 + 16 + 1];
    char *p = digits + sizeof(digits) - 1;
    *p = '\0';
    do {
        *--p = "0123456789abcdef"[number % 16];
        number /= 16;
    } while (number != 0);
    *--p = 'x';
    *--p = '0';
    send_event(append_text(append_text(0, text), p));
}
