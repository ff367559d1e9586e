/* What came of the runs of a case: see simulation.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/queueing/simulation.h"

static double jain(const struct simulation *sim)
{
    double sum = 0, squares = 0, count = 0;

    for (int i = 0; i < sim->domain_count; i++) {
        const struct domain *domain = &sim->domains[i];
        double x;
        if (domain->server == DEAD || domain->server == BUSY || domain->offered == 0)
            continue;
        x = sim->until != 0 ? (double)domain->share
                            : (double)domain->delivered / (double)domain->offered;
        sum += x;
        squares += x * x;
        count++;
    }
    return squares > 0 ? sum * sum / (count * squares) : 1;
}

/* The most deferrals in ten seconds, as a share of all: what will come back together. */
static double busiest(const struct simulation *sim)
{
    int best = 0;

    for (int i = 0, j = 0; i < sim->deferral_count; i++) {
        while (sim->deferrals[i] - sim->deferrals[j] > 10 * ADMISSION_SECOND)
            j++;
        if (i - j + 1 > best)
            best = i - j + 1;
    }
    return sim->deferral_count > 0 ? (double)best / sim->deferral_count : 0;
}

static unsigned unhealed(const struct simulation *sim)
{
    struct admission_counters counters;
    unsigned bad = 0;

    admission_count(sim->admission, &counters);
    for (int i = 0; i < sim->domain_count; i++) {
        struct admission_view view;
        const char *name = sim->domains[i].name;
        if (admission_look(sim->admission, name, strlen(name), &view) == 0 &&
            view.lane != ADMISSION_PROVEN)
            bad++;
    }
    return bad + counters.waiting;
}

void figures_add(struct simulation *sim, struct total *total)
{
    simulation_account(sim);
    for (int i = 0; i < sim->message_count; i++) {
        const struct message *message = &sim->messages[i];
        if (message->deferred)
            total->deferred++;
        if (!message->good)
            continue;
        total->good++;
        if (message->deferred)
            total->good_deferred++;
        if (message->ended == 0)
            continue;
        total->delivered++;
        total->waits[total->wait_count++] =
            (double)(message->ended - message->arrived) / (double)ADMISSION_SECOND;
    }
    /* Destinations with work that were not tried yet at the end. */
    for (int i = 0; i < sim->domain_count; i++) {
        struct admission_view view;
        const char *name = sim->domains[i].name;
        if (admission_look(sim->admission, name, strlen(name), &view) == 0 && view.waiting > 0 &&
            view.in_flight == 0 && view.deferred == 0 && view.last_failure == ADMISSION_NEVER &&
            view.last_success == ADMISSION_NEVER)
            total->untried++;
    }
    if (sim->wanted_time > 0)
        total->utilisation += (double)sim->busy_time / (double)sim->wanted_time / sim->workers;
    total->jain += jain(sim);
    total->busiest += busiest(sim);
    total->unhealed += unhealed(sim);
    if (total->peak_least == 0 || sim->peak < total->peak_least)
        total->peak_least = sim->peak;
    if (sim->peak > total->peak_most)
        total->peak_most = sim->peak;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

void figures_sort(struct total *total)
{
    qsort(total->waits, total->wait_count, sizeof *total->waits, ascending);
}

static double quantile(const struct total *total, double q)
{
    size_t at = (size_t)(q * (double)total->wait_count);

    if (total->wait_count == 0)
        return 0;
    return total->waits[at < total->wait_count ? at : total->wait_count - 1];
}

/* The share of the good messages that were delivered within a second. */
static double within_a_second(const struct total *total)
{
    size_t count = 0;

    while (count < total->wait_count && total->waits[count] <= 1)
        count++;
    return total->good > 0 ? (double)count / (double)total->good : 1;
}

const char *figures_missed(const struct scenario *goal, const struct total *total, unsigned seeds)
{
    if (goal->all_good && total->delivered < total->good)
        return "good mail is not delivered";
    if (goal->none_deferred && total->good_deferred > 0)
        return "good mail is deferred";
    if (goal->p99 > 0 && quantile(total, 0.99) > goal->p99)
        return "p99";
    if (goal->peak_least > 0 && total->peak_least < goal->peak_least)
        return "too few workers at once";
    if (goal->peak_most > 0 && total->peak_most > goal->peak_most)
        return "too many workers at once";
    if (goal->jain > 0 && total->jain / seeds < goal->jain)
        return "unfair";
    if (goal->healed && total->unhealed > 0)
        return "not recovered";
    return NULL;
}

void figures_print_head(void)
{
    printf("%-5s %-41s %11s %7s %7s %7s %6s %5s %5s %6s %6s %7s %5s\n", "case", "", "good", "p50",
           "p99", "max", "in 1 s", "util", "Jain", "untrd", "defer", "in 10 s", "peak");
}

void figures_print(const struct scenario *scenario, const struct total *total, unsigned seeds,
                   const char *why)
{
    printf("%-5s %-41s %5.0f/%-5.0f %7.3f %7.3f %7.3f %5.1f%% %4.0f%% %5.3f %6.1f %6.0f "
           "%6.0f%% %5u%s%s\n",
           scenario->name, scenario->what, (double)total->delivered / seeds,
           (double)total->good / seeds, quantile(total, 0.5), quantile(total, 0.99),
           quantile(total, 1), 100 * within_a_second(total), 100 * total->utilisation / seeds,
           total->jain / seeds, (double)total->untried / seeds, (double)total->deferred / seeds,
           100 * total->busiest / seeds, total->peak_most, why != NULL ? "  MISSED: " : "",
           why != NULL ? why : "");
}
