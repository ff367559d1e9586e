#ifndef AGENTS_POSTCONF_QMGR_H
#define AGENTS_POSTCONF_QMGR_H

/*
 * Parameters that count as qmgr(8) has them. A transport's line in master.cf may override any
 * parameter by `-o`, for its own programs only; qmgr's line may, too.
 */

#include "agents/postconf.h"

/*
 * Reads maximal_queue_lifetime, bounce_queue_lifetime, daemon_timeout, qmgr_message_active_limit and
 * default_destination_concurrency_limit again: as main.cf has them, with the `-o` of qmgr's line in the master.cf beside it. For what postconf_read() has filled with
 * `overrides`; where neither line has any they are the same, and postconf(1) is not run.
 * A negative errno with a line in `error`; *postconf is then as it was.
 */
int postconf_read_qmgr(struct postconf *postconf, const char *const *overrides, char *error,
                       size_t error_size);

#endif
