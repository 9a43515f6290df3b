// SPDX-License-Identifier: Apache-2.0
// Shared by the sealer: checks of the parts of an image before sealing (section 15), reading and
// writing at a position, genprotimg's messages, and the three digests.
#ifndef KBUILD_SE_CHECKS_H
#define KBUILD_SE_CHECKS_H

#include "base/error.h"
#include "base/input.h"
#include "hkd/hkd.h"
#include "se/format.h"

#include <stdbool.h>
#include <stdint.h>

// A raw s390x kernel: the file that the kernel's build calls bzImage and distributions call
// vmlinuz. *limit gets the longest command line, NUL included.
int check_kernel(int fd, const char *path, uint64_t size, uint64_t *limit, struct error **err);
int check_command_line(const char *text, size_t length, uint64_t limit, struct error **err);
int check_initrd(const char *path, uint64_t size, struct error **err);

// ---- io ----
// Reads and writes at a position: everything, or an error.

// An end of file before `length` bytes is an error that says that the file is truncated.
int read_at(int fd, const char *name, uint64_t offset, void *out, size_t length,
            struct error **err);
int write_at(int fd, const char *name, uint64_t offset, const void *bytes, size_t length,
             struct error **err);
bool all_zero(const unsigned char *bytes, size_t length);

// ---- sentences ----
// genprotimg's messages for refused files (section 13.1), for scripts that search for them. Call
// these after the file was refused; all results are to be freed.

// For a host key document that host_key_load() refused.
char *sentence_of_document(const char *path);
// For the first unreadable file of `trust`; NULL if all can be read.
char *sentence_of_trust(const struct trust *trust);

// ---- digests ----
// The three SHA-512 digests over all pages of all components (section 9): contents (pld), addresses
// (ald), tweaks (tld).
//
// SHA-512 over the contents takes longer than all other work on a page, so it has a thread of its
// own, beside the caller that reads, encrypts and writes pages. Pages are passed in runs, in
// buffers of this object: 512 KiB in all, for any size of the image.

#define PAGE_RUN ((size_t)32 * SE_PAGE) // the largest run, in bytes

struct page_digests;

struct page_digests *page_digests_new(struct error **err);
// A buffer of PAGE_RUN bytes to fill. It stays readable after page_digests_add(), until the next
// call of this function.
unsigned char *page_digests_buffer(struct page_digests *d);
// Adds the first `length` bytes (a multiple of the page size) of the buffer: pages at guest address
// `address`, `offset` bytes into a component with this tweak prefix.
void page_digests_add(struct page_digests *d, size_t length, const unsigned char prefix[static 8],
                      uint64_t offset, uint64_t address);
// Waits for the thread and writes the digests. Once, at the end.
int page_digests_end(struct page_digests *d, unsigned char pld[static 64],
                     unsigned char ald[static 64], unsigned char tld[static 64],
                     struct error **err);
void page_digests_free(struct page_digests *d); // wipes the buffers; NULL is allowed

static inline void cleanup_digests_p(struct page_digests **d)
{
    page_digests_free(*d);
}
#define cleanup_digests __attribute__((cleanup(cleanup_digests_p)))

#endif
