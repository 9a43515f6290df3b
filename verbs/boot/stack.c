// SPDX-License-Identifier: Apache-2.0
// Boots a stack: the kernel, the initrd or disk, the firmware and the QEMU in the boot section of a
// target, unchanged. If the machine supports a kind of confidential guest in the recipe, it starts
// one. A changed measured disk must not start.
#include "boot/internal.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

// ---- changed disks, which must not start ----

// The kernel rejects its root, with the messages of dm-verity (drivers/md/dm-verity-target.c), and
// panics because it has none.
static int prove_refusal(struct boot_run *run, const char *what, struct error **err)
{
    struct strlist *before = (struct strlist *)run->machine.expect;
    cleanup_strlist struct strlist corrupted = {0};
    strlist_add(&corrupted, "is corrupted");
    run->machine.expect = &corrupted;
    fprintf(run->console, "==== %s\n", what);
    int result = guest_expect_panic(&run->machine, err);
    run->machine.expect = before;
    if (result < 0)
        return error_wrap(err, "with %s the guest must not start", what);
    log_note("proven: with %s it does not start: the kernel reports a corrupted block", what);
    return 0;
}

// Changes the first byte of the file system. Only dm-verity reads it: ext4's superblock is 1024
// bytes later, in the same block.
static int change_byte(struct boot_run *run, struct error **err)
{
    unsigned char sector[DISK_SECTOR], byte;
    cleanup_close int fd = open(run->disk, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "opening %s", run->disk);
    if (disk_read_at(fd, run->disk, sector, sizeof sector, 0, err) < 0)
        return -1;
    uint64_t first = mbr_first_partition(sector);
    if (disk_read_at(fd, run->disk, &byte, 1, first, err) < 0)
        return -1;
    byte ^= 1;
    return fd_write_at(fd, run->disk, &byte, 1, first, err);
}

static int prove_changed_disks(struct boot_run *run, struct error **err)
{
    struct verity other = run->verity;
    if (!run->disk)
        return 0;
    if (!run->measured) {
        log_note("not proven: that a changed disk does not start: the disk is not measured");
        return 0;
    }
    other.root[0] ^= 0x10;
    cleanup_free char *append = boot_root_command_line(run, &other);
    const char *before = run->machine.append;
    run->machine.append = append;
    int result = prove_refusal(run, "one digit of the root hash changed", err);
    run->machine.append = before;
    if (result < 0 || change_byte(run, err) < 0)
        return -1;
    return prove_refusal(run, "one byte of the disk changed", err);
}

// ---- a stack and its machine ----

// The files to start. Strings that are not const are owned.
struct stack {
    const struct recipe_boot *boot;
    const struct recipe_machine *special; // of the confidential guest, or NULL
    enum recipe_confidential kind;        // of that guest
    struct confidential_host host;        // of that guest
    char *kernel, *initrd, *firmware, *qemu, *data, *machine, *options;
    struct strlist expect;
    struct strlist parts; // for people: "kernel", "initrd"...
};

static void stack_free(struct stack *s)
{
    free(s->kernel);
    free(s->initrd);
    free(s->firmware);
    free(s->qemu);
    free(s->data);
    free(s->machine);
    free(s->options);
    strlist_free(&s->expect);
    strlist_free(&s->parts);
}

static int extract_stack_part(struct boot_run *run, struct stack *s, const char *reference,
                              const char *name, char **out, struct error **err)
{
    if (boot_extract_part(run, reference, run->arch, name, out, err) < 0)
        return -1;
    if (*out)
        strlist_add(&s->parts, name);
    return 0;
}

// Unpacks QEMU's whole tarball, since QEMU reads its firmware and option ROMs from its data
// directory.
static int unpack_qemu(struct boot_run *run, struct stack *s, struct error **err)
{
    const struct node *node = boot_find_part(run, s->boot->qemu, run->arch, err);
    if (!node)
        return -1;
    cleanup_free char *folder = xasprintf("%s/qemu", run->folder);
    cleanup_close int in = store_open_blob(run->b->store, node->outputs[0].digest, err);
    const struct unpack_options options = {0};
    if (in < 0 || make_directories(folder, 0700, err) < 0 ||
        unpack(in, node->outputs[0].name, folder, &options, NULL, err) < 0)
        return -1;
    s->qemu = xasprintf("%s/%s", folder, strchr(s->boot->qemu, ':') + 1);
    if (s->boot->data)
        s->data = xasprintf("%s/%s", folder, s->boot->data);
    if (access(s->qemu, X_OK) < 0 || (s->data && !is_directory(s->data)))
        return error_user(err, "booting %s: %s has no %s, which its boot section names",
                          run->recipe->name, node->outputs[0].name,
                          access(s->qemu, X_OK) < 0 ? s->boot->qemu : s->boot->data);
    strlist_add(&s->parts, "QEMU");
    return 0;
}

static int extract_disk(struct boot_run *run, struct error **err)
{
    if (boot_extract_part(run, run->recipe->boot->disk, run->arch, "disk", &run->disk, err) < 0)
        return -1;
    return boot_find_root(run, err);
}

static int choose_qemu(struct boot_run *run, struct stack *s, struct error **err)
{
    if (run->o->qemu) {
        if (strcmp(run->o->qemu, "host") != 0)
            s->qemu = path_absolute(run->o->qemu);
        return 0;
    }
    if (!s->boot->qemu)
        return 0;
    if (run->arch == arch_host())
        return unpack_qemu(run, s, err);
    log_note("the built QEMU runs on %s only: this machine's QEMU is used instead",
             run->arch->name);
    return 0;
}

// Finds a kind of guest in the recipe that this machine can start.
static int choose_confidential(struct boot_run *run, struct stack *s, const struct host *h,
                               struct error **err)
{
    bool usual = run->o->plain || run->arch != arch_host();
    for (size_t i = 0; i < CONFIDENTIAL_KINDS && !usual; i++) {
        enum recipe_confidential kind = (enum recipe_confidential)i;
        int found = s->boot->confidential[i] ? confidential_host(h, kind, &s->host, err) : 0;
        if (found < 0)
            return -1;
        if (!found)
            continue;
        s->special = s->boot->confidential[i];
        s->kind = kind;
        return 0;
    }
    return 0;
}

static char *expand_placeholders(const struct stack *s, const char *text)
{
    cleanup_free char *memory = xasprintf("%u", MACHINE_MEMORY);
    cleanup_free char *bit = xasprintf("%u", s->host.cbitpos);
    const struct placeholder names[] = {{"{memory}", memory}, {"{cbitpos}", bit}};
    return text ? placeholders_expand(text, names, ARRAY_LEN(names)) : NULL;
}

// A confidential guest is started like the plain one, except for its own section's settings.
#define MACHINE_SETTING(s, member)                                                                 \
    ((s)->special && (s)->special->member ? (s)->special->member : (s)->boot->plain.member)

static void describe_machine(struct boot_run *run, struct stack *s, const struct host *h)
{
    struct machine *m = &run->machine;
    cleanup_buf struct buf devices = {0};
    host_command(h, "devices", &devices);
    strlist_add_all(&s->expect, &s->boot->plain.expect);
    if (s->special)
        strlist_add_all(&s->expect, &s->special->expect);
    s->machine = expand_placeholders(s, MACHINE_SETTING(s, machine));
    s->options = expand_placeholders(s, MACHINE_SETTING(s, options));
    m->arch = run->arch;
    m->kernel = s->kernel;
    m->initrd = s->initrd;
    m->append = run->append ? run->append : s->boot->append ? s->boot->append : "";
    m->disk = run->disk;
    m->program = s->qemu;
    m->data = s->data;
    m->firmware = s->firmware;
    m->machine = s->machine;
    m->cpu = MACHINE_SETTING(s, cpu);
    m->options = s->options;
    m->expect = &s->expect;
    m->kvm = run->arch == arch_host() && strstr(devices.data, "/dev/kvm usable");
    m->confidential = s->special != NULL;
}

// ---- the proof ----

static int prove_confidential(struct boot_run *run, const struct stack *s, const char *append,
                              const json_t *report, struct error **err)
{
    const struct machine *m = &run->machine;
    const struct confidential_launch launch = {.firmware = m->firmware,
                                               .kernel = m->kernel,
                                               .initrd = m->initrd,
                                               .append = append,
                                               .cpu = m->cpu ? m->cpu : "max"};
    cleanup_free char *proof = NULL;
    if (confidential_check(s->kind, report, &launch, &proof, err) < 0)
        return -1;
    log_note("proven: %s", proof);
    return 0;
}

static void note_plain_boot(const struct boot_run *run, const struct stack *s)
{
    for (size_t i = 0; i < CONFIDENTIAL_KINDS; i++)
        if (s->boot->confidential[i])
            log_note(run->o->plain ? "booted without %s, as requested"
                                   : "this machine is not an %s host: booted without %s",
                     confidential_names[i], confidential_names[i]);
}

static int prove_stack(struct boot_run *run, struct stack *s, struct error **err)
{
    cleanup_free char *parts = strlist_join(&s->parts, ", ");
    cleanup_free char *append = qemu_command_line(&run->machine);
    json_t *report = NULL;
    int result = boot_prove_guest(run, parts, &report, err);
    if (!result && s->special && !report)
        log_note("not proven: the launch digest of the %s guest: its service provides no "
                 "attestation report",
                 confidential_names[s->kind]);
    else if (!result && s->special)
        result = prove_confidential(run, s, append, report, err);
    else if (!result)
        note_plain_boot(run, s);
    json_decref(report);
    return result;
}

static int boot_stack_on(struct boot_run *run, struct stack *s, const struct host *h,
                         struct error **err)
{
    const struct recipe_boot *boot = s->boot;
    if (choose_confidential(run, s, h, err) < 0 ||
        extract_stack_part(run, s, boot->kernel, "kernel", &s->kernel, err) < 0 ||
        extract_stack_part(run, s, boot->initrd, "initrd", &s->initrd, err) < 0 ||
        (boot->disk && extract_disk(run, err) < 0) ||
        extract_stack_part(run, s, MACHINE_SETTING(s, firmware), "firmware", &s->firmware, err) <
            0 ||
        choose_qemu(run, s, err) < 0)
        return -1;
    if (boot->disk)
        strlist_add(&s->parts, "disk");
    describe_machine(run, s, h);
    return prove_stack(run, s, err) < 0 || prove_changed_disks(run, err) < 0 ? -1 : 0;
}

int boot_stack(struct boot_run *run, struct error **err)
{
    struct stack s = {.boot = run->recipe->boot};
    struct host h = {0};
    if (host_open(&h, run->o->root, err) < 0)
        return -1;
    int result = boot_stack_on(run, &s, &h, err);
    host_close(&h);
    stack_free(&s);
    return result;
}
