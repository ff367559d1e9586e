/* supervisor/report/totals.c: the table agrees with the manual and with itself, and sums are of all counters. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/config/config_file.h"
#include "supervisor/report/totals.h"

/* Whether the manual has an item of this counter, and its metric on the same line. */
static void expect_item(const char *manual, const struct totals_entry *entry)
{
    char item[64], metric[96];
    const char *at;
    char *line;

    snprintf(item, sizeof item, "\n.It Cm totals.%s", entry->name);
    snprintf(metric, sizeof metric, " headroom_%s_total%s%s", entry->metric,
             entry->label[0] != '\0' ? " Ns Brq reason=" : "", entry->label);
    at = strstr(manual, item);
    while (at && strchr(" \n", at[strlen(item)]) == NULL)
        at = strstr(at + 1, item);
    cr_assert_not_null(at, "headroomctl.8 has no totals.%s", entry->name);
    line = strndup(at + 1, strcspn(at + 1, "\n"));
    for (char *c = line; *c != '\0'; c++) /* the label's value stands in quotes */
        if (*c == '"')
            memmove(c, c + 1, strlen(c));
    if (entry->metric[0] != '\0')
        cr_expect_not_null(strstr(line, metric), "no%s in: %s", metric, line);
    free(line);
}

Test(totals, each_is_in_the_manual)
{
    char *text = NULL;
    char *manual;
    size_t length = 0;

    cr_assert_eq(config_file_read("packaging/headroomctl.8", &text, &length), 0,
                 "run from the top of the tree");
    manual = strndup(text, length);
    for (unsigned n = 0; n < TOTALS_COUNT; n++)
        expect_item(manual, &totals_table[n]);
    free(text);
    free(manual);
}

/* Prometheus reads a family once, and its help is one line. */
Test(totals, families_stand_together)
{
    for (unsigned n = 0; n < TOTALS_COUNT; n++) {
        const struct totals_entry *entry = &totals_table[n];

        cr_expect(entry->help[0] != '\0' && strchr(entry->help, '\n') == NULL, "%s", entry->name);
        cr_expect(entry->field[0] == '\0' || entry->text[0] != '\0', "%s", entry->name);
        for (unsigned m = 0; m + 1 < n; m++)
            cr_expect(entry->metric[0] == '\0' ||
                          strcmp(totals_table[m].metric, entry->metric) != 0 ||
                          strcmp(totals_table[n - 1].metric, entry->metric) == 0,
                      "%s is apart from its family", entry->name);
    }
}

Test(totals, sums_of_what_happened_between)
{
    struct totals then = {.requests = 5, .delivered = 3, .started = UINT64_C(5000000000)};
    struct totals now = {
        .requests = 9, .delivered = 3, .deferred_slow = 2, .started = UINT64_C(5000000001)};
    struct totals sum = {.requests = 100, .lost = 7};

    totals_add(&sum, &then, &now);
    cr_expect_eq(sum.requests, 104);
    cr_expect_eq(sum.delivered, 0);
    cr_expect_eq(sum.deferred_slow, 2);
    cr_expect_eq(sum.lost, 7);
    cr_expect_eq(sum.started, 1);
}

Test(totals, words)
{
    const struct totals totals = {.deferred = 9, .deferred_memory = 2, .deferred_full = 7};
    struct totals most;
    char text[TOTALS_REASONS_SIZE], small[12], would[TOTALS_WOULD_SIZE];

    totals_write_reasons(&totals, text, sizeof text);
    cr_expect_str_eq(text, "memory 2, too many wait 7, slow or dead destination 0");
    totals_write_reasons(&totals, small, sizeof small);
    cr_expect_str_eq(small, "memory 2, t");
    totals_write(&totals, small, sizeof small);
    cr_expect_str_eq(small, "0 requests,");
    totals_write_would(&(struct totals){.would_defer_memory = 2,
                                        .would_defer_slow = 3,
                                        .would_wait_limit = 4,
                                        .would_wait_destination = 5,
                                        .would_split = 6},
                       would, sizeof would);
    cr_expect_str_eq(would,
                     "deferred 5 (memory 2, too many wait 0, slow or dead destination 3), made 9 "
                     "wait (limit 4, destination 5), split off 6");
    memset(&most, 0xff, sizeof most);
    totals_write_would(&most, would, sizeof would);
    cr_expect_lt(strlen(would), sizeof would - 1, "TOTALS_WOULD_SIZE is too small: %s", would);
    totals_write_reasons(&most, text, sizeof text);
    cr_expect_lt(strlen(text), sizeof text - 1, "TOTALS_REASONS_SIZE is too small: %s", text);
}
