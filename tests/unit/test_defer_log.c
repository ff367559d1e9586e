/* agents/defer_log.c: records as defer(8) of Postfix 3.7 writes them (captured), cut ones, and files that are none. */

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "agents/defer_log.h"

static const char log_file[] =
    "<joe@one.example>: host mx.one.example[192.0.2.1] said: 452 4.2.2 old\n"
    "recipient=joe@one.example\noffset=627\nstatus=4.2.2\naction=delayed\ndiag_type=smtp\n"
    "diag_text=452 4.2.2 old\nmta_type=dns\nmta_mname=mx.one.example\n"
    "reason=host mx.one.example[192.0.2.1] said: 452 4.2.2 old\n\n"
    "recipient=Joe@One.example\nstatus=4.7.1\nreason=greylisted\n\n"
    "recipient=x@none.example\nstatus=4.4.1\nreason=refused\n\n";

static const char *found(const char *log, const char *domain)
{
    static char text[64];
    int result = defer_log_find(log, strlen(log), domain, text, sizeof text);

    cr_assert(result == 0 || result == -ENOENT);
    return result == 0 ? text : "";
}

Test(defer_log, the_last_record_of_the_destination)
{
    cr_expect_str_eq(found(log_file, "one.example"), "4.7.1 greylisted");
    cr_expect_str_eq(found(log_file, "joe@one.example"), "4.7.1 greylisted");
    cr_expect_str_eq(found(log_file, "none.example"), "4.4.1 refused");
    cr_expect_str_eq(found(log_file, NULL), "4.4.1 refused");
    cr_expect_str_eq(found(log_file, "example"), "");
    cr_expect_str_eq(found(log_file, "nobody.example"), "");
}

Test(defer_log, a_record_that_is_cut)
{
    cr_expect_str_eq(found("one.example\nstatus=4.7.1\nreason=r\n", NULL), "", "no recipient");
    cr_expect_str_eq(found("recipient=a@b\nreason=with no end", "b"), "with no end");
    cr_expect_str_eq(found("reason=r\n\nrecipient=a@b\n", "b"), "", "of two records");
    cr_expect_str_eq(found("", NULL), "");
    cr_expect_str_eq(found("\n\n\n", NULL), "");
}

Test(defer_log, no_file)
{
    char text[8];

    cr_expect_eq(defer_log_reason(-1, "../../etc/passwd", "", 1, NULL, text, sizeof text), -EINVAL);
    cr_expect_eq(defer_log_reason(-1, "A1", "defer", 1, NULL, text, sizeof text), -EBADF);
}
