#ifndef AGENTS_GREETING_H
#define AGENTS_GREETING_H

/*
 * What a delivery agent says first (postfix-protocol.md 4.1): one list,
 * `protocol`=`delivery_request_protocol` since Postfix 3.6, `status`=`0` before. We do not write
 * one, we repeat to qmgr(8) what a worker said: so more pairs may follow.
 */

#include <stddef.h>

/*
 *   0          complete, *length bytes of it
 *   -EAGAIN    more bytes are wanted; call again with all bytes from the first on
 *   -EBADMSG   not the greeting of a delivery agent
 *   -EMSGSIZE  no end within GREETING_MAX
 */
int greeting_parse(const char *bytes, size_t len, size_t *length);

#endif
