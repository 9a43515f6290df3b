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
                       WRITES_FOLDER},
    [COMMON_ARCH] = {"--arch", 0, "ARCH",
                     "architecture of the target: x86_64, s390x, aarch64, ppc64le (this machine's, "
                     "or the only one that a target supports)",
                     0, 0},
    [COMMON_JOBS] =
        {"--jobs", 'j', "N",
         "at most N jobs at once, including those of make inside of steps (number of processors)",
         0, 0},
    [COMMON_SOURCES] =
        {"--sources", 0, "upstream|debian",
         "where sources come from; debian: packages of this distribution (upstream, or "
         "KBUILD_SOURCES)",
         0, 0},
    [COMMON_SOURCE] = {"--source", 0, "NAME=DIR|upstream|debian",
                       "where the source of this name comes from, instead of what --sources says: "
                       "a directory of yours, upstream, or the distribution (KBUILD_SOURCE)",
                       1, 0},
    [COMMON_OFFLINE] = {"--offline", 0, NULL, "use no network", 0, 0},
    [COMMON_REMOTE] = {"--remote", 0, "auto|off|require",
                       "the shared cache that ARTEFACT_REGISTRY and BUILDER_REGISTRY name: use it "
                       "while it works (auto), do not use it, or fail if it cannot be used",
                       0, 0},
    [COMMON_CONTINUE] = {"--continue", 0, NULL,
                         "resume from the files that --until left, with your changes; the result "
                         "has its own key and is not shared",
                         0, 0},
    [COMMON_PREBUILT] =
        {"--prebuilt", 0, "TARGET[=REFERENCE],...",
         "take these artifacts from a registry instead of building them (KBUILD_PREBUILT)", 0, 0},
    [COMMON_LOCKED] = {"--locked", 0, NULL, "use only what versions.lock names", 0, 0},
    [COMMON_KEEP_GOING] = {"--keep-going", 'k', NULL,
                           "after a failure, continue with what does not depend on it", 0, 0},
    [COMMON_BUILDER] = {"--builder", 0, "image|host",
                        "run steps in a builder image, or with the tools of this machine (image)",
                        0, 0},
    [COMMON_CACHE] = {"--cache", 0, "DIR", "the cache (KBUILD_CACHE)", 0, 0},
    [COMMON_VERSIONS] = {"--versions", 0, "FILE", "versions.yaml", 0, 0},
    [COMMON_RECIPES] =
        {"--recipes", 0, "DIR|default",
         "the recipes; of several directories a later one replaces what earlier ones "
         "have of the same name; default: those that are used without the option",
         1, 0},
    [COMMON_FILE] = {"--settings", 0, "FILE|none",
                     "read this file instead of the project's kbuild.yaml; none: neither that nor "
                     "your own (KBUILD_SETTINGS)",
                     0, 0},
    [COMMON_JSON] = {"--json", 0, NULL, "JSON on standard output, one object per line", 0, 0},
    [COMMON_QUIET] = {"--quiet", 'q', NULL, "print less", 0, 0},
};

#define FILES BIT(COMMON_FILE)
#define RECIPES (BIT(COMMON_RECIPES) | FILES)
#define SOURCES (BIT(COMMON_SOURCES) | BIT(COMMON_SOURCE))
#define CACHE (BIT(COMMON_CACHE) | FILES)
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

#define GRAIN                                                                                      \
    {                                                                                              \
        "--grain", 0, "node|artifact",                                                             \
            "what one job makes: a node, or an artifact with its sources and builders (node)", 0,  \
            0                                                                                      \
    }
static const struct option plan_options[] = {
    {"--remote", 0, NULL, "ask the registry, and show what is left to do for any machine", 0, 0},
    GRAIN,
    {"--format", 0, "json|slurm|github|gitlab|make", "print it for this engine (docs/spread.md)", 0,
     0},
    {"--push", 0, NULL, "push the project that the jobs need, too, and name it in their commands",
     0, 0},
};
static const struct option new_options[] = {
    {"--like", 0, "TARGET", "copy this target's recipe", 0, 0},
};
static const struct option run_options[] = {
    {"--plan", 0, "FILE|oci:REFERENCE", "the plan that the node is of", 0, 0},
    GRAIN,
};
static const struct option spread_options[] = {
    {"--with", 0, "slurm", "the engine that runs the jobs", 0, 0},
    GRAIN,
};
static const struct option log_options[] = {
    {"--remote", 0, NULL, "of a node, the log that `kbuild run` pushed to the registry", 0, 0},
    {"--plan", 0, "FILE|oci:REFERENCE", "the plan that the node is of", 0, 0},
};

#define TRACE                                                                                      \
    {                                                                                              \
        "--trace", 0, "FILE",                                                                      \
            "write when each node and each of its phases ran, in Chrome's trace event format "     \
            "(docs/report.md)",                                                                    \
            0, WRITES_FILE                                                                         \
    }
static const struct option fetch_options[] = {
    TRACE,
};
static const struct option build_rows[] = {
    TRACE,
    {"--until", 0, "PHASE",
     "stop the step of one target after this phase, and keep its files in build/TARGET/builddir", 0,
     0},
};
static const struct option boot_rows[] = {
    {"--host-key", 0, "KEY", "private TEST key that opens a sealed image (searched in HKD_PATH)", 0,
     0},
    {"--image", 0, "FILE",
     "start this sealed image, or the one in this tarball, instead of the target's", 0, 0},
    {"--qemu", 0, "host|PATH",
     "use this machine's QEMU, or the one at PATH, instead of the recipe's", 0, 0},
    {"--plain", 0, NULL, "start no confidential guest, even if this machine supports it", 0, 0},
    {"--root", 0, "DIR", "read this tree instead of this machine, as doctor does", 0, 0},
    {"--timeout", 0, "SECONDS", "time limit of each start (120)", 0, 0},
    {"--verbose", 0, NULL, "show the console", 0, 0},
};
static const struct option install_options[] = {
    {"--prefix", 0, "DIR", "instead of /opt/kata", 0, 0},
    {"--root", 0, "DIR", "the root of the tree to install into (/)", 0, 0},
    {"--dry-run", 0, NULL, "list the files, write nothing", 0, 0},
};
#define TRUST_CACHE                                                                                \
    {                                                                                              \
        "--trust-cache", 0, NULL,                                                                  \
            "use what the cache has, and name it, instead of making all anew", 0, 0                \
    }
static const struct option verify_rows[] = {
    {"--against", 0, "FILE", "compare with this tarball instead of building again", 0, 0},
    TRUST_CACHE,
    {"--all", 0, NULL, "also verify the artifacts that it is made of", 0, 0},
    {"--scratch", 0, "DIR", "directory of the second build, best on another file system", 0, 0},
    {"--keep-processors", 0, NULL, "use the same number of processors in the second build", 0, 0},
    {"--keep-clock", 0, NULL, "use the same clock in the second build", 0, 0},
    {"--no-diffoscope", 0, NULL, "do not run diffoscope on files that differ", 0, 0},
};
static const struct option merge_rows[] = {
    {"--output", 'o', "FILE", "the merged tarball (kata-static.tar.xz)", 0, WRITES_FILE},
    {"--format", 0, "tar.xz|tar.zst", "format of the output (known from its name)", 0, 0},
    {"--target", 0, "TARGET", "require exactly the components of this target or group", 0, 0},
    {"--components", 0, "A,B,...", "require exactly these components", 1, 0},
    {"--rehash", 0, NULL, "also read files whose digest the cache knows", 0, 0},
};
static const struct option pack_rows[] = {
    {"--format", 0, "tar.xz|tar.zst", "format of the file (known from its name)", 0, 0},
};
static const struct option config_options[] = {
    {"--class", 0, "NAME", "containerd: the runtime class, for example kata-qemu-se (kata)", 0, 0},
    {"--configuration", 0, "FILE",
     "containerd: the runtime's configuration (Kata's file for the class)", 0, 0},
    {"--prefix", 0, "DIR", "where Kata is installed (/opt/kata)", 0, 0},
    {"--release", 0, "VERSION",
     "the release of Kata that the file belongs to (known from its keys)", 0, 0},
    {"--set", 0, "KEY=VALUE", "an additional edit", 1, 0},
    {"--dry-run", 0, NULL, "print the difference, write nothing", 0, 0},
};
static const struct option hkd_options[] = {
    {"--host-key-document", 'k', "HKD", "a document, the same as an operand", 1, 0},
    {"--cert", 'C', "FILE", "a signing key or an intermediate CA", 1, 0},
    {"--crl", 0, "FILE", "a revocation list", 1, 0},
    {"--root-ca", 0, "FILE", "the only root CA to trust, instead of this machine's store", 0, 0},
    {"--online", 0, NULL, "fetch all revocation lists, not only those that are missing", 0, 0},
};
static const struct option doctor_options[] = {
    {"--root", 0, "DIR", "read a collected directory instead of this machine", 0, 0},
    {"--collect", 0, "DIR", "copy what the checks read to this new directory", 0, WRITES_FOLDER},
};
static const struct option measure_options[] = {
    {"--ovmf", 0, "FILE", "the firmware", 0, 0},
    {"--kernel", 0, "FILE", "the kernel, if it is measured", 0, 0},
    {"--initrd", 0, "FILE", "the initrd", 0, 0},
    {"--append", 0, "TEXT", "the kernel command line", 0, MAY_BE_EMPTY},
    {"--vcpus", 0, "N|A-B", "number of vCPUs, or a range", 0, 0},
    {"--vcpu-type", 0, "NAME", "QEMU's name of the CPU: EPYC-v4", 0, 0},
    {"--vcpu-sig", 0, "N", "signature of the CPU (CPUID 1, EAX) instead of its name", 0, 0},
    {"--guest-features", 0, "N", "SEV features of an SNP guest (0x1)", 0, 0},
    {"--vmm-type", 0, "qemu|ec2|gce", "what starts the guest (qemu)", 0, 0},
    {"--qemu-version", 0, "V", "version of QEMU, for a trust domain with a kernel", 0, 0},
    {"--memory", 0, "MIB", "memory of a trust domain with a kernel", 0, 0},
    {"--edk2", 0, "RELEASE",
     "the release of edk2 that the firmware was built from, if it does not show it: "
     "edk2-stable202411",
     0, 0},
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
    {"--output", 'o', "FILE|DIR",
     "write reference values to this file or directory; - is standard output", 0, WRITES_DOCUMENT},
};
static const struct option push_options[] = {
    {"--base", 0, "REF|oci:DIR[:NAME]|scratch",
     "the base image (upstream's kata-deploy of the release); scratch: files alone, which nothing "
     "installs",
     0, 0},
    {"--any-base", 0, NULL, "take a base without kata-deploy, too", 0, 0},
    {"--keep-base-files", 0, NULL,
     "leave what the base itself would install, where your files do not replace it", 0, 0},
    {"--layout", 0, "unpacked|components",
     "unpacked files, or the tarballs (what kata-deploy in the base installs)", 0, 0},
    {"--compression", 0, "gzip|zstd", "of the layers (gzip)", 0, 0},
    {"--output", 'o', "oci:DIR|oci-archive:FILE", "write the image there instead of to a registry",
     0, WRITES_FILE},
    {"--commit", 0, "ID", "the commit in upstream's tag (HEAD of versions.yaml's repository)", 0,
     0},
    {"--shim-components", 0, "FILE", "shim-components.json beside the tarballs", 0, 0},
    {"--plain-http", 0, NULL, "use http even for a registry that is not on this machine", 0, 0},
};
static const struct option image_options[] = {
    {"--output", 'o', "oci:DIR|oci-archive:FILE", "where the image goes; required", 0, WRITES_FILE},
    {"--base", 0, "REF|oci:DIR[:NAME]", "the base image (none)", 0, 0},
    {"--entrypoint", 0, "PROGRAM", "what a container starts, instead of the base's", 0, 0},
    {"--label", 0, "NAME=VALUE", "a label of the image", 1, 0},
    {"--plain-http", 0, NULL, "use http even for a registry that is not on this machine", 0, 0},
};
static const struct option index_options[] = {
    {"--plain-http", 0, NULL, "use http even for a registry that is not on this machine", 0, 0},
};
static const struct option provenance_options[] = {
    {"--spdx", 0, NULL, "only the SPDX list", 0, 0},
    {"--output", 'o', "FILE", "write one document to this file; - is standard output", 0,
     WRITES_DOCUMENT},
};
static const struct option report_options[] = {
    {"--output", 'o', "FILE", "write it to this file (build/report.html); - is standard output", 0,
     WRITES_DOCUMENT},
};
static const struct option gc_options[] = {
    {"--max-size", 0, "SIZE", "remove the least recently used entries beyond it (K, M, G, T)", 0,
     0},
};
static const struct option open_options[] = {
    {"--host-key", 0, "KEY", "private key of the TEST host key document", 0, 0},
    {"--output", 'o', "DIR", "directory of the parts (IMAGE.parts)", 0, WRITES_FOLDER},
};
static const struct option info_rows[] = {
    {"--format", 0, "FORMAT", "text, text:full, json, json:pretty or json:minify", 0, 0},
    {"--hdr-key", 0, "FILE", "key of the header", 0, 0},
    {"--key", 0, "FILE", "the same as --hdr-key", 0, 0},
    {"--show-secrets", 0, NULL, "print the keys in the header, too; needs --hdr-key", 0, 0},
    {"--print-schema", 0, "FORMAT",
     "json: print the schema of the output instead of reading an image", 0, 0},
    {"--host-key-document", 'k', "HKD", "show which key slot belongs to this document", 1, 0},
    {"--host-key-documents", 0, "DIR", "the same for all documents in a directory", 0, 0},
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
        {"--seal-record", 0, "FILE", "record that sealing wrote", 0, 0},                           \
    {                                                                                              \
        "--seal-secret", 0, "FILE", "secret that the random values were derived from", 0, 0        \
    }
static const struct option sign_options[] = {
    {"--signing-key", 0, "FILE", "the private key (KBUILD_SIGNING_KEY)", 0, 0},
    {"--release", 0, "VERSION", "the release that the files are of (that of VERSION in a tarball)",
     0, 0},
    {"--provenance", 0, "FILE", "sign this statement about the file, too: TARGET-provenance.json",
     0, 0},
    {"--output", 'o', "FILE", "write the signatures of the only file there; - is standard output",
     0, WRITES_DOCUMENT},
};
static const struct option check_options[] = {
    {"--signature", 0, "FILE", "its signatures (FILE.intoto.jsonl beside it)", 0, 0},
    {"--trusted-keys", 0, "FILE|DIR", "public keys that you trust (KBUILD_TRUSTED_KEYS)", 0, 0},
    {"--unsigned", 0, NULL, "require no signature: nobody vouches for the file then", 0, 0},
    {"--provenance", 0, "FILE", "a statement of what it was made of, beside those in --signature",
     0, 0},
    {"--require-provenance", 0, NULL, "a file without a signed one is bad", 0, 0},
    {"--expect-name", 0, "NAME", "the name that the signer must state (that of the file)", 0, 0},
    {"--expect-release", 0, "VERSION", "the release that the signer must state", 0, 0},
    {"--host-key-document", 'k', "HKD", "a machine that must be able to start the image", 1, 0},
    PROOF,
    {"--kernel", 0, "FILE", "the kernel that was sealed or measured", 0, 0},
    {"--initrd", 0, "FILE", "the initrd that was sealed or measured", 0, 0},
    {"--parmfile", 'p', "PARMFILE", "the command line that was sealed", 0, 0},
    {"--kernel-tarball", 0, "FILE", "the kernel in this tarball was sealed", 0, 0},
    {"--initrd-tarball", 0, "FILE", "the initrd in this tarball was sealed", 0, 0},
    {"--ovmf", 0, "FILE", "the firmware that was measured", 0, 0},
    {"--reproduce", 0, "TARGET", "build this target here, and compare", 0, 0},
    TRUST_CACHE,
};
static const struct option se_verify_rows[] = {
    PROOF,
    ORIGINALS,
};
static const struct option reference_options[] = {
    {"--output", 'o', "FILE|DIR", "instead of standard output (-)", 0, WRITES_DOCUMENT},
    {"--header", 0, "FILE", "write the header there (hdr.bin)", 0, WRITES_FILE},
    PROOF,
    ORIGINALS,
};
static const struct option help_options[] = {
    {"--manual", 0, NULL, "print kbuild(1), as man reads it", 0, 0},
    {"--completion", 0, "bash|zsh|fish", "print the completion of this shell", 0, 0},
};

// ---- verbs ----

#define OPTIONS(o) (o), ARRAY_LEN(o)
#define NO_OPTIONS NULL, 0

// The first one is the default.
const struct verb verbs[] = {
    {"build", "TARGET...", 1, ANY_NUMBER, TARGETS, "build targets (the verb may be left out)",
     "What the targets need is built as well, in parallel, unless it is in the cache. Results are "
     "written to the output directory as kata-static-NAME.tar.xz, with upstream's side "
     "files.\nWith --until the step of one target stops after that phase, and its files stay in "
     "build/TARGET/builddir, where you can change them; --continue resumes from there.",
     MAKE | OUTPUT | KEEP_GOING | RESUME | JSON | QUIET, OPTIONS(build_rows), verb_build, 0},
    {"list", "", 0, 0, NO_TARGETS, "list the targets, their architectures and descriptions",
     "With --arch, only those that can be built for that architecture. A target that lacks a "
     "source (--sources=debian: there is no such package) is marked.",
     RECIPES | BIT(COMMON_VERSIONS) | SOURCES | ARCH | JSON, NO_OPTIONS, verb_list, 0},
    {"plan", "TARGET...", 1, ANY_NUMBER, TARGETS,
     "show what would be built, in order, and what is cached",
     "Uses no network. With --remote it asks the registry, as a run does, and shows what is left "
     "to "
     "do: what another machine may have made counts, what only this one has does not. The lines of "
     "--json are then a plan that `kbuild run` reads (docs/plan.md). Status 75: the registry did "
     "not answer. --arch may name several architectures, A,B or all: of each target those that it "
     "supports.",
     PLAN | OUTPUT | RESUME | JSON, OPTIONS(plan_options), verb_plan,
     FOR_ENGINES | SEVERAL_ARCHITECTURES},
    {"run", "NODE", 1, 1, NO_TARGETS, "make exactly one node of a plan, for an engine",
     "Its inputs come from the cache or the registry, and nothing else is made. Result, record and "
     "log are pushed to the registry. With --plan nothing is made if this machine or its project "
     "differs from the plan. Status 0: it was made or found; 2: plan and machine do not match; 3: "
     "the step failed; 75: try again later.",
     (MAKE & ~(ARCH | BIT(COMMON_REMOTE))) | OUTPUT | JSON | QUIET, OPTIONS(run_options), verb_run,
     FOR_ENGINES | MAKES_NODE},
    {"spread", "TARGET...", 1, ANY_NUMBER, TARGETS, "build targets on the machines of a scheduler",
     "Plans, pushes the project, submits a job for each node that is left to make, follows the "
     "jobs, and places the results as a build here does. Ctrl-C cancels the jobs. docs/spread.md "
     "says how the machines are set up. --arch may name several architectures, A,B or all.",
     (PLAN & ~BIT(COMMON_OFFLINE)) | OUTPUT | KEEP_GOING | JOBS | JSON | QUIET,
     OPTIONS(spread_options), verb_spread, FOR_ENGINES | SEVERAL_ARCHITECTURES},
    {"why", "TARGET...", 1, ANY_NUMBER, TARGETS,
     "say what would be made again, and for which reason",
     "One sentence a node: what changed since its last build here, down to the line of a file, and "
     "for inputs what made those change. Makes nothing and uses no network; what the shared cache "
     "has is not known to it. docs/why.md has the lines of --json.",
     PLAN | OUTPUT | RESUME | JSON, NO_OPTIONS, verb_why, 0},
    {"explain", "TARGET", 1, 1, TARGETS,
     "show what changed since the last build, and everything that determines a target's bytes",
     "After the changes it prints the text whose digest is the key of the result in the cache.",
     PLAN | OUTPUT | RESUME, NO_OPTIONS, verb_explain, 0},
    {"new", "NAME", 1, 1, NO_TARGETS, "write a recipe that builds, to begin with",
     "It is the directory NAME of the recipes, with a recipe.yaml that explains its keys and a "
     "script. "
     "With --like it is a copy of another recipe that leaves its result under the new name. "
     "Nothing "
     "is overwritten.",
     RECIPES | QUIET, OPTIONS(new_options), verb_new, 0},
    {"fetch", "TARGET...", 1, ANY_NUMBER, TARGETS, "do everything that needs the network",
     "Sources, builders and root file systems. Afterwards --offline needs no network.",
     MAKE | OUTPUT | KEEP_GOING | JSON | QUIET, OPTIONS(fetch_options), verb_fetch, 0},
    {"update", "TARGET...", 1, ANY_NUMBER, TARGETS,
     "use today's packages of the distribution from now on",
     "Resolves the package sets of builders, root file systems and packaged sources again. Without "
     "it, a set that was resolved once stays. Lines of versions.lock that name packages are "
     "replaced. --arch may name several architectures, A,B or all.",
     PLAN & ~(BIT(COMMON_OFFLINE) | BIT(COMMON_LOCKED)), NO_OPTIONS, verb_update,
     SEVERAL_ARCHITECTURES},
    {"lock", "TARGET...", 1, ANY_NUMBER, TARGETS,
     "write all inputs of targets to versions.lock, packages included",
     "Inputs that are not known yet are resolved. Afterwards --locked builds the targets from "
     "exactly those. --arch may name several architectures, A,B or all.",
     PLAN & ~BIT(COMMON_LOCKED), NO_OPTIONS, verb_lock, SEVERAL_ARCHITECTURES},
    {"log", "TARGET", 1, 1, NO_TARGETS, "print the log of a target's last build",
     "It is read from the output directory. There are also logs of names like source-linux and "
     "builder-kernel. On a terminal control characters are shown as escapes; to a pipe or a file "
     "the log is written unchanged. With --remote it is the log of one node (its id: kernel:s390x) "
     "that `kbuild run` or `kbuild spread` pushed to the registry, and --plan says of which run.",
     (PLAN & ~(BIT(COMMON_OFFLINE) | BIT(COMMON_LOCKED))) | OUTPUT, OPTIONS(log_options), verb_log,
     0},
    {"shell", "TARGET", 1, 1, TARGETS, "start a shell in the sandbox of a target's step",
     "Its inputs are built first. If --until left its directory, the shell starts in it, and your "
     "changes stay.",
     MAKE | OUTPUT | RESUME | QUIET, NO_OPTIONS, verb_shell, 0},
    {"boot", "TARGET", 1, 1, TARGETS, "start a result under QEMU and check that it boots",
     "What is not built is built first, with a message. A Secure Execution image is started "
     "unchanged, then opened with the private TEST host key, and its parts and its second stage "
     "are started, too. A stack that names a QEMU and a firmware is started with those. On a host "
     "of the confidential guests that the recipe describes, a confidential guest is started, and "
     "its launch digest is compared.",
     MAKE | OUTPUT | RESUME | QUIET, OPTIONS(boot_rows), verb_boot, 0},
    {"install", "TARGET...", 1, ANY_NUMBER, TARGETS, "install the results on this host",
     "Builds the targets and installs their files below /opt/kata or another prefix. Each file is "
     "written beside its final place, and all are renamed when all are written; existing "
     "directories "
     "are not changed. Files that are for guests only are left out.",
     MAKE | OUTPUT | RESUME | QUIET, OPTIONS(install_options), verb_install, 0},
    {"verify", "TARGET", 1, 1, TARGETS, "build a target again in another environment, and compare",
     "The second build has another user, umask, time zone, locale, path, host name, number of jobs "
     "and processors, and clock. Files that differ are shown with their first different bytes. The "
     "second build is not kept. What was found in the cache, and so was made once only, is named. "
     "With --against the target and all that it is made of are made anew, in a directory that is "
     "removed afterwards, and compared with the file.",
     MAKE | OUTPUT | QUIET, OPTIONS(verify_rows), verb_verify, 0},
    {"merge", "DIR [VERSIONS_YAML]", 1, 2, NO_TARGETS,
     "merge DIR/kata-static-*.tar.xz into kata-static.tar.xz",
     "Components with different content for one path, and members that would overwrite a host's "
     "own configuration, are errors. So is a component that was requested in DIR (the file targets "
     "there lists them) but is missing or was not built, and a missing one of --components or of "
     "the components of --target; with either option no others are merged. Tarballs that kbuild "
     "packed are merged by copying compressed blocks; others are recompressed first.",
     JOBS | CACHE | BIT(COMMON_VERSIONS) | RECIPES | SOURCES | ARCH | QUIET, OPTIONS(merge_rows),
     verb_merge, 0},
    {"pack", "DIR FILE", 2, 2, NO_TARGETS, "pack a tree in the same way as an artifact",
     "Times after SOURCE_DATE_EPOCH are replaced by it.", JOBS | QUIET, OPTIONS(pack_rows),
     verb_pack, 0},
    {"unpack", "FILE DIR", 2, 2, NO_TARGETS, "unpack an archive into a new directory",
     "The directory must be empty or must not exist. It appears complete or not at all.", QUIET,
     NO_OPTIONS, verb_unpack, 0},
    {"se seal", "-i KERNEL -k HKD -o FILE [OPTION...]", 0, ANY_NUMBER, NO_TARGETS,
     "seal an image by hand",
     "Its options are those of genprotimg(1) and of pvimg create; `kbuild se seal --help-all` "
     "prints them. Host key documents are verified with the certificates of -C and the lists of "
     "--crl; missing lists are fetched, with --online all lists, with --offline none. "
     "--seal-secret derives from a secret what is random otherwise. If it is called as genprotimg "
     "or pvimg through a link, kbuild behaves as they do.",
     0, NO_OPTIONS, se_verb_seal, OWN_PARSER},
    {"se open", "IMAGE", 1, 1, NO_TARGETS, "extract the parts of an image with a TEST key",
     "Checks all tags and digests, and writes the parts.", 0, OPTIONS(open_options), se_verb_open,
     0},
    {"se info", "IMAGE|-", 0, 1, NO_TARGETS, "show what is in an image",
     "Prints header, key slots and their documents, flags, components, digests, and the checks "
     "that need no key. JSON has the fields of pvimg(1).",
     JSON, OPTIONS(info_rows), se_verb_info, 0},
    {"se verify", "IMAGE", 1, 1, NO_TARGETS,
     "prove that an image is intact, and what it was made of",
     "Decrypts everything, checks all tags and digests, and compares the image with the files that "
     "it was made of and with its seal record; without a key, only with the digests in that "
     "record. Damage is located: field, component, page, bit. IMAGE may be a "
     "kata-static-boot-image-se.tar.xz. One of --host-key, --hdr-key and --seal-record is needed.",
     0, OPTIONS(se_verify_rows), se_verb_verify, 0},
    {"se reference", "IMAGE", 1, 1, NO_TARGETS,
     "print reference values of an image for attestation",
     "The files that the image was made of are listed only if they are compared with it, as se "
     "verify does: that needs a key or a seal record.",
     0, OPTIONS(reference_options), se_verb_reference, 0},
    {"se test-key", "DIR", 1, 1, NO_TARGETS, "make a TEST host key and its document",
     "For tests only, never for secrets.", QUIET, NO_OPTIONS, se_verb_test_key, 0},
    {"hkd verify", "[HKD...]", 0, ANY_NUMBER, NO_TARGETS,
     "are host key documents genuine, valid, and not revoked?",
     "The exit status is 1 if one is not. Without documents those in HKD_PATH are verified, and "
     "without options with SIGNING_KEY_CERT_PATH, INTERMEDIATE_CA_CERT_PATH, HOST_KEY_CRL_PATH, "
     "SE_ROOT_CA_PATH and SE_ONLINE, as for boot-image-se. Certificates and lists are PEM or DER. "
     "docs/trust.md has the rules.",
     BIT(COMMON_OFFLINE) | JSON, OPTIONS(hkd_options), verb_hkd_verify, 0},
    {"doctor", "[build|se|snp]", 0, 1, NO_TARGETS,
     "can this machine build, and host confidential guests?",
     "Prints how to fix what fails. Without a group: build, and the groups that the machine is set "
     "up for. The exit status is 1 if a check fails.",
     CACHE | JSON | QUIET, OPTIONS(doctor_options), verb_doctor, 0},
    {"config", "se|snp|containerd FILE", 2, 2, NO_TARGETS,
     "edit a Kata runtime's configuration.toml for confidential guests, or containerd's for Kata",
     "Makes the edits of Kata's guides and prints them as a diff. Everything else in the file "
     "stays; the original is kept as FILE.old, or FILE.old.N if that exists. In containerd's "
     "config.toml the runtime class that --class names is added.",
     QUIET, OPTIONS(config_options), verb_config, 0},
    {"measure", "snp|sev-es|sev|tdx [TARGET]", 1, 2, NO_TARGETS,
     "compute the launch digest that a confidential x86 host will report",
     "Prints it for each number of vCPUs. -o and --json give reference values with ID blocks. For "
     "a trust domain with a kernel, RTMR 1 and 2 are printed, too. With TARGET the files are those "
     "from which its recipe starts an SNP guest; the target must be built already, or --build "
     "builds it. docs/measure.md has the rest.",
     MAKE | JSON | QUIET, OPTIONS(measure_options), verb_measure, 0},
    {"payload push", "FILE|DIR REGISTRY/REPOSITORY [TAG]", 1, 3, NO_TARGETS,
     "push the image that kata-deploy installs from",
     "It is pushed with upstream's tag and TAG. A directory becomes one layer per component, so "
     "that unchanged ones are not sent again. With --output no registry is written to. Without "
     "--base the files are put on upstream's kata-deploy of the same release, pinned in "
     "versions.lock, in place of the files in it. docs/payload.md has the rest.",
     ARCH | JOBS | CACHE | BIT(COMMON_VERSIONS) | RECIPES | BIT(COMMON_SOURCE) | QUIET,
     OPTIONS(push_options), verb_payload_push, 0},
    {"payload index", "REGISTRY/REPOSITORY:TAG ARCH-TAG...", 2, ANY_NUMBER, NO_TARGETS,
     "join images of several architectures into one index", NULL, CACHE, OPTIONS(index_options),
     verb_payload_index, 0},
    {"payload image", "FILE...", 1, ANY_NUMBER, NO_TARGETS, "make an OCI image of archives",
     "Each archive is a layer, unpacked at the root of the image, on the layers of the base. Files "
     "belong to root, and times after SOURCE_DATE_EPOCH are replaced by it: the same archives give "
     "the same image. `make image` makes one of kbuild itself (docs/install.md).",
     ARCH | JOBS | CACHE | QUIET, OPTIONS(image_options), verb_payload_image, 0},
    {"provenance", "TARGET", 1, 1, TARGETS,
     "write what a result was made of: SLSA provenance and an SPDX list",
     "Both are written beside the result; with -o only one of them.", PLAN | OUTPUT | RESUME,
     OPTIONS(provenance_options), verb_provenance, 0},
    {"sign", "FILE...", 1, ANY_NUMBER, NO_TARGETS,
     "sign files that are handed over outside a registry",
     "Writes FILE.intoto.jsonl: in-toto statements in DSSE envelopes, which state name, release "
     "and "
     "SHA-256 of the file, and with --provenance what it was made of. Statements of other keys "
     "about the same content stay in an existing one.",
     QUIET, OPTIONS(sign_options), verb_sign, 0},
    {"check", "FILE", 1, 1, NO_TARGETS, "check a file that somebody handed over",
     "A tarball, a Secure Execution image, reference values of a launch, or any other file: who "
     "signed it, what he states, what is in it. Each line says what was checked with which result, "
     "or what was not checked and why. The exit status is 0 only if all that was asked for was "
     "checked and is good; a signature by one of --trusted-keys is, unless --unsigned says that "
     "none is required. With --reproduce the target and all that it is made of are made here, "
     "without results of a registry or of the cache. docs/handed-over.md explains each line.",
     MAKE | OUTPUT | JSON | QUIET, OPTIONS(check_options), verb_check, 0},
    {"report", "[TARGET...]", 0, ANY_NUMBER, NO_TARGETS,
     "write a page about the last run: where the time went, and why",
     "One HTML file, without script and without network: when each node and its phases ran, what "
     "they used, the longest chain, what was cached, which lines of files, variables and inputs "
     "changed of what was not, the graph, and sizes against the last build. With targets only "
     "these and what they need. `kbuild -o DIR report` is about the runs of another output "
     "directory: -o before the verb is that directory, after it the page.",
     OUTPUT | ARCH | CACHE | QUIET, OPTIONS(report_options), verb_report, 0},
    {"settings", "", 0, 0, NO_TARGETS, "show every default, and where it comes from",
     "Defaults of options and variables can be in kbuild.yaml: in the project, and of your own in "
     "$XDG_CONFIG_HOME/kbuild or ~/.config/kbuild. Options go before the environment, that before "
     "the project's file, that before yours. Shown is what `kbuild build` would use, also if it "
     "would refuse it: then the reason comes last, and the status is that of the error. "
     "docs/settings.md has the keys, and the lines of --json.",
     (MAKE & ~(BIT(COMMON_OFFLINE) | BIT(COMMON_LOCKED))) | OUTPUT | JSON, NO_OPTIONS,
     verb_settings, READS_OPTIONS},
    {"cache info", "", 0, 0, NO_TARGETS, "show what is in the cache", NULL, CACHE | JSON,
     NO_OPTIONS, verb_cache_info, 0},
    {"cache verify", "", 0, 0, NO_TARGETS,
     "read the whole cache, and move damaged entries to its directory damaged", NULL, CACHE,
     NO_OPTIONS, verb_cache_verify, 0},
    {"cache gc", "", 0, 0, NO_TARGETS, "remove garbage, and what is beyond a size", NULL, CACHE,
     OPTIONS(gc_options), verb_cache_gc, 0},
    {"versions get", "KEY", 1, 1, NO_TARGETS, "print the value of a dotted key of versions.yaml",
     NULL, BIT(COMMON_VERSIONS) | FILES, NO_OPTIONS, verb_versions_get, 0},
    {"help", "[VERB...]", 0, 2, NO_TARGETS, "show the verbs, or the options of one", NULL, 0,
     OPTIONS(help_options), verb_help, 0},
    {"version", "", 0, 0, NO_TARGETS, "print the version of kbuild", NULL, 0, NO_OPTIONS,
     verb_version, 0},
};
const size_t verb_count = ARRAY_LEN(verbs);

// ---- looking up ----

bool option_has_choices(const struct option *o)
{
    return o->value && !strpbrk(o->value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

const char *output_path(const struct option *o, const char *value)
{
    static const char *const kinds[] = {"oci:", "oci-archive:"};
    for (size_t i = 0; o->flags & WRITES_FILE && i < ARRAY_LEN(kinds); i++)
        if (starts_with(value, kinds[i]))
            return value + strlen(kinds[i]);
    return value;
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
