/*
 * epoll_wait(2): the dispatcher has done its turn and waits. Here the world goes on.
 */

#include <errno.h>
#include <sys/epoll.h>

#include "tests/world/calls.h"
#include "tests/world/kernel.h"
#include "tests/world/world.h"

/* More turns than this that neither waited nor found anything, or that moved nothing, are a spin. */
#define RESTLESS 80
#define MOVELESS 5000

static uint32_t stream_events(const struct stream *stream)
{
    uint32_t events = 0;

    if (stream->in > stream->in_at || stream->theirs == 0 || stream->shut)
        events |= EPOLLIN;
    if (stream->theirs == 0 || stream->shut)
        events |= EPOLLHUP | EPOLLRDHUP;
    if (stream->reset)
        events |= EPOLLERR;
    if (stream->room > stream->out || stream->theirs == 0)
        events |= EPOLLOUT;
    return events;
}

static uint32_t events_of(const struct descriptor *descriptor)
{
    switch (descriptor->kind) {
    case KIND_STREAM:
        return stream_events(&streams[descriptor->object]);
    case KIND_LISTENER:
        return listeners[descriptor->object].waiting > 0 ? EPOLLIN : 0;
    case KIND_CHANNEL:
        return parent_has_news() || kernel.parent_gone ? EPOLLIN : 0;
    case KIND_SIGNAL:
        return kernel.signalled ? EPOLLIN : 0;
    case KIND_MASTER:
        return kernel.master_gone ? EPOLLIN | EPOLLHUP : 0;
    case KIND_TRIGGER:
        return kernel.pressure ? EPOLLPRI : 0;
    default:
        return 0;
    }
}

/* What is ready, in any order. */
static int ready(struct epoll_event *into, int most)
{
    int count = 0;

    for (int fd = 0; fd < kernel.top; fd++) {
        struct descriptor *descriptor = &descriptors[fd];
        uint32_t events;

        if (!descriptor->watched)
            continue;
        events = events_of(descriptor) & (descriptor->events | EPOLLHUP | EPOLLERR);
        if (events == 0)
            continue;
        if (count < most)
            into[count++] = (struct epoll_event){.events = events, .data.ptr = descriptor->data};
        else
            into[draw_below((uint64_t)most)] =
                (struct epoll_event){.events = events, .data.ptr = descriptor->data};
    }
    for (int i = count - 1; i > 0; i--) {
        uint64_t other = draw_below((uint64_t)i + 1);
        struct epoll_event event = into[i];

        into[i] = into[other];
        into[other] = event;
    }
    if (count > 0)
        kernel.pressure = false;
    return count;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When something of the world happens by itself. */
static uint64_t next(void)
{
    uint64_t when = least(mail_next(), least(workers_next(), deferrals_next()));

    return least(when, outside_next());
}

static void act(void)
{
    mail_act();
    workers_act();
    deferrals_act();
    outside_act();
}

/* The machine sleeps, or the dispatcher does not get the CPU: all others go on, or none. */
static void jump(void)
{
    uint64_t until = world.now + draw_from(1, chance(100) ? SECONDS(600) : SECONDS(20));
    bool alone = chance(500);

    note("the dispatcher is away for %.1f s", (double)(until - world.now) / 1e6);
    figures[JUMPS]++;
    world.dozed |= world.woken > 0 && world.now - world.woken < SECONDS(60);
    while (alone && next() < until) {
        if (next() > world.now)
            world.now = next();
        act();
    }
    if (world.now < until)
        world.now = until;
    world.woken = kernel.fed = world.now;
}

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
    uint64_t began = world.now, until = world.now + (uint64_t)timeout * 1000;
    int count;

    (void)epoll;
    world.steps++;
    figures[STEPS]++;
    promise_step();
    if (strikes(CLOCK_JUMPS, 2))
        jump();
    for (;;) {
        act();
        count = ready(events, most);
        if (count > 0 || world.now >= until)
            break;
        /* It may be woken late. */
        world.now = least(next() > world.now ? next() : world.now + 1, until);
    }
    kernel.idle_turns = count == 0 && timeout == 0 ? kernel.idle_turns + 1 : 0;
    kernel.idle_calls = world.now - began < 1000 ? kernel.idle_calls + 1 : 0;
    if (kernel.idle_turns > RESTLESS || kernel.idle_calls > MOVELESS)
        broken("10: no spin", "%llu turns without a wait, %llu that moved nothing",
               (unsigned long long)kernel.idle_turns, (unsigned long long)kernel.idle_calls);
    world.now += draw_below(100);
    if (count == 0 && !world.plan.calm && chance(10)) {
        errno = EINTR;
        return -1;
    }
    return count;
}
