// SPDX-License-Identifier: Apache-2.0
// Reading and testing an image for se_info_*().
#ifndef KBUILD_SE_INFO_READ_H
#define KBUILD_SE_INFO_READ_H

#include "se/info.h"
#include "se/unlock.h"

struct inspected {
    struct se_image image;
    unsigned char *header;
    bool alone;                  // the file is a header, and nothing else
    bool authentic;              // its tag was checked
    bool has_ipib;               // image.components are set
    uint64_t entry;              // of the short PSW
    struct opened_header opened; // if authentic
    struct strlist good, bad;    // tests
};
int inspect(int fd, const char *name, const struct info_options *o, struct inspected *out,
            struct error **err);
void inspected_free(struct inspected *i); // wipes what it opened
#define cleanup_inspected __attribute__((cleanup(inspected_free)))

#endif
