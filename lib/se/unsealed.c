// SPDX-License-Identifier: Apache-2.0
// The image that an emulator can run as the ultravisor would start it (section 18): components in
// clear at their places, and a short PSW that leads to stage3b.
#include "base/file.h"
#include "se/components.h"
#include "se/io.h"
#include "se/layout.h"
#include "se/unlock.h"

// Copies a part that is not a component.
static int copy_range(int from, const char *name, int to, uint64_t at, uint64_t end,
                      struct error **err)
{
    unsigned char page[SE_PAGE];
    while (at < end) {
        size_t n = end - at < sizeof page ? (size_t)(end - at) : sizeof page;
        if (read_at(from, name, at, page, n, err) < 0 ||
            write_at(to, "the unsealed image", at, page, n, err) < 0)
            return -1;
        at += n;
    }
    return 0;
}

int se_write_unsealed(const char *path, EVP_PKEY *host_key, const char *out_path,
                      struct error **err)
{
    cleanup_unlocked struct unlocked u = {.fd = -1};
    cleanup_draft struct file_draft draft = FILE_DRAFT_NONE;
    if (unlock(path, host_key, &u, err) < 0 || file_draft_begin(&draft, out_path, err) < 0 ||
        copy_range(u.fd, path, draft.fd, 0, u.image.components[0].address, err) < 0)
        return -1;
    for (size_t i = 0; i < u.image.component_count; i++) {
        const struct se_component *c = &u.image.components[i];
        struct component_target target = {
            .fd = draft.fd, .name = out_path, .at = c->address, .keep = c->padded};
        if (component_decrypt(u.fd, path, c, u.xts, &target, err) < 0)
            return -1;
    }
    // In layout P the IPIB comes last.
    if (u.image.layout_p && copy_range(u.fd, path, draft.fd, u.image.ipib_offset,
                                       u.image.ipib_offset + u.image.ipib_size, err) < 0)
        return -1;
    unsigned char psw[8];
    put_be64(psw, short_psw(u.image.psw_address));
    if (write_at(draft.fd, out_path, 0, psw, sizeof psw, err) < 0)
        return -1;
    return file_draft_commit(&draft, 0600, err);
}
