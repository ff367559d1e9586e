#ifndef SUPERVISOR_JOURNAL_SINK_H
#define SUPERVISOR_JOURNAL_SINK_H

/*
 * Where lines of the log go: journald, else Postfix's postlog socket, else syslog. Only the log's writer thread comes here:
 * all three may block.
 */

#include <stdbool.h>
#include <sys/un.h>

#include "supervisor/journal/journal_line.h"

struct journal_sink {
    int fd; /* a datagram socket kept open, so that a process out of descriptors can still say so */
    bool syslog_open;
    bool postlog_given;
    struct sockaddr_un postlog;
};

/* `postlog` may be NULL; a path that does not fit a socket address is as none. 0 or a negative errno. */
int journal_sink_open(struct journal_sink *sink, const char *postlog);

/*
 * Writes one line to the first of the three whose socket takes a connection now. A negative errno when it is lost: -ENOENT
 * or -ECONNREFUSED when none does, else what the one said.
 */
int journal_sink_write(struct journal_sink *sink, const struct journal_identity *identity,
                       const struct journal_line *line);

void journal_sink_close(struct journal_sink *sink);

/*
 * A line as postlogd(8) takes it: "Mon dd HH:MM:SS host prog[pid]: [severity: ]text" (postfix-protocol.md 8), `now` in
 * seconds since 1970, in local time. Returns its length; what does not fit `size` is cut.
 */
size_t journal_sink_postlog(char *out, size_t size, time_t now,
                            const struct journal_identity *identity,
                            const struct journal_line *line);

#endif
