#ifndef SUPERVISOR_DISPATCHER_ARRIVAL_H
#define SUPERVISOR_DISPATCHER_ARRIVAL_H

/*
 * What admission has to know of a request: the name of its destination, whether it was tried
 * before, whether headroom may defer it. Pure: the time of the day is given.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agents/postconf.h"
#include "agents/request.h"
#include "agents/split.h"
#include "supervisor/admission/admission.h"
#include "supervisor/config/config.h"

/* Room for a name; admission folds what is longer than it keeps. */
#define ARRIVAL_NAME_SIZE 1024

/* What tells destinations apart, by destination.key; NULL when requests are not to be split. */
split_key *arrival_key(const struct config *config);

/*
 * Deferring a message at the end of its lifetime would bounce it, and deferring a probe is an
 * answer to somebody: headroom does neither (postfix-protocol.md 4.8, 6.4). `wall` is us since
 * 1970.
 *
 * qmgr(8) asks for the age when the last part of the message has ended. A part that is deferred now
 * may have a sibling that waits for `waiting_most` and is then delivered for hours. qmgr(8) gives
 * up a request after daemon_timeout, so that bounds both together: it is the margin, but at most
 * half of the lifetime.
 */
bool arrival_exempt(const struct postconf *postconf, const struct request *request, int64_t wall);

/* The arrival of a share that is known by `key` within `bytes`. `name` holds arrival->key. */
void arrival_share(const struct config *config, const struct request *request, const char *bytes,
                   const struct request_text *key, char name[ARRIVAL_NAME_SIZE],
                   struct admission_arrival *arrival);

/* The arrival of a request that is known by its first recipient's key, or by its nexthop. */
void arrival_whole(const struct config *config, const struct request *request, const char *bytes,
                   char name[ARRIVAL_NAME_SIZE], struct admission_arrival *arrival);

#endif
