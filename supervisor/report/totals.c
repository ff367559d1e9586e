#include "supervisor/report/totals.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ENTRY(name, field, metric, label, help, text) {#name, field, metric, label, help, text},

const struct totals_entry totals_table[TOTALS_COUNT] = {TOTALS(ENTRY)};

void totals_add(struct totals *sum, const struct totals *then, const struct totals *now)
{
    uint64_t *to = (uint64_t *)sum;

    for (unsigned n = 0; n < TOTALS_COUNT; n++)
        to[n] += totals_value(now, n) - totals_value(then, n);
}

void totals_write(const struct totals *totals, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (unsigned n = 0; n < TOTALS_COUNT && used < size; n++)
        if (totals_table[n].field[0] != '\0')
            used += (size_t)snprintf(text + used, size - used, "%s%" PRIu64 " %s",
                                     used == 0 ? "" : ", ", totals_value(totals, n),
                                     totals_table[n].text);
}

/* Of one family. */
static void reasons_write(const struct totals *totals, const char *metric, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (unsigned n = 0; n < TOTALS_COUNT && used < size; n++)
        if (strcmp(totals_table[n].metric, metric) == 0)
            used +=
                (size_t)snprintf(text + used, size - used, "%s%s %" PRIu64, used == 0 ? "" : ", ",
                                 totals_table[n].text, totals_value(totals, n));
}

void totals_write_reasons(const struct totals *totals, char *text, size_t size)
{
    reasons_write(totals, "deferred", text, size);
}

struct totals_would totals_would(const struct totals *totals)
{
    return (struct totals_would){
        .deferred =
            totals->would_defer_memory + totals->would_defer_full + totals->would_defer_slow,
        .waited = totals->would_wait_limit + totals->would_wait_destination,
        .split = totals->would_split,
    };
}

void totals_write_would(const struct totals *totals, char *text, size_t size)
{
    const struct totals_would would = totals_would(totals);
    char deferred[TOTALS_REASONS_SIZE], waited[TOTALS_REASONS_SIZE];

    reasons_write(totals, "would_defer", deferred, sizeof deferred);
    reasons_write(totals, "would_wait", waited, sizeof waited);
    snprintf(text, size,
             "deferred %" PRIu64 " (%s), made %" PRIu64 " wait (%s), split off %" PRIu64,
             would.deferred, deferred, would.waited, waited, would.split);
}
