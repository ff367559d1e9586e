/*
 * The end of a connection to a worker that has delivered a large message.
 *
 * When qmgr(8) removes the queue file, who has it open last frees its blocks and pages: 2 to 3 ms
 * for 2 MB where the file system discards them. The agent keeps it open until its client hangs up.
 * Stock's client is qmgr(8), which hangs up and removes the file at once, so that the agent often
 * is the last. Ours hung up before qmgr(8) had read the reply: qmgr(8) freed all of them, one after
 * the other, for as long as three of four seconds in which it has to hand out mail. So the
 * connection is kept for PARTING_TIME. The worker is idle: where it is needed before, it is closed.
 */

#include "supervisor/dispatcher/fleet_worker.h"
#include "supervisor/limits.h"

void fleet_large(struct fleet *fleet, int worker)
{
    fleet->worker[worker].large = true;
}

void fleet_worker_part(struct worker *worker)
{
    struct fleet *fleet = worker->fleet;

    worker->work = NULL;
    worker->parting = true;
    if (fleet->parting++ == 0)
        fleet->part_due = fleet->config.loop->now + PARTING_TIME;
    fleet_worker_move(worker, WORKER_IDLE);
}

uint64_t fleet_part(struct fleet *fleet)
{
    uint64_t now = fleet->config.loop->now, due = UINT64_MAX;

    if (fleet->parting == 0 || now < fleet->part_due)
        return fleet->parting == 0 ? due : fleet->part_due;
    for (unsigned i = 0; i < fleet->pool.size; i++) {
        uint64_t until = fleet->pool.worker[i].since + PARTING_TIME;

        if (fleet->worker[i].parting && until <= now)
            fleet_connection_close(&fleet->worker[i]);
        else if (fleet->worker[i].parting && until < due)
            due = until;
    }
    fleet->part_due = due;
    return due;
}

int fleet_worker_next(const struct fleet *fleet)
{
    int number = pool_idle(&fleet->pool), older;

    while (number != POOL_NONE && fleet->worker[number].parting &&
           (older = fleet->pool.worker[number].older) != POOL_NONE)
        number = older;
    return number;
}
