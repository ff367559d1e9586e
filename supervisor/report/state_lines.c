/*
 * What is said of the limit: each change of state, summaries while it is not OPEN or mail is deferred by us, and in OPEN what
 * the time since the last OPEN was like. However the limit behaves, there are few lines of it; what they leave out is counted.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/dispatcher/dispatch.h"

/* A change for the better is said when nothing was said for so long: a limit that goes to and fro
 * does not fill the journal. Microseconds. */
#define CHANGE_SOONEST UINT64_C(10000000)
#define SUMMARY_EVERY UINT64_C(60000000)

/* Changes and summaries together: so many, and one more each ten minutes. With the lines at start and end a flush of an hour
 * stays below twenty. Summaries leave the last ones to changes, so one a minute becomes one in ten after the first five. */
#define LINES_MOST 10
#define LINES_EVERY UINT64_C(600000000)
#define LINES_FOR_CHANGES 4

/* Something is meant by it only where it is the same input that binds: value and threshold in its unit. */
static void figure_write(const struct limit_reason *reason, double figure, char *text, size_t size)
{
    if (reason->input == LIMIT_BY_STALL || reason->input == LIMIT_BY_FULL)
        snprintf(text, size, "%.2f%%", 100 * figure);
    else
        snprintf(text, size, "%.0f", figure < 0 ? 0 : figure);
}

/* Whom most of the waiting mail is for; nothing unless journal.domains is true. */
static void longest_write(struct dispatcher *dispatcher, char *text, size_t size)
{
    struct admission_view view;

    text[0] = '\0';
    if (dispatcher->settings->config->journal_domains &&
        admission_longest(dispatcher->admission, &view, 1) == 1)
        snprintf(text, size, ", most of them for %s (%u)", view.key, view.waiting);
}

/* Back in OPEN: what the time since the last OPEN was like. */
static void totals_write(const struct dispatcher *dispatcher, char *text, size_t size)
{
    const struct regulator *regulator = &dispatcher->regulator;
    const struct dispatcher_totals *away = &regulator->away_totals;

    text[0] = '\0';
    if (regulator->decision.mode == LIMIT_OPEN && regulator->away != 0)
        snprintf(text, size,
                 "; it was not open for %" PRIu64 " s: %" PRIu64 " delivered, %" PRIu64
                 " deferred by workers, %" PRIu64 " postponed (memory %" PRIu64 ", full %" PRIu64
                 ", slow %" PRIu64 "), %" PRIu64 " lost",
                 regulator->away / 1000000, away->delivered, away->deferred, away->postponed,
                 away->postponed_for[DEFERRAL_MEMORY], away->postponed_for[DEFERRAL_FULL],
                 away->postponed_for[DEFERRAL_SLOW], away->lost);
}

/* What was deferred by us since the last line, and why. Returns how much. */
static uint64_t postponed_write(const struct dispatcher *dispatcher, char *text, size_t size)
{
    const uint64_t *now = dispatcher->totals.postponed_for;
    const uint64_t *then = dispatcher->regulator.told_postponed_for;
    uint64_t memory = now[DEFERRAL_MEMORY] - then[DEFERRAL_MEMORY];
    uint64_t full = now[DEFERRAL_FULL] - then[DEFERRAL_FULL];
    uint64_t slow = now[DEFERRAL_SLOW] - then[DEFERRAL_SLOW];

    text[0] = '\0';
    if (memory + full + slow > 0)
        snprintf(text, size, " (memory %" PRIu64 ", too many wait %" PRIu64 ", slow %" PRIu64 ")",
                 memory, full, slow);
    return memory + full + slow;
}

/* What a line leaves out. A summary tells the mode, but not that it is another one since the last line. Returns how much. */
static uint64_t unsaid_write(const struct dispatcher *dispatcher, bool changed, char *text,
                             size_t size)
{
    uint64_t unsaid = changed ? dispatcher->regulator.unsaid : regulator_unsaid(dispatcher);

    text[0] = '\0';
    if (unsaid > 0)
        snprintf(text, size, "; changes not said since the last line: %" PRIu64, unsaid);
    return unsaid;
}

/* One line: the state, the figures, and which input bound. */
static void say(struct dispatcher *dispatcher, bool changed)
{
    struct regulator *regulator = &dispatcher->regulator;
    const struct limit_decision *decision = &regulator->decision;
    const struct limit_demand demand = regulator_demand(dispatcher);
    const struct memory_sample *sample = &regulator->sample;
    uint64_t postponed, unsaid;
    uint64_t now = dispatcher->now;
    double pool = regulator->state.pool_some.fraction;
    double machine = regulator->state.machine_some.fraction;
    char reason[256], value[32], threshold[32], pressure[32], longest[128], totals[320], why[128];
    char left_out[80];

    limit_reason_write(&decision->reason, reason, sizeof reason);
    figure_write(&decision->reason, decision->reason.value, value, sizeof value);
    figure_write(&decision->reason, decision->reason.threshold, threshold, sizeof threshold);
    snprintf(pressure, sizeof pressure, "%.2f%%", 100 * (pool > machine ? pool : machine));
    postponed = postponed_write(dispatcher, why, sizeof why);
    longest_write(dispatcher, longest, sizeof longest);
    totals_write(dispatcher, totals, sizeof totals);
    unsaid = unsaid_write(dispatcher, changed, left_out, sizeof left_out);
    journal_log(dispatcher->journal, changed ? EVENT_STATE : EVENT_SUMMARY,
                decision->mode == LIMIT_OPEN && changed ? LOG_NOTICE : LOG_WARNING,
                (struct journal_field[]){
                    JOURNAL_TEXT("HEADROOM_STATE", limit_mode_name(decision->mode)),
                    JOURNAL_NUMBER("HEADROOM_LIMIT", decision->limit),
                    JOURNAL_NUMBER("HEADROOM_WORKERS", demand.live),
                    JOURNAL_NUMBER("HEADROOM_BUSY", demand.busy),
                    JOURNAL_NUMBER("HEADROOM_WAITING", demand.waiting),
                    JOURNAL_NUMBER("HEADROOM_POSTPONED", (int64_t)postponed),
                    JOURNAL_TEXT("HEADROOM_REASON", reason),
                    JOURNAL_TEXT("HEADROOM_VALUE", value),
                    JOURNAL_TEXT("HEADROOM_THRESHOLD", threshold),
                    JOURNAL_TEXT("HEADROOM_KEY", decision->reason.key),
                    JOURNAL_NUMBER("HEADROOM_AVAILABLE", (int64_t)sample->available),
                    JOURNAL_NUMBER("HEADROOM_WORKING_SET", (int64_t)sample->group[0].working_set),
                    JOURNAL_TEXT("HEADROOM_PRESSURE", pressure),
                    JOURNAL_NUMBER("HEADROOM_UNSAID", (int64_t)unsaid),
                },
                14,
                "%s %s: %s; limit %u, %u workers, %u busy, %u waiting%s, %" PRIu64
                " postponed%s (%" PRIu64 " s in this state%s)%s",
                changed ? "now" : "still", limit_mode_name(decision->mode), reason, decision->limit,
                demand.live, demand.busy, demand.waiting, longest, postponed, why,
                (now - regulator->changed) / 1000000, left_out, totals);
    journal_budget_spend(&regulator->state_lines, now);
    regulator->told = now;
    regulator->told_mode = decision->mode;
    if (decision->mode > regulator->worst)
        regulator->worst = decision->mode;
    regulator->untold = false;
    regulator->unsaid = 0;
    memcpy(regulator->told_postponed_for, dispatcher->totals.postponed_for,
           sizeof regulator->told_postponed_for);
    if (decision->mode == LIMIT_OPEN) {
        regulator->away = 0;
        regulator->away_totals = (struct dispatcher_totals){0};
    }
}

/* Mail is deferred for another reason than memory: also a limit that nobody may be silent about. */
static bool postponing(const struct dispatcher *dispatcher)
{
    char text[128];

    return postponed_write(dispatcher, text, sizeof text) > 0;
}

static unsigned lines_left(struct dispatcher *dispatcher)
{
    return journal_budget_left(&dispatcher->regulator.state_lines, LINES_MOST, LINES_EVERY,
                               dispatcher->now);
}

/* Five changes, then one a minute, as long as there are lines left. */
static bool change_is_due(struct dispatcher *dispatcher)
{
    struct regulator *regulator = &dispatcher->regulator;
    enum limit_mode mode = regulator->decision.mode;
    unsigned left = lines_left(dispatcher);
    bool first, soon;
    uint64_t polled; /* not the changes that were not said */

    if (left == LINES_MOST)
        regulator->worst = LIMIT_OPEN;
    /* What is worse than all that was said is never late: SHED is when mail is deferred. */
    first = mode > regulator->worst;
    /* For the worse at once. For the better when it has lasted. */
    soon = regulator->told == 0 || mode > regulator->told_mode ||
           dispatcher->now - regulator->told >= CHANGE_SOONEST;
    if (!first && (!soon || left == 0))
        return false;
    return journal_limit_happened(&regulator->change_lines, dispatcher->now, &polled) || first;
}

static bool summary_is_due(struct dispatcher *dispatcher)
{
    const struct regulator *regulator = &dispatcher->regulator;

    return (regulator->decision.mode != LIMIT_OPEN || postponing(dispatcher)) &&
           (regulator->told == 0 || dispatcher->now - regulator->told >= SUMMARY_EVERY) &&
           lines_left(dispatcher) > LINES_FOR_CHANGES;
}

void regulator_say_if_due(struct dispatcher *dispatcher)
{
    const struct regulator *regulator = &dispatcher->regulator;
    enum limit_mode mode = regulator->decision.mode;
    /* Also when it is OPEN as was said, but was not in between: nothing else would tell of that. */
    bool changed = mode != regulator->told_mode || (mode == LIMIT_OPEN && regulator->unsaid > 0);

    if (changed ? change_is_due(dispatcher) : summary_is_due(dispatcher))
        say(dispatcher, changed);
}

/* What happened between `then` and `now` is added to `sum`. */
static void totals_add(struct dispatcher_totals *sum, const struct dispatcher_totals *then,
                       const struct dispatcher_totals *now)
{
    sum->delivered += now->delivered - then->delivered;
    sum->deferred += now->deferred - then->deferred;
    sum->lost += now->lost - then->lost;
    sum->postponed += now->postponed - then->postponed;
    for (unsigned i = 0; i < DEFERRAL_REASONS; i++)
        sum->postponed_for[i] += now->postponed_for[i] - then->postponed_for[i];
}

void regulator_say_changed(struct dispatcher *dispatcher, enum limit_mode before)
{
    struct regulator *regulator = &dispatcher->regulator;

    if (regulator->untold)
        regulator->unsaid++;
    regulator->untold = true;
    if (before == LIMIT_OPEN) {
        regulator->left = dispatcher->now;
        regulator->left_totals = dispatcher->totals;
    } else if (regulator->decision.mode == LIMIT_OPEN) {
        regulator->away += dispatcher->now - regulator->left;
        totals_add(&regulator->away_totals, &regulator->left_totals, &dispatcher->totals);
        regulator->left = 0;
    }
}

uint64_t regulator_unsaid(const struct dispatcher *dispatcher)
{
    return dispatcher->regulator.unsaid + (dispatcher->regulator.untold ? 1 : 0);
}

/* Where there is the least left: the group whose limit was met, or else the machine. */
void regulator_say_figures(const struct memory_sample *sample, char *figures, size_t size)
{
    const double mib = 1048576.0;
    const struct memory_group *tight = NULL;

    for (unsigned i = 0; i < sample->groups; i++) {
        const struct memory_group *group = &sample->group[i];

        if (group->known && group->limit != MEMORY_UNLIMITED &&
            (!tight || (double)group->usage / (double)group->limit >
                           (double)tight->usage / (double)tight->limit))
            tight = group;
    }
    if (tight)
        snprintf(figures, size, "%s uses %.1fM of %.0fM now",
                 tight == &sample->group[0] ? "its memory group" : "a memory group above it",
                 (double)tight->usage / mib, (double)tight->limit / mib);
    else if (sample->machine_known)
        snprintf(figures, size, "the machine has %.0fM available now",
                 (double)sample->available / mib);
    else
        snprintf(figures, size, "by the kernel");
}
