// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild boot`: builds and opens the target or image, and runs the proofs that apply to
// it. A sealed image is started as it is, opened with the private host key, and started from its
// decrypted parts.
#include "boot/internal.h"

#include "base/error.h"
#include "base/file.h"
#include "se/se.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

// ---- a sealed image ----

// The private key that belongs to one of the documents: given, or beside them (a TEST key).
static EVP_PKEY *find_host_key(struct boot_run *run, struct error **err)
{
    if (run->o->host_key)
        return host_private_key_load(run->o->host_key, err);
    const struct variable_value *v =
        run->node ? variable_find(job_of(run->node), "HKD_PATH") : NULL;
    const char *folder = v ? v->text : getenv("HKD_PATH");
    if (folder && *folder) {
        cleanup_free char *path = xasprintf("%s/TEST-host-key.pem", folder);
        if (is_regular_file(path))
            return host_private_key_load(path, err);
    }
    error_user(err, "no private host key to open the image with");
    error_hint(err,
               "only an image sealed for a TEST key can be opened here: `kbuild se test-key DIR`, "
               "build with HKD_PATH=DIR, then boot with --host-key DIR/TEST-host-key.pem");
    return NULL;
}

static int prove_first_stage(struct boot_run *run, const char *image, struct error **err)
{
    fprintf(run->console, "==== sealed image\n");
    run->machine.kernel = image;
    run->machine.initrd = run->machine.append = NULL;
    if (guest_expect_text(&run->machine, "Secure unpack facility is not available", err) < 0)
        return error_wrap(err, "the sealed image");
    log_note("proven: the sealed image's first stage runs, and reports that this machine is not a "
             "Secure Execution host");
    return 0;
}

// Nothing can be added to the image: a service in it is only watched.
static int prove_second_stage(struct boot_run *run, const char *image, EVP_PKEY *key,
                              const char *command_line, struct error **err)
{
    static const char what[] = "the second stage on the decrypted image";
    cleanup_free char *clear = xasprintf("%s/unsealed", run->folder);
    run->machine.kernel = clear;
    run->machine.initrd = run->machine.append = NULL;
    if (se_write_unsealed(image, key, clear, err) < 0)
        return -1;
    run->machine.image_command_line = command_line;
    int result = boot_prove_unchanged(run, what, command_line, err);
    run->machine.image_command_line = NULL;
    return result;
}

static int prove_parts(struct boot_run *run, const char *image, EVP_PKEY *key, struct error **err)
{
    struct se_opened parts = {0};
    if (se_open(image, key, run->folder, &parts, err) < 0)
        return error_wrap(err, "opening %s", image);
    log_note("proven: the image opens with the host key; all digests and tags are correct");
    run->machine.kernel = parts.kernel;
    run->machine.initrd = parts.initrd;
    run->machine.append = parts.command_line;
    int result = boot_prove_guest(run, "kernel, initrd and command line of the image", NULL, err);
    if (!result)
        result = prove_second_stage(run, image, key, parts.command_line, err);
    se_opened_free(&parts);
    return result;
}

static int prove_sealed_image(struct boot_run *run, const char *image, struct error **err)
{
    EVP_PKEY *key = find_host_key(run, err);
    if (!key)
        return -1;
    run->machine.arch = arch_find("s390x", err);
    int result = prove_first_stage(run, image, err);
    if (!result)
        result = prove_parts(run, image, key, err);
    EVP_PKEY_free(key);
    return result;
}

// ---- the verb ----

// Announces a build before a start, since it may take long and surprise the user.
static void note_missing_targets(const char *target, const struct targets *found)
{
    cleanup_strlist struct strlist missing = {0};
    for (size_t i = 0; i < found->n; i++)
        if (!node_is_stored(found->nodes[i]))
            strlist_add(&missing, node_label(found->nodes[i]));
    cleanup_free char *names = strlist_join(&missing, ", ");
    if (missing.n)
        log_note("%s is not built: %s %s built first", target, names, missing.n > 1 ? "are" : "is");
}

// Adds the target and finds out what is cached. Sets recipe, architecture and node.
static int open_target(struct boot_run *run, const char *target, bool resolve,
                       struct targets *found, struct error **err)
{
    run->recipe = recipe_get(run->b->recipes, target, err);
    if (!run->recipe || build_add_targets(run->b, target, found, err) < 0)
        return -1;
    if (!found->n)
        return error_user(err, "%s has no members for this architecture", target);
    run->arch = job_of(found->nodes[0])->target;
    run->node = run->recipe->action == ACTION_GROUP ? NULL : found->nodes[0];
    if (resolve && (boot_find_service(run, err) < 0 || boot_add_tools(run, err) < 0))
        return -1;
    return build_evaluate(run->b, resolve, err);
}

int boot_evaluate(struct boot_run *run, const char *target, struct error **err)
{
    struct targets found = {0};
    int result = open_target(run, target, false, &found, err);
    free(found.nodes);
    return result;
}

// Rejects options without effect: a sealed image is opened with a key and started on the default
// machine, a stack is not sealed.
static int check_options(const struct boot_run *run, struct error **err)
{
    if (!run->o)
        return 0;
    const struct {
        const char *option;
        bool given, of_sealed;
    } options[] = {{"--host-key", run->o->host_key != NULL, true},
                   {"--qemu", run->o->qemu != NULL, false},
                   {"--root", run->o->root != NULL, false},
                   {"--plain", run->o->plain, false}};
    bool sealed = run->recipe->action == ACTION_SE_IMAGE;
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (options[i].given && options[i].of_sealed != sealed) {
            error_set(err, ERROR_USAGE, "boot: %s is not used for %s, which is %s",
                      options[i].option, run->recipe->name,
                      sealed ? "a sealed image" : "not a sealed image");
            return error_hint(err, "leave it out");
        }
    return 0;
}

// Checked before its targets are built.
static int check_bootable(const struct boot_run *run, struct error **err)
{
    const struct recipe *r = run->recipe;
    if (r->action == ACTION_SE_IMAGE || (r->boot && r->boot->kernel))
        return 0;
    error_user(err, "the recipe of %s does not say how it is booted", r->name);
    return error_hint(err, "add a `boot` section to the recipe, or boot a target that contains it: "
                           "a root file system, a stack, a sealed image");
}

int boot_build(struct boot_run *run, const char *target, struct error **err)
{
    struct targets found = {0};
    int result = open_target(run, target, true, &found, err);
    if (!result)
        result = check_bootable(run, err);
    if (!result)
        result = check_options(run, err);
    if (!result) {
        note_missing_targets(target, &found);
        result = build_run(run->b, err);
    }
    free(found.nodes);
    return result;
}

static int boot_target(struct boot_run *run, struct error **err)
{
    const struct recipe *r = run->recipe;
    if (r->action == ACTION_SE_IMAGE && run->node) {
        cleanup_free char *image =
            boot_extract_member(run, &run->node->outputs[0], r->image->output, "image", err);
        return image ? prove_sealed_image(run, image, err) : -1;
    }
    return boot_stack(run, err);
}

// A given image: a file, or a member of a tarball as for the verbs of `se`. Invalid ones are
// rejected at once, before a machine shows nothing.
static int boot_given_image(struct boot_run *run, struct error **err)
{
    struct se_image image;
    cleanup_free char *name = NULL, *path = xasprintf("%s/image", run->folder);
    cleanup_close int in = se_image_open(run->o->image, run->o->member, &name, err);
    if (in < 0)
        return -1;
    if (se_read(in, name, &image, err) < 0)
        return error_hint(err, "boot needs a Secure Execution image, or a tarball with one: "
                               "`kbuild se info` prints what a file is");
    se_image_free(&image);
    cleanup_close int out = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0)
        return error_errno(err, errno, "creating %s", path);
    if (lseek(in, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "reading %s", name);
    return copy_content(in, name, out, path, err) < 0 ? -1 : prove_sealed_image(run, path, err);
}

// The target that a given image replaces tells which service it may have.
static int find_service_of_target(struct boot_run *run, const char *target, struct error **err)
{
    if (!recipe_exists(run->b->recipes, target))
        return 0;
    run->recipe = recipe_get(run->b->recipes, target, err);
    int result = run->recipe ? boot_find_service(run, err) : -1;
    run->recipe = NULL;
    return result;
}

static int boot_in_scratch(struct boot_run *run, struct error **err)
{
    run->folder = store_temporary(run->b->store, "boot", err);
    if (!run->folder)
        return -1;
    int result =
        run->recipe ? boot_target(run, err) : boot_given_image(run, err); // --image has none
    remove_tree(run->folder, NULL);
    free(run->folder);
    if (run->socket_folder)
        remove_tree(run->socket_folder, NULL);
    free(run->socket_folder);
    free(run->socket);
    free(run->disk);
    free(run->append);
    return result;
}

int build_boot(struct build *b, const char *target, const struct boot_options *o,
               struct error **err)
{
    struct boot_run run = {.b = b, .o = o};
    if ((o->image ? find_service_of_target(&run, target, err) : boot_build(&run, target, err)) < 0)
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
    run.console = console;
    run.machine =
        (struct machine){.timeout = o->timeout, .console = console, .verbose = o->verbose};
    int result = boot_in_scratch(&run, err);
    // The console is empty if nothing was started.
    bool started = fflush(console) == 0 && lseek(fd, 0, SEEK_END) > 0;
    if (result && err && !(*err)->hint && started)
        error_hint(err, "the whole console output is in %s", log);
    return result;
}
