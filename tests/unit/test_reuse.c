/* agents/reuse.h: requests that let their agent reuse connections. */

#include "agents/reuse.h"

#include <stdio.h>

#include "agents/split.h"
#include "tests/unit/wire.h"

#define SECOND UINT64_C(1000000)
#define AGENTS 2
/* Both flags of reuse, and what the captured request has: 3. */
#define WITH "flags|6147|queue_name|active|queue_id|E5825A72641|offset|726|size|285|"

static struct request parsed(struct wire bytes)
{
    struct request request;

    request_init(&request);
    cr_assert_eq(request_parse(&request, bytes.bytes, bytes.len), 0);
    return request;
}

static void expect_written(const struct request *request, struct wire bytes, const char *text)
{
    struct wire want = wire(text);
    size_t size = reuse_size(request, bytes.len);
    char *got = malloc(size);

    cr_assert_not_null(got);
    cr_assert_eq(size, want.len, "%zu bytes, not %zu", size, want.len);
    reuse_write(request, bytes.bytes, bytes.len, got);
    cr_expect_arr_eq(got, want.bytes, size);
    free(got);
    wire_free(&want);
}

Test(reuse, nothing_but_the_flags_changes)
{
    struct wire bytes = wire(WIRE_REQUEST);
    struct request request = parsed(bytes);

    expect_written(&request, bytes,
                   WITH WIRE_NEXTHOP "smtputf8|0|" WIRE_SENDER WIRE_TIME WIRE_CLIENT
                                     "recipient_count|2||" WIRE_USER1 WIRE_USER2);
    wire_free(&bytes);
}

Test(reuse, a_part_has_its_flags_where_the_request_has_them)
{
    struct wire bytes = wire(WIRE_REQUEST);
    struct request request = parsed(bytes);
    struct split split;
    struct wire part;

    cr_assert_eq(split_plan(&split, &request, bytes.bytes, split_key_recipient), 0);
    cr_assert_eq(split.part_count, 2);
    part.len = split.parts[1].size;
    part.bytes = malloc(part.len);
    cr_assert_not_null(part.bytes);
    cr_assert_eq(split_write(&split, &request, bytes.bytes, 1, part.bytes, part.len), 0);
    expect_written(&request, part,
                   WITH WIRE_NEXTHOP "smtputf8|0|" WIRE_SENDER WIRE_TIME WIRE_CLIENT
                                     "recipient_count|1||" WIRE_USER2);
    wire_free(&part);
    split_free(&split);
    wire_free(&bytes);
}

Test(reuse, only_while_answers_follow_each_other)
{
    struct reuse reuse = {0};
    struct wire bytes = wire(WIRE_REQUEST);
    struct request request = parsed(bytes);

    cr_expect_not(reuse_wanted(&reuse, &request, bytes.bytes, AGENTS, 0),
                  "nothing was delivered yet");
    reuse_answered(&reuse, &request, bytes.bytes, 10 * SECOND);
    cr_expect(reuse_wanted(&reuse, &request, bytes.bytes, AGENTS, 10 * SECOND));
    cr_expect(reuse_wanted(&reuse, &request, bytes.bytes, AGENTS, 10 * SECOND + REUSE_WITHIN - 1));
    cr_expect_not(reuse_wanted(&reuse, &request, bytes.bytes, AGENTS, 10 * SECOND + REUSE_WITHIN));
    wire_free(&bytes);
}

/* One message at a time does not: qmgr(8) sends such requests without the flags. */
Test(reuse, only_while_others_are_held)
{
    struct reuse reuse = {0};
    struct wire bytes = wire(WIRE_REQUEST);
    struct request request = parsed(bytes);

    reuse_arrived(&reuse, &request, bytes.bytes);
    reuse_arrived(&reuse, &request, bytes.bytes);
    reuse_answered(&reuse, &request, bytes.bytes, SECOND);
    reuse_left(&reuse, &request, bytes.bytes);
    cr_expect(reuse_wanted(&reuse, &request, bytes.bytes, AGENTS, SECOND));
    reuse_answered(&reuse, &request, bytes.bytes, SECOND);
    reuse_left(&reuse, &request, bytes.bytes);
    reuse_arrived(&reuse, &request, bytes.bytes);
    cr_expect_not(reuse_wanted(&reuse, &request, bytes.bytes, AGENTS, SECOND));
    wire_free(&bytes);
}

/* Of three for two agents, one is going to have two: the first leaves its connection. */
Test(reuse, from_the_first_one_on_where_more_are_held_than_there_are_agents)
{
    struct reuse reuse = {0};
    struct wire bytes = wire(WIRE_REQUEST);
    struct request request = parsed(bytes);

    for (unsigned i = 0; i < AGENTS; i++)
        reuse_arrived(&reuse, &request, bytes.bytes);
    cr_expect_not(reuse_wanted(&reuse, &request, bytes.bytes, AGENTS, SECOND));
    reuse_arrived(&reuse, &request, bytes.bytes);
    cr_expect(reuse_wanted(&reuse, &request, bytes.bytes, AGENTS, SECOND));
    reuse_left(&reuse, &request, bytes.bytes);
    cr_expect_not(reuse_wanted(&reuse, &request, bytes.bytes, AGENTS, SECOND));
    wire_free(&bytes);
}

/* Each a next hop of its own: no connection serves two of them. */
Test(reuse, requests_to_others_in_the_same_place_are_not_counted)
{
    struct reuse reuse = {0};
    struct wire bytes[1000];
    struct request request[1000];
    char text[4096];

    for (unsigned i = 0; i < 1000; i++) {
        snprintf(text, sizeof text,
                 "flags|3|queue_name|active|queue_id|E5825A72641|offset|726|size|285|"
                 "nexthop|inet:[192.0.2.1]:%u|encoding||" WIRE_SENDER WIRE_TIME
                 "recipient_count|1||" WIRE_USER1,
                 i);
        bytes[i] = wire(text);
        request[i] = parsed(bytes[i]);
        reuse_arrived(&reuse, &request[i], bytes[i].bytes);
    }
    for (unsigned i = 0; i < 1000; i++)
        cr_expect_not(reuse_wanted(&reuse, &request[i], bytes[i].bytes, AGENTS, SECOND));
    /* Who was not counted leaves later than who was: none is left over, none is counted twice. */
    for (unsigned i = 0; i < 1000; i++) {
        reuse_left(&reuse, &request[i], bytes[i].bytes);
        for (unsigned more = 0; more < AGENTS; more++)
            reuse_arrived(&reuse, &request[i], bytes[i].bytes);
        cr_expect_not(reuse_wanted(&reuse, &request[i], bytes[i].bytes, AGENTS, SECOND));
        for (unsigned more = 0; more < AGENTS; more++)
            reuse_left(&reuse, &request[i], bytes[i].bytes);
        wire_free(&bytes[i]);
    }
}

Test(reuse, each_next_hop_by_itself)
{
    struct reuse reuse = {0};
    struct wire bytes = wire(WIRE_REQUEST), other = wire(WIRE_REQUEST_A2);
    struct request request = parsed(bytes), elsewhere = parsed(other);

    reuse_answered(&reuse, &request, bytes.bytes, SECOND);
    cr_expect(reuse_wanted(&reuse, &request, bytes.bytes, AGENTS, SECOND));
    cr_expect_not(reuse_wanted(&reuse, &elsewhere, other.bytes, AGENTS, SECOND));
    wire_free(&other);
    wire_free(&bytes);
}

Test(reuse, what_has_both_flags_goes_as_it_is)
{
    struct reuse reuse = {0};
    struct wire bytes = wire(WITH WIRE_NEXTHOP "smtputf8|0|" WIRE_SENDER WIRE_TIME WIRE_CLIENT
                                               "recipient_count|1||" WIRE_USER1);
    struct request request = parsed(bytes);

    reuse_answered(&reuse, &request, bytes.bytes, SECOND);
    cr_expect_not(reuse_wanted(&reuse, &request, bytes.bytes, AGENTS, SECOND));
    wire_free(&bytes);
}

/* It cannot be said where a part has them. */
Test(reuse, flags_behind_the_count_stay_as_they_are)
{
    struct reuse reuse = {0};
    struct wire bytes =
        wire("queue_name|active|queue_id|E5825A72641|offset|726|size|285|" WIRE_NEXTHOP WIRE_SENDER
                 WIRE_TIME "recipient_count|1|flags|3||" WIRE_USER1);
    struct request request = parsed(bytes);

    reuse_answered(&reuse, &request, bytes.bytes, SECOND);
    cr_expect_not(reuse_wanted(&reuse, &request, bytes.bytes, AGENTS, SECOND));
    wire_free(&bytes);
}
