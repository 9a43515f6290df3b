// SPDX-License-Identifier: Apache-2.0
// The table of the actions of recipes.
#include "run/internal.h"

const struct action actions[] = {
    [ACTION_SCRIPT] = {"script", identify_script, make_script, NULL},
    [ACTION_INITRD] = {"initrd", identify_initrd, make_initrd, NULL},
    [ACTION_IMAGE] = {"image", identify_disk, make_disk, NULL},
    [ACTION_SE_IMAGE] = {"se-image", identify_se_image, make_se_image, se_image_random},
};

const char *build_random(const struct node *node)
{
    const struct job *job = job_of(node);
    const struct action *action = &actions[job->recipe->action];
    return action->random ? action->random(job) : NULL;
}
