#ifndef SUPERVISOR_PARENT_FORKS_H
#define SUPERVISOR_PARENT_FORKS_H

/*
 * Whether the next worker is forked or executed: the parent's side of the template
 * (agents/template.h). The template is started before the first worker, in the pool's group, and
 * with another one when it is old, stale or has ended. Whenever it cannot fork right now, the worker
 * is executed at once, as without it; but one that initialises itself is waited for as long as that
 * takes a worker, too. It is a child of ours that the dispatcher does not know.
 *
 *   refused                  tried again after FORKS_REFUSED; the reason is logged
 *   ended, silent, no fork   tried again after 1 s, then 2 s, and so on up to 60 s; logged once, an
 *                            end from the second on that comes within a minute
 *   stale, old               a new one with the next worker; not logged
 *
 * A template that does not answer within FORKS_ANSWER is killed, and the worker executed.
 * Times are CLOCK_MONOTONIC in microseconds.
 */

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agents/template.h"
#include "supervisor/parent/parent.h"

#define FORKS_ANSWER                                                                               \
    500 /* ms; a fork takes 0.3 ms, and longer where 30 processes want the processor */
#define FORKS_AWAIT UINT64_C(100000)        /* us from its start; a start takes 10 to 30 ms */
#define FORKS_SETTLE UINT64_C(30000000)     /* us from its start until it must be ready */
#define FORKS_REFUSED UINT64_C(600000000)   /* us */
#define FORKS_PAUSE_MOST UINT64_C(60000000) /* us */

struct forks {
    const struct parent *parent;
    char **environment; /* the template's */
    sigset_t signals;   /* blocked in us, not in it */
    pid_t pid;          /* 0: there is none; else not reaped yet */
    int control;        /* -1: it is not asked any more */
    bool ready;
    bool settles;  /* it will not be ready soon */
    bool tls;      /* its workers speak TLS: they take more */
    bool expected; /* its end: we ended it, or it said why */
    uint32_t number;
    uint64_t since; /* when it was started */
    uint64_t again; /* not started before */
    unsigned failures;
    enum template_reason reason; /* why the next worker is executed; FINE: it is forked */
    enum template_reason said;   /* what was logged last */
    char preload[PATH_MAX + 16];
};

/* `environment` is a worker's; signals are those that a child unblocks. 0 or -ENOMEM. */
int forks_open(struct forks *forks, const struct parent *parent, char *const environment[],
               const sigset_t *signals);

/* Frees; the template was ended before. */
void forks_close(struct forks *forks);

/*
 * A worker for these descriptors, which stay the caller's. Its pid; 0: it is to be executed; or
 * -EAGAIN: neither, because one may still come for them.
 */
pid_t forks_worker(struct forks *forks, const int descriptors[TEMPLATE_DESCRIPTORS]);

/* Starts the template, if it is time. */
void forks_prepare(struct forks *forks);

/*
 * Milliseconds for which the next worker may wait for a template that will be ready soon: it is
 * there sooner than one that is executed beside it, and for less. -1: it need not wait.
 */
int forks_await(const struct forks *forks);

/*
 * Gives up a template that has not become ready in FORKS_SETTLE, also while no worker is asked for: else nothing would say why
 * they are executed. Milliseconds until it is to be called again, or -1.
 */
int forks_judge(struct forks *forks);

/* What the control socket says, when it is readable. */
void forks_read(struct forks *forks);

/* `pid` was reaped. True: it was the template. */
bool forks_reaped(struct forks *forks, pid_t pid, int status);

/* Ends it, without a word; `pid` stays until it is reaped. */
void forks_end(struct forks *forks);

#endif
