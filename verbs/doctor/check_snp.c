// SPDX-License-Identifier: Apache-2.0
// Checks the requirements of a host of AMD SEV-SNP guests: Kata's guide ("Prerequisites", "Known
// Issues") and Linux' Documentation/arch/x86/amd-memory-encryption.rst and
// virt/kvm/x86/amd-memory-encryption.rst.
#include "doctor/internal.h"

#include <string.h>

static bool is_amd(const struct host *h)
{
    cleanup_free char *vendor = doctor_cpu_field(h, "vendor_id");
    return vendor && !strcmp(vendor, "AuthenticAMD");
}

// Families as /proc/cpuinfo counts them: 25 is Zen 3 and 4, 26 is Zen 5.
static enum doctor_state check_processor(const struct host *h, const struct doctor_check *c,
                                         struct buf *seen)
{
    cleanup_free char *family = doctor_cpu_field(h, "cpu family");
    cleanup_free char *model = doctor_cpu_field(h, "model name");
    if (!is_amd(h)) {
        buf_printf(seen, "%s is not an AMD processor", model ? model : "this");
        return DOCTOR_FAIL;
    }
    buf_printf(seen, "%s, family %s", model ? model : "AMD", family ? family : "unknown");
    return family && strtoul(family, NULL, 10) >= 25 ? DOCTOR_OK : DOCTOR_FAIL;
}

static enum doctor_state check_flags(const struct host *h, const struct doctor_check *c,
                                     struct buf *seen)
{
    cleanup_free char *flags = doctor_cpu_field(h, "flags");
    cleanup_strlist struct strlist required = {0}, missing = {0};
    strlist_split(&required, c->value, " ");
    for (size_t i = 0; i < required.n; i++)
        if (!flags || !doctor_has_word(flags, required.items[i]))
            strlist_add(&missing, required.items[i]);
    cleanup_free char *words = strlist_join(missing.n ? &missing : &required, ", ");
    buf_printf(seen, "%s%s", missing.n ? "missing: " : "", words);
    return missing.n ? DOCTOR_FAIL : DOCTOR_OK;
}

#define PARAMETERS "sys/module/kvm_amd/parameters/"

static bool parameter_is_on(const struct host *h, const char *path)
{
    cleanup_buf struct buf text = {0};
    return host_read(h, path, &text) && (text.data[0] == 'Y' || text.data[0] == '1');
}

// Not an error of the machine, but important for users of both kinds of guests.
static enum doctor_state check_exclusive(const struct host *h, const struct doctor_check *c,
                                         struct buf *seen)
{
    bool sev = parameter_is_on(h, PARAMETERS "sev"), snp = parameter_is_on(h, PARAMETERS "sev_snp");
    if (!sev || !snp) {
        buf_puts(seen, "SEV and SEV-SNP are not both on");
        return DOCTOR_SKIP;
    }
    buf_puts(seen, "both are on: Kata then starts SEV-SNP guests, but no SEV guests");
    return DOCTOR_FAIL;
}

// ---- the kernel's log ----

struct log_line {
    const char *words;
    enum doctor_state state;
};

// The last matching line is used, since a driver may have been loaded again. NULL if there is none;
// to be freed.
static char *last_line(const char *log, const struct log_line *lines, size_t count,
                       enum doctor_state *state)
{
    const char *last = NULL;
    for (size_t i = 0; i < count; i++)
        for (const char *at = log; (at = strstr(at, lines[i].words)); at++)
            if (!last || at > last) {
                last = at;
                *state = lines[i].state;
            }
    if (!last)
        return NULL;
    while (last > log && last[-1] != '\n')
        last--;
    return xstrndup(last, strcspn(last, "\n"));
}

// Skipped if none of the lines is present: there was no message, or the log's beginning is lost.
static enum doctor_state check_log(const struct host *h, const struct log_line *lines, size_t count,
                                   const char *of_what, struct buf *seen)
{
    cleanup_buf struct buf log = {0};
    enum doctor_state state = DOCTOR_SKIP;
    if (!doctor_kernel_log(h, &log, seen))
        return DOCTOR_SKIP;
    cleanup_free char *line = last_line(log.data, lines, count, &state);
    if (line)
        buf_puts(seen, line);
    else
        buf_printf(seen, "the kernel's log has no message about %s", of_what);
    return state;
}

// The driver ccp (drivers/crypto/ccp/sev-dev.c): "SEV-SNP API:1.55 build:21" after SNP's firmware
// is initialised, "SEV API:..." after SEV's, which means nothing for SNP.
static const struct log_line init_lines[] = {
    {"SEV-SNP: failed to INIT", DOCTOR_FAIL},
    {"SEV-SNP: failed to SNP_INIT", DOCTOR_FAIL},
    {"SEV-SNP disabled", DOCTOR_FAIL},
    {"SEV-SNP unusable", DOCTOR_FAIL},
    {"SEV-SNP API:", DOCTOR_OK},
};

static enum doctor_state check_initialised(const struct host *h, const struct doctor_check *c,
                                           struct buf *seen)
{
    cleanup_buf struct buf log = {0}, unread = {0};
    enum doctor_state state =
        check_log(h, init_lines, ARRAY_LEN(init_lines), "SNP's initialisation", seen);
    cleanup_free char *line = NULL;
    if (state == DOCTOR_SKIP && doctor_kernel_log(h, &log, &unread))
        line = host_line_with(log.data, "SEV API:");
    if (!line)
        return state;
    seen->len = 0;
    buf_printf(seen, "%s, but no line for SEV-SNP: its firmware was not initialised", line);
    return DOCTOR_FAIL;
}

// The version of the firmware's interface: "SEV API:1.51 build:3", "SEV-SNP API:1.55 build:21".
static enum doctor_state check_firmware(const struct host *h, const struct doctor_check *c,
                                        struct buf *seen)
{
    cleanup_buf struct buf log = {0};
    if (!doctor_kernel_log(h, &log, seen))
        return DOCTOR_SKIP;
    cleanup_free char *line = host_line_with(log.data, "SEV-SNP API:");
    if (!line)
        line = host_line_with(log.data, "SEV API:");
    if (!line) {
        buf_puts(seen, "the kernel's log does not show its version");
        return DOCTOR_SKIP;
    }
    buf_printf(seen, "%s; %s or newer is required", line, c->value);
    return doctor_compare_version(strstr(line, "API:"), c->value) >= 0 ? DOCTOR_OK : DOCTOR_FAIL;
}

static const struct log_line iommu_lines[] = {
    {"SNP: IOMMU disabled or configured in passthrough mode", DOCTOR_FAIL},
    {"SNP: IOMMU is configured with V2 page table mode", DOCTOR_FAIL},
    {"IOMMU SNP feature not enabled", DOCTOR_FAIL},
    {"IOMMU SNP support enabled", DOCTOR_OK},
};

static enum doctor_state check_iommu(const struct host *h, const struct doctor_check *c,
                                     struct buf *seen)
{
    return check_log(h, iommu_lines, ARRAY_LEN(iommu_lines), "SNP and the IOMMU", seen);
}

static const struct log_line rmp_lines[] = {
    {"RMP table has not been reserved by BIOS", DOCTOR_FAIL},
    {"Memory reserved for the RMP table does not cover", DOCTOR_FAIL},
    {"SEV-SNP: RMP table physical", DOCTOR_OK},
    {"SEV-SNP: RMP segment table physical", DOCTOR_OK},
    {"SEV-SNP: Segmented RMP", DOCTOR_OK},
};

static enum doctor_state check_rmp(const struct host *h, const struct doctor_check *c,
                                   struct buf *seen)
{
    return check_log(h, rmp_lines, ARRAY_LEN(rmp_lines), "the RMP table", seen);
}

// The number of guests: "sev 410", "sev_es 99" in misc.capacity; SNP guests use those of sev_es.
static enum doctor_state check_asids(const struct host *h, const struct doctor_check *c,
                                     struct buf *seen)
{
    cleanup_buf struct buf text = {0}, log = {0}, unread = {0};
    if (host_read(h, "sys/fs/cgroup/misc.capacity", &text)) {
        cleanup_free char *sev = host_line_with(text.data, "sev ");
        cleanup_free char *es = host_line_with(text.data, "sev_es ");
        buf_printf(seen, "ASIDs: %s, %s", sev ? sev : "no sev", es ? es : "no sev_es");
        return es && strtoul(es + strlen("sev_es "), NULL, 10) ? DOCTOR_OK : DOCTOR_FAIL;
    }
    cleanup_free char *line = NULL;
    if (doctor_kernel_log(h, &log, &unread))
        line = host_line_with(log.data, "SEV-SNP enabled (ASIDs");
    if (!line && log.len)
        line = host_line_with(log.data, "SEV-ES enabled (ASIDs");
    buf_puts(seen, line ? line : "no misc.capacity, and no line about ASIDs in the kernel's log");
    return line ? DOCTOR_OK : DOCTOR_SKIP;
}

static enum doctor_state check_cgroups(const struct host *h, const struct doctor_check *c,
                                       struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    if (!host_read(h, "sys/fs/cgroup/cgroup.controllers", &text)) {
        buf_puts(seen, "version 1, or none");
        return DOCTOR_WARN;
    }
    bool misc = doctor_has_word(text.data, "misc");
    buf_printf(seen, "version 2, %s the controller misc", misc ? "with" : "without");
    return misc ? DOCTOR_OK : DOCTOR_WARN;
}

// Kata's own QEMU for SNP if it is there, else the distribution's.
static const struct doctor_check *
choose_qemu_check(const struct host *h, const struct doctor_check *c, struct doctor_check *own)
{
    cleanup_buf struct buf text = {0};
    *own = *c;
    own->argument = strstr(c->argument, "version") ? "qemu-snp-version" : "qemu-snp-objects";
    return host_command(h, own->argument, &text) ? own : c;
}

static enum doctor_state check_qemu(const struct host *h, const struct doctor_check *c,
                                    struct buf *seen)
{
    struct doctor_check own;
    const struct doctor_check *chosen = choose_qemu_check(h, c, &own);
    // A build for SNP before 9.1 has it as patches: its objects show that.
    return chosen == &own
               ? doctor_check_version(
                     h, &(struct doctor_check){.argument = own.argument, .value = "0"}, seen)
               : doctor_check_version(h, c, seen);
}

static enum doctor_state check_qemu_object(const struct host *h, const struct doctor_check *c,
                                           struct buf *seen)
{
    struct doctor_check own;
    return doctor_check_qemu_object(h, choose_qemu_check(h, c, &own), seen);
}

#define BIOS                                                                                       \
    "enable SMEE, SEV-ES ASIDs, SNP memory (RMP table) coverage and the IOMMU in the BIOS, and "   \
    "boot a kernel that supports them"
#define RELOAD                                                                                     \
    "as root: modprobe -r kvm_amd && modprobe kvm_amd sev=1 sev_es=1 sev_snp=1; if it stays off: "
static const struct doctor_check checks[] = {
    {"snp-processor", "processor", check_processor, NULL, NULL, DOCTOR_FAIL,
     "use a machine with an AMD EPYC 7003 (Milan) or newer: older ones have no SEV-SNP"},
    {"snp-flags", "processor flags", check_flags, NULL, "sev sev_es sev_snp", DOCTOR_FAIL, BIOS},
    {"snp-kernel", "kernel", doctor_check_kernel, NULL, "6.11", DOCTOR_WARN,
     "boot Linux 6.11 or newer, the first that hosts SEV-SNP guests without AMD's patches"},
    {"snp-sev", "kvm_amd's parameter sev", doctor_check_file_value, PARAMETERS "sev", "Y|1",
     DOCTOR_FAIL, RELOAD BIOS},
    {"snp-sev-es", "kvm_amd's parameter sev_es", doctor_check_file_value, PARAMETERS "sev_es",
     "Y|1", DOCTOR_FAIL, RELOAD BIOS},
    {"snp-sev-snp", "kvm_amd's parameter sev_snp", doctor_check_file_value, PARAMETERS "sev_snp",
     "Y|1", DOCTOR_FAIL, RELOAD BIOS},
    {"snp-exclusive", "SEV besides SEV-SNP", check_exclusive, NULL, NULL, DOCTOR_WARN,
     "to run SEV guests instead, disable SNP for the whole machine; as root: rmmod kvm_amd && "
     "modprobe "
     "kvm_amd sev_snp=0"},
    {"snp-iommu", "IOMMU", check_iommu, NULL, NULL, DOCTOR_FAIL,
     "boot with the kernel parameters iommu=nopt (no passthrough) and amd_iommu=on"},
    {"snp-rmp", "RMP table", check_rmp, NULL, NULL, DOCTOR_FAIL,
     "in the BIOS, let SNP memory (RMP table) coverage include all memory"},
    {"snp-init", "SNP's initialisation", check_initialised, NULL, NULL, DOCTOR_FAIL,
     "check the log (dmesg | grep -i sev), update BIOS and SEV firmware, and reload ccp and "
     "kvm_amd"},
    {"snp-device", "SEV device", doctor_check_device, "/dev/sev", NULL, DOCTOR_FAIL,
     "as root: modprobe ccp; then allow the user that starts QEMU to open /dev/sev"},
    {"snp-firmware", "SEV firmware", check_firmware, NULL, "1.51", DOCTOR_FAIL,
     "update the SEV firmware: see https://www.amd.com/en/developer/sev.html"},
    {"snp-asids", "number of guests", check_asids, NULL, NULL, DOCTOR_FAIL,
     "assign ASIDs to SEV-ES in the BIOS (minimum SEV non-ES ASID above 1)"},
    {"snp-cgroups", "control groups", check_cgroups, NULL, NULL, DOCTOR_WARN,
     "use control groups version 2 and a kernel with CONFIG_CGROUP_MISC: its controller misc "
     "counts "
     "SEV guests (for old releases of Kata that have trouble with 2, Kata's guide advises 1)"},
    {"snp-kvm", "KVM", doctor_check_kvm, NULL, NULL, DOCTOR_FAIL,
     "as root: modprobe kvm_amd; as an ordinary user, also join the group kvm; enable SVM in the "
     "BIOS"},
    {"snp-qemu", "QEMU", check_qemu, "qemu-x86_64-version", "9.1", DOCTOR_FAIL,
     "install Kata's QEMU for SEV-SNP (kbuild install qemu-snp-experimental), or QEMU 9.1 or "
     "newer"},
    {"snp-qemu-object", "QEMU's sev-snp-guest", check_qemu_object, "qemu-x86_64-objects",
     "sev-snp-guest", DOCTOR_FAIL,
     "install Kata's QEMU for SEV-SNP (kbuild install qemu-snp-experimental), or QEMU 9.1 or "
     "newer"},
};

// Set up for SNP: the processor supports it, and it was enabled. Other machines only build.
static bool applies(const struct host *h, struct buf *why)
{
    cleanup_free char *flags = doctor_cpu_field(h, "flags");
    if (!is_amd(h)) {
        buf_puts(why, "the processor is not from AMD");
        return false;
    }
    if (!flags || !doctor_has_word(flags, "sev_snp")) {
        buf_puts(why, "the processor does not support SEV-SNP");
        return false;
    }
    if (parameter_is_on(h, PARAMETERS "sev_snp"))
        return true;
    buf_puts(why, "SEV-SNP is off in the module kvm_amd");
    return false;
}

const struct doctor_group snp_group = {"snp", "Hosting AMD SEV-SNP guests", checks,
                                       ARRAY_LEN(checks), applies};
