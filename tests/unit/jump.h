#ifndef TESTS_UNIT_JUMP_H
#define TESTS_UNIT_JUMP_H

/*
 * The clock of a test program, which the test can move forward: as it is seen by a process that was
 * stopped, or that the machine did not let run. supervisor/base/clock.c calls clock_gettime(), and
 * finds this one.
 */

#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000)

/* What a process may be away for: a busy machine, a debugger, SIGSTOP, a laptop's lid. us. */
static const uint64_t jumps[] = {SECOND / 5, 3 * SECOND, 400 * SECOND, 86400 * SECOND};

#define JUMPS (sizeof jumps / sizeof jumps[0])

static uint64_t jumped; /* us that this clock is ahead */

int clock_gettime(clockid_t id, struct timespec *now)
{
    long result = syscall(SYS_clock_gettime, id, now);

    now->tv_sec += (time_t)(jumped / SECOND);
    now->tv_nsec += (long)(jumped % SECOND) * 1000;
    if (now->tv_nsec >= 1000000000) {
        now->tv_sec++;
        now->tv_nsec -= 1000000000;
    }
    return (int)result;
}

/* The machine's own clock. us. */
static inline uint64_t real_now(void)
{
    struct timespec now = {0};

    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec / 1000;
}

#endif
