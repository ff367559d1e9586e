#include "supervisor/limit/limit.h"

#include <stdio.h>

#define MIB 1048576.0

/* Enough for "18446744073709M". */
#define AMOUNT 32

static const char *amount(double bytes, char *text)
{
    if (bytes < 0)
        bytes = 0;
    if (bytes < 10 * MIB)
        snprintf(text, AMOUNT, "%.1fM", bytes / MIB);
    else
        snprintf(text, AMOUNT, "%.0fM", bytes / MIB);
    return text;
}

/* Groups and the machine: what is there, what was promised, what it is compared with. */
static int write_memory(const struct limit_reason *reason, char *buffer, size_t size)
{
    char value[AMOUNT];
    char threshold[AMOUNT];
    char each[AMOUNT];
    char promised[AMOUNT + 64] = "";
    char bytes[AMOUNT];

    amount(reason->value, value);
    amount(reason->threshold, threshold);
    amount(reason->footprint, each);
    if (reason->promised >= reason->footprint && reason->promised > 0)
        snprintf(promised, sizeof promised, " (workers just started will use %s more)",
                 amount(reason->promised, bytes));

    if (reason->input == LIMIT_BY_AVAILABLE) {
        if (reason->value < reason->threshold)
            return snprintf(buffer, size, "memory available %s is below %s %s%s", value,
                            reason->key, threshold, promised);
        return snprintf(buffer, size,
                        "memory available %s is all but used down to %s %s, a worker takes %s%s",
                        value, reason->key, threshold, each, promised);
    }

    char whose[64];
    if (reason->input == LIMIT_BY_POOL)
        snprintf(whose, sizeof whose, "%s",
                 reason->key[0] != '\0' ? reason->key : "the limit of the memory group");
    else
        snprintf(whose, sizeof whose, "the limit of the memory group %u level%s up", reason->group,
                 reason->group == 1 ? "" : "s");
    if (reason->value > reason->threshold)
        return snprintf(buffer, size, "working set %s is above %s, which %s leaves%s", value,
                        threshold, whose, promised);
    return snprintf(buffer, size,
                    "working set %s is all but at %s, which %s leaves, a worker takes %s%s", value,
                    threshold, whose, each, promised);
}

int limit_reason_write(const struct limit_reason *reason, char *buffer, size_t size)
{
    const char *whose = reason->machine ? "machine" : "pool";

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
        return snprintf(buffer, size,
                        "the %s was stalled on memory for %.1f%% of the time, %s is %.1f%%", whose,
                        reason->value * 100, reason->key, reason->threshold * 100);
    case LIMIT_BY_FULL:
        return snprintf(buffer, size,
                        "all of the %s was stalled on memory for %.1f%% of the time, %s is %.1f%%",
                        whose, reason->value * 100, reason->key, reason->threshold * 100);
    case LIMIT_BY_EVENT:
        return snprintf(buffer, size, "the pool ran into its memory.high or %s", reason->key);
    case LIMIT_BY_OOM:
        return snprintf(buffer, size, "the kernel killed %.0f worker%s for want of memory",
                        reason->value, reason->value == 1 ? "" : "s");
    case LIMIT_BY_FORK:
        return snprintf(buffer, size, "%.0f worker%s could not be started", reason->value,
                        reason->value == 1 ? "" : "s");
    }
    return snprintf(buffer, size, "unknown");
}
