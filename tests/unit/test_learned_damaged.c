/* The file of what was learned: what is whole but cannot be true, what is too large, and disks that fail. */

#include "tests/unit/learned_harness.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

TestSuite(learned_damaged, .init = set_up, .fini = tear_down);

/* --- files whose checksum is right -------------------------------------------------------------------- */

static struct {
    unsigned char bytes[2 << 20];
    size_t length;
    uint32_t count;
} made;

static void put(const void *bytes, size_t length)
{
    cr_assert_leq(made.length + length, sizeof made.bytes);
    memcpy(made.bytes + made.length, bytes, length);
    made.length += length;
}

static void put_number(uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        put(&(unsigned char){i < sizeof number ? (unsigned char)(number >> (8 * i)) : 0}, 1);
}

static void put_head(void)
{
    made.length = made.count = 0;
    put("HDRMLEAR", 8);
    put_number(3, 4);
    put_number(WALL, 8);
    put_number(240, 4);
}

struct record {
    const char *key;
    size_t length;
    uint32_t window;
    uint64_t service, least, success;
};

/* It delivered a minute before the file was written. */
static const struct record good = {"good.example", 12, 5, 20000, 20000, WALL - 60 * SECOND};

static void put_record(const struct record *record)
{
    put_number(record->length, 1);
    put(record->key, record->length);
    put_number(0, 1);
    put_number(record->window, 4);
    put_number(record->service, 8);
    put_number(record->least, 8);
    put_number(record->success, 8);
    put_number(0, 16);
    made.count++;
}

static void put_end(void)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    int file;

    put_number(0, 1);
    put_number(made.count, 4);
    for (size_t i = 0; i < made.length; i++)
        sum = (sum ^ made.bytes[i]) * UINT64_C(0x100000001b3);
    put_number(sum, 8);
    file = openat(directory, NAME, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_eq(write(file, made.bytes, made.length), (ssize_t)made.length);
    close(file);
}

static int load(struct admission *admission)
{
    unsigned limit;

    return learned_load(directory, NAME, admission, &limit, 0, WALL);
}

Test(learned_damaged, what_cannot_be_true_is_left_out_and_the_rest_is_taken)
{
    struct record wrong[] = {good, good, good, good, good, good, good};
    struct admission *admission = harness_create(10, 100);
    struct admission_counters counters;

    wrong[0] = (struct record){"\0.example", 9, 5, 1, 1, WALL};
    wrong[1].window = 0;
    wrong[2].service = UINT64_MAX;
    wrong[3].service = INT64_MAX;
    wrong[4].least = UINT64_MAX;
    wrong[5].least = INT64_MAX;
    wrong[6].success = 1; /* 1970 */
    put_head();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        put_record(&wrong[i]);
    put_record(&good);
    put_record(&good);
    put_end();
    cr_expect_eq(load(admission), 2);
    admission_count(admission, &counters);
    cr_expect_eq(counters.destinations, 1);
    cr_expect_eq(harness_look(admission, "good.example").service, 20 * MS);
    admission_destroy(admission);
}

Test(learned_damaged, more_than_are_ever_written)
{
    struct admission *admission = harness_create(10, 100);
    struct admission_counters counters;

    put_head();
    for (unsigned i = 0; i <= LEARNED_MAX; i++)
        put_record(&good);
    put_end();
    cr_expect_eq(load(admission), -EBADMSG);
    admission_count(admission, &counters);
    cr_expect_eq(counters.destinations, 0);
    admission_destroy(admission);
}

Test(learned_damaged, a_time_after_the_writing_is_none)
{
    struct admission *admission = harness_create(10, 100);
    struct record later = good;

    later.success = WALL + SECOND;
    put_head();
    put_record(&later);
    put_end();
    cr_expect_eq(load(admission), 0, "it is not worth to be kept");
    admission_destroy(admission);
}

/* No boot was long enough ago for that; what is older than the date is not known. */
Test(learned_damaged, a_date_before_what_was_learned)
{
    struct admission *admission = harness_create(10, 100), *after = harness_create(10, 100);
    unsigned limit;

    harness_once(admission, 0, "good.example", ADMISSION_DELIVERED, 20 * MS, 0);
    cr_assert_eq(learned_save(directory, NAME, admission, 240, 60 * SECOND, 30 * SECOND), 0);
    cr_expect_eq(learned_load(directory, NAME, after, &limit, 0, 31 * SECOND), 0);
    cr_expect_eq(learned_save(directory, NAME, admission, 240, 60 * SECOND, 0), -EINVAL);
    admission_destroy(admission);
    admission_destroy(after);
}

/* --- no file, no room --------------------------------------------------------------------------------- */

Test(learned_damaged, far_too_large_a_file_goes_away)
{
    struct admission *admission = harness_create(10, 100);
    int file = openat(directory, NAME, O_WRONLY | O_CREAT, 0600);

    cr_assert_eq(ftruncate(file, 1 << 30), 0);
    close(file);
    cr_expect_eq(load(admission), -EBADMSG);
    cr_expect_eq(load(admission), -ENOENT);
    admission_destroy(admission);
}

/* The last good one stays, and nothing beside it. */
Test(learned_damaged, a_full_disk)
{
    struct admission *admission = harness_create(10, 100), *after = harness_create(10, 100);
    struct rlimit before, few;

    harness_once(admission, 0, "good.example", ADMISSION_DELIVERED, 20 * MS, 0);
    cr_assert_eq(learned_save(directory, NAME, admission, 240, SECOND, WALL), 0);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    few = (struct rlimit){.rlim_cur = 40, .rlim_max = before.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &few), 0);
    cr_expect_eq(learned_save(directory, NAME, admission, 100, SECOND, WALL), -EFBIG);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    cr_expect_neq(faccessat(directory, NAME ".new", F_OK, 0), 0);
    cr_expect_eq(load(after), 1);
    admission_destroy(admission);
    admission_destroy(after);
}

/* So many that they are written piece by piece: it ends with the first that cannot be. */
Test(learned_damaged, a_disk_that_is_full_in_the_middle)
{
    struct admission *admission = harness_create(10, 1000);
    struct rlimit before, few;
    char key[64];

    for (unsigned i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "domain-with-a-long-name-%u.example", i);
        harness_once(admission, 0, key, ADMISSION_DELIVERED, 20 * MS, 0);
    }
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    few = (struct rlimit){.rlim_cur = 10000, .rlim_max = before.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &few), 0);
    cr_expect_eq(learned_save(directory, NAME, admission, 100, SECOND, WALL), -EFBIG);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    cr_expect_neq(faccessat(directory, NAME, F_OK, 0), 0);
    cr_expect_neq(faccessat(directory, NAME ".new", F_OK, 0), 0);
    admission_destroy(admission);
}

/* Nothing was heard of one for more than a week, of the other an hour ago. */
Test(learned_damaged, what_is_old_is_not_written)
{
    struct admission *admission = harness_create(10, 100), *after = harness_create(10, 100);
    struct admission_view view;
    int64_t now = INT64_C(8) * 24 * 3600 * SECOND;
    struct stat status;

    harness_once(admission, 0, "old.example", ADMISSION_DELIVERED, 20 * MS, 0);
    harness_once(admission, 0, "dead.example", ADMISSION_FAILED, 20 * MS, now - 3600 * SECOND);
    cr_assert_eq(learned_save(directory, NAME, admission, 240, now, WALL), 0);
    cr_assert_eq(fstatat(directory, NAME, &status, 0), 0);
    cr_expect_lt(status.st_size, 100, "one record");
    cr_expect_eq(load(after), 1);
    cr_expect_eq(admission_look(after, "old.example", 11, &view), -ENOENT);
    cr_expect_neq(harness_look(after, "dead.example").last_failure, ADMISSION_NEVER);
    admission_destroy(admission);
    admission_destroy(after);
}

/* A directory of that name: it is said, each time, and nothing else is harmed. */
Test(learned_damaged, a_directory_in_its_place)
{
    struct admission *admission = harness_create(10, 100);
    char name[300];

    cr_assert_eq(mkdirat(directory, NAME, 0700), 0);
    cr_expect_eq(learned_save(directory, NAME, admission, 240, 0, WALL), -EISDIR);
    cr_expect_neq(faccessat(directory, NAME ".new", F_OK, 0), 0);
    cr_expect_eq(load(admission), -EBADMSG);
    cr_expect_eq(unlinkat(directory, NAME, AT_REMOVEDIR), 0);
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    cr_expect_eq(learned_save(directory, name, admission, 240, 0, WALL), -EINVAL);
    admission_destroy(admission);
}
