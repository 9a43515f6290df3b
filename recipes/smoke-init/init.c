// SPDX-License-Identifier: Apache-2.0
// The first process of a guest that has no agent. It mounts what an init mounts, prints one JSON
// line on the console,
//   {"smoke-init":1,"release":"6.1.62","machine":"s390x","cmdline":"panic=1 ..."}
// (in an SEV-SNP guest also "snp":{"report":"<the attestation report, in hexadecimal>"}, or
// "snp":{"error":"<why there is none>"}) and powers the machine off; with the word kbuild.wait on
// the kernel's command line it stays and reaps processes instead. Where the initrd does hold an
// agent, it becomes that agent. Static, because it may be the only file of its initrd.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define AGENT "/usr/bin/kata-agent" // as process 1 it does what an init does
#define COMMAND_LINE_MAX 65536      // s390x takes up to 64 KiB (arch/s390/include/uapi/asm/setup.h)

enum { SYSLOG_CONSOLE_OFF = 6 }; // syslog(2)

static const struct {
    const char *type, *target, *options;
    unsigned long flags;
} mounts[] = {
    {"proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"devtmpfs", "/dev", "mode=0755", MS_NOSUID},
    {"tmpfs", "/run", "mode=0755", MS_NOSUID | MS_NODEV},
    {"tmpfs", "/tmp", "mode=1777", MS_NOSUID | MS_NODEV},
};

// Room for the longest line: six characters for each byte, an attestation report, and the fixed
// text around them.
static char line[COMMAND_LINE_MAX * 6 + 2 * 4096 + 1024];
static size_t used;
static char command_line[COMMAND_LINE_MAX + 1];

static void write_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, text, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; // nobody is left to be told
        text += n;
        size -= (size_t)n;
    }
}

static void complain(const char *what, const char *which)
{
    const char *parts[] = {"smoke-init: ", what, " ", which, ": ", strerror(errno), "\n"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        write_all(STDERR_FILENO, parts[i], strlen(parts[i]));
}

static void add(const char *text, size_t size)
{
    if (size > sizeof(line) - used)
        size = sizeof(line) - used;
    memcpy(line + used, text, size);
    used += size;
}

static void add_text(const char *text)
{
    add(text, strlen(text));
}

// The length of the UTF-8 sequence at `s` (RFC 3629, section 4), 0 if it is none.
static size_t utf8_length(const unsigned char *s)
{
    size_t more = s[0] < 0x80                   ? 0
                  : s[0] >= 0xc2 && s[0] < 0xe0 ? 1
                  : s[0] >= 0xe0 && s[0] < 0xf0 ? 2
                  : s[0] >= 0xf0 && s[0] < 0xf5 ? 3
                                                : 4;
    if (more == 4)
        return 0;
    for (size_t i = 1; i <= more; i++)
        if ((s[i] & 0xc0) != 0x80) // the terminating zero stops here too
            return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] >= 0xa0;
    bool beyond = s[0] == 0xf4 && s[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : more + 1;
}

// A JSON string (RFC 8259, section 7); a byte that is no UTF-8 becomes U+FFFD.
static void add_string(const char *text)
{
    static const char hex[] = "0123456789abcdef";
    add_text("\"");
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t length = utf8_length(s);
        if (length == 0) {
            add_text("\\ufffd");
            length = 1;
        } else if (*s < 0x20 || *s == 0x7f) {
            const char escape[] = {'\\', 'u', '0', '0', hex[*s >> 4], hex[*s & 15]};
            add(escape, sizeof(escape));
        } else {
            if (*s == '"' || *s == '\\')
                add_text("\\");
            add((const char *)s, length);
        }
        s += length;
    }
    add_text("\"");
}

static void add_member(const char *name, const char *value)
{
    add_text(",");
    add_string(name);
    add_text(":");
    add_string(value);
}

static void mount_all(void)
{
    for (size_t i = 0; i < sizeof(mounts) / sizeof(*mounts); i++) {
        mkdir(mounts[i].target, 0755); // there already, or mount says what is wrong
        if (mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags,
                  mounts[i].options) != 0 &&
            errno != EBUSY)
            complain("cannot mount", mounts[i].target);
    }
}

// An initrd without /dev/console leaves its init with no open file at all.
static void open_console(void)
{
    int fd = open("/dev/console", O_RDWR | O_NOCTTY);
    if (fd < 0)
        return;
    for (int i = 0; i < 3; i++)
        if (fd != i)
            dup2(fd, i);
    if (fd > 2)
        close(fd);
}

static void read_command_line(void)
{
    int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        complain("cannot read", "/proc/cmdline");
        return;
    }
    size_t size = 0;
    ssize_t n;
    while (size < COMMAND_LINE_MAX &&
           (n = read(fd, command_line + size, COMMAND_LINE_MAX - size)) > 0)
        size += (size_t)n;
    close(fd);
    while (size > 0 && command_line[size - 1] == '\n')
        size--;
    command_line[size] = '\0';
}

static bool has_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = text; (at = strstr(at, word)); at += length) {
        bool starts = at == text || at[-1] == ' ';
        if (starts && (at[length] == ' ' || at[length] == '\0'))
            return true;
    }
    return false;
}

// ---- SEV-SNP: the kernel's Documentation/virt/coco/sev-guest.rst, include/uapi/linux/sev-guest.h
// ----

#define SNP_DEVICE "/dev/sev-guest"
#define SNP_NUMBERS "/sys/devices/virtual/misc/sev-guest/dev"
#define SNP_REPORT_DATA "kbuild smoke-init" // comes back in the report

struct snp_report_request {
    unsigned char user_data[64];
    unsigned vmpl;
    unsigned char reserved[28];
};
struct snp_request {
    unsigned char version; // of the message: 1
    unsigned long long request, response;
    unsigned long long error; // of the firmware, and of the hypervisor
};
#define SNP_GET_REPORT _IOWR('S', 0x0, struct snp_request)
// MSG_REPORT_RSP (SEV-SNP Firmware ABI, table 25): status, size, 24 reserved bytes, the report.
enum { SNP_RESPONSE = 4000, SNP_REPORT_AT = 32 };
_Static_assert(sizeof(struct snp_report_request) == 96, "the kernel's struct snp_report_req");
_Static_assert(sizeof(struct snp_request) == 32, "the kernel's struct snp_guest_request_ioctl");

// Where nothing fills /dev, the node is made as Kata's guide makes it.
static int open_snp(void)
{
    int fd = open(SNP_DEVICE, O_RDWR | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    int numbers = open(SNP_NUMBERS, O_RDONLY | O_CLOEXEC);
    char text[32] = "", *colon;
    if (numbers < 0)
        return -1;
    bool known = read(numbers, text, sizeof(text) - 1) > 0 && (colon = strchr(text, ':'));
    close(numbers);
    if (!known)
        return -1;
    unsigned minor_number = (unsigned)strtoul(colon + 1, NULL, 10);
    mknod(SNP_DEVICE, S_IFCHR | 0600, makedev((unsigned)strtoul(text, NULL, 10), minor_number));
    return open(SNP_DEVICE, O_RDWR | O_CLOEXEC);
}

static void add_hex(const unsigned char *bytes, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++)
        add((const char[]){hex[bytes[i] >> 4], hex[bytes[i] & 15]}, 2);
}

static void add_snp_report(int fd)
{
    static struct snp_report_request request = {.user_data = SNP_REPORT_DATA};
    static unsigned char response[SNP_RESPONSE];
    struct snp_request r = {
        .version = 1, .request = (uintptr_t)&request, .response = (uintptr_t)response};
    unsigned status = 0, size = 0;
    add_text(",\"snp\":{");
    if (ioctl(fd, SNP_GET_REPORT, &r) != 0) {
        add_text("\"error\":");
        add_string(strerror(errno));
        add_text(",\"firmware\":\"");
        for (int shift = 56; shift >= 0; shift -= 8)
            add_hex(&(const unsigned char){(unsigned char)(r.error >> shift)}, 1);
        add_text("\"}");
        return;
    }
    memcpy(&status, response, sizeof(status));
    memcpy(&size, response + sizeof(status), sizeof(size));
    if (status != 0 || size > sizeof(response) - SNP_REPORT_AT) {
        add_text("\"error\":\"the firmware refused\"}");
        return;
    }
    add_text("\"report\":\"");
    add_hex(response + SNP_REPORT_AT, size);
    add_text("\"}");
}

static void report(void)
{
    struct utsname u = {0};
    uname(&u);
    add_text("{\"smoke-init\":1");
    add_member("release", u.release);
    add_member("machine", u.machine);
    add_member("cmdline", command_line);
    int snp = open_snp();
    if (snp >= 0) {
        add_snp_report(snp);
        close(snp);
    }
    add_text("}\n");
    klogctl(SYSLOG_CONSOLE_OFF, NULL, 0); // or a kernel message lands in the middle of the line
    write_all(STDOUT_FILENO, line, used);
    tcdrain(STDOUT_FILENO);
}

static void reap_for_ever(void)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL); // before the first look, so that no end is missed
    for (;;) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        sigwaitinfo(&child, NULL);
    }
}

int main(void)
{
    if (getpid() != 1) {
        static const char message[] = "smoke-init: runs only as the first process of a guest\n";
        write_all(STDERR_FILENO, message, sizeof(message) - 1);
        return 1;
    }
    if (access(AGENT, X_OK) == 0) {
        execl(AGENT, AGENT, (char *)NULL);
        complain("cannot start", AGENT);
    }
    mount_all();
    open_console();
    read_command_line();
    report();
    if (has_word(command_line, "kbuild.wait"))
        reap_for_ever();
    sync();
    reboot(RB_POWER_OFF);
    complain("cannot power off", "the machine");
    for (;;)
        pause();
}
