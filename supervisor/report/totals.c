#include "supervisor/report/totals.h"

#define ENTRY(name, field, metric, label, help, text) {#name, field, metric, label, help, text},

const struct totals_entry totals_table[TOTALS_COUNT] = {TOTALS(ENTRY)};

void totals_add(struct totals *sum, const struct totals *then, const struct totals *now)
{
    uint64_t *to = (uint64_t *)sum;

    for (unsigned n = 0; n < TOTALS_COUNT; n++)
        to[n] += totals_value(now, n) - totals_value(then, n);
}
