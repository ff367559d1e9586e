#ifndef AGENTS_REPLY_H
#define AGENTS_REPLY_H

/*
 * The final reply of a delivery agent to qmgr(8): one list of eight pairs in a fixed order
 * (postfix-protocol.md 4.7).
 *
 * Strict, other than the request: a status 0 makes qmgr forget the recipients, so nothing is taken
 * for one that is not exactly that.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reply {
    size_t length;   /* bytes of the reply; what follows in the buffer does not belong to it */
    uint32_t status; /* 0 = all recipients are done, else at least one has to be tried again */
    /* The reason to rest the whole destination, "" without one. All point into the bytes and end
     * with a NUL there. */
    const char *dsn; /* such as 4.4.1; "" = no such reason */
    const char *diag_type;
    const char *diag_text;
    const char *mta_type;
    const char *mta_name;
    const char *action;
    const char *reason;
};

/*
 *   0          complete, *reply is filled in
 *   -EAGAIN    more bytes are wanted; call again with all bytes from the first on
 *   -EBADMSG   not a final reply
 *   -EMSGSIZE  no end within REPLY_BYTES_MAX, or an attribute over its limit
 */
int reply_parse(const char *bytes, size_t len, struct reply *reply);

/*
 * Whether the reply says that no server was reached, or none that speaks: no connection, no greeting, or a greeting that
 * refuses to talk. Then it says nothing of the recipients. An agent gives such a reply a DSN (4.7); what a server
 * said of a recipient or a message has none.
 */
bool reply_unreached(const struct reply *reply);

/* The bare deferral: status -1, no DSN. qmgr tries the message again later and throttles nothing
 * (4.8). */
extern const char reply_deferred[];
extern const size_t reply_deferred_size;

#endif
