// SPDX-License-Identifier: Apache-2.0
// All referrers of a manifest as one JSON array, for tests.
#ifndef KBUILD_TESTS_REFERRERS_H
#define KBUILD_TESTS_REFERRERS_H

#include "registry/registry.h"

static int collect_referrer(void *by_digest, const json_t *descriptor, struct error **err)
{
    const char *digest = json_string_value(json_object_get(descriptor, "digest"));
    return json_object_set(by_digest, digest, (json_t *)descriptor);
}

// Each once; to be released with json_decref(); NULL on an error.
static inline json_t *registry_referrers(struct registry *r, const char *digest,
                                         const char *artifact_type, struct error **err)
{
    json_t *all = json_object(), *d; // keeps the order
    json_t *list = registry_each_referrer(r, digest, artifact_type, collect_referrer, all, err) == 0
                       ? json_array()
                       : NULL;
    const char *name;
    json_object_foreach(all, name, d)
    {
        json_array_append(list, d);
    }
    json_decref(all);
    return list;
}

#endif
