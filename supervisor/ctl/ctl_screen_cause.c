/*
 * The line Cause of the screen: is it us or the other side, in words.
 */

#include "supervisor/ctl/ctl_screen.h"

#include <inttypes.h>
#include <string.h>

#include "supervisor/config/config_bound.h"
#include "supervisor/ctl/ctl_advice.h"
#include "supervisor/ctl/ctl_cause.h"
#include "supervisor/ctl/ctl_words.h"

static void put_other_side(FILE *out, const struct status *status)
{
    uint64_t flight = ctl_in_flight(status);

    fputs("the other side: ", out);
    if (flight > 0)
        fprintf(out, "%" PRIu64 " of %" PRIu64 " deliveries are to slow or dead destinations",
                ctl_held(status), flight);
    if (status->requests.hanging > 0)
        fprintf(out, " (%" PRIu64 " for longer than %.3g s)", status->requests.hanging,
                (double)status->settings.slow_after / 1e6);
    if (status->waits.failing > 0)
        fprintf(out, "%s%" PRIu64 " of %" PRIu64 " waiting are for %s", flight > 0 ? ", and " : "",
                status->waits.failing, status->requests.waiting,
                flight > 0 ? "such" : "slow or dead destinations");
}

static void put_waiting(FILE *out, const char *who, uint64_t waiting, uint64_t all,
                        const char *what)
{
    fprintf(out, "%s: %" PRIu64 " of %" PRIu64 " waiting are %s", who, waiting, all, what);
}

/* The first; more than one is rare. */
static void put_nexthop(FILE *out, const struct status *status, int64_t now)
{
    const struct status_nexthop *hop = &status->nexthop[0];
    char clock[CTL_WORD_SIZE], span[CTL_WORD_SIZE];

    fprintf(out,
            "the other side: next hop %s does not answer since %s (%s): %s; %" PRIu64
            " waiting for it",
            hop->name, ctl_clock(hop->since, now, clock), ctl_span(now - hop->since, span),
            strcmp(hop->state, "down") == 0 ? "no server is reached" : "nothing is heard of it",
            hop->waiting);
    if (status->nexthops > 1)
        fprintf(out, "; and %" PRIu64 " more do not", status->nexthops - 1);
}

static void put_failing(FILE *out, const struct status *status, const struct ctl_view *view)
{
    const struct status_destination *last = ctl_newest_reason(status);
    char span[CTL_WORD_SIZE];

    fprintf(out, "the other side: %" PRIu64 " of %" PRIu64 " deliveries failed in %s",
            status->minute.failed, status->minute.failed + status->minute.delivered,
            ctl_screen_minute(status, view, span));
    if (last)
        fprintf(out, "; last, %s: %s", last->name, last->reason);
}

void ctl_screen_cause(FILE *out, const struct status *status, const struct ctl_view *view)
{
    char span[CTL_WORD_SIZE];

    ctl_screen_label(out, "Cause");
    switch (ctl_cause_of(status)) {
    case CTL_NOTHING:
        fputs("nothing is held up", out);
        break;
    case CTL_FAILING:
        put_failing(out, status, view);
        break;
    case CTL_QUEUE:
        fputs(status->faults.queue_read_only
                  ? "this machine: the queue is read-only, so no delivery begins"
                  : "this machine: the disk of the queue is full, so nothing is deferred",
              out);
        break;
    case CTL_STARTS:
        fprintf(out, "us: %" PRIu64 " starts of workers failed (%s); see `headroomctl check`",
                status->faults.failed_starts,
                status->faults.start_error[0] != '\0' ? status->faults.start_error
                                                      : "they end before they are ready");
        break;
    case CTL_NOT_READY:
        fprintf(out,
                "us: no worker is ready: one was started %s ago and has not greeted; the log has "
                "what it says, headroomctl check what it needs",
                ctl_span(status->written - status->workers.starting_since, span));
        break;
    case CTL_MEMORY:
        fprintf(out, "us: memory keeps the limit at %" PRIu64, status->state.limit);
        if (status->state.key[0] != '\0')
            fprintf(out, " (%s)", status->state.key);
        if (ctl_trouble_holds(status)) {
            fputs("; and ", out);
            put_other_side(out, status);
        }
        break;
    case CTL_MAXIMUM:
        fprintf(out, "us: all %" PRIu64 " workers that are allowed (%s) are busy",
                status->settings.dry_run > 0 ? status->settings.dry_run
                                             : status->settings.workers_max,
                status->settings.dry_run > 0
                    ? "as by stock"
                    : config_bound_text(config_bound_of(status->settings.workers_bound)));
        break;
    case CTL_GROWING:
        fprintf(out, "us, for a moment: the limit grows with demand, it is %" PRIu64 " of %" PRIu64,
                status->state.limit, status->settings.workers_max);
        break;
    case CTL_NEXTHOP:
        put_nexthop(out, status, view->now);
        break;
    case CTL_OTHER_SIDE:
        put_other_side(out, status);
        break;
    case CTL_HELD:
        put_waiting(out, "an operator", status->waits.held, status->requests.waiting,
                    "for destinations that are held (headroomctl hold shows them)");
        break;
    case CTL_PACE:
        put_waiting(out, "the configuration", status->waits.pace, status->requests.waiting,
                    "kept by destination.pace");
        break;
    case CTL_NUMBER:
        put_waiting(out, "the other side", status->waits.number, status->requests.waiting,
                    "for destinations that take no more at a time");
        break;
    case CTL_WINDOW:
        put_waiting(out, "neither", status->waits.window, status->requests.waiting,
                    "for destinations that deliver and have all of their windows in use");
        break;
    case CTL_NEW:
        fputs("neither: destinations get few workers until they have delivered", out);
        break;
    }
    fputc('\n', out);
}
