// SPDX-License-Identifier: Apache-2.0
#include "genprotimg.h"

#include "base/visible.h"
#include "base/process.h"
#include "cache/registry.h"

#include <locale.h>
#include <signal.h>
#include <string.h>

const struct verb verbs[] = {
    {"build", "TARGET... [--until=PHASE] [--continue]", "build targets (the verb may be left out)",
     verb_build, false},
    {"list", "", "the targets and their architectures", verb_list, false},
    {"plan", "TARGET...", "what would be made, in order, and what is cached", verb_plan, false},
    {"explain", "TARGET", "the text of its action key, and what changed since the last build",
     verb_explain, false},
    {"fetch", "TARGET...", "make everything that needs the network", verb_fetch, false},
    {"log", "TARGET", "the log of its last build", verb_log, false},
    {"shell", "TARGET", "a shell in the sandbox of its step", verb_shell, false},
    {"boot",
     "TARGET [--host-key KEY] [--image FILE] [--qemu host|PATH] [--plain] [--root DIR] [--timeout "
     "SECONDS]",
     "start the result under QEMU and check what comes up", verb_boot, false},
    {"install", "TARGET... [--prefix DIR] [--root DIR] [--dry-run]",
     "put the results into this host's tree", verb_install, false},
    {"verify", "TARGET [--against FILE] [--all] [--scratch DIR]",
     "build it again in another world, and compare", verb_verify, false},
    {"merge",
     "DIR [-o FILE] [--format=tar.xz|tar.zst] [--target=TARGET | --components=A,B] [--rehash]",
     "join DIR/kata-static-*.tar.xz to kata-static.tar.xz", verb_merge, true},
    {"pack", "DIR FILE [--format=tar.xz|tar.zst]", "pack a tree as an artifact is packed",
     verb_pack, false},
    {"unpack", "FILE DIR", "unpack an archive into a new folder", verb_unpack, false},
    {"se", "seal|open|info|verify|reference|test-key ...", "Secure Execution images", verb_se,
     true},
    {"config", "se|snp FILE [--dry-run] [--set KEY=VALUE]... [--prefix DIR]",
     "fit a Kata runtime's configuration.toml to confidential guests", verb_config, false},
    {"hkd", "verify [--cert FILE] [--crl FILE] [--root-ca FILE] [--online] [HKD...]",
     "are host key documents genuine, valid, and not revoked?", verb_hkd, true},
    {"doctor", "[build|se|snp] [--root DIR | --collect DIR]",
     "is this machine fit to build, and to host confidential guests?", verb_doctor, false},
    {"measure",
     "snp TARGET [--build] | snp|sev-es|sev|tdx --ovmf FILE [--kernel FILE [--initrd FILE] [--append "
     "TEXT]] "
     "[--vcpus N|A-B] "
     "[--vcpu-type NAME | --vcpu-sig N] [--guest-features N] [--vmm-type qemu|ec2|gce] "
     "[--legacy-vm-type] [--qemu-version V] [--memory MIB] [--edk2 RELEASE] [--two-pass] "
     "[--id-key KEY [--author-key KEY]] [--policy N] [--family-id HEX] [--image-id HEX] "
     "[--guest-svn N] [-o FILE|DIR]",
     "the launch digest that a confidential x86 host will report", verb_measure, true},
    {"payload",
     "push FILE|DIR REGISTRY/REPO [TAG] [--base REF|oci:DIR] [--layout=unpacked|components] "
     "[--output oci:DIR|oci-archive:FILE] | index REGISTRY/REPO:TAG ARCH-TAG...",
     "the image that kata-deploy installs from", verb_payload, true},
    {"provenance", "TARGET [--spdx] [-o FILE]",
     "what a result was made of: SLSA provenance and an SPDX list", verb_provenance, true},
    {"cache", "info|verify|gc [--max-size=SIZE]", "look after the cache", verb_cache, false},
    {"versions", "get KEY", "a value of versions.yaml", verb_versions, false},
};
const size_t verb_count = ARRAY_LEN(verbs);

static void print_help(void)
{
    puts("usage: kbuild [OPTION...] TARGET...\n"
         "       kbuild [OPTION...] VERB ...\n"
         "\n"
         "Builds, seals, packages and publishes the confidential artifacts of Kata Containers.\n");
    for (size_t i = 0; i < verb_count; i++)
        printf("  %-10s %s\n", verbs[i].name, verbs[i].help);
    puts("\n"
         "  -o DIR, --output=DIR   where results go (build)\n"
         "  --arch=ARCH            architecture of the target (this machine's)\n"
         "  -j N, --jobs=N         at most N jobs at once, makes inside included (processors)\n"
         "  --sources=WHICH        upstream (default) or debian: packages of this distribution\n"
         "  --offline              use no network\n"
         "  --remote=off|require   leave the shared cache alone; fail if it cannot be used\n"
         "  --until=PHASE          stop after this phase of the target's step, and leave "
         "build/TARGET/builddir\n"
         "  --continue             go on from there, with what was changed in it\n"
         "  --prebuilt=T[=REF],... take these artifacts from a registry instead (KBUILD_PREBUILT)\n"
         "  --locked               use nothing that versions.lock does not name\n"
         "  -k, --keep-going       after a failure, make what does not depend on it\n"
         "  --builder=host         use this machine's own tools instead of a builder image\n"
         "  --cache=DIR            the cache (KBUILD_CACHE)\n"
         "  --versions=FILE        versions.yaml\n"
         "  --recipes=DIR          the recipes\n"
         "  --json                 one JSON event a line on standard output\n"
         "  -q, --quiet            say less\n"
         "  -h, --help; --version\n"
         "\n"
         "`kbuild list` shows the targets; the manual is kbuild(1).");
}

const struct verb *find_verb(const char *word)
{
    for (size_t i = 0; word && i < verb_count; i++)
        if (!strcmp(verbs[i].name, word))
            return &verbs[i];
    return NULL;
}

static int run(int argc, char **argv, struct global_options *g, struct error **err)
{
    cleanup_strlist struct strlist words = {0};
    if (parse_global_options(argc, argv, g, &words, err) < 0)
        return -1;
    // Sealing has a help and a version of its own, as genprotimg has.
    bool sealing = words.n > 1 && !strcmp(words.items[0], "se") && !strcmp(words.items[1], "seal");
    if (!sealing && strlist_has(&words, "--version")) {
        puts("kbuild " KBUILD_VERSION);
        return 0;
    }
    if (!sealing && (strlist_has(&words, "--help") || strlist_has(&words, "-h"))) {
        print_help();
        return 0;
    }
    if (!words.n) {
        error_set(err, ERROR_USAGE, "nothing to do: name a target or a verb");
        return error_hint(err, "`kbuild list` shows the targets, `kbuild --help` the verbs");
    }
    const struct verb *verb = find_verb(words.items[0]);
    if (!verb) // a target, then: `kbuild TARGET...`
        return verb_build(g, &words, err);
    cleanup_strlist struct strlist rest = {0};
    for (size_t i = 1; i < words.n; i++)
        strlist_add(&rest, words.items[i]);
    return verb->run(g, &rest, err);
}

static void print_error(const struct error *err)
{
    fflush(stdout);
    print_prefixed(stderr, "kbuild: error: ", err->message);
    if (err->hint)
        print_prefixed(stderr, "kbuild: hint: ", err->hint);
}

int main(int argc, char **argv)
{
    signals_on_entry();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a file that ulimit -f cuts short is an error like any other (EFBIG)
    registry_take_login();
    int other;
    if (run_other_program(argc, argv, &other))
        return other;
    struct global_options g = {0};
    struct error *err = NULL;
    int status = run(argc, argv, &g, &err);
    free_global_options(&g);
    if (err) {
        print_error(err);
        status = (int)err->kind;
        error_free(err);
    } else if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "kbuild: error: writing to standard output failed\n");
        status = 1;
    }
    return status;
}
