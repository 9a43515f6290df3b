// SPDX-License-Identifier: Apache-2.0
// Holds the tables of edits: Kata's guides for IBM Secure Execution ("Adjust the configuration")
// and for AMD SEV-SNP ("Kata Containers Configuration for SNP"). Paths of a guide's author are
// replaced by those where the tarballs of this project install. docs/config.md lists them.
#include "config/config.h"

#include <string.h>

#define QEMU "hypervisor.qemu"
#define AGENT "agent.kata"
#define QEMU_LATER "runtime.emptydir_mode" // since 3.28, in all of Kata's files
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

// Kata's own file for SNP, from 3.13 on: another QEMU, and images are pulled in the guest.
static const struct config_edit snp_own_edits[] = {
    {QEMU, "kernel", CONFIG_SET, "\"" SHARE "vmlinuz-confidential.container\""},
    {QEMU, "initrd", CONFIG_SET, "\"" SHARE "kata-containers-initrd-confidential.img\""},
    {QEMU, "image", CONFIG_COMMENT_OUT, NULL},
    {QEMU, "firmware", CONFIG_SET, "\"@PREFIX@/share/ovmf/AMDSEV.fd\""},
    {QEMU, "confidential_guest", CONFIG_SET, "true"},
    {QEMU, "sev_snp_guest", CONFIG_SET, "true"},
};

// From 3.27 on there is one kernel for all, and from 3.29 on SNP boots an image whose hash is in
// the file (kernel_verity_params).
#define SNP_COMMON                                                                                 \
    {QEMU, "kernel", CONFIG_SET, "\"" SHARE "vmlinuz.container\""},                                \
        {QEMU, "firmware", CONFIG_SET, "\"@PREFIX@/share/ovmf/AMDSEV.fd\""},                       \
        {QEMU, "shared_fs", CONFIG_SET, "\"none\""},                                               \
        {QEMU, "disable_image_nvdimm", CONFIG_SET, "true"},                                        \
        {QEMU, "confidential_guest", CONFIG_SET, "true"},                                          \
        {QEMU, "sev_snp_guest", CONFIG_SET, "true"},                                               \
    {                                                                                              \
        AGENT, "dial_timeout", CONFIG_AT_LEAST, "90"                                               \
    }

static const struct config_edit snp_initrd_edits[] = {
    SNP_COMMON,
    {QEMU, "initrd", CONFIG_SET, "\"" SHARE "kata-containers-initrd-confidential.img\""},
    {QEMU, "image", CONFIG_COMMENT_OUT, NULL},
};
static const struct config_edit snp_image_edits[] = {
    SNP_COMMON,
    {QEMU, "initrd", CONFIG_COMMENT_OUT, NULL},
};
static const struct config_need snp_needs[] = {{QEMU, "sev_snp_guest", NULL}};
static const struct config_need snp_image_needs[] = {
    {QEMU, "image", "kata-containers-confidential.img"}};

// runtime-rs: kernel, image and extension belong together and are unchanged; no virtio-9p, and no
// timeouts in seconds, for which it rejects the file.
#define RUST_COMMON                                                                                \
    {QEMU, "confidential_guest", CONFIG_SET, "true"},                                              \
        {AGENT, "dial_timeout", CONFIG_COMMENT_OUT, NULL},                                         \
    {                                                                                              \
        AGENT, "reconnect_timeout_ms", CONFIG_AT_LEAST, "45000"                                    \
    }
static const struct config_edit snp_rust_edits[] = {
    {QEMU, "firmware", CONFIG_SET, "\"@PREFIX@/share/ovmf/AMDSEV.fd\""},
    {QEMU, "shared_fs", CONFIG_SET, "\"none\""},
    RUST_COMMON,
};
static const struct config_edit se_rust_edits[] = {
    {QEMU, "image", CONFIG_COMMENT_OUT, NULL},
    {QEMU, "initrd", CONFIG_COMMENT_OUT, NULL},
    RUST_COMMON,
};
static const struct config_edit se_composed_edits[] = {
    {QEMU, "kernel", CONFIG_SET, "\"" SHARE "kata-containers-se-runtime-rs.img\""},
    {QEMU, "image", CONFIG_COMMENT_OUT, NULL},
    {QEMU, "initrd", CONFIG_COMMENT_OUT, NULL},
    RUST_COMMON,
};
static const struct config_need se_rust_needs[] = {{QEMU, "kernel", "kata-containers-se.img"}};

#define EXTENSION QEMU ".guest_extension_images"
#define EDITS(edits) edits, ARRAY_LEN(edits)
static const struct config_layout se_layouts[] = {
    {"Kata's runtime in Go", false, 0, 9999, NULL, NULL, NULL, EDITS(se_edits), NULL, 0,
     "configuration-qemu-se.toml"},
    {"runtime-rs of Kata 4.1", true, 401, 9999, EXTENSION, NULL, NULL, EDITS(se_composed_edits),
     NULL, 0, "configuration-qemu-se-runtime-rs.toml"},
    {"runtime-rs", true, 0, 400, NULL, EXTENSION, NULL, EDITS(se_rust_edits), EDITS(se_rust_needs),
     "configuration-qemu-se-runtime-rs.toml"},
};
static const struct config_layout snp_layouts[] = {
    {"Kata 3.27", false, 327, 327, NULL, QEMU_LATER, "vmlinuz.container", EDITS(snp_initrd_edits),
     NULL, 0, "configuration-qemu-snp.toml"},
    {"Kata's own for SNP up to 3.26", false, 313, 326, QEMU ".sev_snp_guest", QEMU_LATER, NULL,
     EDITS(snp_own_edits), NULL, 0, "configuration-qemu-snp.toml"},
    {"Kata up to 3.26", false, 0, 326, NULL, QEMU_LATER, NULL, EDITS(snp_edits), NULL, 0,
     "configuration-qemu-snp.toml"},
    {"Kata 3.27", false, 327, 327, NULL, QEMU_LATER, NULL, EDITS(snp_initrd_edits), NULL, 0,
     "configuration-qemu-snp.toml"},
    {"Kata 3.29 and later", false, 329, 9999, QEMU ".kernel_verity_params", NULL, NULL,
     EDITS(snp_image_edits), EDITS(snp_image_needs), "configuration-qemu-snp.toml"},
    {"Kata 3.28 and later", false, 328, 9999, QEMU_LATER, QEMU ".kernel_verity_params", NULL,
     EDITS(snp_initrd_edits), EDITS(snp_needs), "configuration-qemu-snp.toml"},
    {"runtime-rs", true, 326, 9999, NULL, NULL, NULL, EDITS(snp_rust_edits), EDITS(snp_needs),
     "configuration-qemu-snp-runtime-rs.toml"},
};

// Kata's docs/how-to/containerd-kata.md. runtime_path is kata-deploy's: containerd does not search
// below /opt for a shim. Its runtime_type for the class "kata" is that page's
// io.containerd.kata.v2. The first row keeps the class of ordinary pods, which containerd 1.x drops
// if a file has another (class.c).
#define CLASSES(plugin) "plugins.\"" plugin "\".containerd.runtimes."
#define CLASS(plugin) CLASSES(plugin) "@CLASS@"
#define ANNOTATIONS "[\"io.katacontainers.*\"]"
#define CLASS_EDITS(plugin)                                                                        \
    {CLASSES(plugin) "@DEFAULT@", "runtime_type", CONFIG_TABLE, "\"io.containerd.runc.v2\""},      \
        {CLASS(plugin), "runtime_type", CONFIG_SET, "\"io.containerd.@CLASS@.v2\""},               \
        {CLASS(plugin), "runtime_path", CONFIG_SET, "\"@SHIM@\""},                                 \
        {CLASS(plugin), "privileged_without_host_devices", CONFIG_SET, "true"},                    \
        {CLASS(plugin), "pod_annotations", CONFIG_INCLUDE, ANNOTATIONS},                           \
        {CLASS(plugin), "container_annotations", CONFIG_INCLUDE, ANNOTATIONS},                     \
    {                                                                                              \
        CLASS(plugin) ".options", "ConfigPath", CONFIG_SET, "\"@CONFIGURATION@\""                  \
    }
static const struct config_edit class_2_edits[] = {CLASS_EDITS("io.containerd.grpc.v1.cri")};
static const struct config_edit class_3_edits[] = {CLASS_EDITS("io.containerd.cri.v1.runtime")};
static const struct config_layout class_layouts[] = {
    {"version 2", false, 2, 2, NULL, NULL, NULL, EDITS(class_2_edits), NULL, 0, NULL},
    {"version 3", false, 3, 3, NULL, NULL, NULL, EDITS(class_3_edits), NULL, 0, NULL},
};

const struct config_kind config_kinds[] = {
    {"se", "IBM Secure Execution", CONFIG_KATA, EDITS(se_edits), EDITS(se_layouts)},
    {"snp", "AMD SEV-SNP", CONFIG_KATA, EDITS(snp_edits), EDITS(snp_layouts)},
    {"containerd", "the runtime class", CONFIG_CONTAINERD, EDITS(class_2_edits),
     EDITS(class_layouts)},
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
    error_set(err, ERROR_USAGE, "config: '%s' is no kind of guest, nor containerd", name);
    error_hint(err, "it can be one of: %s", known);
    return NULL;
}
