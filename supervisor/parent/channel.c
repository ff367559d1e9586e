#include "supervisor/parent/channel.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agents/template.h"

/*
 * As many as a message can have (SCM_MAX_FD of the kernel). One that does not fit is closed by the
 * kernel in our name, which takes as long as its sender likes (SO_LINGER).
 */
#define DESCRIPTORS_READ 253

int channel_open(int ends[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -errno;
    return 0;
}

int channel_send(int end, const struct channel_message *message, const int *descriptors)
{
    /* sendmsg() takes what it only reads as writable memory. */
    struct channel_message copy = *message;
    struct iovec vector = {.iov_base = &copy, .iov_len = sizeof copy};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(CHANNEL_DESCRIPTORS * sizeof(int))];
    } control = {0};
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
    ssize_t sent;

    if (message->kind == CHANNEL_SPAWN) {
        header.msg_control = &control;
        header.msg_controllen = sizeof control.space;
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(CHANNEL_DESCRIPTORS * sizeof(int));
        memcpy(CMSG_DATA(&control.header), descriptors, CHANNEL_DESCRIPTORS * sizeof(int));
    }
    do
        sent = sendmsg(end, &header, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return errno == ECONNRESET ? -EPIPE : -errno;
    return 0;
}

/* Takes the descriptors out of a message's control data; returns how many there were. */
static size_t descriptors_take(struct msghdr *header, int taken[DESCRIPTORS_READ])
{
    size_t count = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        if (here > DESCRIPTORS_READ - count)
            here = DESCRIPTORS_READ - count;
        memcpy(taken + count, CMSG_DATA(c), here * sizeof(int));
        count += here;
    }
    return count;
}

/* What a worker is started with. Nothing that is done with one can block. */
static bool is_stream(int fd)
{
    int domain, type;
    socklen_t size = sizeof domain;

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

static bool message_valid(const struct channel_message *message, const int *taken,
                          size_t descriptors)
{
    switch (message->kind) {
    case CHANNEL_SPAWN:
        return descriptors == CHANNEL_DESCRIPTORS && is_stream(taken[0]) && is_stream(taken[1]);
    case CHANNEL_STARTED:
        return descriptors == 0 && message->pid > 0 && message->executed >= TEMPLATE_FINE &&
               message->executed < TEMPLATE_REASONS;
    case CHANNEL_EXITED:
        return descriptors == 0 && message->pid > 0;
    case CHANNEL_FAILED:
    case CHANNEL_KILL:
        return descriptors == 0;
    default:
        return false;
    }
}

int channel_receive(int end, struct channel_message *message, int descriptors[CHANNEL_DESCRIPTORS])
{
    struct iovec vector = {.iov_base = message, .iov_len = sizeof *message};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(DESCRIPTORS_READ * sizeof(int))];
    } control = {0};
    struct msghdr header = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = &control,
        /* Not all of the space: its padding is room for a descriptor that nobody would close. */
        .msg_controllen = CMSG_LEN(DESCRIPTORS_READ * sizeof(int)),
    };
    int taken[DESCRIPTORS_READ];
    ssize_t got;

    do
        got = recvmsg(end, &header, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (got < 0)
        return errno == ECONNRESET ? -EPIPE : -errno;

    size_t count = descriptors_take(&header, taken);
    if (got == 0 && count == 0)
        return -EPIPE;
    if ((size_t)got != sizeof *message || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
        !message_valid(message, taken, count)) {
        /* What else came stays open: see channel.h. */
        for (size_t i = 0; i < count; i++)
            if (is_stream(taken[i]))
                close(taken[i]);
        return -EBADMSG;
    }
    memcpy(descriptors, taken, count * sizeof(int));
    return 1;
}
