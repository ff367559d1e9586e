#ifndef AGENTS_MARKS_H
#define AGENTS_MARKS_H

/*
 * Which recipients a delivery agent is done with: it marks them in the queue file, one byte at the
 * offset that the request names (postfix-protocol.md 7). Read only; nothing here marks.
 */

#include <stddef.h>

/*
 * Are all recipients of this request marked as done? `fd` is the queue file. 1: all; 0: one at
 * least is not; -EBADMSG: not a request; -ENOENT: a recipient has no record there; -errno of
 * pread(2).
 */
int marks_done(int fd, const char *bytes, size_t length);

#endif
