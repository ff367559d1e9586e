#ifndef SUPERVISOR_CTL_CAUSE_H
#define SUPERVISOR_CTL_CAUSE_H

/*
 * What keeps mail waiting, by a snapshot: us or the other side, and is it getting better? Pure.
 */

#include <stdbool.h>

#include "supervisor/report/status.h"

/* Who is to blame when mail waits. */
enum ctl_cause {
    CTL_NOTHING,    /* nothing waits, nothing hangs */
    CTL_FAILING,    /* the other side does not take what it is given */
    CTL_QUEUE,      /* Postfix's queue is read-only, or its disk is full and something waits */
    CTL_STARTS,     /* workers cannot be started */
    CTL_NOT_READY,  /* no worker has been ready for seconds, and one is starting */
    CTL_MEMORY,     /* us: memory, pressure, the kernel */
    CTL_MAXIMUM,    /* us: workers.max */
    CTL_GROWING,    /* us, for seconds: the limit grows with demand */
    CTL_NEXTHOP,    /* a next hop does not answer */
    CTL_OTHER_SIDE, /* slow and dead destinations hold the workers, or what waits is for them */
    CTL_HELD,       /* an operator holds the destinations of half of what waits, or more */
    CTL_PACE,       /* destination.pace keeps most of what waits; so the next three */
    CTL_NUMBER,     /* its destinations take no more at a time */
    CTL_WINDOW,     /* they deliver, and their windows are in use */
    CTL_NEW,        /* they have not delivered yet, and get few workers at first */
};

enum ctl_trend { CTL_TREND_UNKNOWN, CTL_BETTER, CTL_STEADY, CTL_WORSE };

enum ctl_cause ctl_cause_of(const struct status *status);

/* Since a minute ago. */
enum ctl_trend ctl_trend_of(const struct status *status);

/* Deliveries under way, of all lanes. */
uint64_t ctl_in_flight(const struct status *status);

/* Deliveries to slow and dead destinations. What hangs need not be charged to their lanes: a
 * destination may have been good when it began. */
uint64_t ctl_held(const struct status *status);

/* Whether such destinations have half of the deliveries, or of what waits. */
bool ctl_trouble_holds(const struct status *status);

#endif
