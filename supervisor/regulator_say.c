/*
 * What is said of the limit: each change of state, a summary a minute while it is not OPEN or mail is deferred by us, and in OPEN what the time since
 * the last OPEN was like.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/dispatch.h"

/* A change for the better is said when nothing was said for so long: a limit that goes to and fro
 * does not fill the journal. Microseconds. */
#define CHANGE_SOONEST UINT64_C(10000000)
#define SUMMARY_EVERY UINT64_C(60000000)

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
    const struct dispatcher_totals *now = &dispatcher->totals, *then = &regulator->left_totals;

    text[0] = '\0';
    if (regulator->decision.mode == LIMIT_OPEN && regulator->left != 0)
        snprintf(text, size,
                 "; it was not open for %" PRIu64 " s: %" PRIu64 " delivered, %" PRIu64
                 " deferred by workers, %" PRIu64 " postponed (memory %" PRIu64 ", full %" PRIu64
                 ", slow %" PRIu64 "), %" PRIu64 " lost",
                 (dispatcher->now - regulator->left) / 1000000, now->delivered - then->delivered,
                 now->deferred - then->deferred, now->postponed - then->postponed,
                 now->postponed_for[DEFERRAL_MEMORY] - then->postponed_for[DEFERRAL_MEMORY],
                 now->postponed_for[DEFERRAL_FULL] - then->postponed_for[DEFERRAL_FULL],
                 now->postponed_for[DEFERRAL_SLOW] - then->postponed_for[DEFERRAL_SLOW],
                 now->lost - then->lost);
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

/* One line: the state, the figures, and which input bound. */
static void say(struct dispatcher *dispatcher, bool changed, uint64_t unsaid)
{
    struct regulator *regulator = &dispatcher->regulator;
    const struct limit_decision *decision = &regulator->decision;
    const struct limit_demand demand = regulator_demand(dispatcher);
    const struct memory_sample *sample = &regulator->sample;
    uint64_t postponed;
    uint64_t now = dispatcher->now;
    double pool = regulator->state.pool_some.fraction;
    double machine = regulator->state.machine_some.fraction;
    char reason[256], value[32], threshold[32], pressure[32], longest[128], totals[320], why[128];

    limit_reason_write(&decision->reason, reason, sizeof reason);
    figure_write(&decision->reason, decision->reason.value, value, sizeof value);
    figure_write(&decision->reason, decision->reason.threshold, threshold, sizeof threshold);
    snprintf(pressure, sizeof pressure, "%.2f%%", 100 * (pool > machine ? pool : machine));
    postponed = postponed_write(dispatcher, why, sizeof why);
    longest_write(dispatcher, longest, sizeof longest);
    totals_write(dispatcher, totals, sizeof totals);
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
                " postponed%s (%" PRIu64 " s in this state)%s",
                changed ? "now" : "still", limit_mode_name(decision->mode), reason, decision->limit,
                demand.live, demand.busy, demand.waiting, longest, postponed, why,
                (now - regulator->changed) / 1000000, totals);
    regulator->told = now;
    regulator->told_mode = decision->mode;
    memcpy(regulator->told_postponed_for, dispatcher->totals.postponed_for,
           sizeof regulator->told_postponed_for);
    if (decision->mode == LIMIT_OPEN)
        regulator->left = 0;
}

/* Mail is deferred for another reason than memory: also a limit that nobody may be silent about. */
static bool postponing(const struct dispatcher *dispatcher)
{
    char text[128];

    return postponed_write(dispatcher, text, sizeof text) > 0;
}

/* A limit that goes to and fro says five changes, then one a minute. */
void regulator_say_if_due(struct dispatcher *dispatcher)
{
    struct regulator *regulator = &dispatcher->regulator;
    uint64_t now = dispatcher->now;
    uint64_t since = now - regulator->told;
    uint64_t unsaid;

    if (regulator->decision.mode != regulator->told_mode) {
        /* For the worse at once: SHED is when mail is deferred. For the better when it has lasted. */
        bool worse = regulator->decision.mode > regulator->told_mode;

        if ((regulator->told == 0 || worse || since >= CHANGE_SOONEST) &&
            journal_limit_happened(&regulator->change_lines, now, &unsaid)) {
            say(dispatcher, true, regulator->unsaid);
            regulator->unsaid = 0;
        }
    } else if ((regulator->decision.mode != LIMIT_OPEN || postponing(dispatcher)) &&
               (regulator->told == 0 || since >= SUMMARY_EVERY)) {
        say(dispatcher, false, regulator->unsaid);
        regulator->unsaid = 0;
    }
}

/* Counts what was not said of a change before this one, and where it led away from OPEN. */
void regulator_say_changed(struct dispatcher *dispatcher, enum limit_mode before)
{
    struct regulator *regulator = &dispatcher->regulator;

    if (before != regulator->told_mode)
        regulator->unsaid++;
    if (before == LIMIT_OPEN && regulator->left == 0) {
        regulator->left = regulator->stepped;
        regulator->left_totals = dispatcher->totals;
    }
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
