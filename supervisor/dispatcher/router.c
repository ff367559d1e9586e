#include "supervisor/dispatcher/router.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "cgroup/schedstat.h"
#include "supervisor/limits.h"

/*
 * The part of L that this process hands out: workers of a predecessor have theirs until they are
 * done. Shares of all of L could go to mail that hangs, and the next good message finds no worker.
 */
static unsigned limit_of(const struct router *router)
{
    const struct regulator_view view = regulator_view(router->regulator);
    unsigned least = view.settings->min;
    unsigned limit = view.decision->limit;

    limit = limit > router->strangers.count + least ? limit - router->strangers.count : least;
    return router_sessions(router, admission_limit(router->admission, limit, router_now(router)));
}

/* No sink is entered from within another: a module that calls one has done its work. */
static struct router *enter(void *context)
{
    struct router *router = context;

    assert(router->inside == 0);
    router->inside++;
    return router;
}

static void leave(struct router *router)
{
    router->inside--;
}

/* --- what modules tell ---------------------------------------------------------------------- */

void router_on_client(void *context, enum clients_kind kind, struct client *client)
{
    struct router *router = enter(context);

    if (kind == CLIENT_READ)
        router_arrive(router, client);
    else
        router_cancel_all(router, client->work);
    leave(router);
}

/* Workers that run: a predecessor's are of the pool, too. */
static unsigned live(const struct router *router)
{
    return pool_live(fleet_view(router->fleet).pool) + router->strangers.count;
}

/* One that died between its greeting and our first byte has nothing of it: another may have it. */
static void give(struct router *router, int worker, struct part *part)
{
    const struct client *client = part->job->client;
    int result;

    if (reuse_wanted(&router->reuse, &client->request, client->bytes, live(router),
                     router->loop->now))
        parts_reuse(router->parts, part, &client->request);
    result = fleet_give(router->fleet, worker, part, part->outgoing ? part->outgoing : part->bytes,
                        part->outgoing ? part->outgoing_length : part->length,
                        client->bytes + client->request.queue_id.offset);

    if (result == -EPIPE) {
        if (part->state == PART_CONNECTING)
            parts_step(router->parts, part, PART_AGENT_GONE);
        router_put_back(router, part);
        return;
    }
    if (client_larger(client, PARTING_SIZE))
        fleet_large(router->fleet, worker);
    parts_step(router->parts, part, PART_GREETED);
    part->worker = worker;
    part->started = router->loop->now;
    router_must(
        router,
        admission_started(router->admission, parts_handle(router->parts, part), router_now(router)),
        part);
    if (result == 0)
        parts_step(router->parts, part, PART_SENT);
}

static void worker_ended(struct router *router, const struct fleet_event *event)
{
    bool by_signal = WIFSIGNALED(event->status);
    char figures[128] = "";
    bool oom = by_signal && WTERMSIG(event->status) == SIGKILL &&
               regulator_oom_killed(router->regulator, figures, sizeof figures);

    if (event->lost[0] != '\0')
        complain(router->complaints, COMPLAINT_LOST, router->loop->now,
                 (struct journal_field[]){JOURNAL_TEXT("HEADROOM_QUEUE_ID", event->lost),
                                          JOURNAL_NUMBER("HEADROOM_WORKER_PID", event->pid)},
                 2,
                 "%s: worker %d ended with it (%s%s%s%s %d); it is deferred and will be tried "
                 "again",
                 event->lost, (int)event->pid, oom ? "killed for want of memory, " : "", figures,
                 oom ? "; " : "", by_signal ? "signal" : "exit status",
                 by_signal ? WTERMSIG(event->status) : WEXITSTATUS(event->status));
    if (event->retired)
        return;
    regulator_ended(router->regulator, live(router));
    if (event->status == 0)
        growth_ended(&router->spawn.growth, router->loop->now);
}

void router_on_fleet(void *context, const struct fleet_event *event)
{
    struct router *router = enter(context);
    struct fleet_view fleet = fleet_view(router->fleet);

    switch (event->kind) {
    case FLEET_STARTED:
        /* Before more are started the limit must see the new group. */
        router->step_due |= event->renewed;
        break;
    case FLEET_FORK_FAILED:
        regulator_failed(router->regulator);
        break;
    case FLEET_GREETED:
        clients_greet(router->clients, fleet.greeting, fleet.greeting_length);
        if (event->work)
            give(router, event->worker, event->work);
        break;
    case FLEET_SENT:
        parts_step(router->parts, event->work, PART_SENT);
        break;
    case FLEET_REPLIED:
        router_replied(router, event->work, event);
        break;
    case FLEET_LOST:
        router_lost(router, event->work);
        break;
    case FLEET_VANISHED:
        parts_step(router->parts, event->work, PART_AGENT_GONE);
        router_put_back(router, event->work);
        break;
    case FLEET_ENDED:
        /* The first one may have greeted and gone within a turn: clients are accepted all the same. */
        clients_greet(router->clients, fleet.greeting, fleet.greeting_length);
        worker_ended(router, event);
        break;
    case FLEET_CLOSED:
        router->closed = true;
        router->status = event->status;
        break;
    }
    leave(router);
}

void router_on_stranger(void *context)
{
    struct router *router = enter(context);

    regulator_ended(router->regulator, live(router));
    leave(router);
}

void router_on_retry(void *context, const struct retry_event *event)
{
    struct router *router = enter(context);
    struct part *part = event->work;

    if (event->kind == RETRY_KEPT) {
        router_keep(router, part);
        leave(router);
        return;
    }
    parts_step(router->parts, part, event->reply ? PART_REPLIED : PART_AGENT_GONE);
    router->totals->deferred++;
    router->totals->deferred_memory += part->reason == DEFERRAL_MEMORY;
    router->totals->deferred_full += part->reason == DEFERRAL_FULL;
    router->totals->deferred_slow += part->reason == DEFERRAL_SLOW;
    if (!event->reply)
        router->totals->unrecorded++;
    router_settle(router, part, event->reply, event->bytes);
    leave(router);
}

void router_on_step(void *context, enum limit_mode before)
{
    struct router *router = enter(context);

    fleet_retire(router->fleet, regulator_view(router->regulator).decision->retire);
    router->stepped(router->context, before);
    leave(router);
}

struct limit_demand router_demand(const void *context)
{
    const struct router *router = context;
    struct fleet_view fleet = fleet_view(router->fleet);
    const struct pool *pool = fleet.pool;
    unsigned waiting = parts_view(router->parts).waiting;

    return (struct limit_demand){
        .live = live(router),
        .strangers = router->strangers.count,
        .starting = pool->count[WORKER_STARTING],
        .busy = pool->count[WORKER_BUSY] + pool->count[WORKER_CONNECTING],
        .idle = pool->count[WORKER_IDLE],
        .waiting = waiting,
        .barred = waiting > 0 && router->runnable == 0,
        .forked = fleet.forked,
        .tls = fleet.tls,
        .failed = regulator_view(router->regulator).failed,
    };
}

/* --- a turn begins what may begin ----------------------------------------------------------- */

/* What would have become of a part that starts, because this is a dry run. */
static void would(struct router *router, struct part *part, int answer)
{
    struct totals *totals = router->totals;

    if (answer == ADMISSION_START || part->counted || part->job->exempt)
        return;
    part->counted = true;
    if (answer == ADMISSION_HELD)
        totals->would_wait_destination++;
    else if (regulator_view(router->regulator).decision->shed)
        totals->would_defer_memory++;
    else
        totals->would_wait_limit++;
}

/* Dry run: in the order of arrival, as from the queue of a listening socket. */
static struct part *next_in_line(struct router *router, unsigned limit)
{
    struct part *part = parts_oldest(router->parts);
    const bool windowed = part && router_windowed(router, part, limit);
    int answer;

    if (!part)
        return NULL;
    answer = admission_start_anyway(router->admission, parts_handle(router->parts, part), limit,
                                    router_now(router));
    router_must(router, answer, part);
    would(router, part, windowed ? ADMISSION_START : answer);
    router_join(router, part, limit);
    return part;
}

/* The part that may run now, with those that go along, or NULL; it is then chosen in admission. */
static struct part *next_part(struct router *router)
{
    unsigned limit = limit_of(router);
    struct admission_choice choice;
    struct part *part;

    if (router->config->dry_run)
        return next_in_line(router, limit);
    while ((choice = admission_next(router->admission, limit, router_now(router))).answer ==
           ADMISSION_START) {
        part = parts_at(router->parts, choice.part);
        if (router_join(router, part, limit))
            return part;
    }
    if ((part = router_next_windowed(router, limit)))
        return part;
    router_again(router, choice.again);
    return NULL;
}

/* Brings waiting parts and workers together: new ones that have greeted, then idle ones. */
static void hand_out(struct router *router)
{
    struct part *part;
    int worker;

    while ((worker = fleet_ready(router->fleet)) != POOL_NONE) {
        if ((part = next_part(router))) {
            give(router, worker, part);
        } else {
            fleet_release(router->fleet, worker);
            growth_returned(&router->spawn.growth, router->loop->now);
        }
    }
    while (pool_idle(fleet_view(router->fleet).pool) != POOL_NONE && (part = next_part(router))) {
        worker = fleet_call(router->fleet, part);
        if (worker == POOL_NONE) {
            router_put_back(router, part);
            break;
        }
        parts_step(router->parts, part, PART_CHOSEN);
        part->worker = worker;
    }
}

static void growth_look(struct router *router)
{
    uint64_t now = router->loop->now, runnable;

    if (router->schedstat >= 0 && growth_wants_sample(&router->spawn.growth, now) &&
        schedstat_runnable(router->schedstat, &runnable) == 0)
        growth_sample(&router->spawn.growth, runnable, now);
}

static void start_workers(struct router *router)
{
    struct spawn_answer answer;
    unsigned limit = limit_of(router), gaining, stock;

    gaining = admission_gaining(router->admission, limit, router_now(router), limit,
                                parts_view(router->parts).jobs, &router->runnable);
    stock = router->config->dry_run ? parts_view(router->parts).jobs
                                    : router_count_windowed(router, limit);
    if (stock > gaining)
        gaining = router->runnable = stock;
    do {
        struct fleet_view fleet = fleet_view(router->fleet);
        const struct spawn_view view = {
            .waiting = parts_view(router->parts).waiting,
            .runnable = router->runnable,
            .stretched = router->runnable - gaining,
            .starting = fleet.pool->count[WORKER_STARTING],
            .live = pool_live(fleet.pool),
            .leaving = fleet.pool->count[WORKER_LEAVING],
            .max = fleet.pool->size,
            .budget = regulator_view(router->regulator).state->budget,
            .greeting_known = fleet.greeting_length > 0,
            .descriptors_short = router->budget->descriptors_short,
            .start_after = fleet.start_after,
        };

        if (view.runnable > view.starting)
            growth_look(router);
        answer = spawn_ask(&router->spawn, &view, router->loop->now);
    } while (answer.start && regulator_take(router->regulator, 1) == 1 &&
             fleet_start(router->fleet) == 0);
    if (answer.again < router->again)
        router->again = answer.again;
}

uint64_t router_turn(struct router *router)
{
    uint64_t now = router->loop->now, due, parting;

    if (router->leaving)
        return router_turn_leaving(router);
    if (router->step_due || now >= regulator_due(router->regulator)) {
        router->step_due = false;
        regulator_step(router->regulator);
    }
    if (now >= router->again || router_room_full(router)) {
        if (now >= router->again)
            router->again = UINT64_MAX;
        router_defer(router);
    }
    if (router->queue != -EROFS) {
        hand_out(router);
        start_workers(router);
    }
    router_again(router, admission_due(router->admission, limit_of(router), router_now(router)));
    due = retry_turn(router->retry, router_crowded(router));
    clients_listen(router->clients, router_places(router));
    parting = fleet_part(router->fleet);
    if (parting < due)
        due = parting;
    if (router->again < due)
        due = router->again;
    return due < regulator_due(router->regulator) ? due : regulator_due(router->regulator);
}

void router_tick(struct router *router)
{
    router_queue(router);
    router->budget->descriptors_short = false;
    router_holds(router);
    room_learn(&router->room, &router->flow, clients_view(router->clients).held);
    router_defer(router);
}
