// SPDX-License-Identifier: Apache-2.0
// Extracts the measured files of a confidential guest's launch, for `kbuild measure`: those that
// `kbuild boot` would start it from.
#include "boot/internal.h"

#include "base/error.h"
#include "base/file.h"

#include <string.h>

// Adds the nodes to build for a part ("<target>:<path>", or NULL) to `out`; 1 if there are any.
static int add_missing_part(struct boot_run *run, const char *reference, struct strlist *out)
{
    if (!reference)
        return 0;
    const struct node *node = boot_part_node(run, reference, run->arch);
    if (!node || (node_is_stored(node) && node->output_count))
        return 0; // an invalid part is reported when it is taken
    strlist_add_once(out, node_label(node));
    return 1;
}

// Measuring does not build unless requested.
static int check_built(struct boot_run *run, const char *firmware, const struct recipe_boot *boot,
                       struct error **err)
{
    cleanup_strlist struct strlist missing = {0};
    if (add_missing_part(run, firmware, &missing) + add_missing_part(run, boot->kernel, &missing) +
            add_missing_part(run, boot->initrd, &missing) +
            add_missing_part(run, boot->disk, &missing) ==
        0)
        return 0;
    cleanup_free char *names = strlist_join(&missing, ", "), *words = strlist_join(&missing, " ");
    error_user(err, "measuring %s: not built: %s", run->recipe->name, names);
    return error_hint(err, "add --build to build it now, or build it first: kbuild --arch=%s %s",
                      run->arch->name, words);
}

static int extract_launch(struct boot_run *run, enum recipe_confidential kind, bool build,
                          struct launch_parts *out, struct error **err)
{
    const struct recipe_boot *boot = run->recipe->boot;
    const struct recipe_machine *special = boot ? boot->confidential[kind] : NULL;
    if (!special || !boot->kernel) {
        error_user(err, "the recipe of %s does not say how %s guests are started",
                   run->recipe->name, confidential_names[kind]);
        return error_hint(err, "name the files instead: --ovmf, --kernel, --initrd, --append");
    }
    const char *firmware = special->firmware ? special->firmware : boot->plain.firmware;
    const char *cpu = special->cpu ? special->cpu : boot->plain.cpu;
    if (!build && check_built(run, firmware, boot, err) < 0)
        return -1;
    // Under their own names: reference values name their inputs.
    if (boot_extract_part(run, firmware, run->arch, NULL, &out->firmware, err) < 0 ||
        boot_extract_part(run, boot->kernel, run->arch, NULL, &out->kernel, err) < 0 ||
        boot_extract_part(run, boot->initrd, run->arch, NULL, &out->initrd, err) < 0 ||
        (boot->disk && boot_find_root(run, err) < 0)) // the command line has the disk's root hash
        return -1;
    const char *append = boot->disk ? run->append : boot->append;
    run->machine = (struct machine){.arch = run->arch, .append = append ? append : ""};
    out->append = qemu_command_line(&run->machine);
    out->cpu = cpu ? xstrdup(cpu) : NULL;
    return 0;
}

int launch_parts_extract(struct build *b, const char *target, enum recipe_confidential kind,
                         bool build, struct launch_parts *out, struct error **err)
{
    struct boot_run run = {.b = b};
    if ((build ? boot_build(&run, target, err) : boot_evaluate(&run, target, err)) < 0)
        return -1;
    run.folder = out->folder = store_temporary(b->store, "measure", err);
    int result = out->folder ? extract_launch(&run, kind, build, out, err) : -1;
    free(run.append);
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
