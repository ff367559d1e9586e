/* supervisor/dispatcher/router_holds.c: what an operator holds, as its file says. */

#include "tests/unit/router_harness.h"

#include <sys/resource.h>

#include "supervisor/base/clock.h"
#include "supervisor/report/holds.h"

static void launch_as_root(void)
{
    launch(2, CONFIG_LIMIT_FIXED);
    snprintf(t.postconf.config_directory, sizeof t.postconf.config_directory, "%s", peer_directory);
    t.router.service = "lmtp";
    if (geteuid() != 0)
        cr_skip_test("only root's file is heeded");
}

/* One more line of the file than before, or none at all. The time of the change is another one in any case. */
static void holds(const char *text)
{
    struct stat before = {0}, after = {0};

    lstat(HOLDS_FILE, &before);
    do {
        put(HOLDS_FILE, text);
        lstat(HOLDS_FILE, &after);
    } while (memcmp(&before.st_ctim, &after.st_ctim, sizeof after.st_ctim) == 0);
}

static bool is_held(const char *key)
{
    struct admission_view view;

    return admission_look(t.router.admission, key, strlen(key), &view) == 0 && view.held;
}

static void ticks(void)
{
    later(2 * TICK);
    settle_down();
}

/* Its mail waits, and that of others does not; released it goes. */
Test(router_holds, mail_waits_until_it_is_released, .fini = teardown)
{
    int number, fd;

    launch_as_root();
    number = first_worker();
    fd = ask("AAA");
    reply(serve(number, "AAA"), WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    cr_expect_not(is_held("example.com"));

    holds("example.com - 1 0 root\nother.example lmtp 1 0 root\n");
    ticks();
    cr_expect(is_held("example.com"));
    cr_expect_eq(t.router.held.count, 2);
    fd = ask("BBB");
    UNTIL(waiting() == 1);
    settle_down();
    cr_expect_not(peer_connected(t.process[number].listening));
    /* The same file, changed: the inode alone would not tell. */
    holds("other.example lmtp 1 0 root\n");
    ticks();
    cr_expect_not(is_held("example.com"));
    reply(serve(number, "BBB"), WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    cr_expect_eq(t.router.held.count, 1);
    cr_assert_eq(unlink(HOLDS_FILE), 0);
    ticks();
    cr_expect_eq(t.router.held.count, 0);
    expect_empty();
}

Test(router_holds, another_service_is_not_this_one, .fini = teardown)
{
    int number, fd;

    launch_as_root();
    number = first_worker();
    holds("example.com smtp 1 0 root\n");
    ticks();
    cr_expect_eq(t.router.held.count, 0);
    fd = ask("AAA");
    reply(serve(number, "AAA"), WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
}

/* Nobody touches the file: the earliest of the ends is seen, then the next. */
Test(router_holds, they_end_by_the_clock, .fini = teardown)
{
    long long now = (long long)(clock_wall() / 1000000);
    char text[256];
    int number, fd;

    launch_as_root();
    number = first_worker();
    snprintf(text, sizeof text,
             "never.example - 1 0 root\nlate.example - 1 %lld root\nexample.com - 1 %lld root\n"
             "later.example - 1 %lld root\n",
             now + 900, now + 300, now + 950);
    holds(text);
    ticks();
    cr_expect_eq(t.router.held.count, 4);
    cr_expect_eq(t.router.held.until, now + 300);
    fd = ask("AAA");
    UNTIL(waiting() == 1);
    later(290 * SECOND);
    settle_down();
    cr_expect_eq(waiting(), 1);
    later(20 * SECOND);
    reply(serve(number, "AAA"), WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    cr_expect_eq(t.router.held.count, 3);
    cr_expect_eq(t.router.held.until, now + 900);
}

/* What anybody may write is not heeded. */
Test(router_holds, a_file_that_is_not_roots_alone, .fini = teardown)
{
    launch_as_root();
    holds("example.com - 1 0 root\n");
    ticks();
    cr_expect_eq(t.router.held.count, 1);
    cr_assert_eq(chmod(HOLDS_FILE, 0666), 0);
    ticks();
    cr_expect_eq(t.router.held.count, 0);
    cr_assert_eq(chmod(HOLDS_FILE, 0644), 0);
    ticks();
    cr_expect_eq(t.router.held.count, 1);
    /* Nor is what is no file. */
    cr_assert_eq(unlink(HOLDS_FILE), 0);
    cr_assert_eq(mkdir(HOLDS_FILE, 0755), 0);
    ticks();
    cr_expect_eq(t.router.held.count, 0);
    cr_expect_not(t.router.held.unread, "it would be read again and again");
    cr_assert_eq(rmdir(HOLDS_FILE), 0);
}

Test(router_holds, too_many_lines, .fini = teardown)
{
    char text[65 * 32];
    size_t at = 0;

    launch_as_root();
    holds("example.com - 1 0 root\n");
    ticks();
    cr_expect_eq(t.router.held.count, 1);
    for (unsigned i = 0; i <= HOLDS_MAX; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "d%u.example - 1 0 root\n", i);
    holds(text);
    ticks();
    cr_expect_eq(t.router.held.count, 0);
}

/* There is no descriptor for a moment: what is held stays held, and the file is read as soon as there is one. */
Test(router_holds, a_file_that_cannot_be_read_for_a_moment, .fini = teardown)
{
    struct rlimit before, none;
    int next;

    launch_as_root();
    first_worker();
    settle_down();
    holds("example.com - 1 0 root\n");
    ticks();
    cr_expect_eq(t.router.held.count, 1);
    holds("example.com - 1 0 root\nother.example - 1 0 root\n");
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(next);
    none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    router_holds(&t.router);
    router_holds(&t.router);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    cr_expect_eq(t.router.held.count, 1, "it is given up");
    ticks();
    cr_expect_eq(t.router.held.count, 2, "it is not read again");
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    cr_assert_eq(unlink(HOLDS_FILE), 0);
    router_holds(&t.router);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    ticks();
    cr_expect_eq(t.router.held.count, 0);
}

/* Stock would deliver it, so a dry run does; it is counted. */
Test(router_holds, a_dry_run_goes_on, .fini = teardown)
{
    int number, fd;

    launch_as_root();
    t.config.dry_run = true;
    number = first_worker();
    holds("example.com - 1 0 root\n");
    ticks();
    fd = ask("AAA");
    reply(serve(number, "AAA"), WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    cr_expect_eq(t.totals.would_wait_destination, 1);
}
