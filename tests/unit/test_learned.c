/* What is learned survives a restart; a damaged file gives nothing and goes away. */

#include "tests/unit/learned_harness.h"

#include <errno.h>
#include <sys/stat.h>

static unsigned limit; /* that was loaded last */

TestSuite(learned, .init = set_up, .fini = tear_down);

static struct admission *experienced(void)
{
    struct admission *admission = harness_create(10, 100);

    harness_once(admission, 0, "good.example", ADMISSION_DELIVERED, 20 * MS, 0);
    harness_once(admission, 0, "dead.example", ADMISSION_FAILED, 30 * SECOND, 0);
    harness_once(admission, 0, "slow.example", ADMISSION_DELIVERED, 9 * SECOND, 30 * SECOND);
    harness_arrive(admission, 0, "new.example", FIRST, 40 * SECOND);
    return admission;
}

static size_t contents(unsigned char *bytes, size_t most)
{
    int file = openat(directory, NAME, O_RDONLY);
    ssize_t length = read(file, bytes, most);

    close(file);
    cr_assert(length > 0 && (size_t)length < most);
    return (size_t)length;
}

static void replace(const unsigned char *bytes, size_t length)
{
    int file = openat(directory, NAME, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    cr_assert_eq(write(file, bytes, length), (ssize_t)length);
    close(file);
}

static bool there(const char *name)
{
    return faccessat(directory, name, F_OK, 0) == 0;
}

Test(learned, survives_a_reboot)
{
    struct admission *before = experienced(), *after = harness_create(10, 100);
    struct admission_view view;

    cr_assert_eq(learned_save(directory, NAME, before, 240, 60 * SECOND, WALL), 0);
    cr_assert_not(there(NAME ".new"));
    /* The monotonic clock starts anew; ten minutes went by. */
    cr_assert_eq(learned_load(directory, NAME, after, &limit, 5 * SECOND, WALL + 600 * SECOND), 3);
    view = harness_look(after, "good.example");
    cr_assert_eq(limit, 240);
    cr_assert_eq(view.lane, ADMISSION_PROVEN);
    cr_assert_eq(view.service, 20 * MS);
    cr_assert_eq(5 * SECOND - view.last_success, 660 * SECOND - 20 * MS);
    cr_assert_eq(harness_look(after, "dead.example").lane, ADMISSION_DEAD);
    cr_assert_eq(harness_look(after, "slow.example").lane, ADMISSION_SLOW);
    cr_assert_eq(admission_look(after, "new.example", 11, &view), -ENOENT);
    admission_destroy(before);
    admission_destroy(after);
}

/* After a reload it is as before; after an hour only that it takes more than one is known. */
Test(learned, the_window)
{
    struct admission *before = harness_create(10, 100), *soon = harness_create(10, 100),
                     *late = harness_create(10, 100);
    struct admission_memory memory = {.key = "good.example",
                                      .success_age = 60 * SECOND,
                                      .failure_age = ADMISSION_NEVER,
                                      .answer_age = ADMISSION_NEVER,
                                      .window = 40};

    cr_assert_eq(admission_teach(before, &memory, 0), 0);
    cr_assert_eq(learned_save(directory, NAME, before, 240, 0, WALL), 0);
    cr_assert_eq(learned_load(directory, NAME, soon, &limit, 0, WALL + SECOND), 1);
    cr_assert_eq(harness_look(soon, "good.example").window, 40);
    cr_assert_eq(learned_load(directory, NAME, late, &limit, 0, WALL + 3600 * SECOND), 1);
    cr_assert_eq(harness_look(late, "good.example").window, 5);
    admission_destroy(before);
    admission_destroy(soon);
    admission_destroy(late);
}

Test(learned, ages_out)
{
    struct admission *before = experienced(), *day = harness_create(10, 100),
                     *month = harness_create(10, 100);

    cr_assert_eq(learned_save(directory, NAME, before, 240, 60 * SECOND, WALL), 0);
    cr_assert_eq(learned_load(directory, NAME, day, &limit, 0, WALL + 86400 * SECOND), 3);
    cr_assert_eq(limit, 0, "what it was yesterday says nothing");
    cr_assert_eq(harness_look(day, "good.example").lane, ADMISSION_FIRST,
                 "was good, not proven now");
    cr_assert_eq(harness_look(day, "dead.example").lane, ADMISSION_UNKNOWN);
    cr_assert_eq(learned_load(directory, NAME, month, &limit, 0, WALL + 2592000 * SECOND), 0);
    admission_destroy(before);
    admission_destroy(day);
    admission_destroy(month);
}

Test(learned, a_clock_that_went_back_makes_nothing_older_or_younger)
{
    struct admission *before = experienced(), *after = harness_create(10, 100);

    cr_assert_eq(learned_save(directory, NAME, before, 240, 60 * SECOND, WALL), 0);
    cr_assert_eq(learned_load(directory, NAME, after, &limit, 0, WALL - 3600 * SECOND), 3);
    cr_assert_eq(harness_look(after, "good.example").last_success, 20 * MS - 60 * SECOND);
    admission_destroy(before);
    admission_destroy(after);
}

Test(learned, no_file_is_no_error_of_the_file)
{
    struct admission *admission = harness_create(10, 100);

    limit = 1;
    cr_assert_eq(learned_load(directory, NAME, admission, &limit, 0, WALL), -ENOENT);
    cr_assert_eq(limit, 0);
    cr_assert_eq(learned_save(-1, NAME, admission, 240, 0, WALL), -EBADF);
    admission_destroy(admission);
}

static void expect_refused(const unsigned char *bytes, size_t length, const char *what, size_t at)
{
    struct admission *admission = harness_create(10, 100);
    struct admission_counters counters;

    replace(bytes, length);
    cr_assert_eq(learned_load(directory, NAME, admission, &limit, 0, WALL), -EBADMSG, "%s %zu",
                 what, at);
    cr_assert_not(there(NAME), "%s %zu: thrown away", what, at);
    admission_count(admission, &counters);
    cr_assert_eq(counters.destinations, 0, "%s %zu: nothing is taken from it", what, at);
    cr_assert_eq(limit, 0, "%s %zu", what, at);
    admission_destroy(admission);
}

Test(learned, every_truncation_and_every_changed_bit_is_found)
{
    struct admission *before = experienced();
    unsigned char bytes[4096];
    size_t length;

    cr_assert_eq(learned_save(directory, NAME, before, 240, 60 * SECOND, WALL), 0);
    length = contents(bytes, sizeof bytes - 1);
    for (size_t cut = 0; cut < length; cut++)
        expect_refused(bytes, cut, "cut at", cut);
    for (size_t bit = 0; bit < 8 * length; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1U << (bit % 8));
        expect_refused(bytes, length, "bit", bit);
        bytes[bit / 8] ^= (unsigned char)(1U << (bit % 8));
    }
    bytes[length] = 0;
    expect_refused(bytes, length + 1, "one byte more", length);
    admission_destroy(before);
}

Test(learned, the_file_is_bounded)
{
    struct admission *before = harness_create(10, 30000), *after = harness_create(10, 30000);
    struct admission_memory memory = {.success_age = SECOND,
                                      .failure_age = ADMISSION_NEVER,
                                      .answer_age = ADMISSION_NEVER,
                                      .window = 5};
    struct stat status;

    for (int i = 0; i < 25000; i++) {
        snprintf(memory.key, sizeof memory.key, "%090d", i);
        cr_assert_eq(admission_teach(before, &memory, 0), 0);
    }
    cr_assert_eq(learned_save(directory, NAME, before, 240, 0, WALL), 0);
    cr_assert_eq(fstatat(directory, NAME, &status, 0), 0);
    cr_assert_lt(status.st_size, 2900000);
    cr_assert_eq(learned_load(directory, NAME, after, &limit, 0, WALL), LEARNED_MAX);
    /* The ones used last, in that order. */
    snprintf(memory.key, sizeof memory.key, "%090d", 0);
    harness_look(after, memory.key);
    admission_destroy(before);
    admission_destroy(after);
}

Test(learned, what_is_no_plain_file_is_refused)
{
    struct admission *admission = harness_create(10, 100);

    cr_assert_eq(mkfifoat(directory, NAME, 0600), 0);
    cr_assert_eq(learned_load(directory, NAME, admission, &limit, 0, WALL), -EBADMSG);
    cr_assert_eq(symlinkat("/etc/passwd", directory, NAME), 0);
    cr_assert_eq(learned_load(directory, NAME, admission, &limit, 0, WALL), -ELOOP);
    admission_destroy(admission);
}
