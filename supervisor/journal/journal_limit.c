#include "supervisor/journal/journal_limit.h"

/* Earns lines back for the time since the last call. */
static void earn(struct journal_budget *budget, uint64_t interval, uint64_t now)
{
    uint64_t earned;

    if (budget->spent == 0 || now <= budget->since)
        return;
    earned = (now - budget->since) / interval;
    if (earned >= budget->spent) {
        budget->spent = 0;
        return;
    }
    budget->spent -= (unsigned)earned;
    budget->since += earned * interval;
}

unsigned journal_budget_left(struct journal_budget *budget, unsigned most, uint64_t interval,
                             uint64_t now)
{
    earn(budget, interval, now);
    return budget->spent < most ? most - budget->spent : 0;
}

void journal_budget_spend(struct journal_budget *budget, uint64_t now)
{
    if (budget->spent == 0)
        budget->since = now;
    budget->spent++;
}

static bool spend(struct journal_limit *limit, unsigned most, uint64_t now)
{
    if (journal_budget_left(&limit->lines, most, JOURNAL_LIMIT_INTERVAL, now) == 0)
        return false;
    journal_budget_spend(&limit->lines, now);
    return true;
}

bool journal_limit_happened(struct journal_limit *limit, unsigned most, uint64_t now,
                            uint64_t *unsaid)
{
    if (!spend(limit, most, now)) {
        limit->unsaid++;
        return false;
    }
    *unsaid = limit->unsaid;
    limit->unsaid = 0;
    return true;
}

bool journal_limit_remainder(struct journal_limit *limit, unsigned most, uint64_t now, bool last,
                             uint64_t *unsaid)
{
    if (limit->unsaid == 0 || (!spend(limit, most, now) && !last))
        return false;
    *unsaid = limit->unsaid;
    limit->unsaid = 0;
    return true;
}
