/*
 * Parts of one request that go to one worker together (admission.h, JOINT PARTS): as stock would
 * send them, but for those that admission wants to run alone.
 *
 * They are joined when their leader is chosen and have one reply. Whom it speaks of is read where
 * agents write it, from the marks in the queue file, through the descriptor that holds the lock.
 */

#include "agents/marks.h"
#include "supervisor/dispatcher/router.h"

/* Does a sibling wait for an answer that may let it go along? Then the leader waits, too. */
static bool parked(struct router *router, const struct part *leader)
{
    const struct part *part;
    int result;

    TAILQ_FOREACH(part, &leader->job->parts, of_job)
    {
        if (part == leader || part->state != PART_WAITING ||
            !admission_awaits(router->admission, parts_handle(router->parts, part),
                              router_now(router)))
            continue;
        result = admission_park(router->admission, parts_handle(router->parts, leader),
                                router_now(router));
        router_must(router, result, leader);
        return result > 0;
    }
    return false;
}

/*
 * Where qmgr(8) has fewer for a next hop than there are agents, a server that takes so many would refuse what is split. So it is
 * split by evidence only, in two: who is in trouble has another worker than the others, where router_sessions() counts these.
 */
static bool apart(const struct router *router, const struct part *leader, const struct part *part)
{
    const struct admission *admission = router->admission;
    unsigned head = parts_handle(router->parts, leader), other = parts_handle(router->parts, part);

    if (admission_alone(admission, head) || admission_alone(admission, other))
        return true;
    return admission_one_nexthop(admission) &&
           admission_holds_up(admission, head, router_now(router)) !=
               admission_holds_up(admission, other, router_now(router));
}

/* Those that would not go along by themselves. */
static void join_others(struct router *router, struct part *leader)
{
    const bool dry = router->config->dry_run;
    struct part *part;

    TAILQ_FOREACH(part, &leader->job->parts, of_job)
    {
        if (part == leader || part->state != PART_WAITING || (!dry && apart(router, leader, part)))
            continue;
        router->totals->would_split += dry;
        router_must(router,
                    admission_join_anyway(router->admission, parts_handle(router->parts, leader),
                                          parts_handle(router->parts, part), router_now(router)),
                    part);
        parts_join(router->parts, leader, part);
    }
}

bool router_join(struct router *router, struct part *leader, unsigned limit)
{
    const struct client *client = leader->job->client;
    unsigned head = parts_handle(router->parts, leader);
    const bool together = router->config->dry_run || router->together;
    struct part *part;
    int result;

    if (leader->job->waiting < 2 ||
        (!together && !admission_joins(router->admission, head, router_now(router))))
        return true;
    if (!together && parked(router, leader))
        return false;
    TAILQ_FOREACH(part, &leader->job->parts, of_job)
    {
        if (part == leader || part->state != PART_WAITING)
            continue;
        result = admission_join(router->admission, head, parts_handle(router->parts, part), limit,
                                router_now(router));
        router_must(router, result, part);
        if (result > 0)
            parts_join(router->parts, leader, part);
    }
    if (together)
        join_others(router, leader);
    if (leader->members > 0 &&
        !parts_outgoing(router->parts, leader, &client->request, client->bytes))
        router_disband(router, leader);
    return true;
}

void router_disband(struct router *router, const struct part *leader)
{
    struct part *part;

    TAILQ_FOREACH(part, &leader->job->parts, of_job)
    {
        if (part->leader != leader)
            continue;
        router_must(router,
                    admission_put_back(router->admission, parts_handle(router->parts, part),
                                       router_now(router)),
                    part);
        parts_leave(router->parts, part);
    }
}

/* Of a joint part that was not delivered to all: who is done. */
static bool read_marks(const struct part *leader)
{
    int file = leader->job->client->lock;
    bool any = false;
    struct part *part;

    TAILQ_FOREACH(part, &leader->job->parts, of_job)
    if (part == leader || part->leader == leader) {
        part->done = marks_done(file, part->bytes, part->length) == 1;
        any |= part->done;
    }
    return any;
}

/* What is learned of the destination of one that is not done. */
static enum admission_outcome undone(const struct reply *reply)
{
    if (!reply)
        return ADMISSION_LOST;
    return reply_unreached(reply) ? ADMISSION_UNREACHED : ADMISSION_UNDELIVERED;
}

/* One of them ends. `said` is its worker's reply, NULL: it is lost. `reply` is what its client is told, NULL: the bare
 * deferral. */
static void end(struct router *router, struct part *part, enum admission_outcome outcome,
                int64_t service, const struct reply *said, const struct reply *reply,
                const char *bytes)
{
    parts_step(router->parts, part, said ? PART_REPLIED : PART_AGENT_GONE);
    if (outcome == ADMISSION_DELIVERED)
        router->totals->delivered++;
    else if (!said)
        router->totals->lost++;
    else {
        router->totals->failed++;
        router_failed(router, part, said);
    }
    if (outcome == ADMISSION_DELIVERED && request_is_probe(&part->job->client->request))
        outcome = ADMISSION_LOST;
    if (router_learn(router, part, outcome, service))
        reply = NULL;
    if (part->leader)
        parts_leave(router->parts, part);
    router_settle(router, part, reply, bytes);
}

void router_joint_ended(struct router *router, struct part *leader, const struct reply *reply,
                        const char *bytes)
{
    const enum admission_outcome not_done = undone(reply);
    const bool all = reply && reply->status == 0;
    const struct reply *told = reply;
    int64_t service = ADMISSION_UNTIMED;
    struct part *part, *next;

    if (all)
        service = (router_now(router) - (int64_t)leader->started) / (leader->members + 1);
    else if (read_marks(leader) && !router->config->dry_run)
        told = NULL; /* the next hop is not at fault: qmgr(8) must not rest it */
    for (part = TAILQ_FIRST(&leader->job->parts); part; part = next) {
        next = TAILQ_NEXT(part, of_job);
        if (part->leader != leader)
            continue;
        end(router, part, all || part->done ? ADMISSION_DELIVERED : not_done, service, reply, told,
            bytes);
    }
    end(router, leader, all || leader->done ? ADMISSION_DELIVERED : not_done, service, reply, told,
        bytes);
}
