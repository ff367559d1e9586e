#ifndef SUPERVISOR_PARENT_CHANNEL_H
#define SUPERVISOR_PARENT_CHANNEL_H

/*
 * What the parent and the dispatcher say to each other: fixed structs over a SOCK_SEQPACKET pair.
 *
 *   dispatcher -> parent   SPAWN    start worker `worker`; two descriptors: its listening socket,
 *                                   its status channel
 *                          KILL     end worker `worker`, which does not answer and has no request
 *   parent -> dispatcher   STARTED  worker `worker` runs as process `pid`; `status` is 1 when the
 *                                   memory group had to be made again for it, else 0; `executed`
 *                                   is why it was not forked
 *                          FAILED   it could not be started; `status` is an errno value
 *                          EXITED   process `pid` of worker `worker` was reaped; `status` is what
 *                                   wait(2) gave
 *
 * The parent closes its direction when it leaves (a reload); the dispatcher then closes its end, or
 * ends. After a SPAWN the parent answers STARTED or FAILED, and after STARTED one EXITED. `worker` is
 * the number that the dispatcher gave; it must not use the number again before FAILED or EXITED.
 * Both ends are non-blocking and close-on-exec. A message of another size, kind or number of
 * descriptors is refused, and so are descriptors that are no stream sockets of AF_UNIX: one of the
 * two is not what it should be, and the receiver ends. Until then such descriptors stay open,
 * because close(2) may block on them for as long as the sender likes; the end of a process does not.
 */

#include <stddef.h>
#include <stdint.h>

#define CHANNEL_DESCRIPTORS 2

enum channel_kind {
    CHANNEL_SPAWN = 1,
    CHANNEL_KILL,
    CHANNEL_STARTED,
    CHANNEL_FAILED,
    CHANNEL_EXITED,
};

struct channel_message {
    uint32_t kind;
    uint32_t worker;
    int32_t pid;
    int32_t status;
    int32_t executed; /* STARTED: why it was, an enum template_reason; 0: it was forked */
    int32_t tls;      /* STARTED: it was forked and speaks TLS */
};

/* Makes the pair. 0 or a negative errno. */
int channel_open(int ends[2]);

/*
 * Sends one message, with CHANNEL_DESCRIPTORS descriptors for SPAWN and none else (descriptors may
 * be NULL then). The caller keeps its own copies.
 * 0, -EAGAIN when the other end does not read, -EPIPE when it has gone.
 */
int channel_send(int end, const struct channel_message *message, const int *descriptors);

/*
 * Receives one message. For SPAWN the descriptors (close-on-exec) belong to the caller.
 * 1 with a message, 0 when there is none now, -EPIPE at the end, -EBADMSG for a malformed one, after
 * which the caller is to end.
 */
int channel_receive(int end, struct channel_message *message, int descriptors[CHANNEL_DESCRIPTORS]);

#endif
