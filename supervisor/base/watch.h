#ifndef SUPERVISOR_BASE_WATCH_H
#define SUPERVISOR_BASE_WATCH_H

/*
 * The descriptors of clients and workers: an epoll(7) of our own, which is what the dispatcher waits for. All that sd-event
 * looks after (signals, timers, the few other descriptors) is one descriptor of it: sd_event_get_fd(3). Not pressure triggers:
 * their event is gone once poll(2) has told it, and here the outer epoll would ask first, so that the inner finds nothing.
 *
 * sd-event asks the kernel once more for every event that it hands out, and takes a descriptor out before it is closed. With
 * five events for each delivery that was more than a third of the dispatcher's system calls. Here all that is ready is
 * taken with one call and handed out in turn, and closing a descriptor takes it out.
 *
 * A watch belongs to its owner and must stay where it is while it is on. Not for descriptors that another process has too:
 * those stay in epoll when they are closed; watch_remove() is for them.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/* What is taken with one call. More would only make timers wait. */
#define WATCH_AT_ONCE 64

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

struct watcher {
    int epoll; /* -1: none */
    unsigned at;
    unsigned ready_count;
    struct epoll_event ready[WATCH_AT_ONCE];
};

/* 0 or a negative errno. */
int watcher_create(struct watcher *watcher);
void watcher_destroy(struct watcher *watcher);

/* Waits until something is ready, at most `timeout` ms; -1: without end. */
void watcher_wait(struct watcher *watcher, int timeout);

/* Hands out what was ready. A handler may end any watch, its own too. */
void watcher_dispatch(struct watcher *watcher);

/* From now on the handler is called for these events (EPOLLIN and so on). 0 or a negative errno. */
int watch_on(struct watcher *watcher, struct watch *watch, int fd, uint32_t events,
             watch_handler handler, void *owner);

/* For other events. Nothing is asked of the kernel when they are the same. */
void watch_change(struct watcher *watcher, struct watch *watch, uint32_t events);

/* The handler is not called any more; the descriptor is to be closed at once. Harmless when it is off. */
void watch_forget(struct watcher *watcher, struct watch *watch);

/* The same for a descriptor that stays open, here or in another process. */
void watch_remove(struct watcher *watcher, struct watch *watch);

#endif
