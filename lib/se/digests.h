// SPDX-License-Identifier: Apache-2.0
// The three SHA-512 digests over all pages of all components (section 9): contents (pld), addresses
// (ald), tweaks (tld).
//
// SHA-512 over the contents takes longer than everything else that is done to a page, so it has a
// thread of its own; whoever reads, encrypts and writes pages runs beside it. Pages travel in runs,
// through buffers that belong to this object: 512 KiB in all, whatever the size of the image.
#ifndef KBUILD_SE_DIGESTS_H
#define KBUILD_SE_DIGESTS_H

#include "se/format.h"

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
