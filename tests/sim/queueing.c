/*
 * A queueing simulator that drives supervisor/admission/admission.h with arrivals, service times and dead domains: the cases of the
 * measure "during a flush of dead mail, good mail is delivered as if nothing were wrong".
 *
 *     queueing [-n seeds] [-s first-seed] [case...]
 *
 * A discrete-event model, time in us, no clock: an arrival, an end of a delivery, a wake-up asked for by the core. A
 * healthy server answers in 5 to 20 ms, a dead one holds 30 s and then gives a temporary error, a slow one delivers after
 * 8 s, a busy one answers 421 at once. 64 workers. Good mail: 5 a second, Poisson. The exit status is 1 when
 * a goal is missed in the pool of all seeds, 2 when the core broke its promise.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/queueing/simulation.h"

static bool wanted(const struct scenario *scenario, int count, char **names)
{
    for (int i = 0; i < count; i++)
        if (strcmp(scenario->name, names[i]) == 0)
            return true;
    return count == 0;
}

/* All seeds of one case. Returns whether its goal was reached. */
static bool run_case(struct simulation *sim, const struct scenario *scenario, uint64_t from,
                     unsigned seeds)
{
    struct total total = {.waits = calloc((size_t)seeds * MESSAGES, sizeof *total.waits)};
    const char *why;

    if (total.waits == NULL)
        simulation_broken("no memory");
    for (uint64_t seed = from; seed < from + seeds; seed++) {
        simulation_run(sim, scenario, seed);
        figures_add(sim, &total);
        simulation_end(sim);
    }
    figures_sort(&total);
    why = figures_missed(scenario, &total, seeds);
    figures_print(scenario, &total, seeds, why);
    free(total.waits);
    return why == NULL;
}

int main(int count, char **arguments)
{
    static struct simulation sim;
    const struct scenario *scenario;
    unsigned seeds = 20, from = 1;
    int option, bad = 0;

    while ((option = getopt(count, arguments, "n:s:")) != -1) {
        if (option == 'n')
            seeds = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 's')
            from = (unsigned)strtoul(optarg, NULL, 10);
        else
            return 64;
    }
    if (seeds == 0)
        return 64;
    simulation_create(&sim);
    figures_print_head();
    for (size_t i = 0; (scenario = cases_at(i)) != NULL; i++)
        if (wanted(scenario, count - optind, arguments + optind) &&
            !run_case(&sim, scenario, from, seeds))
            bad = 1;
    simulation_destroy(&sim);
    return bad;
}
