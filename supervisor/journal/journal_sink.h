#ifndef SUPERVISOR_JOURNAL_SINK_H
#define SUPERVISOR_JOURNAL_SINK_H

/*
 * Writes lines of the log to journald, else to Postfix's postlog socket, else to syslog. All three
 * may block: only the log's writer thread calls this module.
 */

#include <stdbool.h>
#include <sys/un.h>

#include "supervisor/journal/journal_line.h"

struct journal_sink {
    int fd; /* datagram socket, kept open for a process that runs out of descriptors */
    bool syslog_open;
    bool postlog_given;
    struct sockaddr_un postlog;
};

/* `postlog` may be NULL; a path too long for a socket address is ignored. 0 or a negative errno. */
int journal_sink_open(struct journal_sink *sink, const char *postlog);

/*
 * Writes one line to the first of the three whose socket accepts a connection now. 0, or a negative
 * errno when the line is lost: -ENOENT or -ECONNREFUSED when none accepts, else that of the write.
 */
int journal_sink_write(struct journal_sink *sink, const struct journal_identity *identity,
                       const struct journal_line *line);

void journal_sink_close(struct journal_sink *sink);

/*
 * A line in the form of postlogd(8): "Mon dd HH:MM:SS host prog[pid]: [severity: ]text"
 * (postfix-protocol.md 8). `now` is in seconds since 1970 and is written as local time. Returns the
 * length; a line longer than `size` is cut.
 */
size_t journal_sink_postlog(char *out, size_t size, time_t now,
                            const struct journal_identity *identity,
                            const struct journal_line *line);

#endif
