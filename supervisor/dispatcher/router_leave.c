/*
 * The last turns: a successor takes the service (a reload), and some client still waits for its
 * answer. qmgr(8) restarts at the same moment and hangs up by itself; one that does not is
 * local(8), which nobody restarts. It would deliver a second time what it gets no answer for
 * (postfix-protocol.md 1.6).
 */

#include "supervisor/dispatcher/router.h"

#include <limits.h>

#include "supervisor/admission/admission_view.h"

/*
 * A new qmgr(8) is there in a moment, on a busy machine in a second. Where there is none, master(8) has gone. It looks at the files
 * right after it has moved them, and sets aside for a minute what is locked: a client that has its answer until then has gone.
 * Of 20, 3 to 16 have. So one of them is looked at closely, for a second.
 */
#define LOOK_EVERY UINT64_C(50000)
#define LOOK_MOST UINT64_C(30000000)
#define CLOSELY_EVERY UINT64_C(500)
#define CLOSELY_MOST UINT64_C(1000000)

/* By then the new qmgr(8) has set aside what was locked. */
#define ASIDE_AFTER UINT64_C(2000000)

struct look {
    struct router *router;
    unsigned left; /* clients of whom something still waits */
};

/*
 * What waits gets no worker any more: names of sockets are the successor's now. Nor could the successor deliver it: the new qmgr(8)
 * moves its queue file from active/ to incoming/, where no agent finds it, and tries it again by itself. Stock answers all that is in
 * the backlog then with the bare deferral. Not before: as long as the old qmgr(8) is there, local(8) would tell it, and it would
 * defer the message for minutes.
 */
static void give_back(void *context, struct client *client)
{
    struct look *look = context;
    struct router *router = look->router;

    if (!router_waits(client->work))
        return;
    if (router->loop->now - router->left >= LOOK_MOST || client_moved(client))
        router_cancel_waiting(router, client->work);
    else
        look->left++;
}

/*
 * Most workers hang, or are a predecessor's still. What waits behind them for local(8), which has a number at a time, mostly comes
 * to no end, too. Given back at once it is handed over again at once, and takes workers in the place of good mail. Stock answers it
 * when a worker has come back, so qmgr(8) sets all of it aside.
 */
static bool hangs(const struct router *router)
{
    struct admission_counters count;

    admission_count(router->admission, &count);
    return count.hanging + router->strangers.count >
           (count.in_flight + router->strangers.count) / 2;
}

void router_leave(struct router *router)
{
    router->leaving = true;
    router->left = router->loop->now;
    router->aside = hangs(router);
    router->look = router->aside ? router->left + ASIDE_AFTER : router->left;
    clients_leave(router->clients);
    fleet_leave(router->fleet);
}

uint64_t router_turn_leaving(struct router *router)
{
    uint64_t now = router->loop->now, due, paced;
    const struct part *oldest = parts_oldest(router->parts);
    bool closely = oldest && !router->aside && now - router->left < CLOSELY_MOST;
    bool again = oldest && router->look == UINT64_MAX; /* its worker did not take it */
    struct look look = {.router = router};
    int worker;

    while ((worker = fleet_ready(router->fleet)) != POOL_NONE)
        fleet_release(router->fleet, worker);
    fleet_retire(router->fleet, UINT_MAX);
    if (now >= router->look || again || (closely && client_moved(oldest->job->client))) {
        clients_each(router->clients, give_back, &look);
        router->look = look.left > 0 ? now + LOOK_EVERY : UINT64_MAX;
    }
    due = closely ? now + CLOSELY_EVERY : router->look;
    paced = retry_turn(router->retry, true);
    return paced < due ? paced : due;
}
