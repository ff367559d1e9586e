/*
 * The system calls that the dispatcher makes, over the objects of kernel.c.
 *
 * <fcntl.h> and <unistd.h> are not needed: what is defined here is named __wrap_NAME, and the linker
 * puts it in the place of NAME.
 */

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/world/calls.h"
#include "tests/world/kernel.h"
#include "tests/world/world.h"

static int fail(int error)
{
    errno = error;
    return -1;
}

static struct descriptor *find(int fd, enum kind kind)
{
    if (fd < 0 || fd >= DESCRIPTORS_MAX || descriptors[fd].kind != kind)
        broken("own descriptors only", "descriptor %d is not what it is used for", fd);
    figures[CALLS]++;
    kernel.idle_calls = 0;
    return &descriptors[fd];
}

/* --- memory --- */

static bool denied(void)
{
    /* One call in twenty, and all for a second in four. */
    if (!troubled(NO_MEMORY) || (world.now / SECONDS(1) % 4 != 0 && !chance(50)))
        return false;
    figures[FAULTS]++;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    void *block = world.router && denied() ? NULL : __real_malloc(size);

    kernel.allocated += block != NULL;
    return block;
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *block = world.router && denied() ? NULL : __real_calloc(count, size);

    kernel.allocated += block != NULL;
    return block;
}

void *__wrap_realloc(void *old, size_t size)
{
    void *block = denied() ? NULL : __real_realloc(old, size);

    kernel.allocated += block != NULL && old == NULL;
    return block;
}

void __wrap_free(void *block)
{
    kernel.allocated -= block != NULL;
    __real_free(block);
}

/* --- sockets --- */

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    struct descriptor *descriptor = find(fd, KIND_LISTENER);
    int stream, result;

    (void)address;
    (void)length;
    (void)flags;
    if (listeners[descriptor->object].waiting == 0)
        return fail(EAGAIN);
    if (strikes(CLIENTS_LEAVE, 20))
        return fail(ECONNABORTED);
    result = kernel_open(KIND_STREAM, listeners[descriptor->object].pending[0]);
    if (result < 0)
        return result;
    stream = listener_accept(descriptor->object);
    note("accepted as %d: connection %d", result, stream);
    figures[ACCEPTED]++;
    return result;
}

ssize_t __wrap_recv(int fd, void *into, size_t size, int flags)
{
    struct stream *stream = &streams[find(fd, KIND_STREAM)->object];
    size_t have = stream->in - stream->in_at;

    (void)flags;
    if (!world.plan.calm && chance(5))
        return fail(EINTR);
    if (have == 0 && stream->reset) {
        stream->reset = false;
        return fail(ECONNRESET);
    }
    if (have == 0 && (stream->theirs == 0 || stream->shut))
        return 0;
    if (have == 0)
        return fail(EAGAIN);
    if (have > size)
        have = size;
    if (!world.plan.calm && chance(50))
        have = draw_from(1, have);
    memcpy(into, stream->in_bytes + stream->in_at, have);
    stream->in_at += have;
    return (ssize_t)have;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *header, int flags)
{
    struct stream *stream = &streams[find(fd, KIND_STREAM)->object];
    char all[STREAM_SIZE];
    size_t length = 0, room = stream->room > stream->out ? stream->room - stream->out : 0;

    if (!(flags & MSG_NOSIGNAL))
        broken("no end by SIGPIPE", "a send without MSG_NOSIGNAL");
    if (stream->theirs == 0 || stream->shut)
        return fail(EPIPE);
    for (size_t i = 0; i < header->msg_iovlen; i++) {
        if (header->msg_iov[i].iov_len > sizeof all - length)
            broken("the test itself", "a request of more than %zu bytes", sizeof all);
        memcpy(all + length, header->msg_iov[i].iov_base, header->msg_iov[i].iov_len);
        length += header->msg_iov[i].iov_len;
    }
    if (room == 0)
        return fail(EAGAIN);
    if (!stream->begun && stream->role == ROLE_WORKER)
        promise_given(all, length, stream->made);
    if (!stream->begun && stream->role == ROLE_RETRY)
        promise_deferred(all, length, stream->wall);
    stream->begun = true;
    if (length > room)
        length = room;
    memcpy(stream->out_bytes + stream->out, all, length);
    stream->out += length;
    wake_up(stream->wake);
    return (ssize_t)length;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t length, int flags)
{
    struct iovec piece = {.iov_len = length};
    struct msghdr header = {.msg_iov = &piece, .msg_iovlen = 1};

    memcpy(&piece.iov_base, &bytes, sizeof bytes);
    return __wrap_sendmsg(fd, &header, flags);
}

int __wrap_shutdown(int fd, int how)
{
    struct stream *stream = &streams[find(fd, KIND_STREAM)->object];

    (void)how;
    stream->shut = true;
    wake_up(stream->wake);
    return 0;
}

int __wrap_socketpair(int domain, int type, int protocol, int ends[2])
{
    int stream;

    (void)domain;
    (void)type;
    (void)protocol;
    if (kernel.open + 2 > world.plan.descriptors)
        return fail(EMFILE);
    stream = stream_open(ROLE_STATUS);
    ends[0] = kernel_open(KIND_STREAM, stream);
    ends[1] = ends[0] < 0 ? -1 : kernel_open(KIND_THEIRS, stream);
    if (ends[1] >= 0)
        return 0;
    if (ends[0] >= 0)
        __wrap_close(ends[0]);
    else
        streams[stream].ours = 0;
    stream_close(stream);
    return fail(EMFILE);
}

/* When all is over it is gcov, which locks the files that it writes. */
int __wrap_fcntl(int fd, int command, ...)
{
    va_list list;
    void *lock;

    if (!world.over) {
        find(fd, KIND_STREAM);
        return 0;
    }
    va_start(list, command);
    lock = va_arg(list, void *);
    va_end(list);
    return __real_fcntl(fd, command, lock);
}

int __wrap_fcntl64(int fd, int command, ...)
{
    (void)command;
    find(fd, KIND_STREAM);
    return 0;
}

/* Only master_status_discard(): what a worker says on its status channel is of no interest. */
ssize_t __wrap_read(int fd, void *into, size_t size)
{
    (void)into;
    (void)size;
    find(fd, KIND_STREAM);
    return fail(EAGAIN);
}

/* Only master_status_announce(). */
ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
    (void)bytes;
    find(fd, KIND_MASTER);
    return (ssize_t)size;
}

/* Only marks_done(): one byte, the type of a recipient's record. */
ssize_t __wrap_pread(int fd, void *into, size_t size, off_t offset)
{
    const struct mail *mail = &mails[find(fd, KIND_LOCK)->object];
    unsigned number = (unsigned)offset / 100 - 1;

    *(char *)into = 'R';
    if (mail->junk)
        return 1;
    if (size != 1 || offset % 100 != 0 || number >= mail->count)
        broken("marks are read where they are", "%zu bytes at %ld", size, (long)offset);
    *(char *)into = mail->recipient[number].marked ? 'D' : 'R';
    return 1;
}

static void close_object(const struct descriptor *descriptor)
{
    struct stream *stream = &streams[descriptor->object];

    switch (descriptor->kind) {
    case KIND_STREAM:
        if (--stream->ours == 0 && stream->theirs == 0)
            stream->used = false;
        else
            wake_up(stream->wake);
        break;
    case KIND_THEIRS:
        stream_close(descriptor->object);
        break;
    case KIND_LISTENER:
        listener_close(descriptor->object);
        break;
    case KIND_LOCK:
        mails[descriptor->object].locks--;
        break;
    case KIND_CHANNEL:
        kernel.parent_gone = true;
        break;
    default:
        break;
    }
}

int __wrap_close(int fd)
{
    struct descriptor *descriptor;

    if (fd < 0 || fd >= DESCRIPTORS_MAX || descriptors[fd].kind == KIND_NONE)
        broken("own descriptors only", "descriptor %d is closed, and was not open", fd);
    descriptor = &descriptors[fd];
    if (descriptor->kind == KIND_LISTENER && descriptor->watched)
        broken("no watch outlives its owner", "another process has socket %d too", fd);
    close_object(descriptor);
    *descriptor = (struct descriptor){0};
    kernel.open -= fd >= 10;
    return 0;
}

/* --- epoll --- */

int __wrap_epoll_create1(int flags)
{
    (void)flags;
    return kernel_open(KIND_EPOLL, 0);
}

int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    struct descriptor *descriptor = &descriptors[fd];

    find(epoll, KIND_EPOLL);
    if (fd < 0 || fd >= DESCRIPTORS_MAX || descriptor->kind == KIND_NONE)
        broken("own descriptors only", "descriptor %d is watched, and is not open", fd);
    if ((operation == EPOLL_CTL_ADD) == descriptor->watched)
        broken("watches are kept in mind", "operation %d on descriptor %d", operation, fd);
    if (operation == EPOLL_CTL_ADD && strikes(NO_DESCRIPTOR, 50)) {
        mail_unwatched(descriptor->kind == KIND_STREAM ? descriptor->object : -1);
        return fail(ENOSPC);
    }
    descriptor->watched = operation != EPOLL_CTL_DEL;
    if (event) {
        descriptor->events = event->events;
        descriptor->data = event->data.ptr;
    }
    return 0;
}

/* --- process --- */

int __wrap_clock_gettime(clockid_t id, struct timespec *time)
{
    uint64_t now = world.now;

    /* A call takes its time, too. */
    world.now += world.random & 1;
    if (id == CLOCK_REALTIME)
        now += (uint64_t)world.wall;
    *time = (struct timespec){.tv_sec = (time_t)(now / 1000000),
                              .tv_nsec = (long)(now % 1000000) * 1000};
    return 0;
}

unsigned __wrap_alarm(unsigned seconds)
{
    (void)seconds;
    kernel.fed = world.now;
    return 0;
}

ssize_t __wrap_getrandom(void *into, size_t size, unsigned flags)
{
    unsigned char *byte = into;

    (void)flags;
    for (size_t i = 0; i < size; i++)
        byte[i] = (unsigned char)draw();
    return (ssize_t)size;
}

int __wrap_getrlimit(int which, struct rlimit *limit)
{
    (void)which;
    limit->rlim_cur = limit->rlim_max = world.plan.descriptors;
    return 0;
}

int __wrap_signalfd(int fd, const sigset_t *set, int flags)
{
    (void)fd;
    (void)set;
    (void)flags;
    return kernel_open(KIND_SIGNAL, 0);
}

uid_t __wrap_geteuid(void)
{
    return 100;
}

pid_t __wrap_getppid(void)
{
    return 4711;
}

int __wrap_prctl(int option, ...)
{
    (void)option;
    return 0;
}
