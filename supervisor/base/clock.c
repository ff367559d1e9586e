#include "supervisor/base/clock.h"

#include <time.h>

static int64_t microseconds(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

uint64_t clock_monotonic(void)
{
    return (uint64_t)microseconds(CLOCK_MONOTONIC);
}

int64_t clock_wall(void)
{
    return microseconds(CLOCK_REALTIME);
}
