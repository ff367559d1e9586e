#ifndef SUPERVISOR_BASE_LOOP_H
#define SUPERVISOR_BASE_LOOP_H

/*
 * The one event loop of the dispatcher: an epoll(7), and one moment until which a turn may wait.
 *
 * A turn waits, reads the clock, and hands out what is ready. There are no timers to arm: the
 * caller says with each turn by when it wants to be back. So nothing can be due for ever. A turn
 * waits for LOOP_LONGEST at most.
 *
 * A caller that is always due does not spin: after LOOP_RESTLESS turns that neither waited nor
 * found anything, each turn waits for a millisecond or an event, until the caller is not due.
 *
 * The watchdog: SIGALRM ends a process whose loop has not come round for LOOP_WATCHDOG seconds,
 * as Postfix's own daemons are ended. It is fed here and nowhere else.
 *
 * sd-event is not used: it asks the kernel once more for every event that it hands out, allocates
 * for each descriptor, and takes a descriptor out before it is closed. With five events for each
 * delivery that was more than a third of the dispatcher's system calls.
 *
 * A watch belongs to its owner and must stay where it is while it is on. A descriptor that another
 * process has too stays in epoll when it is closed: watch_remove() is for those.
 *
 * Functions return 0 or a negative errno. Times are microseconds of base/clock.h.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/* What is taken with one call. More would only make the rest of the turn wait. */
#define LOOP_EVENTS 64

/* The longest wait of a turn. */
#define LOOP_LONGEST UINT64_C(1000000)

#define LOOP_RESTLESS 64

/* A machine that thrashes is slow for less than this. Seconds. */
#define LOOP_WATCHDOG 300

struct watch;

/* `owner` is what watch_on() was given. */
typedef void (*watch_handler)(void *owner, int fd, uint32_t events);

/* All zero: never used. */
struct watch {
    bool on;
    int fd;
    uint32_t events;
    watch_handler handler;
    void *owner;
};

struct loop {
    int epoll;         /* -1: none */
    uint64_t now;      /* the time of this turn */
    uint64_t fed;      /* when the watchdog was fed */
    unsigned restless; /* turns that found nothing, since the caller was not due */
    unsigned at;
    unsigned ready_count;
    struct epoll_event ready[LOOP_EVENTS];
};

int loop_create(struct loop *loop);
void loop_destroy(struct loop *loop);

/*
 * One turn: waits until something is ready or the clock says `until`, whichever is first, and
 * calls the handlers. A handler may end any watch, its own too.
 */
void loop_turn(struct loop *loop, uint64_t until);

/* From now on the handler is called for these events (EPOLLIN and so on). */
int watch_on(struct loop *loop, struct watch *watch, int fd, uint32_t events, watch_handler handler,
             void *owner);

/* For other events. Nothing is asked of the kernel when they are the same. */
void watch_change(struct loop *loop, struct watch *watch, uint32_t events);

/* Ends a watch whose descriptor is closed at once. Harmless when it is off. */
void watch_forget(struct loop *loop, struct watch *watch);

/* Ends a watch whose descriptor stays open, here or in another process. */
void watch_remove(struct loop *loop, struct watch *watch);

#endif
