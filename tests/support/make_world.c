// SPDX-License-Identifier: Apache-2.0
// Writes the certificate world of tests/unit/hkd_world.h: make_world DIR [URL], with URL, ending
// in a slash, in front of what distribution points name. The tables there list the files.
#include "../unit/hkd_world.h"

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: make_world DIR [URL]\n");
        return 2;
    }
    world_make(argv[1], argc == 3 ? argv[2] : "http://127.0.0.1:9/");
    return 0;
}
