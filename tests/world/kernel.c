/*
 * The objects of the simulated kernel: descriptors, streams, listeners. The calls are in calls.c.
 */

#include "tests/world/kernel.h"

#include <errno.h>
#include <string.h>

#include "agents/master.h"
#include "tests/world/world.h"

/* 0 to 9 are what master(8) gives, and the standard ones. */
#define FIRST 10

struct stream streams[STREAMS_MAX];
struct listener listeners[LISTENERS_MAX];
struct descriptor descriptors[DESCRIPTORS_MAX];
struct kernel kernel;

void kernel_begin(void)
{
    memset(descriptors, 0, sizeof descriptors);
    for (unsigned i = 0; i < STREAMS_MAX; i++)
        streams[i].used = false;
    memset(listeners, 0, sizeof listeners);
    kernel = (struct kernel){.fed = world.now, .top = FIRST};
    descriptors[MASTER_STATUS_FD].kind = KIND_MASTER;
    descriptors[MASTER_LISTEN_FD] =
        (struct descriptor){.kind = KIND_LISTENER, .object = listener_open()};
}

int kernel_open(enum kind kind, int object)
{
    if (kernel.open >= world.plan.descriptors || strikes(NO_DESCRIPTOR, 200)) {
        errno = EMFILE;
        return -1;
    }
    for (int fd = FIRST; fd < DESCRIPTORS_MAX; fd++)
        if (descriptors[fd].kind == KIND_NONE) {
            descriptors[fd] = (struct descriptor){.kind = kind, .object = object};
            kernel.open++;
            if (fd >= kernel.top)
                kernel.top = fd + 1;
            return fd;
        }
    errno = ENFILE;
    return -1;
}

int stream_open(enum role role)
{
    for (int i = 0; i < STREAMS_MAX; i++)
        if (!streams[i].used) {
            struct stream *stream = &streams[i];

            stream->used = true;
            stream->role = role;
            stream->ours = stream->theirs = 1;
            stream->accepted = stream->reset = stream->shut = stream->begun = false;
            stream->wake = NULL;
            stream->made = world.now;
            stream->wall = (int64_t)world.now + world.wall;
            stream->room = chance(200) ? draw_from(40, 300) : STREAM_SIZE;
            stream->in_at = stream->in = stream->out = 0;
            return i;
        }
    broken("the test itself", "more than %d connections", STREAMS_MAX);
}

void wake_up(uint64_t *wake)
{
    uint64_t soon = world.now + draw_from(10, 400);

    if (wake && *wake > soon)
        *wake = soon;
}

static void release(struct stream *stream)
{
    if (stream->ours == 0 && stream->theirs == 0)
        stream->used = false;
}

void stream_say(int number, const char *bytes, size_t length)
{
    struct stream *stream = &streams[number];

    if (stream->ours == 0 || stream->shut)
        return;
    if (stream->in_at > 0) {
        memmove(stream->in_bytes, stream->in_bytes + stream->in_at, stream->in - stream->in_at);
        stream->in -= stream->in_at;
        stream->in_at = 0;
    }
    if (length > STREAM_SIZE - stream->in)
        broken("the test itself", "more than %d unread bytes", STREAM_SIZE);
    memcpy(stream->in_bytes + stream->in, bytes, length);
    stream->in += length;
}

size_t stream_hear(int number, char *into, size_t size)
{
    struct stream *stream = &streams[number];

    if (size > stream->out)
        size = stream->out;
    memcpy(into, stream->out_bytes, size);
    memmove(stream->out_bytes, stream->out_bytes + size, stream->out - size);
    stream->out -= size;
    return size;
}

bool stream_ended(int number)
{
    return streams[number].ours == 0 || streams[number].shut;
}

void stream_close(int number)
{
    struct stream *stream = &streams[number];

    if (--stream->theirs == 0) {
        stream->reset = stream->out > 0;
        release(stream);
    }
}

int listener_open(void)
{
    for (int i = 0; i < LISTENERS_MAX; i++)
        if (listeners[i].open == 0) {
            listeners[i] = (struct listener){.open = 1};
            return i;
        }
    broken("the test itself", "more than %d listening sockets", LISTENERS_MAX);
}

/* Those that were never accepted are refused. */
void listener_close(int number)
{
    struct listener *listener = &listeners[number];

    if (--listener->open > 0)
        return;
    for (unsigned i = 0; i < listener->waiting; i++) {
        struct stream *stream = &streams[listener->pending[i]];

        if (stream->role == ROLE_CLIENT) {
            stream->ours--;
        } else {
            stream->theirs--;
            stream->reset = true;
        }
        release(stream);
    }
    listener->waiting = 0;
}

int listener_connect(int number, enum role role)
{
    struct listener *listener = &listeners[number];
    int stream;

    if (number < 0 || listener->open == 0)
        return -ECONNREFUSED;
    if (listener->waiting == BACKLOG_MAX)
        return -EAGAIN;
    stream = stream_open(role);
    listener->pending[listener->waiting++] = stream;
    wake_up(listener->wake);
    return stream;
}

int listener_accept(int number)
{
    struct listener *listener = &listeners[number];
    int stream;

    if (listener->waiting == 0)
        return -1;
    stream = listener->pending[0];
    memmove(listener->pending, listener->pending + 1,
            --listener->waiting * sizeof listener->pending[0]);
    streams[stream].accepted = true;
    return stream;
}
