/*
 * Postfix's queue: can agents mark in it what they deliver, and can anything be deferred?
 */

#include <errno.h>
#include <stdio.h>

#include "agents/queue_file.h"
#include "supervisor/dispatcher/router.h"

void router_queue(struct router *router)
{
    int before = router->queue;
    struct statvfs found;
    char full[160];

    router->queue = queue_writable(router->queue_directory, &found);
    if (router->queue == before)
        return;
    snprintf(full, sizeof full,
             "has no space or inode left: free are %ju of %ju blocks and %ju of %ju inodes; what "
             "would be deferred waits, deliveries go on",
             (uintmax_t)found.f_bavail, (uintmax_t)found.f_blocks, (uintmax_t)found.f_favail,
             (uintmax_t)found.f_files);
    journal_log(router->journal, EVENT_QUEUE, router->queue == 0 ? LOG_INFO : LOG_WARNING, NULL, 0,
                "%s %s", router->postconf->queue_directory,
                router->queue == 0 ? "can be written to again: mail goes on"
                : router->queue == -EROFS
                    ? "is read-only: no agent could mark what it has delivered, so no delivery "
                      "begins, and mail waits until it can be written to"
                    : full);
}
