// SPDX-License-Identifier: Apache-2.0
// Checks the requirements of a host of IBM Secure Execution guests: Kata's guide ("Host capable of
// Secure Execution"), Linux' Documentation/virt/kvm/s390/s390-pv.rst and sysfs-firmware-uv, QEMU's
// system/s390x/protvirt.
#include "doctor/internal.h"

#include <string.h>

// Machine types of /proc/cpuinfo. An unlisted one may be newer: facility 158 decides.
static const struct {
    const char *type, *model;
    bool able;
} models[] = {
    {"2964", "z13", false},     {"2965", "z13s", false},   {"3906", "z14", false},
    {"3907", "z14 ZR1", false}, {"8561", "z15", true},     {"8562", "z15 T02", true},
    {"3931", "z16", true},      {"3932", "z16 A02", true}, {"9175", "z17", true},
};

static enum doctor_state check_machine(const struct host *h, const struct doctor_check *c,
                                       struct buf *seen)
{
    cleanup_free char *machine = doctor_machine(h);
    if (strcmp(machine, "s390x")) {
        buf_printf(seen, "this is %s, not s390x", *machine ? machine : "an unknown machine");
        return DOCTOR_FAIL;
    }
    cleanup_buf struct buf cpu = {0};
    host_read(h, "proc/cpuinfo", &cpu);
    const char *type = strstr(cpu.data, "machine = ");
    type = type ? type + strlen("machine = ") : "";
    for (size_t i = 0; i < ARRAY_LEN(models); i++)
        if (starts_with(type, models[i].type)) {
            buf_printf(seen, "s390x, IBM %s or its LinuxONE model (type %s)", models[i].model,
                       models[i].type);
            return models[i].able ? DOCTOR_OK : DOCTOR_FAIL;
        }
    buf_printf(
        seen,
        "s390x, machine type %.*s, which kbuild does not know: the ultravisor facility decides",
        (int)strcspn(type, ", \n"), *type ? type : "unknown");
    return DOCTOR_SKIP;
}

static enum doctor_state check_facility(const struct host *h, const struct doctor_check *c,
                                        struct buf *seen)
{
    cleanup_free char *facilities = doctor_cpu_field(h, "facilities");
    if (!facilities) {
        buf_puts(seen, "/proc/cpuinfo does not list facilities");
        return DOCTOR_FAIL;
    }
    bool there = doctor_has_word(facilities, c->value);
    buf_printf(seen, "facility %s is %s", c->value, there ? "installed" : "not installed");
    return there ? DOCTOR_OK : DOCTOR_FAIL;
}

// prot_virt=1, as the kernel parses a boolean; the last one is used.
static enum doctor_state check_parameter(const struct host *h, const struct doctor_check *c,
                                         struct buf *seen)
{
    static const char *const yes[] = {"1", "y", "Y", "on", "t", "T", "true", "yes"};
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist words = {0};
    const char *value = NULL;
    host_read(h, "proc/cmdline", &text);
    strlist_split(&words, text.data, " \t\n");
    for (size_t i = 0; i < words.n; i++)
        if (starts_with(words.items[i], "prot_virt="))
            value = words.items[i] + strlen("prot_virt=");
    if (!value) {
        buf_puts(seen, "the kernel was started without prot_virt=1");
        return DOCTOR_FAIL;
    }
    buf_printf(seen, "prot_virt=%s", value);
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        if (!strcmp(value, yes[i]))
            return DOCTOR_OK;
    return DOCTOR_FAIL;
}

static enum doctor_state check_memory(const struct host *h, const struct doctor_check *c,
                                      struct buf *seen)
{
    cleanup_buf struct buf log = {0};
    if (!doctor_kernel_log(h, &log, seen))
        return DOCTOR_SKIP;
    cleanup_free char *line = host_line_with(log.data, "ultravisor base storage");
    buf_puts(seen, line ? line
                        : "the kernel's log does not show the memory that the ultravisor reserved");
    return line ? DOCTOR_OK : DOCTOR_FAIL;
}

static enum doctor_state check_limits(const struct host *h, const struct doctor_check *c,
                                      struct buf *seen)
{
    static const char *const names[] = {"max_guests", "max_cpus",        "max_address",
                                        "facilities", "supp_se_hdr_ver", "supp_se_hdr_pcf"};
    unsigned long guests = 0;
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        cleanup_free char *path = xasprintf("sys/firmware/uv/query/%s", names[i]);
        cleanup_buf struct buf value = {0};
        if (!host_read(h, path, &value))
            continue;
        value.data[strcspn(value.data, "\n")] = '\0';
        buf_printf(seen, "%s%s %s", seen->len ? ", " : "", names[i], value.data);
        char *end;
        if (i == 0 && (guests = strtoul(value.data, &end, 10), *value.data && !*end))
            known = true;
    }
    if (known)
        return guests ? DOCTOR_OK : DOCTOR_FAIL;
    buf_printf(seen, "%s/sys/firmware/uv/query/max_guests contains no number",
               seen->len ? "; " : "");
    return DOCTOR_SKIP;
}

// KVM rejects protected guests while it backs guests with huge pages.
static enum doctor_state check_huge_pages(const struct host *h, const struct doctor_check *c,
                                          struct buf *seen)
{
    cleanup_buf struct buf text = {0};
    if (!host_read(h, c->argument, &text)) {
        buf_puts(seen, "the module kvm has no parameter hpage");
        return DOCTOR_SKIP;
    }
    char value = text.data[0];
    buf_printf(seen, "kvm.hpage is %c", value ? value : '?');
    return value == '0' || value == 'N' ? DOCTOR_OK : DOCTOR_FAIL;
}

#define PROT_VIRT                                                                                  \
    "add prot_virt=1 to the kernel parameters and reboot: on Debian and Ubuntu, in "               \
    "/etc/zipl.conf, then zipl -V; on RHEL: grubby --update-kernel=ALL --args=prot_virt=1 && zipl"
static const struct doctor_check checks[] = {
    {"se-machine", "machine", check_machine, NULL, NULL, DOCTOR_FAIL,
     "use an IBM z15, a LinuxONE III, or a newer machine: older ones have no Secure Execution"},
    {"se-facility", "ultravisor facility", check_facility, NULL, "158", DOCTOR_FAIL,
     "ask the operator of the machine to enable Secure Execution (feature code 115) for this LPAR; "
     "a guest of KVM or z/VM has no such facility"},
    {"se-kernel", "kernel", doctor_check_kernel, NULL, "5.7", DOCTOR_FAIL,
     "install a kernel that supports protected guests: Linux 5.7 or newer"},
    {"se-parameter", "kernel parameter prot_virt", check_parameter, NULL, NULL, DOCTOR_FAIL,
     PROT_VIRT},
    {"se-prot-virt", "ultravisor in use", doctor_check_file_value, "sys/firmware/uv/prot_virt_host",
     "1", DOCTOR_FAIL, PROT_VIRT},
    {"se-memory", "memory of the ultravisor", check_memory, NULL, NULL, DOCTOR_WARN,
     "check the boot log: journalctl -k | grep -i ultravisor"},
    {"se-limits", "limits of the ultravisor", check_limits, NULL, NULL, DOCTOR_FAIL,
     "max_guests must be 1 or more: ask the operator of the machine to allow Secure Execution "
     "guests in this LPAR"},
    {"se-kvm", "KVM", doctor_check_kvm, NULL, NULL, DOCTOR_FAIL,
     "as root: modprobe kvm; as an ordinary user, also join the group kvm"},
    {"se-hpage", "huge pages of KVM", check_huge_pages, "sys/module/kvm/parameters/hpage", NULL,
     DOCTOR_FAIL,
     "protected guests do not work with huge pages; as root: rmmod kvm && modprobe kvm hpage=0"},
    {"se-qemu", "QEMU", doctor_check_version, "qemu-s390x-version", "6.0", DOCTOR_FAIL,
     "install Kata's QEMU (kbuild install qemu), or your distribution's for s390x: 6.0 is the "
     "first "
     "with confidential-guest-support"},
    {"se-qemu-object", "QEMU's s390-pv-guest", doctor_check_qemu_object, "qemu-s390x-objects",
     "s390-pv-guest", DOCTOR_FAIL, "install a QEMU for s390x that was built with KVM"},
};

static bool applies(const struct host *h, struct buf *why)
{
    cleanup_free char *machine = doctor_machine(h);
    cleanup_free char *facilities = doctor_cpu_field(h, "facilities");
    cleanup_buf struct buf text = {0}, on = {0};
    if (strcmp(machine, "s390x")) {
        buf_printf(why, "this is %s, not s390x", *machine ? machine : "an unknown machine");
        return false;
    }
    host_read(h, "proc/cmdline", &text);
    host_read(h, "sys/firmware/uv/prot_virt_host", &on);
    if ((facilities && doctor_has_word(facilities, "158")) || on.data[0] == '1' ||
        strstr(text.data, "prot_virt=1"))
        return true;
    buf_puts(why, "the machine has no ultravisor facility, and prot_virt=1 is not set");
    return false;
}

const struct doctor_group se_group = {"se", "Hosting IBM Secure Execution guests", checks,
                                      ARRAY_LEN(checks), applies};
