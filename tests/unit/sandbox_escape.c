// SPDX-License-Identifier: Apache-2.0
// What a step must not be able to do, tried from inside.
#include "test.h"

#include "sandbox_help.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

static const struct sandbox plain = {0};

TEST(the_root_file_system_can_not_be_written)
{
    static const char *const places[] = {"/x",
                                         "/usr/x",
                                         "/usr/bin/x",
                                         "/etc/x",
                                         "/etc/passwd",
                                         "/root/x",
                                         "/proc/sys/kernel/hostname"};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        char *script = xasprintf("echo x > %s", places[i]);
        expect_refusal(plain, script, places[i]);
        free(script);
    }
}

TEST(a_read_only_mount_can_not_be_written)
{
    char *folder = temporary_folder();
    write_text(folder, "file", "content\n");
    struct sandbox_mount mount = {folder, "/src/thing", false};
    struct sandbox s = {.mounts = &mount, .mount_count = 1, .directory = "/src/thing"};
    expect_output(s, "cat file; pwd", "content\n/src/thing\n");
    expect_refusal(s, "echo x > file", "Read-only file system");
    expect_refusal(s, "rm file", "Read-only file system");
    expect_refusal(s, "mount -o remount,rw,bind /src/thing", "");
    remove_tree(folder, NULL);
    free(folder);
}

TEST(a_writable_mount_is_the_only_way_out)
{
    char *folder = temporary_folder();
    struct sandbox_mount mount = {folder, "/out", true};
    struct sandbox s = {.mounts = &mount, .mount_count = 1, .directory = "/out"};
    free(output_of(s, "echo result > artifact; mkdir -p a/b; echo x > /tmp/y"));
    char *path = xasprintf("%s/artifact", folder);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, geteuid());
    assert_int_equal(st.st_mode & 0777, 0644);
    free(path);
    remove_tree(folder, NULL);
    free(folder);
}

TEST(there_is_no_network)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    // The server can be reached from here, so a refusal inside means something.
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, length), 0);
    close(client);

    char *script = xasprintf("bash -c 'exec 3<>/dev/tcp/127.0.0.1/%d'", ntohs(address.sin_port));
    expect_refusal(plain, script, "refused");
    free(script);
    close(fd);
    expect_output(plain, "grep -c : /proc/net/dev", "1\n"); // loopback and nothing else
}

TEST(abstract_sockets_of_the_host_are_out_of_reach)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un_abstract {
        sa_family_t family;
        char name[32];
    } address = {.family = AF_UNIX};
    int n = snprintf(address.name + 1, sizeof address.name - 1, "kbuild-test-%d", (int)getpid());
    socklen_t length = (socklen_t)(sizeof address.family + 1 + (size_t)n);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    char *mine = xasprintf("grep -c kbuild-test-%d /proc/net/unix || true", (int)getpid());
    expect_output(plain, mine, "0\n");
    free(mine);
    close(fd);
}

TEST(processes_of_the_host_are_neither_seen_nor_reached)
{
    // bwrap is 1, the shell 2.
    expect_output(plain, "echo $$; ls -d /proc/[0-9]* | grep -vE '^/proc/([1-9])$' || true", "2\n");
    char *script = xasprintf("n=1; while [ $n -lt 300 ]; do kill -0 $n 2>/dev/null && echo $n; "
                             "n=$((n+1)); done; [ %d -lt 300 ] || kill -0 %d 2>&1",
                             (int)getpid(), (int)getpid());
    struct buf out = {0};
    run_script(plain, script, &out);
    free(script);
    assert_true(starts_with(out.data, "1\n2\n"));
    assert_true(out.len == 4 || strstr(out.data, "No such process"));
    buf_free(&out);
    // All that it may signal is its own.
    pid_t bystander = fork();
    if (bystander == 0) {
        pause();
        _exit(0);
    }
    free(output_of(plain, "trap '' TERM; kill -TERM -1; true"));
    int status;
    assert_int_equal(waitpid(bystander, &status, WNOHANG), 0);
    kill(bystander, SIGKILL);
    assert_int_equal(waitpid(bystander, &status, 0), bystander);
}

TEST(files_of_the_host_are_not_there)
{
    expect_output(plain,
                  "for f in /home /sys /var /srv /mnt /boot /etc/shadow /etc/machine-id "
                  "/etc/hostname /etc/resolv.conf /etc/ssh /run/user /dev/vda /dev/kmsg /dev/mem "
                  "/dev/kvm /dev/fuse; do [ ! -e $f ] || echo $f; done; ls -A /root /tmp",
                  "/root:\n\n/tmp:\n");
}

TEST(the_step_is_root_of_nothing)
{
    expect_output(plain,
                  "id -u; id -g; grep -E '^Cap(Prm|Eff|Bnd|Amb)' /proc/self/status | "
                  "grep -vc '\t0000000000000000$' || true; "
                  "grep NoNewPrivs /proc/self/status",
                  "0\n0\n0\nNoNewPrivs:\t1\n");
    expect_refusal(plain, "mount -t tmpfs none /tmp", "");
    expect_refusal(plain, "umount /proc/sys", "");
    expect_refusal(plain, "chroot / /bin/true", "not permitted");
    expect_refusal(plain, "chown 1:1 /tmp", "");
    expect_refusal(plain, "mknod /tmp/null c 1 3", "not permitted");
    expect_refusal(plain, "hostname other", "");
    expect_refusal(plain, "unshare --mount /bin/true", "not permitted");
    expect_refusal(plain, "unshare --user --map-root-user --mount /bin/true", "not permitted");
}

TEST(dangerous_files_of_proc_are_closed)
{
    // Tried in a subshell, since a failed redirection ends a POSIX shell.
    expect_output(
        plain,
        "for f in /proc/sysrq-trigger /proc/sys/kernel/core_pattern "
        "/proc/sys/kernel/modprobe /proc/sys/vm/drop_caches /proc/irq/default_smp_affinity "
        "/proc/mtrr /proc/scsi/scsi; do "
        "(printf '' > $f) 2>/dev/null && echo $f; done; true",
        "");
    expect_refusal(plain, "head -c 1 /proc/kcore", "");
    expect_refusal(plain, "sysctl -w vm.swappiness=61 || echo 61 > /proc/sys/vm/swappiness", "");
}

TEST(device_nodes_of_the_host_are_not_changed)
{
    struct stat before, after;
    assert_int_equal(stat("/dev/full", &before), 0);
    struct buf out = {0};
    // A time and not the mode: if this test should fail, the host still works.
    run_script(plain, "touch -d @1000000000 /dev/full", &out);
    buf_free(&out);
    if (geteuid() == 0 && !path_exists("/dev/kbuild/full"))
        skip(); // a container whose root can't make nodes: docs/sandbox.md, known limits
    assert_int_equal(stat("/dev/full", &after), 0);
    assert_int_equal(before.st_mtime, after.st_mtime);
    expect_output(
        plain,
        "stat -c '%a %t %T' /dev/null /dev/urandom; head -c 3 /dev/zero | wc -c; "
        "echo x > /dev/null; (head -c 1 /dev/zero > /dev/full) 2>&1 | grep -o 'No space'; true",
        "666 1 3\n666 1 9\n3\nNo space\n");
}

TEST(setuid_programs_give_nothing)
{
    char *folder = temporary_folder();
    struct sandbox_mount mount = {folder, "/out", true};
    struct sandbox s = {.mounts = &mount, .mount_count = 1};
    expect_output(s,
                  "cp /usr/bin/grep /out/g; chmod 6755 /out/g; "
                  "/out/g -E '^Cap(Prm|Eff)' /proc/self/status | /out/g -vc 0000000000000000; true",
                  "0\n");
    remove_tree(folder, NULL);
    free(folder);
}

TEST(nothing_can_be_typed_into_the_terminal)
{
    // A session of its own, without a controlling terminal: process 2 leads it.
    expect_output(plain, "cut -d' ' -f6,7 /proc/self/stat; ( : > /dev/tty ) 2>/dev/null || echo no",
                  "1 0\nno\n");
}

TEST(other_processes_can_not_be_traced)
{
    expect_refusal(plain, "cat /proc/1/mem", "");
    // Process 1 is bwrap itself: its environment is empty.
    expect_output(plain, "tr '\\0' '\\n' < /proc/1/environ 2>/dev/null | wc -c", "0\n");
}

TEST(the_host_name_is_the_same_everywhere)
{
    expect_output(plain, "uname -n; cat /proc/sys/kernel/domainname", "kbuild\n(none)\n");
    struct sandbox named = {.hostname = "other"};
    expect_output(named, "uname -n", "other\n");
}
