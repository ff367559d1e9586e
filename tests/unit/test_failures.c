/* supervisor/report/failures: texts of destinations; many more destinations than places. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/report/failures.h"

#define SECOND UINT64_C(1000000)

Test(failures, counts_and_the_last_text)
{
    struct failures *failures = calloc(1, sizeof *failures);
    struct failure *failure = failures_add(failures, "a.example", 5 * SECOND);

    cr_expect_null(failures_find(failures, "b.example"));
    failure_text(failure, "4.4.1 refused", 5 * SECOND);
    cr_expect_eq(failures_add(failures, "a.example", 7 * SECOND), failure);
    cr_expect_eq(failure->count, 2);
    cr_expect_eq(failure->first, 5 * SECOND);
    cr_expect_str_eq(failures_find(failures, "a.example")->text, "4.4.1 refused");
    cr_expect(failure_looks(failure, 7 * SECOND));
    cr_expect_not(failure_looks(failure, 7 * SECOND + FAILURE_READ_EVERY - 1));
    cr_expect(failure_looks(failure, 7 * SECOND + FAILURE_READ_EVERY));
    /* More than an hour later it is another trouble. */
    failures_add(failures, "a.example", 3608 * SECOND);
    cr_expect_eq(failure->count, 1);
    cr_expect_eq(failure->first, 3608 * SECOND);
    free(failures);
}

Test(failures, of_many_the_newest_are_kept)
{
    struct failures *failures = calloc(1, sizeof *failures);
    const struct failure *at = NULL;
    char key[FAILURE_KEY_SIZE], text[2 * FAILURE_TEXT_SIZE];
    unsigned kept = 0;

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (unsigned i = 1; i <= 20 * FAILURES_MAX; i++) {
        snprintf(key, sizeof key, "d%u.example", i);
        failure_text(failures_add(failures, key, i / 2 * SECOND), text, i / 2 * SECOND);
        cr_expect_str_eq(failures_find(failures, key)->key, key);
    }
    cr_expect_eq(strlen(failures_find(failures, key)->text), FAILURE_TEXT_SIZE - 1);
    /* From the newest on, each once. */
    while ((at = failures_newest(failures, at)))
        kept++;
    cr_expect_eq(kept, FAILURES_MAX);
    cr_expect_str_eq(failures_newest(failures, NULL)->key, key);
    free(failures);
}
