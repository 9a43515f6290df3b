// SPDX-License-Identifier: Apache-2.0
// Checks the requirements of a host of AMD SEV-SNP guests: Kata's guide ("Prerequisites", "Known
// Issues") and Linux' Documentation/arch/x86/amd-memory-encryption.rst and
// virt/kvm/x86/amd-memory-encryption.rst.
#include "doctor/check.h"

#include <string.h>

static bool is_amd(const struct host *h)
{
    cleanup_free char *vendor = host_cpu_field(h, "vendor_id");
    return vendor && !strcmp(vendor, "AuthenticAMD");
}

// Families as /proc/cpuinfo counts them: 25 is Zen 3 and 4, 26 is Zen 5.
static enum host_state look_processor(const struct host *h, const struct host_check *c,
                                      struct buf *seen)
{
    cleanup_free char *family = host_cpu_field(h, "cpu family");
    cleanup_free char *model = host_cpu_field(h, "model name");
    if (!is_amd(h)) {
        buf_printf(seen, "%s is no AMD processor", model ? model : "this");
        return HOST_FAIL;
    }
    buf_printf(seen, "%s, family %s", model ? model : "AMD", family ? family : "unknown");
    return family && strtoul(family, NULL, 10) >= 25 ? HOST_OK : HOST_FAIL;
}

static enum host_state look_flags(const struct host *h, const struct host_check *c,
                                  struct buf *seen)
{
    cleanup_free char *flags = host_cpu_field(h, "flags");
    cleanup_strlist struct strlist wanted = {0}, missing = {0};
    strlist_split(&wanted, c->wanted, " ");
    for (size_t i = 0; i < wanted.n; i++)
        if (!flags || !host_has_word(flags, wanted.items[i]))
            strlist_add(&missing, wanted.items[i]);
    cleanup_free char *words = strlist_join(missing.n ? &missing : &wanted, ", ");
    buf_printf(seen, "%s%s", missing.n ? "missing: " : "", words);
    return missing.n ? HOST_FAIL : HOST_OK;
}

#define PARAMETERS "sys/module/kvm_amd/parameters/"

static bool parameter_is_on(const struct host *h, const char *path)
{
    cleanup_buf struct buf text = {0};
    return host_read(h, path, &text) && (text.data[0] == 'Y' || text.data[0] == '1');
}

// Not an error of the machine, but important for users of both kinds of guests.
static enum host_state look_exclusive(const struct host *h, const struct host_check *c,
                                      struct buf *seen)
{
    bool sev = parameter_is_on(h, PARAMETERS "sev"), snp = parameter_is_on(h, PARAMETERS "sev_snp");
    if (!sev || !snp) {
        buf_puts(seen, "SEV and SEV-SNP are not both on");
        return HOST_SKIP;
    }
    buf_puts(seen, "both are on: Kata starts SEV-SNP guests, and no SEV guests besides them");
    return HOST_FAIL;
}

// ---- the kernel's log ----

struct log_line {
    const char *words;
    enum host_state state;
};

// The last matching line is used, since a driver may have been loaded again. NULL if there is none;
// to be freed.
static char *last_line(const char *log, const struct log_line *lines, size_t count,
                       enum host_state *state)
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
static enum host_state judge_log(const struct host *h, const struct log_line *lines, size_t count,
                                 const char *of_what, struct buf *seen)
{
    cleanup_buf struct buf log = {0};
    enum host_state state = HOST_SKIP;
    if (!host_log(h, &log, seen))
        return HOST_SKIP;
    cleanup_free char *line = last_line(log.data, lines, count, &state);
    if (line)
        buf_puts(seen, line);
    else
        buf_printf(seen, "the kernel's log says nothing of %s", of_what);
    return state;
}

// The driver ccp (drivers/crypto/ccp/sev-dev.c): "SEV-SNP API:1.55 build:21" after SNP's firmware
// is initialised, "SEV API:..." after SEV's, which means nothing for SNP.
static const struct log_line init_lines[] = {
    {"SEV-SNP: failed to INIT", HOST_FAIL},
    {"SEV-SNP: failed to SNP_INIT", HOST_FAIL},
    {"SEV-SNP disabled", HOST_FAIL},
    {"SEV-SNP unusable", HOST_FAIL},
    {"SEV-SNP API:", HOST_OK},
};

static enum host_state look_initialised(const struct host *h, const struct host_check *c,
                                        struct buf *seen)
{
    cleanup_buf struct buf log = {0}, unread = {0};
    enum host_state state =
        judge_log(h, init_lines, ARRAY_LEN(init_lines), "SNP's initialisation", seen);
    cleanup_free char *line = NULL;
    if (state == HOST_SKIP && host_log(h, &log, &unread))
        line = host_line_with(log.data, "SEV API:");
    if (!line)
        return state;
    seen->len = 0;
    buf_printf(seen, "%s, and no line of SEV-SNP's: its firmware was not initialised", line);
    return HOST_FAIL;
}

// The version of the firmware's interface: "SEV API:1.51 build:3", "SEV-SNP API:1.55 build:21".
static enum host_state look_firmware(const struct host *h, const struct host_check *c,
                                     struct buf *seen)
{
    cleanup_buf struct buf log = {0};
    if (!host_log(h, &log, seen))
        return HOST_SKIP;
    cleanup_free char *line = host_line_with(log.data, "SEV-SNP API:");
    if (!line)
        line = host_line_with(log.data, "SEV API:");
    if (!line) {
        buf_puts(seen, "the kernel's log names no version of it");
        return HOST_SKIP;
    }
    buf_printf(seen, "%s, wanted %s or newer", line, c->wanted);
    return host_compare_version(strstr(line, "API:"), c->wanted) >= 0 ? HOST_OK : HOST_FAIL;
}

static const struct log_line iommu_lines[] = {
    {"SNP: IOMMU disabled or configured in passthrough mode", HOST_FAIL},
    {"SNP: IOMMU is configured with V2 page table mode", HOST_FAIL},
    {"IOMMU SNP feature not enabled", HOST_FAIL},
    {"IOMMU SNP support enabled", HOST_OK},
};

static enum host_state look_iommu(const struct host *h, const struct host_check *c,
                                  struct buf *seen)
{
    return judge_log(h, iommu_lines, ARRAY_LEN(iommu_lines), "SNP and the IOMMU", seen);
}

static const struct log_line rmp_lines[] = {
    {"RMP table has not been reserved by BIOS", HOST_FAIL},
    {"Memory reserved for the RMP table does not cover", HOST_FAIL},
    {"SEV-SNP: RMP table physical", HOST_OK},
    {"SEV-SNP: RMP segment table physical", HOST_OK},
    {"SEV-SNP: Segmented RMP", HOST_OK},
};

static enum host_state look_rmp(const struct host *h, const struct host_check *c, struct buf *seen)
{
    return judge_log(h, rmp_lines, ARRAY_LEN(rmp_lines), "the RMP table", seen);
}

// The number of guests: "sev 410", "sev_es 99" in misc.capacity; SNP guests use those of sev_es.
static enum host_state look_asids(const struct host *h, const struct host_check *c,
                                  struct buf *seen)
{
    cleanup_buf struct buf text = {0}, log = {0}, unread = {0};
    if (host_read(h, "sys/fs/cgroup/misc.capacity", &text)) {
        cleanup_free char *sev = host_line_with(text.data, "sev ");
        cleanup_free char *es = host_line_with(text.data, "sev_es ");
        buf_printf(seen, "ASIDs: %s, %s", sev ? sev : "no sev", es ? es : "no sev_es");
        return es && strtoul(es + strlen("sev_es "), NULL, 10) ? HOST_OK : HOST_FAIL;
    }
    cleanup_free char *line = NULL;
    if (host_log(h, &log, &unread))
        line = host_line_with(log.data, "SEV-SNP enabled (ASIDs");
    if (!line && log.len)
        line = host_line_with(log.data, "SEV-ES enabled (ASIDs");
    buf_puts(seen, line ? line : "no misc.capacity, and no line of ASIDs in the kernel's log");
    return line ? HOST_OK : HOST_SKIP;
}

static enum host_state look_cgroups(const struct host *h, const struct host_check *c,
                                    struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    if (!host_read(h, "sys/fs/cgroup/cgroup.controllers", &text)) {
        buf_puts(seen, "version 1, or none");
        return HOST_WARN;
    }
    bool misc = host_has_word(text.data, "misc");
    buf_printf(seen, "version 2, %s the controller misc", misc ? "with" : "without");
    return misc ? HOST_OK : HOST_WARN;
}

// Kata's own QEMU for SNP if it is there, else the distribution's.
static const struct host_check *choose_qemu(const struct host *h, const struct host_check *c,
                                            struct host_check *own)
{
    cleanup_buf struct buf text = {0};
    *own = *c;
    own->argument = strstr(c->argument, "version") ? "qemu-snp-version" : "qemu-snp-objects";
    return host_command(h, own->argument, &text) ? own : c;
}

static enum host_state look_qemu(const struct host *h, const struct host_check *c, struct buf *seen)
{
    struct host_check own;
    const struct host_check *chosen = choose_qemu(h, c, &own);
    // A build for SNP before 9.1 has it as patches: its objects show that.
    return chosen == &own
               ? look_version(h, &(struct host_check){.argument = own.argument, .wanted = "0"},
                              seen)
               : look_version(h, c, seen);
}

static enum host_state look_qemu_object(const struct host *h, const struct host_check *c,
                                        struct buf *seen)
{
    struct host_check own;
    return look_object(h, choose_qemu(h, c, &own), seen);
}

#define BIOS                                                                                       \
    "switch on SMEE, SEV-ES ASIDs, SNP memory (RMP table) coverage and the IOMMU in the BIOS, "    \
    "and "                                                                                         \
    "start with a kernel that supports them"
#define RELOAD                                                                                     \
    "as root: modprobe -r kvm_amd && modprobe kvm_amd sev=1 sev_es=1 sev_snp=1; if it stays off: "
static const struct host_check checks[] = {
    {"snp-processor", "processor", look_processor, NULL, NULL, HOST_FAIL,
     "SEV-SNP needs an AMD EPYC 7003 (Milan) or newer"},
    {"snp-flags", "processor flags", look_flags, NULL, "sev sev_es sev_snp", HOST_FAIL, BIOS},
    {"snp-kernel", "kernel", look_kernel, NULL, "6.11", HOST_WARN,
     "Linux hosts SEV-SNP guests from 6.11 on; older ones need AMD's patches"},
    {"snp-sev", "kvm_amd's parameter sev", look_file_value, PARAMETERS "sev", "Y|1", HOST_FAIL,
     RELOAD BIOS},
    {"snp-sev-es", "kvm_amd's parameter sev_es", look_file_value, PARAMETERS "sev_es", "Y|1",
     HOST_FAIL, RELOAD BIOS},
    {"snp-sev-snp", "kvm_amd's parameter sev_snp", look_file_value, PARAMETERS "sev_snp", "Y|1",
     HOST_FAIL, RELOAD BIOS},
    {"snp-exclusive", "SEV besides SEV-SNP", look_exclusive, NULL, NULL, HOST_WARN,
     "to run SEV guests instead, switch SNP off for the whole platform: rmmod kvm_amd && modprobe "
     "kvm_amd sev_snp=0"},
    {"snp-iommu", "IOMMU", look_iommu, NULL, NULL, HOST_FAIL,
     "start the kernel with iommu=nopt (no passthrough) and amd_iommu=on"},
    {"snp-rmp", "RMP table", look_rmp, NULL, NULL, HOST_FAIL,
     "reserve the RMP table for all memory in the BIOS"},
    {"snp-init", "SNP's initialisation", look_initialised, NULL, NULL, HOST_FAIL,
     "look at the log (dmesg | grep -i sev), update BIOS and SEV firmware, and load ccp and "
     "kvm_amd "
     "again"},
    {"snp-device", "SEV device", look_device, "/dev/sev", NULL, HOST_FAIL,
     "modprobe ccp; QEMU must be able to open /dev/sev"},
    {"snp-firmware", "SEV firmware", look_firmware, NULL, "1.51", HOST_FAIL,
     "update the SEV firmware: see https://www.amd.com/en/developer/sev.html"},
    {"snp-asids", "room for guests", look_asids, NULL, NULL, HOST_FAIL,
     "give SEV-ES some ASIDs in the BIOS (minimum SEV non-ES ASID above 1)"},
    {"snp-cgroups", "control groups", look_cgroups, NULL, NULL, HOST_WARN,
     "the controller misc counts SEV guests: use control groups version 2 and a kernel with "
     "CONFIG_CGROUP_MISC. (Kata's guide advises version 1 if old releases of Kata have trouble "
     "with 2)"},
    {"snp-kvm", "KVM", look_kvm, NULL, NULL, HOST_FAIL,
     "modprobe kvm_amd; as an ordinary user, join the group kvm; switch on SVM in the BIOS"},
    {"snp-qemu", "QEMU", look_qemu, "qemu-x86_64-version", "9.1", HOST_FAIL,
     "install kata-static-qemu-snp-experimental, or QEMU 9.1 or newer"},
    {"snp-qemu-object", "QEMU's sev-snp-guest", look_qemu_object, "qemu-x86_64-objects",
     "sev-snp-guest", HOST_FAIL, "install kata-static-qemu-snp-experimental, or QEMU 9.1 or newer"},
};

// Set up for SNP: the processor supports it, and it was enabled. Other machines only build.
static bool applies(const struct host *h, struct buf *why)
{
    cleanup_free char *flags = host_cpu_field(h, "flags");
    if (!is_amd(h)) {
        buf_puts(why, "the processor is none of AMD's");
        return false;
    }
    if (!flags || !host_has_word(flags, "sev_snp")) {
        buf_puts(why, "the processor shows no SEV-SNP");
        return false;
    }
    if (parameter_is_on(h, PARAMETERS "sev_snp"))
        return true;
    buf_puts(why, "the module kvm_amd does not have SEV-SNP on");
    return false;
}

const struct host_group snp_group = {"snp", "Hosting AMD SEV-SNP guests", checks, ARRAY_LEN(checks),
                                     applies};
