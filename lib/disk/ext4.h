// SPDX-License-Identifier: Apache-2.0
// Fills an ext4 file system without mounting it: entries become commands for debugfs(8) of
// e2fsprogs, and content becomes numbered files beside them, so that no name of a file that
// somebody else made is ever a name on this machine.
//
// debugfs reads commands line by line, words in double quotes with "" for a quote of their own. So
// a name or link target with a line break or carriage return is refused, as is a command that
// debugfs would not read in one piece. Times are set to the second; atime, ctime and crtime are the
// epoch, by E2FSPROGS_FAKE_TIME, of which the mtimes are set as they are. debugfs tells no failure
// by its exit status: ext4_check_messages() and ext4_check_count() find out.
#ifndef KBUILD_DISK_EXT4_H
#define KBUILD_DISK_EXT4_H

#include "base/digest.h"
#include "pack/pack.h"

struct ext4_fill;
// `folder` is an empty folder, in which the commands ("commands"), the contents ("0" and so on) and
// a mke2fs.conf are written; `inside` is its path as the programs see it.
struct ext4_fill *ext4_fill_begin(const char *folder, const char *inside, struct error **err);
struct pack_sink ext4_fill_sink(struct ext4_fill *f);

struct ext4_size {
    uint64_t blocks; // of DISK_BLOCK, that the file system needs at least, all of it
    uint64_t inodes; // to ask mke2fs for
    uint64_t used;   // inodes that are in use in the end
};
// Ends the commands. `digest` gets the SHA-256 of all that was told: of names, modes, owners, times
// and content.
int ext4_fill_end(struct ext4_fill *f, struct ext4_size *size, char digest[static DIGEST_HEX_SIZE],
                  struct error **err);
void ext4_fill_free(struct ext4_fill *f); // NULL is allowed

// What mke2fs has to be told, after its name and before the file: the features are named one by
// one, and none comes from a mke2fs.conf, so that e2fsprogs 1.47.0 and 1.47.2 make the same.
// `blocks` is the size of the file system.
void ext4_mke2fs_options(const struct ext4_size *size, const char digest[static DIGEST_HEX_SIZE],
                         struct strlist *argv);
#define EXT4_FEATURES                                                                              \
    "none,has_journal,ext_attr,filetype,extent,flex_bg,sparse_super,large_file,huge_file,"         \
    "dir_nlink,extra_isize,dir_index,metadata_csum"
// The environment of all three programs, NAME=value: `inside` is as above, and the epoch is not 0.
void ext4_environment(const char *inside, int64_t epoch, struct strlist *out);

// What debugfs wrote to its standard error: its version in one line, or something failed.
int ext4_check_messages(const char *text, struct error **err);
// Whether the file system, at `offset` of the file, uses as many inodes as there should be.
int ext4_check_count(int fd, const char *shown, uint64_t offset, const struct ext4_size *size,
                     struct error **err);

static inline void ext4_fill_free_p(struct ext4_fill **f)
{
    ext4_fill_free(*f);
}
#define cleanup_ext4_fill __attribute__((cleanup(ext4_fill_free_p)))

#endif
