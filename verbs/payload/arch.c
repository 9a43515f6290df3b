// SPDX-License-Identifier: Apache-2.0
// Finds the architecture of a set of tarballs: from the notes of the output directory on each
// tarball, else from the programs inside (ELF headers: System V ABI, "ELF Header"; machines as in
// the ABI supplements).
//
// Files with an execute permission have priority: a QEMU for one machine includes firmware for many
// others, which no host executes. Only without such files, the other ELF files decide, and only if
// they agree.
#include "payload/internal.h"

#include "run/run.h"

#include <elf.h>
#include <endian.h>
#include <string.h>
#include <sys/stat.h>

#define EVIDENCE_FORMAT "1" // raise it when the result for a tarball would change
enum { ARCHES = PAYLOAD_ARCHES };

// For each architecture of arch_table the first file for it, or NULL.
struct evidence {
    char *programs[ARCHES], *others[ARCHES];
};

static void evidence_free(struct evidence *e)
{
    for (size_t i = 0; i < ARCHES; i++) {
        free(e->programs[i]);
        free(e->others[i]);
    }
}
#define cleanup_evidence __attribute__((cleanup(evidence_free)))

static const struct {
    unsigned machine, class, data;
    const char *arch;
} machines[] = {{EM_X86_64, ELFCLASS64, ELFDATA2LSB, "x86_64"},
                {EM_S390, ELFCLASS64, ELFDATA2MSB, "s390x"},
                {EM_AARCH64, ELFCLASS64, ELFDATA2LSB, "aarch64"},
                {EM_PPC64, ELFCLASS64, ELFDATA2LSB, "ppc64le"}};

static size_t arch_index(const char *name)
{
    for (size_t i = 0; i < arch_count && i < ARCHES; i++)
        if (!strcmp(arch_table[i].name, name))
            return i;
    return ARCHES;
}

size_t payload_elf_arch(const void *start, size_t length)
{
    const unsigned char *bytes = start;
    if (length < EI_NIDENT + 4 || memcmp(bytes, ELFMAG, SELFMAG) != 0)
        return ARCHES;
    uint16_t type, machine;
    memcpy(&type, bytes + EI_NIDENT, sizeof type);
    memcpy(&machine, bytes + EI_NIDENT + 2, sizeof machine);
    bool big = bytes[EI_DATA] == ELFDATA2MSB;
    type = big ? be16toh(type) : le16toh(type);
    machine = big ? be16toh(machine) : le16toh(machine);
    if (type != ET_EXEC && type != ET_DYN)
        return ARCHES;
    for (size_t i = 0; i < ARRAY_LEN(machines); i++)
        if (machines[i].machine == machine && machines[i].class == bytes[EI_CLASS] &&
            machines[i].data == bytes[EI_DATA])
            return arch_index(machines[i].arch);
    return ARCHES;
}

// ---- one tarball ----

static int examine_member(struct reader *r, const struct reader_member *m, struct evidence *e,
                          struct error **err)
{
    if (!S_ISREG(m->mode) || m->hardlink)
        return 0;
    const void *bytes;
    size_t length;
    uint64_t offset;
    int more = reader_piece(r, &bytes, &length, &offset, err);
    if (more <= 0)
        return more;
    size_t arch = offset == 0 ? payload_elf_arch(bytes, length) : ARCHES;
    char **slots = m->mode & 0111 ? e->programs : e->others;
    if (arch < ARCHES && !slots[arch])
        slots[arch] = xstrdup(m->path);
    return 0;
}

static int scan_programs(const struct component *c, struct evidence *e, struct error **err)
{
    cleanup_reader struct reader *r = reader_open(c->fd, c->name, 0, err);
    if (!r)
        return -1;
    struct reader_member m;
    int more;
    while ((more = reader_next(r, &m, err)) > 0)
        if (examine_member(r, &m, e, err) < 0)
            return reader_wrap(r, err);
    return more;
}

// {"<architecture>": "<path>"}
static json_t *slots_json(char *const slots[ARCHES])
{
    json_t *object = json_object();
    for (size_t i = 0; i < ARCHES; i++)
        if (slots[i])
            json_object_set_new(object, arch_table[i].name, json_string(slots[i]));
    return object;
}

static void slots_read(const json_t *object, char *slots[ARCHES])
{
    for (size_t i = 0; i < ARCHES; i++) {
        const char *path = json_string_value(json_object_get(object, arch_table[i].name));
        slots[i] = path ? xstrdup(path) : NULL;
    }
}

// The content of a tarball follows from its digest, so it is decompressed only once for this.
static int scan_known(struct store *s, const struct component *c, struct evidence *e,
                      struct error **err)
{
    char key[DIGEST_HEX_SIZE];
    cleanup_free char *text =
        xasprintf("kbuild architectures " EVIDENCE_FORMAT "\nfile %s\n", c->digest);
    digest_bytes(text, strlen(text), key);
    json_auto_t *record = NULL;
    int found = store_action_get(s, key, &record, err);
    if (found > 0) {
        slots_read(json_object_get(record, "programs"), e->programs);
        slots_read(json_object_get(record, "others"), e->others);
    }
    if (found)
        return found < 0 ? -1 : 0;
    if (scan_programs(c, e, err) < 0)
        return -1;
    record =
        json_pack("{s:s, s:s, s:o, s:o, s:[]}", "node", "architectures", "file", c->digest,
                  "programs", slots_json(e->programs), "others", slots_json(e->others), "outputs");
    // A member's name may not be UTF-8: then the tarball is read again the next time.
    return record ? store_action_put(s, key, record, err) : 0;
}

// ---- the set ----

static void note_programs(char *slots[ARCHES], char *const found[ARCHES], const char *tarball)
{
    for (size_t i = 0; i < ARCHES; i++)
        if (found[i] && !slots[i])
            slots[i] = xasprintf("%s: %s", tarball, found[i]);
}

static const struct output_target *find_output_target(const struct output_targets *targets,
                                                      const struct component *c)
{
    for (size_t i = 0; i < targets->n; i++)
        if (!strcmp(targets->items[i].file, c->name) &&
            !strcmp(targets->items[i].digest, c->digest))
            return &targets->items[i];
    return NULL;
}

static int examine_component(struct store *s, struct component *c,
                             const struct output_targets *targets, struct evidence *all,
                             struct error **err)
{
    if (!c->digest[0] && digest_file(c->path, c->digest, NULL, err) < 0)
        return -1;
    const struct output_target *noted = find_output_target(targets, c);
    size_t arch = noted ? arch_index(noted->arch) : ARCHES;
    if (arch < ARCHES) {
        if (!all->programs[arch])
            all->programs[arch] = xasprintf("%s: built for it in this directory", c->name);
        return 0;
    }
    cleanup_evidence struct evidence own = {{0}, {0}};
    if (scan_known(s, c, &own, err) < 0)
        return -1;
    note_programs(all->programs, own.programs, c->name);
    note_programs(all->others, own.others, c->name);
    return 0;
}

static size_t count_slots(char *const slots[ARCHES], size_t *last)
{
    size_t n = 0;
    for (size_t i = 0; i < ARCHES; i++) {
        if (!slots[i])
            continue;
        n++;
        *last = i;
    }
    return n;
}

static int decide_arch(const struct evidence *e, const struct arch *given, const struct arch **out,
                       struct error **err)
{
    size_t found = ARCHES, n = count_slots(e->programs, &found), first = 0;
    char *const *slots = n ? e->programs : e->others;
    while (n > 1 && !e->programs[first])
        first++;
    if (n > 1) {
        error_user(err, "it contains programs for %s (%s) and for %s (%s)", arch_table[first].name,
                   e->programs[first], arch_table[found].name, e->programs[found]);
        return error_hint(err, "a payload is for one architecture: push each set by itself, and "
                               "join the images with `kbuild payload index`");
    }
    if (!n && count_slots(e->others, &found) != 1)
        found = ARCHES;
    if (found == ARCHES && !given) {
        error_user(err, "nothing in it shows which architecture it is for");
        return error_hint(err, "give the architecture: --arch=ARCH");
    }
    if (found < ARCHES && given && given != &arch_table[found]) {
        error_user(err, "--arch is %s, but the payload is for %s (%s)", given->name,
                   arch_table[found].name, slots[found]);
        return error_hint(err, "leave --arch out, or push the set for %s", given->name);
    }
    *out = found < ARCHES ? &arch_table[found] : given;
    return 0;
}

int payload_arch_find(struct store *s, struct merge_plan *plan, const char *directory,
                      const struct arch *given, const struct arch **out, struct error **err)
{
    cleanup_output_targets struct output_targets targets = {0};
    cleanup_evidence struct evidence all = {{0}, {0}};
    if (directory && output_targets_read(directory, &targets, err) < 0)
        return -1;
    for (size_t i = 0; i < plan->n; i++)
        if (examine_component(s, &plan->components[i], &targets, &all, err) < 0)
            return -1;
    return decide_arch(&all, given, out, err);
}
