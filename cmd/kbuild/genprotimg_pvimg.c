// SPDX-License-Identifier: Apache-2.0
// pvimg create, info, test, version.
#include "genprotimg.h"
#include "se.h"

#include "base/digest.h"
#include "base/user_file.h"
#include "seal/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

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
    print("%s\n", "pvimg version " PVIMG_VERSION "-kbuild-" KBUILD_VERSION);
    return 0;
}

// Text on a terminal, else JSON; --format says otherwise.
static int pvimg_info(struct strlist *words, struct error **err)
{
    struct global_options g = {.json = !isatty(STDOUT_FILENO)};
    int result = command_line_parse_words(verb_find("se", "info"), words, &g.line, err);
    if (!result && g.line.help)
        print_verb_help(g.line.verb);
    else if (!result)
        result = se_verb_info(&g, &g.line.operands, err);
    command_line_free(&g.line);
    return result;
}

// ---- test: is a machine among those that an image was sealed for? ----

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
    print(found ? " \u2713 Host key document '%s' is included\n"
                : " \u2718 Host key document '%s' is not included\n",
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

// What the firmware says of this machine: a hash a line, the host key's first, then the backup's.
#define FIRMWARE_KEYS "/sys/firmware/uv/keys/all"
#define FIRMWARE_LINES 15

static int test_hashes(const struct se_image *image, const char *path, struct error **err)
{
    static const char *const names[] = {"Host", "Backup host"};
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist lines = {0};
    if (user_file_read(path, 1 << 16, &text, err) < 0)
        return error_wrap(err, "key hashes");
    strlist_split(&lines, text.data ? text.data : "", "\r\n");
    if (lines.n < FIRMWARE_LINES)
        return error_user(err, "%s: it has %zu lines, not at least %d", path, lines.n,
                          FIRMWARE_LINES);
    bool any = false;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        unsigned char hash[32];
        if (!hex_decode(lines.items[i], hash, sizeof hash))
            return error_user(err, "%s: line %zu is not 64 hexadecimal digits", path, i + 1);
        if (has_slot(image, hash)) {
            any = true;
            print(" \u2713 %s key hash is included\n", names[i]);
        }
    }
    if (!any)
        print("%s\n", " \u2718 None of the key hashes is included");
    return any;
}

// --key-hashes may stand without a value, so it is taken out before the others are parsed.
static bool take_key_hashes(struct strlist *words, const char **path, struct strlist *storage)
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

static int run_test(const struct command_line *c, const char *hashes, struct error **err)
{
    cleanup_strlist struct strlist documents = {0};
    command_line_values(c, "--host-key-document", &documents);
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
    struct command_line line = {0};
    const char *hashes = NULL;
    take_key_hashes(words, &hashes, &storage);
    int result = command_line_parse_words(&row, words, &line, err);
    if (!result)
        result = run_test(&line, hashes, err);
    command_line_free(&line);
    return result;
}

int run_pvimg(struct strlist *words, struct error **err)
{
    static const struct {
        const char *name;
        int (*run)(struct strlist *, struct error **);
    } commands[] = {{"create", pvimg_create},
                    {"info", pvimg_info},
                    {"test", pvimg_test},
                    {"version", pvimg_version},
                    {"--version", pvimg_version}};
    static const char usage[] = "usage: pvimg create|info|test|version ...";
    if (words->n && (!strcmp(words->items[0], "--help") || !strcmp(words->items[0], "-h"))) {
        print("%s\n", usage);
        return 0;
    }
    for (size_t i = 0; words->n && i < ARRAY_LEN(commands); i++) {
        if (strcmp(words->items[0], commands[i].name))
            continue;
        cleanup_strlist struct strlist rest = {0};
        for (size_t k = 1; k < words->n; k++)
            strlist_add(&rest, words->items[k]);
        return commands[i].run(&rest, err);
    }
    return error_set(err, ERROR_USAGE, "%s", usage);
}
