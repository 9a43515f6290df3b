// SPDX-License-Identifier: Apache-2.0
// Writes the unit tests' world of certificates to a directory, for verdicts.py.
// Arguments: the directory, and the address that distribution points begin with.
#include "../unit/hkd_world.h"

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    world_make(argv[1], argv[2]);
    return 0;
}
