// SPDX-License-Identifier: Apache-2.0
// Writes the merged tree of layers as a newc cpio, which a kernel unpacks as its initial root.
#include "pack/pack.h"
#include "pack/tar_out.h"

#include <sys/stat.h>

// All names of a file; the last one takes the content (both the kernel and cpio expect it there).
static int add_entry(void *context, const struct pack_entry *e, struct error **err)
{
    for (size_t i = 0; i < e->name_count; i++) {
        bool last = i + 1 == e->name_count;
        if (cpio_out_entry(context, e->names[i], e, last ? e->size : 0, i > 0, err) < 0)
            return error_wrap(err, "%s", e->names[i]);
    }
    return 0;
}

static int add_data(void *context, const void *bytes, size_t length, struct error **err)
{
    return cpio_out_data(context, bytes, length, err);
}

int pack_initrd(const struct initrd_layer *layers, size_t count, int fd,
                const struct initrd_options *o, struct error **err)
{
    const struct layers_options options = {.epoch = o->epoch, .init = "init", .what = "the initrd"};
    cleanup_cpio_out struct cpio_out *out = cpio_out_open(fd, o->compress, err);
    const struct pack_sink sink = {add_entry, add_data, out};
    if (!out || pack_layers(layers, count, &options, &sink, err) < 0 ||
        cpio_out_finish(out, err) < 0)
        return error_wrap(err, "packing the initrd");
    return 0;
}
