/*
 * The last turns: a successor takes the service (a reload), and some client still waits for its
 * answer. qmgr(8) restarts at the same moment and hangs up by itself; one that does not is
 * local(8), which nobody restarts. It would deliver a second time what it gets no answer for
 * (postfix-protocol.md 1.6).
 */

#include "supervisor/dispatcher/router.h"

#include <limits.h>

/* What waits gets no worker any more: names of sockets are the successor's now. */
static void give_back(void *context, struct client *client)
{
    router_cancel_waiting(context, client->work);
}

void router_leave(struct router *router)
{
    router->leaving = true;
    clients_leave(router->clients);
    fleet_leave(router->fleet);
}

uint64_t router_turn_leaving(struct router *router)
{
    int worker;

    while ((worker = fleet_ready(router->fleet)) != POOL_NONE)
        fleet_release(router->fleet, worker);
    fleet_retire(router->fleet, UINT_MAX);
    clients_each(router->clients, give_back, router);
    return retry_turn(router->retry, true);
}
