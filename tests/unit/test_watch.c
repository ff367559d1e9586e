/* supervisor/base/watch.c with real descriptors. */

#include "supervisor/base/watch.h"

#include <criterion/criterion.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT 100 /* more than are taken at once */

struct seen {
    struct watcher *watcher;
    struct watch watch;
    int ends[2];
    unsigned calls;
    uint32_t events;
    struct seen *ends_this; /* what its handler closes */
    struct seen *reopens;   /* or closes and uses again for a descriptor of the same number */
};

static void on_ready(void *owner, int fd, uint32_t events);

static void turn(struct watcher *watcher)
{
    watcher_wait(watcher, 0);
    watcher_dispatch(watcher);
}

static void seen_open(struct watcher *watcher, struct seen *seen, uint32_t events)
{
    seen->watcher = watcher;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, seen->ends), 0);
    cr_assert_eq(watch_on(watcher, &seen->watch, seen->ends[0], events, on_ready, seen), 0);
}

static void seen_close(struct seen *seen)
{
    watch_forget(seen->watcher, &seen->watch);
    close(seen->ends[0]);
    close(seen->ends[1]);
}

static void on_ready(void *owner, int fd, uint32_t events)
{
    struct seen *seen = owner;
    char byte;

    cr_expect_eq(fd, seen->ends[0]);
    seen->calls++;
    seen->events = events;
    if (events & EPOLLIN)
        cr_expect_eq(read(fd, &byte, 1), 1);
    if (seen->ends_this)
        seen_close(seen->ends_this);
    if (seen->reopens) {
        seen_close(seen->reopens);
        seen_open(seen->watcher, seen->reopens, EPOLLIN);
    }
}

Test(watch, all_that_is_ready_is_handed_out_once)
{
    static struct seen seen[COUNT];
    struct watcher watcher;

    cr_assert_eq(watcher_create(&watcher), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        seen_open(&watcher, &seen[i], EPOLLIN);
        cr_assert_eq(write(seen[i].ends[1], "x", 1), 1);
    }
    turn(&watcher);
    turn(&watcher);
    turn(&watcher);
    for (unsigned i = 0; i < COUNT; i++) {
        cr_expect_eq(seen[i].calls, 1, "%u was called %u times", i, seen[i].calls);
        seen_close(&seen[i]);
    }
    watcher_destroy(&watcher);
}

/* Two are ready together, and either does to the other what it was made for: only one is called, whichever comes first. */
static void only_one_is_called(struct watcher *watcher, struct seen *one, struct seen *other)
{
    cr_assert_eq(watcher_create(watcher), 0);
    seen_open(watcher, one, EPOLLIN);
    seen_open(watcher, other, EPOLLIN);
    cr_assert_eq(write(one->ends[1], "x", 1), 1);
    cr_assert_eq(write(other->ends[1], "x", 1), 1);
    turn(watcher);
    cr_expect_eq(one->calls + other->calls, 1);
    turn(watcher);
    cr_expect_eq(one->calls + other->calls, 1);
}

Test(watch, one_that_is_ended_is_not_called)
{
    struct seen other = {0};
    struct seen one = {.ends_this = &other};
    struct watcher watcher;

    other.ends_this = &one;
    only_one_is_called(&watcher, &one, &other);
    watcher_destroy(&watcher);
}

/* What was ready was the descriptor before: the new one has said nothing. */
Test(watch, one_that_is_used_again_begins_anew)
{
    struct seen other = {0};
    struct seen one = {.reopens = &other};
    struct watcher watcher;

    other.reopens = &one;
    only_one_is_called(&watcher, &one, &other);
    seen_close(&one);
    seen_close(&other);
    watcher_destroy(&watcher);
}

Test(watch, other_events_are_told_when_asked_for)
{
    struct seen seen = {0};
    struct watcher watcher;

    cr_assert_eq(watcher_create(&watcher), 0);
    seen_open(&watcher, &seen, 0);
    cr_assert_eq(write(seen.ends[1], "x", 1), 1);
    turn(&watcher);
    cr_expect_eq(seen.calls, 0);
    watch_change(&watcher, &seen.watch, EPOLLOUT);
    turn(&watcher);
    cr_expect_eq(seen.calls, 1);
    cr_expect_eq(seen.events, (uint32_t)EPOLLOUT);
    watch_change(&watcher, &seen.watch, EPOLLIN);
    turn(&watcher);
    cr_expect_eq(seen.calls, 2);
    cr_expect_eq(seen.events, (uint32_t)EPOLLIN);
    seen_close(&seen);
    watcher_destroy(&watcher);
}

/* Forgotten only, it would be told of as long as somebody has it open: by a watch that may be something else by then. */
Test(watch, one_that_stays_open_is_removed)
{
    struct watcher watcher;
    struct seen seen = {0};
    struct epoll_event event;

    cr_assert_eq(watcher_create(&watcher), 0);
    seen_open(&watcher, &seen, EPOLLIN);
    cr_assert_eq(write(seen.ends[1], "x", 1), 1);
    watch_remove(&watcher, &seen.watch);
    watch_remove(&watcher, &seen.watch); /* harmless */
    cr_assert_eq(epoll_wait(watcher.epoll, &event, 1, 0), 0);
    turn(&watcher);
    cr_assert_eq(seen.calls, 0);
    seen_close(&seen);
    watcher_destroy(&watcher);
}
