// SPDX-License-Identifier: Apache-2.0
#include "run/launch.h"

#include "run/boot_room.h"
#include "run/confidential.h"

static int take_all(struct trial *t, enum recipe_confidential kind, struct launch_parts *out,
                    struct error **err)
{
    const struct recipe_boot *boot = t->recipe->boot;
    const struct recipe_machine *special = boot ? boot->confidential[kind] : NULL;
    if (!special || !boot->kernel) {
        error_user(err, "%s does not say how %s guests are started", t->recipe->name,
                   confidential_names[kind]);
        return error_hint(err, "name the files instead: --ovmf, --kernel, --initrd, --append");
    }
    const char *firmware = special->firmware ? special->firmware : boot->plain.firmware;
    const char *cpu = special->cpu ? special->cpu : boot->plain.cpu;
    // As files of their own names: reference values name what they were computed from.
    if (boot_take_part(t, firmware, NULL, &out->firmware, err) < 0 ||
        boot_take_part(t, boot->kernel, NULL, &out->kernel, err) < 0 ||
        boot_take_part(t, boot->initrd, NULL, &out->initrd, err) < 0)
        return -1;
    t->machine = (struct machine){.arch = t->arch, .append = boot->append ? boot->append : ""};
    out->append = qemu_command_line(&t->machine);
    out->cpu = cpu ? xstrdup(cpu) : NULL;
    return 0;
}

int launch_parts_take(struct build *b, const char *target, enum recipe_confidential kind,
                      struct launch_parts *out, struct error **err)
{
    struct trial t = {.b = b};
    if (boot_build(&t, target, err) < 0)
        return -1;
    t.folder = out->folder = store_temporary(b->store, "measure", err);
    return out->folder ? take_all(&t, kind, out, err) : -1;
}

void launch_parts_free(struct launch_parts *p)
{
    if (p->folder)
        remove_tree(p->folder, NULL);
    free(p->folder);
    free(p->firmware);
    free(p->kernel);
    free(p->initrd);
    free(p->append);
    free(p->cpu);
    *p = (struct launch_parts){0};
}
