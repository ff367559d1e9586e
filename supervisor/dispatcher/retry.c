/*
 * Deferring by way of Postfix's own retry(8): the same request, with the nexthop replaced by the
 * reason (postfix-protocol.md 11). It writes the defer record and the line in the log.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agents/retry.h"
#include "supervisor/dispatcher/dispatch.h"

static void on_deferral(void *owner, int fd, uint32_t events);

int deferrals_create(struct dispatcher *dispatcher)
{
    TAILQ_INIT(&dispatcher->deferring);
    for (unsigned i = 0; i < DEFERRALS_AT_ONCE; i++) {
        dispatcher->deferral[i].dispatcher = dispatcher;
        conversation_begin(&dispatcher->deferral[i].conversation, -1);
    }
    return 0;
}

void deferrals_destroy(struct dispatcher *dispatcher)
{
    for (unsigned i = 0; i < DEFERRALS_AT_ONCE; i++) {
        if (!dispatcher->deferral[i].dispatcher)
            continue;
        conversation_end(&dispatcher->deferral[i].conversation);
    }
}

/* What filled the waiting room. */
static void room_write(const struct dispatcher *dispatcher, char *text, size_t size)
{
    unsigned most = dispatcher->settings->config->waiting_max;
    unsigned bound = parts_room(dispatcher);

    if (dispatcher->waiting_requests >= most)
        snprintf(text, size, "waiting.max %u", most);
    else if (bound < most && dispatcher->waiting_requests >= bound)
        snprintf(text, size, "%u wait, which is what open files allow", bound);
    else
        snprintf(text, size, "%u wait with %u MB of recipients", dispatcher->waiting_requests,
                 (unsigned)(dispatcher->waiting_bytes >> 20));
}

/* Constant text first, so that deferrals can be counted by it; figures last. */
static void text_write(struct deferral *deferral, enum deferral_reason reason)
{
    const struct dispatcher *dispatcher = deferral->dispatcher;
    char cause[256];

    switch (reason) {
    case DEFERRAL_MEMORY:
        limit_reason_write(&dispatcher->regulator.decision.reason, cause, sizeof cause);
        snprintf(deferral->text, sizeof deferral->text,
                 "4.3.2 delivery postponed: this system is short of memory (%s)", cause);
        break;
    case DEFERRAL_FULL:
        room_write(dispatcher, cause, sizeof cause);
        snprintf(deferral->text, sizeof deferral->text,
                 "4.4.5 delivery postponed: too much mail waits for this destination (%s)", cause);
        break;
    case DEFERRAL_SLOW:
        snprintf(deferral->text, sizeof deferral->text,
                 "4.4.5 delivery postponed: this destination does not answer, or is slow "
                 "(destination.backlog %u, waiting.time %u s)",
                 dispatcher->settings->config->destination_backlog,
                 (unsigned)(dispatcher->settings->config->waiting_time / 1000000));
        break;
    }
    /* retry(8) takes printable ASCII only. */
    for (char *c = deferral->text; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

void deferrals_add(struct part *part, enum deferral_reason reason)
{
    part->reason = reason;
    TAILQ_INSERT_TAIL(&part->client->dispatcher->deferring, part, link);
}

/* The conversation is over. `reply` NULL: without an answer. */
static void end(struct deferral *deferral, const struct reply *reply, const char *bytes)
{
    struct part *part = deferral->part;

    if (reply)
        deferral->dispatcher->retry_away = deferral->dispatcher->retry_mute = false;
    deferral->part = NULL;
    part_postponed(part, reply, bytes);
    watch_forget(&deferral->dispatcher->watcher, &deferral->watch);
    conversation_end(&deferral->conversation);
}

/*
 * retry(8) cannot be had: the part counts as deferred all the same, but nobody logs it. Said once, until it has answered
 * again.
 */
static void unreachable(struct dispatcher *dispatcher, const char *reason)
{
    uint64_t unsaid;

    if (dispatcher->retry_away)
        return;
    dispatcher->retry_away = true;
    if (journal_limit_happened(&dispatcher->retry_lines, dispatcher->now, &unsaid))
        journal_log(dispatcher->journal, EVENT_RETRY_UNREACHABLE, LOG_WARNING,
                    (struct journal_field[]){JOURNAL_NUMBER("HEADROOM_UNSAID", (int64_t)unsaid)}, 1,
                    "service retry: %s; mail is deferred without a record, and mailq shows no "
                    "reason. master.cf must have the line \"retry unix - - y - - error\"",
                    reason);
}

static void lost(struct deferral *deferral, const char *reason)
{
    unreachable(deferral->dispatcher, reason);
    end(deferral, NULL, NULL);
}

/* Those that were given up still wait at its socket, and may be all that fit there. */
static bool takes_none_for_long(struct dispatcher *dispatcher)
{
    if (dispatcher->retry_full == 0)
        dispatcher->retry_full = dispatcher->now;
    if (dispatcher->now - dispatcher->retry_full >= RETRY_TIMEOUT)
        dispatcher->retry_mute = true;
    return dispatcher->retry_mute;
}

/* Begins with the part. False when retry(8) is busy just now, or there is no descriptor: the part keeps its turn. */
static bool begin(struct deferral *deferral, struct part *part)
{
    struct dispatcher *dispatcher = deferral->dispatcher;
    size_t size;
    int result;

    text_write(deferral, part->reason);
    request_init(&deferral->request);
    result = request_parse(&deferral->request, part->bytes, part->length);
    if (result == 0)
        result = redirect_request(&deferral->request, part->bytes, deferral->text, deferral->pieces,
                                  &size);
    if (result == 0)
        result = retry_connect(dispatcher->settings->queue_directory);
    if (result == -EAGAIN && !takes_none_for_long(dispatcher))
        return false;
    if (result != -EAGAIN)
        dispatcher->retry_full = 0;
    if (result == -EMFILE || result == -ENFILE || result == -ENOMEM || result == -ENOBUFS) {
        dispatcher_descriptors_short(dispatcher, -result);
        return false;
    }
    TAILQ_REMOVE(&dispatcher->deferring, part, link);
    if (result >= 0) {
        conversation_begin(&deferral->conversation, result);
        result = watch_on(&dispatcher->watcher, &deferral->watch, result, EPOLLIN, on_deferral,
                          deferral);
    }
    if (result < 0) {
        conversation_end(&deferral->conversation);
        unreachable(dispatcher, strerror(-result));
        part_postponed(part, NULL, NULL);
        return true;
    }
    deferral->part = part;
    deferral->greeted = false;
    deferral->since = dispatcher->now;
    return true;
}

/*
 * While retry(8) does not answer (master cannot start it: it is short of memory, too), one conversation waits for it. With all of
 * them 12 in a minute would be deferred, and what waits for that would fill the active queue and become too old meanwhile.
 */
static bool begin_or_not(struct deferral *deferral, struct part *part)
{
    struct dispatcher *dispatcher = deferral->dispatcher;

    if (!dispatcher->retry_mute || deferral == &dispatcher->deferral[0])
        return begin(deferral, part);
    TAILQ_REMOVE(&dispatcher->deferring, part, link);
    part_postponed(part, NULL, NULL);
    return true;
}

/* So few more could be accepted that mail behind this flood would wait for its deferrals: no pacing then. */
static bool crowded(const struct dispatcher *dispatcher)
{
    return dispatcher->clients_max - dispatcher->clients <= dispatcher->clients_max / 8;
}

void deferrals_pump(struct dispatcher *dispatcher)
{
    struct part *part;
    uint64_t now = dispatcher->now;
    bool paced = !crowded(dispatcher);

    for (unsigned i = 0; i < DEFERRALS_AT_ONCE; i++) {
        while (!dispatcher->deferral[i].part && (part = TAILQ_FIRST(&dispatcher->deferring))) {
            if (paced && now < dispatcher->deferral_next) {
                dispatcher_wake_at(dispatcher, (int64_t)dispatcher->deferral_next);
                return;
            }
            if (!begin_or_not(&dispatcher->deferral[i], part))
                return;
            /* A loop that runs late by less than a tenth of a second may catch up. */
            if (!paced || now > dispatcher->deferral_next + 20 * DEFERRALS_INTERVAL)
                dispatcher->deferral_next = now;
            dispatcher->deferral_next += DEFERRALS_INTERVAL;
        }
    }
}

void deferrals_expire(struct dispatcher *dispatcher, uint64_t now)
{
    for (unsigned i = 0; i < DEFERRALS_AT_ONCE; i++)
        if (dispatcher->deferral[i].part && now - dispatcher->deferral[i].since >= RETRY_TIMEOUT) {
            dispatcher->retry_mute = true;
            lost(&dispatcher->deferral[i], "it does not answer");
        }
}

/* Writes what can be written, and then waits for the reply. */
static void write_request(struct deferral *deferral)
{
    bool done =
        conversation_request(&deferral->conversation, deferral->pieces, REDIRECT_PIECES) == 0;

    watch_change(&deferral->dispatcher->watcher, &deferral->watch,
                 done ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

static void on_deferral(void *owner, int fd, uint32_t events)
{
    struct deferral *deferral = owner;
    struct dispatcher *dispatcher = deferral->dispatcher;
    struct reply reply;
    const char *bytes;
    size_t length;
    int result;

    (void)fd;
    if (!deferral->greeted) {
        result = conversation_greeting(&deferral->conversation, &length);
        deferral->greeted = result == 0;
        if (result == 0)
            write_request(deferral);
        else if (result != -EAGAIN)
            lost(deferral, "it does not speak the delivery protocol");
    } else {
        if (events & EPOLLOUT)
            write_request(deferral);
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
            result = conversation_reply(&deferral->conversation, dispatcher->scratch,
                                        sizeof dispatcher->scratch, &reply, &bytes);
            if (result == 0 && reply.status != 0)
                end(deferral, &reply, bytes);
            else if (result != -EAGAIN)
                lost(deferral, "it gave no answer");
        }
    }
}
