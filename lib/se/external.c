// SPDX-License-Identifier: Apache-2.0
// Runs genprotimg, or pvimg, its successor from s390-tools 2.36 on, instead of the built-in sealer.
#include "base/file.h"
#include "base/process.h"
#include "se/format.h"

#include <ctype.h>
#include <errno.h>
#include <sys/stat.h>

static const char *const programs[] = {"genprotimg", "pvimg"};

// The first "<number>.<number>" after the word "version", with an optional third number.
static bool parse_version(const char *text, struct external_sealer *s)
{
    const char *p = strstr(text, "version");
    for (p = p ? p : text; *p; p++) {
        bool starts = isdigit((unsigned char)*p) && (p == text || !isdigit((unsigned char)p[-1]));
        s->patch = 0;
        if (starts && sscanf(p, "%4d.%4d.%4d", &s->major, &s->minor, &s->patch) >= 2)
            return true;
    }
    return false;
}

static bool older_than(const struct external_sealer *s, int major, int minor)
{
    return s->major < major || (s->major == major && s->minor < minor);
}

int external_sealer_find(struct external_sealer *out, struct error **err)
{
    struct external_sealer s = {0};
    for (size_t i = 0; i < ARRAY_LEN(programs) && !s.program; i++) {
        s.program = find_program(programs[i]);
        s.pvimg = !strcmp(programs[i], "pvimg");
    }
    if (!s.program)
        return 0;
    cleanup_buf struct buf text = {0};
    char *const argv[] = {s.program, (char[]){"--version"}, NULL};
    struct process p = {.argv = argv, .input = -1};
    int result = process_run(&p, &text, err);
    if (result < 0)
        error_wrap(err, "asking %s for its version", s.program);
    else if (!text.data || !parse_version(text.data, &s))
        result = error_user(err, "%s --version printed no version number", s.program);
    if (result < 0) {
        error_hint(err, "SE_SEALER=native seals without it");
        external_sealer_free(&s);
        return -1;
    }
    *out = s;
    return 1;
}

static int refuse(struct error **err, const struct external_sealer *s, const char *what)
{
    error_user(err, "%s cannot be given %s", s->program, what);
    return error_hint(err, "SE_SEALER=native seals without it");
}

// Adds a file that the user named, so that the tool never takes its name for an option.
static void add_file(struct strlist *argv, const char *option, const char *path)
{
    cleanup_free char *absolute = path_absolute(path);
    strlist_addf(argv, "%s=%s", option, absolute);
}

static int arguments(const struct external_sealer *s, const struct se_input *in,
                     const char *parmfile, const char *output, const struct strlist *certificates,
                     const struct strlist *crls, struct strlist *argv, struct error **err)
{
    bool other_entry = in->psw_address && in->psw_address != SE_KERNEL_ENTRY;
    if (in->fixed || in->keys.header_key || in->keys.cck || in->keys.xts_key || in->stage3a ||
        in->stage3b)
        return refuse(err, s, "fixed keys or loaders");
    if (crls && crls->n && !(certificates && certificates->n))
        return refuse(err, s, "revocation lists without certificates");
    // From 2.36 on --x-psw means the address in the header.
    if (other_entry && !older_than(s, 2, 36))
        return refuse(err, s, "the kernel's start address");
    strlist_add(argv, s->program);
    if (s->pvimg)
        strlist_add(argv, "create");
    for (size_t i = 0; i < in->host_count; i++)
        add_file(argv, "--host-key-document", in->hosts[i].path);
    add_file(argv, "--image", in->kernel);
    if (in->initrd)
        add_file(argv, "--ramdisk", in->initrd);
    if (parmfile)
        add_file(argv, "--parmfile", parmfile);
    add_file(argv, "--output", output);
    for (size_t i = 0; certificates && i < certificates->n; i++)
        add_file(argv, "--cert", certificates->items[i]);
    for (size_t i = 0; crls && i < crls->n; i++)
        add_file(argv, "--crl", crls->items[i]);
    if (!certificates || !certificates->n)
        strlist_add(argv, "--no-verify");
    else if (s->offline)
        strlist_add(argv, "--offline");
    // Before 2.17.0 the default was 0, which denies the guest all protected keys.
    if (in->pcf != SE_PCF_DEFAULT || older_than(s, 2, 17))
        strlist_addf(argv, "--x-pcf=0x%llx", (unsigned long long)in->pcf);
    if (in->scf)
        strlist_addf(argv, "--x-scf=0x%llx", (unsigned long long)in->scf);
    if (other_entry)
        strlist_addf(argv, "--x-psw=0x%llx", (unsigned long long)in->psw_address);
    return 0;
}

int external_sealer_run(const struct external_sealer *s, const struct se_input *in,
                        const char *parmfile, const char *output,
                        const struct strlist *certificates, const struct strlist *crls,
                        struct error **err)
{
    // A private directory: the newer tool refuses an existing output, the older one would choose
    // its mode.
    cleanup_folder_draft struct folder_draft folder = FOLDER_DRAFT_NONE;
    if (folder_draft_begin(&folder, output, err) < 0)
        return -1;
    cleanup_free char *image = xasprintf("%s/image", folder.temporary);
    cleanup_strlist struct strlist argv = {0};
    int result = arguments(s, in, parmfile, image, certificates, crls, &argv, err);
    if (result == 0) {
        cleanup_buf struct buf chatter = {0};
        struct process p = {.argv = argv.items, .input = -1};
        result = process_run(&p, &chatter, err);
        struct stat st;
        if (result == 0 && (stat(image, &st) < 0 || !S_ISREG(st.st_mode)))
            result = error_user(err, "%s ended well but wrote no image", s->program);
        else if (result == 0 && (chmod(image, 0600) < 0 || rename(image, output) < 0))
            result = error_errno(err, errno, "writing %s", output);
    }
    return result;
}

void external_sealer_free(struct external_sealer *s)
{
    free(s->program);
    *s = (struct external_sealer){0};
}
