/*
 * The screen of a service that has ended or does not answer: nothing of its snapshot is said to be
 * so now.
 */

#include "supervisor/ctl/ctl_cause.h"
#include "supervisor/ctl/ctl_screen.h"

#include <inttypes.h>

#include "supervisor/ctl/ctl_words.h"

static void put_title(FILE *out, const char *life, const struct status *status,
                      const struct ctl_view *view)
{
    char span[CTL_WORD_SIZE];
    char clock[CTL_WORD_SIZE];

    fprintf(out, "%s: %s; what follows was true at %s, %s ago\n", status->service, life,
            ctl_clock(status->written, view->now, clock),
            ctl_span(view->now - status->written, span));
}

static void put_ended(FILE *out, const struct status *status, const struct ctl_view *view)
{
    put_title(out, "NOT RUNNING", status, view);
    ctl_screen_label(out, "Start it");
    fputs("master(8) starts it with the next mail for it. If mail waits: postfix status, "
          "headroomctl check, the log\n",
          out);
}

/* What keeps a dispatcher from answering, as far as its process shows it, and what ends that. */
static void put_silent(FILE *out, const struct status *status, const struct ctl_view *view)
{
    put_title(out, "NOT ANSWERING", status, view);
    ctl_screen_label(out, "Process");
    fprintf(out, "%" PRIu64 ", the dispatcher, ", status->pid);
    switch (view->process) {
    case 'T':
    case 't':
        fputs("is stopped, by SIGSTOP or a debugger\n", out);
        break;
    case 'D':
        fputs("waits for a disk or for memory, or data_directory is full or read-only\n", out);
        break;
    default:
        fputs("hangs, or data_directory is full, slow or read-only\n", out);
        break;
    }
    ctl_screen_label(out, "Mend it");
    if (view->process == 'T' || view->process == 't')
        fprintf(out, "kill -CONT %" PRIu64 ", or ", status->pid);
    else
        fputs("see the log and df; if mail stands still, ", out);
    fprintf(out,
            "kill -KILL %" PRIu64 ": what it has in hand stays in the queue, and master(8) starts "
            "it again\n",
            status->pid);
}

static void put_figures(FILE *out, const struct status *status, const struct ctl_view *view)
{
    char clock[CTL_WORD_SIZE];
    char span[CTL_WORD_SIZE];

    ctl_screen_label(out, "State");
    fprintf(out, "was %s since %s: %s\n", status->state.name,
            ctl_clock(status->state.since, view->now, clock), status->state.reason);
    ctl_screen_label(out, "Mail");
    fprintf(out,
            "%" PRIu64 " were in delivery, %" PRIu64 " waited; %" PRIu64
            " had been delivered in the %s before\n",
            ctl_in_flight(status), status->requests.waiting, status->minute.delivered,
            ctl_span((int64_t)status->minute.span, span));
    ctl_screen_label(out, "Limit");
    fprintf(out,
            "was %" PRIu64 " workers of at most %" PRIu64 "; there were %" PRIu64 ", %" PRIu64
            " of them busy\n",
            status->state.limit, status->settings.workers_max, status->workers.live,
            status->workers.busy + status->workers.connecting);
}

static void put_waits(FILE *out, const struct status *status)
{
    fprintf(out, "%s: WAITS FOR MAIL; master(8) starts it with the next mail for it%s\n",
            status->service,
            status->written == 0 ? "; nothing to do but to send one, and to look again" : "");
}

void ctl_screen_past(FILE *out, const struct status *status, const struct ctl_view *view)
{
    if (view->life == CTL_WAITS) {
        put_waits(out, status);
        /* It may never have run. */
        if (status->written != 0)
            ctl_screen_deferred(out, status, view);
        return;
    }
    if (view->life == CTL_ENDED) {
        put_ended(out, status, view);
    } else {
        put_silent(out, status, view);
        put_figures(out, status, view);
    }
    ctl_screen_deferred(out, status, view);
}
