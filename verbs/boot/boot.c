// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild boot`: starts a built target and checks that it boots.
#include "boot/internal.h"

#include "base/file.h"
#include "base/error.h"
#include "se/verify.h"

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

// OVMF appends the initrd's name in its own file system for QEMU's files (QemuLoadImageLib).
#define ADDED_BY_FIRMWARE " initrd=initrd"

int boot_compare_command_lines(const struct trial *t, const char *got, const char *wanted,
                               struct error **err)
{
    size_t n = strlen(wanted);
    if (got && !strncmp(got, wanted, n) &&
        (!got[n] || (t->machine.firmware && !strcmp(got + n, ADDED_BY_FIRMWARE))))
        return 0;
    return error_set(err, ERROR_STEP, "the guest saw the command line '%s' instead of '%s'",
                     got ? got : "", wanted);
}

int boot_judge_report(struct trial *t, const char *what, const char *command_line,
                      const json_t *report, struct error **err)
{
    const char *release = json_string_value(json_object_get(report, "release"));
    const char *seen = json_string_value(json_object_get(report, "cmdline"));
    if (boot_compare_command_lines(t, seen, command_line, err) < 0)
        return error_wrap(err, "%s", what);
    log_note("proven: %s: /init reached, Linux %s, command line as expected", what,
             release ? release : "?");
    return 0;
}

int boot_prove(struct trial *t, const char *what, const char *command_line, json_t **out,
               struct error **err)
{
    json_t *report = NULL;
    fprintf(t->console, "==== %s\n", what);
    if (qemu_expect_init(&t->machine, &report, err) < 0)
        return error_wrap(err, "%s", what);
    int result = boot_judge_report(t, what, command_line, report, err);
    if (out && !result)
        *out = json_incref(report);
    json_decref(report);
    return result;
}

// ---- the verb ----

// Announces a build before a start, since it may take long and surprise the user.
static void say_what_is_built(const char *target, const struct targets *found)
{
    cleanup_strlist struct strlist missing = {0};
    for (size_t i = 0; i < found->n; i++)
        if (!node_is_here(found->nodes[i]))
            strlist_add(&missing, node_label(found->nodes[i]));
    cleanup_free char *names = strlist_join(&missing, ", ");
    if (missing.n)
        log_note("%s is not built: %s %s built first", target, names, missing.n > 1 ? "are" : "is");
}

// Adds the target and finds out what is cached. Sets recipe, architecture and node.
static int open_target(struct trial *t, const char *target, bool resolve, struct targets *found,
                       struct error **err)
{
    t->recipe = recipe_get(t->b->recipes, target, err);
    if (!t->recipe || build_add_targets(t->b, target, found, err) < 0)
        return -1;
    if (!found->n)
        return error_user(err, "%s has no members for this architecture", target);
    t->arch = job_of(found->nodes[0])->target;
    t->node = t->recipe->action == ACTION_GROUP ? NULL : found->nodes[0];
    if (resolve && (boot_find_service(t, err) < 0 || boot_add_tools(t, err) < 0))
        return -1;
    return build_evaluate(t->b, resolve, err);
}

int boot_look(struct trial *t, const char *target, struct error **err)
{
    struct targets found = {0};
    int result = open_target(t, target, false, &found, err);
    free(found.nodes);
    return result;
}

int boot_part_missing(struct trial *t, const char *reference, struct strlist *out)
{
    if (!reference)
        return 0;
    cleanup_free char *name =
        xasprintf("%.*s:%s", (int)strcspn(reference, ":"), reference, t->arch->name);
    const struct node *node = graph_find(&t->b->graph, name);
    if (!node || (node_is_here(node) && node->output_count))
        return 0; // an invalid part is reported when it is taken
    if (!strlist_has(out, node_label(node)))
        strlist_add(out, node_label(node));
    return 1;
}

// Rejects options without effect: a sealed image is opened with a key and started on the default
// machine, a stack is not sealed.
static int check_options(const struct trial *t, struct error **err)
{
    if (!t->o)
        return 0;
    const struct {
        const char *option;
        bool given, of_sealed;
    } options[] = {{"--host-key", t->o->host_key != NULL, true},
                   {"--qemu", t->o->qemu != NULL, false},
                   {"--root", t->o->root != NULL, false},
                   {"--plain", t->o->plain, false}};
    bool sealed = t->recipe->action == ACTION_SE_IMAGE;
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (options[i].given && options[i].of_sealed != sealed) {
            error_set(err, ERROR_USAGE, "boot: %s does not matter to %s, which is %s",
                      options[i].option, t->recipe->name,
                      sealed ? "a sealed image" : "no sealed image");
            return error_hint(err, "leave it out");
        }
    return 0;
}

// Checked before its targets are built.
static int check_bootable(const struct trial *t, struct error **err)
{
    const struct recipe *r = t->recipe;
    if (r->action == ACTION_SE_IMAGE || (r->boot && r->boot->kernel))
        return 0;
    error_user(err, "%s does not say how it is booted", r->name);
    return error_hint(err, "give its recipe a `boot` section, or boot what it goes into: a root "
                           "file system, a stack, a sealed image");
}

int boot_build(struct trial *t, const char *target, struct error **err)
{
    struct targets found = {0};
    int result = open_target(t, target, true, &found, err);
    if (!result)
        result = check_bootable(t, err);
    if (!result)
        result = check_options(t, err);
    if (!result) {
        say_what_is_built(target, &found);
        result = build_run(t->b, err);
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
    return boot_parts(t, err);
}

// A given image: a file, or a member of a tarball as for the verbs of `se`. Invalid ones are
// rejected at once, before a machine shows nothing.
static int boot_given_image(struct trial *t, struct error **err)
{
    struct se_image image;
    cleanup_free char *name = NULL, *path = xasprintf("%s/image", t->folder);
    cleanup_close int in = se_image_open(t->o->image, &name, err);
    if (in < 0)
        return -1;
    if (se_read(in, name, &image, err) < 0)
        return error_hint(err, "boot needs a Secure Execution image, or a tarball with one: "
                               "`kbuild se info` says what a file is");
    se_image_free(&image);
    cleanup_close int out = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0)
        return error_errno(err, errno, "creating %s", path);
    if (lseek(in, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "reading %s", name);
    return copy_content(in, name, out, path, err) < 0 ? -1 : boot_sealed(t, path, err);
}

// The target that a given image replaces tells which service it may have.
static int look_up_given(struct trial *t, const char *target, struct error **err)
{
    if (!recipe_exists(t->b->recipes, target))
        return 0;
    t->recipe = recipe_get(t->b->recipes, target, err);
    int result = t->recipe ? boot_find_service(t, err) : -1;
    t->recipe = NULL;
    return result;
}

static int boot_in_scratch(struct trial *t, struct error **err)
{
    t->folder = store_temporary(t->b->store, "boot", err);
    if (!t->folder)
        return -1;
    int result = t->recipe ? boot_target(t, err) : boot_given_image(t, err); // --image has none
    remove_tree(t->folder, NULL);
    free(t->folder);
    if (t->socket_folder)
        remove_tree(t->socket_folder, NULL);
    free(t->socket_folder);
    free(t->socket);
    free(t->disk);
    free(t->append);
    return result;
}

int build_boot(struct build *b, const char *target, const struct boot_options *o,
               struct error **err)
{
    struct trial t = {.b = b, .o = o};
    if ((o->image ? look_up_given(&t, target, err) : boot_build(&t, target, err)) < 0)
        return -1;
    cleanup_free char *name = xasprintf("boot-%s", target);
    cleanup_free char *log = build_log_path(&b->options, name);
    int fd = output_log_open(b, log, err);
    if (fd < 0)
        return -1;
    output_log_place(b, log, fd);
    cleanup_fclose FILE *console = fdopen(fd, "w");
    if (!console)
        out_of_memory();
    t.console = console;
    t.machine = (struct machine){.timeout = o->timeout, .console = console, .verbose = o->verbose};
    int result = boot_in_scratch(&t, err);
    // The console is empty if nothing was started.
    bool started = fflush(console) == 0 && lseek(fd, 0, SEEK_END) > 0;
    if (result && err && !(*err)->hint && started)
        error_hint(err, "the whole console is in %s", log);
    return result;
}
