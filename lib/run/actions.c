// SPDX-License-Identifier: Apache-2.0
#include "run/internal.h"

const struct action actions[] = {
    [ACTION_SCRIPT] = {"script", NULL, make_script},
    [ACTION_INITRD] = {"initrd", identify_initrd, make_initrd},
    [ACTION_SE_IMAGE] = {"se-image", identify_se_image, make_se_image},
};
