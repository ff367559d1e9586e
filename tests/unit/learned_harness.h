#ifndef TESTS_UNIT_LEARNED_HARNESS_H
#define TESTS_UNIT_LEARNED_HARNESS_H

/* What the tests of supervisor/admission/learned.c share: a directory, which is empty at the end but for the file. */

#include "supervisor/admission/learned.h"
#include "tests/unit/admission_harness.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define WALL (INT64_C(1700000000) * SECOND)
#define NAME "learned"

static char path[64];
static int directory;

static void set_up(void)
{
    snprintf(path, sizeof path, "/tmp/test_learned.XXXXXX");
    cr_assert_not_null(mkdtemp(path));
    directory = open(path, O_RDONLY | O_DIRECTORY);
    cr_assert_geq(directory, 0);
}

static void tear_down(void)
{
    unlinkat(directory, NAME, 0);
    close(directory);
    cr_assert_eq(rmdir(path), 0, "nothing else was left behind");
}

#endif
