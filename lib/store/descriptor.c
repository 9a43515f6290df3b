// SPDX-License-Identifier: Apache-2.0
// Makes and reads OCI descriptors.
#include "store/descriptor.h"

#include "base/memory.h"
#include "base/digest.h"

#include <string.h>

json_t *oci_descriptor(const char *type, const char *digest, uint64_t size)
{
    cleanup_free char *name = xasprintf("sha256:%s", digest);
    return json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest", name, "size",
                     (json_int_t)size);
}

const char *oci_digest_hex(const char *digest)
{
    const char *hex = digest && starts_with(digest, "sha256:") ? digest + strlen("sha256:") : NULL;
    return hex && digest_is_hex(hex) ? hex : NULL;
}

const char *oci_descriptor_digest(const json_t *descriptor, uint64_t *size)
{
    const json_t *number = json_object_get(descriptor, "size");
    bool sized = json_is_integer(number) && json_integer_value(number) >= 0;
    if (size)
        *size = sized ? (uint64_t)json_integer_value(number) : 0;
    if (size && !sized)
        return NULL;
    return oci_digest_hex(json_string_value(json_object_get(descriptor, "digest")));
}
