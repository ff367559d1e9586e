#ifndef SUPERVISOR_CTL_HOLD_H
#define SUPERVISOR_CTL_HOLD_H

#include <stdint.h>
#include <stdio.h>

#include "supervisor/ctl/ctl.h"
#include "supervisor/report/holds.h"

/* What is held now. 0, or CTL_FAILED after a line. */
int ctl_hold_read(const struct ctl *ctl, struct holds *holds);

/* A line: who holds what, since when and until when. `now`: us since 1970. */
void ctl_hold_print(FILE *out, const struct hold *hold, int64_t now);

#endif
