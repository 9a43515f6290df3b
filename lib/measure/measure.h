// SPDX-License-Identifier: Apache-2.0
// Launch measurement: the digest that the processor of a confidential x86 host reports for a guest,
// computed from the guest's files alone. In: firmware (OVMF); for a measured direct boot also
// kernel, initrd and command line; and how the guest is started. Out: a digest for each number of
// vCPUs. docs/measure.md explains what is measured.
//
// Sources: AMD, "SEV Secure Nested Paging Firmware ABI Specification", document 56860, 1.55 and
// later (sections 8.17 SNP_LAUNCH_UPDATE, 8.18 SNP_LAUNCH_FINISH, chapter 10 for keys and
// signatures), here "ABI"; AMD, "SEV API", document 55766, section 6.5 LAUNCH_MEASURE; AMD64
// Architecture Programmer's Manual, volume 2, appendix B, table B-4 (the VMSA), here "APM"; OVMF's
// OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm and X64/OvmfSevMetadata.asm; QEMU's
// target/i386/sev.c; for TDX the Intel TDX Module Base Specification, document 348549, and the
// TDX Virtual Firmware Design Guide, document 344991.
//
// Everything here is little-endian. Strings of `struct launch_inputs` are borrowed; a measurement
// is released with launch_measurement_free(), keys with id_keys_free().
#ifndef KBUILD_MEASURE_MEASURE_H
#define KBUILD_MEASURE_MEASURE_H

#include "base/digest.h"
#include "base/memory.h"

#define LAUNCH_DIGEST_MAX 48u  // bytes; SHA-384
#define LAUNCH_VCPUS_MAX 1024u // KVM's own limit unless it is configured otherwise
#define LAUNCH_FIRMWARE_MAX (64u << 20)
#define LAUNCH_KERNEL_MAX (512u << 20) // where it is read into memory (TDX)
#define SNP_FEATURE_ACTIVE 1u          // bit 0 of SEV_FEATURES (APM, table B-4, offset 3B0h)
#define SNP_POLICY_DEFAULT 0x30000u // SMT allowed, and the bit that must be one (ABI, section 4.3)

// ---- inputs ----

// Each measures other things; see launch_kinds in launch.c.
enum launch_kind { LAUNCH_SEV, LAUNCH_SEV_ES, LAUNCH_SNP, LAUNCH_TDX, LAUNCH_KINDS };
// "sev", "sev-es", "snp", "tdx".
extern const char *const launch_kind_names[LAUNCH_KINDS];
// False if there is none of that name.
bool launch_kind_find(const char *name, enum launch_kind *out);
bool launch_kind_has_vcpus(enum launch_kind kind); // false: the digest does not depend on them

// The VMM: register values at reset differ (vmsa.c).
enum launch_vmm { VMM_QEMU, VMM_EC2, VMM_GCE, VMMS };
extern const char *const launch_vmm_names[VMMS]; // "qemu", "ec2", "gce"
int launch_vmm_find(const char *name, enum launch_vmm *out, struct error **err);

struct launch_inputs {
    enum launch_kind kind;
    const char *firmware;             // path
    const char *kernel, *initrd;      // paths or NULL; an initrd needs a kernel
    const char *append;               // command line or NULL; needs a kernel
    enum launch_vmm vmm;              // this and the next four: not for LAUNCH_SEV and LAUNCH_TDX
    unsigned first_vcpus, last_vcpus; // 1 to LAUNCH_VCPUS_MAX
    uint32_t cpu_signature;           // EAX of CPUID leaf 1; only QEMU puts it into the VMSA
    uint64_t guest_features;          // SEV_FEATURES; with bit 0 for SNP, and without for SEV-ES
    bool legacy_vm_type;              // SEV-ES: KVM leaves the FPU's state out of the VMSA
    unsigned qemu_version;            // LAUNCH_TDX with a kernel: QEMU_VERSION(major, minor)
    uint64_t memory_mib;              // the same, if QEMU places the initrd: the guest's memory
    unsigned edk2_version;            // the same: the firmware's release, as 202411; 0: not given
    bool two_pass;                    // LAUNCH_TDX: the host adds all pages of a section first
};
#define QEMU_VERSION(major, minor) ((major)*1000u + (minor))

// ---- the digests ----

struct launch_file {
    bool given;
    uint64_t size;
    char sha256[DIGEST_HEX_SIZE];
};
struct launch_measurement {
    struct launch_file firmware, kernel, initrd;
    size_t digest_size;                         // 32 or 48 bytes
    unsigned first_vcpus, count;                // digest[i] is for first_vcpus + i
    unsigned char (*digest)[LAUNCH_DIGEST_MAX]; // owned; only one if vCPUs do not matter
    // LAUNCH_TDX with a kernel: the registers when the kernel starts. Kernels before Linux 6.9
    // extend RTMR 2 by nothing: command line and initrd are not measured.
    bool has_rtmr1, has_rtmr2;
    unsigned char rtmr1[LAUNCH_DIGEST_MAX], rtmr2[LAUNCH_DIGEST_MAX];
};
// Errors name the file and its fault: no firmware, truncated, without the metadata or the hashes
// table that the launch needs; no bzImage; a command line that the kernel would truncate.
int launch_measure(const struct launch_inputs *in, struct launch_measurement *out,
                   struct error **err);
void launch_measurement_free(struct launch_measurement *m);
#define cleanup_measurement __attribute__((cleanup(launch_measurement_free)))

// ---- processors ----

// EAX of CPUID leaf 1 (AMD, "CPUID Specification", document 25481, function 0000_0001h).
uint32_t cpu_signature(unsigned family, unsigned model, unsigned stepping);
// The signature of a CPU model of QEMU ("EPYC-v4"); an unknown name is an error that names the
// nearest.
int cpu_type_signature(const char *name, uint32_t *out, struct error **err);
void cpu_type_names(struct strlist *out); // all of them

// ---- ID block: what SNP_LAUNCH_FINISH compares, signed by the guest's owner ----

#define ID_BLOCK_SIZE 96u
#define ID_AUTH_SIZE 4096u
#define ID_KEY_SIZE 0x404u // a public key in the firmware's form

struct id_block_values {
    uint64_t policy; // of the launch; the firmware refuses any other
    unsigned char family_id[16], image_id[16];
    uint32_t guest_svn;
};
// Two keys on P-384: the ID key signs blocks; the author key, which may be missing, signs the ID
// key.
struct id_keys;
// From PEM files that no passphrase protects. NULL on failure.
struct id_keys *id_keys_load(const char *id_key, const char *author_key, struct error **err);
void id_keys_free(struct id_keys *k); // NULL is allowed
// SHA-384 over each public key, as an attestation report has it; false if there is no author key.
void id_key_digest(const struct id_keys *k, unsigned char out[static LAUNCH_DIGEST_MAX]);
bool id_author_digest(const struct id_keys *k, unsigned char out[static LAUNCH_DIGEST_MAX]);

int id_block_check(const struct id_block_values *v, struct error **err);
void id_block_make(const unsigned char digest[static LAUNCH_DIGEST_MAX],
                   const struct id_block_values *v, unsigned char out[static ID_BLOCK_SIZE]);
// Signs a block. ECDSA uses a random number for each signature, so two runs differ and both are
// valid.
int id_auth_make(const unsigned char block[static ID_BLOCK_SIZE], const struct id_keys *k,
                 unsigned char out[static ID_AUTH_SIZE], struct error **err);

// ---- reference values ----

// JSON, without anything that depends on the machine or the time:
//   {"kbuild_launch_reference": 1, "kbuild": version, "kind", "vmm", "cpu_signature",
//    "guest_features", "inputs": {"firmware": {"name", "size", "sha256"}, "kernel", "initrd",
//    "append"}, "id_block": {"policy", "family_id", "image_id", "guest_svn", "signed",
//    "id_key_digest", "author_key_digest"},
//    "measurements": [{"vcpus", "digest", "snp_id_block", "snp_id_auth"}]}
// and for TDX with a kernel "qemu", "memory_mib" and, in measurements, "rtmr1" and "rtmr2".
// Digests are hexadecimal, snp_id_block and snp_id_auth base64: the values of the same names in a
// Kata runtime's configuration. `id` may be NULL (and is, for all but SNP), and so may `keys`:
// blocks are then written unsigned, without snp_id_auth, and "signed" is false.
int launch_reference(const struct launch_inputs *in, const struct launch_measurement *m,
                     const struct id_block_values *id, const struct id_keys *keys, struct buf *json,
                     struct error **err);

#endif
