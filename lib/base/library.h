// SPDX-License-Identifier: Apache-2.0
// Shared libraries that are loaded when a function of theirs is called for the first time.
//
// A library with many dependencies takes longer to load than a run that finds everything cached.
// tools/lazy-library makes the header through which such a library is called.
#ifndef KBUILD_BASE_LIBRARY_H
#define KBUILD_BASE_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

// Loads the library and looks up its functions: out[i] is the address of names[i]. If the library
// or a function is missing, this ends the process, as the loader does with a program that is linked
// with the library.
void library_load(const char *soname, const char *const *names, size_t count, void **out);

// The absolute path of the loaded library that has this function; NULL if it is not known. Not to
// be freed.
const char *library_path(const void *function);

// Identifies the library that a process of this environment loads, as long as `path` is what
// library_path() said of it: device, inode, size and times of the loader's cache (ld.so(8),
// /etc/ld.so.cache) and of the file. Two equal texts stand for the same library. To be freed; NULL
// if one of these cannot be read, for example where the loader has no cache (musl), and if a
// variable like LD_LIBRARY_PATH is set, which may lead to another file at any time.
char *library_identity(const char *path);

// Whether the file of this path is mapped into this process: false also if it was replaced since.
bool library_is_mapped(const char *path);

#endif
