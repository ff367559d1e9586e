#ifndef AGENTS_REDIRECT_H
#define AGENTS_REDIRECT_H

/*
 * Postfix's retry(8), the service that defers: where it listens, and the request for it. That is
 * the same request with the nexthop replaced by the reason, such as `4.3.2 memory is short`.
 * retry(8) then writes the defer record and the log line (postfix-protocol.md 11).
 */

#include "agents/request.h"

#include <sys/uio.h>

#define REDIRECT_PIECES 3

/*
 * Points pieces[] at the request's bytes and at the text, to be written in this order; both must
 * stay as they are as long as the pieces are used. Returns 0 and *size, the sum of the pieces, or
 * -EINVAL: the request is not complete, or the text is not a temporary status and a reason (`4.N.N
 * text`, printable ASCII, at most REDIRECT_TEXT_MAX): retry(8) with anything else might not defer.
 *
 * For one part of a split request: give it the part's own bytes, parsed as a request.
 */
int redirect_request(const struct request *request, const char *bytes, const char *text,
                     struct iovec pieces[REDIRECT_PIECES], size_t *size);

/*
 * A non-blocking connection to private/retry below the queue directory. A descriptor, or a negative
 * errno: -EAGAIN when too many wait for it, -ENOENT or -ECONNREFUSED when there is no such service.
 */
int redirect_connect(int queue_directory);

#endif
