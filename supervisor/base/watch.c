#include "supervisor/base/watch.h"

#include <errno.h>
#include <unistd.h>

int watcher_create(struct watcher *watcher)
{
    watcher->at = 0;
    watcher->ready_count = 0;
    watcher->epoll = epoll_create1(EPOLL_CLOEXEC);
    return watcher->epoll < 0 ? -errno : 0;
}

void watcher_destroy(struct watcher *watcher)
{
    if (watcher->epoll >= 0)
        close(watcher->epoll);
    watcher->epoll = -1;
}

void watcher_wait(struct watcher *watcher, int timeout)
{
    int ready = epoll_wait(watcher->epoll, watcher->ready, WATCH_AT_ONCE, timeout);

    /* Interrupted, nothing is ready. */
    watcher->ready_count = ready > 0 ? (unsigned)ready : 0;
}

void watcher_dispatch(struct watcher *watcher)
{
    for (watcher->at = 0; watcher->at < watcher->ready_count; watcher->at++) {
        const struct epoll_event *event = &watcher->ready[watcher->at];
        const struct watch *watch = event->data.ptr;

        if (watch)
            watch->handler(watch->owner, watch->fd, event->events);
    }
    watcher->ready_count = 0;
}

int watch_on(struct watcher *watcher, struct watch *watch, int fd, uint32_t events,
             watch_handler handler, void *owner)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (epoll_ctl(watcher->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    *watch =
        (struct watch){.on = true, .fd = fd, .events = events, .handler = handler, .owner = owner};
    return 0;
}

void watch_change(struct watcher *watcher, struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (!watch->on || watch->events == events)
        return;
    watch->events = events;
    /* Changing what is there takes no memory: it cannot fail. */
    epoll_ctl(watcher->epoll, EPOLL_CTL_MOD, watch->fd, &event);
}

void watch_forget(struct watcher *watcher, struct watch *watch)
{
    if (!watch->on)
        return;
    watch->on = false;
    /* What was taken for it and not handed out yet is of a descriptor that is not there any more. */
    for (unsigned i = watcher->at; i < watcher->ready_count; i++)
        if (watcher->ready[i].data.ptr == watch)
            watcher->ready[i].data.ptr = NULL;
}

void watch_remove(struct watcher *watcher, struct watch *watch)
{
    if (watch->on)
        epoll_ctl(watcher->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    watch_forget(watcher, watch);
}
