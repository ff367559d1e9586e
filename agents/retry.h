#ifndef AGENTS_RETRY_H
#define AGENTS_RETRY_H

/*
 * Postfix's retry(8), the service that defers (postfix-protocol.md 11): where it listens.
 */

/*
 * A non-blocking connection to private/retry below the queue directory. A descriptor, or a negative
 * errno: -EAGAIN when too many wait for it, -ENOENT or -ECONNREFUSED when there is no such service.
 */
int retry_connect(int queue_directory);

#endif
