#ifndef TESTS_WORLD_KERNEL_H
#define TESTS_WORLD_KERNEL_H

/*
 * The simulated kernel, as the actors of the world see it. What the dispatcher sees are the calls
 * that kernel.c takes over.
 *
 * A stream is a connection of AF_UNIX: `ours` is the dispatcher's end, `theirs` the actor's. Bytes
 * come and go in any pieces. As in Linux: the end of the other side is EPOLLHUP; it is ECONNRESET
 * once, when that side had not read all; sending is EPIPE then. A process that ends closes all.
 *
 * A listener has connections that wait to be accepted, and is gone when nobody has it open.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAMS_MAX 512
#define STREAM_SIZE 8192
#define LISTENERS_MAX 64
#define BACKLOG_MAX 64
#define DESCRIPTORS_MAX 1024

enum role { ROLE_NONE, ROLE_CLIENT, ROLE_WORKER, ROLE_RETRY, ROLE_STATUS };

struct stream {
    bool used;
    enum role role;
    unsigned ours, theirs; /* how many have that end open */
    bool accepted;
    bool reset;       /* it ended with bytes unread, which was not told yet */
    bool shut;        /* by us, both ways */
    bool begun;       /* we have sent a byte */
    int64_t wall;     /* when it was made, by the date, */
    uint64_t made;    /* and by the clock */
    uint64_t *wake;   /* of the actor at the other end, who looks soon after we did something */
    size_t room;      /* so many unread bytes of ours fit */
    size_t in_at, in; /* for us: in_bytes[in_at ... in - 1] */
    size_t out;       /* of us */
    char in_bytes[STREAM_SIZE];
    char out_bytes[STREAM_SIZE];
};

struct listener {
    unsigned open; /* how many have it open */
    unsigned waiting;
    uint64_t *wake;           /* of the actor who accepts there; NULL: the dispatcher */
    int pending[BACKLOG_MAX]; /* streams */
};

enum kind {
    KIND_NONE,
    KIND_EPOLL,
    KIND_STREAM,
    KIND_THEIRS, /* the other end of a stream, before the parent has it */
    KIND_LISTENER,
    KIND_LOCK,
    KIND_CHANNEL,
    KIND_SIGNAL,
    KIND_MASTER,
    KIND_TRIGGER,
    KIND_OTHER,
};

struct descriptor {
    enum kind kind;
    int object; /* stream, listener, mail */
    bool watched;
    uint32_t events;
    void *data;
};

extern struct stream streams[STREAMS_MAX];
extern struct listener listeners[LISTENERS_MAX];
extern struct descriptor descriptors[DESCRIPTORS_MAX];

/* What the dispatcher is told. */
extern struct kernel {
    bool signalled;
    bool master_gone;
    bool pressure;
    bool parent_gone;    /* the parent closed its channel, or the dispatcher did */
    unsigned open;       /* descriptors of the dispatcher */
    int top;             /* above the highest that there was */
    uint64_t allocated;  /* blocks */
    uint64_t idle_turns; /* turns that neither waited nor found anything, without a break */
    uint64_t idle_calls; /* turns since the last call that moved something */
    uint64_t fed;        /* when alarm(2) was called */
} kernel;

void kernel_begin(void);

/* The lowest free descriptor for an object, or -1 with errno. */
int kernel_open(enum kind kind, int object);

/* A new stream, or -1: there are too many. */
int stream_open(enum role role);
void stream_say(int stream, const char *bytes, size_t length);

/* Takes what the dispatcher has sent, at most `size`; 0: nothing. */
size_t stream_hear(int stream, char *into, size_t size);

/* The dispatcher has closed its end, or shut it. */
bool stream_ended(int stream);
void stream_close(int stream);

/* The actor looks soon. */
void wake_up(uint64_t *wake);

int listener_open(void);
void listener_close(int listener);

/* A new connection that waits there: a stream, or a negative errno. */
int listener_connect(int listener, enum role role);

/* The connection that waits longest, or -1. */
int listener_accept(int listener);

#endif
