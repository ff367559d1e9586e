/* supervisor/parent/forks.c: a template that does not get ready is given up, whether a worker is asked for or not. */

#include "supervisor/parent/forks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <unistd.h>

#include "supervisor/base/clock.h"

static uint64_t now;

uint64_t clock_monotonic(void)
{
    return now;
}

Test(forks, one_that_does_not_get_ready_is_given_up)
{
    struct parent parent = {.template_object = "/nonexistent"};
    char *environment[] = {NULL};
    struct forks forks;
    sigset_t signals;
    int ends[2];

    sigemptyset(&signals);
    cr_assert_eq(forks_open(&forks, &parent, environment, &signals), 0);
    cr_expect_eq(forks_judge(&forks), -1, "there is none");
    cr_assert_eq(template_open(ends), 0);
    forks.control = ends[0];
    now = forks.since = 1000 * FORKS_SETTLE;
    cr_expect_eq(forks_judge(&forks), (int)(FORKS_SETTLE / 1000) + 1);
    now += FORKS_SETTLE - 1000;
    cr_expect_eq(forks_judge(&forks), 2);
    cr_expect_eq(forks.said, TEMPLATE_NOT_YET);
    now += 1000;
    cr_expect_eq(forks_judge(&forks), -1);
    cr_expect_eq(forks.said, TEMPLATE_UNTAKEN, "the log says why");
    cr_expect_eq(forks.reason, TEMPLATE_UNTAKEN);
    cr_expect_eq(forks.control, -1);
    cr_expect_gt(forks.again, now);
    close(ends[1]);
    forks_close(&forks);
}
