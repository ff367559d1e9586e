/*
 * What an operator holds (report/holds.h), as far as it is of this service.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "supervisor/base/clock.h"
#include "supervisor/dispatcher/router.h"
#include "supervisor/report/holds.h"

/* This system's fault and not the file's: it may be over in a moment. */
static bool passes(int result)
{
    return result == -EMFILE || result == -ENFILE || result == -ENOMEM || result == -EIO;
}

/* The file is as it was when it could be read, and no hold has ended since. */
static bool unchanged(struct router *router, int64_t now)
{
    char path[PATH_MAX + sizeof HOLDS_FILE + 1];
    struct stat status = {0};
    bool same;

    snprintf(path, sizeof path, "%s/" HOLDS_FILE, router->postconf->config_directory);
    if (lstat(path, &status) < 0)
        status = (struct stat){0};
    same = !router->held.unread && status.st_ino == router->held.inode &&
           memcmp(&status.st_ctim, &router->held.changed, sizeof status.st_ctim) == 0 &&
           (router->held.until == 0 || now < router->held.until);
    router->held.inode = status.st_ino;
    router->held.changed = status.st_ctim;
    return same;
}

void router_holds(struct router *router)
{
    const char *keys[HOLDS_MAX];
    int64_t now = clock_wall() / 1000000;
    bool unread = router->held.unread;
    struct holds holds;
    size_t count = 0;
    int result;

    if (unchanged(router, now))
        return;
    result = holds_read(router->postconf->config_directory, 0, now, &holds);
    router->held.unread = passes(result);
    if (router->held.unread) {
        if (!unread)
            journal_log(router->journal, EVENT_HOLDS, LOG_WARNING, NULL, 0,
                        "%s/" HOLDS_FILE ": %s; until it can be read what is held stays held",
                        router->postconf->config_directory, strerror(-result));
        return;
    }
    if (result < 0)
        journal_log(router->journal, EVENT_HOLDS, LOG_WARNING, NULL, 0,
                    "%s/" HOLDS_FILE ": %s; what it says is not heeded, and nothing is held",
                    router->postconf->config_directory,
                    result == -EPERM   ? holds.cure
                    : result == -E2BIG ? "too many lines"
                                       : strerror(-result));
    if (result < 0)
        holds.count = 0;
    router->held.until = 0;
    for (size_t i = 0; i < holds.count; i++) {
        const struct hold *hold = &holds.hold[i];

        if (!hold_is_of(hold, router->service))
            continue;
        keys[count++] = hold->destination;
        if (hold->until != 0 && (router->held.until == 0 || hold->until < router->held.until))
            router->held.until = hold->until;
    }
    if (count == 0 && router->held.count == 0)
        return;
    router->held.count = (unsigned)count;
    admission_hold(router->admission, keys, count, router_now(router));
    journal_log(router->journal, EVENT_HOLDS, LOG_INFO, NULL, 0,
                count == 0 ? "no destination is held any more"
                           : "destinations held by an operator: %zu; their mail %s, "
                             "headroomctl destinations names them",
                count, router->config->dry_run ? "goes on all the same in a dry run" : "waits");
}
