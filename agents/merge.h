#ifndef AGENTS_MERGE_H
#define AGENTS_MERGE_H

/*
 * One reply to qmgr(8) from the replies to the parts of a split request.
 *
 *   every part done             the first reply that came, verbatim: a success is an agent's words
 *   every part failed with DSN  the first reply that came, verbatim: qmgr rests the destination
 *   else                        the bare deferral: qmgr tries again, and finds done recipients
 *                               marked (postfix-protocol.md 4.8, 7)
 */

#include "agents/reply.h"

#include <stddef.h>
#include <stdint.h>

struct merge {
    uint32_t expected;
    uint32_t added;
    uint32_t done;     /* status 0 */
    uint32_t with_dsn; /* failed with a DSN */
    char *kept;        /* a copy of the first reply, as long as it may still be the result */
    size_t kept_size;
};

void merge_init(struct merge *merge, uint32_t expected);
void merge_free(struct merge *merge);

/*
 * Adds the reply to one part; `bytes` is what reply_parse was given. Never add two replies for one
 * part. 0, or -EINVAL when all parts have been answered already. When there is no memory for a copy
 * the result will be the bare deferral, which loses nothing.
 */
int merge_add(struct merge *merge, const struct reply *reply, const char *bytes);

/* Adds the bare deferral for a part without an answer: its worker died, or it was deferred. */
int merge_add_deferred(struct merge *merge);

/* The reply to send, valid until merge_free. 0, or -EAGAIN while replies are missing. */
int merge_done(const struct merge *merge, const char **bytes, size_t *size);

#endif
