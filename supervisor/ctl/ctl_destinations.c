/*
 * headroomctl destinations [SERVICE]
 */

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/base/clock.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_advice.h"
#include "supervisor/ctl/ctl_hold.h"
#include "supervisor/ctl/ctl_page.h"
#include "supervisor/ctl/ctl_words.h"

/* How wide the list is beside the names. */
#define COLUMNS 61

static bool shown(const struct status_destination *at)
{
    return at->waiting > 0 || at->deferred > 0 || at->hanging > 0 || at->failures > 0 || at->held ||
           strcmp(at->lane, "slow") == 0 || strcmp(at->lane, "dead") == 0;
}

/* What the destination before had, which is not said again. */
struct said {
    const char *reason;
    const char *advice;
};

/* Why it fails, and what to do. */
static void print_reason(const struct status_destination *at, int64_t now, struct said *said)
{
    char since[CTL_WORD_SIZE], span[CTL_WORD_SIZE];
    const char *advice = ctl_advice(at->reason);

    if (at->failures == 0)
        return;
    printf("    %" PRIu64 " failed since %s, the last %s ago", at->failures,
           ctl_clock(at->failing_since, now, since), ctl_span(now - at->failed, span));
    if (at->reason[0] != '\0' && said->reason && strcmp(at->reason, said->reason) == 0)
        fputs(": the same", stdout);
    else if (at->reason[0] != '\0')
        printf(": %s", at->reason);
    if (advice && advice != said->advice)
        printf("\n    -> %s", advice);
    putchar('\n');
    *said = (struct said){at->reason, advice};
}

static void print_holds(const struct ctl *ctl, const char *service)
{
    struct holds holds;

    if (ctl_hold_read(ctl, &holds) != 0)
        return;
    for (size_t i = 0; i < holds.count; i++)
        if (hold_is_of(&holds.hold[i], service))
            ctl_hold_print(stdout, &holds.hold[i], clock_wall());
}

static void print_list(const struct status *status)
{
    int64_t now = clock_wall();
    size_t longest = 0, width;
    char since[CTL_WORD_SIZE];
    char span[CTL_WORD_SIZE];
    char last[CTL_WORD_SIZE];
    struct said said = {NULL, NULL};
    unsigned lines = 0;

    for (uint64_t i = 0; i < status->destinations; i++)
        if (shown(&status->destination[i]) && strlen(status->destination[i].name) > longest)
            longest = strlen(status->destination[i].name);
    width = ctl_page_name_width(longest, ctl_page_columns(), COLUMNS);
    for (uint64_t i = 0; i < status->destinations; i++) {
        const struct status_destination *at = &status->destination[i];

        if (!shown(at))
            continue;
        if (lines++ == 0) {
            ctl_page_name(stdout, 0, "Destination", width);
            puts(" lane    since    in use waiting deferred  longest   last ok");
        }
        ctl_page_name(stdout, 0, at->name, width);
        printf(" %-7s %-8s %6" PRIu64 " %7" PRIu64 " %8" PRIu64 "  %-9s %s\n", at->lane,
               ctl_when(at->since, now, since), at->in_flight, at->waiting, at->deferred,
               at->oldest_start == 0 || at->in_flight == 0 ? "-"
                                                           : ctl_span(now - at->oldest_start, span),
               ctl_when(at->last_success, now, last));
        print_reason(at, now, &said);
    }
    if (lines == 0)
        puts("no destination is slow, waits, fails or was deferred");
    if (status->destinations == STATUS_DESTINATIONS_MAX)
        printf("There may be more; these have the longest queues and the longest deliveries.\n");
}

static int show(const struct ctl *ctl, const char *service, bool first, struct status *status)
{
    int result = ctl_load_or_say(ctl, service, status);

    if (result != 0)
        return result;
    if (ctl_running(ctl, service) == CTL_RUNS_NOT)
        fprintf(stderr, "headroomctl: %s is not running; this is its last state\n", service);
    if (!first)
        putchar('\n');
    printf("%s:\n", service);
    print_holds(ctl, service);
    print_list(status);
    return 0;
}

int ctl_destinations(struct ctl *ctl, int argc, char **argv)
{
    struct ctl_services services;
    struct status *status;
    int result = 0;

    if (getopt(argc, argv, "") != -1 ||
        ctl_begin(ctl, "destinations", false, argc, argv, &services) != 0)
        return CTL_FAILED;
    status = malloc(sizeof *status);
    if (!status)
        return CTL_FAILED;
    ctl_page_begin();
    for (size_t i = 0; i < services.count; i++)
        if (show(ctl, services.name[i], i == 0, status) != 0)
            result = CTL_FAILED;
    free(status);
    return result;
}
