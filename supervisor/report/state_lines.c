#include "supervisor/report/state_lines.h"

#include <inttypes.h>
#include <stdio.h>

/* A change for the better is logged when nothing was logged for this long. Microseconds. */
#define CHANGE_SOONEST UINT64_C(10000000)
#define SUMMARY_EVERY UINT64_C(60000000)

/* Lines at once, and the time in which one is earned back. */
#define LINES_MOST 10
#define LINES_EVERY UINT64_C(600000000)
#define LINES_FOR_CHANGES 4

/* Value and threshold in the unit of the input that binds. */
static void figure_write(const struct limit_reason *reason, double figure, char *text, size_t size)
{
    if (reason->input == LIMIT_BY_STALL || reason->input == LIMIT_BY_FULL)
        snprintf(text, size, "%.2f%%", 100 * figure);
    else
        snprintf(text, size, "%.0f", figure < 0 ? 0 : figure);
}

/* Whom most of the waiting mail is for; nothing unless journal.domains is true. */
static void longest_write(const struct report_view *view, char *text, size_t size)
{
    struct admission_view longest;

    text[0] = '\0';
    if (view->config->journal_domains && admission_longest(view->admission, &longest, 1) == 1)
        snprintf(text, size, ", most of them for %s (%u)", longest.key, longest.waiting);
}

/* Back in OPEN: what the time since the last OPEN was like. */
static void away_write(const struct state_lines *lines, const struct report_view *view, char *text,
                       size_t size)
{
    const struct totals *away = &lines->away_totals;

    text[0] = '\0';
    if (view->decision->mode == LIMIT_OPEN && lines->away != 0)
        snprintf(text, size,
                 "; it was not open for %" PRIu64 " s: %" PRIu64 " delivered, %" PRIu64
                 " failed by workers, %" PRIu64 " deferred (memory %" PRIu64 ", full %" PRIu64
                 ", slow %" PRIu64 "), %" PRIu64 " lost",
                 lines->away / 1000000, away->delivered, away->failed, away->deferred,
                 away->deferred_memory, away->deferred_full, away->deferred_slow, away->lost);
}

/* What headroom deferred since the last line. */
static struct totals since_told(const struct state_lines *lines, const struct report_view *view)
{
    struct totals since = {0};

    totals_add(&since, &lines->told_totals, view->totals);
    return since;
}

static void deferred_write(const struct totals *since, char *text, size_t size)
{
    text[0] = '\0';
    if (since->deferred > 0)
        snprintf(text, size, " (memory %" PRIu64 ", too many wait %" PRIu64 ", slow %" PRIu64 ")",
                 since->deferred_memory, since->deferred_full, since->deferred_slow);
}

/* What a line leaves out. A summary tells the mode, but not that it is another one since the last
 * line. Returns how much. */
static uint64_t unsaid_write(const struct state_lines *lines, bool changed, char *text, size_t size)
{
    uint64_t unsaid = changed ? lines->unsaid : state_lines_unsaid(lines);

    text[0] = '\0';
    if (unsaid > 0)
        snprintf(text, size, "; changes not said since the last line: %" PRIu64, unsaid);
    return unsaid;
}

/* One line: the state, the figures, and which input bound. */
static void write_line(const struct state_lines *lines, const struct report_view *view,
                       struct journal *journal, bool changed)
{
    const struct limit_decision *decision = view->decision;
    const struct limit_demand *demand = &view->demand;
    const struct totals since = since_told(lines, view);
    double pool = view->state->pool_some.fraction;
    double machine = view->state->machine_some.fraction;
    char reason[256], value[32], threshold[32], pressure[32], longest[128], away[320], why[128];
    char left_out[80];
    uint64_t unsaid;

    limit_reason_write(&decision->reason, reason, sizeof reason);
    figure_write(&decision->reason, decision->reason.value, value, sizeof value);
    figure_write(&decision->reason, decision->reason.threshold, threshold, sizeof threshold);
    snprintf(pressure, sizeof pressure, "%.2f%%", 100 * (pool > machine ? pool : machine));
    deferred_write(&since, why, sizeof why);
    longest_write(view, longest, sizeof longest);
    away_write(lines, view, away, sizeof away);
    unsaid = unsaid_write(lines, changed, left_out, sizeof left_out);
    journal_log(
        journal, changed ? EVENT_STATE : EVENT_SUMMARY,
        decision->mode == LIMIT_OPEN && changed ? LOG_NOTICE : LOG_WARNING,
        (struct journal_field[]){
            JOURNAL_TEXT("HEADROOM_STATE", limit_mode_name(decision->mode)),
            JOURNAL_NUMBER("HEADROOM_LIMIT", decision->limit),
            JOURNAL_NUMBER("HEADROOM_WORKERS", demand->live),
            JOURNAL_NUMBER("HEADROOM_BUSY", demand->busy),
            JOURNAL_NUMBER("HEADROOM_WAITING", demand->waiting),
            JOURNAL_NUMBER("HEADROOM_DEFERRED", (int64_t)since.deferred),
            JOURNAL_TEXT("HEADROOM_REASON", reason),
            JOURNAL_TEXT("HEADROOM_VALUE", value),
            JOURNAL_TEXT("HEADROOM_THRESHOLD", threshold),
            JOURNAL_TEXT("HEADROOM_KEY", decision->reason.key),
            JOURNAL_NUMBER("HEADROOM_AVAILABLE", (int64_t)view->sample->available),
            JOURNAL_NUMBER("HEADROOM_WORKING_SET", (int64_t)view->sample->group[0].working_set),
            JOURNAL_TEXT("HEADROOM_PRESSURE", pressure),
            JOURNAL_NUMBER("HEADROOM_UNSAID", (int64_t)unsaid),
        },
        14,
        "%s %s: %s; limit %u, %u workers, %u busy, %u waiting%s, %" PRIu64 " deferred%s (%" PRIu64
        " s in this state%s)%s",
        changed ? "now" : "still", limit_mode_name(decision->mode), reason, decision->limit,
        demand->live, demand->busy, demand->waiting, longest, since.deferred, why,
        (view->now - view->changed) / 1000000, left_out, away);
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

/* Five changes, then one a minute, as long as there are lines left. */
static bool change_is_due(struct state_lines *lines, const struct report_view *view)
{
    enum limit_mode mode = view->decision->mode;
    unsigned left = lines_left(lines, view->now);
    bool first, soon;
    uint64_t polled; /* not the changes that were not logged */

    if (left == LINES_MOST)
        lines->worst = LIMIT_OPEN;
    /* What is worse than all that was logged is never late: SHED is when mail is deferred. */
    first = mode > lines->worst;
    /* For the worse at once. For the better when it has lasted. */
    soon = lines->told == 0 || mode > lines->told_mode || view->now - lines->told >= CHANGE_SOONEST;
    if (!first && (!soon || left == 0))
        return false;
    return journal_limit_happened(&lines->changes, JOURNAL_LIMIT_BURST, view->now, &polled) ||
           first;
}

static bool summary_is_due(struct state_lines *lines, const struct report_view *view)
{
    return (view->decision->mode != LIMIT_OPEN || since_told(lines, view).deferred > 0) &&
           (lines->told == 0 || view->now - lines->told >= SUMMARY_EVERY) &&
           lines_left(lines, view->now) > LINES_FOR_CHANGES;
}

void state_lines_tick(struct state_lines *lines, const struct report_view *view,
                      struct journal *journal)
{
    enum limit_mode mode = view->decision->mode;
    /* Also when it is OPEN as was logged, but was not in between: nothing else would tell of that. */
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
