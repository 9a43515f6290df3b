// SPDX-License-Identifier: Apache-2.0
// The files of a launch: what they must be, and their digests. Kernel and initrd are streamed.
#ifndef KBUILD_MEASURE_FILES_H
#define KBUILD_MEASURE_FILES_H

#include "measure/measure.h"

// Firmware is small and read backwards: *bytes gets all of it, to be freed, also after a failure.
int launch_read_firmware(const char *path, unsigned char **bytes, struct launch_file *out,
                         struct error **err);
// A bzImage that takes the whole of in->append.
int launch_hash_kernel(const struct launch_inputs *in, struct launch_file *out, struct error **err);
// The same, and *bytes gets all of it, to be freed, also after a failure.
int launch_read_kernel(const struct launch_inputs *in, unsigned char **bytes,
                       struct launch_file *out, struct error **err);
int launch_hash_initrd(const char *path, struct launch_file *out, struct error **err);

#endif
