/*
 * What a conquered dispatcher says to the parent, and a template to it: messages of any size and
 * content, with any number of descriptors of any kind. Each is a valid message or refused; never is
 * a descriptor left that is not said to be the caller's, but those that are no sockets of ours.
 *
 * Input: messages one after the other: how many descriptors and of which kind (one byte each), how
 * many bytes of content (one byte), the content.
 */

#include "agents/template.h"
#include "supervisor/parent/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KINDS 4
#define DESCRIPTORS 3

static int kind[KINDS]; /* two streams, a datagram socket, a file */

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void kinds_open(void)
{
    int ends[2];

    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, kind) == 0);
    check(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) == 0);
    kind[2] = ends[0];
    kind[3] = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static bool foreign; /* something else than a stream was sent */

static void say(int end, const uint8_t *bytes, size_t size, unsigned count, unsigned which)
{
    union {
        const uint8_t *given;
        void *taken; /* sendmsg(2) only reads it */
    } content = {.given = bytes};
    struct iovec vector = {.iov_base = content.taken, .iov_len = size};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
    } control = {0};
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
    int fds[DESCRIPTORS];

    for (unsigned i = 0; i < count; i++, which /= KINDS) {
        fds[i] = kind[which % KINDS];
        foreign = foreign || which % KINDS > 1;
    }
    if (count > 0) {
        header.msg_control = &control;
        header.msg_controllen = CMSG_SPACE(count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
    }
    (void)sendmsg(end, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* To the parent: 1 with a message, else what channel_receive() says. */
static void hear_dispatcher(int end)
{
    struct channel_message message;
    int fds[CHANNEL_DESCRIPTORS];
    int result = channel_receive(end, &message, fds);

    check(result == 1 || result == 0 || result == -EBADMSG || result == -EPIPE);
    if (result != 1)
        return;
    check(message.kind >= CHANNEL_SPAWN && message.kind <= CHANNEL_EXITED);
    if (message.kind == CHANNEL_STARTED || message.kind == CHANNEL_EXITED)
        check(message.pid > 0);
    if (message.kind != CHANNEL_SPAWN)
        return;
    for (int i = 0; i < CHANNEL_DESCRIPTORS; i++) {
        check((fcntl(fds[i], F_GETFD) & FD_CLOEXEC) != 0);
        close(fds[i]);
    }
}

static void hear_template(int end)
{
    struct template_message message;
    int result = template_receive(end, &message, 0);

    check(result == 1 || result == 0 || result == -EBADMSG || result == -EPIPE);
    if (result != 1)
        return;
    check(memchr(message.detail, '\0', sizeof message.detail) != NULL);
    if (message.kind == TEMPLATE_REFUSED)
        check(template_reason_text((enum template_reason)message.value)[0] != '\0');
    if (message.kind == TEMPLATE_STARTED)
        check(message.value > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int ends[2], control[2], first;

    if (kind[3] == 0)
        kinds_open();
    foreign = false;
    check(channel_open(ends) == 0 && template_open(control) == 0);
    /* All below is in use: what is received is from here on. */
    first = dup(0);
    close(first);
    for (size_t at = 0; at + 3 <= size;) {
        unsigned count = data[at] % (DESCRIPTORS + 1), which = data[at + 1];
        size_t length = data[at + 2];

        at += 3;
        if (length > size - at)
            length = size - at;
        say(ends[0], data + at, length, count, which);
        hear_dispatcher(ends[1]);
        say(control[1], data + at, length, 0, 0);
        hear_template(control[0]);
        at += length;
    }
    for (int i = 0; i < 2; i++) {
        close(ends[i]);
        close(control[i]);
    }
    /* What is refused and no stream stays open (channel.h): the parent ends then. */
    for (int fd = first; fd < first + DESCRIPTORS; fd++)
        check(foreign || fcntl(fd, F_GETFD) < 0);
    close_range((unsigned)first, ~0U, 0);
    return 0;
}
