/*
 * The screen of headroomctl status: for every state and cause, the answers that somebody needs at three in the morning. Looked for
 * are the answers, not the layout.
 */

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_advice.h"
#include "supervisor/ctl/ctl_cause.h"
#include "supervisor/ctl/ctl_limits.h"
#include "supervisor/ctl/ctl_screen.h"

#define NOW INT64_C(1790000000000000)
#define SECOND INT64_C(1000000)
#define MIB UINT64_C(1048576)

static struct status *calm(void)
{
    struct status *status = calloc(1, sizeof *status);

    status_text(status->service, sizeof status->service, "lmtp");
    status_text(status->state.name, sizeof status->state.name, "OPEN");
    status_text(status->state.reason, sizeof status->state.reason,
                "the limit grows with demand, it is 40 of 500");
    status->state.since = NOW - 3600 * SECOND;
    status->state.limit = 40;
    status->written = NOW - SECOND;
    status->started = NOW - 7200 * SECOND;
    status->settings.workers_min = 1;
    status->settings.workers_max = 500;
    status_text(status->settings.workers_bound, sizeof status->settings.workers_bound, "default");
    status->settings.waiting_max = 2000;
    status->settings.slow_after = 5000000;
    status->faults.greeting_known = true;
    status->minute.span = 60000000;
    status->minute.limit = 40;
    status->minute.delivered = 300;
    status->memory.machine_known = status->memory.pool_known = true;
    status->memory.total = 1000 * MIB;
    status->memory.available = 400 * MIB;
    status->memory.min_available = 100 * MIB;
    status->memory.working_set = 30 * MIB;
    status->memory.limit = STATUS_UNLIMITED;
    status->pressure.machine_known = true;
    status->pressure.hold = 0.5;
    status->pressure.target = 1;
    return status;
}

static struct status_destination *add(struct status *status, const char *name, const char *lane)
{
    struct status_destination *to = &status->destination[status->destinations++];

    status_text(to->name, sizeof to->name, name);
    status_text(to->lane, sizeof to->lane, lane);
    return to;
}

static struct status *short_of_memory(const char *state)
{
    struct status *status = calm();

    status_text(status->state.name, sizeof status->state.name, state);
    status_text(status->state.reason, sizeof status->state.reason,
                "memory available 101M is near memory.min_available 100M at 2.0M a worker");
    status_text(status->state.key, sizeof status->state.key, "memory.min_available");
    status->state.memory = true;
    status->state.since = NOW - 185 * SECOND;
    status->workers.live = status->workers.busy = 40;
    status->lanes.proven = 40;
    status->requests.waiting = 118;
    return status;
}

/* The whole screen. Lives until the end of the test. */
static const char *screen_of(const struct status *status, enum ctl_life life, char process)
{
    static char *text;
    size_t length;
    FILE *out;
    const struct ctl_view view = {
        .now = NOW, .life = life, .process = process, .processes = 40, .unshared = 60.0 * 1048576};

    free(text);
    out = open_memstream(&text, &length);
    ctl_screen_head(out, status, &view);
    ctl_screen_destinations(out, status, &view, 8);
    ctl_screen_changes(out, status, &view, 5);
    fclose(out);
    return text;
}

static const char *screen(const struct status *status, bool runs)
{
    return screen_of(status, runs ? CTL_ANSWERS : CTL_ENDED, runs ? 'S' : '\0');
}

static void expect_all(const char *text, const char *const *wanted)
{
    for (; *wanted; wanted++)
        cr_expect_not_null(strstr(text, *wanted), "no \"%s\" in:\n%s", *wanted, text);
}

#define SHOWS(status, runs, ...)                                                                   \
    expect_all(screen(status, runs), (const char *const[]){__VA_ARGS__, NULL})

Test(ctl_screen, open_and_calm)
{
    struct status *status = calm();

    SHOWS(status, true, "lmtp: OPEN since ",
          "(1 h 0 min): memory is not short; the limit grows with demand",
          "moves: 300 delivered in the last 60 s", "nothing is held up",
          "40 workers of at most 500 (default)", "nothing by us since the start",
          "400M of 1000M available, of which 100M are kept free", "60M unshared (1.5M each)",
          "machine 0.0 %");
    cr_expect_eq(ctl_exit_of(status, CTL_ANSWERS), 0);
    free(status);
}

Test(ctl_screen, every_state_has_its_exit_status)
{
    static const struct {
        const char *state;
        int exit;
    } states[] = {{"HOLD", 1}, {"SHRINK", 1}, {"SHED", 2}};

    for (size_t i = 0; i < 3; i++) {
        struct status *status = short_of_memory(states[i].state);
        char title[64];

        snprintf(title, sizeof title, "lmtp: %s since ", states[i].state);
        SHOWS(status, true, title, "(3 min)", "near memory.min_available 100M",
              "us: memory keeps the limit at 40 (memory.min_available)",
              "40 in delivery, 118 waiting");
        cr_expect_eq(ctl_exit_of(status, CTL_ANSWERS), states[i].exit);
        cr_expect_eq(ctl_exit_of(status, CTL_SILENT), 3);
        cr_expect_eq(ctl_exit_of(status, CTL_ENDED), 3);
        free(status);
    }
}

/* Nothing happened after the snapshot was written, or there were another. */
Test(ctl_screen, the_first_minute_goes_on_while_nothing_happens)
{
    struct status *status = calm();

    status->written = NOW - 5 * SECOND;
    status->minute.span = 1000000;
    SHOWS(status, true, "moves: 300 delivered in the 6 s since the start");
    status->minute.span = 60000000;
    SHOWS(status, true, "moves: 300 delivered in the last 60 s");
    free(status);
}

/* What a full room has no place for leaves over ten minutes: qmgr(8) has it all that time. */
Test(ctl_screen, victims_of_a_full_room)
{
    struct status *status = short_of_memory("HOLD");

    status->requests.deferring = 1790;
    SHOWS(status, true, "118 waiting, 1790 to be deferred");
    status->requests.deferring = 0;
    cr_expect_null(strstr(screen(status, true), "to be deferred"));
    free(status);
}

/* When it was the last time, as far as it is known; and what qmgr(8) deferred by itself is seen, too. */
Test(ctl_screen, nothing_is_delivered)
{
    struct status *status = calm();
    const struct ctl_view view = {.now = NOW, .life = CTL_ANSWERS, .deferred = 150};
    char text[4096] = "";
    FILE *out = fmemopen(text, sizeof text, "w");

    status->minute.delivered = 0;
    status->minute.failed = 4;
    add(status, "a.example", "proven")->last_success = NOW - 70 * SECOND;
    add(status, "b.example", "proven")->last_success = NOW - 400 * SECOND;
    SHOWS(status, true, "has nothing to do, 0 in delivery");
    status->requests.waiting = 1;
    SHOWS(status, true, "is tried, but nothing was delivered in the last 60 s (last at ");
    cr_expect_null(strstr(screen(status, true), "in Postfix's queue"));
    ctl_screen_deferred(out, status, &view);
    fclose(out);
    cr_expect_not_null(strstr(text, "nothing by us since"));
    cr_expect_not_null(
        strstr(text, "\n              in Postfix's queue are 150 deferred messages, "), "%s", text);
    free(status);
}

/* Nothing is held back, so nothing is short; what would be is said. */
Test(ctl_screen, dry_run)
{
    struct status *status = short_of_memory("SHED");

    status->settings.dry_run = 40;
    status->totals.would_defer_memory = 7;
    status->totals.would_split = 3;
    SHOWS(status, true, "lmtp: dry run: nothing is held back; would be SHED since ", "(3 min)",
          "us: all 40 workers that are allowed (as by stock) are busy",
          "40 workers, as stock has at most; would be 40 of at most 500 (default)",
          "nothing by us since the start",
          "deferred 7 (memory 7, too many wait 0, slow or dead destination 0), made 0 wait",
          "split off 3, since the start at ");
    cr_expect_eq(ctl_exit_of(status, CTL_ANSWERS), 0);
    cr_expect_eq(ctl_exit_of(status, CTL_SILENT), 3);
    status->requests.waiting = 0;
    SHOWS(status, true, "nothing is held up");
    free(status);
}

Test(ctl_screen, not_running)
{
    struct status *status = calm();

    status->written = NOW - 300 * SECOND;
    SHOWS(status, false, "lmtp: NOT RUNNING", "5 min ago", "headroomctl check");
    cr_expect_null(strstr(screen(status, false), "moves"));
    free(status);
}

/* Whatever it was before, the present tense is not used. */
Test(ctl_screen, not_answering)
{
    static const char *const present[] = {
        "moves",     "nothing is held up",      "Cause",      "Trend", " are to ",
        "waiting, ", " at most 500; there are", "Destination"};
    struct status *status = short_of_memory("HOLD");
    const char *text;

    status->written = NOW - 45 * SECOND;
    status->pid = 4711;
    status->requests.waiting = 118;
    text = screen_of(status, CTL_SILENT, 'T');
    expect_all(text,
               (const char *const[]){"lmtp: NOT ANSWERING; what follows was true at ", "45 s ago",
                                     "4711, the dispatcher, is stopped", "kill -CONT 4711",
                                     "was HOLD since", "40 were in delivery, 118 waited",
                                     "was 40 workers", "nothing had been deferred", NULL});
    for (size_t i = 0; i < sizeof present / sizeof present[0]; i++)
        cr_expect_null(strstr(text, present[i]), "\"%s\" in:\n%s", present[i], text);
    text = screen_of(status, CTL_SILENT, 'S');
    expect_all(text,
               (const char *const[]){"hangs, or data_directory is full", "kill -KILL 4711", NULL});
    free(status);
}

Test(ctl_screen, what_a_snapshot_is_worth)
{
    static const struct {
        int64_t age; /* seconds */
        enum ctl_running running;
        char process;
        enum ctl_life life;
    } cases[] = {
        {1, CTL_RUNS, 'S', CTL_ANSWERS},   {29, CTL_RUNS, 'R', CTL_ANSWERS},
        {31, CTL_RUNS, 'R', CTL_SILENT},   {1, CTL_RUNS, 'T', CTL_SILENT},
        {1, CTL_RUNS, 't', CTL_SILENT},    {1, CTL_RUNS, '\0', CTL_ENDED},
        {1, CTL_RUNS_NOT, 'S', CTL_ENDED}, {1, CTL_UNKNOWN, 'S', CTL_ANSWERS},
        {31, CTL_UNKNOWN, 'S', CTL_ENDED}, {1, CTL_UNKNOWN, '\0', CTL_ENDED},
    };
    struct status *status = calm();

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        status->written = NOW - cases[i].age * SECOND;
        cr_expect_eq(ctl_life_of(status, cases[i].running, cases[i].process, NOW), cases[i].life,
                     "case %zu", i);
    }
    free(status);
}

Test(ctl_screen, a_next_hop_that_does_not_answer_is_named)
{
    struct status *status = calm();

    status->nexthops = 1;
    status->nexthop[0] = (struct status_nexthop){
        .name = "inet:[192.0.2.1]:24", .state = "down", .since = NOW - 45 * SECOND, .waiting = 90};
    status->requests.waiting = 90;
    cr_expect_eq(ctl_cause_of(status), CTL_NEXTHOP);
    SHOWS(status, true, "the other side: next hop inet:[192.0.2.1]:24 does not answer since ",
          "(45 s): no server is reached; 90 waiting for it\n");
    /* Why no worker is started is that, and not what the dispatcher says of destinations. */
    status->workers.live = 1;
    status_text(status->workers.why, sizeof status->workers.why, "they have their shares");
    cr_expect_null(strstr(screen(status, true), "New workers"));
    SHOWS(status, true, "; there is 1: ");
    status->nexthops = 0;
    SHOWS(status, true, "New workers none: they have their shares\n");
    status->nexthops = 3;
    status_text(status->nexthop[0].state, sizeof status->nexthop[0].state, "silent");
    SHOWS(status, true, "nothing is heard of it; 90 waiting for it; and 2 more do not\n");
    free(status);
}

/* Nothing waits, but nothing, or much of it, arrives. */
Test(ctl_screen, what_fails_is_not_calm)
{
    struct status *status = calm();
    struct status_destination *full = add(status, "full.example", "first");

    status->minute.failed = 33;
    cr_expect_eq(ctl_cause_of(status), CTL_NOTHING);
    status->minute.failed = 34;
    cr_expect_eq(ctl_cause_of(status), CTL_FAILING);
    status_text(full->reason, sizeof full->reason, "4.2.2 host said: 452 4.2.2 over quota");
    full->reason_time = NOW - SECOND;
    SHOWS(status, true,
          "the other side: 34 of 334 deliveries failed in the last 60 s; last, full.example: 4.2.2 "
          "host said: 452 4.2.2 over quota\n");
    cr_expect_str_eq(ctl_advice(full->reason), "a mailbox is full: its owner, or its quota");
    cr_expect_null(ctl_advice("4.0.0 something else"));
    free(status);
}

Test(ctl_screen, what_runs_for_long_is_named)
{
    struct status *status = calm();

    status->deliveries = 2;
    status->delivery[0].since = NOW - 600 * SECOND;
    status->delivery[1].since = NOW - 599 * SECOND;
    SHOWS(status, true, "Long        1 deliveries run for longer than 10 min: headroomctl busy\n");
    free(status);
}

Test(ctl_screen, the_other_side_is_named)
{
    struct status *status = calm();
    struct status_destination *dead = add(status, "dead.example", "dead");

    status->workers.live = status->workers.busy = 38;
    status->lanes.dead = 30;
    status->lanes.proven = 8;
    dead->in_flight = dead->hanging = status->requests.hanging = 30;
    dead->waiting = status->waits.failing = 90;
    dead->oldest_start = NOW - 45 * SECOND;
    status->requests.waiting = 100;
    status->minute.delivered = 0;
    cr_expect_eq(ctl_cause_of(status), CTL_OTHER_SIDE);
    SHOWS(status, true, "does not move: nothing delivered in the last 60 s",
          "the other side: 30 of 38 deliveries are to slow or dead destinations",
          "30 for longer than 5 s", "90 of 100 waiting are for such", "dead.example", "45 s");
    /* Both at once. */
    status_text(status->state.name, sizeof status->state.name, "HOLD");
    status->state.memory = true;
    SHOWS(status, true, "us: memory keeps the limit at 40; and the other side");
    free(status);
}

/* Of 300 dead destinations the snapshot lists 40. Between two tries nothing is under way to them. */
Test(ctl_screen, only_dead_destinations_wait)
{
    struct status *status = calm();

    add(status, "dead.example", "dead")->waiting = 3;
    status->requests.waiting = status->waits.failing = 900;
    cr_expect_eq(ctl_cause_of(status), CTL_OTHER_SIDE);
    SHOWS(status, true, "the other side: 900 of 900 waiting are for slow or dead destinations\n");
    free(status);
}

/* Workers could be had: what keeps most of what waits is named, with its number. */
Test(ctl_screen, what_waits_while_workers_are_free)
{
    struct status *status = calm();

    status->requests.waiting = 90;
    status->waits.unproven = 40;
    SHOWS(status, true, "neither: destinations get few workers until they have delivered\n");
    status->minute.failed = 300;
    cr_expect_eq(ctl_cause_of(status), CTL_NEW);
    status->minute.failed = 301;
    SHOWS(status, true, "the other side: 301 of 601 deliveries failed in the last 60 s\n");
    status->minute.failed = 0;
    status->waits.window = 41;
    SHOWS(status, true,
          "neither: 41 of 90 waiting are for destinations that deliver and have all of their "
          "windows in use\n");
    status->waits.number = 42;
    SHOWS(status, true,
          "the other side: 42 of 90 waiting are for destinations that take no more at a time\n");
    status->waits.pace = 43;
    SHOWS(status, true, "the configuration: 43 of 90 waiting are kept by destination.pace\n");
    status->waits.failing = 44;
    cr_expect_eq(ctl_cause_of(status), CTL_OTHER_SIDE);
    status->waits.failing = 0;
    status->waits.held = 44;
    cr_expect_eq(ctl_cause_of(status), CTL_HELD);
    free(status);
}

Test(ctl_screen, whose_fault_it_is)
{
    struct status *status = calm();

    status->requests.waiting = 10;
    cr_expect_eq(ctl_cause_of(status), CTL_NEW);
    status->workers.busy = status->lanes.proven = 40;
    cr_expect_eq(ctl_cause_of(status), CTL_GROWING);
    status->state.limit = status->settings.workers_max = 40;
    cr_expect_eq(ctl_cause_of(status), CTL_MAXIMUM);
    status_text(status->settings.workers_bound, sizeof status->settings.workers_bound, "column");
    SHOWS(status, true,
          "us: all 40 workers that are allowed (process limit column of master.cf) are busy");
    status->faults.failed_starts = 3;
    status_text(status->faults.start_error, sizeof status->faults.start_error, "No such file");
    cr_expect_eq(ctl_cause_of(status), CTL_STARTS);
    SHOWS(status, true, "3 starts of workers failed (No such file)");
    free(status);
}

/* A worker that needs a service that is not there starts, and does not get ready. */
Test(ctl_screen, no_worker_is_ready)
{
    struct status *status = calm();

    status->workers.live = status->workers.starting = 1;
    status->workers.busy = status->workers.idle = 0;
    status->workers.starting_since = status->written - 2 * SECOND;
    cr_expect_eq(ctl_cause_of(status), CTL_NOTHING);
    status->workers.starting_since = status->written - 20 * SECOND;
    cr_expect_eq(ctl_cause_of(status), CTL_NOT_READY);
    SHOWS(status, true, "us: no worker is ready: one was started 20 s ago");
    status->workers.idle = 1;
    cr_expect_eq(ctl_cause_of(status), CTL_NOTHING);
    status_text(status->workers.why, sizeof status->workers.why, "workers.max is reached");
    status->requests.waiting = 1;
    SHOWS(status, true, "none: workers.max is reached");
    free(status);
}

Test(ctl_screen, what_was_deferred_and_lost)
{
    struct status *status = calm();

    status->totals.deferred = 12;
    status->totals.deferred_memory = 2;
    status->totals.deferred_full = 3;
    status->totals.deferred_slow = 7;
    status->minute.deferred = 5;
    status->totals.lost = 4;
    status->totals.unrecorded = 1;
    SHOWS(status, true, "12 by us since the start", "memory 2, too many wait 3",
          "slow or dead destination 7), 5 in the last minute",
          "4 deliveries with a worker that died", "retry unix - - y - - error");
    free(status);
}

Test(ctl_screen, trend)
{
    struct status *status = calm();

    status->minute.waiting = 300;
    status->requests.waiting = 118;
    cr_expect_eq(ctl_trend_of(status), CTL_BETTER);
    SHOWS(status, true, "getting better; 60 s ago: 300 waiting, limit 40");
    status->requests.waiting = 500;
    cr_expect_eq(ctl_trend_of(status), CTL_WORSE);
    status->requests.waiting = 310;
    cr_expect_eq(ctl_trend_of(status), CTL_STEADY);
    status->minute.span = 5000000;
    cr_expect_eq(ctl_trend_of(status), CTL_TREND_UNKNOWN);
    SHOWS(status, true, "too early to say");
    free(status);
}

Test(ctl_screen, changes_newest_first)
{
    struct status *status = calm();
    const char *text;

    status->changes = 2;
    status_text(status->change[0].state, sizeof status->change[0].state, "OPEN");
    status_text(status->change[0].reason, sizeof status->change[0].reason, "second");
    status_text(status->change[1].state, sizeof status->change[1].state, "SHRINK");
    status_text(status->change[1].reason, sizeof status->change[1].reason, "first of all");
    status->change[0].time = NOW - 60 * SECOND;
    status->change[1].time = NOW - 90 * SECOND;
    text = screen(status, true);
    cr_assert_not_null(strstr(text, "second"));
    cr_assert_not_null(strstr(text, "first of all"));
    cr_expect_lt(strstr(text, "second"), strstr(text, "first of all"));
    free(status);
}

static void rows(const struct ctl_limits *to, const struct status *status)
{
    ctl_limits_own(to, status);
    ctl_limits_row(to, &(struct ctl_bound){"tasks", 12, -1, "", CTL_BOUND_COUNT});
    ctl_limits_row(to, &(struct ctl_bound){"descriptors", -1, 12, "", CTL_BOUND_COUNT});
}

/* status --limits: what is reached is marked, and nothing else. */
Test(ctl_screen, limits_that_are_reached_are_marked)
{
    struct status *status = calm();
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    struct ctl_limits to = {0};

    status->workers.live = 45;
    status->workers.idle = 5;
    status->lanes.dead = 3;
    status->lanes.slow = 4;
    status->shares.dead = 5;
    status->shares.unknown = 10;
    status->shares.slow = 7;
    status->shares.passed = status->shares.first = 35;
    status->shares.proven = 40;
    rows(&(struct ctl_limits){.out = out}, status);
    fclose(out);
    cr_expect(strstr(text, "\n  workers                             45       500  "), "%s", text);
    cr_expect(strstr(text, "\n* workers in use, of the limit        40        40  "), "%s", text);
    cr_expect(strstr(text, "\n    to dead destinations               3         5  "), "%s", text);
    cr_expect(strstr(text, "\n*   and slow ones                      7         7  "), "%s", text);
    cr_expect(strstr(text, "\n  tasks                               12  no limit  "), "%s", text);
    cr_expect(strstr(text, "\n  descriptors                          ?        12  "), "%s", text);
    free(text);
    /* The same for programs. */
    to.array = cJSON_CreateArray();
    rows(&to, status);
    text = cJSON_PrintUnformatted(to.array);
    cr_expect(strstr(text, "{\"name\":\"and slow ones\",\"now\":7,\"most\":7,\"reached\":true,"),
              "%s", text);
    cr_expect(strstr(text, "{\"name\":\"tasks\",\"now\":12,\"most\":null,\"reached\":false,"), "%s",
              text);
    cr_expect(strstr(text, "\"name\":\"descriptors\",\"now\":null,\"most\":12,"), "%s", text);
    cJSON_free(text);
    cJSON_Delete(to.array);
    free(status);
}
