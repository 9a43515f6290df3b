// SPDX-License-Identifier: Apache-2.0
// The relay's copying, between sockets that stand for port and agent, and what it makes of a
// command line. That it finds the port and becomes the guest's init is tried by booting it.
int agent_relay(int argc, char **argv);
#define main agent_relay
#include "test.h"

#include "../../recipes/agent-relay/relay.c"
#undef main

#include <stdint.h>
#include <sys/wait.h>

enum { MANY = 3 << 20 };

// Sends MANY bytes into `fd` from a process of its own, whose end is returned.
static pid_t send_many(int fd, unsigned char seed)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    static unsigned char bytes[MANY];
    for (size_t i = 0; i < MANY; i++)
        bytes[i] = (unsigned char)(i * 7 + seed + i / 251);
    _exit(write_all(fd, (char *)bytes, MANY) ? 0 : 1);
}

static void expect_many(int fd, unsigned char seed)
{
    unsigned char chunk[4096];
    for (size_t done = 0; done < MANY;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++, done++)
            assert_int_equal(chunk[i], (unsigned char)(done * 7 + seed + done / 251));
    }
}

TEST(what_one_side_sends_comes_out_at_the_other)
{
    int port[2], agent[2], status;
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, port), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, agent), 0);
    fcntl(port[0], F_SETFL, 0);
    pid_t relay = fork();
    if (relay == 0) {
        close(port[0]);
        close(agent[0]);
        copy_session(port[1], agent[1]);
        _exit(0);
    }
    close(port[1]);
    close(agent[1]);
    pid_t sender = send_many(port[0], 1);
    expect_many(agent[0], 1);
    assert_int_equal(waitpid(sender, &status, 0), sender);
    assert_int_equal(status, 0);
    sender = send_many(agent[0], 2);
    expect_many(port[0], 2);
    assert_int_equal(waitpid(sender, &status, 0), sender);
    // The agent's end is the end of the session.
    close(agent[0]);
    assert_int_equal(waitpid(relay, &status, 0), relay);
    assert_int_equal(status, 0);
    close(port[0]);
}

static void expect_root(const char *line, const char *device, const char *type, const char *init,
                        bool readable_only)
{
    struct root r;
    snprintf(command_line, sizeof command_line, "%s", line);
    read_root(&r);
    if (device)
        assert_string_equal(r.device, device);
    else
        assert_null(r.device);
    if (type)
        assert_string_equal(r.type, type);
    else
        assert_null(r.type);
    assert_string_equal(r.init, init);
    assert_int_equal((r.flags & MS_RDONLY) != 0, readable_only);
}

TEST(the_command_line_names_the_root)
{
    (void)state;
    expect_root("panic=1\n", NULL, NULL, "/sbin/init", true);
    expect_root("root=/dev/vda1 rootfstype=ext4 rw init=/lib/systemd/systemd\n", "vda1", "ext4",
                "/lib/systemd/systemd", false);
    expect_root("rw  root=/dev/dm-0 ro ", "dm-0", NULL, "/sbin/init", true);
    expect_root("dm-mod.create=\"a,,,ro,0 1 verity root=/dev/no rw\" root=/dev/dm-0", "dm-0", NULL,
                "/sbin/init", true);
    expect_root("root=PARTUUID=1 aroot=/dev/a", NULL, NULL, "/sbin/init", true);
}

TEST(it_is_only_a_first_process)
{
    (void)state;
    char *argv[] = {(char *)"agent-relay", NULL};
    int null = open("/dev/null", O_WRONLY), kept = dup(STDERR_FILENO);
    dup2(null, STDERR_FILENO);
    int result = agent_relay(1, argv);
    dup2(kept, STDERR_FILENO);
    close(null);
    close(kept);
    assert_int_equal(result, 1);
}
