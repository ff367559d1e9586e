#include "agents/merge.h"
#include "tests/unit/wire.h"

#include <errno.h>
#include <stdio.h>

/* What a part may have come to. */
enum { DONE, DEFERRED, DSN, UNANSWERED, OUTCOMES };

#define PARTS_MAX 5

/* A reply that says which part it is from, so that one can be told from another. */
static struct wire reply_of(int outcome, unsigned part)
{
    char text[200];

    (void)snprintf(text, sizeof text,
                   "status|%s|diag_type||diag_text||mta_type||mta_mname||action||"
                   "reason|part %u|status|%s||",
                   outcome == DSN ? "4.4.1" : "", part, outcome == DONE ? "0" : "4294967295");
    return wire(text);
}

static void expect_result(const struct merge *merge, const struct wire *want)
{
    const char *bytes = NULL;
    size_t size = 0;

    cr_assert_eq(merge_done(merge, &bytes, &size), 0);
    cr_assert_eq(size, want->len);
    cr_expect_arr_eq(bytes, want->bytes, want->len);
}

/* The `number`-th of the OUTCOMES to the power of `parts` ways in which a request may end, in this order of replies. */
static void merge_way(unsigned parts, unsigned number)
{
    struct wire replies[PARTS_MAX];
    struct wire bare = wire(WIRE_REPLY_DEFERRED);
    unsigned count[OUTCOMES] = {0};
    struct merge merge;
    const char *bytes;
    size_t size;

    merge_init(&merge, parts);
    for (unsigned i = 0; i < parts; i++, number /= OUTCOMES) {
        int outcome = (int)(number % OUTCOMES);
        struct reply reply;

        count[outcome]++;
        replies[i] = reply_of(outcome, i);
        cr_assert_eq(merge_done(&merge, &bytes, &size), -EAGAIN);
        if (outcome == UNANSWERED) {
            cr_assert_eq(merge_add_deferred(&merge), 0);
            continue;
        }
        cr_assert_eq(reply_parse(replies[i].bytes, replies[i].len, &reply), 0);
        cr_assert_eq(merge_add(&merge, &reply, replies[i].bytes), 0);
        /* It may not depend on the caller's buffer any more. */
        if (i > 0) {
            memset(replies[i].bytes, 'x', replies[i].len);
        }
    }
    expect_result(&merge, count[DONE] == parts || count[DSN] == parts ? &replies[0] : &bare);
    cr_expect_eq(merge_add_deferred(&merge), -EINVAL, "more replies than parts");
    merge_free(&merge);
    for (unsigned i = 0; i < parts; i++) {
        wire_free(&replies[i]);
    }
    wire_free(&bare);
}

Test(merge, every_outcome_of_up_to_five_parts)
{
    for (unsigned parts = 1, ways = OUTCOMES; parts <= PARTS_MAX; parts++, ways *= OUTCOMES) {
        for (unsigned number = 0; number < ways; number++) {
            merge_way(parts, number);
        }
    }
}

Test(merge, keeps_a_copy)
{
    struct wire bytes = wire(WIRE_REPLY_DSN "rest");
    struct wire want = wire(WIRE_REPLY_DSN);
    struct reply reply;
    struct merge merge;

    merge_init(&merge, 1);
    cr_assert_eq(reply_parse(bytes.bytes, bytes.len, &reply), 0);
    cr_assert_eq(merge_add(&merge, &reply, bytes.bytes), 0);
    wire_free(&bytes);
    expect_result(&merge, &want);
    merge_free(&merge);
    wire_free(&want);
}
