/*
 * headroomctl plot [--since=TIME] [-o FILE] [SERVICE]
 */

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/base/clock.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_journal.h"
#include "supervisor/ctl/ctl_svg.h"
#include "supervisor/ctl/ctl_words.h"

#define DAY (INT64_C(24) * 3600 * 1000000)

/* A year of one line a minute is half of it. */
#define POINTS_MAX ((size_t)1000000)

struct points {
    struct ctl_point *point;
    size_t count;
    size_t room;
    bool full;
};

static void add(struct points *points, const struct ctl_point *point)
{
    if (points->count == points->room) {
        size_t room = points->room == 0 ? 1024 : 2 * points->room;
        struct ctl_point *more =
            room > POINTS_MAX ? NULL : realloc(points->point, room * sizeof *more);

        points->full = points->full || !more;
        if (!more)
            return;
        points->point = more;
        points->room = room;
    }
    points->point[points->count++] = *point;
}

static char letter_of(const char *state)
{
    return strcmp(state, "SHED") == 0     ? 'D'
           : strcmp(state, "SHRINK") == 0 ? 'S'
           : strcmp(state, "HOLD") == 0   ? 'H'
                                          : 'O';
}

static void use_entry(void *context, const struct ctl_entry *entry)
{
    bool start = strcmp(entry->event, "start") == 0;
    bool end = strcmp(entry->event, "exit") == 0;

    if (!start && !end && entry->limit < 0)
        return;
    add(context, &(struct ctl_point){
                     .time = entry->time,
                     .running = !end,
                     .state = letter_of(entry->state),
                     .workers = start ? -1 : (double)entry->workers,
                     .limit = start ? -1 : (double)entry->limit,
                     .waiting = start ? -1 : (double)entry->waiting,
                     .available = start ? -1 : (double)entry->available,
                     .working_set = start ? -1 : (double)entry->working_set,
                     .pressure = start ? -1 : entry->pressure,
                 });
}

static struct ctl_thresholds thresholds_of(const struct status *status)
{
    bool limit = status->memory.pool_known && status->memory.limit != STATUS_UNLIMITED;
    bool pressure = status->pressure.pool_known || status->pressure.machine_known;

    return (struct ctl_thresholds){
        .workers_max = (double)status->settings.workers_max,
        .waiting_max = (double)status->settings.waiting_max,
        .min_available = status->memory.machine_known ? (double)status->memory.min_available : -1,
        .memory_limit = limit ? (double)status->memory.limit : -1,
        .hold = pressure ? status->pressure.hold : -1,
        .target = pressure ? status->pressure.target : -1,
        .dry_run = status->settings.dry_run > 0,
    };
}

/* What is true now stands in the snapshot. 0, or CTL_FAILED after a line. */
static int add_now(const struct ctl *ctl, const char *service, int64_t since, struct points *points,
                   struct ctl_thresholds *thresholds)
{
    struct status *status = malloc(sizeof *status);
    int result = status ? ctl_load_or_say(ctl, service, status) : CTL_FAILED;

    if (result == 0)
        *thresholds = thresholds_of(status);
    if (result == 0 && status->written >= since &&
        (points->count == 0 || status->written > points->point[points->count - 1].time))
        add(points,
            &(struct ctl_point){
                .time = status->written,
                .running = ctl_running(ctl, service) != CTL_RUNS_NOT,
                .state = letter_of(status->state.name),
                .workers = (double)status->workers.live,
                .limit = (double)status->state.limit,
                .waiting = (double)status->requests.waiting,
                .available = status->memory.machine_known ? (double)status->memory.available : -1,
                .working_set = status->memory.pool_known ? (double)status->memory.working_set : -1,
                .pressure = status_pressure(status),
            });
    free(status);
    return result;
}

static int draw(const char *path, const char *service, const struct points *points,
                const struct ctl_thresholds *thresholds, int64_t now)
{
    FILE *out = path ? fopen(path, "we") : stdout;
    bool failed;

    if (!out) {
        ctl_error("%s: %s", path, strerror(errno));
        return CTL_FAILED;
    }
    ctl_svg_write(out, service, points->point, points->count, thresholds, points->point[0].time,
                  now);
    failed = fflush(out) != 0 || ferror(out);
    if (path && fclose(out) != 0)
        failed = true;
    if (failed)
        ctl_error("%s: %s", path ? path : "standard output", strerror(errno));
    return failed ? CTL_FAILED : 0;
}

int ctl_plot(struct ctl *ctl, int argc, char **argv)
{
    static const char *const events[] = {"state", "summary", "start", "exit", NULL};
    static const struct option options[] = {{"since", required_argument, NULL, 's'}, {0}};
    struct ctl_services services;
    struct ctl_thresholds thresholds = {-1, -1, -1, -1, -1, -1, false};
    struct points points = {0};
    const char *path = NULL;
    int64_t now = clock_wall();
    int64_t since = now - DAY;
    int64_t count;
    int option, result;

    while ((option = getopt_long(argc, argv, "s:o:", options, NULL)) != -1) {
        if (option == 'o')
            path = optarg;
        else if (option != 's')
            return CTL_FAILED;
        else if (!ctl_moment(optarg, now, &since)) {
            ctl_error("--since takes 90m, 3h, 2d, today, yesterday, 14:30 or \"2026-11-20 14:30\"");
            return CTL_FAILED;
        }
    }
    if (ctl_begin(ctl, "plot", true, argc, argv, &services) != 0)
        return CTL_FAILED;
    count = ctl_journal_read(ctl, services.name[0], since, events, use_entry, &points);
    if (count < 0)
        ctl_error("the journal cannot be read (%s)", ctl_journal_error((int)count));
    result = add_now(ctl, services.name[0], since, &points, &thresholds);
    if (points.full)
        ctl_error("more lines than fit: the newest are missing; take a later --since");
    if (points.count == 0) {
        if (result == 0)
            ctl_error("nothing is known of %s since then; take an earlier --since",
                      services.name[0]);
        result = CTL_FAILED;
    } else {
        result = draw(path, services.name[0], &points, &thresholds, clock_wall());
    }
    free(points.point);
    return result;
}
