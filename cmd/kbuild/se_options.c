// SPDX-License-Identifier: Apache-2.0
// Parses options by one table for genprotimg (both programs of that name), pvimg create and `kbuild
// se seal`. A spelling with a meaning in one program only has that meaning; an ambiguous one is
// decided by the other words, or rejected with both meanings (docs/genprotimg.md, "One spelling,
// two meanings").
#include "se.h"

#include "base/file.h"

#include <stddef.h>
#include <string.h>

#define ALL (TOOL_KBUILD | TOOL_GENPROTIMG | TOOL_PVIMG)
#define BOTH (TOOL_KBUILD | TOOL_GENPROTIMG) // where -v is the version, or the same as -V
#define EXPERIMENTAL                                                                               \
    0x100u // a flag among the tools: shown only by --help-all and
           // --help-experimental

enum takes { TAKES_NOTHING, TAKES_FILE, TAKES_HEX, TAKES_FILES };

// Several rows may fill one field: they are synonyms. Only rows with a help text are shown.
struct option_row {
    const char *name; // after "--"; "" for a letter alone
    char letter;      // 0: none
    unsigned tools;
    enum takes takes;
    size_t field; // of struct seal_command: bool, const char *, or struct strlist
    const char *help;
};

#define FIELD(name) offsetof(struct seal_command, name)
static const struct option_row rows[] = {
    {"host-key-document", 'k', ALL, TAKES_FILES, FIELD(request.hosts),
     "document of a machine that may start the image; once per machine"},
    {"cert", 'C', ALL, TAKES_FILES, FIELD(request.certificates),
     "IBM Z signing key or intermediate CA certificate"},
    {"crt", 0, ALL, TAKES_FILES, FIELD(request.certificates), NULL}, // pvimg's synonym
    {"crl", 0, ALL, TAKES_FILES, FIELD(request.crls), "certificate revocation list"},
    {"root-ca", 0, ALL, TAKES_FILE, FIELD(request.root_ca),
     "the only root CA to trust, instead of the system's"},
    {"offline", 0, ALL, TAKES_NOTHING, FIELD(offline),
     "fetch no revocation lists, not even missing ones"},
    {"online", 0, TOOL_KBUILD, TAKES_NOTHING, FIELD(online),
     "fetch all revocation lists, not only those that are missing"},
    {"no-verify", 0, ALL, TAKES_NOTHING, FIELD(request.no_verify),
     "do not verify the host key documents: the workload is then not secured"},
    {"image", 'i', ALL, TAKES_FILE, FIELD(request.kernel), "the raw kernel"},
    {"kernel", 0, ALL, TAKES_FILE, FIELD(request.kernel), "the same as --image"},
    {"ramdisk", 'r', ALL, TAKES_FILE, FIELD(request.initrd), "the initrd"},
    {"parmfile", 'p', ALL, TAKES_FILE, FIELD(request.parmfile), "the kernel command line"},
    {"output", 'o', ALL, TAKES_FILE, FIELD(request.output), "the image to write"},
    {"overwrite", 0, ALL, TAKES_NOTHING, FIELD(overwrite),
     "pvimg: replace an output that exists; the others always do"},
    {"comm-key", 0, ALL, TAKES_FILE, FIELD(request.comm_key),
     "customer communication key, 32 bytes"},
    {"cck", 0, ALL, TAKES_FILE, FIELD(request.comm_key), "the same as --comm-key"},
    {"hdr-key", 0, ALL, TAKES_FILE, FIELD(request.header_key),
     "AES-256-GCM key of the header, 32 bytes"},
    {"image-key", 0, ALL, TAKES_FILE, FIELD(request.component_key),
     "AES-256-XTS key of the components, 64 bytes"},
    {"no-component-check", 0, ALL, TAKES_NOTHING, FIELD(no_component_check),
     "do not check kernel, initrd and command line"},
    {"seal-secret", 0, TOOL_KBUILD, TAKES_FILE, FIELD(request.secret),
     "derive what is random otherwise from this secret (docs/provable-sealing.md)"},
    {"seal-record", 0, TOOL_KBUILD, TAKES_FILE, FIELD(request.record),
     "write a record of what the image was made of"},
    {"force-unknown-flags", 0, ALL, TAKES_NOTHING, FIELD(request.force_unknown_flags),
     "accept flags without a known meaning"},
    {"verbose", 'V', BOTH, TAKES_NOTHING, FIELD(verbose), "print where the parts are"},
    {"verbose", 'v', TOOL_PVIMG, TAKES_NOTHING, FIELD(verbose), "print where the parts are"},
    {"", 'V', TOOL_PVIMG, TAKES_NOTHING, FIELD(verbose), NULL},
    {"", 'v', BOTH, TAKES_NOTHING, FIELD(dash_v), NULL},
    {"quiet", 'q', ALL, TAKES_NOTHING, FIELD(quiet), "print errors only"},
    {"version", 0, BOTH, TAKES_NOTHING, FIELD(version), "print the version; -v alone is the same"},
    {"help", 'h', ALL, TAKES_NOTHING, FIELD(help), "the options"},
    {"help-all", 0, ALL, TAKES_NOTHING, FIELD(help_all), "these, and the experimental ones"},
    {"help-experimental", 0, ALL, TAKES_NOTHING, FIELD(help_experimental), "the experimental ones"},
    {"x-comp-key", 0, ALL | EXPERIMENTAL, TAKES_FILE, FIELD(request.component_key),
     "the same as --image-key"},
    {"x-header-key", 0, ALL | EXPERIMENTAL, TAKES_FILE, FIELD(request.header_key),
     "the same as --hdr-key"},
    {"x-pcf", 0, ALL | EXPERIMENTAL, TAKES_HEX, FIELD(request.pcf),
     "plaintext control flags (0xe0)"},
    {"x-scf", 0, ALL | EXPERIMENTAL, TAKES_HEX, FIELD(request.scf), "secret control flags (0x0)"},
    {"x-bootloader-directory", 0, ALL | EXPERIMENTAL, TAKES_FILE, FIELD(loaders), NULL}, // rejected
    {"x-psw", 0, ALL | EXPERIMENTAL, TAKES_HEX, FIELD(request.psw),
     "where the kernel starts (0x10000)"},
};

static const struct {
    enum seal_switch which;
    unsigned tools;
    const char *help;
} switches[] = {
    {SWITCH_DUMP, ALL, "dumps of the guest; needs --comm-key or --enable-cck-update (off)"},
    {SWITCH_PCKMO, ALL, "PCKMO for DEA, TDEA, AES and ECC keys (on)"},
    {SWITCH_PCKMO_HMAC, ALL, "PCKMO for HMAC keys (off)"},
    {SWITCH_BACKUP_KEYS, ALL, "backup target keys (off)"},
    {SWITCH_IMAGE_ENCRYPTION, ALL, "encrypted components (on)"},
    {SWITCH_CCK_EXTENSION, ALL, "secrets must prove --comm-key (off)"},
    {SWITCH_CCK_UPDATE, ALL, "the communication key may be replaced (off)"},
};

// The state of parsing.
struct parser {
    const struct strlist *words;
    size_t next; // word
    enum seal_tool tool;
    struct seal_command *out;
};

static int option_error(struct error **err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static int option_error(struct error **err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cleanup_free char *message = xvasprintf(format, args);
    va_end(args);
    return error_set(err, ERROR_USAGE, "%s", message);
}

int add_listed_files(struct strlist *list, const char *typed, const char *value, struct error **err)
{
    cleanup_strlist struct strlist parts = {0};
    strlist_split(&parts, value, ",");
    if (parts.n < 2 || !strchr(value, ',')) {
        strlist_add(list, value);
        return 0;
    }
    bool whole = path_exists(value), all = true;
    for (size_t i = 0; i < parts.n; i++)
        all &= path_exists(parts.items[i]);
    if (whole && all) {
        option_error(err, "%s %s: a file of that name exists, and so do files of its parts", typed,
                     value);
        return error_hint(err,
                          "genprotimg before s390-tools 2.36 takes the one file, later genprotimg "
                          "and pvimg take the others: give the option once for each file; the file "
                          "with a comma can be given as ./NAME in a directory without the others");
    }
    if (whole)
        strlist_add(list, value);
    else
        strlist_add_all(list, &parts);
    return 0;
}

// `typed` is the option as typed, without a value.
static int set_option(struct parser *p, const struct option_row *row, const char *typed,
                      const char *value, struct error **err)
{
    void *field = (char *)p->out + row->field;
    if (row->takes == TAKES_NOTHING) {
        *(bool *)field = true;
        return 0;
    }
    if (row->takes == TAKES_FILES)
        return add_listed_files(field, typed, value, err);
    const char **text = field;
    if (*text)
        return option_error(err, "Multiple values for option '%s'", typed);
    *text = value;
    return 0;
}

static const char *next_value(struct parser *p, const char *typed, struct error **err)
{
    if (p->next < p->words->n)
        return p->words->items[p->next++];
    option_error(err, "Missing argument for %s", typed);
    return NULL;
}

// 1: it was one of --enable-* and --disable-*; 0: it was not.
static int parse_switch(struct parser *p, const char *name, struct error **err)
{
    bool on = starts_with(name, "enable-");
    if (!on && !starts_with(name, "disable-"))
        return 0;
    enum switch_state state = on ? SWITCH_ON : SWITCH_OFF;
    name = strchr(name, '-') + 1;
    for (size_t i = 0; i < ARRAY_LEN(switches); i++) {
        if (!(switches[i].tools & p->tool) || strcmp(name, seal_switch_name(switches[i].which)))
            continue;
        enum switch_state *s = &p->out->request.switches[switches[i].which];
        if (*s != SWITCH_UNSET && *s != state)
            return option_error(err, "'--enable-%s' and '--disable-%s' are mutually exclusive",
                                name, name);
        *s = state;
        return 1;
    }
    return 0;
}

static int unknown_option(const struct parser *p, const char *word, struct error **err)
{
    struct strlist names = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (*rows[i].name && rows[i].tools & p->tool)
            strlist_addf(&names, "--%s", rows[i].name);
    for (size_t i = 0; i < ARRAY_LEN(switches); i++)
        if (switches[i].tools & p->tool) {
            strlist_addf(&names, "--enable-%s", seal_switch_name(switches[i].which));
            strlist_addf(&names, "--disable-%s", seal_switch_name(switches[i].which));
        }
    option_error(err, "Unknown option %s", word);
    const char *nearest = nearest_name(word, &names);
    if (nearest)
        error_hint(err, "did you mean %s?", nearest);
    strlist_free(&names);
    return -1;
}

static int parse_long(struct parser *p, const char *word, struct error **err)
{
    const char *equals = strchr(word, '=');
    cleanup_free char *typed = equals ? xstrndup(word, (size_t)(equals - word)) : xstrdup(word);
    const char *name = typed + 2;
    // genprotimg before 2.36 ignores a value of an option without one, except of --help; here it is
    // an error.
    bool help = starts_with(name, "help");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct option_row *row = &rows[i];
        if (!(row->tools & p->tool) || !*name || strcmp(row->name, name))
            continue;
        if (row->takes == TAKES_NOTHING && equals)
            return option_error(err, help ? "Unknown option %s" : "%s takes no value", word);
        if (row->takes == TAKES_NOTHING)
            return set_option(p, row, typed, NULL, err);
        const char *value = equals ? equals + 1 : next_value(p, typed, err);
        return value ? set_option(p, row, typed, value, err) : -1;
    }
    int took = equals ? 0 : parse_switch(p, name, err);
    return took ? (took > 0 ? 0 : -1) : unknown_option(p, word, err);
}

static const struct option_row *find_letter(const struct parser *p, char letter)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].letter == letter && rows[i].tools & p->tool)
            return &rows[i];
    return NULL;
}

// Letters may be combined; one with a value is the last of them, and its value may follow directly,
// or after an equals sign, as in pvimg (genprotimg before 2.36 rejects both).
static int parse_letters(struct parser *p, const char *word, struct error **err)
{
    for (const char *c = word + 1; *c; c++) {
        const struct option_row *row = find_letter(p, *c);
        if (!row)
            return unknown_option(p, word, err);
        char typed[] = {'-', *c, '\0'};
        if (row->takes == TAKES_NOTHING) {
            if (set_option(p, row, typed, NULL, err) < 0)
                return -1;
            continue;
        }
        const char *value = c[1] ? c + 1 + (c[1] == '=') : next_value(p, typed, err);
        return value ? set_option(p, row, typed, value, err) : -1;
    }
    return 0;
}

// Decides options with different meanings in different programs.
static int resolve_ambiguous(const struct strlist *words, struct seal_command *out,
                             struct error **err)
{
    // -v is the version of genprotimg before 2.36, and --verbose of the later ones, which need an
    // image with it. So it never prevents a requested image.
    bool alone = words->n == 1 && (out->version || !strcmp(words->items[0], "-v"));
    if (out->dash_v && alone)
        out->version = true;
    out->verbose |= out->dash_v && !alone;
    if (out->version && !alone) {
        option_error(err, "'--version' with other options writes no image");
        return error_hint(err, "genprotimg before s390-tools 2.36 then prints its version and "
                               "ignores the others, later ones reject it: give it alone");
    }
    if (out->verbose && out->quiet)
        return option_error(err, "'--verbose' and '--quiet' are mutually exclusive");
    if (out->loaders) {
        option_error(err, "--x-bootloader-directory %s: other loaders are not supported",
                     out->loaders);
        return error_hint(err,
                          "kbuild's own loaders are part of the program, so that an image can be "
                          "verified (docs/loaders.md)");
    }
    return 0;
}

int parse_seal_options(const struct strlist *words, enum seal_tool tool, struct seal_command *out,
                       struct error **err)
{
    struct parser p = {.words = words, .tool = tool, .out = out};
    bool only_operands = false;
    while (p.next < words->n) {
        const char *word = words->items[p.next++];
        int result = 0;
        if (only_operands || word[0] != '-' || !word[1])
            strlist_add(&out->request.operands, word);
        else if (!strcmp(word, "--"))
            only_operands = true;
        else
            result = word[1] == '-' ? parse_long(&p, word, err) : parse_letters(&p, word, err);
        if (result < 0)
            return -1;
        if (out->help || out->help_all || out->help_experimental)
            return 0;
    }
    return resolve_ambiguous(words, out, err);
}

// ---- help ----

static void print_row(char letter, const char *name, const char *value, const char *help)
{
    cleanup_free char *left = xasprintf("--%s%s", name, value);
    if (letter)
        print("  -%c, %-32s %s\n", letter, left, help);
    else
        print("      %-32s %s\n", left, help);
}

static void print_rows(enum seal_tool tool, bool experimental)
{
    static const char *const values[] = {"", "=FILE", "=HEX", "=FILE"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].tools & tool && rows[i].help &&
            !(rows[i].tools & EXPERIMENTAL) == !experimental)
            print_row(rows[i].letter, rows[i].name, values[rows[i].takes], rows[i].help);
    for (size_t i = 0; !experimental && i < ARRAY_LEN(switches); i++)
        if (switches[i].tools & tool) {
            cleanup_free char *name =
                xasprintf("(en|dis)able-%s", seal_switch_name(switches[i].which));
            print_row('\0', name, "", switches[i].help);
        }
}

void print_seal_options(enum seal_tool tool, const struct seal_command *command)
{
    const char *name = tool == TOOL_GENPROTIMG ? "genprotimg"
                       : tool == TOOL_PVIMG    ? "pvimg create"
                                               : "kbuild se seal";
    print("usage: %s [OPTION...]\n\nSeals a kernel, an initrd and a kernel command line to an IBM "
          "Secure Execution image.\nCertificates, revocation lists and documents are PEM or DER.\n",
          name);
    if (!command->help_experimental) {
        print("\nOptions:"
              "\n");
        print_rows(tool, false);
    }
    if (command->help_all || command->help_experimental) {
        print("\nExperimental options:"
              "\n");
        print_rows(tool, true);
    }
}
