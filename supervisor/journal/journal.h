#ifndef SUPERVISOR_JOURNAL_H
#define SUPERVISOR_JOURNAL_H

/*
 * Headroom's own log: structured lines for journald, else Postfix's postlog socket, else syslog.
 *
 * It never blocks the caller. sd_journal_sendv(3) waits when journald does not read, and offers no way around that, so a
 * thread of its own writes: journal_log prepares the line (fields, text, lengths; no allocation) in the next place of a
 * fixed ring and returns. When the ring is full the line is dropped and counted; what could not be written for this or
 * any other reason is said in a line of its own (EVENT_LINES_LOST) as soon as one can be written again. Asking the socket
 * first whether it would block is no way out: another process may fill the queue between the question and the call.
 *
 * Where a line goes is decided when it is written, by whether the socket of journald, of postlog or of syslog (in this
 * order) takes a connection at that moment: a journald that comes late or goes away is followed.
 *
 * Threads and fork: the thread lives in the process that called journal_open, with all signals blocked. A child
 * made by fork has none: it must neither log nor close there, but may open its own; open the parent's after the fork,
 * or close it before. prctl(PR_SET_NO_NEW_PRIVS) works on one thread only: call it before journal_open.
 * journal_log and journal_close are for one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

#include "supervisor/journal/events.h"

/* Text of a line; journald takes far more, but postlogd cuts at 2000 and a screen is narrower still. */
#define JOURNAL_TEXT_MAX 900
/* Value of a field. */
#define JOURNAL_VALUE_MAX 255
/* Fields that a caller may add to one line. */
#define JOURNAL_FIELDS_MAX 16
/* Lines that wait for the writer: more than come in a second, and a minute's worth when journald restarts. */
#define JOURNAL_WAITING_MAX 64

/*
 * A field of the caller's. The name is HEADROOM_ and upper case letters, digits and '_' (a field with another name is
 * left out). With `text` NULL the value is `number`.
 */
struct journal_field {
    const char *name;
    const char *text;
    int64_t number;
};

#define JOURNAL_TEXT(field, value) ((struct journal_field){.name = (field), .text = (value)})
#define JOURNAL_NUMBER(field, value) ((struct journal_field){.name = (field), .number = (value)})

/* All texts are copied. */
struct journal_options {
    const char *syslog_name;     /* "postfix": lines are tagged postfix/headroom */
    const char *syslog_facility; /* Postfix's name of it; NULL or unknown: mail */
    const char *service;         /* HEADROOM_SERVICE; NULL: none */
    const char *postlog; /* path of the postlog socket when maillog_file is set, else NULL */
    const char *host;    /* myhostname, for the postlog format; NULL: the system's */
};

struct journal;

/*
 * Starts the log. -ENOMEM, -EAGAIN (no thread), -EINVAL (no syslog_name). There is no error when nobody listens: lines
 * then wait to be counted as lost.
 */
int journal_open(struct journal **out, const struct journal_options *options);

/*
 * Puts a line in. `priority` is LOG_DEBUG ... LOG_ERR. `fields` may be NULL when `count` is 0. Bytes that are not
 * printable ASCII become '?' in text and values; what is too long is cut and ends with "...". `journal` NULL: nothing.
 */
__attribute__((format(printf, 6, 7))) void journal_log(struct journal *journal,
                                                       enum journal_event event, int priority,
                                                       const struct journal_field *fields,
                                                       size_t count, const char *format, ...);

/* Lines that could not be written so far, told or not. */
uint64_t journal_lost(struct journal *journal);

/*
 * Ends the log: waits at most `milliseconds` until all lines are written, and gives the writer up after that. NULL is
 * allowed. Returns how many lines were not written.
 */
uint64_t journal_close(struct journal *journal, int milliseconds);

/* LOG_MAIL and so on for Postfix's syslog_facility, or -EINVAL. */
int journal_facility(const char *name);

#endif
