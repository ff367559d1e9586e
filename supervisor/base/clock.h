#ifndef SUPERVISOR_BASE_CLOCK_H
#define SUPERVISOR_BASE_CLOCK_H

/*
 * The two clocks, in microseconds. All of supervisor/ reads them here. A test puts another
 * clock_gettime(2) beneath them (tests/unit/jump.h).
 */

#include <stdint.h>

/* CLOCK_MONOTONIC: for spans of time. It stands still while the machine is suspended. */
uint64_t clock_monotonic(void);

/* CLOCK_REALTIME since 1970: for dates. It may jump. */
int64_t clock_wall(void);

#endif
