#ifndef SUPERVISOR_JOURNAL_LINE_H
#define SUPERVISOR_JOURNAL_LINE_H

/*
 * A line of the log, ready to be written: fields in journald's form ("NAME=value"), and the text
 * for postlog and syslog. Pure. Internal to journal/.
 */

#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "supervisor/journal/journal.h"

/* Longest name of a field: journald refuses more than 64. */
#define JOURNAL_NAME_MAX 64
#define JOURNAL_TAG_SIZE 128
#define JOURNAL_HOST_SIZE 256

/*
 * Of the identity: SYSLOG_IDENTIFIER, SYSLOG_FACILITY, SYSLOG_PID, HEADROOM_SERVICE. Of the line:
 * PRIORITY, MESSAGE, MESSAGE_ID, HEADROOM_EVENT.
 */
#define JOURNAL_FIXED_FIELDS 8

/* The part that all lines of a process share. */
struct journal_identity {
    char tag[JOURNAL_TAG_SIZE];   /* postfix/headroom */
    char host[JOURNAL_HOST_SIZE]; /* first label */
    int facility;                 /* LOG_MAIL */
    pid_t pid;
    char identifier_field[JOURNAL_TAG_SIZE + 32];
    char facility_field[32];
    char pid_field[32];
    char service_field[JOURNAL_VALUE_MAX + 32];
};

/* Points into itself and into the identity: must not be copied. */
struct journal_line {
    int priority;
    const char *text; /* the value of MESSAGE */
    size_t fields;
    size_t used; /* of bytes[] */
    struct iovec field[JOURNAL_FIXED_FIELDS + JOURNAL_FIELDS_MAX];
    char bytes[JOURNAL_TEXT_MAX + 128 +
               JOURNAL_FIELDS_MAX * (JOURNAL_NAME_MAX + JOURNAL_VALUE_MAX + 2) + 256];
};

/* -EINVAL without a syslog_name, or when it is too long. */
int journal_identity_make(struct journal_identity *identity, const struct journal_options *options,
                          pid_t pid);

/* See journal_log in supervisor/journal/journal.h. */
__attribute__((format(printf, 7, 0))) void
journal_line_make(struct journal_line *line, const struct journal_identity *identity,
                  enum journal_event event, int priority, const struct journal_field *fields,
                  size_t count, const char *format, va_list list);

#endif
