#include "supervisor/ctl/ctl_screen.h"

#include <inttypes.h>
#include <string.h>

#include "supervisor/config/config_bound.h"
#include "supervisor/ctl/ctl_cause.h"
#include "supervisor/ctl/ctl_page.h"
#include "supervisor/ctl/ctl_words.h"

/* How wide the table of destinations is beside their names. */
#define COLUMNS 47

static const char *bound_text(const struct status *status)
{
    return config_bound_text(config_bound_of(status->settings.workers_bound));
}

void ctl_screen_label(FILE *out, const char *name)
{
    fprintf(out, "  %-11s ", name);
}

const char *ctl_screen_would(const struct status *status)
{
    return status->settings.dry_run > 0 ? "dry run: nothing is held back; would be " : "";
}

static void put_title(FILE *out, const struct status *status, const struct ctl_view *view)
{
    char span[CTL_WORD_SIZE];
    char clock[CTL_WORD_SIZE];

    /* The word alone reads like an incident that is open. */
    bool calm =
        strcmp(status->state.name, "OPEN") == 0 && !status->state.memory && !status->settings.fixed;

    fprintf(out, "%s: %s%s since %s (%s): %s%s\n", status->service, ctl_screen_would(status),
            status->state.name, ctl_clock(status->state.since, view->now, clock),
            ctl_span(view->now - status->state.since, span), calm ? "memory is not short; " : "",
            status->state.reason);
}

const char *ctl_screen_minute(const struct status *status, const struct ctl_view *view,
                              char text[CTL_WORD_SIZE])
{
    char span[CTL_WORD_SIZE];
    bool whole = status->minute.span > 59000000;
    int64_t time = (int64_t)status->minute.span;

    /* Where nothing happens, a snapshot is a few seconds old, and its figures are those of now. */
    if (!whole && view->now > status->written)
        time += view->now - status->written;
    ctl_span(time, span);
    snprintf(text, CTL_WORD_SIZE, whole ? "the last %.20s" : "the %.20s since the start", span);
    return text;
}

/* The newest of those that are listed. */
static int64_t last_success(const struct status *status)
{
    int64_t last = 0;

    for (uint64_t i = 0; i < status->destinations; i++)
        if (status->destination[i].last_success > last)
            last = status->destination[i].last_success;
    return last;
}

static void put_nothing_since(FILE *out, const struct status *status, const struct ctl_view *view,
                              const char *span)
{
    char clock[CTL_WORD_SIZE];
    int64_t last = last_success(status);

    fprintf(out, "nothing %sdelivered in %s", status->minute.failed > 0 ? "was " : "", span);
    if (last > 0)
        fprintf(out, " (last at %s)", ctl_clock(last, view->now, clock));
}

static void put_mail(FILE *out, const struct status *status, const struct ctl_view *view)
{
    char span[CTL_WORD_SIZE];
    uint64_t flight = ctl_in_flight(status);

    ctl_screen_label(out, "Mail");
    ctl_screen_minute(status, view, span);
    if (!status->faults.greeting_known && flight + status->requests.waiting > 0)
        fputs("does not move: no worker has been ready yet", out);
    else if (status->minute.delivered > 0)
        fprintf(out, "moves: %" PRIu64 " delivered in %s", status->minute.delivered, span);
    else if (flight + status->requests.waiting + status->requests.deferring == 0)
        fputs("has nothing to do", out);
    else {
        fputs(status->minute.failed > 0 ? "is tried, but " : "does not move: ", out);
        put_nothing_since(out, status, view, span);
    }
    fprintf(out, ", %" PRIu64 " in delivery, %" PRIu64 " waiting", flight,
            status->requests.waiting);
    if (status->requests.deferring > 0)
        fprintf(out, ", %" PRIu64 " to be deferred", status->requests.deferring);
    if (status->minute.failed > 0)
        fprintf(out, ", %" PRIu64 " failed", status->minute.failed);
    fputc('\n', out);
}

/* Where the line Cause has the reason, it says why no worker is started, too. */
static bool cause_says_why(const struct status *status)
{
    enum ctl_cause cause = ctl_cause_of(status);

    return cause == CTL_NEXTHOP || cause == CTL_HELD || cause == CTL_QUEUE;
}

static void put_limit(FILE *out, const struct status *status, bool brief)
{
    ctl_screen_label(out, "Limit");
    if (status->settings.dry_run > 0)
        fprintf(out, "%" PRIu64 " workers, as stock has at most; would be ",
                status->settings.dry_run);
    fprintf(out,
            "%" PRIu64 "%s of at most %" PRIu64 " (%s%s); there %s %" PRIu64 ": %" PRIu64
            " busy, %" PRIu64 " idle",
            status->state.limit,
            status->settings.dry_run > 0 ? ""
            : status->state.limit == 1   ? " worker"
                                         : " workers",
            status->settings.workers_max, status->settings.fixed ? "fixed, " : "",
            bound_text(status), status->workers.live == 1 ? "is" : "are", status->workers.live,
            status->workers.busy + status->workers.connecting, status->workers.idle);
    if (status->workers.starting > 0)
        fprintf(out, ", %" PRIu64 " starting", status->workers.starting);
    if (status->workers.leaving > 0)
        fprintf(out, ", %" PRIu64 " leaving", status->workers.leaving);
    fputc('\n', out);
    if (status->workers.why[0] != '\0' && status->requests.waiting > 0 && !cause_says_why(status)) {
        ctl_screen_label(out, "New workers");
        fprintf(out, "none: %s\n", status->workers.why);
    }
    if (status->workers.start[0] != '\0' && !brief) {
        ctl_screen_label(out, "Starts");
        fprintf(out, "workers are %s\n", status->workers.start);
    }
}

static void put_would(FILE *out, const struct status *status, const struct ctl_view *view)
{
    char words[TOTALS_WOULD_SIZE];
    char clock[CTL_WORD_SIZE];

    if (status->settings.dry_run == 0)
        return;
    totals_write_would(&status->totals, words, sizeof words);
    ctl_screen_label(out, "Would have");
    fprintf(out, "%s, since the start at %s\n", words,
            ctl_clock(status->started, view->now, clock));
}

void ctl_screen_deferred(FILE *out, const struct status *status, const struct ctl_view *view)
{
    const char *had = view->life == CTL_ANSWERS ? "" : "had been deferred ";
    char clock[CTL_WORD_SIZE];
    char reasons[TOTALS_REASONS_SIZE];

    ctl_screen_label(out, "Deferred");
    ctl_clock(status->started, view->now, clock);
    if (status->totals.deferred == 0) {
        fprintf(out, "nothing %sby us since the start at %s\n", had, clock);
    } else {
        totals_write_reasons(&status->totals, reasons, sizeof reasons);
        fprintf(out, "%" PRIu64 " %sby us since the start at %s (%s)", status->totals.deferred, had,
                clock, reasons);
        if (view->life == CTL_ANSWERS)
            fprintf(out, ", %" PRIu64 " in the last minute", status->minute.deferred);
        fputc('\n', out);
    }
    if (view->deferred == 0)
        return;
    ctl_screen_label(out, "");
    fprintf(out,
            "in Postfix's queue are %s%" PRIu64
            " deferred messages, of all transports: headroomctl retries\n",
            view->deferred < CTL_DEFERRED_MOST ? "" : "more than ", view->deferred);
}

static void put_trend(FILE *out, const struct status *status)
{
    static const char *const words[] = {
        [CTL_TREND_UNKNOWN] = "too early to say",
        [CTL_BETTER] = "getting better",
        [CTL_STEADY] = "steady",
        [CTL_WORSE] = "getting worse",
    };
    enum ctl_trend trend = ctl_trend_of(status);
    char span[CTL_WORD_SIZE];

    ctl_screen_label(out, "Trend");
    fputs(words[trend], out);
    if (trend != CTL_TREND_UNKNOWN)
        fprintf(out,
                "; %s ago: %" PRIu64 " waiting, limit %" PRIu64 ", %" PRIu64
                " workers, pressure %.1f %%",
                ctl_span((int64_t)status->minute.span, span), status->minute.waiting,
                status->minute.limit, status->minute.workers, status->minute.pressure);
    fputc('\n', out);
}

static void put_memory(FILE *out, const struct status *status, const struct ctl_view *view)
{
    char a[CTL_WORD_SIZE], b[CTL_WORD_SIZE], c[CTL_WORD_SIZE];

    ctl_screen_label(out, "Memory");
    if (status->memory.machine_known)
        fprintf(out, "%s of %s available, of which %s are kept free",
                ctl_size((double)status->memory.available, a),
                ctl_size((double)status->memory.total, b),
                ctl_size((double)status->memory.min_available, c));
    else
        fputs("what is available is unknown", out);
    if (view->processes > 0)
        fprintf(out, "; %u worker%s %s unshared (%s each)", view->processes,
                view->processes == 1 ? " has" : "s have", ctl_size(view->unshared, a),
                ctl_size(view->unshared / view->processes, b));
    fputc('\n', out);
    if (status->memory.pool_known) {
        ctl_screen_label(out, "");
        fprintf(out, "group (%s): working set %s", status->memory.mode,
                ctl_size((double)status->memory.working_set, a));
        if (status->memory.limit != STATUS_UNLIMITED)
            fprintf(out, " of %s", ctl_size((double)status->memory.limit, b));
        if (status->memory.oom_kills > 0)
            fprintf(out, ", %" PRIu64 " OOM kills", status->memory.oom_kills);
        fputc('\n', out);
    }
}

static void put_pressure(FILE *out, const struct status *status)
{
    ctl_screen_label(out, "Pressure");
    if (!status->pressure.pool_known && !status->pressure.machine_known) {
        fputs("the kernel gives no information (psi=1 on its command line may)\n", out);
        return;
    }
    if (status->pressure.pool_known)
        fprintf(out, "pool %.1f %%%s", status->pressure.pool_some,
                status->pressure.machine_known ? ", " : "");
    if (status->pressure.machine_known)
        fprintf(out, "machine %.1f %%", status->pressure.machine_some);
    fprintf(out, " of the time; holds at %.4g %%, shrinks at %.4g %%\n", status->pressure.hold,
            status->pressure.target);
}

static void put_long(FILE *out, const struct status *status, int64_t now)
{
    uint64_t count = 0;
    char span[CTL_WORD_SIZE];

    while (count < status->deliveries && now - status->delivery[count].since >= CTL_BUSY_AFTER)
        count++;
    if (count == 0)
        return;
    ctl_screen_label(out, "Long");
    fprintf(out, "%" PRIu64 "%s deliveries run for longer than %s: headroomctl busy\n", count,
            count == STATUS_DELIVERIES_MAX ? " or more" : "", ctl_span(CTL_BUSY_AFTER, span));
}

static void put_faults(FILE *out, const struct status *status)
{
    if (status->totals.lost > 0) {
        ctl_screen_label(out, "Lost");
        fprintf(out, "%" PRIu64 " deliveries with a worker that died; they were deferred\n",
                status->totals.lost);
    }
    if (status->totals.refused > 0) {
        ctl_screen_label(out, "Refused");
        fprintf(out, "%" PRIu64 " requests; they stay in the queue, the log says why\n",
                status->totals.refused);
    }
    if (status->totals.unrecorded > 0) {
        ctl_screen_label(out, "No record");
        fprintf(out,
                "%" PRIu64 " deferred without service retry: master.cf must have "
                "\"retry unix - - y - - error\"\n",
                status->totals.unrecorded);
    }
    if (status->faults.queue_read_only || status->faults.queue_full) {
        ctl_screen_label(out, "Queue");
        fprintf(out, "%s; mail waits, and goes on by itself when that is mended\n",
                status->faults.queue_read_only ? "its file system is read-only"
                                               : "its file system has no space or inode left");
    }
    if (status->faults.lines_lost > 0) {
        ctl_screen_label(out, "Log");
        fprintf(out, "%" PRIu64 " lines could not be written\n", status->faults.lines_lost);
    }
}

void ctl_screen_head(FILE *out, const struct status *status, const struct ctl_view *view)
{
    if (view->life != CTL_ANSWERS) {
        ctl_screen_past(out, status, view);
        return;
    }
    put_title(out, status, view);
    put_mail(out, status, view);
    ctl_screen_cause(out, status, view);
    put_limit(out, status, view->brief);
    ctl_screen_deferred(out, status, view);
    put_would(out, status, view);
    if (!view->brief)
        put_trend(out, status);
    put_memory(out, status, view);
    put_pressure(out, status);
    put_long(out, status, view->now);
    put_faults(out, status);
}

void ctl_screen_destinations(FILE *out, const struct status *status, const struct ctl_view *view,
                             size_t most)
{
    size_t count = status->destinations < most ? (size_t)status->destinations : most;
    char span[CTL_WORD_SIZE];
    size_t longest = 0, width;

    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (strlen(status->destination[i].name) > longest)
            longest = strlen(status->destination[i].name);
    width = ctl_page_name_width(longest, view->columns, COLUMNS);
    ctl_page_name(out, 2, "Destination", width);
    fprintf(out, " %-7s %6s %7s %8s  %s\n", "lane", "in use", "waiting", "deferred", "longest");
    for (size_t i = 0; i < count; i++) {
        const struct status_destination *at = &status->destination[i];

        ctl_page_name(out, 2, at->name, width);
        fprintf(out, " %-7s %6" PRIu64 " %7" PRIu64 " %8" PRIu64 "  %s\n", at->lane, at->in_flight,
                at->waiting, at->deferred,
                at->oldest_start == 0 || at->in_flight == 0
                    ? "-"
                    : ctl_span(view->now - at->oldest_start, span));
    }
    if (status->destinations > count)
        fprintf(out, "  and %" PRIu64 " more: headroomctl destinations\n",
                status->destinations - count);
}

void ctl_screen_changes(FILE *out, const struct status *status, const struct ctl_view *view,
                        size_t most)
{
    size_t count = status->changes < most ? (size_t)status->changes : most;
    char clock[CTL_WORD_SIZE];

    for (size_t i = 0; i < count; i++) {
        const struct status_change *at = &status->change[i];

        if (i == 0)
            fputs("  Last changes\n", out);
        fprintf(out, "  %s %-6s limit %" PRIu64 ", %" PRIu64 " workers, %" PRIu64 " waiting: %s\n",
                ctl_clock(at->time, view->now, clock), at->state, at->limit, at->workers,
                at->waiting, at->reason);
    }
}
