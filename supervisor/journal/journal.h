#ifndef SUPERVISOR_JOURNAL_JOURNAL_H
#define SUPERVISOR_JOURNAL_JOURNAL_H

/*
 * Headroom's own log: structured lines for journald, else Postfix's postlog socket, else syslog.
 *
 * journal_log() never blocks. sd_journal_sendv(3) waits while journald does not read, and has no
 * other mode. Asking the socket first does not help: another process may fill its queue between the
 * question and the call. So journal_log() puts the line into a fixed ring, without allocation, and
 * a thread of its own writes. A line is dropped and counted when the ring is full. Lines that were
 * dropped or not written are reported by EVENT_LINES_LOST, as soon as a line can be written again.
 *
 * The writer chooses the destination for each line: the first of the three sockets that accepts a
 * connection. So a journald that starts late or goes away is followed.
 *
 * Threads and fork: the thread lives in the process that called journal_open(), with all signals
 * blocked. A child made by fork has no thread: it must neither log nor close the log. It may open
 * its own, but open the parent's after the fork, or close it before. prctl(PR_SET_NO_NEW_PRIVS)
 * works on one thread only: call it before journal_open(). One thread calls journal_log() and
 * journal_close().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

#include "supervisor/journal/events.h"

/* Text of a line. postlogd cuts at 2000 bytes, and a screen is narrower. */
#define JOURNAL_TEXT_MAX 900
/* Value of a field. */
#define JOURNAL_VALUE_MAX 255
/* Fields that a caller may add to one line. */
#define JOURNAL_FIELDS_MAX 20
/* Lines that wait for the writer: a second of trouble, or a minute while journald restarts. */
#define JOURNAL_WAITING_MAX 64

/*
 * A field of a line. The name is HEADROOM_ and upper case letters, digits and '_'; a field with
 * another name is left out. The value is `text`, or `number` when `text` is NULL.
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
 * Starts the log. -ENOMEM, -EAGAIN (no thread), -EINVAL (no syslog_name). It is no error that no
 * socket accepts lines: they are counted as lost.
 */
int journal_open(struct journal **out, const struct journal_options *options);

/*
 * Logs a line. `priority` is LOG_DEBUG ... LOG_ERR. `fields` may be NULL when `count` is 0. Bytes
 * that are not printable ASCII become '?' in text and values; a text or value that is too long is
 * cut and ends with "...". Without a `journal` (NULL) nothing happens.
 */
__attribute__((format(printf, 6, 7))) void journal_log(struct journal *journal,
                                                       enum journal_event event, int priority,
                                                       const struct journal_field *fields,
                                                       size_t count, const char *format, ...);

/* Lines lost so far, reported or not. */
uint64_t journal_lost(struct journal *journal);

/*
 * Ends the log. Waits at most `milliseconds` until all lines are written, then abandons the writer.
 * NULL is allowed. Returns how many lines were not written.
 */
uint64_t journal_close(struct journal *journal, int milliseconds);

/* LOG_MAIL and so on for Postfix's syslog_facility, or -EINVAL. */
int journal_facility(const char *name);

#endif
