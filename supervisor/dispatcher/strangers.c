#include "supervisor/dispatcher/strangers.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

struct stranger {
    struct strangers *strangers;
    struct watch watch;
    int fd;
    LIST_ENTRY(stranger) link;
};

static void forget(struct stranger *stranger)
{
    struct strangers *strangers = stranger->strangers;

    LIST_REMOVE(stranger, link);
    strangers->count--;
    watch_forget(strangers->loop, &stranger->watch);
    close(stranger->fd);
    free(stranger);
}

static void on_end(void *owner, int fd, uint32_t events)
{
    struct stranger *stranger = owner;
    struct strangers *strangers = stranger->strangers;

    (void)fd;
    (void)events;
    forget(stranger);
    strangers->sink(strangers->context);
}

void strangers_add(struct strangers *strangers, int fd)
{
    struct stranger *stranger = NULL;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        strangers->count < limit.rlim_cur / STRANGERS_SHARE)
        stranger = calloc(1, sizeof *stranger);
    if (!stranger) {
        close(fd);
        return;
    }
    stranger->strangers = strangers;
    stranger->fd = fd;
    strangers->count++;
    LIST_INSERT_HEAD(&strangers->list, stranger, link);
    if (watch_on(strangers->loop, &stranger->watch, fd, EPOLLIN, on_end, stranger) < 0)
        forget(stranger);
}

void strangers_destroy(struct strangers *strangers)
{
    struct stranger *stranger, *next;

    for (stranger = LIST_FIRST(&strangers->list); stranger; stranger = next) {
        next = LIST_NEXT(stranger, link);
        forget(stranger);
    }
}
