#ifndef SUPERVISOR_EVENTS_H
#define SUPERVISOR_EVENTS_H

/*
 * The kinds of events in Headroom's log. Each has a MESSAGE_ID (128 bits, random, never changed once released: filters and
 * the catalog refer to it) and a name for the field HEADROOM_EVENT.
 */

enum journal_event {
    EVENT_START, /* one line at start: version, service, agent, limits, source of the configuration */
    EVENT_EXIT,                /* the end, and why */
    EVENT_CONFIGURATION,       /* something in the configuration file is wrong */
    EVENT_SETUP,               /* the set-up is broken, it cannot run */
    EVENT_WORKER_START_FAILED, /* a worker could not be started; tried again later */
    EVENT_WORKER_STARTS_AGAIN, /* and now it could */
    EVENT_WORKER_LOST,         /* a worker died with a request in hand */
    EVENT_REQUEST_REFUSED,     /* malformed, or its queue file is gone */
    EVENT_DESCRIPTORS,         /* none left: nothing is accepted until there are */
    EVENT_SECOND_PROCESS,      /* another supervisor holds the service */
    EVENT_STATE,               /* the limit's state has changed: OPEN, HOLD, SHRINK, SHED */
    EVENT_SUMMARY,             /* it is still not OPEN: each minute, later each ten */
    EVENT_GROUP,               /* which memory group is used, and how */
    EVENT_STATE_FILE,          /* a file in data_directory cannot be written */
    EVENT_RETRY_UNREACHABLE,   /* mail is deferred without retry(8) */
    EVENT_LINES_LOST,          /* log lines that could not be written */
    EVENTS
};

/* 32 lower-case hexadecimal digits. */
const char *event_message_id(enum journal_event event);

/* Lower case, words joined by '-': "worker-lost". */
const char *event_name(enum journal_event event);

#endif
