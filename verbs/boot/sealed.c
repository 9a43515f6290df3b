// SPDX-License-Identifier: Apache-2.0
// Proves a Secure Execution image: the sealed image boots, opens, and its decrypted parts boot.
#include "boot/internal.h"

#include "base/file.h"
#include "base/error.h"
#include "se/se.h"

// The private key that belongs to one of the documents: given, or beside them (a TEST key).
static EVP_PKEY *find_host_key(struct trial *t, struct error **err)
{
    if (t->o->host_key)
        return host_private_key_load(t->o->host_key, err);
    const struct variable_value *v = t->node ? variable_find(job_of(t->node), "HKD_PATH") : NULL;
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

// Nothing can be added to the image: a service in it is only watched.
static int prove_second_stage(struct trial *t, const char *image, EVP_PKEY *key,
                              const char *command_line, struct error **err)
{
    static const char what[] = "the second stage on the decrypted image";
    cleanup_free char *clear = xasprintf("%s/unsealed", t->folder);
    t->machine.kernel = clear;
    t->machine.initrd = t->machine.append = NULL;
    if (se_write_unsealed(image, key, clear, err) < 0)
        return -1;
    t->machine.told = command_line;
    int result = t->service ? boot_watch_service(t, what, command_line, err)
                            : boot_prove(t, what, command_line, NULL, err);
    t->machine.told = NULL;
    return result;
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
    int result = boot_prove_guest(t, "kernel, initrd and command line out of the image", NULL, err);
    if (!result)
        result = prove_second_stage(t, image, key, parts.command_line, err);
    se_opened_free(&parts);
    return result;
}

int boot_sealed(struct trial *t, const char *image, struct error **err)
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
