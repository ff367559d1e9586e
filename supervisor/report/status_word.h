#ifndef SUPERVISOR_REPORT_STATUS_WORD_H
#define SUPERVISOR_REPORT_STATUS_WORD_H

/*
 * The state of a service in one line, for those who may not read its snapshot: the policy service
 * (ctl/ctl_policy.c), which runs as nobody. The file is root's and readable for all; the parent
 * opens it, the dispatcher writes it: when a figure has changed, and at least each ten seconds.
 *
 * The line is STATE SECONDS: "SHED 1764345600", seconds since 1970.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/report/status.h"

/* printf(3) format: below queue_directory, of a service. */
#define STATUS_WORD_FILE "pid/headroom-state.%s"

/* The line, with blanks behind it up to this size, so that none is ever cut by a shorter one. */
#define STATUS_WORD_SIZE_IN_FILE 32

/* An older line says nothing: who wrote it has ended, or does not answer. Microseconds. */
#define STATUS_WORD_SILENT_AFTER INT64_C(30000000)

/* `wall` is us since 1970. 0 or a negative errno. */
int status_word_write(int fd, const char *state, int64_t wall);

/*
 * With status.public a summary follows, for people: lines "name value", without any domain. The
 * file then has this size, with blanks at its end. In a dry run, where the line says OPEN, since
 * nothing is held back, "would_be" has the state.
 */
#define STATUS_PUBLIC_SIZE 1024

/* Writes it behind the line. 0 or a negative errno. */
int status_public_write(int fd, const struct status *status);

/* Does a line, read at `wall`, say that mail is shed? False for what is no such line. Pure. */
bool status_word_sheds(const char *line, size_t length, int64_t wall);

#endif
