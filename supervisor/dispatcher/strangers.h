#ifndef SUPERVISOR_DISPATCHER_STRANGERS_H
#define SUPERVISOR_DISPATCHER_STRANGERS_H

/*
 * Workers of a predecessor that still run, after a reload or after it was killed. They finish what
 * they have and take no new requests; until then they are part of the pool: of its memory, and of
 * workers.max, which protects what stands behind.
 *
 * Each is known by a connection to its listening socket, which nobody accepts while it is busy. It
 * is readable when the worker ends, whatever ends it, or when it is idle and greets. This needs no
 * memory group and no rights over the process.
 *
 * All are added at the start. Beyond STRANGERS_SHARE of the descriptors they are not counted.
 */

#include <sys/queue.h>

#include "supervisor/base/loop.h"

/* One in so many descriptors. */
#define STRANGERS_SHARE 4

struct stranger;

/* The first three are filled in by the owner, the rest is zero: none. */
struct strangers {
    struct loop *loop;
    void (*sink)(void *context); /* one has gone; called as the last act */
    void *context;
    unsigned count;
    LIST_HEAD(, stranger) list;
};

/* Takes the connection over. */
void strangers_add(struct strangers *strangers, int fd);

void strangers_destroy(struct strangers *strangers);

#endif
