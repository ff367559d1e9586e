/* supervisor/parent/channel.c: every message that must be taken, and every one that must not. */

#include "supervisor/parent/channel.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_SENT 253 /* SCM_MAX_FD */

static unsigned descriptors_open(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    cr_assert_not_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

/* Sends any bytes with any number of copies of a descriptor, as no honest end would. */
static void send_copies(int end, const void *bytes, size_t length, int fd, unsigned descriptors)
{
    struct iovec vector = {.iov_len = length};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(MOST_SENT * sizeof(int))];
    } control = {0};
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
    char copy[64] = {0};
    int fds[MOST_SENT];

    cr_assert(length <= sizeof copy && descriptors <= MOST_SENT);
    if (length > 0)
        memcpy(copy, bytes, length);
    vector.iov_base = copy;
    for (unsigned i = 0; i < descriptors; i++)
        fds[i] = fd;
    if (descriptors > 0) {
        header.msg_control = &control;
        header.msg_controllen = CMSG_SPACE(descriptors * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(descriptors * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, descriptors * sizeof(int));
    }
    cr_assert_eq(sendmsg(end, &header, 0), (ssize_t)length);
}

/* The same of a stream socket. */
static void send_raw(int end, const void *bytes, size_t length, unsigned descriptors)
{
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    send_copies(end, bytes, length, pair[0], descriptors);
    close(pair[0]);
    close(pair[1]);
}

static int receive_and_close(int end, struct channel_message *message)
{
    int fds[CHANNEL_DESCRIPTORS] = {-1, -1};
    int result = channel_receive(end, message, fds);

    for (unsigned i = 0; i < CHANNEL_DESCRIPTORS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return result;
}

Test(channel, both_ends_do_not_block_and_are_not_inherited)
{
    struct channel_message message;
    int ends[2];

    cr_assert_eq(channel_open(ends), 0);
    for (int i = 0; i < 2; i++) {
        cr_assert(fcntl(ends[i], F_GETFD) & FD_CLOEXEC);
        cr_assert_eq(receive_and_close(ends[i], &message), 0);
    }
}

Test(channel, a_spawn_brings_its_two_descriptors_in_order)
{
    const struct channel_message sent = {.kind = CHANNEL_SPAWN, .worker = 7};
    struct channel_message got;
    struct stat want, have;
    int ends[2], pair[2], fds[CHANNEL_DESCRIPTORS];

    cr_assert_eq(channel_open(ends), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    cr_assert_eq(channel_send(ends[0], &sent, pair), 0);
    cr_assert_eq(channel_receive(ends[1], &got, fds), 1);
    cr_assert_eq(memcmp(&sent, &got, sizeof got), 0);
    for (int i = 0; i < 2; i++) {
        cr_assert_neq(fds[i], pair[i]);
        cr_assert_eq(fstat(pair[i], &want), 0);
        cr_assert_eq(fstat(fds[i], &have), 0);
        cr_assert_eq(want.st_ino, have.st_ino);
        cr_assert(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        cr_assert_eq(fcntl(pair[i], F_GETFL) & O_ACCMODE, fcntl(fds[i], F_GETFL) & O_ACCMODE);
    }
}

Test(channel, news_come_in_order_and_whole)
{
    const struct channel_message sent[] = {
        {.kind = CHANNEL_STARTED, .worker = 1, .pid = 4711, .status = 9},
        {.kind = CHANNEL_FAILED, .worker = 2, .status = ENOENT},
        {.kind = CHANNEL_EXITED, .worker = UINT32_MAX, .pid = INT32_MAX, .status = -1},
    };
    struct channel_message got;
    int ends[2];

    cr_assert_eq(channel_open(ends), 0);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(channel_send(ends[1], &sent[i], NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(receive_and_close(ends[0], &got), 1);
        cr_assert_eq(memcmp(&sent[i], &got, sizeof got), 0);
    }
    cr_assert_eq(receive_and_close(ends[0], &got), 0);
}

/* Every kind with every number of descriptors, and no descriptor stays behind in any case. */
Test(channel, every_kind_and_number_of_descriptors)
{
    int ends[2];
    unsigned before;

    cr_assert_eq(channel_open(ends), 0);
    before = descriptors_open();
    for (uint32_t kind = 0; kind < 8; kind++)
        for (int pid = -1; pid <= 1; pid++)
            for (unsigned count = 0; count <= MOST_SENT; count += count < 4 ? 1 : 83) {
                struct channel_message message = {.kind = kind, .worker = 3, .pid = pid}, got;
                bool right = false;

                if (kind == 1) /* SPAWN */
                    right = count == 2;
                else if (kind == 3 || kind == 5) /* STARTED, EXITED: of a process */
                    right = count == 0 && pid == 1;
                else if (kind == 2 || kind == 4) /* KILL, FAILED */
                    right = count == 0;
                send_raw(ends[0], &message, sizeof message, count);
                cr_assert_eq(receive_and_close(ends[1], &got), right ? 1 : -EBADMSG,
                             "kind %u, pid %d, %u descriptors", kind, pid, count);
                cr_assert_eq(descriptors_open(), before, "kind %u, %u descriptors: %u stay open",
                             kind, count, descriptors_open() - before);
            }
}

/* Close(2) of what is no stream socket of AF_UNIX may block: it is left to the end of the process. */
Test(channel, a_spawn_with_anything_but_stream_sockets)
{
    const struct channel_message message = {.kind = CHANNEL_SPAWN};
    struct channel_message got;
    int ends[2], pipes[2], datagram[2], packets[2];
    unsigned before;

    cr_assert_eq(channel_open(ends), 0);
    cr_assert_eq(pipe(pipes), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, datagram), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets), 0);
    const int wrong[] = {pipes[0],   datagram[0],
                         packets[0], socket(AF_INET, SOCK_STREAM, 0),
                         ends[0],    open("/dev/null", O_RDWR)};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        before = descriptors_open();
        send_copies(ends[0], &message, sizeof message, wrong[i], CHANNEL_DESCRIPTORS);
        cr_assert_eq(receive_and_close(ends[1], &got), -EBADMSG, "the one of number %zu", i);
        cr_assert_eq(descriptors_open(), before + CHANNEL_DESCRIPTORS, "number %zu", i);
    }
}

Test(channel, every_wrong_size)
{
    struct channel_message message[2] = {{.kind = CHANNEL_FAILED}, {.kind = CHANNEL_FAILED}}, got;
    int ends[2];
    unsigned before;

    cr_assert_eq(channel_open(ends), 0);
    before = descriptors_open();
    for (size_t length = 1; length <= sizeof message; length++) {
        if (length == sizeof *message)
            continue;
        send_raw(ends[0], message, length, 0);
        cr_assert_eq(receive_and_close(ends[1], &got), -EBADMSG, "%zu bytes", length);
        message[0].kind = CHANNEL_SPAWN;
        send_raw(ends[0], message, length, CHANNEL_DESCRIPTORS);
        cr_assert_eq(receive_and_close(ends[1], &got), -EBADMSG, "%zu bytes", length);
        cr_assert_eq(descriptors_open(), before);
        message[0].kind = CHANNEL_FAILED;
    }
    /* Nothing but descriptors is not the end of the channel. */
    send_raw(ends[0], NULL, 0, 1);
    cr_assert_eq(receive_and_close(ends[1], &got), -EBADMSG);
    cr_assert_eq(descriptors_open(), before);
}

Test(channel, the_end_is_seen_from_both_sides)
{
    const struct channel_message message = {.kind = CHANNEL_FAILED};
    struct channel_message got;
    int ends[2];

    cr_assert_eq(channel_open(ends), 0);
    cr_assert_eq(channel_send(ends[0], &message, NULL), 0);
    close(ends[0]);
    cr_assert_eq(receive_and_close(ends[1], &got), 1); /* what was said before */
    cr_assert_eq(receive_and_close(ends[1], &got), -EPIPE);
    cr_assert_eq(channel_send(ends[1], &message, NULL), -EPIPE);

    /* As the parent ends it. */
    cr_assert_eq(channel_open(ends), 0);
    cr_assert_eq(shutdown(ends[0], SHUT_RDWR), 0);
    cr_assert_eq(receive_and_close(ends[1], &got), -EPIPE);
    cr_assert_eq(channel_send(ends[0], &message, NULL), -EPIPE);
}

Test(channel, an_end_that_is_not_read_does_not_block)
{
    const struct channel_message message = {.kind = CHANNEL_FAILED};
    struct channel_message got;
    int ends[2];
    unsigned sent = 0, received = 0;
    int result;

    cr_assert_eq(channel_open(ends), 0);
    while ((result = channel_send(ends[0], &message, NULL)) == 0 && sent < 1000000)
        sent++;
    cr_assert_eq(result, -EAGAIN);
    while (receive_and_close(ends[1], &got) == 1)
        received++;
    cr_assert_eq(received, sent);
    cr_assert_eq(channel_send(ends[0], &message, NULL), 0);
}
