// SPDX-License-Identifier: Apache-2.0
// What the files of this room share. Not for others.
#ifndef KBUILD_MEASURE_INTERNAL_H
#define KBUILD_MEASURE_INTERNAL_H

#include "base/error.h"
#include "base/libcrypto.h"
#include "base/memory.h"
#include "measure/measure.h"

#include <stdbool.h>
#include <stdint.h>

#define X86_PAGE 4096u
#define FOUR_GIB ((uint64_t)1 << 32)

// The 16 bytes of the GUID that is written aaaaaaaa-bbbb-cccc-ddee-ffgghhiijjkk: the first three
// groups are little-endian (UEFI specification, appendix A).
#define GUID(a, b, c, d, e, f, g, h, i, j, k)                                                      \
    {                                                                                              \
        (a) & 0xFF, (a) >> 8 & 0xFF, (a) >> 16 & 0xFF, (a) >> 24 & 0xFF, (b)&0xFF,                 \
            (b) >> 8 & 0xFF, (c)&0xFF, (c) >> 8 & 0xFF, d, e, f, g, h, i, j, k                     \
    }
#define GUID_SIZE 16u

// ---- ovmf.c ----
// The tables in an OVMF image for the VMM that starts it, and its firmware volumes.
//
// A firmware image ends at 4 GiB. 32 bytes before its end is a table that is read backwards (OVMF,
// ResetVectorVtf0.asm): entries of data, le16 length (of the whole entry) and GUID; the last entry
// is the table's own, with the length of the table. Entries used here:
//
//   00f771de-1a7e-4fcb-890e-68c77e2fb44e  SEV-ES reset block, le32: where vCPUs start but the first
//   7255371f-3a3b-4b04-927b-1da6efa8d454  le32 address, le32 size: for the table of kernel hashes
//   dc886566-984a-4798-a75e-5585a7bf67cc  le32: SEV metadata, so far before the end of the file
//   e47a6535-984a-4798-865e-4685a7bf8ec2  le32: TDX metadata, likewise
//
// SEV metadata is "ASEV", le32 length, le32 version (1), le32 count, then for each section le32
// address, le32 size, le32 type (OVMF, OvmfSevMetadata.asm). A firmware that lacks one of these, or
// has invalid metadata, can still be used for launches that do not need them: so each is read, and
// its faults reported, where it is needed.

enum snp_section_type {
    SNP_SEC_MEM = 1,
    SNP_SECRETS = 2,
    SNP_CPUID = 3,
    SNP_SVSM_CAA = 4,
    SNP_KERNEL_HASHES = 0x10
};
struct snp_section {
    uint32_t address, size; // page-aligned; sections and firmware do not overlap
    enum snp_section_type type;
};
#define SNP_SECTIONS_MAX 64u

struct ovmf_image {
    const unsigned char *bytes; // the caller's
    uint64_t size, address;     // of the image in guest memory
    bool has_reset, has_hashes;
    uint32_t reset_address;
    uint32_t hashes_address, hashes_size;
    uint32_t sev_distance, tdx_distance; // of the metadata from the end of the image; 0: none
    struct snp_section section[SNP_SECTIONS_MAX]; // set by ovmf_read_sev_sections()
    size_t sections;
};
// Reads the table, all but the sections. `name` is for messages.
int ovmf_parse(const char *name, const unsigned char *bytes, uint64_t size, struct ovmf_image *out,
               struct error **err);
// Reads the SEV metadata.
int ovmf_read_sev_sections(const char *name, struct ovmf_image *f, struct error **err);
// Metadata that begin `distance` bytes before the end, with 16 bytes at least; `what` is "SEV" or
// "TDX". NULL on failure.
const unsigned char *ovmf_metadata(const char *name, const struct ovmf_image *f, const char *what,
                                   uint32_t distance, struct error **err);
// The section of this type, or NULL.
const struct snp_section *ovmf_sev_section(const struct ovmf_image *f, enum snp_section_type type);
// Sets the error for an invalid firmware. Returns -1. The hint depends on the kind of launch, and
// is added where that is known.
int ovmf_error(struct error **err, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Facts about a firmware that depend on its version, read from its modules.
//
// A firmware image holds firmware volumes (UEFI Platform Initialization Specification 1.8, volume
// 3, sections 3.2.1 to 3.2.4):
//
//   volume    at 32 le64 length, at 40 "_FVH", at 48 le16 length of the header, at 52 le16 place of
//             an extended header (0: none), whose own length is at its byte 16 (le32)
//   file      from the end of the headers on, each at a multiple of 8: GUID, at 18 u8 type,
//             at 19 u8 attributes (bit 0: le64 size at 24), at 20 le24 size; bytes FFh where
//             files end
//   section   in a file, each at a multiple of 4: le24 size (FFFFFFh: le32 at 4), u8 type:
//             02h GUID, le16 place of the data; 10h PE32 and 12h TE programs; 17h a volume
//
// OVMF keeps the volume of its drivers in a section with the GUID
// ee4e5898-3914-4259-9d6e-dc7bd79403cf, compressed as a .lzma file (edk2,
// MdeModulePkg/Library/LzmaCustomDecompressLib).

struct ovmf_facts {
    unsigned modules;   // programs that could be read; 0: nothing is known
    bool measures;      // TdTcg2Dxe is among them, which extends the registers of trust domains
    bool initrd_behind; // QemuLoadImageLib adds " initrd=initrd" behind the command line
    bool initrd_before; // ... or "initrd=initrd " before it
    bool shim;          // ... and knows QEMU's option -shim
};
// Errors: a compressed section that cannot be unpacked, or is larger than any firmware. Bytes that
// are no volume, or damaged in another way, count as no modules. Takes at most about 130 MiB of
// memory.
int ovmf_read_facts(const char *name, const unsigned char *bytes, uint64_t size,
                    struct ovmf_facts *out, struct error **err);

// ---- files.c ----
// A bzImage (Linux, Documentation/arch/x86/boot.rst, "The real-mode kernel
// header"):
//
//   1F1h  u8     sectors of 512 bytes of setup code behind the first; 0 means 4
//   1FEh  le16   AA55h
//   202h  4      "HdrS"
//   206h  le16   boot protocol, 20Ch at least for a kernel that EFI can start
//   20Eh  le16   200h before the text "6.12.13 (...) ..."
//   236h  le16   bit 0: there is a 64-bit entry
//   238h  le32   the longest command line, without its NUL

#define BZIMAGE_HEAD 0x260u // bytes that the check looks at

// Checks the header of a bzImage. `head` is the beginning of the file, of min(size, BZIMAGE_HEAD)
// bytes. *limit gets the longest command line.
int bzimage_check(const char *path, const unsigned char *head, uint64_t size, uint32_t *limit,
                  struct error **err);
// Linux's version of a checked kernel that is wholly in memory; false if the kernel has none.
bool bzimage_version(const unsigned char *bytes, uint64_t size, unsigned *major, unsigned *minor);
// An error if the kernel would truncate the command line; `text` may be NULL.
int bzimage_check_append(const char *path, const char *text, uint32_t limit, struct error **err);

// The files of a launch: what they must be, and their digests. Kernel and initrd are streamed.

// Firmware is small and parsed from its end: *bytes gets all of it, to be freed, also after a
// failure.
int launch_read_firmware(const char *path, unsigned char **bytes, struct launch_file *out,
                         struct error **err);
// A bzImage whose command line limit admits in->append.
int launch_hash_kernel(const struct launch_inputs *in, struct launch_file *out, struct error **err);
// The same, and *bytes gets all of it, to be freed, also after a failure.
int launch_read_kernel(const struct launch_inputs *in, unsigned char **bytes,
                       struct launch_file *out, struct error **err);
int launch_hash_initrd(const char *path, struct launch_file *out, struct error **err);

// The Authenticode digest of a PE/COFF image: UEFI firmware measures it when it starts a program,
// and Secure Boot signs it. Source: Microsoft, "Windows Authenticode Portable Executable Signature
// Format", section "Calculating the PE Image Hash"; computed as firmware does, without the padding
// that a signing tool adds to the file.
//
//   03Ch  le32   where "PE\0\0" is. Behind it lies the COFF header, 20 bytes:
//                at  2 le16  number of sections
//                at 16 le16  size of the optional header, which follows:
//                at  0 le16  10Bh or 20Bh (PE32+)
//                at 60 le32  size of all headers
//                at 64 le32  checksum
//                at 92 le32  (PE32+: 108) number of directories, 8 bytes each, which follow;
//                            the fifth has le32 address, le32 size of the signatures
//                Behind the optional header 40 bytes for each section:
//                at 16 le32  size
//                at 20 le32  place in the file
//
// The digest is over the headers without the checksum and that fifth directory, the sections in
// file order, and the file from the offset that equals the size of headers and sections, without
// the signatures.

#define AUTHENTICODE_SIZE 48u // SHA-384

// SHA-384. `name` is for messages. Errors: it is no PE/COFF image, or one whose parts lie outside
// of its `size` bytes; they come with a hint.
int authenticode_digest(const char *name, const unsigned char *bytes, uint64_t size,
                        unsigned char out[static AUTHENTICODE_SIZE], struct error **err);

// The table of kernel hashes, which QEMU (target/i386/sev.c, "kernel-hashes=on") puts into the
// guest at launch, so that the measurement covers what the firmware then loads over fw_cfg (OVMF,
// OvmfPkg/AmdSev/BlobVerifierLibSevHashes): 18 bytes of GUID and le16 length, then three entries of
// 50 bytes (GUID, le16 length, SHA-256) for the command line with its NUL, the initrd and the
// kernel, and zeros up to a multiple of 16.
//
// QEMU hashes the parts of the kernel that it passes on, setup header and protected-mode code;
// since version 6.2 it does not change the header of an SEV guest's kernel (hw/i386/x86.c,
// x86_load_linux()), so that the digest is that of the file. No initrd counts as an empty one.

#define SNP_HASHES_SIZE 176u

// `kernel` and `initrd` are as launch_file gives them; `append` may be NULL.
void snp_hashes(const struct launch_file *kernel, const struct launch_file *initrd,
                const char *append, unsigned char out[static SNP_HASHES_SIZE]);

// ---- launch.c: pages that enter the digest of an SNP guest ----

#define SHA384_SIZE 48u

// ABI, section 8.17.1, PAGE_TYPE.
enum snp_page_type {
    PAGE_NORMAL = 1,
    PAGE_VMSA = 2,
    PAGE_ZERO = 3,
    PAGE_UNMEASURED = 4,
    PAGE_SECRETS = 5,
    PAGE_CPUID = 6
};
// Where the firmware records VMSA pages: all address bits set (ABI, 8.17.2).
#define VMSA_ADDRESS 0xFFFFFFFFF000u

// Zero-initialise. Owns nothing.
struct snp_digest {
    unsigned char value[SHA384_SIZE];
};
// One page with content: PAGE_NORMAL or PAGE_VMSA.
int snp_digest_page(struct snp_digest *d, enum snp_page_type type, uint64_t address,
                    const unsigned char page[static X86_PAGE], struct error **err);
// `size` bytes (whole pages) of any other type.
int snp_digest_range(struct snp_digest *d, enum snp_page_type type, uint64_t address, uint64_t size,
                     struct error **err);

// ---- vmsa.c ----
// The VMSA: the state in which a vCPU of an SEV-ES or SNP guest starts, a page that is measured
// (APM, volume 2, appendix B, table B-4). Its content depends on the processor's reset state (APM,
// volume 2, section 14.1.3), on KVM, and on the VMM.

// The first vCPU starts here; the others where the firmware's SEV-ES reset block says.
#define VMSA_RESET_VECTOR 0xFFFFFFF0u

void snp_vmsa(enum launch_vmm vmm, uint32_t start, uint32_t cpu_signature, uint64_t features,
              unsigned char page[static X86_PAGE]);

// As KVM writes it for guests of its default VM type (KVM_SEV_ES_INIT, the only way before Linux
// 6.10): from KVM_SEV_INIT2 on MXCSR and the x87 control word are in it, too (Linux,
// arch/x86/kvm/svm/sev.c, sev_es_sync_vmsa()).
void snp_vmsa_without_fpu(unsigned char page[static X86_PAGE]);

// ---- tdx.c ----
// MRTD, which the TDX module measures while a trust domain is built, and RTMR 1 and 2. MRTD depends
// on the firmware alone; kernel, initrd and command line are measured later, into RTMR 1 and 2.
//
// The firmware lists the sections (TDX Virtual Firmware Design Guide, on TDVF metadata): "TDVF",
// le32 length, le32 version (1), le32 count, then for each section le32 offset and le32 size in the
// image, le64 address and le64 size in memory, le32 type, le32 attributes (bit 0: the content is
// measured; bit 1: added later, not measured). MRTD is SHA-384 over a stream (TDX Module Base
// Specification, section on build-time measurement): for each 4 KiB page 128 bytes "MEM.PAGE.ADD",
// the address at byte 16, zeros; and if its content is measured, for each 256 bytes of it 128 bytes
// "MR.EXTEND", the address at byte 16, zeros, then the content. Linux adds a page and measures it,
// then the next page (arch/x86/kvm/vmx/tdx.c, since 6.16). Hosts with older, private patches add
// all pages of a section first and then measure them; that is `two_pass` (tdx-measure 0.1.0,
// --two-pass-add-pages).

#define MRTD_SIZE 48u
int tdx_mrtd(const char *name, const struct ovmf_image *f, bool two_pass,
             unsigned char out[static MRTD_SIZE], struct error **err);

// RTMR 1 and 2 of a trust domain that is started with QEMU's -kernel: the events that firmware and
// kernel extend until the kernel runs. A register starts as 48 zeros; extending by an event makes
// it SHA-384 over the register and the event's digest, itself SHA-384 (TDX Module Base
// Specification, section on run-time measurement; the registers are PCRs 2 to 6 and 8 to 15 of a
// TPM: UEFI 2.10, section 38.4.1).
//
//   RTMR 1   the kernel, as an Authenticode digest (authenticode_digest()); "Calling EFI
//   Application
//            from Boot Option"; a separator of four zeros, from edk2-stable202411 on; "Exit Boot
//            Services Invocation"; "Exit Boot Services Returned with Success" (edk2,
//            OvmfPkg/Tcg/TdTcg2Dxe; strings without their NUL)
//   RTMR 2   the load options: the command line and, with an initrd, " initrd=initrd" behind it, or
//            from edk2-stable202508 on "initrd=initrd " before it, in UTF-16 with its NUL (edk2,
//            QemuLoadImageLib); the initrd. Both by the kernel's EFI stub, from Linux 6.9 on
//
// RTMR 0 depends on tables that QEMU makes for the machine, and RTMR 3 belongs to the workload: 0
// until then.

#define RTMR_SIZE 48u

// QEMU before this version writes the boot loader's fields into the kernel's header, and the
// firmware measures them; later versions do not change the kernels of confidential guests.
#define QEMU_KEEPS_HEADER QEMU_VERSION(10, 2)

// What differs between releases of edk2.
struct tdx_order {
    bool separator_in_rtmr1;
    bool initrd_before; // matters only with an initrd
};
// Set from the firmware file, or from in->edk2_version for what the file does not show. Errors:
// firmware that measures nothing, an unknown release, and a file that contradicts in->edk2_version.
int tdx_find_order(const struct launch_inputs *in, const struct ovmf_facts *f,
                   struct tdx_order *out, struct error **err);

// `kernel` must be a checked bzImage, and is changed in place as QEMU does. Errors: a kernel that
// QEMU would not start or kbuild cannot model (vga=, an initrd without space), no PE/COFF image, an
// unreadable file.
int tdx_rtmr1(const struct launch_inputs *in, const struct tdx_order *order, unsigned char *kernel,
              uint64_t size, uint64_t initrd_size, unsigned char out[static RTMR_SIZE],
              struct error **err);
int tdx_rtmr2(const struct launch_inputs *in, const struct tdx_order *order,
              unsigned char out[static RTMR_SIZE], struct error **err);

#endif
