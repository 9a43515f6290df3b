// SPDX-License-Identifier: Apache-2.0
// `kbuild boot`: the proof that what was built starts.
#include "run/internal.h"

#include "base/log.h"
#include "pack/pack.h"
#include "run/qemu.h"
#include "seal/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct trial {
    struct build *b;
    const struct node *node;
    const struct boot_options *o;
    char *folder; // scratch
    FILE *console;
    struct machine machine;
};

// Takes one member of a blob out into the scratch folder; to be freed.
static char *take_out(struct trial *t, const struct node_output *o, const char *member,
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

static int compare_command_lines(const char *got, const char *wanted, struct error **err)
{
    if (got && wanted && !strcmp(got, wanted))
        return 0;
    return error_set(err, ERROR_STEP, "init saw the command line '%s' instead of '%s'",
                     got ? got : "", wanted ? wanted : "");
}

// Starts the machine, waits for init, and compares the command line.
static int prove(struct trial *t, const char *what, const char *command_line, struct error **err)
{
    json_t *report = NULL;
    fprintf(t->console, "==== %s\n", what);
    if (qemu_expect_init(&t->machine, &report, err) < 0)
        return error_wrap(err, "%s", what);
    const char *release = json_string_value(json_object_get(report, "release"));
    const char *seen = json_string_value(json_object_get(report, "cmdline"));
    int result = compare_command_lines(seen, command_line, err);
    if (!result)
        log_note("proven: %s: /init reached, Linux %s, command line as expected", what,
                 release ? release : "?");
    json_decref(report);
    return result ? error_wrap(err, "%s", what) : 0;
}

// ---- a Secure Execution image ----

// The private key that belongs to one of the documents: given, or beside them (a TEST key).
static EVP_PKEY *find_host_key(struct trial *t, struct error **err)
{
    if (t->o->host_key)
        return host_private_key_load(t->o->host_key, err);
    const struct variable_value *v = t->node ? variable_find(job_of(t->node), "HKD_PATH") : NULL;
    const char *folder = v ? v->text : getenv("HKD_PATH");
    if (folder && *folder) {
        cleanup_free char *path = xasprintf("%s/TEST-host-key.pem", folder);
        if (path_exists(path))
            return host_private_key_load(path, err);
    }
    error_user(err, "no private host key to open the image with");
    error_hint(err, "only an image sealed for a TEST key can be opened here: `kbuild se test-key DIR`, "
                    "build with HKD_PATH=DIR, then boot with --host-key DIR/TEST-host-key.pem");
    return NULL;
}

static int prove_first_stage(struct trial *t, const char *image, struct error **err)
{
    fprintf(t->console, "==== sealed image\n");
    t->machine.kernel = image;
    t->machine.initrd = t->machine.append = NULL;
    if (qemu_expect(&t->machine, "Secure unpack facility is not available", err) < 0)
        return error_wrap(err, "the sealed image");
    log_note("proven: the sealed image's first stage runs, and says that this machine is no Secure "
             "Execution host");
    return 0;
}

static int prove_parts(struct trial *t, const char *image, EVP_PKEY *key, struct error **err)
{
    struct se_opened parts = {0};
    if (se_open(image, key, t->folder, &parts, err) < 0)
        return error_wrap(err, "opening %s", image);
    log_note("proven: the image opens with the host key; every digest and tag is right");
    t->machine.kernel = parts.kernel;
    t->machine.initrd = parts.initrd;
    t->machine.append = parts.command_line;
    int result = prove(t, "kernel, initrd and command line out of the image", parts.command_line, err);
    if (!result) {
        cleanup_free char *clear = xasprintf("%s/unsealed", t->folder);
        t->machine.kernel = clear;
        t->machine.initrd = t->machine.append = NULL;
        result = se_write_unsealed(image, key, clear, err);
        if (!result)
            result = prove(t, "the second stage on the decrypted image", parts.command_line, err);
    }
    se_opened_free(&parts);
    return result;
}

static int boot_sealed(struct trial *t, const char *image, struct error **err)
{
    EVP_PKEY *key = find_host_key(t, err);
    if (!key)
        return -1;
    t->machine.arch = arch_find("s390x", err);
    int result = prove_first_stage(t, image, err);
    if (!result)
        result = prove_parts(t, image, key, err);
    EVP_PKEY_free(key);
    return result;
}

// ---- kernel and initrd as they are ----

// "<target>:<path>" of a recipe's boot section.
static char *boot_part(struct trial *t, const char *reference, const char *name, struct error **err)
{
    const char *colon = strchr(reference, ':');
    if (!colon) {
        error_user(err, "%s: boot: '%s' is not <target>:<path>", t->node->name, reference);
        return NULL;
    }
    cleanup_free char *full = xasprintf("%.*s:%s", (int)(colon - reference), reference,
                                        job_of(t->node)->target->name);
    const struct node *node = graph_find(&t->b->graph, full);
    if (!node || !node->output_count) {
        error_user(err, "%s: boot: %s is not built along with it", t->node->name, full);
        return NULL;
    }
    return take_out(t, &node->outputs[0], colon + 1, name, err);
}

static int boot_plain(struct trial *t, const struct recipe_boot *boot, struct error **err)
{
    cleanup_free char *kernel = boot_part(t, boot->kernel, "kernel", err);
    cleanup_free char *initrd = kernel && boot->initrd ? boot_part(t, boot->initrd, "initrd", err) : NULL;
    if (!kernel || (boot->initrd && !initrd))
        return -1;
    t->machine.arch = job_of(t->node)->target;
    t->machine.kernel = kernel;
    t->machine.initrd = initrd;
    t->machine.append = boot->append ? boot->append : "";
    cleanup_free char *seen = qemu_command_line(&t->machine);
    return prove(t, "kernel and initrd", seen, err);
}

// ---- the verb ----

static int build_first(struct build *b, const char *target, const struct node **out,
                       struct error **err)
{
    *out = build_add_target(b, target, err);
    return *out && build_evaluate(b, true, err) == 0 ? build_run(b, err) : -1;
}

static int boot_target(struct trial *t, struct error **err)
{
    const struct recipe *r = job_of(t->node)->recipe;
    if (r->action == ACTION_SE_IMAGE) {
        cleanup_free char *image =
            take_out(t, &t->node->outputs[0], r->image->output, "image", err);
        return image ? boot_sealed(t, image, err) : -1;
    }
    if (r->boot && r->boot->kernel)
        return boot_plain(t, r->boot, err);
    error_user(err, "%s does not say how it is booted", r->name);
    return error_hint(err, "give its recipe a `boot` section, or boot what it is part of: "
                           "kbuild boot boot-image-se");
}

int build_boot(struct build *b, const char *target, const struct boot_options *o,
               struct error **err)
{
    struct trial t = {.b = b, .o = o};
    if (!o->image && build_first(b, target, &t.node, err) < 0)
        return -1;
    cleanup_free char *name = xasprintf("boot-%s", target);
    cleanup_free char *log = build_log_path(&b->options, name);
    if (make_parent(log, err) < 0)
        return -1;
    cleanup_fclose FILE *console = fopen(log, "we");
    if (!console)
        return error_errno(err, errno, "creating %s", log);
    t.folder = store_temporary(b->store, "boot", err);
    if (!t.folder)
        return -1;
    t.console = console;
    t.machine = (struct machine){.timeout = o->timeout, .console = console, .verbose = o->verbose};
    int result = o->image ? boot_sealed(&t, o->image, err) : boot_target(&t, err);
    if (result)
        error_hint(err, "the whole console is in %s", log);
    remove_tree(t.folder, NULL);
    free(t.folder);
    return result;
}
