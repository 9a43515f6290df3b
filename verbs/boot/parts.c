// SPDX-License-Identifier: Apache-2.0
// Boots a kernel and an initrd or a disk unchanged, with a firmware and a QEMU that kbuild built,
// if the recipe names them: the whole stack of a runtime. If the machine supports a kind of
// confidential guest in the recipe, it starts one.
#include "boot/internal.h"

#include "base/error.h"
#include "boot/confidential.h"

#include <fcntl.h>
#include <string.h>

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

// ---- parts: "<target>:<path>" of a boot section ----

static const struct node *find_part(struct trial *t, const char *reference, const struct arch *arch,
                                    struct error **err)
{
    cleanup_free char *name =
        xasprintf("%.*s:%s", (int)strcspn(reference, ":"), reference, arch->name);
    const struct node *node = graph_find(&t->b->graph, name);
    if (node && node->output_count)
        return node;
    error_user(err, "%s: boot: %s is not built along with it", t->recipe->name, name);
    return NULL;
}

int boot_take_part(struct trial *t, const char *reference, const struct arch *arch,
                   const char *name, char **out, struct error **err)
{
    const struct node *node = reference ? find_part(t, reference, arch, err) : NULL;
    if (!node)
        return reference ? -1 : 0;
    const char *member = strchr(reference, ':') + 1;
    *out = boot_take_out(t, &node->outputs[0], member, name ? name : path_base(member), err);
    return *out ? 0 : -1;
}

static int take_part(struct trial *t, struct stack *s, const char *reference, const char *name,
                     char **out, struct error **err)
{
    if (boot_take_part(t, reference, t->arch, name, out, err) < 0)
        return -1;
    if (*out)
        strlist_add(&s->parts, name);
    return 0;
}

// Unpacks QEMU's whole tarball, since QEMU reads its firmware and option ROMs from its data
// directory.
static int unpack_qemu(struct trial *t, struct stack *s, struct error **err)
{
    const struct node *node = find_part(t, s->boot->qemu, t->arch, err);
    if (!node)
        return -1;
    cleanup_free char *folder = xasprintf("%s/qemu", t->folder);
    cleanup_close int in = store_open_blob(t->b->store, node->outputs[0].digest, err);
    const struct unpack_options options = {0};
    if (in < 0 || make_directories(folder, 0700, err) < 0 ||
        unpack(in, node->outputs[0].name, folder, &options, NULL, err) < 0)
        return -1;
    s->qemu = xasprintf("%s/%s", folder, strchr(s->boot->qemu, ':') + 1);
    if (s->boot->data)
        s->data = xasprintf("%s/%s", folder, s->boot->data);
    if (access(s->qemu, X_OK) < 0 || (s->data && !is_directory(s->data)))
        return error_user(err, "%s: boot: %s has no %s", t->recipe->name, node->outputs[0].name,
                          access(s->qemu, X_OK) < 0 ? s->boot->qemu : s->boot->data);
    strlist_add(&s->parts, "QEMU");
    return 0;
}

static int choose_qemu(struct trial *t, struct stack *s, struct error **err)
{
    if (t->o->qemu) {
        if (strcmp(t->o->qemu, "host") != 0)
            s->qemu = path_absolute(t->o->qemu);
        return 0;
    }
    if (!s->boot->qemu)
        return 0;
    if (t->arch == arch_host())
        return unpack_qemu(t, s, err);
    log_note("the QEMU that was built runs on %s only: this machine's own takes its place",
             t->arch->name);
    return 0;
}

// ---- the machine ----

// Finds a kind of guest in the recipe that this machine can start.
static int choose_kind(struct trial *t, struct stack *s, const struct host *h, struct error **err)
{
    bool usual = t->o->plain || t->arch != arch_host();
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

static char *expand(const struct stack *s, const char *text)
{
    cleanup_free char *memory = xasprintf("%u", MACHINE_MEMORY);
    cleanup_free char *bit = xasprintf("%u", s->host.cbitpos);
    const struct placeholder names[] = {{"{memory}", memory}, {"{cbitpos}", bit}};
    return text ? placeholders_expand(text, names, ARRAY_LEN(names)) : NULL;
}

// A confidential guest is started like the plain one, except for its own section's settings.
#define PICK(s, member)                                                                            \
    ((s)->special && (s)->special->member ? (s)->special->member : (s)->boot->plain.member)

static void describe_machine(struct trial *t, struct stack *s, const struct host *h)
{
    struct machine *m = &t->machine;
    cleanup_buf struct buf devices = {0};
    host_command(h, "devices", &devices);
    strlist_add_all(&s->expect, &s->boot->plain.expect);
    if (s->special)
        strlist_add_all(&s->expect, &s->special->expect);
    s->machine = expand(s, PICK(s, machine));
    s->options = expand(s, PICK(s, options));
    m->arch = t->arch;
    m->kernel = s->kernel;
    m->initrd = s->initrd;
    m->append = t->append ? t->append : s->boot->append ? s->boot->append : "";
    m->disk = t->disk;
    m->program = s->qemu;
    m->data = s->data;
    m->firmware = s->firmware;
    m->machine = s->machine;
    m->cpu = PICK(s, cpu);
    m->options = s->options;
    m->expect = &s->expect;
    m->kvm = t->arch == arch_host() && strstr(devices.data, "/dev/kvm usable");
    m->confidential = s->special != NULL;
}

// ---- the proof ----

static int prove_confidential(struct trial *t, const struct stack *s, const char *append,
                              const json_t *report, struct error **err)
{
    const struct machine *m = &t->machine;
    const struct confidential_launch launch = {.firmware = m->firmware,
                                               .kernel = m->kernel,
                                               .initrd = m->initrd,
                                               .append = append,
                                               .cpu = m->cpu ? m->cpu : "max"};
    cleanup_free char *said = NULL;
    if (confidential_check(s->kind, report, &launch, &said, err) < 0)
        return -1;
    log_note("proven: %s", said);
    return 0;
}

static void say_what_was_not(const struct trial *t, const struct stack *s)
{
    for (size_t i = 0; i < CONFIDENTIAL_KINDS; i++)
        if (s->boot->confidential[i])
            log_note(t->o->plain ? "booted without %s, as asked"
                                 : "not an %s host: booted without %s",
                     confidential_names[i], confidential_names[i]);
}

static int prove_stack(struct trial *t, struct stack *s, struct error **err)
{
    cleanup_free char *parts = strlist_join(&s->parts, ", ");
    cleanup_free char *append = qemu_command_line(&t->machine);
    json_t *report = NULL;
    int result = boot_prove_guest(t, parts, &report, err);
    if (!result && s->special && !report)
        log_note("not proven: the launch digest of the %s guest: what serves in it hands out no "
                 "attestation report",
                 confidential_names[s->kind]);
    else if (!result && s->special)
        result = prove_confidential(t, s, append, report, err);
    else if (!result)
        say_what_was_not(t, s);
    json_decref(report);
    return result;
}

static int boot_on(struct trial *t, struct stack *s, const struct host *h, struct error **err)
{
    const struct recipe_boot *boot = s->boot;
    if (choose_kind(t, s, h, err) < 0 ||
        take_part(t, s, boot->kernel, "kernel", &s->kernel, err) < 0 ||
        take_part(t, s, boot->initrd, "initrd", &s->initrd, err) < 0 ||
        (boot->disk && boot_take_disk(t, err) < 0) ||
        take_part(t, s, PICK(s, firmware), "firmware", &s->firmware, err) < 0 ||
        choose_qemu(t, s, err) < 0)
        return -1;
    if (boot->disk)
        strlist_add(&s->parts, "disk");
    describe_machine(t, s, h);
    return prove_stack(t, s, err) < 0 || boot_prove_refusals(t, err) < 0 ? -1 : 0;
}

int boot_parts(struct trial *t, struct error **err)
{
    struct stack s = {.boot = t->recipe->boot};
    struct host h = {0};
    if (host_open(&h, t->o->root, err) < 0)
        return -1;
    int result = boot_on(t, &s, &h, err);
    host_close(&h);
    stack_free(&s);
    return result;
}
