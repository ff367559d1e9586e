/* When deferred mail comes back, by the times of files. */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/ctl/ctl_deferred.h"

#define NOW 1790000000

static struct ctl_deferred *empty(void)
{
    struct ctl_deferred *deferred = calloc(1, sizeof *deferred);

    deferred->now = NOW;
    return deferred;
}

Test(ctl_deferred, counts_by_time)
{
    struct ctl_deferred *deferred = empty();

    ctl_deferred_add(deferred, NOW - 86400);
    ctl_deferred_add(deferred, NOW);
    ctl_deferred_add(deferred, NOW + 1);
    ctl_deferred_add(deferred, NOW + 299);
    ctl_deferred_add(deferred, NOW + 300);
    ctl_deferred_add(deferred, NOW + 3599);
    ctl_deferred_add(deferred, NOW + 3600);
    ctl_deferred_add(deferred, (time_t)INT64_MAX - 1);
    cr_expect_eq(deferred->due, 2);
    cr_expect_eq(ctl_deferred_row(deferred, 0), 2);
    cr_expect_eq(ctl_deferred_row(deferred, 1), 1);
    cr_expect_eq(ctl_deferred_row(deferred, 11), 1);
    cr_expect_eq(deferred->later, 2);
    cr_expect_eq(ctl_deferred_all(deferred), 8);
    free(deferred);
}

/* 30 s are 30 seconds: what is 29 apart is in one window, what is 30 apart is not. */
Test(ctl_deferred, peak)
{
    struct ctl_deferred *deferred = empty();

    cr_expect_eq(ctl_deferred_peak(deferred).messages, 0);
    ctl_deferred_add(deferred, NOW + 100);
    ctl_deferred_add(deferred, NOW + 130);
    cr_expect_eq(ctl_deferred_peak(deferred).messages, 1);
    ctl_deferred_add(deferred, NOW + 129);
    cr_expect_eq(ctl_deferred_peak(deferred).messages, 2);
    cr_expect_eq(ctl_deferred_peak(deferred).from, NOW + 100);
    ctl_deferred_add(deferred, NOW + 3599);
    ctl_deferred_add(deferred, NOW + 3598);
    ctl_deferred_add(deferred, NOW + 3590);
    cr_expect_eq(ctl_deferred_peak(deferred).messages, 3);
    cr_expect_eq(ctl_deferred_peak(deferred).from, NOW + 3570);
    free(deferred);
}

static void make(const char *directory, const char *name, time_t time)
{
    const struct timespec times[2] = {{.tv_sec = time}, {.tv_sec = time}};
    char path[256];
    int fd;

    snprintf(path, sizeof path, "%s/%s", directory, name);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    cr_assert_geq(fd, 0);
    cr_assert_eq(futimens(fd, times), 0);
    close(fd);
}

static void make_directory(const char *directory, const char *name)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    cr_assert_eq(mkdir(path, 0700), 0);
}

/* Hashed directories of any depth; what is no message is passed over, and a link leads nowhere. */
Test(ctl_deferred, scan)
{
    static const char *const made[] = {"A/1/A111", "A/1",     "A/AAAA", "A",
                                       "AB",       ".hidden", "loop",   ""};
    char directory[] = "/tmp/deferred.XXXXXX", path[256];
    struct ctl_deferred *deferred = empty();

    cr_assert_not_null(mkdtemp(directory));
    make_directory(directory, "A");
    make_directory(directory, "A/1");
    make(directory, "A/AAAA", NOW - 5);
    make(directory, "A/1/A111", NOW + 20);
    make(directory, "AB", NOW + 7200);
    make(directory, ".hidden", NOW);
    snprintf(path, sizeof path, "%s/loop", directory);
    cr_assert_eq(symlink(directory, path), 0);
    cr_expect_eq(ctl_deferred_scan(directory, deferred), 0);
    cr_expect_eq(deferred->due, 1);
    cr_expect_eq(deferred->second[20], 1);
    cr_expect_eq(deferred->later, 1);
    cr_expect_eq(ctl_deferred_all(deferred), 3);
    snprintf(path, sizeof path, "%s/none", directory);
    cr_expect_eq(ctl_deferred_scan(path, deferred), -ENOENT);
    cr_expect_eq(ctl_deferred_count(path, 10), 0);
    cr_expect_eq(ctl_deferred_count(directory, 10), 3);
    cr_expect_eq(ctl_deferred_count(directory, 2), 2, "no more are asked for");
    for (unsigned i = 0; i < sizeof made / sizeof *made; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, made[i]);
        cr_expect_eq(remove(path), 0);
    }
    free(deferred);
}
