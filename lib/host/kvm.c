// SPDX-License-Identifier: Apache-2.0
// Starts a small guest to test whether KVM works. That /dev/kvm exists and opens proves little: in
// a container or a nested machine, later calls may fail, or the guest is emulated instruction by
// instruction, too slow for any kernel. So the guest counts for a while.
#include "host/host.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS 2u
#define MEMORY (2u << 20)
#define COUNT (16u << 20) // milliseconds on a processor, much longer if it is emulated

// Sends the failure to the parent as a line: "FAILED CALL: REASON".
static int report_failure(int out, const char *call)
{
    dprintf(out, "failed %s: %s\n", call, strerror(errno));
    return -1;
}

#ifdef __x86_64__
// Guest addresses: page tables that map the first 2 MiB to themselves, and the code.
enum { PML4 = 0x1000, PDPT = 0x2000, PD = 0x3000, CODE = 0x4000 };

static void put_guest(unsigned char *memory)
{
    static const unsigned char code[] = {
        0x48,        0xC7, 0xC1, COUNT & 0xFF, COUNT >> 8 & 0xFF, COUNT >> 16 & 0xFF,
        COUNT >> 24,             // mov rcx
        0x48,        0xFF, 0xC9, // dec rcx
        0x75,        0xFB,       // jnz, to the dec
        0xF4,                    // hlt
    };
    const uint64_t pml4 = PDPT | 3, pdpt = PD | 3,
                   pd = 0x83; // present, writable; 80h: a large page
    memcpy(memory + PML4, &pml4, sizeof pml4);
    memcpy(memory + PDPT, &pdpt, sizeof pdpt);
    memcpy(memory + PD, &pd, sizeof pd);
    memcpy(memory + CODE, code, sizeof code);
}

// 64-bit mode, as a kernel has it (AMD64 Architecture Programmer's Manual, volume 2, chapter 14).
static int prepare_cpu(int cpu, int out)
{
    struct kvm_sregs s;
    const struct kvm_regs r = {.rip = CODE, .rflags = 2};
    const struct kvm_segment code = {
        .limit = UINT32_MAX, .selector = 8, .present = 1, .type = 11, .s = 1, .l = 1, .g = 1};
    const struct kvm_segment data = {
        .limit = UINT32_MAX, .selector = 16, .present = 1, .type = 3, .s = 1, .db = 1, .g = 1};
    if (ioctl(cpu, KVM_GET_SREGS, &s) < 0)
        return report_failure(out, "KVM_GET_SREGS");
    s.cs = code;
    s.ds = s.es = s.fs = s.gs = s.ss = data;
    s.cr3 = PML4;
    s.cr4 = 0x20;       // PAE
    s.cr0 = 0x80000011; // PG, ET, PE
    s.efer = 0x500;     // LMA, LME
    if (ioctl(cpu, KVM_SET_SREGS, &s) < 0)
        return report_failure(out, "KVM_SET_SREGS");
    return ioctl(cpu, KVM_SET_REGS, &r) < 0 ? report_failure(out, "KVM_SET_REGS") : 0;
}

// The guest may use what the processor has, 64-bit mode at least.
static int set_cpuid(int kvm, int cpu, int out)
{
    enum { ENTRIES = 256 };
    cleanup_free struct kvm_cpuid2 *c =
        xcalloc(1, sizeof *c + ENTRIES * sizeof(struct kvm_cpuid_entry2));
    c->nent = ENTRIES;
    if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, c) < 0)
        return report_failure(out, "KVM_GET_SUPPORTED_CPUID");
    return ioctl(cpu, KVM_SET_CPUID2, c) < 0 ? report_failure(out, "KVM_SET_CPUID2") : 0;
}

static int run_cpu(int kvm, int cpu, int out)
{
    int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    struct kvm_run *run =
        size < 0 ? MAP_FAILED
                 : mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
    if (run == MAP_FAILED)
        return report_failure(out, "KVM_GET_VCPU_MMAP_SIZE");
    if (ioctl(cpu, KVM_RUN, 0) < 0)
        return report_failure(out, "KVM_RUN");
    if (run->exit_reason == KVM_EXIT_HLT) {
        dprintf(out, "ran a guest\n");
        return 0;
    }
    dprintf(out, "failed KVM_RUN: exit reason %u instead of the guest's HLT\n", run->exit_reason);
    return -1;
}

static int start_guest(int kvm, int vm, int cpu, int out)
{
    unsigned char *memory =
        mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return report_failure(out, "mmap");
    put_guest(memory);
    const struct kvm_userspace_memory_region region = {.memory_size = MEMORY,
                                                       .userspace_addr = (uintptr_t)memory};
    if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        return report_failure(out, "KVM_SET_USER_MEMORY_REGION");
    if (set_cpuid(kvm, cpu, out) < 0 || prepare_cpu(cpu, out) < 0)
        return -1;
    return run_cpu(kvm, cpu, out);
}
#else
static int start_guest(int kvm, int vm, int cpu, int out)
{
    (void)kvm, (void)vm, (void)cpu;
    dprintf(out, "made a guest, which was not started: that is tried on x86_64 only\n");
    return 0;
}
#endif

static int create_guest(int kvm, int out)
{
    int vm = ioctl(kvm, KVM_CREATE_VM, 0);
    if (vm < 0)
        return report_failure(out, "KVM_CREATE_VM");
    int cpu = ioctl(vm, KVM_CREATE_VCPU, 0);
    if (cpu < 0)
        return report_failure(out, "KVM_CREATE_VCPU");
    return start_guest(kvm, vm, cpu, out);
}

// A separate process: KVM may hang, and then the alarm ends it. Its exit closes its descriptors.
static _Noreturn void run_child(int kvm, int out)
{
    sigset_t clock;
    sigemptyset(&clock);
    sigaddset(&clock, SIGALRM);
    signal(SIGALRM, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &clock, NULL);
    alarm(SECONDS);
    _exit(create_guest(kvm, out) < 0 ? 1 : 0);
}

void kvm_probe(int device, struct buf *out)
{
    int ends[2];
    cleanup_close int kvm = device;
    if (kvm < 0 || pipe2(ends, O_CLOEXEC) < 0)
        return;
    cleanup_close int in = ends[0];
    pid_t pid = fork();
    if (pid == 0)
        run_child(kvm, ends[1]);
    close(ends[1]);
    char text[256];
    ssize_t n = 0;
    int status = 0;
    if (pid < 0)
        return buf_puts(out, "failed fork\n");
    while ((n = fd_read(in, text, sizeof text)) > 0)
        buf_add(out, text, (size_t)n);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status))
        buf_printf(out,
                   "failed KVM_RUN: a guest that counts to %u was not done within %u s, so it is "
                   "emulated or hangs\n",
                   COUNT, SECONDS);
}
