// SPDX-License-Identifier: Apache-2.0
// Says in what a plan and the machine that makes one of its nodes differ, and compares the key of
// the node.
#include "run/plan_file.h"

#include "run/internal.h"

#include <string.h>

int plan_mismatch(const char *what, const char *planned, const char *here, struct error **err)
{
    error_set(err, ERROR_USAGE,
              "the plan does not match this machine: %s is %s here, and %s in "
              "the plan",
              what, here && *here ? here : "not set", planned && *planned ? planned : "not set");
    return error_hint(err, "its results would have other keys: plan again with this project, or "
                           "use a machine like the one that planned");
}

static bool has_other_key(const struct node *node)
{
    const char *planned = job_of(node)->planned_key;
    return planned && *node->key && strcmp(planned, node->key) != 0;
}

int plan_check_key(const struct node *node, struct error **err)
{
    if (!has_other_key(node))
        return 0;
    cleanup_free char *what = xasprintf("the key of %s", node->id);
    plan_mismatch(what, job_of(node)->planned_key, node->key, err);
    for (size_t i = 0; i < node->need_count; i++) {
        const struct node *input = node->needs[i].node;
        if (node->needs[i].input && has_other_key(input))
            return error_hint(err, "its input %s has the key %s here, and %s in the plan",
                              input->id, input->key, job_of(input)->planned_key);
    }
    return error_hint(
        err, "if nothing was changed, either an input was made twice, is not reproducible, "
             "and has other bytes here: plan again, or let a machine make it whose cache "
             "has none of the inputs. Or, with --builder=host, a tool of this machine is "
             "another one: use a machine like the one that planned");
}
