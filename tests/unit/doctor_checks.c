// SPDX-License-Identifier: Apache-2.0
// kbuild doctor on trees made up for machines that are fit, and for each way of not being so.
#include "test.h"

#include "base/file.h"
#include "doctor/internal.h"

#include <stdint.h>
#include <string.h>

struct file {
    const char *path, *text; // text NULL: the file of the good machine is missing
};

static const struct file se_host[] = {
    {"proc/cmdline", "root=/dev/dasda1 prot_virt=1 quiet\n"},
    {"proc/cpuinfo", "vendor_id       : IBM/S390\n# processors    : 2\nbogomips per cpu: 3241.00\n"
                     "facilities      : 0 1 2 3 71 129 158 161 168\n"
                     "processor 0: version = 00,  identification = 0A1B2C,  machine = 8561\n"},
    {"sys/firmware/uv/prot_virt_host", "1\n"},
    {"sys/firmware/uv/query/max_guests", "47\n"},
    {"sys/firmware/uv/query/max_cpus", "248\n"},
    {"sys/module/kvm/parameters/hpage", "N\n"},
    {"commands/uname.txt", "Linux 6.1.0-13-s390x s390x\n"},
    {"commands/dmesg.txt",
     "[    0.063630] prot_virt.f9efb6: Reserving 98MB as ultravisor base storage\n"},
    {"commands/devices.txt", "/dev/kvm usable\n"},
    {"commands/kvm-guest.txt", "ran a guest\n"},
    {"commands/qemu-s390x-version.txt", "QEMU emulator version 9.1.2 (kata-static)\n"},
    {"commands/qemu-s390x-objects.txt",
     "List of user creatable objects:\n  rng-random\n  s390-pv-guest\n"},
};

static const struct file snp_host[] = {
    {"proc/cpuinfo", "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 1\n"
                     "model name\t: AMD EPYC 7763 64-Core Processor\n"
                     "flags\t\t: fpu svm sme sev sev_es sev_snp\n"},
    {"sys/module/kvm_amd/parameters/sev", "Y\n"},
    {"sys/module/kvm_amd/parameters/sev_es", "1\n"},
    {"sys/module/kvm_amd/parameters/sev_snp", "Y\n"},
    {"sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n"},
    {"sys/fs/cgroup/misc.capacity", "sev 410\nsev_es 99\n"},
    {"commands/uname.txt", "Linux 6.11.5 x86_64\n"},
    {"commands/dmesg.txt", "[    1.1] SEV-SNP: RMP table physical range [0x1 - 0x2]\n"
                           "[    2.2] AMD-Vi: IOMMU SNP support enabled.\n"
                           "[    3.3] ccp 0000:22:00.1: SEV-SNP API:1.55 build:21\n"},
    {"commands/devices.txt", "/dev/kvm usable\n/dev/sev usable\n"},
    {"commands/kvm-guest.txt", "ran a guest\n"},
    {"commands/qemu-x86_64-version.txt", "QEMU emulator version 10.0.3\n"},
    {"commands/qemu-x86_64-objects.txt",
     "List of user creatable objects:\n  sev-guest\n  sev-snp-guest\n"},
};

static const struct file build_host[] = {
    {"proc/sys/user/max_user_namespaces", "15000\n"},
    {"proc/sys/kernel/unprivileged_userns_clone", "1\n"},
    {"proc/sys/kernel/apparmor_restrict_unprivileged_userns", "0\n"},
    {"proc/meminfo", "MemTotal:       16316412 kB\nMemFree: 1 kB\n"},
    {"sys/devices/system/cpu/online", "0-3,8\n"},
    {"etc/apt/sources.list.d/debian.sources",
     "Types: deb\nURIs: http://user:secret@example.org/debian\n"},
    {"commands/bwrap-version.txt", "bubblewrap 0.8.0\n"},
    {"commands/sandbox.txt", "bubblewrap 0.8.0\n"},
    {"commands/disk.txt", "99999999999 /var/cache\n"},
    {"commands/devices.txt", "/dev/kvm usable\n"},
    {"commands/kvm-guest.txt", "ran a guest\n"},
    {"commands/programs.txt",
     "mmdebstrap /usr/bin/mmdebstrap\napt-get /a\ndpkg-deb /a\ngit /a\npatch /a\nxz /a\n"
     "s390x-linux-gnu-gcc /a\nx86_64-linux-gnu-gcc /a\naarch64-linux-gnu-gcc /a\n"
     "powerpc64le-linux-gnu-gcc /a\nqemu-system-s390x /a\nqemu-system-x86_64 /a\n"},
};

#define LOG "commands/dmesg.txt"
#define GOOD_LOG                                                                                   \
    "[    1.1] SEV-SNP: RMP table physical range [0x1 - 0x2]\n"                                    \
    "[    2.2] AMD-Vi: IOMMU SNP support enabled.\n"
#define PARAMETER "sys/module/kvm_amd/parameters/"
// What differs from the good machine, and the checks that are then not ok, "id=state" each.
static const struct {
    const char *what, *group;
    struct file files[4];
    const char *expected;
} machines[] = {
    {"a good host of Secure Execution, a z15", "se", {{0}}, ""},
    {"facility 158 must be a word",
     "se",
     {{"proc/cpuinfo", "facilities : 0 1158 1580\nprocessor 0: machine = 3931\n"}},
     "se-facility=fail"},
    {"without prot_virt",
     "se",
     {{"proc/cmdline", "quiet noprot_virt=1\n"},
      {"sys/firmware/uv/prot_virt_host", "0\n"},
      {"sys/firmware/uv/query/max_guests", NULL},
      {LOG, "[ 0.0] Linux version 6.1.0\n"}},
     "se-parameter=fail se-prot-virt=fail se-memory=warn se-limits=skip"},
    {"the last prot_virt counts",
     "se",
     {{"proc/cmdline", "prot_virt=1 prot_virt=0\n"}},
     "se-parameter=fail"},
    {"no file of the ultravisor",
     "se",
     {{"sys/firmware/uv/prot_virt_host", NULL}},
     "se-prot-virt=fail"},
    {"the ultravisor allows no guest",
     "se",
     {{"sys/firmware/uv/query/max_guests", "0\n"}},
     "se-limits=fail"},
    {"how many guests is not said",
     "se",
     {{"sys/firmware/uv/query/max_guests", NULL}},
     "se-limits=skip"},
    {"a machine that came later",
     "se",
     {{"proc/cpuinfo", "facilities : 0 158\nprocessor 0: version = 00, machine = 9999\n"}},
     "se-machine=skip"},
    {"an old machine",
     "se",
     {{"proc/cpuinfo", "facilities : 0 158\nprocessor 0: version = 00, machine = 3906\n"}},
     "se-machine=fail"},
    {"another machine", "se", {{"commands/uname.txt", "Linux 6.1.0 x86_64\n"}}, "se-machine=fail"},
    {"an old kernel", "se", {{"commands/uname.txt", "Linux 5.6.19 s390x\n"}}, "se-kernel=fail"},
    {"QEMU is too old",
     "se",
     {{"commands/qemu-s390x-version.txt", "QEMU emulator version 5.2.0\n"}},
     "se-qemu=fail"},
    {"QEMU 10 is newer than 6",
     "se",
     {{"commands/qemu-s390x-version.txt", "QEMU emulator version 10.0.0\n"}},
     ""},
    {"QEMU without the object",
     "se",
     {{"commands/qemu-s390x-objects.txt", "  s390-pv-guest-not\n"}},
     "se-qemu-object=fail"},
    {"no QEMU",
     "se",
     {{"commands/qemu-s390x-version.txt", NULL}, {"commands/qemu-s390x-objects.txt", NULL}},
     "se-qemu=fail se-qemu-object=skip"},
    {"KVM that this user can't open",
     "se",
     {{"commands/devices.txt", "/dev/kvm forbidden\n"}},
     "se-kvm=fail"},
    {"huge pages", "se", {{"sys/module/kvm/parameters/hpage", "1\n"}}, "se-hpage=fail"},
    {"a log for root only",
     "se",
     {{LOG, "dmesg: read kernel buffer failed: Operation not permitted\n"}},
     "se-memory=skip"},

    {"a good host of SEV-SNP: the warning alone", "snp", {{0}}, "snp-exclusive=warn"},
    {"SEV is off", "snp", {{PARAMETER "sev", "N\n"}}, "snp-sev=fail snp-exclusive=skip"},
    {"SNP without SEV-ES",
     "snp",
     {{PARAMETER "sev_es", "N\n"}, {"sys/fs/cgroup/misc.capacity", "sev 509\nsev_es 0\n"}},
     "snp-sev-es=fail snp-exclusive=warn snp-asids=fail"},
    {"SNP is off, so SEV guests run",
     "snp",
     {{PARAMETER "sev_snp", "N\n"}},
     "snp-sev-snp=fail snp-exclusive=skip"},
    {"the module is not loaded",
     "snp",
     {{PARAMETER "sev", NULL}, {PARAMETER "sev_es", NULL}, {PARAMETER "sev_snp", NULL}},
     "snp-sev=fail snp-sev-es=fail snp-sev-snp=fail snp-exclusive=skip"},
    {"the IOMMU passes through",
     "snp",
     {{LOG, "[ 1.0] AMD-Vi: SNP: IOMMU disabled or configured in passthrough mode, SNP cannot be "
            "supported.\n"
            "[ 2.0] ccp: SEV API:1.49 build:3\n"}},
     "snp-exclusive=warn snp-iommu=fail snp-rmp=skip snp-init=fail snp-firmware=fail"},
    {"SNP's initialisation failed, and SEV's did not",
     "snp",
     {{LOG, GOOD_LOG "[ 3.1] ccp 0000:22:00.1: SEV-SNP: failed to INIT rc -5, error 0x3\n"
                     "[ 3.2] ccp 0000:22:00.1: SEV API:1.55 build:21\n"}},
     "snp-exclusive=warn snp-init=fail"},
    {"SNP was never initialised",
     "snp",
     {{LOG, GOOD_LOG "[ 3.2] ccp 0000:22:00.1: SEV API:1.55 build:21\n"}},
     "snp-exclusive=warn snp-init=fail"},
    {"at the second try it was",
     "snp",
     {{LOG, GOOD_LOG "[ 3.1] ccp 0000:22:00.1: SEV-SNP: failed to INIT rc -5, error 0x3\n"
                     "[ 9.9] ccp 0000:22:00.1: SEV-SNP API:1.55 build:21\n"}},
     "snp-exclusive=warn"},
    {"a log that has lost its beginning proves nothing",
     "snp",
     {{LOG, "[ 99999.9] something else\n"}},
     "snp-exclusive=warn snp-iommu=skip snp-rmp=skip snp-init=skip snp-firmware=skip"},
    {"no ASIDs, with a blank too many",
     "snp",
     {{"sys/fs/cgroup/misc.capacity", "sev 509\nsev_es  0\n"}},
     "snp-exclusive=warn snp-asids=fail"},
    {"KVM that starts nothing",
     "snp",
     {{"commands/kvm-guest.txt", "failed KVM_RUN: Exec format error\n"}},
     "snp-exclusive=warn snp-kvm=fail"},
    {"an Intel machine",
     "snp",
     {{"proc/cpuinfo", "vendor_id\t: GenuineIntel\nmodel name\t: Xeon\nflags\t\t: vmx tdx\n"}},
     "snp-processor=fail snp-flags=fail snp-exclusive=warn"},
    {"a client's processor",
     "snp",
     {{"proc/cpuinfo", "vendor_id : AuthenticAMD\ncpu family : 23\nflags : sev sev_es\n"}},
     "snp-processor=fail snp-flags=fail snp-exclusive=warn"},
    {"control groups of version 1",
     "snp",
     {{"sys/fs/cgroup/cgroup.controllers", NULL}, {"sys/fs/cgroup/misc.capacity", NULL}},
     "snp-exclusive=warn snp-asids=skip snp-cgroups=warn"},
    {"no /dev/sev",
     "snp",
     {{"commands/devices.txt", "/dev/kvm usable\n"}},
     "snp-exclusive=warn snp-device=fail"},
    {"Kata's own QEMU comes first",
     "snp",
     {{"commands/qemu-snp-version.txt", "QEMU emulator version 8.2.50\n"},
      {"commands/qemu-snp-objects.txt", "  sev-snp-guest\n"},
      {"commands/qemu-x86_64-objects.txt", "  sev-guest\n"}},
     "snp-exclusive=warn"},
    {"QEMU 7.2 has no sev-snp-guest",
     "snp",
     {{"commands/qemu-x86_64-version.txt", "QEMU emulator version 7.2.9 (Debian 1:7.2)\n"},
      {"commands/qemu-x86_64-objects.txt", "  sev-guest\n"}},
     "snp-exclusive=warn snp-qemu=fail snp-qemu-object=fail"},

    {"a good machine to build on", "build", {{0}}, ""},
    {"no user namespaces",
     "build",
     {{"proc/sys/user/max_user_namespaces", "0\n"},
      {"proc/sys/kernel/unprivileged_userns_clone", "0\n"},
      {"proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n"},
      {"commands/sandbox.txt", "bwrap: No permissions to create new namespace\n"}},
     "build-namespaces=fail build-namespaces-unprivileged=fail build-namespaces-apparmor=warn "
     "build-sandbox=fail"},
    {"a switch that is in nobody's way",
     "build",
     {{"proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n"}},
     ""},
    {"KVM that starts nothing: builds work, and boot is slow",
     "build",
     {{"commands/kvm-guest.txt", "failed KVM_CREATE_VCPU: Operation not supported\n"}},
     "build-kvm=warn"},
    {"KVM that nobody tried", "build", {{"commands/kvm-guest.txt", NULL}}, "build-kvm=skip"},
    {"a cache that runs no programs",
     "build",
     {{"commands/disk.txt", "99999999999 /var/cache\nnoexec\n"}},
     "build-execution=fail"},
    {"package sources that are switched off",
     "build",
     {{"etc/apt/sources.list.d/debian.sources",
       "Types: deb\nEnabled: no\nURIs: http://example.org/debian\n\n"
       "Types: deb-src\nURIs: http://example.org/debian\n"}},
     "build-package-sources=fail"},
    {"a switch that says nothing",
     "build",
     {{"proc/sys/user/max_user_namespaces", "\n"}},
     "build-namespaces=skip"},
    {"an old bubblewrap",
     "build",
     {{"commands/bwrap-version.txt", "bubblewrap 0.4.1\n"}},
     "build-bubblewrap=fail"},
    {"little of everything",
     "build",
     {{"proc/meminfo", "MemTotal: 500000 kB\n"},
      {"sys/devices/system/cpu/online", "0\n"},
      {"commands/disk.txt", "10000000000 /\n"},
      {"etc/apt/sources.list.d/debian.sources", "# none\n"}},
     "build-package-sources=fail build-disk=warn build-memory=fail build-processors=warn"},
};

static const struct {
    const char *group;
    const struct file *files;
    size_t count;
} good_machines[] = {{"se", se_host, ARRAY_LEN(se_host)},
                     {"snp", snp_host, ARRAY_LEN(snp_host)},
                     {"build", build_host, ARRAY_LEN(build_host)}};

static char *root;

static int make_root(void **state)
{
    return (root = make_temporary_directory("/tmp", "kbuild-doctor", NULL)) ? 0 : -1;
}

static int remove_root(void **state)
{
    int result = remove_tree(root, NULL);
    free(root);
    return result;
}

static void put(const char *path, const char *text, size_t length)
{
    cleanup_free char *file = xasprintf("%s/%s", root, path);
    assert_int_equal(make_parent(file, NULL), 0);
    assert_int_equal(file_write(file, text, length, 0644, NULL), 0);
}

static void put_files(const struct file *files, size_t count)
{
    for (size_t i = 0; i < count && files[i].path; i++) {
        cleanup_free char *file = xasprintf("%s/%s", root, files[i].path);
        if (files[i].text)
            put(files[i].path, files[i].text, strlen(files[i].text));
        else
            assert_int_equal(unlink(file), 0);
    }
}

static void examine(const char *group, struct doctor_report *r)
{
    const struct doctor_request request = {.group = group, .root = root};
    struct error *err = NULL;
    if (doctor_run(&request, r, &err) < 0)
        fail_msg("%s", err->message);
}

// "id=state" of all checks that are not ok.
static char *summary(const struct doctor_report *r)
{
    struct strlist words = {0};
    for (size_t i = 0; i < r->n; i++)
        if (r->findings[i].state != DOCTOR_OK)
            strlist_addf(&words, "%s=%s", r->findings[i].id,
                         doctor_state_name(r->findings[i].state));
    char *text = strlist_join(&words, " ");
    strlist_free(&words);
    return text;
}

TEST_WITH(each_machine_is_judged_as_it_should_be, make_root, remove_root)
{
    for (size_t i = 0; i < ARRAY_LEN(machines); i++) {
        assert_int_equal(remove_tree(root, NULL), 0);
        for (size_t k = 0; k < ARRAY_LEN(good_machines); k++)
            if (!strcmp(good_machines[k].group, machines[i].group))
                put_files(good_machines[k].files, good_machines[k].count);
        put_files(machines[i].files, ARRAY_LEN(machines[i].files));
        struct doctor_report r = {0};
        examine(machines[i].group, &r);
        cleanup_free char *have = summary(&r);
        if (strcmp(have, machines[i].expected) != 0)
            fail_msg("%s:\n%s\nwanted:\n%s", machines[i].what, have, machines[i].expected);
        for (size_t k = 0; k < r.n; k++)
            assert_true(*r.findings[k].seen && !r.findings[k].fix == !r.findings[k].state);
        doctor_report_free(&r);
    }
}

TEST_WITH(nothing_at_all_is_nothing_to_build_on, make_root, remove_root)
{
    struct doctor_report r = {0};
    examine(NULL, &r);
    for (size_t i = 0; i < r.n; i++) {
        assert_string_equal(r.findings[i].group, "build");
        assert_int_not_equal(r.findings[i].state, DOCTOR_OK);
    }
    assert_true(r.counts[DOCTOR_FAIL] > 0);
    assert_int_equal(r.counts[DOCTOR_OK], 0);
    doctor_report_free(&r);
}

TEST_WITH(without_a_name_the_checks_fit_the_machine, make_root, remove_root)
{
    static const struct {
        const struct file *files;
        size_t count;
        const char *group, *other;
    } cases[] = {{se_host, ARRAY_LEN(se_host), "se", "snp"},
                 {snp_host, ARRAY_LEN(snp_host), "snp", "se"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(remove_tree(root, NULL), 0);
        put_files(cases[i].files, cases[i].count);
        struct doctor_report r = {0};
        examine(NULL, &r);
        unsigned fits = 0, build = 0;
        for (size_t k = 0; k < r.n; k++) {
            fits += !strcmp(r.findings[k].group, cases[i].group);
            build += !strcmp(r.findings[k].group, "build");
            assert_string_not_equal(r.findings[k].group, cases[i].other);
        }
        assert_true(fits && build);
        doctor_report_free(&r);
    }
    cleanup_error struct error *err = NULL;
    struct doctor_report r = {0};
    assert_int_equal(doctor_run(&(struct doctor_request){.group = "tdx"}, &r, &err), -1);
    assert_int_equal(err->kind, ERROR_USAGE);
}

TEST_WITH(links_do_not_lead_out_of_the_tree, make_root, remove_root)
{
    put_files(se_host, ARRAY_LEN(se_host));
    cleanup_free char *outside = xasprintf("%s.outside", root);
    cleanup_free char *link = xasprintf("%s/proc/cmdline", root);
    assert_int_equal(file_write(outside, "prot_virt=1\n", 12, 0644, NULL), 0);
    static const char *const ways_up[] = {"", "../../../../../.."};
    for (size_t i = 0; i < ARRAY_LEN(ways_up); i++) {
        cleanup_free char *target = xasprintf("%s%s", ways_up[i], outside);
        assert_int_equal(unlink(link), 0);
        assert_int_equal(symlink(target, link), 0);
        struct doctor_report r = {0};
        examine("se", &r);
        cleanup_free char *have = summary(&r);
        assert_string_equal(have, "se-parameter=fail");
        doctor_report_free(&r);
    }
    // An absolute link within the tree is followed within it.
    put("etc/cmdline", "prot_virt=1\n", 12);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(symlink("/etc/cmdline", link), 0);
    struct doctor_report r = {0};
    examine("se", &r);
    assert_int_equal(r.counts[DOCTOR_FAIL], 0);
    doctor_report_free(&r);
    unlink(outside);
}

// Everything is a fifo, a directory, binary, or endless: no check may hang, crash, or print control
// characters.
TEST_WITH(hostile_files_are_harmless, make_root, remove_root)
{
    cleanup_buf struct buf noise = {0};
    uint32_t x = 1;
    while (noise.len < 6u << 20) {
        x = x * 1664525 + 1013904223;
        buf_add(&noise, &x, 4);
    }
    for (int kind = 0; kind < 4; kind++) {
        assert_int_equal(remove_tree(root, NULL), 0);
        for (size_t k = 0; k < ARRAY_LEN(good_machines); k++)
            for (size_t i = 0; i < good_machines[k].count; i++) {
                const char *path = good_machines[k].files[i].path;
                cleanup_free char *file = xasprintf("%s/%s", root, path);
                if (kind == 0)
                    put(path, noise.data, i % 3 ? 5000 : noise.len);
                else if (kind == 1)
                    put(path, "\0\0\0 1\n\033[31m", 11);
                else if (kind == 2)
                    assert_int_equal(make_directories(file, 0755, NULL), 0);
                else if (make_parent(file, NULL) == 0 && !path_exists(file))
                    assert_int_equal(mkfifo(file, 0644), 0);
            }
        for (size_t k = 0; k < ARRAY_LEN(good_machines); k++) {
            struct doctor_report r = {0};
            examine(good_machines[k].group, &r);
            for (size_t i = 0; i < r.n; i++) {
                assert_true(strlen(r.findings[i].seen) <= 200);
                for (const char *p = r.findings[i].seen; *p; p++)
                    assert_in_range(*p, 0x20, 0x7e);
            }
            doctor_report_free(&r);
        }
    }
}

TEST_WITH(passwords_of_package_sources_are_not_shown, make_root, remove_root)
{
    put_files(build_host, ARRAY_LEN(build_host));
    struct doctor_report r = {0};
    examine("build", &r);
    json_t *all = doctor_json(&r);
    cleanup_free char *text = json_dumps(all, 0);
    assert_null(strstr(text, "secret"));
    // Nor kept: what is collected is sent to others.
    struct host h = {0};
    cleanup_buf struct buf lines = {0};
    cleanup_free char *kept = xasprintf("%s/kept", root);
    cleanup_free char *copy = xasprintf("%s/etc/apt/sources.list.d/debian.sources", kept);
    cleanup_free char *counts = xasprintf("%s/commands/package-sources.txt", kept);
    assert_int_equal(host_open(&h, root, NULL), 0);
    h.record = kept;
    assert_true(host_command(&h, "package-sources", &lines));
    host_close(&h);
    assert_true(path_exists(counts));
    assert_false(path_exists(copy));
    assert_non_null(strstr(text, "debian.sources (1)"));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(all, "summary"), "ok")),
                     r.n);
    json_decref(all);
    doctor_report_free(&r);
}

TEST(versions_are_compared_by_number)
{
    static const struct {
        const char *text, *version;
        int result;
    } cases[] = {{"QEMU emulator version 9.1.2", "9.1", 0},
                 {"v10.0", "9.1", 1},
                 {"6.9.1", "6.11", -1},
                 {"6.11-rc1", "6.11", 0},
                 {"x86_64 7", "1", -2},
                 {"", "1", -2},
                 {"API:1.51 build:3", "1.51", 0},
                 {"bubblewrap 0.10.0", "0.5", 1}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(doctor_compare_version(cases[i].text, cases[i].version), cases[i].result);
}
