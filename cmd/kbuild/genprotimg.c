// SPDX-License-Identifier: Apache-2.0
// Runs kbuild as genprotimg or pvimg when it was started under that name: their commands,
// messages and exit status (docs/genprotimg.md).
#include "se.h"

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/input.h"
#include "se/se.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

// ---- pvimg ----

static const char pvimg_usage[] =
    "usage: pvimg [-v|-q] COMMAND ...\n\n"
    "  create OPTION...          seal an image (pvimg create --help)\n"
    "  info IMAGE                show what is in an image (pvimg info --help)\n"
    "  test IMAGE -k DOCUMENT    is it sealed for a machine? (pvimg test --help)\n"
    "  version                   print the version; --version is the same\n"
    "  help [COMMAND]            print this, or the options of a command";
static const char pvimg_info_usage[] =
    "usage: pvimg info [OPTION...] IMAGE\n\n"
    "      --format=FORMAT            text, text:full, json, json:pretty or json:minify; by "
    "default text on\n"
    "                                 a terminal, else json\n"
    "      --hdr-key=FILE             the header key, which authenticates the header; --key is the "
    "same\n"
    "      --show-secrets             print what the header key decrypts, including keys\n"
    "      --print-schema=json        print the JSON Schema of the output instead of reading an "
    "image\n"
    "  -k, --host-key-document=FILE   show the key slot of this document (kbuild's own option)\n"
    "  -v, -q, -h                     print more, print less, print this";
static const char pvimg_test_usage[] =
    "usage: pvimg test [OPTION...] IMAGE\n\n"
    "  -k, --host-key-document=FILE   is one of these machines among those that may start the "
    "image? Several\n"
    "                                 options, or names separated by commas\n"
    "      --key-hashes[=FILE]        the same for the hashes in FILE, by default those that the "
    "firmware of\n"
    "                                 this machine shows (/sys/firmware/uv/keys/all)\n"
    "  -v, -q, -h                     print more, print less, print this\n\n"
    "The exit status is 0 if one of them is, 1 if none is.";

static void print_usage(const char *text)
{
    print_text(stdout, text, strlen(text)); // keeps its lines
    print("\n");
}

// The options of every command, before or after its name.
struct pvimg_flags {
    bool verbose, quiet, help;
};

// True if `word` is one of them, which is then recorded.
static bool parse_flag(const char *word, struct pvimg_flags *c)
{
    static const struct {
        const char *name;
        size_t field;
    } names[] = {{"--verbose", offsetof(struct pvimg_flags, verbose)},
                 {"--quiet", offsetof(struct pvimg_flags, quiet)},
                 {"--help", offsetof(struct pvimg_flags, help)},
                 {"-h", offsetof(struct pvimg_flags, help)}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(word, names[i].name)) {
            *(bool *)((char *)c + names[i].field) = true;
            return true;
        }
    if (word[0] != '-' || !word[1] || word[1 + strspn(word + 1, "vVq")])
        return false;
    c->verbose |= strpbrk(word, "vV") != NULL;
    c->quiet |= strchr(word, 'q') != NULL;
    return true;
}

// Removes the flags from the words of `info` and `test`.
static int remove_flags(struct strlist *words, struct pvimg_flags *c, struct error **err)
{
    struct strlist rest = {0};
    bool operands = false;
    for (size_t i = 0; i < words->n; i++) {
        operands |= !strcmp(words->items[i], "--");
        if (operands || !parse_flag(words->items[i], c))
            strlist_add(&rest, words->items[i]);
    }
    strlist_free(words);
    *words = rest;
    if (c->verbose && c->quiet)
        return error_set(err, ERROR_USAGE, "'--verbose' and '--quiet' are mutually exclusive");
    if (c->quiet)
        discard_messages();
    return 0;
}

static int pvimg_create(struct strlist *words, struct error **err)
{
    struct seal_command command = {0};
    int result = parse_seal_options(words, TOOL_PVIMG, &command, err);
    if (!result)
        result = run_seal_command(&command, TOOL_PVIMG, err);
    seal_request_free(&command.request);
    return result;
}

static int pvimg_version(struct strlist *words, struct error **err)
{
    struct pvimg_flags common = {0};
    if (remove_flags(words, &common, err) < 0)
        return -1;
    if (words->n)
        return error_set(err, ERROR_USAGE, "pvimg version takes no argument: %s", words->items[0]);
    print("%s\n", "pvimg version " PVIMG_VERSION "-kbuild-" KBUILD_VERSION);
    return 0;
}

// Text on a terminal, else JSON; --format says otherwise.
static int pvimg_info(struct strlist *words, struct error **err)
{
    struct global_options g = {.json = !isatty(STDOUT_FILENO)};
    struct pvimg_flags common = {0};
    if (remove_flags(words, &common, err) < 0)
        return -1;
    if (common.help) {
        print_usage(pvimg_info_usage);
        return 0;
    }
    int result = command_line_parse_words(verb_find("se", "info"), words, &g.line, err);
    if (!result && command_line_given(&g.line, "--format"))
        g.json = false;
    if (!result)
        result = se_verb_info(&g, &g.line.operands, err);
    command_line_free(&g.line);
    return result;
}

// ---- test: was an image sealed for a machine? ----

static bool has_slot(const struct se_image *image, const unsigned char hash[static 32])
{
    for (uint64_t i = 0; i < image->slots; i++)
        if (!memcmp(image->slot[i], hash, 32))
            return true;
    return false;
}

// 1 if it is, 0 if not.
static int test_document(const struct se_image *image, const char *path, struct error **err)
{
    struct host_key key = {0};
    if (host_key_input(path, &key, err) < 0)
        return -1;
    bool found = has_slot(image, key.hash);
    host_key_free(&key);
    log_note(found ? " \u2713 Host key document '%s' is included"
                   : " \u2718 Host key document '%s' is not included",
             path);
    return found;
}

static int test_documents(const struct se_image *image, const struct strlist *paths,
                          struct error **err)
{
    bool any = false;
    for (size_t i = 0; i < paths->n; i++) {
        int found = test_document(image, paths->items[i], err);
        if (found < 0)
            return -1;
        any |= found;
    }
    return any;
}

// The firmware's hashes for this machine, one a line: the host key's, the backup's, then those of
// future keys.
#define FIRMWARE_KEYS "/sys/firmware/uv/keys/all"
#define FIRMWARE_LINES 15

static int test_hashes(const struct se_image *image, const char *path, struct error **err)
{
    static const char *const names[] = {"Host key", "Backup host key", "Key"};
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist lines = {0};
    if (user_file_read(path, 1 << 16, &text, err) < 0)
        return error_wrap(err, "key hashes");
    strlist_split(&lines, text.data, "\r\n");
    if (lines.n != FIRMWARE_LINES)
        return error_user(err, "%s: it has %zu lines, not %d", path, lines.n, FIRMWARE_LINES);
    bool any = false;
    for (size_t i = 0; i < FIRMWARE_LINES; i++) {
        unsigned char hash[32];
        if (!hex_decode(lines.items[i], hash, sizeof hash))
            return error_user(err, "%s: line %zu is not 64 hexadecimal digits", path, i + 1);
        if (!has_slot(image, hash))
            continue;
        any = true;
        log_note(" \u2713 %s hash 0x%s is included", names[i < 2 ? i : 2], lines.items[i]);
    }
    if (!any)
        log_note(" \u2718 None of the key hashes is included");
    return any;
}

// --key-hashes may have no value, so it is removed before the others are parsed.
static bool remove_key_hashes(struct strlist *words, const char **path, struct strlist *storage)
{
    struct strlist rest = {0};
    bool found = false;
    for (size_t i = 0; i < words->n; i++) {
        const char *word = words->items[i];
        bool bare = !strcmp(word, "--key-hashes");
        if (!bare && !starts_with(word, "--key-hashes=")) {
            strlist_add(&rest, word);
            continue;
        }
        found = true;
        strlist_add(storage, bare ? FIRMWARE_KEYS : strchr(word, '=') + 1);
        *path = storage->items[storage->n - 1];
    }
    strlist_free(words);
    *words = rest;
    return found;
}

static int test_image(const char *path, const struct strlist *documents, const char *hashes,
                      struct error **err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct se_image image = {0};
    if (fd < 0)
        return error_errno(err, errno, "opening %s", path);
    if (se_read(fd, path, &image, err) < 0)
        return -1;
    int found = hashes ? test_hashes(&image, hashes, err) : test_documents(&image, documents, err);
    se_image_free(&image);
    return found < 0 ? -1 : !found;
}

static int run_pvimg_test(const struct command_line *c, const char *hashes, struct error **err)
{
    cleanup_strlist struct strlist values = {0}, documents = {0};
    command_line_values(c, "--host-key-document", &values);
    for (size_t i = 0; i < values.n; i++)
        if (add_listed_files(&documents, "-k", values.items[i], err) < 0)
            return -1;
    if (c->operands.n != 1 || !hashes == !documents.n)
        return error_set(err, ERROR_USAGE,
                         "usage: pvimg test IMAGE (-k DOCUMENT... | --key-hashes[=FILE])");
    return test_image(c->operands.items[0], &documents, hashes, err);
}

static int pvimg_test(struct strlist *words, struct error **err)
{
    static const struct option options[] = {
        {"--host-key-document", 'k', "DOCUMENT", "a host key document", true, false}};
    static const struct verb row = {.name = "pvimg test",
                                    .operands = "IMAGE",
                                    .most = ANY_NUMBER,
                                    .help = "is the image for one of these machines?",
                                    .options = options,
                                    .option_count = ARRAY_LEN(options)};
    cleanup_strlist struct strlist storage = {0};
    struct pvimg_flags common = {0};
    struct command_line line = {0};
    const char *hashes = NULL;
    remove_key_hashes(words, &hashes, &storage);
    if (remove_flags(words, &common, err) < 0)
        return -1;
    if (common.help) {
        print_usage(pvimg_test_usage);
        return 0;
    }
    int result = command_line_parse_words(&row, words, &line, err);
    if (!result)
        result = run_pvimg_test(&line, hashes, err);
    command_line_free(&line);
    return result;
}

// `help`, `help COMMAND`.
static int pvimg_help(struct strlist *words, struct error **err)
{
    static const struct {
        const char *command, *text; // NULL: create's options, from their table
    } texts[] = {{"create", NULL},
                 {"info", pvimg_info_usage},
                 {"test", pvimg_test_usage},
                 {"version", pvimg_usage},
                 {"help", pvimg_usage}};
    if (!words->n)
        print_usage(pvimg_usage);
    for (size_t i = 0; words->n && i < ARRAY_LEN(texts); i++) {
        if (strcmp(words->items[0], texts[i].command))
            continue;
        if (texts[i].text)
            print_usage(texts[i].text);
        else
            print_seal_options(TOOL_PVIMG, &(struct seal_command){.help = true});
        return 0;
    }
    return words->n ? error_set(err, ERROR_USAGE, "unrecognized subcommand '%s'", words->items[0])
                    : 0;
}

static int run_pvimg(struct strlist *words, struct error **err)
{
    static const struct {
        const char *name;
        int (*run)(struct strlist *, struct error **);
    } commands[] = {{"create", pvimg_create},   {"info", pvimg_info}, {"test", pvimg_test},
                    {"version", pvimg_version}, {"help", pvimg_help}, {"--version", pvimg_version}};
    cleanup_strlist struct strlist rest = {0};
    struct pvimg_flags common = {0};
    size_t at = 0;
    while (at < words->n && parse_flag(words->items[at], &common))
        at++;
    if (common.help)
        return pvimg_help(&rest, err);
    for (size_t i = 0; at < words->n && i < ARRAY_LEN(commands); i++) {
        if (strcmp(words->items[at], commands[i].name))
            continue;
        // Options before the command apply to it. `help` uses none of them.
        for (size_t k = 0; k < at && commands[i].run != pvimg_help; k++)
            strlist_add(&rest, words->items[k]);
        for (size_t k = at + 1; k < words->n; k++)
            strlist_add(&rest, words->items[k]);
        return commands[i].run(&rest, err);
    }
    if (at < words->n)
        error_set(err, ERROR_USAGE, "unrecognized subcommand '%s'", words->items[at]);
    else
        error_set(err, ERROR_USAGE, "a command is missing");
    return error_hint(err, "%s", pvimg_usage);
}

// ---- the programs ----

static int run_genprotimg(struct strlist *words, struct error **err)
{
    struct seal_command command = {0};
    int result = parse_seal_options(words, TOOL_GENPROTIMG, &command, err);
    if (!result)
        result = run_seal_command(&command, TOOL_GENPROTIMG, err);
    seal_request_free(&command.request);
    return result;
}

static void log_as_genprotimg(enum log_level level, const char *line, void *context)
{
    print_prefixed(stderr, level == LOG_WARNING ? "WARNING: " : "", line);
}

static void log_as_pvimg(enum log_level level, const char *line, void *context)
{
    print_prefixed(stderr, level == LOG_WARNING ? "warning: " : "", line);
}

static const struct program {
    const char *name;
    int (*run)(struct strlist *, struct error **);
    log_sink *log;
    const char *error_prefix;
    bool has_usage_status; // exit status 2 for a wrong command line; else every failure is 1
} programs[] = {
    {"genprotimg", run_genprotimg, log_as_genprotimg, "", false},
    {"pvimg", run_pvimg, log_as_pvimg, "error: ", true},
};

static int report_result(const struct program *p, int status, struct error *err)
{
    bool lost = fflush(stdout) != 0 || ferror(stdout);
    if (!err)
        return lost ? 1 : status;
    print_prefixed(stderr, p->error_prefix, err->message);
    if (err->hint)
        print_prefixed(stderr, "", err->hint);
    status = p->has_usage_status && err->kind == ERROR_USAGE ? 2 : 1;
    error_free(err);
    return status;
}

bool run_other_program(int argc, char **argv, int *status)
{
    const char *name = argc > 0 ? path_base(argv[0]) : "";
    for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
        if (strcmp(name, programs[i].name))
            continue;
        cleanup_strlist struct strlist words = {0};
        for (int k = 1; k < argc; k++)
            strlist_add(&words, argv[k]);
        struct error *err = NULL;
        log_redirect(programs[i].log, NULL);
        *status = programs[i].run(&words, &err);
        *status = report_result(&programs[i], *status, err);
        return true;
    }
    return false;
}
