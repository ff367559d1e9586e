#include "supervisor/report/state_lines.h"

#include <inttypes.h>
#include <stdio.h>

/* Time without a line before a change for the better, and before a summary. Microseconds. */
#define CHANGE_SOONEST UINT64_C(10000000)
#define SUMMARY_EVERY UINT64_C(60000000)

/* Lines at once, the time in which one is earned back (us), and how many a summary leaves. */
#define LINES_MOST 10
#define LINES_EVERY UINT64_C(600000000)
#define LINES_FOR_CHANGES 4

/* Texts, with the largest numbers. */
#define DEFERRED_SIZE (TOTALS_REASONS_SIZE + 32)
#define AWAY_SIZE (TOTALS_REASONS_SIZE + 192)
#define WOULD_SIZE (TOTALS_WOULD_SIZE + 64)
#define WOULD_FIELDS 3

/* Value and threshold in the unit of the input that binds. */
static void figure_write(const struct limit_reason *reason, double figure, char *text, size_t size)
{
    if (reason->input == LIMIT_BY_STALL || reason->input == LIMIT_BY_FULL)
        snprintf(text, size, "%.2f%%", 100 * figure);
    else
        snprintf(text, size, "%.0f", figure < 0 ? 0 : figure);
}

/* The destination with the longest queue; nothing unless journal.domains is true. */
static void longest_write(const struct report_view *view, char *text, size_t size)
{
    struct admission_view longest;

    text[0] = '\0';
    if (view->config->journal_domains && admission_longest(view->admission, &longest, 1) == 1)
        snprintf(text, size, ", most of them for %s (%u)", longest.key, longest.waiting);
}

/* In a line that says OPEN: what happened since OPEN was last logged, while it was left. */
static void away_write(const struct state_lines *lines, const struct report_view *view, char *text,
                       size_t size)
{
    const struct totals *away = &lines->away_totals;
    char reasons[TOTALS_REASONS_SIZE];

    text[0] = '\0';
    if (view->decision->mode != LIMIT_OPEN || lines->away == 0)
        return;
    totals_write_reasons(away, reasons, sizeof reasons);
    snprintf(text, size,
             "; it was not open for %" PRIu64 " s: %" PRIu64 " delivered, %" PRIu64
             " failed by workers, %" PRIu64 " deferred (%s), %" PRIu64 " lost",
             lines->away / 1000000, away->delivered, away->failed, away->deferred, reasons,
             away->lost);
}

/* Counts since the last line. */
static struct totals since_told(const struct state_lines *lines, const struct report_view *view)
{
    struct totals since = {0};

    totals_add(&since, &lines->told_totals, view->totals);
    return since;
}

/* "7 deferred (memory 7, ...)". */
static void deferred_write(const struct totals *since, char *text, size_t size)
{
    char reasons[TOTALS_REASONS_SIZE];

    snprintf(text, size, "%" PRIu64 " deferred", since->deferred);
    if (since->deferred == 0)
        return;
    totals_write_reasons(since, reasons, sizeof reasons);
    snprintf(text, size, "%" PRIu64 " deferred (%s)", since->deferred, reasons);
}

/* What a line of a dry run ends with, and WOULD_FIELDS fields; returns how many. */
static size_t would_write(const struct report_view *view, const struct totals *since,
                          struct journal_field field[WOULD_FIELDS], char *text, size_t size)
{
    const struct totals_would would = totals_would(since);
    char words[TOTALS_WOULD_SIZE];

    text[0] = '\0';
    if (!view->config->dry_run)
        return 0;
    totals_write_would(since, words, sizeof words);
    snprintf(text, size, "; dry run: since the last line it would have %s", words);
    field[0] = JOURNAL_NUMBER("HEADROOM_WOULD_DEFER", (int64_t)would.deferred);
    field[1] = JOURNAL_NUMBER("HEADROOM_WOULD_WAIT", (int64_t)would.waited);
    field[2] = JOURNAL_NUMBER("HEADROOM_WOULD_SPLIT", (int64_t)would.split);
    return WOULD_FIELDS;
}

/*
 * Writes how many changes the line leaves out, and returns the number. A summary names the mode,
 * but not that the mode has changed since the last line: it leaves out one more.
 */
static uint64_t unsaid_write(const struct state_lines *lines, bool changed, char *text, size_t size)
{
    uint64_t unsaid = changed ? lines->unsaid : state_lines_unsaid(lines);

    text[0] = '\0';
    if (unsaid > 0)
        snprintf(text, size, "; changes not said since the last line: %" PRIu64, unsaid);
    return unsaid;
}

/* One line: the state, the figures, and the input that binds. */
static void write_line(const struct state_lines *lines, const struct report_view *view,
                       struct journal *journal, bool changed)
{
    const struct limit_decision *decision = view->decision;
    const struct limit_demand *demand = &view->demand;
    const struct totals since = since_told(lines, view);
    char reason[256], value[32], threshold[32], pressure[32], longest[128], away[AWAY_SIZE];
    char deferred[DEFERRED_SIZE], left_out[80], would[WOULD_SIZE];
    struct journal_field fields[14 + WOULD_FIELDS];
    const bool good = decision->mode == LIMIT_OPEN && (changed || view->config->dry_run);
    uint64_t unsaid;
    size_t count;

    limit_reason_write(&decision->reason, reason, sizeof reason);
    figure_write(&decision->reason, decision->reason.value, value, sizeof value);
    figure_write(&decision->reason, decision->reason.threshold, threshold, sizeof threshold);
    snprintf(pressure, sizeof pressure, "%.2f%%", report_pressure(view));
    deferred_write(&since, deferred, sizeof deferred);
    longest_write(view, longest, sizeof longest);
    away_write(lines, view, away, sizeof away);
    unsaid = unsaid_write(lines, changed, left_out, sizeof left_out);
    count = would_write(view, &since, fields, would, sizeof would);
    fields[count++] = JOURNAL_TEXT("HEADROOM_STATE", limit_mode_name(decision->mode));
    fields[count++] = JOURNAL_NUMBER("HEADROOM_LIMIT", decision->limit);
    fields[count++] = JOURNAL_NUMBER("HEADROOM_WORKERS", demand->live);
    fields[count++] = JOURNAL_NUMBER("HEADROOM_BUSY", demand->busy);
    fields[count++] = JOURNAL_NUMBER("HEADROOM_WAITING", demand->waiting);
    fields[count++] = JOURNAL_NUMBER("HEADROOM_DEFERRED", (int64_t)since.deferred);
    fields[count++] = JOURNAL_TEXT("HEADROOM_REASON", reason);
    fields[count++] = JOURNAL_TEXT("HEADROOM_VALUE", value);
    fields[count++] = JOURNAL_TEXT("HEADROOM_THRESHOLD", threshold);
    fields[count++] = JOURNAL_TEXT("HEADROOM_KEY", decision->reason.key);
    fields[count++] = JOURNAL_NUMBER("HEADROOM_AVAILABLE", (int64_t)view->sample->available);
    fields[count++] =
        JOURNAL_NUMBER("HEADROOM_WORKING_SET", (int64_t)view->sample->group[0].working_set);
    fields[count++] = JOURNAL_TEXT("HEADROOM_PRESSURE", pressure);
    fields[count++] = JOURNAL_NUMBER("HEADROOM_UNSAID", (int64_t)unsaid);
    journal_log(journal, changed ? EVENT_STATE : EVENT_SUMMARY, good ? LOG_NOTICE : LOG_WARNING,
                fields, count,
                "%s%s %s: %s; limit %u, %u workers, %u busy, %u waiting%s, %s (%" PRIu64
                " s in this state%s)%s%s",
                view->config->dry_run ? "dry run: " : "", changed ? "now" : "still",
                limit_mode_name(decision->mode), reason, decision->limit, demand->live,
                demand->busy, demand->waiting, longest, deferred,
                (view->now - view->changed) / 1000000, left_out, would, away);
}

static void told(struct state_lines *lines, const struct report_view *view)
{
    enum limit_mode mode = view->decision->mode;

    journal_budget_spend(&lines->lines, view->now);
    lines->told = view->now;
    lines->told_mode = mode;
    if (mode > lines->worst)
        lines->worst = mode;
    lines->untold = false;
    lines->unsaid = 0;
    lines->told_totals = *view->totals;
    if (mode == LIMIT_OPEN) {
        lines->away = 0;
        lines->away_totals = (struct totals){0};
    }
}

static unsigned lines_left(struct state_lines *lines, uint64_t now)
{
    return journal_budget_left(&lines->lines, LINES_MOST, LINES_EVERY, now);
}

/*
 * A change for the worse is due at once, one for the better after CHANGE_SOONEST: five, then one a
 * minute, while lines are left.
 */
static bool change_is_due(struct state_lines *lines, const struct report_view *view)
{
    enum limit_mode mode = view->decision->mode;
    unsigned left = lines_left(lines, view->now);
    bool first, soon;
    uint64_t polled; /* calls since the last line, not changes: not used */

    if (left == LINES_MOST)
        lines->worst = LIMIT_OPEN;
    /* A mode worse than all that were logged has no limit: in SHED mail is deferred. */
    first = mode > lines->worst;
    soon = lines->told == 0 || mode > lines->told_mode || view->now - lines->told >= CHANGE_SOONEST;
    if (!first && (!soon || left == 0))
        return false;
    return journal_limit_happened(&lines->changes, JOURNAL_LIMIT_BURST, view->now, &polled) ||
           first;
}

static bool summary_is_due(struct state_lines *lines, const struct report_view *view)
{
    const struct totals since = since_told(lines, view);
    const struct totals_would would = totals_would(&since);

    return (view->decision->mode != LIMIT_OPEN ||
            since.deferred + would.deferred + would.waited + would.split > 0) &&
           (lines->told == 0 || view->now - lines->told >= SUMMARY_EVERY) &&
           lines_left(lines, view->now) > LINES_FOR_CHANGES;
}

void state_lines_tick(struct state_lines *lines, const struct report_view *view,
                      struct journal *journal)
{
    enum limit_mode mode = view->decision->mode;
    /* OPEN as logged, with unlogged changes in between: no other line tells of them. */
    bool changed = mode != lines->told_mode || (mode == LIMIT_OPEN && lines->unsaid > 0);

    if (!(changed ? change_is_due(lines, view) : summary_is_due(lines, view)))
        return;
    write_line(lines, view, journal, changed);
    told(lines, view);
}

void state_lines_changed(struct state_lines *lines, const struct report_view *view,
                         enum limit_mode before)
{
    if (lines->untold)
        lines->unsaid++;
    lines->untold = true;
    if (before == LIMIT_OPEN) {
        lines->left = view->now;
        lines->left_totals = *view->totals;
    } else if (view->decision->mode == LIMIT_OPEN) {
        lines->away += view->now - lines->left;
        totals_add(&lines->away_totals, &lines->left_totals, view->totals);
        lines->left = 0;
    }
}

uint64_t state_lines_unsaid(const struct state_lines *lines)
{
    return lines->unsaid + (lines->untold ? 1 : 0);
}

void state_lines_end(const struct state_lines *lines, const struct report_view *view,
                     struct journal *journal)
{
    struct journal_field fields[TOTALS_COUNT + 1 + WOULD_FIELDS];
    const struct totals since = since_told(lines, view);
    char counters[JOURNAL_TEXT_MAX], left_out[80] = "", would[WOULD_SIZE];
    uint64_t unsaid = state_lines_unsaid(lines);
    size_t count = would_write(view, &since, fields, would, sizeof would);

    for (unsigned n = 0; n < TOTALS_COUNT; n++)
        if (totals_table[n].field[0] != '\0')
            fields[count++] =
                JOURNAL_NUMBER(totals_table[n].field, (int64_t)totals_value(view->totals, n));
    fields[count++] = JOURNAL_NUMBER("HEADROOM_UNSAID", (int64_t)unsaid);
    totals_write(view->totals, counters, sizeof counters);
    if (unsaid > 0)
        snprintf(left_out, sizeof left_out, "; changes of the state not said: %" PRIu64, unsaid);
    journal_log(journal, EVENT_EXIT, LOG_INFO, fields, count,
                "headroom ends: %s, at most %u at a time%s%s", counters, view->most, left_out,
                would);
}
