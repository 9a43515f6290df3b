// SPDX-License-Identifier: Apache-2.0
// Opening an image with a host's private key, and writing what it carries.
#include "base/file.h"
#include "se/components.h"
#include "se/io.h"
#include "se/unlock.h"

#include <openssl/crypto.h>

// All parts are complete before any gets its name, so that a failure leaves none behind.
struct drafts {
    struct file_draft of[PARTS];
};

static void drafts_abandon(struct drafts *d)
{
    for (size_t i = 0; i < PARTS; i++)
        file_draft_abandon(&d->of[i]);
}
#define cleanup_drafts __attribute__((cleanup(drafts_abandon)))

static const char *const file_names[PARTS] = {
    [PART_KERNEL] = "kernel",
    [PART_COMMAND_LINE] = "cmdline",
    [PART_INITRD] = "initrd",
    [PART_STAGE3B] = "stage3b",
};

// Checks the text of the command line and gives it: one NUL, at its end, and zeros behind.
static int read_command_line(const struct unlocked *u, char **out, struct error **err)
{
    const struct se_component *c = &u->image.components[u->image.parameters];
    cleanup_free unsigned char *bytes = unlocked_load(u, u->image.parameters, err);
    if (!bytes)
        return -1;
    if (c->size == 0 || strnlen((char *)bytes, c->padded) != c->size - 1 ||
        !all_zero(bytes + c->size, c->padded - c->size))
        return error_user(err, "%s: the kernel command line does not end in its only NUL byte",
                          u->path);
    *out = (char *)steal(bytes);
    return 0;
}

static int draft_part(const struct unlocked *u, int index, const char *path,
                      struct file_draft *draft, struct error **err)
{
    const struct se_component *c = &u->image.components[index];
    if (file_draft_begin(draft, path, err) < 0)
        return -1;
    struct component_target target = {
        .fd = draft->fd, .name = path, .keep = c->size, .zero_tail = true};
    if (index == u->image.parameters)
        target = (struct component_target){.fd = draft->fd, .name = path, .keep = c->size - 1};
    return component_decrypt(u->fd, u->path, c, u->xts, &target, err);
}

int se_open(const char *path, EVP_PKEY *host_key, const char *folder, struct se_opened *out,
            struct error **err)
{
    cleanup_unlocked struct unlocked u = {.fd = -1};
    cleanup_drafts struct drafts drafts = {
        {FILE_DRAFT_NONE, FILE_DRAFT_NONE, FILE_DRAFT_NONE, FILE_DRAFT_NONE}};
    cleanup_free char *command_line = NULL;
    if (unlock(path, host_key, &u, err) < 0)
        return -1;
    if (u.image.parameters >= 0 && read_command_line(&u, &command_line, err) < 0)
        return -1;
    if (make_directories(folder, 0700, err) < 0)
        return -1;
    const int index[PARTS] = {[PART_KERNEL] = u.image.kernel,
                              [PART_COMMAND_LINE] = u.image.parameters,
                              [PART_INITRD] = u.image.initrd,
                              [PART_STAGE3B] = u.image.stage3b};
    char *name[PARTS];
    int result = 0;
    for (size_t i = 0; i < PARTS; i++)
        name[i] = index[i] < 0 ? NULL : xasprintf("%s/%s", folder, file_names[i]);
    for (size_t i = 0; !result && i < PARTS; i++)
        if (name[i])
            result = draft_part(&u, index[i], name[i], &drafts.of[i], err);
    for (size_t i = 0; !result && i < PARTS; i++)
        if (name[i])
            result = file_draft_commit(&drafts.of[i], 0600, err);
    if (!result)
        *out = (struct se_opened){.kernel = steal(name[PART_KERNEL]),
                                  .initrd = steal(name[PART_INITRD]),
                                  .command_line = steal(command_line),
                                  .image = u.image};
    if (!result)
        u.image = (struct se_image){0}; // it went to the caller
    for (size_t i = 0; i < PARTS; i++)
        free(name[i]);
    return result;
}

void se_opened_free(struct se_opened *o)
{
    se_image_free(&o->image);
    free(o->kernel);
    free(o->initrd);
    free(o->command_line);
    *o = (struct se_opened){0};
}
