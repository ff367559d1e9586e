#ifndef SUPERVISOR_DISPATCHER_RETRY_H
#define SUPERVISOR_DISPATCHER_RETRY_H

/*
 * Conversations with Postfix's own retry(8), which defers: it gets the same request with the
 * nexthop replaced by the reason, writes the defer record and the line in the log
 * (postfix-protocol.md 11).
 *
 * retry_send() puts `work` in a queue. At its turn, which may come hours later, the router is asked
 * whether it is `still` to be deferred, and by `prepare` what is to be sent. RETRY_ANSWERED,
 * RETRY_FAILED or RETRY_KEPT follows, exactly once.
 *
 * Deferrals are paced, DEFERRALS_INTERVAL apart: those of a full waiting room would take the CPU of
 * qmgr(8) and come back as the flood that they were.
 *
 * While retry(8) does not answer (master cannot start it, say) one conversation waits for it, and
 * the other work fails at once. What waited for it would fill the active queue meanwhile.
 *
 * Calls supervisor/base, agents, report/complaints, budget. Knows no sibling. The sink is called as
 * the last act on behalf of a conversation.
 *
 * DIAGNOSTICS: retry(8) cannot be had (EVENT_RETRY_UNREACHABLE), once until it answers again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agents/reply.h"
#include "supervisor/base/loop.h"
#include "supervisor/dispatcher/budget.h"

struct retry;

enum retry_kind {
    RETRY_ANSWERED, /* `reply` says that it is deferred */
    RETRY_FAILED,   /* retry(8) cannot be had, or gave no answer */
    RETRY_KEPT,     /* it is not to be deferred any more: nothing was sent */
};

struct retry_event {
    enum retry_kind kind;
    void *work;
    const struct reply *reply; /* of RETRY_ANSWERED: valid during the call, with its bytes */
    const char *bytes;
};

typedef void (*retry_sink)(void *context, const struct retry_event *event);

/* What is sent: a request, and the reply text that takes the place of its nexthop. */
struct retry_letter {
    const char *bytes;
    size_t length;
    char *
        text; /* room for REDIRECT_TEXT_MAX and a NUL; any byte that is not printable becomes `?` */
};

/* Is `work` still to be deferred? */
typedef bool (*retry_still)(const void *context, const void *work);

/* Says what is to be sent for `work`. */
typedef void (*retry_prepare)(void *context, void *work, struct retry_letter *letter);

struct retry_config {
    struct loop *loop;
    struct budget *budget;
    struct complaints *complaints;
    int queue_directory;
    unsigned size; /* work at a time, at most */
    retry_still still;
    retry_prepare prepare;
    retry_sink sink;
    void *context;
};

int retry_create(struct retry **out, const struct retry_config *config);
void retry_destroy(struct retry *retry);

/* Puts the work at the end of the queue. Never calls the sink. */
void retry_send(struct retry *retry, void *work);

/*
 * Begins what may begin now; without pacing when `crowded`. Returns when to be called again, or
 * UINT64_MAX when only an event can change anything.
 */
uint64_t retry_turn(struct retry *retry, bool crowded);

/* Once a second: gives up what is not answered. */
void retry_tick(struct retry *retry);

/* Work that was sent and is neither answered nor failed. */
unsigned retry_pending(const struct retry *retry);

#endif
