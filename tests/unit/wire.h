#ifndef TESTS_UNIT_WIRE_H
#define TESTS_UNIT_WIRE_H

/*
 * What a real qmgr(8) and lmtp(8) of Postfix 3.7.11 said, captured on amd64 (the `time` blob is native), and what
 * postfix-protocol.md, appendix A, has. `|` stands for NUL, so that a digit may follow it.
 */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* The last 72 of the 120 characters of a MSG_STATS blob: all zero. */
#define WIRE_BLOB_REST "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="

/* As captured. While deliveries to a next hop follow each other qmgr(8) says 6147: connections may be reused (agents/reuse.h). */
#ifndef WIRE_FLAGS
#define WIRE_FLAGS "3"
#endif

/* Two recipients; arrival 1795297671.887998, active 1795297672.248666 (base64 -d | od -t d8). */
#define WIRE_HEAD "flags|" WIRE_FLAGS "|queue_name|active|queue_id|E5825A72641|offset|726|size|285|"
#define WIRE_NEXTHOP "nexthop|nexthop.example|encoding||"
#define WIRE_SENDER "sender|sender@example.com|envelope_id||ret_flags|0|"
#define WIRE_TIME "time|hxECawAAAAC+jA0AAAAAAIgRAmsAAAAAWssDAAAAAAAAAAAA" WIRE_BLOB_REST "|"
/* The same, active an hour later: a retry. */
#define WIRE_TIME_RETRY "time|hxECawAAAAC+jA0AAAAAAJgfAmsAAAAAWssDAAAAAAAAAAAA" WIRE_BLOB_REST "|"
#define WIRE_CLIENT                                                                                \
    "log_client_name|unknown|log_client_address|127.0.0.1|log_client_port|40404|"                  \
    "log_protocol_name|ESMTP|log_helo_name|me|sasl_method||sasl_username||sasl_sender||"           \
    "log_ident|E5825A72641|rewrite_context|local|"
#define WIRE_USER1                                                                                 \
    "original_recipient|user1@example.com|recipient|user1@example.com|offset|627|"                 \
    "dsn_orig_rcpt|rfc822;user1@example.com|notify_flags|0||"
#define WIRE_USER2                                                                                 \
    "original_recipient|user2@example.com|recipient|user2@example.com|offset|705|"                 \
    "dsn_orig_rcpt|rfc822;user2@example.com|notify_flags|0||"
#define WIRE_COMMON WIRE_HEAD WIRE_NEXTHOP "smtputf8|0|" WIRE_SENDER WIRE_TIME WIRE_CLIENT
#define WIRE_REQUEST WIRE_COMMON "recipient_count|2||" WIRE_USER1 WIRE_USER2

/* As 3.10 and later send it. */
#define WIRE_REQUEST_310                                                                           \
    WIRE_HEAD WIRE_NEXTHOP "sendopts|0|" WIRE_SENDER WIRE_TIME WIRE_CLIENT                         \
                           "recipient_count|2||" WIRE_USER1 WIRE_USER2

/* A bounce for five recipients in three domains, one of them spelt in two ways; and its retry, an hour later. */
#define WIRE_MANY_COMMON WIRE_MANY_AT("iBECawAAAAAmXQ0AAAAAAIkRAmsAAAAAtg4GAAAAAAAAAAAA")
#define WIRE_RETRY_COMMON WIRE_MANY_AT("iBECawAAAAAmXQ0AAAAAAJkfAmsAAAAAtg4GAAAAAAAAAAAA")
#define WIRE_MANY_AT(time)                                                                         \
    "flags|" WIRE_FLAGS                                                                            \
    "|queue_name|active|queue_id|E2A4CA72681|offset|896|size|282|nexthop|nexthop.example|"         \
    "encoding||smtputf8|0|sender||envelope_id||ret_flags|0|"                                       \
    "time|" time WIRE_BLOB_REST "|"                                                                \
    "log_client_name|unknown|log_client_address|127.0.0.1|log_client_port|40430|"                  \
    "log_protocol_name|ESMTP|log_helo_name|me|sasl_method||sasl_username||sasl_sender||"           \
    "log_ident|E2A4CA72681|rewrite_context|local|"
#define WIRE_MANY_A                                                                                \
    "original_recipient|a@one.example|recipient|a@one.example|offset|601|"                         \
    "dsn_orig_rcpt|rfc822;a@one.example|notify_flags|0||"
#define WIRE_MANY_C                                                                                \
    "original_recipient|c@ONE.example|recipient|c@ONE.example|offset|733|"                         \
    "dsn_orig_rcpt|rfc822;c@ONE.example|notify_flags|0||"
#define WIRE_MANY_D                                                                                \
    "original_recipient|d@three.example|recipient|d@three.example|offset|803|"                     \
    "dsn_orig_rcpt|rfc822;d@three.example|notify_flags|0||"
#define WIRE_MANY_B                                                                                \
    "original_recipient|b@two.example|recipient|b@two.example|offset|667|"                         \
    "dsn_orig_rcpt|rfc822;b@two.example|notify_flags|0||"
#define WIRE_MANY_X                                                                                \
    "original_recipient|x@y@two.example|recipient|x@y@two.example|offset|877|"                     \
    "dsn_orig_rcpt|rfc822;\"x@y\"@two.example|notify_flags|0||"
#define WIRE_MANY                                                                                  \
    WIRE_MANY_COMMON                                                                               \
    "recipient_count|5||" WIRE_MANY_A WIRE_MANY_C WIRE_MANY_D WIRE_MANY_B WIRE_MANY_X

#define WIRE_RETRY                                                                                 \
    WIRE_RETRY_COMMON                                                                              \
    "recipient_count|5||" WIRE_MANY_A WIRE_MANY_C WIRE_MANY_D WIRE_MANY_B WIRE_MANY_X

/* A2: what a hand-made client said to a worker; the blob is another one, which changes nothing. */
#define WIRE_REQUEST_A2                                                                            \
    "flags|3|queue_name|active|queue_id|ABCDEF0123|offset|256|size|83|"                            \
    "nexthop|inet:[127.0.0.1]:24024|encoding|7bit|smtputf8|0|sender|sender@example.com|"           \
    "envelope_id||ret_flags|0|" WIRE_TIME "log_client_name|localhost|"                             \
    "log_client_address|127.0.0.1|log_client_port|1234|log_protocol_name|ESMTP|log_helo_name|me|"  \
    "sasl_method||sasl_username||sasl_sender||log_ident||rewrite_context|local|"                   \
    "recipient_count|2||"                                                                          \
    "original_recipient|user1@example.com|recipient|user1@example.com|offset|197|"                 \
    "dsn_orig_rcpt||notify_flags|0||"                                                              \
    "original_recipient|user2@example.com|recipient|user2@example.com|offset|235|"                 \
    "dsn_orig_rcpt||notify_flags|0||"

#define WIRE_REPLY_NO_DSN "status||diag_type||diag_text||mta_type||mta_mname||action||reason||"
#define WIRE_REPLY_DONE WIRE_REPLY_NO_DSN "status|0||"
#define WIRE_REPLY_DEFERRED WIRE_REPLY_NO_DSN "status|4294967295||"
#define WIRE_REFUSED "connect to 127.0.0.1[127.0.0.1]:24024: Connection refused"
/* The next hop was reached, and then lost. */
#define WIRE_REPLY_DROPPED                                                                         \
    "status|4.4.2|diag_type||diag_text||mta_type||mta_mname||action||reason|lost connection with " \
    "127.0.0.1[127.0.0.1] while sending end of data -- message may be sent more than "             \
    "once|status|4294967295||"
#define WIRE_REPLY_DSN                                                                             \
    "status|4.4.1|diag_type||diag_text||mta_type||mta_mname||action||reason|" WIRE_REFUSED         \
    "|status|4294967295||"

#define WIRE_GREETING "protocol|delivery_request_protocol||"
#define WIRE_GREETING_35 "status|0||"

struct wire {
    char *bytes; /* exactly len bytes of its own, so that AddressSanitizer sees one too many */
    size_t len;
};

static inline struct wire wire(const char *text)
{
    struct wire wire = {NULL, strlen(text)};

    wire.bytes = malloc(wire.len);
    cr_assert(wire.bytes != NULL || wire.len == 0);
    for (size_t i = 0; i < wire.len; i++) {
        wire.bytes[i] = (char)(text[i] == '|' ? '\0' : text[i]);
    }
    return wire;
}

static inline void wire_free(struct wire *wire)
{
    free(wire->bytes);
    wire->bytes = NULL;
}

/* A copy of the first `len` bytes in a block of exactly that size. */
static inline char *wire_prefix(const struct wire *wire, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);

    cr_assert_not_null(copy);
    memcpy(copy, wire->bytes, len);
    return copy;
}

#endif
