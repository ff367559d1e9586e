/*
 * What must hold: the promises of DESIGN.md, by number, as far as this world can see them.
 */

#include <string.h>

#include "supervisor/admission/admission_view.h"
#include "tests/world/kernel.h"
#include "tests/world/wire.h"
#include "tests/world/world.h"

/* Mode SHED ends so long after memory is back. */
#define SHED_MOST SECONDS(20)

/* Figures that were true when a sample was taken may be so old when they are acted on. */
#define STALE SECONDS(3)

/* What waits is given back so long after a reload at the earliest, where no new qmgr(8) comes. */
#define LEAVE_LEAST SECONDS(30)

/* With memory to spare and no trouble an answer comes within this time. */
#define CALM_MOST SECONDS(20)

static unsigned long long seconds(uint64_t time)
{
    return (unsigned long long)(time / 1000000);
}

static bool plan_has(enum trouble what)
{
    for (unsigned i = 0; i < world.plan.episodes; i++)
        if (world.plan.episode[i].what == what)
            return true;
    return false;
}

/* What may not be deferred runs, whatever is held. */
static bool never_deferred(const struct mail *mail)
{
    int64_t age = ((int64_t)world.now + world.wall - mail->arrived) / 1000000;

    return mail->probe || age > world.plan.postconf.bounce_queue_lifetime / 2 || age < 0;
}

void promise_given(const char *bytes, size_t length, uint64_t called)
{
    unsigned number[RECIPIENTS_MAX], count;
    char nexthop[REPLY_SIZE];
    int id = mail_of(bytes, length, number, &count, nexthop);
    struct mail *mail = &mails[id];

    if (id < 0)
        broken("3: an agent gets a whole request", "%zu bytes", length);
    note("mail %d: %u of %u recipients go to a worker", id, count, mail->count);
    if (mail->locks == 0)
        broken("4: the queue file is locked", "mail %d goes to a worker", id);
    if (world.router->leaving && called > world.plan.end + SECONDS(1))
        broken("8: after a reload no worker is called", "mail %d", id);
    figures[SPLIT] += count < mail->count;
    if (mail->junk)
        return;
    if (world.plan.config.dry_run && count < mail->count)
        broken("13: a dry run splits nothing", "mail %d: %u of %u", id, count, mail->count);
    if (!world.plan.config.dry_run && count == 1 && !never_deferred(mail) &&
        held_for_sure(mail->recipient[number[0]].domain) && world.now - world.woken > SECONDS(3) &&
        world.now - called < SECONDS(1))
        broken("what is held waits", "mail %d goes to a worker", id);
    for (unsigned i = 0; i < count; i++) {
        struct recipient *recipient = &mail->recipient[number[i]];

        if (recipient->given > 0 || recipient->retry > 0)
            broken("3: a recipient goes to one agent", "mail %d, recipient %u: worker again", id,
                   number[i]);
        recipient->given++;
    }
}

void promise_deferred(const char *bytes, size_t length, int64_t wall)
{
    unsigned number[RECIPIENTS_MAX], count;
    char nexthop[REPLY_SIZE];
    int id = mail_of(bytes, length, number, &count, nexthop);
    struct mail *mail = &mails[id];
    int64_t lifetime = world.plan.postconf.maximal_queue_lifetime;
    bool client_gone = mail->stream < 0;

    if (id < 0)
        broken("2: retry(8) gets a whole request", "%zu bytes", length);
    figures[DEFERRED]++;
    note("mail %d: %u of %u recipients are deferred: %s", id, count, mail->count, nexthop);
    if (mail->locks == 0)
        broken("4: the queue file is locked", "mail %d goes to retry(8)", id);
    if (strncmp(nexthop, "4.", 2) != 0)
        broken("7: a deferral is one", "mail %d: %s", id, nexthop);
    if (world.plan.config.dry_run)
        broken("13: a dry run defers nothing", "mail %d: %s", id, nexthop);
    if (world.plan.calm)
        broken("11: nothing is deferred with memory to spare", "mail %d: %s", id, nexthop);
    if (strncmp(nexthop, "4.3.2", 5) == 0 &&
        (world.short_last == 0 || world.now - world.short_last > SECONDS(60)) &&
        world.now - world.woken > SECONDS(60))
        broken("11: nothing is deferred with memory to spare", "mail %d: %s", id, nexthop);
    if (mail->junk)
        return;
    if (mail->bounce && world.plan.postconf.bounce_queue_lifetime < lifetime)
        lifetime = world.plan.postconf.bounce_queue_lifetime;
    if (!world.router->leaving && !client_gone &&
        (mail->probe || (wall - mail->arrived) / 1000000 > lifetime))
        broken("6: nothing is deferred that would bounce", "mail %d, %s", id,
               mail->probe ? "a probe" : "too old");
    for (unsigned i = 0; i < count; i++) {
        struct recipient *recipient = &mail->recipient[number[i]];

        if (recipient->given > 0 || recipient->retry > 0)
            broken("3: a recipient goes to one agent", "mail %d, recipient %u: to retry(8)", id,
                   number[i]);
        recipient->retry++;
    }
}

void promise_spawn(void)
{
    const struct regulator_view view = regulator_view(world.router->regulator);
    unsigned live = workers_live() + 1, all = live + predecessor_workers();

    note("worker %u is asked for, L is %u", live, view.decision->limit);
    if (all > config_workers(&world.plan.config))
        broken("12: never more than somebody chose", "%u workers of %u", all,
               config_workers(&world.plan.config));
    if (world.plan.config.dry_run)
        return;
    if (live > view.decision->limit || (all > view.decision->limit && live > view.settings->min))
        broken("5: no more workers than L", "%u of %u", all, view.decision->limit);
    if (view.settings->fixed || live <= view.settings->min || world.router->leaving)
        return;
    for (unsigned i = 0; i < world.plan.episodes; i++) {
        const struct episode *episode = &world.plan.episode[i];

        if (episode->what == MEMORY_SHORT && world.now < episode->end &&
            view.stepped > episode->begin)
            broken("5: headroom covers a worker", "worker %u, without any", live);
    }
}

static bool is_done(const char *answer, size_t length)
{
    return length == sizeof WIRE_DONE - 1 && memcmp(answer, WIRE_DONE, length) == 0;
}

static bool is_deferral(const char *answer, size_t length)
{
    return length == sizeof WIRE_DEFERRED - 1 && memcmp(answer, WIRE_DEFERRED, length) == 0;
}

/* After a reload, while the qmgr(8) of local(8) may be there: that would defer it. */
static bool too_soon(const struct mail *mail)
{
    return mail->local && !world.plan.stop && world.now < world.moved &&
           world.now - world.plan.end < LEAVE_LEAST;
}

/* Nobody was asked: then there must be a reason. */
static void refused(const struct mail *mail, int id)
{
    for (unsigned i = 0; i < mail->count; i++)
        if (mail->recipient[i].given > 0 || mail->recipient[i].retry > 0)
            return;
    if (mail->junk || mail->missing || mail->foreign_lock || (world.ending && !too_soon(mail))) {
        figures[REFUSED]++;
        return;
    }
    figures[UNRECORDED]++;
    if (!plan_has(RETRY_GONE) && !plan_has(RETRY_MUTE) && !plan_has(RETRY_FULL) &&
        !plan_has(RETRY_LIES) && !plan_has(NO_MEMORY) && !world.dozed)
        broken(world.ending ? "11: what waits is given back when its qmgr(8) has gone"
                            : "2: an answer is an agent's",
               "mail %d was given to none", id);
}

void promise_answer(const struct mail *mail)
{
    int id = (int)(mail - mails);
    bool done = is_done(mail->answer, mail->answer_length), all = true, rested = true;
    bool known = is_deferral(mail->answer, mail->answer_length);

    note("client %d has its answer: %s", id, done ? "done" : known ? "deferred" : "failed");
    for (unsigned i = 0; i < mail->replies; i++)
        known |= mail->reply_length[i] == mail->answer_length &&
                 memcmp(mail->reply[i], mail->answer, mail->answer_length) == 0;
    for (unsigned i = 0; i < mail->count; i++) {
        all &= mail->recipient[i].delivered;
        rested &= mail->recipient[i].rested;
    }
    if (!known)
        broken("1: an answer is an agent's", "mail %d got %zu bytes of nobody", id,
               mail->answer_length);
    if (mail->junk)
        return;
    if (done && !all)
        broken("1: a success is an agent's, for every part", "mail %d", id);
    if (all && !done && !plan_has(NO_MEMORY))
        broken("2: what was delivered is not tried again", "mail %d", id);
    if (!done && !is_deferral(mail->answer, mail->answer_length) && !rested)
        broken("7: a destination rests when all of it failed", "mail %d", id);
    if (!done)
        refused(mail, id);
    if (world.plan.calm && !done)
        broken("11: what is healthy is delivered", "mail %d", id);
    if (world.plan.calm &&
        world.now + (uint64_t)world.wall - (uint64_t)mail->arrived > CALM_MOST + SECONDS(122))
        broken("11: nothing waits with memory to spare", "mail %d", id);
}

static void held_is_locked(void *context, struct client *client)
{
    (void)context;
    if (client->lock < 0 || descriptors[client->lock].kind != KIND_LOCK)
        broken("4: a request that waits holds its lock", "connection %d", client->connection);
}

void promise_step(void)
{
    struct router *router = world.router;
    struct regulator_view view;
    uint64_t since;

    if (!router)
        return;
    view = regulator_view(router->regulator);
    clients_each(router->clients, held_is_locked, NULL);
    if (router->inside != 0)
        broken("10: no sink within another", "%u", router->inside);
    if (clients_view(router->clients).held > router->budget->clients_max)
        broken("10: no growth without bound", "%u clients", clients_view(router->clients).held);
    if (world.now - kernel.fed > SECONDS(300))
        broken("10: the watchdog is fed", "not for %llu s", seconds(world.now - kernel.fed));
    since = world.calm_since > world.woken ? world.calm_since : world.woken;
    if (view.decision->mode == LIMIT_SHED)
        figures[SHED]++;
    if (view.decision->mode == LIMIT_SHED && !router->leaving && world.calm_since != NEVER &&
        world.now - since > SHED_MOST)
        broken("9: SHED ends 20 s after memory is back", "still there after %llu s",
               seconds(world.now - since));
    if (world.ending && world.now - world.plan.end > SECONDS(600) &&
        world.now - world.woken > SECONDS(600))
        broken("8: it ends when its clients are answered", "still there after 600 s");
}

void promise_quiet(void)
{
    const struct router *router = world.router;
    const struct parts_view parts = parts_view(router->parts);
    const struct pool *pool = fleet_view(router->fleet).pool;
    struct admission_counters counters;

    for (unsigned id = 0; id < world.plan.mails; id++) {
        const struct mail *mail = &mails[id];

        if (mail->state != MAIL_OVER)
            broken("2: each request is answered", "mail %u waits for ever (%d, sent %zu of %zu)",
                   id, (int)mail->state, mail->sent, mail->length);
        if (mail->locks > 0)
            broken("no place is kept", "mail %u is locked", id);
    }
    admission_count(router->admission, &counters);
    if (clients_view(router->clients).held > 0 || parts.waiting > 0 || parts.jobs > 0 ||
        parts.requests > 0 || parts.bytes > 0 || retry_pending(router->retry) > 0)
        broken("no place is kept", "%u clients, %u parts, %u jobs, %u requests, %u for retry(8)",
               clients_view(router->clients).held, parts.waiting, parts.jobs, parts.requests,
               retry_pending(router->retry));
    if (router->budget->held > 0)
        broken("no byte is kept", "%llu", (unsigned long long)router->budget->held);
    if (counters.waiting > 0 || counters.in_flight > 0)
        broken("no place is kept", "admission: %u wait, %u in flight", counters.waiting,
               counters.in_flight);
    if (pool->count[WORKER_CONNECTING] + pool->count[WORKER_BUSY] > 0)
        broken("no worker is kept", "%u connecting, %u busy", pool->count[WORKER_CONNECTING],
               pool->count[WORKER_BUSY]);
    for (unsigned i = 0; i < REUSE_NEXTHOPS; i++)
        if (router->reuse.place[i].held > 0)
            broken("no place is kept", "%u held to a next hop", router->reuse.place[i].held);
}

/* local(8) is not restarted with a reload: it waits for its answer. */
static void left_alone(void)
{
    for (unsigned id = 0; id < world.plan.mails; id++) {
        const struct mail *mail = &mails[id];

        if (mail->local && !mail->junk && mail->state == MAIL_WAITING && mail->patience == NEVER &&
            mail->answer_length + streams[mail->stream].out == 0 && !mail->unwatched)
            broken("8: after a reload whoever waits is answered", "mail %u", id);
    }
}

void promise_end(int status)
{
    if (!world.plan.stop)
        left_alone();
    if (status != 0)
        broken("8: it ends well", "status %d", status);
    if (kernel.allocated > 0)
        broken("no byte is kept", "%llu blocks", (unsigned long long)kernel.allocated);
    for (unsigned i = 0; i < STREAMS_MAX; i++)
        if (streams[i].used && streams[i].ours > 0 && streams[i].accepted &&
            streams[i].role == ROLE_CLIENT)
            broken("no descriptor is kept", "of a client");
    for (unsigned id = 0; id < world.plan.mails; id++)
        if (mails[id].locks > 0)
            broken("no lock is kept", "mail %u", id);
}
