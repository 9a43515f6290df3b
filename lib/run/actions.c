// SPDX-License-Identifier: Apache-2.0
// What each action of a recipe does.
#include "run/internal.h"

const struct action actions[] = {
    [ACTION_SCRIPT] = {"script", identify_script, make_script, NULL, NULL},
    [ACTION_INITRD] = {"initrd", identify_initrd, make_initrd, NULL, NULL},
    [ACTION_IMAGE] = {"image", identify_disk, make_disk, NULL, disk_side_files},
    [ACTION_SE_IMAGE] = {"se-image", identify_se_image, make_se_image, se_image_random,
                         se_image_side_files},
};
