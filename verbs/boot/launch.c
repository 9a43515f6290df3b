// SPDX-License-Identifier: Apache-2.0
// Extracts the files of a target's boot section from which a confidential guest starts.
#include "boot/launch.h"

#include "boot/confidential.h"
#include "boot/internal.h"

// Measuring does not build unless requested.
static int check_built(struct trial *t, const char *firmware, const struct recipe_boot *boot,
                       struct error **err)
{
    cleanup_strlist struct strlist missing = {0};
    if (boot_part_missing(t, firmware, &missing) + boot_part_missing(t, boot->kernel, &missing) +
            boot_part_missing(t, boot->initrd, &missing) +
            boot_part_missing(t, boot->disk, &missing) ==
        0)
        return 0;
    cleanup_free char *names = strlist_join(&missing, ", "), *words = strlist_join(&missing, " ");
    error_user(err, "measuring %s: not built: %s", t->recipe->name, names);
    return error_hint(err,
                      "give --build to have it built now, or build it first: kbuild --arch=%s %s",
                      t->arch->name, words);
}

static int take_all(struct trial *t, enum recipe_confidential kind, bool build,
                    struct launch_parts *out, struct error **err)
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
    if (!build && check_built(t, firmware, boot, err) < 0)
        return -1;
    // Under their own names: reference values name their inputs.
    if (boot_take_part(t, firmware, t->arch, NULL, &out->firmware, err) < 0 ||
        boot_take_part(t, boot->kernel, t->arch, NULL, &out->kernel, err) < 0 ||
        boot_take_part(t, boot->initrd, t->arch, NULL, &out->initrd, err) < 0 ||
        (boot->disk && boot_find_root(t, err) < 0)) // the command line has the disk's root hash
        return -1;
    const char *append = boot->disk ? t->append : boot->append;
    t->machine = (struct machine){.arch = t->arch, .append = append ? append : ""};
    out->append = qemu_command_line(&t->machine);
    out->cpu = cpu ? xstrdup(cpu) : NULL;
    return 0;
}

int launch_parts_take(struct build *b, const char *target, enum recipe_confidential kind,
                      bool build, struct launch_parts *out, struct error **err)
{
    struct trial t = {.b = b};
    if ((build ? boot_build(&t, target, err) : boot_look(&t, target, err)) < 0)
        return -1;
    t.folder = out->folder = store_temporary(b->store, "measure", err);
    int result = out->folder ? take_all(&t, kind, build, out, err) : -1;
    free(t.append);
    return result;
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
