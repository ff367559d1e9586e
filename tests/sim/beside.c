/*
 * Never worse than stock, with memory to spare: ordinary mail, and one site with some trouble, through a model of stock Postfix
 * and, beside it, through the same qmgr(8) with supervisor/admission/admission.h behind.
 *
 *     beside [case...]
 *
 * Two lines a case. The exit status is 1 when a goal is missed, 2 when the core broke its promise.
 */

#include <stdio.h>
#include <string.h>

#include "tests/sim/beside/model.h"

static bool wanted(const struct plan *plan, int count, char **names)
{
    for (int i = 0; i < count; i++)
        if (strcmp(plan->name, names[i]) == 0)
            return true;
    return count == 0;
}

static bool exceeds(double ours, double stock, double ratio)
{
    return ratio > 0 && ours > stock * ratio + 0.005;
}

static const char *missed(const struct plan *plan, const struct figures *stock,
                          const struct figures *ours)
{
    if (plan->none_more && ours->deferred > stock->deferred)
        return "more is deferred than by stock";
    if (plan->none_own && ours->own > 0)
        return "deferred by headroom";
    if (plan->spread_most > 0 && ours->spread > plan->spread_most)
        return "too many are deferred within half a minute";
    if (plan->full_most > 0 && ours->full > plan->full_most)
        return "the full rate";
    if (plan->deferred_ratio > 0 && ours->deferred > stock->deferred * plan->deferred_ratio)
        return "deferred";
    if (ours->delivered + ours->deferred < ours->good)
        return "good mail still waits";
    if (exceeds(ours->p50, stock->p50, plan->p50_ratio))
        return "p50";
    if (exceeds(ours->p99, stock->p99, plan->p99_ratio) ||
        (plan->p99_more > 0 && ours->p99 > stock->p99 + plan->p99_more) ||
        (plan->p99_most > 0 && ours->p99 > plan->p99_most))
        return "p99";
    if (exceeds(ours->time, stock->time, plan->time_ratio))
        return "time";
    if (plan->others_ratio > 0 &&
        (ours->others_waiting > 0 || ours->others > stock->others * plan->others_ratio))
        return "the others";
    if (plan->refused_most > 0 && ours->refused > plan->refused_most)
        return "refused by the server";
    if (plan->dead_most > 0 && ours->dead_peak > plan->dead_most)
        return "workers at dead destinations";
    if (plan->peak_most > 0 && ours->peak > plan->peak_most)
        return "workers";
    if (plan->late_most > 0 && ours->late_peak > plan->late_most)
        return "workers once the server is known";
    if (plan->time_most > 0 && ours->time > plan->time_most)
        return "time";
    return NULL;
}

static void print(const char *name, const struct figures *figures, const char *why)
{
    printf("  %-8s %5u of %5u, deferred %5u, refused %4u, p50 %7.3f p99 %7.3f max %7.3f, all after "
           "%7.2f s, at most %3u (%u later, %u at dead ones), others %5.0f s, own %4u, full %6.1f "
           "s, %3.0f%% in 30 s%s%s\n",
           name, figures->delivered, figures->good, figures->deferred, figures->refused,
           figures->p50, figures->p99, figures->most, figures->time, figures->peak,
           figures->late_peak, figures->dead_peak, figures->others, figures->own, figures->full,
           figures->spread, why ? "  MISSED: " : "", why ? why : "");
}

int main(int count, char **arguments)
{
    static struct model model;
    struct plan *plan;
    int bad = 0;

    model_create(&model);
    for (size_t i = 0; (plan = cases_at(i)) != NULL; i++) {
        struct figures stock;
        struct figures ours;
        const char *why;
        if (!wanted(plan, count - 1, arguments + 1))
            continue;
        printf("%-4s %s\n", plan->name, plan->what);
        model_run(&model, plan, true, &stock);
        model_run(&model, plan, false, &ours);
        why = missed(plan, &stock, &ours);
        print("stock", &stock, NULL);
        print("headroom", &ours, why);
        bad |= why != NULL;
    }
    model_destroy(&model);
    return bad;
}
