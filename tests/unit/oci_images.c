// SPDX-License-Identifier: Apache-2.0
// Images under their names: there while their blobs are, gone with them.
#include "test.h"

#include "oci/oci.h"
#include "store/store.h"

#include <stdint.h>

TEST(a_named_image_goes_with_its_blobs)
{
    char folder[] = "/tmp/kbuild-test.XXXXXX";
    assert_non_null(mkdtemp(folder));
    struct store *s = store_open(folder, NULL);
    assert_non_null(s);
    cleanup_free char *tree = store_temporary(s, "tree", NULL);
    cleanup_free char *file = xasprintf("%s/file", tree);
    assert_int_equal(file_write(file, "x", 1, 0644, NULL), 0);
    char digest[DIGEST_HEX_SIZE], manifest[DIGEST_HEX_SIZE];
    assert_int_equal(store_put_tree(s, tree, digest, NULL), 0);
    struct oci_image about = {.architecture = "amd64", .created_by = "test"};
    assert_int_equal(oci_store_rootfs(s, digest, &about, manifest, NULL), 0);
    assert_int_equal(store_name_image(s, manifest, "kernel-012345678-x86_64", NULL), 0);
    assert_int_equal(store_name_image(s, manifest, "../escape", NULL), -1);

    cleanup_free char *image = xasprintf("%s/images/kernel-012345678-x86_64", folder);
    cleanup_free char *index = xasprintf("%s/index.json", image);
    assert_true(path_exists(index));
    // Without a record nothing keeps the blobs.
    assert_int_equal(store_gc(s, 0, NULL, NULL), 0);
    assert_false(path_exists(image));
    store_close(s);
    remove_tree(folder, NULL);
}
