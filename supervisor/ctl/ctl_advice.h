#ifndef SUPERVISOR_CTL_ADVICE_H
#define SUPERVISOR_CTL_ADVICE_H

#include "supervisor/report/status.h"

/* What to do about the reason of a failed delivery, in one line; NULL: nothing is known of such a one. Pure. */
const char *ctl_advice(const char *reason);

/* The destination whose reason is the newest, or NULL. Pure. */
const struct status_destination *ctl_newest_reason(const struct status *status);

#endif
