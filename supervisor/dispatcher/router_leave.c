/*
 * The last turns: a successor takes the service (a reload), and some client still waits for its
 * answer. qmgr(8) restarts at the same moment and hangs up by itself; one that does not is
 * local(8), which nobody restarts. It would deliver a second time what it gets no answer for
 * (postfix-protocol.md 1.6).
 */

#include "supervisor/dispatcher/router.h"

#include <limits.h>

/*
 * A new qmgr(8) is there in a moment, on a busy machine in a second. Where there is none, master(8) has gone. It looks at the files
 * right after it has moved them, and sets aside for a minute what is locked: a client that has its answer until then has gone.
 * Of 20, 3 to 16 have. So one of them is looked at closely, for a second.
 */
#define LOOK_EVERY UINT64_C(50000)
#define LOOK_MOST UINT64_C(30000000)
#define CLOSELY_EVERY UINT64_C(500)
#define CLOSELY_MOST UINT64_C(1000000)

/*
 * What waits gets no worker any more: names of sockets are the successor's now. Nor could the successor deliver it: the new qmgr(8)
 * moves its queue file from active/ to incoming/, where no agent finds it, and tries it again by itself. Stock answers all that is in
 * the backlog then with the bare deferral. Not before: as long as the old qmgr(8) is there, local(8) would tell it, and it would
 * defer the message for minutes.
 */
static void give_back(void *context, struct client *client)
{
    struct router *router = context;

    if (router->loop->now - router->left >= LOOK_MOST || client_moved(client))
        router_cancel_waiting(router, client->work);
}

void router_leave(struct router *router)
{
    router->leaving = true;
    router->left = router->loop->now;
    clients_leave(router->clients);
    fleet_leave(router->fleet);
}

uint64_t router_turn_leaving(struct router *router)
{
    uint64_t now = router->loop->now, due, paced;
    const struct part *oldest = parts_oldest(router->parts);
    bool closely = oldest && now - router->left < CLOSELY_MOST;
    int worker;

    while ((worker = fleet_ready(router->fleet)) != POOL_NONE)
        fleet_release(router->fleet, worker);
    fleet_retire(router->fleet, UINT_MAX);
    if (now >= router->look || (closely && client_moved(oldest->job->client))) {
        clients_each(router->clients, give_back, router);
        router->look = now + LOOK_EVERY;
    }
    due = closely ? now + CLOSELY_EVERY : router->look;
    paced = retry_turn(router->retry, true);
    return paced < due ? paced : due;
}
