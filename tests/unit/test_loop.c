/* supervisor/base/loop.c with real descriptors, and a clock that the test moves. */

#include "supervisor/base/loop.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/jump.h"

#define COUNT 100 /* more than are taken at once */

struct seen {
    struct loop *loop;
    struct watch watch;
    int ends[2];
    unsigned calls;
    uint32_t events;
    struct seen *ends_this; /* what its handler closes */
    struct seen *reopens;   /* or closes and uses again for a descriptor of the same number */
    uint64_t jump;          /* how far the clock moves in its handler */
};

/* The watchdog, as the loop sets it. */
static unsigned fed;
static unsigned fed_for;
static unsigned bites_after; /* ms, below 1000; 0: it does not */

unsigned alarm(unsigned seconds)
{
    const struct itimerval timer = {.it_value = {.tv_usec = (suseconds_t)bites_after * 1000}};

    fed++;
    fed_for = seconds;
    if (bites_after > 0)
        setitimer(ITIMER_REAL, &timer, NULL);
    return 0;
}

static void on_ready(void *owner, int fd, uint32_t events);

/* Without waiting. */
static void turn(struct loop *loop)
{
    loop_turn(loop, loop->now);
}

static void seen_open(struct loop *loop, struct seen *seen, uint32_t events)
{
    seen->loop = loop;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, seen->ends), 0);
    cr_assert_eq(watch_on(loop, &seen->watch, seen->ends[0], events, on_ready, seen), 0);
}

static void seen_close(struct seen *seen)
{
    watch_forget(seen->loop, &seen->watch);
    close(seen->ends[0]);
    close(seen->ends[1]);
}

static void seen_poke(const struct seen *seen)
{
    cr_assert_eq(write(seen->ends[1], "x", 1), 1);
}

static void on_ready(void *owner, int fd, uint32_t events)
{
    struct seen *seen = owner;
    char byte;

    cr_expect_eq(fd, seen->ends[0]);
    seen->calls++;
    seen->events = events;
    jumped += seen->jump;
    if (events & EPOLLIN)
        cr_expect_eq(read(fd, &byte, 1), 1);
    if (seen->ends_this)
        seen_close(seen->ends_this);
    if (seen->reopens) {
        seen_close(seen->reopens);
        seen_open(seen->loop, seen->reopens, EPOLLIN);
    }
}

Test(loop, all_that_is_ready_is_handed_out_once)
{
    static struct seen seen[COUNT];
    struct loop loop;

    cr_assert_eq(loop_create(&loop), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        seen_open(&loop, &seen[i], EPOLLIN);
        seen_poke(&seen[i]);
    }
    turn(&loop);
    turn(&loop);
    turn(&loop);
    for (unsigned i = 0; i < COUNT; i++) {
        cr_expect_eq(seen[i].calls, 1, "%u was called %u times", i, seen[i].calls);
        seen_close(&seen[i]);
    }
    loop_destroy(&loop);
}

/* Two are ready together, and either does to the other what it was made for: only one is called, whichever comes first. */
static void only_one_is_called(struct loop *loop, struct seen *one, struct seen *other)
{
    cr_assert_eq(loop_create(loop), 0);
    seen_open(loop, one, EPOLLIN);
    seen_open(loop, other, EPOLLIN);
    seen_poke(one);
    seen_poke(other);
    turn(loop);
    cr_expect_eq(one->calls + other->calls, 1);
    turn(loop);
    cr_expect_eq(one->calls + other->calls, 1);
}

Test(loop, one_that_is_ended_is_not_called)
{
    struct seen other = {0};
    struct seen one = {.ends_this = &other};
    struct loop loop;

    other.ends_this = &one;
    only_one_is_called(&loop, &one, &other);
    loop_destroy(&loop);
}

/* The event was of the descriptor before: the new one has nothing to say. */
Test(loop, one_that_is_used_again_begins_again)
{
    struct seen other = {0};
    struct seen one = {.reopens = &other};
    struct loop loop;

    other.reopens = &one;
    only_one_is_called(&loop, &one, &other);
    seen_close(&one);
    seen_close(&other);
    loop_destroy(&loop);
}

Test(loop, other_events_are_told_when_asked_for)
{
    struct seen seen = {0};
    struct loop loop;

    cr_assert_eq(loop_create(&loop), 0);
    seen_open(&loop, &seen, 0);
    seen_poke(&seen);
    turn(&loop);
    cr_expect_eq(seen.calls, 0);
    watch_change(&loop, &seen.watch, EPOLLOUT);
    turn(&loop);
    cr_expect_eq(seen.calls, 1);
    cr_expect_eq(seen.events, (uint32_t)EPOLLOUT);
    watch_change(&loop, &seen.watch, EPOLLIN);
    turn(&loop);
    cr_expect_eq(seen.calls, 2);
    cr_expect_eq(seen.events, (uint32_t)EPOLLIN);
    seen_close(&seen);
    loop_destroy(&loop);
}

/* Forgotten only, it would be told of as long as somebody has it open: by a watch that may be something else by then. */
Test(loop, one_that_stays_open_is_removed)
{
    struct loop loop;
    struct seen seen = {0};
    struct epoll_event event;

    cr_assert_eq(loop_create(&loop), 0);
    seen_open(&loop, &seen, EPOLLIN);
    seen_poke(&seen);
    watch_remove(&loop, &seen.watch);
    watch_remove(&loop, &seen.watch); /* harmless */
    cr_assert_eq(epoll_wait(loop.epoll, &event, 1, 0), 0);
    turn(&loop);
    cr_assert_eq(seen.calls, 0);
    seen_close(&seen);
    loop_destroy(&loop);
}

Test(loop, what_cannot_be_watched_is_an_error)
{
    struct watch watch = {0};
    struct loop loop;

    cr_assert_eq(loop_create(&loop), 0);
    cr_expect_lt(watch_on(&loop, &watch, -1, EPOLLIN, on_ready, NULL), 0);
    cr_expect_not(watch.on);
    watch_change(&loop, &watch, EPOLLOUT); /* harmless */
    watch_forget(&loop, &watch);
    watch_remove(&loop, &watch);
    loop_destroy(&loop);
}

/* A turn that ended early would be followed by others that find nothing due either. */
Test(loop, a_turn_waits_until_it_is_time_and_not_for_longer)
{
    struct loop loop;
    uint64_t until;

    cr_assert_eq(loop_create(&loop), 0);
    for (unsigned i = 0; i < 5; i++) {
        until = loop.now + 3100 + UINT64_C(200) * i;
        loop_turn(&loop, until);
        cr_expect_geq(loop.now, until);
    }
    until = loop.now;
    loop_turn(&loop, UINT64_MAX);
    cr_expect_geq(loop.now - until, LOOP_LONGEST);
    cr_expect_lt(loop.now - until, LOOP_LONGEST * 3 / 2);
    loop_destroy(&loop);
}

/* How many turns come in that time, when the caller is due in each of them. */
static unsigned turns_in(struct loop *loop, uint64_t time)
{
    uint64_t end = real_now() + time;
    unsigned turns;

    for (turns = 0; real_now() < end; turns++)
        loop_turn(loop, 0);
    return turns;
}

/* After the first ones, each takes a millisecond. */
Test(loop, a_caller_that_is_always_due_does_not_spin)
{
    struct loop loop;
    struct seen seen = {0};

    cr_assert_eq(loop_create(&loop), 0);
    cr_expect_leq(turns_in(&loop, SECOND / 4), LOOP_RESTLESS + 250 + 1);
    /* Descriptors have their turn in any case, at once. */
    seen_open(&loop, &seen, EPOLLIN);
    for (unsigned i = 1; i <= 10; i++) {
        seen_poke(&seen);
        loop_turn(&loop, 0);
        cr_expect_eq(seen.calls, i);
    }
    cr_expect_leq(turns_in(&loop, SECOND / 20), 50 + 1, "events make it spin again");
    /* One that waited of its own wish has been patient: it may be due again without delay. */
    turns_in(&loop, SECOND / 100);
    loop_turn(&loop, loop.now + 2000);
    cr_expect_eq(loop.restless, 0);
    seen_close(&seen);
    loop_destroy(&loop);
}

/*
 * The clock jumps in a handler, and the caller goes by the time of the turn, which is of before the
 * jump: what is due soon after that is long past. A turn goes by the clock of now, the next event
 * is handed out, and turns are as many as without the jump.
 */
Test(loop, a_clock_that_jumps_in_a_handler_leaves_nothing_due_for_ever)
{
    for (unsigned i = 0; i < JUMPS; i++) {
        struct seen jumper = {.jump = jumps[i]};
        struct seen seen = {0};
        struct loop loop;
        uint64_t before, due, begin;
        unsigned turns = 0;

        cr_assert_eq(loop_create(&loop), 0);
        seen_open(&loop, &jumper, EPOLLIN);
        seen_open(&loop, &seen, EPOLLIN);
        before = loop.now;
        seen_poke(&jumper);
        turn(&loop);
        cr_assert_eq(jumper.calls, 1);
        due = loop.now + SECOND / 5; /* past, by now */
        begin = real_now();
        loop_turn(&loop, due);
        cr_expect_lt(real_now() - begin, SECOND / 10, "it waits for what is past");
        begin = real_now();
        seen_poke(&seen);
        while (real_now() - begin < SECOND / 20) {
            loop_turn(&loop, due);
            turns++;
            if (loop.now >= due)
                due = loop.now + SECOND / 100;
        }
        cr_expect_eq(seen.calls, 1);
        cr_expect_geq(loop.now - before, jumps[i]);
        cr_expect_leq(turns, 5 + 3, "%u turns after %lu us", turns, (unsigned long)jumps[i]);
        seen_close(&jumper);
        seen_close(&seen);
        loop_destroy(&loop);
    }
}

/* By the clock, and by turns that come round: once a second, not once a turn. */
Test(loop, the_watchdog_is_fed_once_a_second)
{
    struct loop loop;

    cr_assert_eq(loop_create(&loop), 0);
    for (unsigned i = 0; i < 10; i++)
        turn(&loop);
    cr_expect_eq(fed, 1);
    cr_expect_eq(fed_for, (unsigned)LOOP_WATCHDOG);
    for (unsigned i = 2; i < 10; i++) {
        jumped += SECOND;
        turn(&loop);
        turn(&loop);
        cr_expect_eq(fed, i);
    }
    loop_destroy(&loop);
}

static void hang(void *owner, int fd, uint32_t events)
{
    volatile unsigned round = 0;

    (void)owner;
    (void)fd;
    (void)events;
    for (;;)
        round = round + 1;
}

Test(loop, a_handler_that_hangs_ends_the_process)
{
    pid_t process = fork();
    int status;

    cr_assert_geq(process, 0);
    if (process == 0) {
        struct seen seen = {0};
        struct loop loop;

        signal(SIGALRM, SIG_DFL);
        bites_after = 100;
        loop_create(&loop);
        seen_open(&loop, &seen, EPOLLIN);
        seen.watch.handler = hang;
        seen_poke(&seen);
        turn(&loop);
        _exit(0);
    }
    cr_assert_eq(waitpid(process, &status, 0), process);
    cr_assert(WIFSIGNALED(status), "it came back");
    cr_expect_eq(WTERMSIG(status), SIGALRM);
}
