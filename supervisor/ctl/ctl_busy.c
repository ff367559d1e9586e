/*
 * headroomctl busy [--longer=TIME] [SERVICE]
 *
 * Deliveries that have been running for longer than that. Nothing is ended.
 */

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>

#include "supervisor/base/clock.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_page.h"
#include "supervisor/ctl/ctl_words.h"

static void print(const struct status *status, int64_t longer)
{
    char span[CTL_WORD_SIZE], clock[CTL_WORD_SIZE];
    int64_t now = clock_wall();
    unsigned lines = 0;

    for (uint64_t i = 0; i < status->deliveries; i++) {
        const struct status_delivery *at = &status->delivery[i];

        if (now - at->since < longer)
            continue;
        if (lines++ == 0)
            printf("%s:\n%-16s %7s  %-11s %-8s %s\n", status->service, "Queue ID", "worker",
                   "runs for", "since", "destination");
        printf("%-16s %7" PRIu64 "  %-11s %-8s %s", at->id, at->pid,
               ctl_span(now - at->since, span), ctl_when(at->since, now, clock), at->destination);
        if (at->others > 0)
            printf(" and %" PRIu64 " more", at->others);
        putchar('\n');
    }
    if (lines == 0)
        printf("%s: no delivery runs for longer than %s\n", status->service,
               ctl_span(longer, span));
    else if (lines == STATUS_DELIVERIES_MAX)
        puts("There may be more; these are the oldest.");
}

int ctl_busy(struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {{"longer", required_argument, NULL, 'l'}, {0}};
    int64_t longer = CTL_BUSY_AFTER, moment, now = clock_wall();
    struct ctl_services services;
    struct status *status;
    int option, result = 0;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 'l')
            return CTL_FAILED;
        if (!ctl_moment(optarg, now, &moment) || moment > now) {
            ctl_error("--longer=%s: wanted is a time such as 90s, 15m or 3h", optarg);
            return CTL_FAILED;
        }
        longer = now - moment;
    }
    if (ctl_begin(ctl, "busy", false, argc, argv, &services) != 0)
        return CTL_FAILED;
    status = malloc(sizeof *status);
    if (!status)
        return CTL_FAILED;
    ctl_page_begin();
    for (size_t i = 0; i < services.count; i++) {
        if (ctl_load_or_say(ctl, services.name[i], status) != 0)
            result = CTL_FAILED;
        else if (ctl_running(ctl, services.name[i]) == CTL_RUNS_NOT)
            printf("%s is not running\n", services.name[i]);
        else
            print(status, longer);
    }
    free(status);
    return result;
}
