#include "agents/greeting.h"
#include "agents/limits.h"
#include "agents/reply.h"
#include "tests/unit/wire.h"

#include <errno.h>
#include <stdio.h>

/* An overlong list: `size` bytes of one value behind a name, with nothing that ends it. */
static char *endless(const char *name, size_t size)
{
    char *bytes = malloc(size);

    cr_assert_not_null(bytes);
    memset(bytes, 'x', size);
    memcpy(bytes, name, strlen(name) + 1);
    return bytes;
}

Test(reply, captured)
{
    static const struct {
        const char *text;
        uint32_t status;
        const char *dsn;
        const char *reason;
    } table[] = {
        {WIRE_REPLY_DONE, 0, "", ""},
        {WIRE_REPLY_DEFERRED, 4294967295u, "", ""},
        {WIRE_REPLY_DSN, 4294967295u, "4.4.1", WIRE_REFUSED},
        {"status|4.2.0|diag_type|smtp|diag_text|450 no|mta_type|dns|mta_mname|mx|action|delayed|"
         "reason|said no|status|1||",
         1, "4.2.0", "said no"},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct wire bytes = wire(table[i].text);
        struct reply reply;

        cr_assert_eq(reply_parse(bytes.bytes, bytes.len, &reply), 0, "%s", table[i].text);
        cr_expect_eq(reply.length, bytes.len);
        cr_expect_eq(reply.status, table[i].status);
        cr_expect_str_eq(reply.dsn, table[i].dsn);
        cr_expect_str_eq(reply.reason, table[i].reason);
        for (size_t len = 0; len < bytes.len; len++) {
            char *part = wire_prefix(&bytes, len);

            cr_expect_eq(reply_parse(part, len, &reply), -EAGAIN, "%zu", len);
            free(part);
        }
        wire_free(&bytes);
    }
}

/* Texts of Postfix 3.7: the next hop's own failures, and what else an agent says with and without a DSN. */
Test(reply, no_server_was_reached)
{
    static const struct {
        bool unreached;
        const char *dsn;
        const char *diag_type;
        const char *reason;
    } table[] = {
        {true, "4.4.1", "", WIRE_REFUSED},
        {true, "4.4.1", "", "connect to relay[private/filter]: No such file or directory"},
        {true, "4.4.1", "", "connect to relay[192.0.2.1]:24: Connection timed out"},
        {true, "4.4.3", "", "Host or domain name not found. Name service error for name=relay "},
        {true, "4.4.2", "",
         "lost connection with relay[192.0.2.1] while receiving the initial server greeting"},
        {true, "4.4.2", "",
         "conversation with relay[192.0.2.1] timed out while performing the LHLO handshake"},
        {true, "4.4.2", "",
         "lost connection with relay[192.0.2.1] while performing the EHLO handshake"},
        {true, "4.4.2", "",
         "lost connection with relay[192.0.2.1] while performing the HELO handshake"},
        {true, "4.3.2", "smtp", "host relay[192.0.2.1] refused to talk to me: 421 4.3.2 busy"},
        {false, "4.4.2", "",
         "conversation with relay[192.0.2.1] timed out while sending end of data -- message may be "
         "sent more than once"},
        {false, "4.4.2", "", "lost connection with relay[192.0.2.1] while sending RCPT TO"},
        {false, "4.3.0", "", "local data error while talking to relay[192.0.2.1]"},
        {false, "5.5.0", "smtp", "host relay[192.0.2.1] refused to talk to me: 554 no"},
        {false, "4.4.1", "smtp", "host relay[192.0.2.1] said: 451 4.4.1 no answer from the next"},
        {false, "", "", ""},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct reply reply = {.status = 4294967295u,
                              .dsn = table[i].dsn,
                              .diag_type = table[i].diag_type,
                              .reason = table[i].reason};

        cr_expect_eq(reply_unreached(&reply), table[i].unreached, "%s", table[i].reason);
        reply.status = 0;
        cr_expect_not(reply_unreached(&reply));
    }
}

Test(reply, every_text)
{
    struct wire bytes = wire("status|1|diag_type|2|diag_text|3|mta_type|4|mta_mname|5|action|6|"
                             "reason|7|status|8||rest");
    struct reply reply;

    cr_assert_eq(reply_parse(bytes.bytes, bytes.len, &reply), 0);
    cr_expect_str_eq(reply.dsn, "1");
    cr_expect_str_eq(reply.diag_type, "2");
    cr_expect_str_eq(reply.diag_text, "3");
    cr_expect_str_eq(reply.mta_type, "4");
    cr_expect_str_eq(reply.mta_name, "5");
    cr_expect_str_eq(reply.action, "6");
    cr_expect_str_eq(reply.reason, "7");
    cr_expect_eq(reply.status, 8);
    cr_expect_eq(reply.length, bytes.len - 4);
    wire_free(&bytes);
}

Test(reply, only_exactly_that)
{
    static const char *const bad[] = {
        "|",
        WIRE_GREETING,
        WIRE_GREETING_35,
        "W||",
        /* without its last status, which must not be taken from the first */
        WIRE_REPLY_NO_DSN "|",
        "status|0|diag_type||diag_text||mta_type||mta_mname||action||reason|||",
        /* one missing, one too many, two exchanged */
        "status||diag_text||mta_type||mta_mname||action||reason||status|0||",
        WIRE_REPLY_NO_DSN "status|0|status|0||",
        WIRE_REPLY_NO_DSN "reason||status|0||",
        "status||diag_text||diag_type||mta_type||mta_mname||action||reason||status|0||",
        WIRE_REPLY_NO_DSN "statu|0||",
        /* no number */
        WIRE_REPLY_NO_DSN "status|||",
        WIRE_REPLY_NO_DSN "status|-1||",
        WIRE_REPLY_NO_DSN "status|0 ||",
        WIRE_REPLY_NO_DSN "status|00x||",
        WIRE_REPLY_NO_DSN "status|4294967296||",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct wire bytes = wire(bad[i]);
        struct reply reply;

        cr_expect_eq(reply_parse(bytes.bytes, bytes.len, &reply), -EBADMSG, "%s", bad[i]);
        wire_free(&bytes);
    }
}

Test(reply, limits)
{
    char *bytes = endless("status", REPLY_BYTES_MAX);
    struct reply reply;

    cr_expect_eq(reply_parse(bytes, REPLY_BYTES_MAX - 1, &reply), -EAGAIN);
    cr_expect_eq(reply_parse(bytes, REPLY_BYTES_MAX, &reply), -EMSGSIZE);
    free(bytes);
}

/* All of it has come, in one piece; also then it is more than is relayed. */
Test(reply, a_whole_one_that_is_too_long)
{
    size_t size = 2 * (size_t)REPLY_BYTES_MAX, most = REPLY_BYTES_MAX;
    struct wire end = wire("status|4294967295||"), begin, bytes;
    char *text = malloc(size);
    struct reply reply;

    for (size_t more = 0; more < 2; more++) {
        int length = snprintf(text, size,
                              "status|4.0.0|diag_type||diag_text||mta_type||mta_mname||action||"
                              "reason|");

        begin = wire(text);
        memset(text + length, 'x', most - begin.len - end.len - 1 + more);
        snprintf(text + length + most - begin.len - end.len - 1 + more, 64, "|status|4294967295||");
        bytes = wire(text);
        cr_expect_eq(bytes.len, most + more);
        cr_expect_eq(reply_parse(bytes.bytes, bytes.len, &reply), more == 0 ? 0 : -EMSGSIZE);
        wire_free(&bytes);
        wire_free(&begin);
    }
    wire_free(&end);
    free(text);
}

Test(reply, the_bare_deferral)
{
    struct wire want = wire(WIRE_REPLY_DEFERRED);

    cr_assert_eq(reply_deferred_size, want.len);
    cr_expect_arr_eq(reply_deferred, want.bytes, want.len);
    wire_free(&want);
}

Test(greeting, both_kinds)
{
    static const struct {
        const char *text;
        size_t length;
    } table[] = {
        {WIRE_GREETING, 36},
        {WIRE_GREETING_35, 10},
        {WIRE_GREETING "rest", 36},
        {"protocol|delivery_request_protocol|version|2||", 46},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct wire bytes = wire(table[i].text);
        size_t length = 0;

        cr_expect_eq(greeting_parse(bytes.bytes, bytes.len, &length), 0, "%s", table[i].text);
        cr_expect_eq(length, table[i].length);
        for (size_t len = 0; len < table[i].length; len++) {
            char *part = wire_prefix(&bytes, len);

            cr_expect_eq(greeting_parse(part, len, &length), -EAGAIN, "%zu", len);
            free(part);
        }
        wire_free(&bytes);
    }
}

Test(greeting, nothing_else)
{
    static const char *const bad[] = {
        "|",
        "protocol|delivery_status_protocol||",
        "protocol|||",
        "status|4294967295||",
        "status|0x||",
        "statu|0||",
        "new|1|protocol|delivery_request_protocol||",
        WIRE_REPLY_NO_DSN,
    };
    char *bytes = endless("protocol", GREETING_MAX);
    size_t length = 77;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct wire wrong = wire(bad[i]);

        cr_expect_eq(greeting_parse(wrong.bytes, wrong.len, &length), -EBADMSG, "%s", bad[i]);
        wire_free(&wrong);
    }
    cr_expect_eq(greeting_parse(bytes, GREETING_MAX - 1, &length), -EAGAIN);
    cr_expect_eq(greeting_parse(bytes, GREETING_MAX, &length), -EMSGSIZE);
    cr_expect_eq(length, 77);
    free(bytes);
}
