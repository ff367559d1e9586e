#ifndef AGENTS_DEFER_LOG_H
#define AGENTS_DEFER_LOG_H

/*
 * Why a recipient was deferred: what defer(8) wrote into the defer log of its message, defer/ID in queue_directory, before
 * the agent answered. A record is lines NAME=VALUE up to an empty line: recipient, status, reason and others
 * (postfix-protocol.md 6.1).
 */

#include <stddef.h>

/*
 * The reason in the last record for a recipient of `domain`, which is the end of its address from an '@' on, or all of the
 * address; NULL: of any. `log` is the end of the file, and may begin in the middle of a record. Writes "STATUS REASON" to
 * text[size], cut there. 0, or -ENOENT: there is none.
 */
int defer_log_find(const char *log, size_t length, const char *domain, char *text, size_t size);

/*
 * The same for a message, from the last DEFER_LOG_TAIL bytes of its file. hash_queue_names and hash_queue_depth are
 * Postfix's parameters. -ENOENT, -EINVAL: not a valid id; -errno of openat(2), pread(2).
 */
int defer_log_reason(int queue_directory, const char *queue_id, const char *hash_queue_names,
                     unsigned hash_queue_depth, const char *domain, char *text, size_t size);

#endif
