#ifndef SUPERVISOR_JOURNAL_EVENTS_H
#define SUPERVISOR_JOURNAL_EVENTS_H

/*
 * The kinds of events in Headroom's log. Each has a name for the field HEADROOM_EVENT, and a
 * MESSAGE_ID: 128 random bits, which filters and the catalog refer to and which never change.
 */

enum journal_event {
    EVENT_START,               /* version, service, agent, limits, source of the configuration */
    EVENT_EXIT,                /* the end, with the reason or the counters */
    EVENT_CONFIGURATION,       /* an error in the configuration file */
    EVENT_SETUP,               /* the set-up is broken: Headroom cannot run */
    EVENT_WORKER_START_FAILED, /* a worker could not be started; the next try is later */
    EVENT_WORKER_STARTS_AGAIN, /* after such a failure a worker started */
    EVENT_WORKER_LOST,         /* a worker died with a request */
    EVENT_REQUEST_REFUSED,     /* malformed, or without a queue file */
    EVENT_DESCRIPTORS,         /* no descriptor is left: nothing is accepted until one is */
    EVENT_SECOND_PROCESS,      /* another supervisor holds the service */
    EVENT_STATE,               /* the limit's mode has changed: OPEN, HOLD, SHRINK, SHED */
    EVENT_SUMMARY,             /* not OPEN, or mail is deferred: each minute, later each ten */
    EVENT_GROUP,               /* which memory group is used, and how */
    EVENT_STATE_FILE,          /* a file in data_directory cannot be written */
    EVENT_RETRY_UNREACHABLE,   /* mail is deferred without retry(8) */
    EVENT_AGE_UNKNOWN,         /* qmgr(8) says the age of mail in an unknown layout */
    EVENT_FORKS,               /* workers are forked now, or are executed, and why */
    EVENT_NEXTHOP_DOWN,        /* a next hop does not answer */
    EVENT_NEXTHOP_UP,          /* and answers again */
    EVENT_NEXTHOP_CROWDED,     /* a next hop refuses more than stock's number at a time */
    EVENT_QUEUE,               /* the queue is read-only or its disk is full, or no more */
    EVENT_HOLDS,               /* an operator holds destinations, or has released the last */
    EVENT_LINES_LOST,          /* log lines that could not be written */
    EVENTS
};

/* 32 lower-case hexadecimal digits. */
const char *event_message_id(enum journal_event event);

/* Lower case, words joined by '-': "worker-lost". */
const char *event_name(enum journal_event event);

#endif
