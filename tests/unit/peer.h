#ifndef TESTS_UNIT_PEER_H
#define TESTS_UNIT_PEER_H

/*
 * For tests of a module of the dispatcher in this process: the test is at the other end of its
 * sockets, and drives the loop. What must happen is waited for by turns of the loop, at most
 * PEER_WAIT; what must not happen is looked for after turns that find nothing any more.
 *
 * The clock is that of jump.h, the complaints are those of said.h.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor/base/loop.h"
#include "tests/unit/jump.h"
#include "tests/unit/said.h"
/* So a request is handed on as it is, whatever was answered before. */
#define WIRE_FLAGS "6147"
#include "tests/unit/wire.h"

#define PEER_WAIT (5 * SECOND) /* of the machine's clock */

static struct loop peer_loop;

/* What the caller of the loop does after each turn; NULL: nothing. */
static void (*peer_between)(void);

static char peer_directory[] = "/tmp/headroom-test-XXXXXX";

/* The kernel refuses to watch one more descriptor, with this errno. */
static int epoll_refuses;

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    if (operation == EPOLL_CTL_ADD && epoll_refuses) {
        errno = epoll_refuses;
        return -1;
    }
    return (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
}

static inline void turn(void)
{
    loop_turn(&peer_loop, peer_loop.now);
    if (peer_between)
        peer_between();
}

/* Until nothing moves any more: what was asked for comes in the next turn, or the one after. */
static inline void settle_down(void)
{
    for (unsigned i = 0; i < 8; i++)
        turn();
}

/* The clock goes on by so much. */
static inline void later(uint64_t time)
{
    jumped += time;
    turn();
}

static inline bool peer_late(uint64_t since)
{
    return real_now() - since > PEER_WAIT;
}

#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        uint64_t since = real_now();                                                               \
                                                                                                   \
        while (!(condition)) {                                                                     \
            cr_assert_not(peer_late(since), "never: %s", #condition);                              \
            turn();                                                                                \
        }                                                                                          \
    } while (0)

/* A directory of its own, which is the current one; below /tmp. */
static inline void peer_open(void)
{
    cr_assert_eq(loop_create(&peer_loop), 0);
    cr_assert_not_null(mkdtemp(peer_directory));
    cr_assert_eq(chdir(peer_directory), 0);
}

static inline void peer_close(void)
{
    char command[64];

    loop_destroy(&peer_loop);
    snprintf(command, sizeof command, "rm -rf '%s'", peer_directory);
    cr_assert_eq(system(command), 0); /* NOLINT(cert-env33-c): a name of our own */
}

static inline int peer_listen(const char *path, int backlog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0, "%s", path);
    cr_assert_eq(listen(fd, backlog), 0);
    return fd;
}

/* Waits for a connection. */
static inline int peer_accept(int listening)
{
    int fd = -1;

    UNTIL((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
    return fd;
}

static inline bool peer_connected(int listening)
{
    int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* Without turning the loop. */
static inline void peer_send(int fd, const char *bytes, size_t length)
{
    cr_assert_eq(send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT), (ssize_t)length, "%s",
                 strerror(errno));
}

static inline void peer_say(int fd, const char *text)
{
    struct wire bytes = wire(text);

    peer_send(fd, bytes.bytes, bytes.len);
    wire_free(&bytes);
}

/* Accepts a connection and greets it. */
static inline int peer_greet(int listening)
{
    int fd = peer_accept(listening);

    peer_say(fd, WIRE_GREETING);
    return fd;
}

/* A connection to the socket `service` of the test's directory. */
static inline int peer_dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "service"};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_geq(fd, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* A byte for each turn. */
static inline void peer_say_slowly(int fd, const char *text)
{
    struct wire bytes = wire(text);

    for (size_t i = 0; i < bytes.len; i++) {
        peer_send(fd, bytes.bytes + i, 1);
        turn();
    }
    wire_free(&bytes);
}

/* Exactly these bytes come. */
static inline void peer_expect_bytes(int fd, const char *bytes, size_t length)
{
    char *have = malloc(length);
    size_t got = 0;
    uint64_t since = real_now();

    cr_assert_not_null(have);
    while (got < length) {
        ssize_t more = recv(fd, have + got, length - got, MSG_DONTWAIT);

        cr_assert(more > 0 || (more < 0 && errno == EAGAIN), "the end after %zu of %zu bytes", got,
                  length);
        got += more > 0 ? (size_t)more : 0;
        cr_assert_not(peer_late(since), "%zu of %zu bytes came", got, length);
        if (more < 0)
            turn();
    }
    cr_assert_eq(memcmp(have, bytes, length), 0, "other bytes than were expected");
    free(have);
}

static inline void peer_expect(int fd, const char *text)
{
    struct wire want = wire(text);

    peer_expect_bytes(fd, want.bytes, want.len);
    wire_free(&want);
}

/* Nothing to read, and not closed. */
static inline bool peer_quiet(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

/* It is closed, with nothing before that; or with bytes unread, which is an error. Closes. */
static inline void peer_expect_end(int fd)
{
    char byte;

    UNTIL(!peer_quiet(fd));
    cr_assert_leq(recv(fd, &byte, 1, MSG_DONTWAIT), 0, "bytes before the end");
    close(fd);
}

/* No more descriptors than there are now. The return value is the limit before. */
static inline rlim_t descriptors_end(void)
{
    struct rlimit limit;
    rlim_t before;
    int next = dup(0);

    cr_assert_geq(next, 0);
    close(next);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    before = limit.rlim_cur;
    limit.rlim_cur = (rlim_t)next;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return before;
}

static inline void descriptors_again(rlim_t before)
{
    struct rlimit limit;

    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = before;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

#endif
