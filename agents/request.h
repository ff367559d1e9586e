#ifndef AGENTS_REQUEST_H
#define AGENTS_REQUEST_H

/*
 * A delivery request of qmgr(8): one common list and recipient_count recipient lists
 * (postfix-protocol.md 4.1 to 4.5).
 *
 * The bytes belong to the caller, who keeps them and hands them on unchanged; this module only
 * finds the end and what we need to know. It therefore ignores attributes that it does not know,
 * the order of attributes, and everything that only the agent has to understand: a newer Postfix
 * must not need a newer Headroom.
 *
 * What it does need is checked: each may be given once only, because an agent that took the other
 * one would deliver something else than what we decided on.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A text within the request's bytes, by position, because the buffer may move while it grows. A NUL
 * follows it. */
struct request_text {
    size_t offset;
    size_t len;
};

/* flags (postfix-protocol.md 4.5) */
#define REQUEST_FLAG_PROBE_SMTPD 0x100u    /* address verification by smtpd(8) */
#define REQUEST_FLAG_PROBE_SENDMAIL 0x200u /* `sendmail -bv` */
#define REQUEST_FLAG_CONN_LOAD 0x800u      /* a connection of another agent may be used */
#define REQUEST_FLAG_CONN_STORE 0x1000u    /* and its own be left to others */

struct request {
    /* the parser's own: do not touch */
    size_t at;      /* all before this is parsed */
    size_t seen;    /* all before this has been searched for the end of the attribute that begins at
                       `at` */
    int result;     /* what request_parse returned last */
    unsigned given; /* which attributes of the present list were given */
    bool common_done;         /* the common list is complete */
    uint32_t recipients_done; /* recipient lists that are complete */
    const char *refusal;

    /* the result: all valid once request_parse has returned 0 */
    size_t length; /* bytes of the request; what follows in the buffer does not belong to it */
    uint32_t flags;
    struct request_text flags_digits;
    struct request_text queue_name; /* letters and digits, 1 to QUEUE_NAME_MAX */
    struct request_text queue_id;   /* letters, digits and `_`, 1 to QUEUE_ID_MAX */
    struct request_text nexthop;    /* never empty */
    struct request_text sender;     /* empty for bounces */
    struct request_text count;      /* the digits of recipient_count */
    uint32_t recipient_count;       /* 1 to REQUEST_RECIPIENTS_MAX */
    size_t recipients;              /* where the first recipient list begins */
    int64_t incoming_arrival; /* us since the epoch, from MSG_STATS: when the message came in; 0 =
                                 not known */
    int64_t active_arrival;   /* the same, when it last came into the active queue; 0 = not known */
    bool times_unknown;       /* both were given, in a layout that is not known here */
};

void request_init(struct request *request);

/*
 * Goes on parsing; `bytes` begins with the first byte of the request and has grown to `len` (it may
 * have moved). The cost of all calls together is linear in the bytes.
 *   0          complete, see request->length (also when called again)
 *   -EAGAIN    more bytes are wanted
 *   -EBADMSG   malformed, see request_refusal(); final
 *   -EMSGSIZE  over a limit of agents/limits.h, see request_refusal(); final
 */
int request_parse(struct request *request, const char *bytes, size_t len);

/* What was wrong: a constant text for the log, without a full stop. NULL when nothing was. */
const char *request_refusal(const struct request *request);

/* An address verification probe: its deferral is an answer (postfix-protocol.md 6.4). */
bool request_is_probe(const struct request *request);

struct request_recipient {
    const char *recipient; /* both point into the bytes and end with a NUL there */
    size_t recipient_len;
    const char *original_recipient; /* "" when there is none */
    size_t original_recipient_len;
    int64_t offset; /* of the recipient's record in the queue file; -1 = none */
    size_t start;   /* the list is bytes[start] ... bytes[end - 1] */
    size_t end;
};

/*
 * The recipients of a complete request, in order. Set *at to request->recipients before the first
 * call.
 *   1         *recipient is filled in, *at is behind it
 *   0         there are no more
 *   -EBADMSG  not the bytes that were parsed
 */
int request_recipient(const struct request *request, const char *bytes, size_t *at,
                      struct request_recipient *recipient);

#endif
