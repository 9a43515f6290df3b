// SPDX-License-Identifier: Apache-2.0
// The edits as tables: Kata's guides for IBM Secure Execution ("Adjust the configuration") and for
// AMD SEV-SNP ("Kata Containers Configuration for SNP"). Where a guide names a path of its author's
// machine, the path is the one that the tarballs of this project install. docs/config.md says
// which.
#include "host/config.h"

#include <string.h>

#define QEMU "hypervisor.qemu"
#define AGENT "agent.kata"
#define SHARE "@PREFIX@/share/kata-containers/"

static const struct config_edit se_edits[] = {
    {QEMU, "kernel", CONFIG_SET, "\"" SHARE "kata-containers-se.img\""},
    // Both are in the sealed image.
    {QEMU, "image", CONFIG_COMMENT_OUT, NULL},
    {QEMU, "initrd", CONFIG_COMMENT_OUT, NULL},
    {QEMU, "confidential_guest", CONFIG_SET, "true"},
    {AGENT, "dial_timeout", CONFIG_AT_LEAST, "90"},
};

static const struct config_edit snp_edits[] = {
    {QEMU, "path", CONFIG_SET, "\"@PREFIX@/bin/qemu-system-x86_64-snp-experimental\""},
    {QEMU, "kernel", CONFIG_SET, "\"" SHARE "vmlinuz-confidential.container\""},
    {QEMU, "initrd", CONFIG_SET, "\"" SHARE "kata-containers-initrd-confidential.img\""},
    {QEMU, "image", CONFIG_COMMENT_OUT, NULL},
    {QEMU, "firmware", CONFIG_SET, "\"@PREFIX@/share/ovmf/AMDSEV.fd\""},
    {QEMU, "shared_fs", CONFIG_SET, "\"virtio-9p\""},
    {QEMU, "virtio_fs_daemon", CONFIG_COMMENT_OUT, NULL},
    {QEMU, "disable_image_nvdimm", CONFIG_SET, "true"},
    {QEMU, "file_mem_backend", CONFIG_SET, "\"\""},
    {QEMU, "confidential_guest", CONFIG_SET, "true"},
    {QEMU, "sev_snp_guest", CONFIG_SET, "true"},
};

const struct config_kind config_kinds[] = {
    {"se", "IBM Secure Execution", se_edits, ARRAY_LEN(se_edits)},
    {"snp", "AMD SEV-SNP", snp_edits, ARRAY_LEN(snp_edits)},
};
const size_t config_kind_count = ARRAY_LEN(config_kinds);

const struct config_kind *config_kind_find(const char *name, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    for (size_t i = 0; i < config_kind_count; i++) {
        if (!strcmp(config_kinds[i].name, name))
            return &config_kinds[i];
        strlist_add(&names, config_kinds[i].name);
    }
    cleanup_free char *known = strlist_join(&names, ", ");
    error_set(err, ERROR_USAGE, "config: there is no kind of guest named '%s'", name);
    error_hint(err, "it can be one of: %s", known);
    return NULL;
}
