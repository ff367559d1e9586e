#ifndef AGENTS_CONVERSATION_H
#define AGENTS_CONVERSATION_H

/*
 * Our side of a conversation with a delivery agent, in the part of qmgr(8): it greets, we write a
 * request, it replies (postfix-protocol.md 4.1). Non-blocking: each call does what can be done now,
 * and the caller waits for its descriptor. Used for workers and for retry(8).
 *
 * The descriptor belongs to the conversation. Bytes are only kept where a greeting or a reply comes
 * in pieces, which stock agents do not do: so nothing is allocated as a rule.
 */

#include <stddef.h>
#include <sys/uio.h>

#include "agents/limits.h"
#include "agents/reply.h"

struct conversation {
    int fd; /* -1: none */
    char early[GREETING_MAX];
    size_t early_length;
    size_t sent; /* bytes of the request */
    char *reply; /* what came of it so far, when it comes in pieces */
    size_t reply_length;
};

struct sockaddr_un;

/*
 * A non-blocking, close-on-exec connection to an agent's socket. A descriptor, or a negative errno:
 * -EAGAIN when too many wait for it, -ENOENT or -ECONNREFUSED when nobody listens.
 */
int conversation_connect(const struct sockaddr_un *address);

/* All fields but fd are zero at first. Takes the descriptor over. */
void conversation_begin(struct conversation *conversation, int fd);

/* Closes the descriptor and frees what was kept. Harmless when there is none. */
void conversation_end(struct conversation *conversation);

/*
 * Reads the greeting. 0: it is complete, conversation->early[0 .. *length).
 * -EAGAIN: wait for more. -EPIPE: the agent has gone. -EBADMSG: not a greeting, or more than that.
 */
int conversation_greeting(struct conversation *conversation, size_t *length);

/*
 * Writes the request, or what is left of it. 0: all is written, or the agent takes no more of it
 * (then reading the reply tells). -EAGAIN: wait until it can be written again. -EPIPE: the agent has
 * gone, and no byte of it was ever taken.
 */
int conversation_request(struct conversation *conversation, const struct iovec *pieces,
                         unsigned count);

/*
 * Reads the reply; `scratch` is for the bytes. 0: it is complete, and *bytes is where it is, valid
 * until the next call. -EAGAIN: wait for more. -EPIPE: the agent has gone. -EBADMSG: not a reply.
 */
int conversation_reply(struct conversation *conversation, char *scratch, size_t size,
                       struct reply *reply, const char **bytes);

#endif
