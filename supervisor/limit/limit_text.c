#include "supervisor/limit/limit.h"

#include <stdio.h>

#define MIB 1048576.0

/* Enough for the largest number; units are those of ctl_size(). */
#define AMOUNT 32

static const char *amount(double bytes, char *text)
{
    double mib = bytes > 0 ? bytes / MIB : 0;

    if (mib >= 10000)
        snprintf(text, AMOUNT, "%.1fG", mib / 1024);
    else
        snprintf(text, AMOUNT, mib > 0 && mib < 9.95 ? "%.1fM" : "%.0fM", mib);
    return text;
}

/* What makes the room smaller than value and threshold show. */
static void write_claims(const struct limit_reason *reason, char *text, size_t size)
{
    char falling[AMOUNT];
    char promised[AMOUNT];
    bool fast = reason->falling >= MIB;
    bool young = reason->promised >= MIB;

    text[0] = '\0';
    if (fast && young)
        snprintf(text, size,
                 " (other processes take %s more a second, workers just started will take %s)",
                 amount(reason->falling, falling), amount(reason->promised, promised));
    else if (fast)
        snprintf(text, size, " (other processes take %s more a second)",
                 amount(reason->falling, falling));
    else if (young)
        snprintf(text, size, " (workers just started will take %s)",
                 amount(reason->promised, promised));
}

static int write_memory(const struct limit_reason *reason, char *buffer, size_t size)
{
    char value[AMOUNT];
    char threshold[AMOUNT];
    char each[AMOUNT];
    char claims[144];

    amount(reason->value, value);
    amount(reason->threshold, threshold);
    amount(reason->footprint, each);
    write_claims(reason, claims, sizeof claims);

    if (reason->input == LIMIT_BY_AVAILABLE) {
        if (reason->value < reason->threshold)
            return snprintf(buffer, size, "memory available %s is below %s %s%s", value,
                            reason->key, threshold, claims);
        return snprintf(buffer, size, "memory available %s is near %s %s at %s a worker%s", value,
                        reason->key, threshold, each, claims);
    }

    char whose[64];
    if (reason->input == LIMIT_BY_ANCESTOR)
        snprintf(whose, sizeof whose, "the limit of the memory group %u level%s up", reason->group,
                 reason->group == 1 ? "" : "s");
    else
        snprintf(whose, sizeof whose, "%s",
                 reason->key[0] != '\0' ? reason->key : "the limit of the memory group");
    if (reason->value > reason->threshold)
        return snprintf(buffer, size, "working set %s is above %s, the usable part of %s%s", value,
                        threshold, whose, claims);
    return snprintf(buffer, size,
                    "working set %s is near %s, the usable part of %s, at %s a worker%s", value,
                    threshold, whose, each, claims);
}

int limit_reason_write(const struct limit_reason *reason, char *buffer, size_t size)
{
    const char *whose = reason->machine ? "machine" : "pool";
    const char *plural = reason->value == 1 ? "" : "s";

    switch (reason->input) {
    case LIMIT_BY_GROWTH:
        return snprintf(buffer, size, "the limit grows with demand, it is %.0f of %.0f",
                        reason->value, reason->threshold);
    case LIMIT_BY_MAX:
        return snprintf(buffer, size, "the limit is at workers.max %.0f", reason->threshold);
    case LIMIT_BY_FIXED:
        return snprintf(buffer, size, "workers.limit is fixed at workers.max %.0f",
                        reason->threshold);
    case LIMIT_BY_POOL:
    case LIMIT_BY_ANCESTOR:
    case LIMIT_BY_AVAILABLE:
        return write_memory(reason, buffer, size);
    case LIMIT_BY_STALL:
        return snprintf(buffer, size, "memory stall of the %s %.1f%% is above %s %.1f%%", whose,
                        reason->value * 100, reason->key, reason->threshold * 100);
    case LIMIT_BY_FULL:
        return snprintf(buffer, size, "full memory stall of the %s %.1f%% is above %s %.1f%%",
                        whose, reason->value * 100, reason->key, reason->threshold * 100);
    case LIMIT_BY_EVENT:
        return snprintf(buffer, size, "the pool ran into memory.high or %s", reason->key);
    case LIMIT_BY_OOM:
        return snprintf(buffer, size,
                        "the kernel killed %.0f process%s of the pool for want of memory",
                        reason->value, reason->value == 1 ? "" : "es");
    case LIMIT_BY_FORK:
        return snprintf(buffer, size, "%.0f worker%s could not be started", reason->value, plural);
    }
    return snprintf(buffer, size, "unknown");
}

void limit_figures_write(const struct memory_sample *sample, char *buffer, size_t size)
{
    const struct memory_group *tight = NULL;
    char now[AMOUNT], most[AMOUNT];

    for (unsigned i = 0; i < sample->groups; i++) {
        const struct memory_group *group = &sample->group[i];

        if (group->known && group->limit != MEMORY_UNLIMITED &&
            (!tight || (double)group->usage / (double)group->limit >
                           (double)tight->usage / (double)tight->limit))
            tight = group;
    }
    if (tight)
        snprintf(buffer, size, "%s uses %s of %s now",
                 tight == &sample->group[0] ? "its memory group" : "a memory group above it",
                 amount((double)tight->usage, now), amount((double)tight->limit, most));
    else if (sample->machine_known)
        snprintf(buffer, size, "the machine has %s available now",
                 amount((double)sample->available, now));
    else
        snprintf(buffer, size, "by the kernel");
}

const char *limit_mode_name(enum limit_mode mode)
{
    switch (mode) {
    case LIMIT_OPEN:
        return "OPEN";
    case LIMIT_HOLD:
        return "HOLD";
    case LIMIT_SHRINK:
        return "SHRINK";
    case LIMIT_SHED:
        return "SHED";
    }
    return "?";
}
