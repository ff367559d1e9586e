#include "agents/limits.h"
#include "agents/redirect.h"
#include "tests/unit/wire.h"

#include <errno.h>

Test(redirect, only_the_nexthop_changes)
{
    struct wire bytes = wire(WIRE_REQUEST "rest");
    struct wire want =
        wire(WIRE_HEAD "nexthop|4.3.2 memory is short|encoding||smtputf8|0|" //
             WIRE_SENDER WIRE_TIME WIRE_CLIENT "recipient_count|2||" WIRE_USER1 WIRE_USER2);
    struct iovec pieces[REDIRECT_PIECES];
    struct request request;
    size_t size = 0;
    size_t at = 0;

    request_init(&request);
    cr_assert_eq(request_parse(&request, bytes.bytes, bytes.len), 0);
    cr_assert_eq(redirect_request(&request, bytes.bytes, "4.3.2 memory is short", pieces, &size),
                 0);
    cr_assert_eq(size, want.len);
    for (size_t i = 0; i < REDIRECT_PIECES; i++) {
        cr_assert_leq(at + pieces[i].iov_len, want.len);
        cr_expect_arr_eq(pieces[i].iov_base, want.bytes + at, pieces[i].iov_len, "%zu", i);
        at += pieces[i].iov_len;
    }
    cr_expect_eq(at, want.len);
    wire_free(&bytes);
    wire_free(&want);
}

Test(redirect, nothing_that_might_not_defer)
{
    char longest[REDIRECT_TEXT_MAX + 2];
    static const char *const bad[] = {
        "",           "5.3.2 no",       "2.0.0 ok",     "memory is short", "4.3.2",
        "4.3.2 ",     "4.3 short",      "4..2 short",   "4.3. short",      "4.3.2  short",
        "4.3333.2 x", "4.3.2\tshort",   "4.3.2 a\nb",   "4.3.2 a\x7f",     "4.3.2 caf\xc3\xa9",
        " 4.3.2 x",   "4.3.2short now", "44.3.2 short", "4.-3.2 short",
    };
    struct wire bytes = wire(WIRE_REQUEST);
    struct iovec pieces[REDIRECT_PIECES];
    struct request request;
    size_t size;

    request_init(&request);
    cr_assert_eq(redirect_request(&request, bytes.bytes, "4.3.2 x", pieces, &size), -EINVAL,
                 "not complete");
    cr_assert_eq(request_parse(&request, bytes.bytes, bytes.len), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect_eq(redirect_request(&request, bytes.bytes, bad[i], pieces, &size), -EINVAL, "%s",
                     bad[i]);
    }
    memset(longest, 'x', sizeof longest);
    memcpy(longest, "4.3.2 ", 6);
    longest[sizeof longest - 1] = '\0';
    cr_expect_eq(redirect_request(&request, bytes.bytes, longest, pieces, &size), -EINVAL);
    longest[sizeof longest - 2] = '\0';
    cr_expect_eq(redirect_request(&request, bytes.bytes, longest, pieces, &size), 0);
    wire_free(&bytes);
}
