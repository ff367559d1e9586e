#include "supervisor/base/loop.h"

#include <errno.h>
#include <unistd.h>

#include "supervisor/base/clock.h"

int loop_create(struct loop *loop)
{
    *loop = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
    loop->now = clock_monotonic();
    return loop->epoll < 0 ? -errno : 0;
}

void loop_destroy(struct loop *loop)
{
    if (loop->epoll >= 0)
        close(loop->epoll);
    loop->epoll = -1;
}

/* By the clock of now: the turn before may have begun long ago. Milliseconds, rounded up. */
static int wait_for(struct loop *loop, uint64_t until)
{
    uint64_t now = clock_monotonic();
    uint64_t left = until > now ? until - now : 0;

    if (left == 0)
        return loop->restless < LOOP_RESTLESS ? 0 : 1;
    loop->restless = 0;
    return left > LOOP_LONGEST ? (int)(LOOP_LONGEST / 1000) : (int)((left + 999) / 1000);
}

static void feed(struct loop *loop)
{
    if (loop->fed != 0 && loop->now - loop->fed < UINT64_C(1000000))
        return;
    loop->fed = loop->now;
    alarm(LOOP_WATCHDOG);
}

void loop_turn(struct loop *loop, uint64_t until)
{
    int timeout = wait_for(loop, until);
    int ready = epoll_wait(loop->epoll, loop->ready, LOOP_EVENTS, timeout);

    /* Interrupted, nothing is ready. */
    loop->ready_count = ready > 0 ? (unsigned)ready : 0;
    if (timeout == 0 && ready <= 0)
        loop->restless++;
    loop->now = clock_monotonic();
    feed(loop);
    for (loop->at = 0; loop->at < loop->ready_count; loop->at++) {
        const struct epoll_event *event = &loop->ready[loop->at];
        const struct watch *watch = event->data.ptr;

        if (watch)
            watch->handler(watch->owner, watch->fd, event->events);
    }
    loop->ready_count = 0;
}

int watch_on(struct loop *loop, struct watch *watch, int fd, uint32_t events, watch_handler handler,
             void *owner)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    *watch =
        (struct watch){.on = true, .fd = fd, .events = events, .handler = handler, .owner = owner};
    return 0;
}

void watch_change(struct loop *loop, struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (!watch->on || watch->events == events)
        return;
    /* A change takes no memory, so the kernel does not fail it. */
    if (epoll_ctl(loop->epoll, EPOLL_CTL_MOD, watch->fd, &event) == 0)
        watch->events = events;
}

void watch_forget(struct loop *loop, struct watch *watch)
{
    if (!watch->on)
        return;
    watch->on = false;
    /* An event that was taken and not handed out yet is of a descriptor that is closed now. */
    for (unsigned i = loop->at; i < loop->ready_count; i++)
        if (loop->ready[i].data.ptr == watch)
            loop->ready[i].data.ptr = NULL;
}

void watch_remove(struct loop *loop, struct watch *watch)
{
    if (watch->on)
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    watch_forget(loop, watch);
}
