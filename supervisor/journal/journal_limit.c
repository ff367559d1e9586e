#include "supervisor/journal/journal_limit.h"

/* Earns lines back for the time that has passed. A clock that went back earns nothing. */
static void earn(struct journal_limit *limit, uint64_t now)
{
    uint64_t earned;

    if (limit->said == 0 || now <= limit->since)
        return;
    earned = (now - limit->since) / JOURNAL_LIMIT_INTERVAL;
    if (earned >= limit->said) {
        limit->said = 0;
        return;
    }
    limit->said -= (unsigned)earned;
    limit->since += earned * JOURNAL_LIMIT_INTERVAL;
}

static bool spend(struct journal_limit *limit, uint64_t now)
{
    earn(limit, now);
    if (limit->said >= JOURNAL_LIMIT_BURST)
        return false;
    if (limit->said == 0)
        limit->since = now;
    limit->said++;
    return true;
}

bool journal_limit_happened(struct journal_limit *limit, uint64_t now, uint64_t *unsaid)
{
    if (!spend(limit, now)) {
        limit->unsaid++;
        return false;
    }
    *unsaid = limit->unsaid;
    limit->unsaid = 0;
    return true;
}

bool journal_limit_remainder(struct journal_limit *limit, uint64_t now, bool last, uint64_t *unsaid)
{
    if (limit->unsaid == 0 || (!spend(limit, now) && !last))
        return false;
    *unsaid = limit->unsaid;
    limit->unsaid = 0;
    return true;
}
