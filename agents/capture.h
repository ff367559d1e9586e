#ifndef AGENTS_CAPTURE_H
#define AGENTS_CAPTURE_H

/*
 * Runs a short program at start and keeps what it writes.
 */

#include <stddef.h>

/*
 * Runs words[0] (a path; `words` ends with NULL) with the environment of this process, /dev/null as
 * its standard input and no other descriptors, waits for its end and puts its standard output,
 * ended by NUL, into `output`. Blocks for at most `timeout` milliseconds, then kills it; no child
 * is left behind in any case. SIGCHLD must not be ignored.
 *
 * 0 only when it ended with status 0. Otherwise one line is in `error`: -ETIMEDOUT; -EPROTO: it
 * failed (the line is the first on its standard error that is no warning), was ended by a signal,
 * cannot be run or wrote more than fits; else what the system said.
 */
int capture_run(const char *const *words, int timeout, char *output, size_t output_size,
                char *error, size_t error_size);

#endif
