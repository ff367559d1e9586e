#include "agents/limits.h"
#include "agents/request.h"
#include "tests/unit/wire.h"

#include <errno.h>
#include <time.h>

static const char *const captured[] = {WIRE_REQUEST, WIRE_REQUEST_310, WIRE_REQUEST_A2, WIRE_MANY};
#define CAPTURED (sizeof captured / sizeof *captured)

static void expect_text(const struct wire *wire, struct request_text text, const char *want)
{
    cr_expect_eq(text.len, strlen(want), "%s", want);
    cr_expect_str_eq(wire->bytes + text.offset, want);
}

Test(request, captured)
{
    struct wire bytes = wire(WIRE_REQUEST);
    struct request request;

    request_init(&request);
    cr_assert_eq(request_parse(&request, bytes.bytes, bytes.len), 0);
    cr_expect_eq(request.length, bytes.len);
    cr_expect_eq(request.flags, 3);
    expect_text(&bytes, request.queue_name, "active");
    expect_text(&bytes, request.queue_id, "E5825A72641");
    expect_text(&bytes, request.nexthop, "nexthop.example");
    expect_text(&bytes, request.sender, "sender@example.com");
    expect_text(&bytes, request.count, "2");
    cr_expect_eq(request.recipient_count, 2);
    cr_expect_eq(request.incoming_arrival, 1795297671887998);
    cr_expect_eq(request.active_arrival, 1795297672248666);
    cr_expect_null(request_refusal(&request));
    cr_expect_not(request_is_probe(&request));
    wire_free(&bytes);
}

Test(request, recipients)
{
    static const struct {
        const char *recipient;
        int64_t offset;
    } want[] = {{"a@one.example", 601},
                {"c@ONE.example", 733},
                {"d@three.example", 803},
                {"b@two.example", 667},
                {"x@y@two.example", 877}};
    struct wire bytes = wire(WIRE_MANY);
    struct request request;
    struct request_recipient recipient;
    size_t at;

    request_init(&request);
    cr_assert_eq(request_parse(&request, bytes.bytes, bytes.len), 0);
    at = request.recipients;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        size_t start = at;

        cr_assert_eq(request_recipient(&request, bytes.bytes, &at, &recipient), 1);
        cr_expect_str_eq(recipient.recipient, want[i].recipient);
        cr_expect_eq(recipient.recipient_len, strlen(want[i].recipient));
        cr_expect_str_eq(recipient.original_recipient, want[i].recipient);
        cr_expect_eq(recipient.original_recipient_len, strlen(want[i].recipient));
        cr_expect_eq(recipient.offset, want[i].offset);
        cr_expect_eq(recipient.start, start);
        cr_expect_eq(recipient.end, at);
    }
    cr_expect_eq(at, bytes.len);
    cr_expect_eq(request_recipient(&request, bytes.bytes, &at, &recipient), 0);
    expect_text(&bytes, request.sender, "");
    wire_free(&bytes);
}

Test(request, every_truncation_wants_more)
{
    for (size_t i = 0; i < CAPTURED; i++) {
        struct wire bytes = wire(captured[i]);

        for (size_t len = 0; len < bytes.len; len++) {
            char *part = wire_prefix(&bytes, len);
            struct request request;

            request_init(&request);
            cr_assert_eq(request_parse(&request, part, len), -EAGAIN, "%zu of %zu", len, i);
            free(part);
        }
        wire_free(&bytes);
    }
}

static void expect_same(const struct request *a, const struct request *b)
{
    cr_expect_eq(a->length, b->length);
    cr_expect_eq(a->flags, b->flags);
    cr_expect_arr_eq(&a->queue_name, &b->queue_name, sizeof a->queue_name);
    cr_expect_arr_eq(&a->queue_id, &b->queue_id, sizeof a->queue_id);
    cr_expect_arr_eq(&a->nexthop, &b->nexthop, sizeof a->nexthop);
    cr_expect_arr_eq(&a->sender, &b->sender, sizeof a->sender);
    cr_expect_arr_eq(&a->count, &b->count, sizeof a->count);
    cr_expect_eq(a->recipient_count, b->recipient_count);
    cr_expect_eq(a->recipients, b->recipients);
    cr_expect_eq(a->incoming_arrival, b->incoming_arrival);
    cr_expect_eq(a->active_arrival, b->active_arrival);
}

/* One byte at a time, in a block that moves every time: nothing may be kept by address. */
Test(request, byte_by_byte)
{
    for (size_t i = 0; i < CAPTURED; i++) {
        struct wire bytes = wire(captured[i]);
        struct request whole;
        struct request request;

        request_init(&whole);
        cr_assert_eq(request_parse(&whole, bytes.bytes, bytes.len), 0);
        request_init(&request);
        for (size_t len = 0; len <= bytes.len; len++) {
            char *part = wire_prefix(&bytes, len);

            cr_assert_eq(request_parse(&request, part, len), len < bytes.len ? -EAGAIN : 0);
            free(part);
        }
        expect_same(&request, &whole);
        wire_free(&bytes);
    }
}

Test(request, in_two_pieces)
{
    struct wire bytes = wire(WIRE_MANY);
    struct request whole;

    request_init(&whole);
    cr_assert_eq(request_parse(&whole, bytes.bytes, bytes.len), 0);
    for (size_t cut = 0; cut < bytes.len; cut++) {
        struct request request;

        request_init(&request);
        cr_assert_eq(request_parse(&request, bytes.bytes, cut), -EAGAIN);
        cr_assert_eq(request_parse(&request, bytes.bytes, bytes.len), 0);
        expect_same(&request, &whole);
    }
    wire_free(&bytes);
}

Test(request, what_follows_is_not_its)
{
    struct wire bytes = wire(WIRE_REQUEST "x|");
    struct request request;

    request_init(&request);
    cr_assert_eq(request_parse(&request, bytes.bytes, bytes.len), 0);
    cr_expect_eq(request.length, bytes.len - 2);
    cr_expect_eq(request_parse(&request, bytes.bytes, bytes.len), 0);
    wire_free(&bytes);
}

#define OK "flags|3|queue_name|active|queue_id|A1|nexthop|n|sender||"
#define RCPT "recipient|u@d||"

Test(request, version_skew_does_not_matter)
{
    static const char *const good[] = {
        OK "recipient_count|1||" RCPT,
        /* attributes that nobody knows yet, empty and long ones, anywhere */
        "new||" OK "newer|12 {|recipient_count|1|last|x||x|y|recipient|u@d|z|||",
        /* another order */
        "recipient_count|1|nexthop|n|sender||queue_id|A1|flags|3|queue_name|active||" RCPT,
        /* a name of one list in the other */
        OK "recipient|x|recipient_count|1||recipient|u@d|flags|no number||",
        /* another layout of the time */
        OK "time|Zm9v|recipient_count|1||" RCPT,
        OK "time|?|recipient_count|1||" RCPT,
    };

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct wire bytes = wire(good[i]);
        struct request request;
        struct request_recipient recipient;
        size_t at;

        request_init(&request);
        cr_assert_eq(request_parse(&request, bytes.bytes, bytes.len), 0, "%s: %s", good[i],
                     request_refusal(&request));
        cr_expect_eq(request.length, bytes.len);
        expect_text(&bytes, request.nexthop, "n");
        cr_expect_eq(request.incoming_arrival, 0);
        cr_expect_eq(request.active_arrival, 0);
        cr_expect_eq(request.times_unknown, strstr(good[i], "time|") != NULL, "%s", good[i]);
        at = request.recipients;
        cr_assert_eq(request_recipient(&request, bytes.bytes, &at, &recipient), 1);
        cr_expect_str_eq(recipient.recipient, "u@d");
        cr_expect_str_eq(recipient.original_recipient, "");
        cr_expect_eq(recipient.offset, -1);
        wire_free(&bytes);
    }
}

#define LONG_ID "A23456789A123456789A123456789A123456789A123456789A123456789A1234"

Test(request, refusals)
{
    static const struct {
        const char *text;
        int rc;
        const char *refusal;
    } table[] = {
        {"|", -EBADMSG, "no flags"},
        {"queue_name|active|queue_id|A1|nexthop|n|sender||recipient_count|1||", -EBADMSG,
         "no flags"},
        {"flags|3|queue_id|A1|nexthop|n|sender||recipient_count|1||", -EBADMSG, "no queue_name"},
        {"flags|3|queue_name|active|nexthop|n|sender||recipient_count|1||", -EBADMSG,
         "no queue_id"},
        {"flags|3|queue_name|active|queue_id|A1|sender||recipient_count|1||", -EBADMSG,
         "no nexthop"},
        {"flags|3|queue_name|active|queue_id|A1|nexthop|n|recipient_count|1||", -EBADMSG,
         "no sender"},
        {OK "|", -EBADMSG, "no recipient_count"},
        {OK "recipient_count|0||", -EBADMSG, "zero recipients"},
        {OK "recipient_count|-1||", -EBADMSG, "recipient_count is not a number"},
        {OK "recipient_count|1x||", -EBADMSG, "recipient_count is not a number"},
        {OK "recipient_count|4294967295||", -EMSGSIZE, "too many recipients"},
        {OK "recipient_count|4294967297||", -EBADMSG, "recipient_count is not a number"},
        {"flags|three|", -EBADMSG, "flags is not a number"},
        {"flags|3|flags|3|", -EBADMSG, "flags given twice"},
        {"nexthop|a|nexthop|a|", -EBADMSG, "nexthop given twice"},
        {OK "queue_id|A1|", -EBADMSG, "queue_id given twice"},
        {"nexthop||", -EBADMSG, "empty nexthop"},
        {"queue_id|../../etc/passwd|", -EBADMSG, "bad queue_id"},
        {"queue_id||", -EBADMSG, "bad queue_id"},
        {"queue_id|A 1|", -EBADMSG, "bad queue_id"},
        {"queue_id|" LONG_ID "X|", -EBADMSG, "bad queue_id"},
        {"queue_name|..|", -EBADMSG, "bad queue_name"},
        {"queue_name|a/b|", -EBADMSG, "bad queue_name"},
        {OK "recipient_count|1||original_recipient|x||", -EBADMSG,
         "recipient list without recipient"},
        {OK "recipient_count|2||" RCPT "|", -EBADMSG, "recipient list without recipient"},
        {OK "recipient_count|1||recipient|a|recipient|a|", -EBADMSG, "recipient given twice"},
        {OK "recipient_count|1||offset|x|", -EBADMSG, "recipient offset is not a number"},
        {"a_name_of_more_than_sixty_four_characters_is_no_attribute_of_postfix_x", -EMSGSIZE,
         "attribute too long"},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct wire bytes = wire(table[i].text);
        struct request request;
        int rc = -EAGAIN;

        request_init(&request);
        cr_expect_eq(request_parse(&request, bytes.bytes, bytes.len), table[i].rc, "%s",
                     table[i].text);
        cr_assert_not_null(request_refusal(&request), "%s", table[i].text);
        cr_expect_str_eq(request_refusal(&request), table[i].refusal);
        cr_expect_eq(request_parse(&request, bytes.bytes, bytes.len), table[i].rc, "is final");

        /* The same however it comes. */
        request_init(&request);
        for (size_t len = 0; len <= bytes.len; len++) {
            rc = request_parse(&request, bytes.bytes, len);
        }
        cr_expect_eq(rc, table[i].rc);
        cr_expect_str_eq(request_refusal(&request), table[i].refusal);
        wire_free(&bytes);
    }
}

Test(request, longest_queue_id)
{
    struct wire bytes = wire("queue_id|" LONG_ID "|");
    struct request request;

    cr_assert_eq(strlen(LONG_ID), QUEUE_ID_MAX);
    request_init(&request);
    cr_expect_eq(request_parse(&request, bytes.bytes, bytes.len), -EAGAIN);
    wire_free(&bytes);
}

Test(request, probes)
{
    static const struct {
        const char *text;
        bool probe;
    } table[] = {
        {"flags|256|", true}, {"flags|512|", true},   {"flags|768|", true},
        {"flags|3|", false},  {"flags|7168|", false}, /* 0x1c00: record, connection cache */
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct wire bytes = wire(table[i].text);
        struct request request;

        request_init(&request);
        cr_assert_eq(request_parse(&request, bytes.bytes, bytes.len), -EAGAIN);
        cr_expect_eq(request_is_probe(&request), table[i].probe, "%s", table[i].text);
        wire_free(&bytes);
    }
}

/* Blobs made with printf(1) and base64(1); the times as seconds, microseconds. */
Test(request, impossible_times_are_unknown)
{
    static const struct {
        const char *text;
        int64_t incoming;
        int64_t active;
    } table[] = {
        /* -1, 1; 1, 999999 */
        {"time|//////////8BAAAAAAAAAAEAAAAAAAAAP0IPAAAAAAAAAAAA" WIRE_BLOB_REST "|", 0, 1999999},
        /* 1, 1000000; 2, 0 */
        {"time|AQAAAAAAAABAQg8AAAAAAAIAAAAAAAAAAAAAAAAAAAAAAAAA" WIRE_BLOB_REST "|", 0, 2000000},
        /* INT64_MAX, 1; 2, -1 */
        {"time|/////////38BAAAAAAAAAAIAAAAAAAAA//////////8AAAAA" WIRE_BLOB_REST "|", 0, 0},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct wire bytes = wire(table[i].text);
        struct request request;

        request_init(&request);
        cr_assert_eq(request_parse(&request, bytes.bytes, bytes.len), -EAGAIN);
        cr_expect_eq(request.incoming_arrival, table[i].incoming, "%zu", i);
        cr_expect_eq(request.active_arrival, table[i].active, "%zu", i);
        cr_expect_not(request.times_unknown, "%zu", i);
        wire_free(&bytes);
    }
}

/* A request of exactly `size` bytes with attributes of value_len bytes, or as much of it as has an end. */
static struct wire request_of(size_t size, size_t value_len)
{
    struct wire head = wire(OK);
    struct wire tail = wire("recipient_count|1||" RCPT);
    struct wire bytes = {malloc(size), size};
    size_t at = head.len;
    size_t end = size - tail.len;

    cr_assert_not_null(bytes.bytes);
    memset(bytes.bytes, 'x', size);
    memcpy(bytes.bytes, head.bytes, head.len);
    while (end - at > 2 * (value_len + 3)) {
        bytes.bytes[at + 1] = '\0';
        at += value_len + 3;
        bytes.bytes[at - 1] = '\0';
    }
    for (size_t half = (end - at) / 2; at < end; at = at + half < end - 3 ? at + half : end) {
        size_t next = at + half < end - 3 ? at + half : end;

        bytes.bytes[at + 1] = '\0';
        bytes.bytes[next - 1] = '\0';
    }
    memcpy(bytes.bytes + end, tail.bytes, tail.len);
    wire_free(&head);
    wire_free(&tail);
    return bytes;
}

Test(request, longest_request)
{
    for (size_t over = 0; over < 2; over++) {
        struct wire bytes = request_of(REQUEST_BYTES_MAX + over, 50000);
        struct request request;

        request_init(&request);
        cr_expect_eq(request_parse(&request, bytes.bytes, bytes.len), over ? -EMSGSIZE : 0);
        request_init(&request);
        cr_expect_eq(request_parse(&request, bytes.bytes, REQUEST_BYTES_MAX - 1), -EAGAIN);
        cr_expect_eq(request_parse(&request, bytes.bytes, REQUEST_BYTES_MAX), over ? -EMSGSIZE : 0);
        wire_free(&bytes);
    }
}

/* A value too long is refused as soon as that is seen, however it comes. */
Test(request, value_that_never_ends)
{
    size_t size = strlen("x") + 1 + ATTR_VALUE_MAX + 1;
    char *bytes = malloc(size);
    struct request request;

    cr_assert_not_null(bytes);
    memset(bytes, 'x', size);
    bytes[1] = '\0';
    request_init(&request);
    for (size_t len = 0; len < size; len++) {
        cr_assert_eq(request_parse(&request, bytes, len), -EAGAIN, "%zu", len);
    }
    cr_expect_eq(request_parse(&request, bytes, size), -EMSGSIZE);
    cr_expect_str_eq(request_refusal(&request), "attribute too long");
    free(bytes);
}

static double cost_byte_by_byte(size_t value_len)
{
    struct wire bytes = request_of((size_t)1 << 21, value_len);
    struct timespec start;
    struct timespec end;
    struct request request;

    request_init(&request);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    for (size_t len = 0; len < bytes.len; len++) {
        cr_assert_eq(request_parse(&request, bytes.bytes, len), -EAGAIN);
    }
    cr_assert_eq(request_parse(&request, bytes.bytes, bytes.len), 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    wire_free(&bytes);
    return (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
}

/* Long values, searched anew for each byte, would cost some fifty times as much as short ones. */
Test(request, cost_is_linear)
{
    double of_short = cost_byte_by_byte(30);
    double of_long = cost_byte_by_byte(ATTR_VALUE_MAX - 2);

    cr_expect_lt(of_long, 8 * of_short + 0.02, "%f s, %f s", of_long, of_short);
}
