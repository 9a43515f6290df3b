// SPDX-License-Identifier: Apache-2.0
// kbuild config containerd: the runtime class is there as Kata's pages have it, and nothing else
// changes.
#include "test.h"

#include "config/config.h"

#include <stdint.h>
#include <string.h>

#define CLASS_OF(plugin, name) "[plugins.\"" plugin "\".containerd.runtimes." name
#define CLASS_KEYS(name, shim)                                                                     \
    "runtime_type = \"io.containerd." name ".v2\"\nruntime_path = \"" shim                         \
    "/containerd-shim-kata-v2\"\nprivileged_without_host_devices = true\n"                         \
    "pod_annotations = [\"io.katacontainers.*\"]\ncontainer_annotations = "                        \
    "[\"io.katacontainers.*\"]\n"
#define RUNC(plugin) CLASS_OF(plugin, "runc]\n") "runtime_type = \"io.containerd.runc.v2\"\n\n"
#define RUNC_ALONE CLASS_OF(V2, "runc]\n") "runtime_type = \"io.containerd.runc.v2\"\n"
#define DEFAULT(name)                                                                              \
    "version = 2\n[plugins.\"" V2 "\".containerd]\ndefault_runtime_name = \"" name "\"\n"
#define V2 "io.containerd.grpc.v1.cri"
#define V3 "io.containerd.cri.v1.runtime"

TEST(containerd_gets_a_class)
{
    static const struct {
        const char *name, *configuration, *before, *after, *message;
    } cases[] = {
        {NULL, NULL, "version = 2\n",
         "version = 2\n\n" RUNC(V2) CLASS_OF(V2, "kata]\n")
             CLASS_KEYS("kata", "/opt/kata/bin") "\n" CLASS_OF(
                 V2, "kata.options]\nConfigPath = "
                     "\"/opt/kata/share/defaults/kata-containers/configuration.toml\"\n"),
         NULL},
        {"kata-qemu-se-runtime-rs", NULL, "version = 3\n",
         "version = 3\n\n" RUNC(V3) CLASS_OF(V3, "kata-qemu-se-runtime-rs]\n")
             CLASS_KEYS("kata-qemu-se-runtime-rs", "/opt/kata/runtime-rs/bin") "\n" CLASS_OF(
                 V3, "kata-qemu-se-runtime-rs.options]\nConfigPath = "
                     "\"/opt/kata/share/defaults/kata-containers/runtime-rs/"
                     "configuration-qemu-se-runtime-rs.toml\"\n"),
         NULL},
        // What is wrong in a class that is there, and no more.
        {"kata", "/etc/kata-containers/configuration.toml",
         "version = 2\n[plugins]\n  [plugins.'" V2 "'.containerd.runtimes.kata]\n"
         "    runtime_type = 'io.containerd.kata.v2'\n    snapshotter = 'nydus'\n"
         "    pod_annotations = ['a']\n  [plugins.'" V2 "'.containerd.runtimes.kata.options]\n"
         "    ConfigPath = '/etc/kata-containers/configuration.toml'\n",
         "version = 2\n[plugins]\n  [plugins.'" V2 "'.containerd.runtimes.kata]\n"
         "    runtime_type = 'io.containerd.kata.v2'\n    snapshotter = 'nydus'\n"
         "    pod_annotations = [\"a\", \"io.katacontainers.*\"]\n"
         "    runtime_path = \"/opt/kata/bin/containerd-shim-kata-v2\"\n"
         "    privileged_without_host_devices = true\n"
         "    container_annotations = [\"io.katacontainers.*\"]\n"
         "  [plugins.'" V2 "'.containerd.runtimes.kata.options]\n"
         "    ConfigPath = '/etc/kata-containers/configuration.toml'\n"
         "\n" RUNC_ALONE,
         NULL},
        // The class of whoever names none is another's, or this one.
        {"kata", "/c",
         DEFAULT("own") CLASS_OF(V2, "own]\n") "\n" CLASS_OF(V2, "kata]\n") CLASS_KEYS(
             "kata", "/opt/kata/bin") CLASS_OF(V2, "kata.options]\n") "ConfigPath = '/c'\n",
         DEFAULT("own") CLASS_OF(V2, "own]\n") "\n" CLASS_OF(V2, "kata]\n") CLASS_KEYS(
             "kata", "/opt/kata/bin") CLASS_OF(V2, "kata.options]\n") "ConfigPath = '/c'\n",
         NULL},
        {"kata", "/c", DEFAULT("kata"),
         DEFAULT("kata") "\n" CLASS_OF(V2, "kata]\n") CLASS_KEYS(
             "kata", "/opt/kata/bin") "\n" CLASS_OF(V2, "kata.options]\n") "ConfigPath = \"/c\"\n",
         NULL},
        {NULL, NULL, DEFAULT("own"), NULL, "default_runtime_name is \"own\""},
        {NULL, NULL, "version = 2\n[plugins.'" V2 "'.containerd]\ndefault_runtime_name = 3\n", NULL,
         "default_runtime_name is not a string"},
        {NULL, NULL, "", NULL, "the file has no version"},
        {NULL, NULL, "[hypervisor.qemu]\nkernel = '/k'\n", NULL, "the file has no version"},
        {NULL, NULL, "version = 1\n", NULL, "neither 2 nor 3"},
        {NULL, NULL, "version = '2'\n", NULL, "neither 2 nor 3"},
        {NULL, NULL, "version = 2\ndisabled_plugins = ['cri']\n", NULL, "disabled_plugins"},
        {NULL, NULL, "version = 2\ndisabled_plugins = 'cri'\n", NULL, "a list of strings"},
        {NULL, NULL, "version = 2\nplugins = {'" V2 "' = {}}\n", NULL, "can't be edited"},
        {"mine", NULL, "version = 2\n", NULL, "not one of Kata's classes"},
        {"kata.x", NULL, "version = 2\n", NULL, "not a valid name"},
        {"kata", "configuration.toml", "version = 2\n", NULL, "an absolute path"},
        // Another runtime's class.
        {"runc", "/c", "version = 2\n" RUNC_ALONE, NULL,
         "the class runc exists with the runtime_type \"io.containerd.runc.v2\""},
        {"runc", "/c", "version = 3\n", NULL, "the class of pods that name none"},
        {"runc", "/c", "version = 2\n" CLASS_OF(V2, "runc]\n"), NULL, "without a runtime_type"},
        {"runc", "/c",
         "version = 2\n" CLASS_OF(V2, "runc]\n") "runtime_type = 'io.containerd.runc.v2'\n"
                                                 "runtime_path = '/b/containerd-shim-kata-v2'\n",
         NULL, "the class runc exists"},
        {"gvisor", "/c",
         "version = 3\n" CLASS_OF(V3, "gvisor]\n") "runtime_type = 'io.containerd.runsc.v1'\n",
         NULL, "io.containerd.runsc.v1"},
        {"mine", "/c", "version = 2\n" CLASS_OF(V2, "mine]\n") "snapshotter = 'x'\n", NULL,
         "without a runtime_type"},
        {"mine", "/c",
         "version = 2\n" CLASS_OF(V2, "mine]\n") "runtime_type = 'io.containerd.mine.v2'\n", NULL,
         "io.containerd.mine.v2"},
        {"mine", "/c",
         "version = 2\n" CLASS_OF(V2, "mine]\n") "runtime_type = '/usr/bin/containerd-shim-x-v1'\n",
         NULL, "containerd-shim-x-v1"},
        {"kata", "/c",
         "version = 2\n" CLASS_OF(V2, "kata]\n") "runtime_type = 'io.containerd.katana.v2'\n", NULL,
         "io.containerd.katana.v2"},
        {"kata", "/c", "version = 2\n" CLASS_OF(V2, "kata]\n") "runtime_type = 2\n", NULL,
         "not a string"},
        {"kata", "/c",
         "version = 2\n[plugins.'" V2 "'.containerd.runtimes]\nkata = {Runtime_Type = "
         "'io.containerd.runc.v2'}\n",
         NULL, "io.containerd.runc.v2"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct config_request request = {.kind = config_kind_find("containerd", NULL),
                                               .runtime_class = cases[i].name,
                                               .configuration = cases[i].configuration};
        cleanup_buf struct buf edited = {0}, diff = {0};
        cleanup_error struct error *err = NULL;
        const char *text = cases[i].before;
        int result = config_edit_text(text, strlen(text), "f", &request, &edited, &diff, &err);
        if (cases[i].message) {
            if (result == 0 || !strstr(err->message, cases[i].message))
                fail_msg("%s: %s", text, err ? err->message : "it was edited");
            continue;
        }
        if (result < 0)
            fail_msg("%s: %s", text, err->message);
        assert_string_equal(edited.data, cases[i].after);
    }
}

static int edit(const struct config_request *request, const char *text, struct buf *edited,
                struct error **err)
{
    cleanup_buf struct buf diff = {0};
    return config_edit_text(text, strlen(text), "f", request, edited, &diff, err);
}

// Whatever Kata's class is called, and however its type says so.
TEST(containerd_corrects_a_class_of_kata)
{
    static const char *const classes[][2] = {
        {"kata", "runtime_type = 'io.containerd.kata-clh.v2'"},
        {"kata", ""},
        {"mine", "runtime_type = 'io.containerd.kata.v2'"},
        {"mine", "runtime_type = '/opt/kata/bin/containerd-shim-kata-v2'"},
        {"mine", "runtime_path = '/opt/kata/bin/containerd-shim-kata-v2'"},
        {"mine", "runtime_type = 'io.containerd.mine.v2'\n"
                 "runtime_path = '/other/containerd-shim-kata-v2'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        const struct config_request request = {.kind = config_kind_find("containerd", NULL),
                                               .runtime_class = classes[i][0],
                                               .configuration = "/c"};
        cleanup_buf struct buf edited = {0}, again = {0};
        cleanup_error struct error *err = NULL;
        cleanup_free char *text =
            xasprintf("version = 2\n" CLASS_OF(V2, "%s]\n%s\n"), classes[i][0], classes[i][1]);
        if (edit(&request, text, &edited, &err) < 0)
            fail_msg("%s: %s", text, err->message);
        assert_non_null(strstr(edited.data, "/opt/kata/bin/containerd-shim-kata-v2"));
        assert_int_equal(edit(&request, edited.data, &again, &err), 0);
        assert_string_equal(again.data, edited.data);
    }
}

// Every path that goes into the file is one from '/' on.
TEST(paths_are_absolute)
{
    static const char *const kinds[] = {"containerd", "se", "snp"};
    for (size_t i = 0; i < 2 * ARRAY_LEN(kinds); i++) {
        const struct config_request request = {.kind = config_kind_find(kinds[i / 2], NULL),
                                               .prefix = i % 2 ? "relative" : ""};
        cleanup_buf struct buf edited = {0};
        cleanup_error struct error *err = NULL;
        const char *text = i < 2 ? "version = 2\n" : "[hypervisor.qemu]\nkernel = '/k'\n";
        assert_int_equal(edit(&request, text, &edited, &err), -1);
        assert_int_equal(err->kind, ERROR_USAGE);
        if (!strstr(err->message, "--prefix") || !strstr(err->message, "an absolute path"))
            fail_msg("%s", err->message);
    }
}

// A key of --set is one of the class.
TEST(containerd_takes_other_keys_of_a_class)
{
    cleanup_strlist struct strlist settings = {0};
    cleanup_buf struct buf edited = {0}, diff = {0};
    struct error *err = NULL;
    strlist_add(&settings, "snapshotter=nydus");
    strlist_add(&settings, "ConfigPath=/c");
    strlist_add(&settings, "options.SystemdCgroup=true");
    strlist_add(&settings, "plugins.'" V2 "'.containerd.runtimes.kata.sandboxer=x");
    const struct config_request request = {.kind = config_kind_find("containerd", NULL),
                                           .settings = &settings};
    assert_int_equal(config_edit_text("version = 2\n", 12, "f", &request, &edited, &diff, &err), 0);
    assert_non_null(strstr(edited.data, "container_annotations = [\"io.katacontainers.*\"]\n"
                                        "snapshotter = \"nydus\"\n"));
    assert_non_null(strstr(edited.data, "sandboxer = \"x\"\n\n" CLASS_OF(V2, "kata.options]")));
    assert_non_null(strstr(edited.data, "runtimes.kata.options]\nConfigPath = \"/c\"\n"
                                        "SystemdCgroup = true\n"));
}

// What lands beside the class is no part of it.
TEST(containerd_takes_no_key_beside_the_class)
{
    static const char *const settings[] = {
        "debug.level=debug", "kata.options.ConfigPath=/c", "runtimes.kata.snapshotter=x",
        "plugins.'" V2 "'.containerd.runtimes.runc.snapshotter=x",
        "plugins.'" V2 "'.containerd.snapshotter=x"};
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        cleanup_strlist struct strlist list = {0};
        cleanup_buf struct buf edited = {0};
        cleanup_error struct error *err = NULL;
        strlist_add(&list, settings[i]);
        const struct config_request request = {.kind = config_kind_find("containerd", NULL),
                                               .settings = &list};
        assert_int_equal(edit(&request, "version = 2\n", &edited, &err), -1);
        assert_non_null(strstr(err->message, "is not a key of the class kata"));
        assert_non_null(strstr(err->hint, "options.KEY"));
    }
}

// The whole path of an option replaces what the class has.
TEST(an_option_is_that_of_the_class)
{
    cleanup_strlist struct strlist list = {0};
    cleanup_buf struct buf edited = {0};
    struct error *err = NULL;
    strlist_add(&list, "options.ConfigPath=/new");
    const struct config_request request = {.kind = config_kind_find("containerd", NULL),
                                           .settings = &list};
    assert_int_equal(
        edit(&request,
             "version = 2\n" CLASS_OF(V2, "kata]\n") CLASS_KEYS("kata", "/opt/kata/bin")
                 CLASS_OF(V2, "kata.options]\n") "ConfigPath = '/old'\n" RUNC_ALONE,
             &edited, &err),
        0);
    assert_non_null(strstr(edited.data, "runtimes.kata.options]\nConfigPath = \"/new\"\n["));
    assert_null(strstr(edited.data, "/old"));
    assert_null(strstr(edited.data, "\n[options]"));
}
