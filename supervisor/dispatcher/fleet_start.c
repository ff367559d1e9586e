/*
 * The start of a worker, and what a failed start means.
 */

#include "supervisor/dispatcher/fleet_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agents/template.h"
#include "agents/worker.h"
#include "supervisor/parent/channel.h"

/* Starts that fail to and fro for the same reason (a full disk: those whose socket is there already
 * succeed) are said once, and that they succeed again; then they are counted. Microseconds. */
#define SAME_TROUBLE UINT64_C(60000000)
/* After so many failures without a success it is not to and fro. */
#define FAILS_FOR_GOOD 3

void fleet_starts_fail(struct fleet *fleet, const char *reason)
{
    const struct fleet_config *config = &fleet->config;
    uint64_t now = config->loop->now;
    unsigned pause = pool_start_failed(&fleet->pool, now);
    bool began = fleet->start_error[0] == '\0';
    bool same = strncmp(fleet->start_reason, reason, sizeof fleet->start_reason - 1) == 0;
    bool to_and_fro = same && !fleet->start_said && fleet->pool.failures < FAILS_FOR_GOOD &&
                      now - fleet->start_failed < SAME_TROUBLE;

    fleet->start_failed = now;
    snprintf(fleet->start_error, sizeof fleet->start_error, "%s", reason);
    if (to_and_fro && began)
        complaints_count(config->complaints, COMPLAINT_START);
    if (to_and_fro || (same && fleet->start_said))
        return;
    snprintf(fleet->start_reason, sizeof fleet->start_reason, "%s", reason);
    if (complain(config->complaints, COMPLAINT_START, now, NULL, 0,
                 "cannot start %s/%s: %s; mail waits, next try in %u s, then less often up to 60 s",
                 config->directory, config->agent, reason, pause))
        fleet->start_said = true;
}

void fleet_starts_succeed(struct fleet *fleet)
{
    if (pool_start_succeeded(&fleet->pool) && fleet->start_said)
        journal_log(fleet->config.complaints->journal, EVENT_WORKER_STARTS_AGAIN, LOG_NOTICE, NULL,
                    0, "%s starts again", fleet->config.agent);
    fleet->start_error[0] = '\0';
    fleet->start_said = false;
}

/* The socket to listen on, the status channel, and a first connection, for the greeting. */
static int start(struct worker *worker, bool *listens)
{
    struct fleet *fleet = worker->fleet;
    int fds[CHANNEL_DESCRIPTORS] = {-1, -1};
    int ends[2];
    int result;

    result = fds[0] = sockets_listen(fleet->config.sockets, (unsigned)worker->number,
                                     &worker->place, fleet->config.loop->now);
    *listens = result >= 0;
    if (result < 0)
        goto out;
    /* The worker's end blocks, as master's does; ours must not. */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        result = -errno;
        goto out;
    }
    fds[1] = ends[1];
    worker->status = ends[0];
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
        result = -errno;
    if (result >= 0)
        result = fleet_watch_status(worker);
    if (result >= 0)
        result = fleet_dial(worker);
    if (result >= 0)
        result = channel_send(
            fleet->config.channel,
            &(struct channel_message){.kind = CHANNEL_SPAWN, .worker = (uint32_t)worker->number},
            fds);
out:
    for (unsigned i = 0; i < CHANNEL_DESCRIPTORS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return result < 0 ? result : 0;
}

int fleet_start(struct fleet *fleet)
{
    const struct fleet_config *config = &fleet->config;
    int number = pool_start(&fleet->pool, config->loop->now);
    struct worker *worker;
    char reason[START_ERROR_SIZE];
    bool listens;
    int result;

    if (number == POOL_NONE)
        return -EAGAIN;
    worker = &fleet->worker[number];
    *worker = (struct worker){
        .fleet = fleet,
        .number = number,
        .status = -1,
        .conversation.fd = -1,
    };
    result = start(worker, &listens);
    if (result == 0)
        return 0;
    fleet_free(worker);
    if (result == -EMFILE || result == -ENFILE) {
        budget_descriptors_short(config->budget, -result, config->loop->now);
    } else if (listens) {
        fleet_starts_fail(fleet, strerror(-result));
    } else {
        snprintf(reason, sizeof reason, "no socket for it in %.350s: %.40s",
                 config->sockets->config.state_name, strerror(-result));
        fleet_starts_fail(fleet, reason);
    }
    return result;
}

void fleet_worker_started(struct worker *worker, const struct channel_message *news)
{
    struct fleet *fleet = worker->fleet;
    enum template_reason reason = (enum template_reason)news->executed;

    worker->pid = news->pid;
    /* The one that forks may just be made again. */
    if (reason != TEMPLATE_NOT_YET)
        fleet->forked = reason == TEMPLATE_FINE;
    fleet->tls = news->tls != 0;
    if (reason == TEMPLATE_FINE)
        snprintf(fleet->start, sizeof fleet->start, "forked");
    else if (reason != TEMPLATE_OFF)
        snprintf(fleet->start, sizeof fleet->start, "executed: %s", template_reason_text(reason));
    fleet->config.totals->started++;
    if (pool_live(&fleet->pool) > fleet->most)
        fleet->most = pool_live(&fleet->pool);
    fleet->config.sink(fleet->config.context, &(struct fleet_event){.kind = FLEET_STARTED,
                                                                    .worker = worker->number,
                                                                    .renewed = news->status != 0});
}

void fleet_worker_start_failed(struct worker *worker, int error)
{
    struct fleet *fleet = worker->fleet;

    fleet_free(worker);
    /* No memory, or no process more (TasksMax=, pids.max): that is for the limit to judge. */
    if (error == EAGAIN || error == ENOMEM)
        fleet_tell(worker, FLEET_FORK_FAILED, NULL);
    else
        fleet_starts_fail(fleet, strerror(error));
}
