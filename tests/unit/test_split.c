#include "agents/limits.h"
#include "agents/merge.h"
#include "agents/split.h"
#include "tests/unit/wire.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

/* A request, its parts and all that belongs to it. */
struct whole {
    struct wire bytes;
    struct request request;
    struct split split;
};

static void whole_make(struct whole *whole, struct wire bytes, split_key *key)
{
    whole->bytes = bytes;
    request_init(&whole->request);
    cr_assert_eq(request_parse(&whole->request, bytes.bytes, bytes.len), 0, "%s",
                 request_refusal(&whole->request));
    cr_assert_eq(split_plan(&whole->split, &whole->request, bytes.bytes, key), 0);
}

static void whole_free(struct whole *whole)
{
    split_free(&whole->split);
    wire_free(&whole->bytes);
}

static struct wire part_of(const struct whole *whole, uint32_t part)
{
    size_t size = whole->split.parts[part].size;
    struct wire bytes = {malloc(size), size};

    cr_assert_not_null(bytes.bytes);
    cr_assert_eq(
        split_write(&whole->split, &whole->request, whole->bytes.bytes, part, bytes.bytes, size),
        0);
    return bytes;
}

/* The key of a part, in lower case. */
static void name_of(const struct whole *whole, uint32_t part, char *name, size_t size)
{
    const struct request_text *key = &whole->split.parts[part].key;

    cr_assert_lt(key->len, size);
    for (size_t i = 0; i < key->len; i++)
        name[i] = (char)tolower((unsigned char)whole->bytes.bytes[key->offset + i]);
    name[key->len] = '\0';
}

static void expect_part(const struct whole *whole, uint32_t part, const char *name,
                        const char *text)
{
    struct wire got = part_of(whole, part);
    struct wire want = wire(text);
    char buffer[64];

    cr_assert_eq(got.len, want.len, "%s: %zu, not %zu", name, got.len, want.len);
    cr_expect_arr_eq(got.bytes, want.bytes, want.len, "%s", name);
    name_of(whole, part, buffer, sizeof buffer);
    cr_expect_str_eq(buffer, name);
    wire_free(&got);
    wire_free(&want);
}

Test(split, captured_by_domain)
{
    struct whole whole;

    whole_make(&whole, wire(WIRE_MANY "rest"), split_key_domain);
    cr_assert_eq(whole.split.part_count, 3);
    expect_part(&whole, 0, "one.example",
                WIRE_MANY_COMMON "recipient_count|2||" WIRE_MANY_A WIRE_MANY_C);
    expect_part(&whole, 1, "three.example", WIRE_MANY_COMMON "recipient_count|1||" WIRE_MANY_D);
    expect_part(&whole, 2, "two.example",
                WIRE_MANY_COMMON "recipient_count|2||" WIRE_MANY_B WIRE_MANY_X);
    whole_free(&whole);
}

Test(split, captured_by_recipient_and_not_at_all)
{
    struct whole whole;

    whole_make(&whole, wire(WIRE_MANY), split_key_recipient);
    cr_assert_eq(whole.split.part_count, 5);
    expect_part(&whole, 1, "c@one.example", WIRE_MANY_COMMON "recipient_count|1||" WIRE_MANY_C);
    whole_free(&whole);

    whole_make(&whole, wire(WIRE_MANY), split_key_none);
    cr_assert_eq(whole.split.part_count, 1);
    expect_part(&whole, 0, "", WIRE_MANY);
    whole_free(&whole);
}

/* The common list of all parts but for the count, whose digits may get more again. */
Test(split, common_list)
{
    struct whole whole;
    struct wire want = wire(WIRE_MANY_COMMON "recipient_count|12||");
    char *bytes = malloc(want.len);

    whole_make(&whole, wire(WIRE_MANY), split_key_domain);
    cr_assert_eq(split_common_size(&whole.request, 12), want.len);
    cr_expect_eq(split_common_size(&whole.request, 3), want.len - 1);
    cr_assert_eq(split_common(&whole.request, whole.bytes.bytes, 12, bytes), bytes + want.len);
    cr_expect_arr_eq(bytes, want.bytes, want.len);
    free(bytes);
    wire_free(&want);
    whole_free(&whole);
}

#define AT_A "recipient|u@a||"
#define FIVE_AT_A AT_A AT_A AT_A AT_A AT_A

/* recipient_count need not be the last attribute, and its digits get fewer. */
Test(split, count_in_the_middle)
{
    static const char text[] =
        "recipient_count|11|flags|3|queue_name|active|queue_id|A1|nexthop|n|sender||"
        "|recipient|u@b||" FIVE_AT_A FIVE_AT_A;
    struct whole whole;

    whole_make(&whole, wire(text), split_key_domain);
    cr_assert_eq(whole.split.part_count, 2);
    expect_part(&whole, 0, "b",
                "recipient_count|1|flags|3|queue_name|active|queue_id|A1|nexthop|n|sender|||"
                "recipient|u@b||");
    cr_expect_eq(whole.split.parts[1].size, whole.bytes.len - strlen("recipient|u@b||"));
    whole_free(&whole);
}

/* A domain that another one begins with is another domain. */
Test(split, whole_domains_only)
{
    struct whole whole;

    whole_make(&whole,
               wire("flags|3|queue_name|active|queue_id|A1|nexthop|n|sender||recipient_count|3||"
                    "recipient|u@a.example||recipient|u@a.example.org||recipient|u@a||"),
               split_key_domain);
    cr_expect_eq(whole.split.part_count, 3);
    whole_free(&whole);
}

Test(split, keys)
{
    static const struct {
        const char *recipient;
        const char *domain;
    } table[] = {
        {"user@example.com", "example.com"},
        {"a@b@example.com", "example.com"},
        {"user", ""},
        {"", ""},
        {"user@", ""},
        {"@example.com", "example.com"},
        {"user@[192.0.2.1]", "[192.0.2.1]"},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *recipient = table[i].recipient;
        struct request_text key = {77, 77};

        split_key_domain(recipient, strlen(recipient), &key);
        cr_expect_eq(key.len, strlen(table[i].domain), "%s", recipient);
        cr_expect_str_eq(recipient + key.offset, table[i].domain);
        split_key_recipient(recipient, strlen(recipient), &key);
        cr_expect_eq(key.len, strlen(recipient));
        cr_expect_eq(key.offset, 0);
    }
}

Test(split, bounds)
{
    struct whole whole;
    char buffer[2000];

    whole_make(&whole, wire(WIRE_MANY), split_key_domain);
    cr_expect_eq(split_write(&whole.split, &whole.request, whole.bytes.bytes, 0, buffer,
                             whole.split.parts[0].size - 1),
                 -EMSGSIZE);
    cr_expect_eq(
        split_write(&whole.split, &whole.request, whole.bytes.bytes, 3, buffer, sizeof buffer),
        -EINVAL);
    whole_free(&whole);
}

static void key_behind_the_end(const char *recipient, size_t recipient_len,
                               struct request_text *key)
{
    (void)recipient;
    key->offset = recipient_len + 1;
    key->len = 0;
}

static void key_that_is_too_long(const char *recipient, size_t recipient_len,
                                 struct request_text *key)
{
    (void)recipient;
    key->offset = 1;
    key->len = recipient_len;
}

Test(split, refusals)
{
    struct wire bytes = wire(WIRE_MANY);
    struct request request;
    struct split split;

    request_init(&request);
    cr_expect_eq(request_parse(&request, bytes.bytes, bytes.len - 1), -EAGAIN);
    cr_expect_eq(split_plan(&split, &request, bytes.bytes, split_key_domain), -EBADMSG);
    cr_expect_eq(request_parse(&request, bytes.bytes, bytes.len), 0);
    cr_expect_eq(split_plan(&split, &request, bytes.bytes, key_behind_the_end), -EBADMSG);
    cr_expect_eq(split_plan(&split, &request, bytes.bytes, key_that_is_too_long), -EBADMSG);
    /* Bytes that are not those of the request. */
    memset(bytes.bytes + request.recipients, 'x', bytes.len - request.recipients);
    cr_expect_eq(split_plan(&split, &request, bytes.bytes, split_key_domain), -EBADMSG);
    request.recipient_count = 0;
    cr_expect_eq(split_plan(&split, &request, bytes.bytes, split_key_domain), -EBADMSG);
    wire_free(&bytes);
}

/* xorshift: the same requests in every run */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* A request for `count` recipients, each u<i> at one of `domains` domains, in random case. offset is i. */
static struct wire request_for(uint32_t count, uint32_t domains, uint32_t *state)
{
    size_t size = strlen(WIRE_COMMON) + 64 + (size_t)count * 128;
    char *text = malloc(size);
    struct wire bytes;
    size_t at;

    cr_assert_not_null(text);
    at = (size_t)snprintf(text, size, WIRE_COMMON "recipient_count|%u||", count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t domain = domains == count ? i : next_random(state) % domains;
        bool upper = next_random(state) % 2 != 0;

        at += (size_t)snprintf(text + at, size - at,
                               "original_recipient|o%u|recipient|u%u@%c%u.example|offset|%u|"
                               "dsn_orig_rcpt||notify_flags|%u||",
                               i, i, upper ? 'D' : 'd', domain, i, next_random(state) % 16);
    }
    bytes = wire(text);
    free(text);
    return bytes;
}

/* What an agent would answer: a recipient fails, with or without a DSN, by `fails`, a bit for each recipient. */
static struct wire agent(const struct wire *bytes, uint64_t fails, bool dsn)
{
    struct request request;
    struct request_recipient recipient;
    bool failed = false;
    size_t at;

    request_init(&request);
    cr_assert_eq(request_parse(&request, bytes->bytes, bytes->len), 0);
    at = request.recipients;
    while (request_recipient(&request, bytes->bytes, &at, &recipient) == 1) {
        failed = failed || (fails >> recipient.offset & 1) != 0;
    }
    return wire(!failed ? WIRE_REPLY_DONE : dsn ? WIRE_REPLY_DSN : WIRE_REPLY_DEFERRED);
}

static void expect_same_outcome(const struct whole *whole, uint64_t fails, bool dsn)
{
    struct wire want = agent(&whole->bytes, fails, dsn);
    struct merge merge;
    struct reply wanted;
    struct reply got;
    const char *bytes = NULL;
    size_t size = 0;
    uint32_t failed_parts = 0;

    merge_init(&merge, whole->split.part_count);
    for (uint32_t part = 0; part < whole->split.part_count; part++) {
        struct wire piece = part_of(whole, part);
        struct wire answer = agent(&piece, fails, dsn);
        struct reply reply;

        cr_assert_eq(reply_parse(answer.bytes, answer.len, &reply), 0);
        failed_parts += reply.status != 0;
        cr_assert_eq(merge_add(&merge, &reply, answer.bytes), 0);
        wire_free(&piece);
        wire_free(&answer);
    }
    cr_assert_eq(merge_done(&merge, &bytes, &size), 0);
    cr_assert_eq(reply_parse(bytes, size, &got), 0);
    cr_assert_eq(reply_parse(want.bytes, want.len, &wanted), 0);
    cr_expect_eq(got.status, wanted.status);
    /* A reason to rest the destination is for all of it. */
    cr_expect_str_eq(got.dsn, failed_parts == whole->split.part_count ? wanted.dsn : "");
    merge_free(&merge);
    wire_free(&want);
}

/* Each recipient in exactly one part, those of a domain in one part, in their order, byte for byte. */
static void expect_partition(const struct whole *whole)
{
    const struct request *request = &whole->request;
    bool *seen = calloc(request->recipient_count, sizeof *seen);
    uint32_t total = 0;
    int64_t first_before = -1;

    cr_assert_not_null(seen);
    for (uint32_t part = 0; part < whole->split.part_count; part++) {
        struct wire piece = part_of(whole, part);
        struct request parsed;
        struct request_recipient recipient;
        char name[64];
        char own[64];
        int64_t before = -1;
        size_t at;

        request_init(&parsed);
        cr_assert_eq(request_parse(&parsed, piece.bytes, piece.len), 0);
        cr_assert_eq(parsed.length, piece.len);
        cr_assert_eq(parsed.incoming_arrival, request->incoming_arrival);
        name_of(whole, part, name, sizeof name);
        at = parsed.recipients;
        while (request_recipient(&parsed, piece.bytes, &at, &recipient) == 1) {
            cr_assert_gt(recipient.offset, before, "order");
            cr_assert_lt(recipient.offset, request->recipient_count);
            cr_assert_not(seen[recipient.offset], "twice");
            seen[recipient.offset] = true;
            if (before < 0) {
                cr_assert_gt(recipient.offset, first_before, "order of the parts");
                first_before = recipient.offset;
            }
            before = recipient.offset;
            total++;
            (void)snprintf(own, sizeof own, "%s", strchr(recipient.recipient, '@') + 1);
            own[0] = 'd';
            cr_assert_str_eq(own, name);
        }
        wire_free(&piece);
    }
    cr_expect_eq(total, request->recipient_count);
    free(seen);
}

static uint32_t domains_of(const struct whole *whole)
{
    bool there[64] = {false};
    struct request_recipient recipient;
    size_t at = whole->request.recipients;
    uint32_t count = 0;

    while (request_recipient(&whole->request, whole->bytes.bytes, &at, &recipient) == 1) {
        unsigned long domain = strtoul(strchr(recipient.recipient, '@') + 2, NULL, 10);

        cr_assert_lt(domain, 64);
        count += !there[domain];
        there[domain] = true;
    }
    return count;
}

Test(split, then_merged_is_the_same)
{
    uint32_t state = 20261121;

    for (int round = 0; round < 400; round++) {
        struct whole whole;
        uint32_t count = next_random(&state) % 60 + 1;
        uint64_t fails = (uint64_t)next_random(&state) << 32 | next_random(&state);

        whole_make(&whole, request_for(count, next_random(&state) % 12 + 1, &state),
                   split_key_domain);
        cr_assert_eq(whole.split.part_count, domains_of(&whole));
        expect_partition(&whole);
        expect_same_outcome(&whole, 0, true);
        expect_same_outcome(&whole, UINT64_MAX, true);
        expect_same_outcome(&whole, UINT64_MAX, false);
        expect_same_outcome(&whole, fails, true);
        expect_same_outcome(&whole, fails & (fails >> 1) & (fails << 7), true);
        expect_same_outcome(&whole, 1, true);
        whole_free(&whole);
    }
}

static double plan_cost(uint32_t count, uint32_t domains)
{
    struct timespec start;
    struct timespec end;
    struct whole whole;
    uint32_t state = 7;
    struct wire bytes = request_for(count, domains, &state);

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    whole_make(&whole, bytes, split_key_domain);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    cr_expect_eq(whole.split.part_count, domains);
    whole_free(&whole);
    return (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
}

/* Ten times as many cost ten times as much and a little more, not a hundred times. */
Test(split, twenty_thousand_domains)
{
    double small = plan_cost(2000, 2000);
    double large = plan_cost(20000, 20000);

    cr_expect_lt(large, 30 * small + 0.02, "%f s, %f s", large, small);
    cr_expect_lt(plan_cost(20000, 1), 30 * small + 0.02);
}

Test(split, as_many_as_a_request_may_have)
{
    struct whole whole;
    uint32_t state = 3;

    whole_make(&whole, request_for(REQUEST_RECIPIENTS_MAX, 50, &state), split_key_domain);
    cr_expect_eq(whole.split.part_count, 50);
    expect_partition(&whole);
    whole_free(&whole);
}
