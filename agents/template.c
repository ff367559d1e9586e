#include "agents/template.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agents/master.h"

static const char *const texts[TEMPLATE_REASONS] = {
    [TEMPLATE_FINE] = "",
    [TEMPLATE_NO_PROC] = "it cannot look at itself in /proc",
    [TEMPLATE_SYMBOLS] = "this Postfix does not export what a fork needs",
    [TEMPLATE_THREADS] = "it has more than one thread",
    [TEMPLATE_CONNECTION] = "it keeps a connection that forks must not share",
    [TEMPLATE_FILE] = "it keeps a file open that forks must not share",
    [TEMPLATE_MAPPED] = "it has memory that forks would share and write",
    [TEMPLATE_TIMERS] = "it has more timers than can be kept",
    [TEMPLATE_REPLACED] = "what it runs or has read cannot be found on disk",
    [TEMPLATE_NOT_YET] = "the one to fork is being started",
    [TEMPLATE_NO_OBJECT] = "headroom-template.so is not installed",
    [TEMPLATE_PRELOAD] = "the environment has an LD_PRELOAD of its own",
    [TEMPLATE_UNTAKEN] =
        "the agent does not load headroom-template.so: it is damaged, or of another release",
    [TEMPLATE_ENDED] = "the one that forks has ended",
    [TEMPLATE_SILENT] = "the one that forks does not answer",
    [TEMPLATE_NO_FORK] = "the one that forks cannot fork",
    [TEMPLATE_OFF] = "workers.start is \"exec\"",
};

const char *template_reason_text(enum template_reason reason)
{
    return texts[reason];
}

int template_open(int ends[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ? -errno : 0;
}

_Noreturn void template_execute(const char *path, char *const argv[], char *const environment[],
                                int control)
{
    /* One of the two may have been given the other's place: move them out of the way first. */
    int high_control = fcntl(control, F_DUPFD_CLOEXEC, MASTER_LISTEN_FD + 1);
    int silent = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int high_silent = fcntl(silent, F_DUPFD_CLOEXEC, MASTER_LISTEN_FD + 1);

    if (high_control >= 0 && high_silent >= 0 && dup2(high_control, MASTER_STATUS_FD) >= 0 &&
        dup2(high_silent, MASTER_LISTEN_FD) >= 0) {
        umask(077);
        execve(path, argv, environment);
    }
    _exit(127);
}

int template_receive(int control, struct template_message *message, int milliseconds)
{
    struct pollfd watch = {.fd = control, .events = POLLIN};
    ssize_t got;

    /* Interrupted by a signal: as if nothing had come. */
    if (poll(&watch, 1, milliseconds) <= 0)
        return 0;
    got = recv(control, message, sizeof *message, MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -EPIPE;
    if (got == 0)
        return -EPIPE;
    if ((size_t)got != sizeof *message || message->kind < TEMPLATE_READY ||
        message->kind > TEMPLATE_FAILED ||
        (message->kind == TEMPLATE_STARTED && message->value <= 0) ||
        (message->kind == TEMPLATE_FAILED && message->value <= 0) ||
        (message->kind == TEMPLATE_REFUSED &&
         (message->value <= TEMPLATE_FINE || message->value >= TEMPLATE_NOT_YET)))
        return -EBADMSG;
    message->detail[sizeof message->detail - 1] = '\0';
    return 1;
}

static int wish_send(int control, uint32_t number, const int descriptors[TEMPLATE_DESCRIPTORS])
{
    struct template_message wish = {.kind = TEMPLATE_FORK, .number = number};
    struct iovec vector = {.iov_base = &wish, .iov_len = sizeof wish};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(TEMPLATE_DESCRIPTORS * sizeof(int))];
    } rights = {0};
    struct msghdr header = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = &rights,
        .msg_controllen = sizeof rights.space,
    };

    rights.header.cmsg_level = SOL_SOCKET;
    rights.header.cmsg_type = SCM_RIGHTS;
    rights.header.cmsg_len = CMSG_LEN(TEMPLATE_DESCRIPTORS * sizeof(int));
    memcpy(CMSG_DATA(&rights.header), descriptors, TEMPLATE_DESCRIPTORS * sizeof(int));
    return sendmsg(control, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

pid_t template_late(int control, uint32_t number, int milliseconds)
{
    int64_t deadline = now_ms() + milliseconds;
    struct template_message message;
    int64_t left;
    int result;

    while ((left = deadline - now_ms()) >= 0) {
        result = template_receive(control, &message, (int)left);
        if (result < 0)
            return result;
        /* Each start is told twice: of an earlier one this is the second time. */
        if (result == 0 || message.number != number)
            continue;
        if (message.kind == TEMPLATE_STARTED)
            return message.value;
        if (message.kind == TEMPLATE_FAILED)
            return -message.value;
    }
    return -ETIMEDOUT;
}

pid_t template_ask(int control, uint32_t number, const int descriptors[TEMPLATE_DESCRIPTORS],
                   int milliseconds)
{
    int result = wish_send(control, number, descriptors);

    return result < 0 ? -EPIPE : template_late(control, number, milliseconds);
}
