// SPDX-License-Identifier: Apache-2.0
// Any bytes as a Secure Execution image: read, shown, opened, verified or refused, never a crash.
//
// An image begins with 76 KiB in which nothing of interest lies, and random bytes never have
// digests that fit. So the first byte chooses: the rest of the input as it is; the rest as IPIB,
// header and components behind a front that fits them, with layout P's metadata or without; or the
// rest as changes to a good image (ten bytes each: where, and eight new bytes).
#include "base/error.h"
#include "base/file.h"
#include "crypto/crypto.h"
#include "se/format.h"
#include "se/se.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define IPIB 0x13000u
#define HEADER 0x14000u
#define METADATA_NUMBERS 20u

static struct host_key host;
static unsigned char *good;
static size_t good_size;
static char *parts; // a folder that opened images are written to

static void drop(enum log_level level, const char *line, void *context)
{
}

static int new_file(void)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    if (fd < 0)
        abort();
    return fd;
}

static void remove_parts(void)
{
    remove_tree(parts, NULL);
    free(parts);
    free(good);
    host_key_free(&host);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    log_redirect(drop, NULL);
    host = (struct host_key){.path = xstrdup("host"), .key = p521_generate(NULL)};
    // Opened images are synced to disk: where that costs nothing, if there is such a place.
    const char *place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    parts = make_temporary_directory(place, "fuzz-se-image", NULL);
    if (!parts || !host.key)
        abort();
    atexit(remove_parts);
    cleanup_free char *kernel = xasprintf("%s/small", parts);
    struct se_input in = {.kernel = kernel,
                          .command_line = "quiet",
                          .command_line_length = 5,
                          .hosts = &host,
                          .host_count = 1,
                          .pcf = SE_PCF_DEFAULT,
                          .skip_component_checks = true};
    cleanup_close int fd = new_file();
    if (file_write(kernel, "kernel", 6, 0600, NULL) < 0 || se_seal(&in, fd, NULL, NULL) < 0)
        abort();
    good_size = (size_t)lseek(fd, 0, SEEK_END);
    good = xmalloc(good_size);
    if (pread(fd, good, good_size, 0) != (ssize_t)good_size)
        abort();
    return 0;
}

static void put(int fd, const void *bytes, size_t length, off_t at)
{
    if (pwrite(fd, bytes, length, at) != (ssize_t)length)
        abort();
}

static void put_behind_front(int fd, const uint8_t *data, size_t size)
{
    unsigned char psw[8], arguments[STAGE3A_ARGUMENTS];
    struct layout l = {.arguments = IPIB - STAGE3A_ARGUMENTS, .ipib = IPIB, .header = HEADER};
    put_be64(psw, short_psw(SE_LOADER_ENTRY));
    put(fd, psw, sizeof psw, 0);
    if (size >= SE_PAGE + HEADER_IV) {
        stage3a_arguments(&l, get_be32(data + SE_PAGE + HEADER_SIZE), arguments);
        put(fd, arguments, sizeof arguments, (off_t)l.arguments);
    }
    put(fd, data, size, IPIB);
}

static void put_changed(int fd, const uint8_t *data, size_t size)
{
    // Twice as likely where the numbers are: IPIB and header.
    const size_t front = 0x2000;
    put(fd, good, good_size, 0);
    for (; size >= 10; data += 10, size -= 10) {
        size_t where = (size_t)data[0] << 8 | data[1];
        size_t at = where & 1 ? IPIB + (where >> 1) % front : (where * 4) % good_size;
        put(fd, data + 2, at + 8 <= good_size ? 8 : good_size - at, (off_t)at);
    }
}

// What passes without a key can be shown, in both ways.
static void show(int fd, bool valid)
{
    cleanup_error struct error *text_error = NULL, *json_error = NULL;
    cleanup_buf struct buf text = {0}, json = {0};
    const struct info_options o = {0};
    int as_text = se_info_text(fd, "image", &o, &text, &text_error);
    int as_json = se_info_json(fd, "image", &o, false, &json, &json_error);
    if (as_text != as_json || (as_text < 0) != (text_error != NULL) || (valid && as_text < 0))
        abort();
}

// What is verified must also pass without the key.
static void verify(int fd, bool valid)
{
    cleanup_error struct error *err = NULL;
    cleanup_findings struct se_findings done = {0};
    const struct se_originals nothing = SE_ORIGINALS_NONE;
    const struct se_proof proof = {.host_key = host.key};
    int result = se_verify(fd, "image", &proof, &nothing, &done, &err);
    if (result == 0 ? !valid : err == NULL)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    unsigned mode = data[0] % 4;
    // A key costs a hundred times the rest: one of eight by chance, and where the corpus says so.
    bool with_key = (data[0] & 0x1c) == 0x1c, verified = data[0] & 0x20;
    data++;
    size--;
    cleanup_close int fd = new_file();
    if (mode == 0) {
        put(fd, data, size, 0);
    } else if (mode == 1 && size >= METADATA_NUMBERS) {
        put_behind_front(fd, data + METADATA_NUMBERS, size - METADATA_NUMBERS);
        put(fd, "SeImgLnx", 8, SE_METADATA_OFFSET);
        put(fd, data, METADATA_NUMBERS, SE_METADATA_OFFSET + 8);
    } else if (mode == 2) {
        put_behind_front(fd, data, size);
    } else {
        put_changed(fd, data, size);
    }
    cleanup_error struct error *err = NULL, *closed = NULL;
    struct se_image image;
    if (se_read(fd, "image", &image, &err) == 0)
        se_image_free(&image);
    else if (!err)
        abort();
    show(fd, err == NULL);
    if (!with_key)
        return 0;
    if (verified)
        verify(fd, err == NULL);
    cleanup_free char *path = xasprintf("/proc/self/fd/%d", fd);
    struct se_opened opened;
    int result = se_open(path, host.key, parts, &opened, &closed);
    if (result == 0)
        se_opened_free(&opened);
    // What opens must also pass without the key.
    if (result == 0 ? err != NULL : closed == NULL)
        abort();
    return 0;
}
