// SPDX-License-Identifier: Apache-2.0
// Holds the table of verbs and options: parsing, help, kbuild(1) and the completions are made from
// it. After a change: `make docs` (docs/CONTRIBUTING.md says how an option is added).
#include "kbuild.h"
#include "se.h"

#include "base/memory.h"

#include <string.h>

// ---- options that verbs have in common ----

const struct option common_options[COMMON_OPTIONS] = {
    [COMMON_OUTPUT] = {"--output", 'o', "DIR",
                       "where results and logs go (build); {arch} stands for the architecture", 0,
                       0},
    [COMMON_ARCH] = {"--arch", 0, "ARCH",
                     "architecture of the target: x86_64, s390x, aarch64, ppc64le (this machine's, "
                     "or the only one that a target supports)",
                     0, 0},
    [COMMON_JOBS] = {"--jobs", 'j', "N",
                     "at most N jobs at once, makes inside included (processors)", 0, 0},
    [COMMON_SOURCES] =
        {"--sources", 0, "upstream|debian",
         "where sources come from; debian: packages of this distribution (upstream, or "
         "KBUILD_SOURCES)",
         0, 0},
    [COMMON_SOURCE] = {"--source", 0, "NAME=DIR|upstream|debian",
                       "where the source of this name comes from: a folder of one's own, or "
                       "upstream or the distribution in place of what is said for all "
                       "(KBUILD_SOURCE)",
                       1, 0},
    [COMMON_OFFLINE] = {"--offline", 0, NULL, "use no network", 0, 0},
    [COMMON_REMOTE] =
        {"--remote", 0, "auto|off|require",
         "the shared cache that ARTEFACT_REGISTRY and BUILDER_REGISTRY name: use it while it "
         "works (auto), leave it alone, or fail if it cannot be used",
         0, 0},
    [COMMON_CONTINUE] =
        {"--continue", 0, NULL,
         "resume from what --until left, with what was changed in it; the result has a key of "
         "its own and is not shared",
         0, 0},
    [COMMON_PREBUILT] =
        {"--prebuilt", 0, "TARGET[=REFERENCE],...",
         "take these artifacts from a registry instead of making them (KBUILD_PREBUILT)", 0, 0},
    [COMMON_LOCKED] = {"--locked", 0, NULL, "use nothing that versions.lock does not name", 0, 0},
    [COMMON_KEEP_GOING] = {"--keep-going", 'k', NULL,
                           "after a failure, make what does not depend on it", 0, 0},
    [COMMON_BUILDER] = {"--builder", 0, "image|host",
                        "run steps in a builder image, or on this machine's own tools (image)", 0,
                        0},
    [COMMON_CACHE] = {"--cache", 0, "DIR", "the cache (KBUILD_CACHE)", 0, 0},
    [COMMON_VERSIONS] = {"--versions", 0, "FILE", "versions.yaml", 0, 0},
    [COMMON_RECIPES] = {"--recipes", 0, "DIR", "the recipes", 0, 0},
    [COMMON_JSON] = {"--json", 0, NULL, "JSON on standard output, one object a line", 0, 0},
    [COMMON_QUIET] = {"--quiet", 'q', NULL, "say less", 0, 0},
};

#define RECIPES BIT(COMMON_RECIPES)
#define SOURCES (BIT(COMMON_SOURCES) | BIT(COMMON_SOURCE))
#define CACHE BIT(COMMON_CACHE)
#define JSON BIT(COMMON_JSON)
#define QUIET BIT(COMMON_QUIET)
#define OUTPUT BIT(COMMON_OUTPUT)
#define JOBS BIT(COMMON_JOBS)
#define ARCH BIT(COMMON_ARCH)
#define RESUME BIT(COMMON_CONTINUE)
#define KEEP_GOING BIT(COMMON_KEEP_GOING)
// Options that change keys, and so the plan.
#define PLAN                                                                                       \
    (ARCH | SOURCES | BIT(COMMON_OFFLINE) | BIT(COMMON_PREBUILT) | BIT(COMMON_LOCKED) |            \
     BIT(COMMON_BUILDER) | CACHE | BIT(COMMON_VERSIONS) | RECIPES)
// Options that change how targets are made.
#define MAKE (PLAN | JOBS | BIT(COMMON_REMOTE))

// ---- options of verbs ----

static const struct option until_options[] = {
    {"--until", 0, "PHASE",
     "stop the step of one target after this phase, and leave its work in build/TARGET/builddir", 0,
     0},
};
static const struct option boot_rows[] = {
    {"--host-key", 0, "KEY", "private TEST key that opens a sealed image (looked for in HKD_PATH)",
     0, 0},
    {"--image", 0, "FILE", "start this sealed image, or that in a tarball, instead of the target's",
     0, 0},
    {"--qemu", 0, "host|PATH", "QEMU of this machine, or another, instead of the recipe's", 0, 0},
    {"--plain", 0, NULL, "no confidential guest, also where this machine could start one", 0, 0},
    {"--root", 0, "DIR", "take the machine for what this tree says", 0, 0},
    {"--timeout", 0, "SECONDS", "for each start (120)", 0, 0},
    {"--verbose", 0, NULL, "show the console", 0, 0},
};
static const struct option install_options[] = {
    {"--prefix", 0, "DIR", "instead of /opt/kata", 0, 0},
    {"--root", 0, "DIR", "the tree to install into, instead of /", 0, 0},
    {"--dry-run", 0, NULL, "list the files, write nothing", 0, 0},
};
static const struct option verify_rows[] = {
    {"--against", 0, "FILE", "compare with somebody else's tarball", 0, 0},
    {"--all", 0, NULL, "verify what it is made of, too", 0, 0},
    {"--scratch", 0, "DIR", "work here, best on another file system", 0, 0},
    {"--keep-processors", 0, NULL, "the same number of processors in the second build", 0, 0},
    {"--keep-clock", 0, NULL, "the same clock in the second build", 0, 0},
    {"--no-diffoscope", 0, NULL, "do not run diffoscope on what differs", 0, 0},
};
static const struct option merge_rows[] = {
    {"--output", 'o', "FILE", "instead of kata-static.tar.xz", 0, 0},
    {"--format", 0, "tar.xz|tar.zst", "of the output (told by its name)", 0, 0},
    {"--target", 0, "TARGET", "exactly what this target or group stands for has to be there", 0, 0},
    {"--components", 0, "A,B,...", "exactly these components have to be there", 1, 0},
    {"--rehash", 0, NULL, "read also the files whose digest the cache knows", 0, 0},
};
static const struct option pack_rows[] = {
    {"--format", 0, "tar.xz|tar.zst", "of the file (told by its name)", 0, 0},
};
static const struct option config_options[] = {
    {"--class", 0, "NAME", "containerd: the runtime class, as kata-qemu-se (kata)", 0, 0},
    {"--configuration", 0, "FILE",
     "containerd: the runtime's configuration (Kata's own of the class)", 0, 0},
    {"--prefix", 0, "DIR", "where Kata is installed (/opt/kata)", 0, 0},
    {"--release", 0, "VERSION", "the release of Kata that the file is of (told from its keys)", 0,
     0},
    {"--set", 0, "KEY=VALUE", "one more edit", 1, 0},
    {"--dry-run", 0, NULL, "print the difference, write nothing", 0, 0},
};
static const struct option hkd_options[] = {
    {"--host-key-document", 'k', "HKD", "a document, as an operand is", 1, 0},
    {"--cert", 'C', "FILE", "a signing key or an intermediate CA", 1, 0},
    {"--crl", 0, "FILE", "a revocation list", 1, 0},
    {"--root-ca", 0, "FILE", "the root CA that counts, instead of this machine's store", 0, 0},
    {"--online", 0, NULL, "fetch all revocation lists, not only those that are missing", 0, 0},
};
static const struct option doctor_options[] = {
    {"--root", 0, "DIR", "read such a directory instead of this machine", 0, 0},
    {"--collect", 0, "DIR", "keep what the checks read in this new directory", 0, 0},
};
static const struct option measure_options[] = {
    {"--ovmf", 0, "FILE", "the firmware", 0, 0},
    {"--kernel", 0, "FILE", "the kernel, where it is measured", 0, 0},
    {"--initrd", 0, "FILE", "the initrd", 0, 0},
    {"--append", 0, "TEXT", "the kernel command line", 0, 1},
    {"--vcpus", 0, "N|A-B", "number of vCPUs, or a range of it", 0, 0},
    {"--vcpu-type", 0, "NAME", "QEMU's name of the CPU: EPYC-v4", 0, 0},
    {"--vcpu-sig", 0, "N", "its signature (CPUID 1, EAX) instead", 0, 0},
    {"--guest-features", 0, "N", "SEV features of an SNP guest (0x1)", 0, 0},
    {"--vmm-type", 0, "qemu|ec2|gce", "what starts the guest (qemu)", 0, 0},
    {"--qemu-version", 0, "V", "version of QEMU, for a trust domain with a kernel", 0, 0},
    {"--memory", 0, "MIB", "memory of a trust domain with a kernel", 0, 0},
    {"--edk2", 0, "RELEASE",
     "what the firmware was built from, where it does not tell: edk2-stable202411", 0, 0},
    {"--two-pass", 0, NULL,
     "the host adds all pages of a section before it measures them, as before Linux 6.16", 0, 0},
    {"--legacy-vm-type", 0, NULL,
     "SEV-ES on a host with Linux before 6.10, QEMU before 9.1, or legacy-vm-type=on", 0, 0},
    {"--build", 0, NULL, "build the target if the cache does not have it", 0, 0},
    {"--policy", 0, "N", "guest policy of the ID block", 0, 0},
    {"--family-id", 0, "HEX", "of the ID block, 32 digits", 0, 0},
    {"--image-id", 0, "HEX", "of the ID block, 32 digits", 0, 0},
    {"--guest-svn", 0, "N", "of the ID block", 0, 0},
    {"--id-key", 0, "KEY", "signs the ID block (P-384, PEM)", 0, 0},
    {"--author-key", 0, "KEY", "signs the ID key", 0, 0},
    {"--output", 'o', "FILE|DIR", "write reference values there", 0, 0},
};
static const struct option push_options[] = {
    {"--base", 0, "REF|oci:DIR[:NAME]", "the image below it", 0, 0},
    {"--layout", 0, "unpacked|components", "files, or the tarballs as they are (unpacked)", 0, 0},
    {"--compression", 0, "gzip|zstd", "of the layers (gzip)", 0, 0},
    {"--output", 'o', "oci:DIR|oci-archive:FILE", "write the image there; no registry is needed", 0,
     0},
    {"--commit", 0, "ID", "the commit in upstream's tag (HEAD of versions.yaml's repository)", 0,
     0},
    {"--shim-components", 0, "FILE", "shim-components.json beside the tarballs", 0, 0},
    {"--plain-http", 0, NULL, "http, also for a registry that is not this machine", 0, 0},
};
static const struct option index_options[] = {
    {"--plain-http", 0, NULL, "http, also for a registry that is not this machine", 0, 0},
};
static const struct option provenance_options[] = {
    {"--spdx", 0, NULL, "the SPDX list alone", 0, 0},
    {"--output", 'o', "FILE", "one document, to this file; - is standard output", 0, 0},
};
static const struct option gc_options[] = {
    {"--max-size", 0, "SIZE", "remove the least recently used entries beyond it (K, M, G, T)", 0,
     0},
};
static const struct option open_options[] = {
    {"--host-key", 0, "KEY", "private key of the TEST host key document", 0, 0},
    {"--output", 'o', "DIR", "where the parts go (IMAGE.parts)", 0, 0},
};
static const struct option info_rows[] = {
    {"--format", 0, "FORMAT", "text, text:full, json, json:pretty or json:minify", 0, 0},
    {"--hdr-key", 0, "FILE", "key of the header", 0, 0},
    {"--key", 0, "FILE", "the same as --hdr-key", 0, 0},
    {"--show-secrets", 0, NULL, "print the keys in the header, too; needs --hdr-key", 0, 0},
    {"--print-schema", 0, "FORMAT", "json: print the schema of the output, and read no image", 0,
     0},
    {"--host-key-document", 'k', "HKD", "say which key slot is of this document", 1, 0},
    {"--host-key-documents", 0, "DIR", "the same for all documents of a folder", 0, 0},
};
#define ORIGINALS                                                                                  \
    {"--image", 'i', "KERNEL", "compare with this kernel", 0, 0},                                  \
        {"--ramdisk", 'r', "INITRD", "compare with this initrd", 0, 0},                            \
        {"--parmfile", 'p', "PARMFILE", "compare with this command line", 0, 0},                   \
        {"--kernel-tarball", 0, "FILE", "compare with the kernel in this tarball", 0, 0},          \
    {                                                                                              \
        "--initrd-tarball", 0, "FILE", "compare with the initrd in this tarball", 0, 0             \
    }
#define PROOF                                                                                      \
    {"--host-key", 0, "KEY", "private key of a TEST host key document", 0, 0},                     \
        {"--hdr-key", 0, "FILE", "key of the header", 0, 0},                                       \
        {"--seal-record", 0, "FILE", "what sealing wrote down", 0, 0},                             \
    {                                                                                              \
        "--seal-secret", 0, "FILE", "the secret that it was derived from", 0, 0                    \
    }
static const struct option se_verify_rows[] = {
    PROOF,
    ORIGINALS,
};
static const struct option reference_options[] = {
    {"--output", 'o', "FILE|DIR", "instead of standard output", 0, 0},
    {"--header", 0, "FILE", "write the header there (hdr.bin)", 0, 0},
    PROOF,
    ORIGINALS,
};
static const struct option help_options[] = {
    {"--manual", 0, NULL, "print kbuild(1), as man reads it", 0, 0},
    {"--completion", 0, "bash", "print the completion of this shell", 0, 0},
};

// ---- verbs ----

#define OPTIONS(o) (o), ARRAY_LEN(o)
#define NO_OPTIONS NULL, 0

// The first one is the default.
const struct verb verbs[] = {
    {"build", "TARGET...", 1, ANY_NUMBER, TARGETS, "build targets (the verb may be left out)",
     "What the targets need is made as well, side by side, unless the cache has it. Results are "
     "put into the "
     "output directory as kata-static-NAME.tar.xz, with upstream's side files.\n"
     "With --until the step of one target stops after that phase, and what it has done so far "
     "stays in "
     "build/TARGET/builddir, to be changed; --continue resumes from there.",
     MAKE | OUTPUT | KEEP_GOING | RESUME | JSON | QUIET, OPTIONS(until_options), verb_build, false},
    {"list", "", 0, 0, NO_TARGETS, "the targets, their architectures and what they are",
     "With --arch only those that can be built for that architecture. A target that lacks a source "
     "(--sources=debian: there is no such package) is marked.",
     RECIPES | BIT(COMMON_VERSIONS) | SOURCES | ARCH | JSON, NO_OPTIONS, verb_list, false},
    {"plan", "TARGET...", 1, ANY_NUMBER, TARGETS,
     "what would be made, in order, and what is cached", "Uses no network.",
     PLAN | OUTPUT | RESUME | JSON, NO_OPTIONS, verb_plan, false},
    {"explain", "TARGET", 1, 1, TARGETS,
     "all that decides a target's bytes, and what changed since the last build",
     "Prints the text whose digest is the key under which the cache keeps the result.",
     PLAN | OUTPUT | RESUME, NO_OPTIONS, verb_explain, false},
    {"fetch", "TARGET...", 1, ANY_NUMBER, TARGETS, "make everything that needs the network",
     "Sources, builders and root file systems. Afterwards --offline needs no network.",
     MAKE | OUTPUT | KEEP_GOING | JSON | QUIET, NO_OPTIONS, verb_fetch, false},
    {"update", "TARGET...", 1, ANY_NUMBER, TARGETS,
     "use the distribution's packages of today from now on",
     "Asks the package mirrors anew what builders, root file systems and packaged sources are made "
     "of. Until then, what "
     "was resolved once stays. Lines of versions.lock that name packages are replaced.",
     PLAN & ~(BIT(COMMON_OFFLINE) | BIT(COMMON_LOCKED)), NO_OPTIONS, verb_update, false},
    {"lock", "TARGET...", 1, ANY_NUMBER, TARGETS,
     "put all that goes in into versions.lock, packages too",
     "What is not known yet is looked up. Afterwards --locked builds the targets from just that.",
     PLAN & ~BIT(COMMON_LOCKED), NO_OPTIONS, verb_lock, false},
    {"log", "TARGET", 1, 1, NO_TARGETS, "the log of a target's last build",
     "It is read from the output directory. Names as source-linux and builder-kernel are logs too. "
     "On a terminal "
     "control characters are shown as escapes; into a pipe or a file the log goes as it is.",
     OUTPUT | ARCH, NO_OPTIONS, verb_log, false},
    {"shell", "TARGET", 1, 1, TARGETS, "a shell in the sandbox of a target's step",
     "Its inputs are made first. If --until left its folder, the shell opens in that, and what is "
     "changed there "
     "stays.",
     MAKE | OUTPUT | RESUME | QUIET, NO_OPTIONS, verb_shell, false},
    {"boot", "TARGET", 1, 1, TARGETS, "start a result under QEMU and check what comes up",
     "What is not built is built first, and said. A Secure Execution image is started as it is, "
     "opened with the private TEST host key, and its parts and its "
     "second stage are started too. A stack that names a QEMU and a firmware is started with "
     "those. On a host of "
     "the confidential guests that the recipe describes the guest is one, and its launch digest is "
     "compared.",
     MAKE | OUTPUT | RESUME | QUIET, OPTIONS(boot_rows), verb_boot, false},
    {"install", "TARGET...", 1, ANY_NUMBER, TARGETS, "put the results into this host's tree",
     "Builds the targets and puts their files below /opt/kata or another prefix. Each file is "
     "written beside its "
     "place and renamed when all are there; folders stay as they are. What is for guests only is "
     "left out.",
     MAKE | OUTPUT | RESUME | QUIET, OPTIONS(install_options), verb_install, false},
    {"verify", "TARGET", 1, 1, TARGETS, "build a target again in another world, and compare",
     "The second build has another user, umask, time zone, locale, path, host name, number of jobs "
     "and processors, "
     "and clock. What differs is shown with the first bytes that do. The second build is not kept.",
     MAKE | OUTPUT | QUIET, OPTIONS(verify_rows), verb_verify, false},
    {"merge", "DIR [VERSIONS_YAML]", 1, 2, NO_TARGETS,
     "join DIR/kata-static-*.tar.xz to kata-static.tar.xz",
     "Components that disagree about a path, and members that would overwrite a host's own "
     "configuration, are "
     "errors. So is a component that was asked for in DIR (the file targets there says so) and is "
     "gone or was not "
     "built, and one that is missing of --components, or of what --target stands for; both take "
     "those and no "
     "others. What kbuild packed is joined by copying compressed blocks; anything else is "
     "recompressed first.",
     JOBS | CACHE | BIT(COMMON_VERSIONS) | RECIPES | SOURCES | ARCH | QUIET, OPTIONS(merge_rows),
     verb_merge, false},
    {"pack", "DIR FILE", 2, 2, NO_TARGETS, "pack a tree as an artifact is packed",
     "Times after SOURCE_DATE_EPOCH become that.", JOBS | QUIET, OPTIONS(pack_rows), verb_pack,
     false},
    {"unpack", "FILE DIR", 2, 2, NO_TARGETS, "unpack an archive into a new folder",
     "The folder is empty or does not exist. It appears whole or not at all.", QUIET, NO_OPTIONS,
     verb_unpack, false},
    {"se seal", "-i KERNEL -k HKD -o FILE [OPTION...]", 0, ANY_NUMBER, NO_TARGETS,
     "seal an image by hand",
     "Its options are those of genprotimg(1) and of pvimg create; `kbuild se seal --help-all` "
     "prints them. Host key "
     "documents are verified with the certificates of -C and the lists of --crl; lists that are "
     "missing are fetched, all are with --online, and none with --offline. "
     "--seal-secret derives from a secret what is drawn at random otherwise. Called as genprotimg "
     "or pvimg through "
     "a link, kbuild behaves as they do.",
     0, NO_OPTIONS, se_verb_seal, true},
    {"se open", "IMAGE", 1, 1, NO_TARGETS, "take an image apart with a TEST key",
     "Checks every tag and digest, and writes the parts.", 0, OPTIONS(open_options), se_verb_open,
     false},
    {"se info", "IMAGE|-", 0, 1, NO_TARGETS, "what an image is",
     "Header, key slots and whose they are, flags, components, digests, and the tests that need no "
     "key. JSON has "
     "the fields of pvimg(1).",
     JSON, OPTIONS(info_rows), se_verb_info, false},
    {"se verify", "IMAGE", 1, 1, NO_TARGETS, "proof that an image is good, and of what it was made",
     "Decrypts everything, checks every tag and digest, and compares with what the image was made "
     "of and with its "
     "seal record; without a key, with the digests in that record. Damage is located: field, "
     "component, page, bit. IMAGE may be a "
     "kata-static-boot-image-se.tar.xz. One of --host-key, --hdr-key and --seal-record is needed.",
     0, OPTIONS(se_verify_rows), se_verb_verify, false},
    {"se reference", "IMAGE", 1, 1, NO_TARGETS, "values of an image for attestation",
     "What the image was made of is listed if it was compared, as se verify does it: that needs a "
     "key or a seal "
     "record.",
     0, OPTIONS(reference_options), se_verb_reference, false},
    {"se test-key", "DIR", 1, 1, NO_TARGETS, "make a TEST host key and its document",
     "Good for trying, never for secrets.", QUIET, NO_OPTIONS, se_verb_test_key, false},
    {"hkd verify", "[HKD...]", 0, ANY_NUMBER, NO_TARGETS,
     "are host key documents genuine, valid, and not revoked?",
     "The exit status is 1 if one is not. Without documents HKD_PATH counts, and without options "
     "SIGNING_KEY_CERT_PATH, INTERMEDIATE_CA_CERT_PATH, HOST_KEY_CRL_PATH, SE_ROOT_CA_PATH and "
     "SE_ONLINE, as for "
     "boot-image-se. Certificates and lists are PEM or DER. docs/trust.md has the rules.",
     BIT(COMMON_OFFLINE) | JSON, OPTIONS(hkd_options), verb_hkd_verify, false},
    {"doctor", "[build|se|snp]", 0, 1, NO_TARGETS,
     "is this machine fit to build, and to host confidential guests?",
     "Says how to fix what is not. Without a group: build, and what the machine is set up for. "
     "The exit status is 1 if a check fails.",
     CACHE | JSON | QUIET, OPTIONS(doctor_options), verb_doctor, false},
    {"config", "se|snp|containerd FILE", 2, 2, NO_TARGETS,
     "fit a Kata runtime's configuration.toml to confidential guests, or containerd's to Kata",
     "Makes the edits of Kata's guides and prints them as a difference. All else in the file "
     "stays; the original is "
     "kept as FILE.old, or FILE.old.N where that is taken. containerd's config.toml gets the "
     "runtime "
     "class that --class names.",
     QUIET, OPTIONS(config_options), verb_config, false},
    {"measure", "snp|sev-es|sev|tdx [TARGET]", 1, 2, NO_TARGETS,
     "the launch digest that a confidential x86 host will report",
     "Prints it for each number of vCPUs. -o and --json give reference values with ID blocks. For "
     "a trust domain "
     "with a kernel RTMR 1 and 2 are printed, too. With TARGET the files are those that its recipe "
     "starts an SNP "
     "guest from; it has to be built, or --build builds it. docs/measure.md has the rest.",
     MAKE | JSON | QUIET, OPTIONS(measure_options), verb_measure, false},
    {"payload push", "FILE|DIR REGISTRY/REPOSITORY [TAG]", 1, 3, NO_TARGETS,
     "the image that kata-deploy installs from",
     "It is pushed with upstream's tag and TAG. A directory becomes one layer for each component, "
     "so that unchanged "
     "ones are not sent again. With --output no registry is named.",
     ARCH | JOBS | CACHE | BIT(COMMON_VERSIONS) | RECIPES | QUIET, OPTIONS(push_options),
     verb_payload_push, false},
    {"payload index", "REGISTRY/REPOSITORY:TAG ARCH-TAG...", 2, ANY_NUMBER, NO_TARGETS,
     "join images of several architectures to one", NULL, CACHE, OPTIONS(index_options),
     verb_payload_index, false},
    {"provenance", "TARGET", 1, 1, TARGETS,
     "what a result was made of: SLSA provenance and an SPDX list",
     "Both are written beside it; with -o one of them.", PLAN | OUTPUT | RESUME,
     OPTIONS(provenance_options), verb_provenance, false},
    {"cache info", "", 0, 0, NO_TARGETS, "what the cache holds", NULL, CACHE | JSON, NO_OPTIONS,
     verb_cache_info, false},
    {"cache verify", "", 0, 0, NO_TARGETS, "read all of the cache, and set damaged entries aside",
     NULL, CACHE, NO_OPTIONS, verb_cache_verify, false},
    {"cache gc", "", 0, 0, NO_TARGETS, "collect garbage, and what is beyond a size", NULL, CACHE,
     OPTIONS(gc_options), verb_cache_gc, false},
    {"versions get", "KEY", 1, 1, NO_TARGETS, "the value of a dotted key of versions.yaml", NULL,
     BIT(COMMON_VERSIONS), NO_OPTIONS, verb_versions_get, false},
    {"help", "[VERB...]", 0, 2, NO_TARGETS, "the verbs, or the options of one", NULL, 0,
     OPTIONS(help_options), verb_help, false},
    {"version", "", 0, 0, NO_TARGETS, "the version of kbuild", NULL, 0, NO_OPTIONS, verb_version,
     false},
};
const size_t verb_count = ARRAY_LEN(verbs);

// ---- looking up ----

bool option_has_choices(const struct option *o)
{
    return o->value && !strpbrk(o->value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

const struct verb *verb_find(const char *word, const char *below)
{
    cleanup_free char *name = below ? xasprintf("%s %s", word, below) : xstrdup(word);
    for (size_t i = 0; i < verb_count; i++)
        if (!strcmp(verbs[i].name, name) && !strchr(word, ' '))
            return &verbs[i];
    return NULL;
}

static bool is_below(const struct verb *v, const char *group)
{
    size_t n = strlen(group);
    return !strncmp(v->name, group, n) && v->name[n] == ' ';
}

bool verb_is_group(const char *word)
{
    for (size_t i = 0; i < verb_count; i++)
        if (is_below(&verbs[i], word))
            return true;
    return false;
}

char *verb_group_words(const char *group, const char *between)
{
    cleanup_strlist struct strlist words = {0};
    for (size_t i = 0; i < verb_count; i++)
        if (is_below(&verbs[i], group))
            strlist_add(&words, verbs[i].name + strlen(group) + 1);
    return strlist_join(&words, between);
}

void verb_each_option(const struct verb *v, void (*each)(const struct option *o, void *context),
                      void *context)
{
    for (size_t i = 0; i < v->option_count; i++)
        each(&v->options[i], context);
    for (size_t which = 0; which < COMMON_OPTIONS; which++) {
        bool own = false;
        for (size_t i = 0; i < v->option_count; i++)
            own |= !strcmp(v->options[i].name, common_options[which].name);
        if (v->common & BIT(which) && !own)
            each(&common_options[which], context);
    }
}
