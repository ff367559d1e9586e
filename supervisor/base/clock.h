#ifndef SUPERVISOR_BASE_CLOCK_H
#define SUPERVISOR_BASE_CLOCK_H
#include <stdint.h>
uint64_t clock_monotonic(void);
int64_t clock_wall(void);
#endif
