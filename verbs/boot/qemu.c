// SPDX-License-Identifier: Apache-2.0
// Knows QEMU: finds the program and its accelerators, and makes its command line for a machine.
#include "boot/internal.h"

#include "base/file.h"
#include "base/process.h"

#include <string.h>

// Machine and console by architecture.
static const struct machine_kind {
    const char *arch, *machine, *options;
    const char *console; // added to the command line if the kernel does not find it
    const char *ports;   // device for virtio serial ports
} machines[] = {
    {"s390x", "s390-ccw-virtio", "-chardev stdio,id=console -device sclpconsole,chardev=console",
     "", "virtio-serial-ccw"},
    {"x86_64", "q35", "-serial stdio", " console=ttyS0", "virtio-serial-pci"},
    {"aarch64", "virt", "-serial stdio", " console=ttyAMA0", "virtio-serial-pci"},
    {"ppc64le", "pseries", "-serial stdio", " console=hvc0", "virtio-serial-pci"},
};

static const struct machine_kind *machine_of(const struct machine *m)
{
    size_t i = 0;
    while (strcmp(machines[i].arch, m->arch->name)) // every architecture of arch_table is there
        i++;
    return &machines[i];
}

char *qemu_command_line(const struct machine *m)
{
    return xasprintf("%s%s", m->append, machine_of(m)->console);
}

char *qemu_find(const struct machine *m, struct error **err)
{
    if (m->program)
        return xstrdup(m->program);
    cleanup_free char *name = xasprintf("qemu-system-%s", m->arch->qemu);
    char *program = find_program(name);
    if (!program) {
        error_user(err, "%s is not on PATH", name);
        error_hint(err, "install QEMU for this architecture; Debian packages: qemu-system-x86, "
                        "qemu-system-misc (s390x), qemu-system-arm, qemu-system-ppc");
    }
    return program;
}

static void add_option(struct strlist *argv, const char *option, const char *value)
{
    if (!value)
        return;
    strlist_add(argv, option);
    strlist_add(argv, value);
}

// A path in QEMU's options has a comma doubled.
static void add_path(struct buf *out, const char *path)
{
    for (const char *p = path; *p; p++)
        buf_printf(out, "%s%c", *p == ',' ? "," : "", *p);
}

static void add_disk(const struct machine *m, struct strlist *argv)
{
    cleanup_buf struct buf drive = {0};
    buf_puts(&drive, "if=none,id=disk,format=raw,readonly=on,file=");
    add_path(&drive, m->disk);
    add_option(argv, "-drive", drive.data);
    add_option(argv, "-device", "virtio-blk,drive=disk"); // of the machine's own bus
}

// A serial port that is a unix socket here.
static void add_port(const struct machine *m, struct strlist *argv)
{
    cleanup_buf struct buf path = {0};
    add_path(&path, m->socket);
    add_option(argv, "-device", machine_of(m)->ports);
    strlist_add(argv, "-chardev");
    strlist_addf(argv, "socket,id=port,server=on,wait=off,path=%s", path.data);
    strlist_add(argv, "-device");
    strlist_addf(argv, "virtserialport,chardev=port,name=%s", m->port);
}

void qemu_arguments(const struct machine *m, const char *program, bool kvm, struct strlist *argv)
{
    const struct machine_kind *kind = machine_of(m);
    cleanup_free char *memory = xasprintf("%u", MACHINE_MEMORY);
    cleanup_free char *line = m->append ? qemu_command_line(m) : NULL;
    strlist_add(argv, program);
    add_option(argv, "-L", m->data);
    add_option(argv, "-M", m->machine ? m->machine : kind->machine);
    strlist_split(argv, kind->options, " ");
    add_option(argv, "-m", memory);
    strlist_split(argv, "-smp 1 -display none -nodefaults -no-reboot", " ");
    add_option(argv, "-accel", kvm ? "kvm" : "tcg");
    add_option(argv, "-cpu", m->cpu ? m->cpu : "max");
    strlist_split(argv, m->options ? m->options : "", " ");
    if (m->port)
        add_port(m, argv);
    if (m->disk)
        add_disk(m, argv);
    add_option(argv, "-bios", m->firmware);
    add_option(argv, "-kernel", m->kernel);
    add_option(argv, "-initrd", m->initrd);
    add_option(argv, "-append", line);
}

// ---- accelerators ----

// The accelerators of this QEMU.
int qemu_find_accelerators(const char *program, struct accelerators *out, struct error **err)
{
    char *const argv[] = {(char *)program, (char *)"-accel", (char *)"help", NULL};
    struct process p = {.argv = argv, .input = -1};
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist words = {0};
    if (process_run(&p, &text, err) < 0)
        return error_wrap(err, "asking %s for its accelerators", program);
    strlist_split(&words, text.data ? text.data : "", " \n");
    *out = (struct accelerators){strlist_has(&words, "kvm"), strlist_has(&words, "tcg")};
    return 0;
}
