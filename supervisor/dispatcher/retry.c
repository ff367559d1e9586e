#include "supervisor/dispatcher/retry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agents/conversation.h"
#include "agents/limits.h"
#include "agents/redirect.h"
#include "agents/request.h"
#include "supervisor/limits.h"

/* One conversation. */
struct talk {
    struct retry *retry;
    struct conversation conversation;
    struct watch watch;
    uint64_t since;
    void *work; /* NULL: free */
    bool greeted;
    struct request request;
    struct iovec pieces[REDIRECT_PIECES];
    char text[REDIRECT_TEXT_MAX + 1];
};

struct retry {
    struct retry_config config;
    struct talk talk[DEFERRALS_AT_ONCE];
    void **queue; /* a ring of config.size */
    unsigned first;
    unsigned queued;
    uint64_t next; /* the next one may begin then */
    bool away;     /* it could not be had, which was logged, and has not answered since */
    bool mute; /* it did not answer in time, or took no connection, and has not answered since */
    uint64_t full; /* since when it takes no connection; 0: it does, or nobody has asked */
    char scratch[REPLY_BYTES_MAX];
};

static void on_talk(void *owner, int fd, uint32_t events);

int retry_create(struct retry **out, const struct retry_config *config)
{
    struct retry *retry = calloc(1, sizeof *retry);

    *out = retry;
    if (!retry)
        return -ENOMEM;
    retry->config = *config;
    for (unsigned i = 0; i < DEFERRALS_AT_ONCE; i++) {
        retry->talk[i].retry = retry;
        conversation_begin(&retry->talk[i].conversation, -1);
    }
    retry->queue = calloc(config->size, sizeof *retry->queue);
    return retry->queue ? 0 : -ENOMEM;
}

void retry_destroy(struct retry *retry)
{
    if (!retry)
        return;
    for (unsigned i = 0; i < DEFERRALS_AT_ONCE; i++)
        conversation_end(&retry->talk[i].conversation);
    free(retry->queue);
    free(retry);
}

void retry_send(struct retry *retry, void *work)
{
    retry->queue[(retry->first + retry->queued++) % retry->config.size] = work;
}

static void *queue_take(struct retry *retry)
{
    void *work = retry->queue[retry->first];

    retry->first = (retry->first + 1) % retry->config.size;
    retry->queued--;
    return work;
}

unsigned retry_pending(const struct retry *retry)
{
    unsigned pending = retry->queued;

    for (unsigned i = 0; i < DEFERRALS_AT_ONCE; i++)
        pending += retry->talk[i].work ? 1 : 0;
    return pending;
}

static void tell_failed(struct retry *retry, void *work)
{
    retry->config.sink(retry->config.context,
                       &(struct retry_event){.kind = RETRY_FAILED, .work = work});
}

/* Ends the conversation and returns its work. */
static void *end(struct talk *talk)
{
    void *work = talk->work;

    talk->work = NULL;
    watch_forget(talk->retry->config.loop, &talk->watch);
    conversation_end(&talk->conversation);
    return work;
}

/* The work counts as deferred, but no record is written. Logged once, until an answer. */
static void unreachable(struct retry *retry, const char *reason)
{
    if (retry->away)
        return;
    retry->away = true;
    complain(retry->config.complaints, COMPLAINT_RETRY, retry->config.loop->now, NULL, 0,
             "service retry: %s; mail is deferred without a record, and mailq shows no "
             "reason. master.cf must have the line \"retry unix - - y - - error\"",
             reason);
}

static void lost(struct talk *talk, const char *reason)
{
    struct retry *retry = talk->retry;

    unreachable(retry, reason);
    tell_failed(retry, end(talk));
}

/* Those that were given up still wait at its socket, and may be all that fit there. */
static bool takes_none_for_long(struct retry *retry)
{
    uint64_t now = retry->config.loop->now;

    if (retry->full == 0)
        retry->full = now;
    if (now - retry->full >= RETRY_TIMEOUT)
        retry->mute = true;
    return retry->mute;
}

/* Points talk->pieces at what is to be sent. 0 or a negative errno. */
static int prepare(struct talk *talk, void *work)
{
    const struct retry_config *config = &talk->retry->config;
    struct retry_letter letter = {.text = talk->text};
    size_t size;
    int result;

    config->prepare(config->context, work, &letter);
    for (char *c = talk->text; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    request_init(&talk->request);
    result = request_parse(&talk->request, letter.bytes, letter.length);
    return result < 0
               ? result
               : redirect_request(&talk->request, letter.bytes, talk->text, talk->pieces, &size);
}

/*
 * Begins with the work that is next. False: retry(8) takes no connection just now, or there is no
 * descriptor; the work keeps its turn.
 */
static bool begin(struct talk *talk)
{
    struct retry *retry = talk->retry;
    struct loop *loop = retry->config.loop;
    void *work = retry->queue[retry->first];
    int result = prepare(talk, work);

    if (result == 0)
        result = redirect_connect(retry->config.queue_directory);
    if (result == -EAGAIN && !takes_none_for_long(retry))
        return false;
    if (result != -EAGAIN)
        retry->full = 0;
    if (result >= 0) {
        conversation_begin(&talk->conversation, result);
        result = watch_on(loop, &talk->watch, result, EPOLLIN, on_talk, talk);
    }
    if (result < 0)
        conversation_end(&talk->conversation);
    if (result < 0 && budget_is_short(-result)) {
        budget_descriptors_short(retry->config.budget, -result, loop->now);
        return false;
    }
    queue_take(retry);
    if (result < 0) {
        unreachable(retry, strerror(-result));
        tell_failed(retry, work);
        return true;
    }
    talk->work = work;
    talk->greeted = false;
    talk->since = loop->now;
    return true;
}

/* With all conversations waiting for a mute retry(8), 12 in a minute would be deferred. */
static bool begin_or_fail(struct talk *talk)
{
    struct retry *retry = talk->retry;
    const struct retry_config *config = &retry->config;

    if (!config->still(config->context, retry->queue[retry->first])) {
        config->sink(config->context,
                     &(struct retry_event){.kind = RETRY_KEPT, .work = queue_take(retry)});
        return true;
    }
    if (!retry->mute || talk == &retry->talk[0])
        return begin(talk);
    tell_failed(retry, queue_take(retry));
    return true;
}

uint64_t retry_turn(struct retry *retry, bool crowded)
{
    uint64_t now = retry->config.loop->now;

    for (unsigned i = 0; i < DEFERRALS_AT_ONCE; i++) {
        while (!retry->talk[i].work && retry->queued > 0) {
            if (!crowded && now < retry->next)
                return retry->next;
            /* Busy or short of descriptors: a tick later that may have changed. */
            if (!begin_or_fail(&retry->talk[i]))
                return UINT64_MAX;
            /* A loop that runs late by less than a tenth of a second may catch up. */
            if (crowded || now > retry->next + 20 * DEFERRALS_INTERVAL)
                retry->next = now;
            retry->next += DEFERRALS_INTERVAL;
        }
    }
    return UINT64_MAX;
}

void retry_tick(struct retry *retry)
{
    for (unsigned i = 0; i < DEFERRALS_AT_ONCE; i++)
        if (retry->talk[i].work &&
            retry->config.loop->now - retry->talk[i].since >= RETRY_TIMEOUT) {
            retry->mute = true;
            lost(&retry->talk[i], "it does not answer");
        }
}

/* Writes what can be written, and then waits for the reply. */
static void write_request(struct talk *talk)
{
    bool done = conversation_request(&talk->conversation, talk->pieces, REDIRECT_PIECES) != -EAGAIN;

    watch_change(talk->retry->config.loop, &talk->watch, done ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

static void read_reply(struct talk *talk)
{
    struct retry *retry = talk->retry;
    struct retry_event event = {.kind = RETRY_ANSWERED};
    struct reply reply;
    char *kept;
    int result = conversation_reply(&talk->conversation, retry->scratch, sizeof retry->scratch,
                                    &reply, &event.bytes);

    if (result == -EAGAIN)
        return;
    /* Status 0 would be a success that nobody delivered. */
    if (result < 0 || reply.status == 0) {
        lost(talk, "it gave no answer");
        return;
    }
    retry->away = retry->mute = false;
    /* A reply in pieces lies in the conversation's memory: it is taken over. */
    kept = talk->conversation.reply;
    talk->conversation.reply = NULL;
    event.work = end(talk);
    event.reply = &reply;
    retry->config.sink(retry->config.context, &event);
    free(kept);
}

static void on_talk(void *owner, int fd, uint32_t events)
{
    struct talk *talk = owner;
    size_t length;
    int result;

    (void)fd;
    if (talk->greeted) {
        if (events & EPOLLOUT)
            write_request(talk);
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            read_reply(talk);
        return;
    }
    result = conversation_greeting(&talk->conversation, &length);
    talk->greeted = result == 0;
    if (result == 0)
        write_request(talk);
    else if (result != -EAGAIN)
        lost(talk, "it does not speak the delivery protocol");
}
