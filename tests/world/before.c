/*
 * What others left behind: workers of a predecessor that still run, and destinations that an operator
 * holds.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/world/calls.h"
#include "tests/world/kernel.h"
#include "tests/world/world.h"

/* The dispatcher looks once a second. */
#define SEEN_WITHIN SECONDS(3)

/* --- a predecessor --- */

/* A connection to each, which ends with it. */
static struct stranger {
    int stream; /* -1: it has gone */
    uint64_t end;
} strangers[WORKERS_MAX];

void predecessor_left(void (*left)(void *context, int fd), void *context)
{
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        strangers[i].stream = -1;
    for (unsigned i = 0; i < world.plan.strangers; i++) {
        int stream = stream_open(ROLE_NONE);

        strangers[i] = (struct stranger){stream, world.now + draw_below(SECONDS(60))};
        left(context, kernel_open(KIND_STREAM, stream));
    }
}

uint64_t predecessor_next(void)
{
    uint64_t when = NEVER;

    for (unsigned i = 0; i < WORKERS_MAX; i++)
        if (strangers[i].stream >= 0 && strangers[i].end < when)
            when = strangers[i].end;
    return when;
}

void predecessor_act(void)
{
    for (unsigned i = 0; i < WORKERS_MAX; i++) {
        if (strangers[i].stream < 0 || strangers[i].end > world.now)
            continue;
        stream_close(strangers[i].stream);
        strangers[i].stream = -1;
    }
}

unsigned predecessor_workers(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < WORKERS_MAX; i++)
        count += strangers[i].stream >= 0 && streams[strangers[i].stream].ours > 0;
    return count;
}

/* --- an operator --- */

/* The file is another one whenever it says something else. */
int __wrap_lstat(const char *path, struct stat *status)
{
    (void)path;
    if (!troubled(HELD)) {
        errno = ENOENT;
        return -1;
    }
    memset(status, 0, sizeof *status);
    status->st_ino = 1;
    return 0;
}

int __wrap_holds_read(const char *directory, unsigned owner, int64_t now, struct holds *holds)
{
    (void)directory;
    (void)owner;
    holds->count = 0;
    if (!troubled(HELD))
        return 0;
    holds->count = 1;
    holds->hold[0] = (struct hold){.since = now, .service = "lmtp"};
    snprintf(holds->hold[0].destination, sizeof holds->hold[0].destination, "d%u.example",
             world.plan.held);
    return 0;
}

bool held_for_sure(unsigned domain)
{
    if (domain != world.plan.held ||
        world.plan.config.destination_key != CONFIG_DESTINATION_RECIPIENT_DOMAIN)
        return false;
    for (unsigned i = 0; i < world.plan.episodes; i++) {
        const struct episode *episode = &world.plan.episode[i];

        if (episode->what == HELD && episode->begin + SEEN_WITHIN < world.now &&
            episode->end > world.now)
            return true;
    }
    return false;
}
