// SPDX-License-Identifier: Apache-2.0
// Licences of the sources that versions.yaml knows, as their own files declare them (SPDX license
// list, annex D of SPDX 2.3 for expressions). What is not here is NOASSERTION: nothing is guessed.
#include "provenance/room.h"

#include <string.h>

static const struct {
    const char *in_uri;  // part of the address that it is published under
    const char *package; // start of a distribution package's name; or NULL
    const char *licence;
} known[] = {
    {"/linux/kernel/", "linux-source", "GPL-2.0-only WITH Linux-syscall-note"},
    {"/linux/kernel/", "linux-image", "GPL-2.0-only WITH Linux-syscall-note"},
    {"github.com/torvalds/linux", NULL, "GPL-2.0-only WITH Linux-syscall-note"},
    {"github.com/kata-containers/kata-containers", NULL, "Apache-2.0"},
    {"github.com/confidential-containers/guest-components", NULL, "Apache-2.0"},
    {"github.com/confidential-containers/qemu", NULL, "GPL-2.0-only"},
    {"github.com/qemu/qemu", "qemu", "GPL-2.0-only"},
    {"github.com/tianocore/edk2", "ovmf", "BSD-2-Clause-Patent"},
    {"gitlab.com/virtio-fs/virtiofsd", NULL, "Apache-2.0 AND BSD-3-Clause"},
    {"github.com/seccomp/libseccomp", "libseccomp", "LGPL-2.1-only"},
    {"busybox.net", "busybox", "GPL-2.0-only"},
};

const char *licence_of(const char *uri, const char *package)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if ((uri && strstr(uri, known[i].in_uri)) ||
            (package && known[i].package && starts_with(package, known[i].package)))
            return known[i].licence;
    return NULL;
}
