// SPDX-License-Identifier: Apache-2.0
// The payload image that kata-deploy installs from (kata-artifacts 4.3): upstream's
// kata-deploy-build-and-upload-payload.sh makes it with a container daemon, kbuild by streaming.
// docs/payload.md.
//
//   payload.c  collects tarballs, makes layers, puts them on a base, delivers
//   arch.c     their architecture      base.c    the base image
//   layer.c    tarballs -> layers      output.c  manifest; layout, archive, registry
//   index.c    images -> one for several architectures
//   installer.c  what a base installs with
//   image.c    any archives on a base -> an image, of kbuild itself for example
//
// Requests are borrowed; results go to a layout, an archive or a registry, and lines for people to
// a callback.
#ifndef KBUILD_PAYLOAD_PAYLOAD_H
#define KBUILD_PAYLOAD_PAYLOAD_H

#include "base/error.h"
#include "base/memory.h"
#include "recipe/platform.h"

enum payload_layout {
    PAYLOAD_FITTING,   // what kata-deploy in the base installs
    PAYLOAD_UNPACKED,  // 3.12.0: /opt/kata-artifacts/opt/kata/...
    PAYLOAD_COMPONENTS // HEAD: /opt/kata-artifacts/tarballs/kata-static-*.tar.*
};
enum payload_compression { PAYLOAD_GZIP, PAYLOAD_ZSTD };

// Strings are borrowed; NULL is allowed where stated.
struct payload_request {
    const char *source;     // kata-static.tar.*, or a directory with kata-static-*.tar.*
    const char *repository; // "localhost:5000/build-kata-deploy"; NULL with an output
    const char *tag;        // beside upstream's; or NULL
    const char *base;     // reference, "oci:DIR[:NAME]" or "scratch"; NULL: upstream's kata-deploy
    bool any_base;        // also one without kata-deploy, or whose kata-deploy installs nothing
    bool keep_base_files; // what the base would install stays, where no component replaces it
    const char *output;   // "oci:DIR" or "oci-archive:FILE"; NULL: the registry
    const char *commit;   // NULL: HEAD of the git repository that versions_yaml is in
    const char *versions_yaml;
    bool installed;         // versions.yaml is an installation's for all users (lock_open)
    struct recipe_set *set; // of this project; NULL: there are no recipes
    const struct source_choices *choices; // the user's folders of sources; or NULL
    const struct strlist *guests; // of a directory: components to leave out (release_guests)
    const char *shim_components;  // components layout: shim-components.json; or NULL
    const char *cache;            // directory
    const struct arch *arch;      // NULL: that of the set; a contradiction is an error
    enum payload_layout layout;
    enum payload_compression compression; // of layers whose content is not compressed already
    bool plain_http;
    unsigned jobs;
};

// One line for each result, as docker prints it: "TAG: digest: sha256:... size: 1234".
typedef void payload_print(const char *line, void *context);

// The layers, config and manifest stay in the cache, so unchanged ones are not made again; content
// that the registry has is not sent again. Times are those in the tarballs, clamped to
// SOURCE_DATE_EPOCH: the same input gives the same image.
int payload_push(const struct payload_request *r, payload_print *print, void *context,
                 struct error **err);

// Joins images of one repository, each of another architecture, to a multi-arch index with the tag
// in `reference`. Each of `images` is a tag or a digest there; an index adds all its images. Two of
// one platform are an error.
int payload_index(const char *reference, char *const images[], size_t count, bool plain_http,
                  const char *cache, payload_print *print, void *context, struct error **err);

// An image of archives, one layer each, unpacked at its root (docs/install.md). Strings are
// borrowed; NULL is allowed where stated.
struct image_request {
    const struct strlist *archives;
    const char *base;             // as above; NULL: scratch
    const char *output;           // "oci:DIR[:NAME]" or "oci-archive:FILE[:NAME]"; NAME: latest
    const char *entrypoint;       // a program; NULL: the base's
    const struct strlist *labels; // NAME=VALUE
    const char *cache;            // directory
    const struct arch *arch;
    bool plain_http;
    unsigned jobs;
};
int image_make(const struct image_request *r, payload_print *print, void *context,
               struct error **err);

#endif
