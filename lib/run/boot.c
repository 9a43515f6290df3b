// SPDX-License-Identifier: Apache-2.0
// `kbuild boot`: the proof that what was built starts.
#include "run/boot_room.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

char *boot_take_out(struct trial *t, const struct node_output *o, const char *member,
                    const char *name, struct error **err)
{
    cleanup_free char *path = xasprintf("%s/%s", t->folder, name);
    cleanup_close int in = store_open_blob(t->b->store, o->digest, err);
    cleanup_close int out = in < 0 ? -1 : open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (in >= 0 && out < 0)
        error_errno(err, errno, "creating %s", path);
    if (out < 0 || unpack_member(in, o->name, member, out, NULL, err) < 0)
        return NULL;
    return steal(path);
}

// OVMF adds the initrd's name in its own file system of what QEMU hands over (QemuLoadImageLib).
#define ADDED_BY_FIRMWARE " initrd=initrd"

static int compare_command_lines(const struct trial *t, const char *got, const char *wanted,
                                 struct error **err)
{
    size_t n = strlen(wanted);
    if (got && !strncmp(got, wanted, n) &&
        (!got[n] || (t->machine.firmware && !strcmp(got + n, ADDED_BY_FIRMWARE))))
        return 0;
    return error_set(err, ERROR_STEP, "init saw the command line '%s' instead of '%s'",
                     got ? got : "", wanted);
}

int boot_prove(struct trial *t, const char *what, const char *command_line, json_t **out,
               struct error **err)
{
    json_t *report = NULL;
    fprintf(t->console, "==== %s\n", what);
    if (qemu_expect_init(&t->machine, &report, err) < 0)
        return error_wrap(err, "%s", what);
    const char *release = json_string_value(json_object_get(report, "release"));
    const char *seen = json_string_value(json_object_get(report, "cmdline"));
    int result = compare_command_lines(t, seen, command_line, err);
    if (!result)
        log_note("proven: %s: /init reached, Linux %s, command line as expected", what,
                 release ? release : "?");
    if (out && !result)
        *out = json_incref(report);
    json_decref(report);
    return result ? error_wrap(err, "%s", what) : 0;
}

// ---- the verb ----

int boot_build(struct trial *t, const char *target, struct error **err)
{
    struct targets found = {0};
    t->recipe = recipe_get(t->b->recipes, target, err);
    int result = t->recipe ? build_add_targets(t->b, target, &found, err) : -1;
    if (!result && !found.n)
        result = error_user(err, "%s stands for nothing on this architecture", target);
    if (!result) {
        t->arch = job_of(found.nodes[0])->target;
        t->node = t->recipe->action == ACTION_GROUP ? NULL : found.nodes[0];
        result = build_evaluate(t->b, true, err) < 0 ? -1 : build_run(t->b, err);
    }
    free(found.nodes);
    return result;
}

static int boot_target(struct trial *t, struct error **err)
{
    const struct recipe *r = t->recipe;
    if (r->action == ACTION_SE_IMAGE && t->node) {
        cleanup_free char *image =
            boot_take_out(t, &t->node->outputs[0], r->image->output, "image", err);
        return image ? boot_sealed(t, image, err) : -1;
    }
    if (r->boot && r->boot->kernel)
        return boot_parts(t, err);
    error_user(err, "%s does not say how it is booted", r->name);
    return error_hint(err, "give its recipe a `boot` section, or boot what it is part of: "
                           "kbuild boot boot-image-se");
}

static int boot_in_scratch(struct trial *t, struct error **err)
{
    t->folder = store_temporary(t->b->store, "boot", err);
    if (!t->folder)
        return -1;
    int result = t->o->image ? boot_sealed(t, t->o->image, err) : boot_target(t, err);
    remove_tree(t->folder, NULL);
    free(t->folder);
    return result;
}

int build_boot(struct build *b, const char *target, const struct boot_options *o,
               struct error **err)
{
    struct trial t = {.b = b, .o = o};
    if (!o->image && boot_build(&t, target, err) < 0)
        return -1;
    cleanup_free char *name = xasprintf("boot-%s", target);
    cleanup_free char *log = build_log_path(&b->options, name);
    if (make_parent(log, err) < 0)
        return -1;
    cleanup_fclose FILE *console = fopen(log, "we");
    if (!console)
        return error_errno(err, errno, "creating %s", log);
    t.console = console;
    t.machine = (struct machine){.timeout = o->timeout, .console = console, .verbose = o->verbose};
    int result = boot_in_scratch(&t, err);
    if (result && err && !(*err)->hint)
        error_hint(err, "the whole console is in %s", log);
    return result;
}
