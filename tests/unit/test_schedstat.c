/* cgroup/schedstat: figures as the kernel writes them, and the kernel's own. */

#include "cgroup/schedstat.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static int reads(const char *text, uint64_t *runnable)
{
    FILE *file = tmpfile();
    int result;

    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fflush(file), 0);
    result = schedstat_runnable(fileno(file), runnable);
    fclose(file);
    return result;
}

Test(schedstat, run_and_wait_are_added)
{
    uint64_t runnable = 0;

    cr_assert_eq(reads("2000000 500000 17\n", &runnable), 0);
    cr_assert_eq(runnable, 2500);
}

Test(schedstat, what_is_not_there_is_said)
{
    uint64_t runnable = 7;

    cr_expect_eq(reads("", &runnable), -EBADMSG);
    cr_expect_eq(reads("2000000\n", &runnable), -EBADMSG);
    cr_expect_eq(schedstat_runnable(-1, &runnable), -EBADF);
    cr_expect_eq(runnable, 7, "untouched");
}

Test(schedstat, this_process_ran)
{
    int descriptor = schedstat_open();
    uint64_t before, after;
    clock_t until = clock() + CLOCKS_PER_SEC / 50;

    if (descriptor == -ENOENT)
        cr_skip_test("the kernel does not count it");
    cr_assert_geq(descriptor, 0);
    cr_assert_eq(schedstat_runnable(descriptor, &before), 0);
    while (clock() < until)
        ;
    cr_assert_eq(schedstat_runnable(descriptor, &after), 0);
    cr_expect_geq(after - before, 15000, "%d us", (int)(after - before));
    close(descriptor);
}
