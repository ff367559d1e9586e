/*
 * supervisor/report/snapshot.c and collect.c: what a view becomes, and when it is written. The view,
 * the clocks and the log are the test's; the files are real.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/base/file.h"
#include "supervisor/report/snapshot.h"
#include "supervisor/report/status_word.h"
#include "tests/unit/admission_harness.h"
#include "tests/unit/said.h"

#define WALL (INT64_C(1790000000) * SECOND)
#define NOW (5000 * SECOND)

/* The program's own clocks are found before those of the archive. A write is between two looks. */
static int64_t write_takes;
static int64_t now = NOW;

uint64_t clock_monotonic(void)
{
    now += write_takes;
    return (uint64_t)now;
}

int64_t clock_wall(void)
{
    return WALL + now;
}

static struct {
    struct config config;
    struct totals totals;
    struct failures failures;
    struct limit_settings settings;
    struct limit_state state;
    struct limit_decision decision;
    struct memory_sample sample;
    struct pool pool;
    struct report_view view;
    struct admission *admission;
    struct complaints complaints;
    struct snapshot *snapshot;
    char place[32];
    int directory;
    int word;
} t;

static void start(void)
{
    cr_assert_eq(snapshot_create(&t.snapshot, t.directory, t.place, t.word, &t.complaints), 0);
}

static void set_up(void)
{
    snprintf(t.place, sizeof t.place, "/tmp/headroom-snapshot.XXXXXX");
    cr_assert_not_null(mkdtemp(t.place));
    t.directory = open(t.place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    t.word = openat(t.directory, "word", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    config_defaults(&t.config);
    t.settings = (struct limit_settings){.min = 2, .max = 40};
    t.decision = (struct limit_decision){
        .limit = 12,
        .mode = LIMIT_HOLD,
        .reason = {.input = LIMIT_BY_STALL,
                   .value = 0.02,
                   .threshold = 0.005,
                   .key = "pressure.hold"},
    };
    t.pool = (struct pool){.size = 40, .count = {25, 1, 2, 3, 4, 5}};
    t.admission = harness_create(100, 100);
    t.view = (struct report_view){
        .now = NOW,
        .service = "relay",
        .config = &t.config,
        .parent = 77,
        .group_mode = "unit",
        .totals = &t.totals,
        .failures = &t.failures,
        .settings = &t.settings,
        .state = &t.state,
        .decision = &t.decision,
        .sample = &t.sample,
        .changed = NOW - 30 * SECOND,
        .admission = t.admission,
        .pool = &t.pool,
        .most = 16,
        .held = 20,
        .room = 500,
        .waiting = 8,
        .deferring = 3,
        .start = "",
        .start_error = "",
        .why = SPAWN_START,
    };
    start();
}

static void tear_down(void)
{
    snapshot_destroy(t.snapshot);
    admission_destroy(t.admission);
    unlinkat(t.directory, STATUS_FILE, 0);
    unlinkat(t.directory, "relay.prom", 0);
    unlinkat(t.directory, "word", 0);
    close(t.word);
    close(t.directory);
    rmdir(t.place);
}

TestSuite(snapshot, .init = set_up, .fini = tear_down);

/* Time passes, then a tick. */
static void tick_after(int64_t time)
{
    now += time;
    t.view.now = (uint64_t)now;
    snapshot_tick(t.snapshot, &t.view, false);
}

/* Whether the file was written since the last call: each call takes it away. */
static bool written(const char *name)
{
    return unlinkat(t.directory, name, 0) == 0;
}

static const struct status *collected(void)
{
    static struct status status;

    snapshot_collect(t.snapshot, &t.view);
    status = t.snapshot->status;
    return &status;
}

static const struct status_destination *destination(const struct status *status, const char *name)
{
    for (size_t i = 0; i < status->destinations; i++)
        if (strcmp(status->destination[i].name, name) == 0)
            return &status->destination[i];
    cr_assert_fail("no destination %s", name);
    return NULL;
}

/* --- what is in it ------------------------------------------------------------------------------ */

Test(snapshot, figures_of_the_view)
{
    const struct status *status;

    t.totals.deferred_full = 7;
    t.view.lines_lost = 2;
    t.view.start_error = "it does not greet";
    t.view.starting = NOW - 4 * SECOND;
    t.pool.failures = 6;
    t.view.why = SPAWN_MAX;
    status = collected();
    cr_expect_eq(status->format, STATUS_FORMAT);
    cr_expect_str_eq(status->service, "relay");
    cr_expect_eq(status->pid, (uint64_t)getpid());
    cr_expect_eq(status->parent, 77);
    cr_expect_eq(status->written, WALL + NOW);
    cr_expect_str_eq(status->state.name, "HOLD");
    cr_expect_eq(status->state.since, WALL + NOW - 30 * SECOND);
    cr_expect_eq(status->state.limit, 12);
    cr_expect_str_eq(status->state.reason,
                     "memory stall of the pool 2.0% is above pressure.hold 0.5%");
    cr_expect_str_eq(status->state.key, "pressure.hold");
    cr_expect(status->state.memory);
    cr_expect_eq(status->settings.workers_max, 40);
    cr_expect_eq(status->settings.waiting_max, 500);
    cr_expect_eq(status->workers.live, 15);
    cr_expect_eq(status->workers.starting, 1);
    cr_expect_eq(status->workers.idle, 2);
    cr_expect_eq(status->workers.connecting, 3);
    cr_expect_eq(status->workers.busy, 4);
    cr_expect_eq(status->workers.leaving, 5);
    cr_expect_eq(status->workers.most, 16);
    cr_expect_str_eq(status->workers.why, "workers.max is reached");
    cr_expect_eq(status->workers.starting_since, WALL + NOW - 4 * SECOND);
    cr_expect_eq(status->requests.held, 20);
    cr_expect_eq(status->requests.waiting, 8);
    cr_expect_eq(status->requests.deferring, 3);
    cr_expect_eq(status->totals.deferred_full, 7);
    cr_expect_eq(status->faults.failed_starts, 6);
    cr_expect_str_eq(status->faults.start_error, "it does not greet");
    cr_expect_eq(status->faults.lines_lost, 2);
}

/* A limit that only demand or the configuration bounds is not short of memory; nothing starts. */
Test(snapshot, nothing_is_wrong)
{
    const struct status *status;

    t.decision.reason.input = LIMIT_BY_GROWTH;
    status = collected();
    cr_expect_not(status->state.memory);
    cr_expect_str_eq(status->workers.why, "");
    cr_expect_str_eq(status->faults.start_error, "");
    cr_expect_eq(status->workers.starting_since, 0);
    cr_expect_eq(status->destinations, 0);
}

Test(snapshot, memory)
{
    const struct status *status;

    t.sample = (struct memory_sample){
        .machine_known = true,
        .total = UINT64_C(8) << 30,
        .available = UINT64_C(3) << 30,
        .groups = 1,
        .group = {{.known = true, .working_set = 60 << 20, .limit = 64 << 20}},
        .oom_kill = 4,
    };
    t.settings.min_available = 100 << 20;
    t.settings.hold = 0.005;
    t.state.pool_some.fraction = 0.25;
    t.state.footprint = 5e6;
    status = collected();
    cr_expect_str_eq(status->memory.mode, "unit");
    cr_expect_eq(status->memory.available, UINT64_C(3) << 30);
    cr_expect_eq(status->memory.min_available, 100 << 20);
    cr_expect_eq(status->memory.working_set, 60 << 20);
    cr_expect_eq(status->memory.limit, 64 << 20);
    cr_expect_eq(status->memory.footprint, 5000000);
    cr_expect_eq(status->memory.oom_kills, 4);
    cr_expect_float_eq(status->pressure.pool_some, 25, 1e-9);
    cr_expect_float_eq(status->pressure.hold, 0.5, 1e-9);
    /* Without a group of its own there is no limit of it. */
    t.sample.groups = 0;
    status = collected();
    cr_expect_not(status->memory.pool_known);
    cr_expect_eq(status->memory.limit, STATUS_UNLIMITED);
}

/* One that is in several of admission's lists is told once, with the time of its oldest delivery. */
Test(snapshot, destinations)
{
    struct admission_counters before, after;
    const struct status_destination *found;
    const struct status *status;

    harness_arrive(t.admission, 0, "runs.example", FIRST, NOW - 20 * SECOND);
    cr_assert_eq(harness_start(t.admission, 10, NOW - 20 * SECOND), 0);
    for (unsigned i = 1; i < 4; i++)
        harness_arrive(t.admission, i, "runs.example", FIRST, NOW);
    harness_arrive(t.admission, 9, "waits.example", FIRST, NOW);
    admission_count(t.admission, &before);
    status = collected();
    admission_count(t.admission, &after);
    cr_expect_eq(before.steps, after.steps, "to look at it is work for admission");
    cr_expect_eq(status->destinations, 2);
    found = destination(status, "runs.example");
    cr_expect_eq(found->waiting, 3);
    cr_expect_eq(found->in_flight, 1);
    cr_expect_eq(found->oldest_start, WALL + NOW - 20 * SECOND);
    cr_expect_eq(found->last_success, 0, "never");
    found = destination(status, "waits.example");
    cr_expect_eq(found->waiting, 1);
    cr_expect_eq(found->oldest_start, 0);
}

/* Two deliveries a second for seventy seconds: a minute has 120, and begins with what was then. */
/* More than are listed: what waits for them is counted all the same. */
Test(snapshot, many_dead_destinations)
{
    const struct status *status;
    uint64_t listed = 0;
    char key[16];

    for (unsigned i = 0; i < 60; i++) {
        snprintf(key, sizeof key, "dead%u", i);
        harness_once(t.admission, i, key, ADMISSION_FAILED, MS, NOW - 60 * SECOND);
        harness_arrive(t.admission, i, key, RETRY, NOW);
    }
    t.view.waiting = 60;
    status = collected();
    for (uint64_t i = 0; i < status->destinations; i++)
        listed += status->destination[i].waiting;
    cr_expect_leq(listed, STATUS_DESTINATIONS_MAX);
    cr_expect_eq(status->waits.failing, 60);
    cr_expect_eq(status->waits.unproven, 0);
}

/* What no line of the log has counted yet. */
Test(snapshot, a_dry_run_between_two_lines)
{
    static const struct totals logged = {.would_defer_slow = 2, .would_split = 1};

    t.totals = (struct totals){
        .would_defer_slow = 5, .would_defer_full = 1, .would_wait_limit = 7, .would_split = 1};
    cr_expect_eq(collected()->unlogged.deferred, 0, "nobody knows of lines");
    t.view.logged = &logged;
    cr_expect_eq(collected()->unlogged.deferred, 4);
    cr_expect_eq(collected()->unlogged.waited, 7);
    cr_expect_eq(collected()->unlogged.split, 0);
}

Test(snapshot, the_last_minute)
{
    const struct status *status;

    for (unsigned i = 0; i < 70; i++) {
        t.totals.delivered += 2;
        t.totals.deferred += 1;
        t.view.waiting = i;
        tick_after(SECOND);
    }
    now += SECOND;
    t.view.now = (uint64_t)now;
    status = collected();
    cr_expect_eq(status->minute.span, 60 * SECOND);
    cr_expect_eq(status->minute.delivered, 118);
    cr_expect_eq(status->minute.deferred, 59);
    cr_expect_eq(status->minute.waiting, 10);
    cr_expect_eq(status->minute.limit, 12);
    cr_expect_eq(status->minute.workers, 15);
}

/* The newest change comes first; fifty are kept, also by a successor. */
Test(snapshot, changes)
{
    const struct status *status;

    for (unsigned i = 1; i <= STATUS_CHANGES_MAX + 5; i++) {
        now += SECOND;
        t.decision.limit = i;
        snapshot_changed(t.snapshot, &t.view);
    }
    t.totals.delivered = 9;
    tick_after(10 * SECOND);
    tick_after(10 * SECOND);
    snapshot_destroy(t.snapshot);
    now += SECOND;
    start();
    status = collected();
    cr_expect_eq(status->changes, STATUS_CHANGES_MAX);
    cr_expect_eq(status->change[0].limit, STATUS_CHANGES_MAX + 5);
    cr_expect_eq(status->change[0].time, WALL + now - 21 * SECOND);
    cr_expect_str_eq(status->change[0].state, "HOLD");
    cr_expect_eq(status->change[0].workers, 15);
    cr_expect_eq(status->change[STATUS_CHANGES_MAX - 1].limit, 6);
    /* All else is the successor's own. */
    cr_expect_eq(status->minute.span, 0);
    cr_expect_eq(status->started, WALL + now);
}

/* What a predecessor of another format left is no reason not to start. */
Test(snapshot, a_predecessor_of_another_format)
{
    static const char text[] = "{\"service\": \"relay\", \"state\": {\"name\": \"OPEN\"}, "
                               "\"changes\": [{\"time\": 1790000000000000, \"state\": \"SHED\"}]}";

    cr_assert_eq(file_replace(t.directory, STATUS_FILE, "x", 0600, false, text, sizeof text - 1),
                 0);
    snapshot_destroy(t.snapshot);
    start();
    cr_expect_eq(collected()->changes, 0);
    tick_after(SECOND);
    cr_expect(written(STATUS_FILE));
}

/* --- when it is written ------------------------------------------------------------------------- */

Test(snapshot, is_written_when_something_changed)
{
    tick_after(SECOND);
    cr_expect(written(STATUS_FILE), "the first one");
    tick_after(SECOND);
    cr_expect_not(written(STATUS_FILE), "nothing has changed");
    for (int i = 0; i < 6; i++) {
        t.totals.lost += i == 0;
        t.view.waiting += i == 1;
        t.view.held += i == 2;
        t.decision.limit += i == 3;
        t.decision.mode = i == 4 ? LIMIT_SHED : t.decision.mode;
        t.pool.count[WORKER_BUSY] += i == 5;
        tick_after(SECOND);
        cr_expect(written(STATUS_FILE), "change %d", i);
    }
    t.totals.lost++;
    tick_after(SECOND / 2);
    cr_expect_not(written(STATUS_FILE), "half a second after the last one");
    tick_after(SECOND / 2);
    cr_expect(written(STATUS_FILE));
    for (int i = 0; i < 9; i++)
        tick_after(SECOND);
    cr_expect_not(written(STATUS_FILE));
    tick_after(SECOND);
    cr_expect(written(STATUS_FILE), "ten seconds without a change");
    snapshot_tick(t.snapshot, &t.view, true);
    cr_expect(written(STATUS_FILE), "the end");
    cr_expect_eq(said.times[COMPLAINT_SNAPSHOT], 0);
}

/* A write of 100 ms: the next one is 2 s later, whatever changes. */
Test(snapshot, a_slow_disk_is_left_alone)
{
    tick_after(SECOND);
    t.totals.lost++;
    write_takes = SECOND / 10;
    tick_after(SECOND);
    cr_expect(written(STATUS_FILE));
    write_takes = 0;
    t.totals.lost++;
    tick_after(SECOND);
    cr_expect_not(written(STATUS_FILE));
    tick_after(SECOND);
    cr_expect(written(STATUS_FILE));
    /* But not for more than a minute. */
    t.totals.lost++;
    write_takes = 1000 * SECOND;
    tick_after(SECOND);
    write_takes = 0;
    cr_expect(written(STATUS_FILE));
    t.totals.lost++;
    tick_after(61 * SECOND);
    cr_expect(written(STATUS_FILE));
}

Test(snapshot, what_cannot_be_written_is_complained_of)
{
    status_text(t.config.metrics_textfile, sizeof t.config.metrics_textfile,
                "/nonexistent/%s.prom");
    cr_assert_eq(mkdirat(t.directory, STATUS_FILE, 0700), 0);
    tick_after(SECOND);
    cr_expect_eq(said.times[COMPLAINT_SNAPSHOT], 1);
    cr_expect_not_null(strstr(said.last, t.place), "%s", said.last);
    cr_expect_not_null(strstr(said.last, "Is a directory"), "%s", said.last);
    cr_expect_eq(said.times[COMPLAINT_METRICS], 1);
    cr_assert_eq(unlinkat(t.directory, STATUS_FILE, AT_REMOVEDIR), 0);
    /* Without a directory there is no file, and nobody misses it. */
    snapshot_destroy(t.snapshot);
    cr_assert_eq(snapshot_create(&t.snapshot, -1, t.place, -1, &t.complaints), 0);
    tick_after(11 * SECOND);
    cr_expect_eq(said.times[COMPLAINT_SNAPSHOT], 1);
    cr_expect_eq(said.times[COMPLAINT_METRICS], 2);
}

/* Each ten seconds, with the figures of that moment. */
Test(snapshot, metrics)
{
    char text[METRICS_TEXT_MAX] = "";
    unsigned times = 0;
    int fd;

    snprintf(t.config.metrics_textfile, sizeof t.config.metrics_textfile, "%s/%%s.prom", t.place);
    for (int i = 0; i < 30; i++) {
        tick_after(SECOND);
        times += written("relay.prom");
    }
    cr_expect_eq(times, 3);
    t.totals.delivered = 4711;
    tick_after(SECOND);
    fd = openat(t.directory, "relay.prom", O_RDONLY | O_CLOEXEC);
    cr_assert_gt(read(fd, text, sizeof text - 1), 0);
    close(fd);
    cr_expect_not_null(strstr(text, "headroom_delivered_total{service=\"relay\"} 4711\n"));
}

/* status.public: behind the word, and nothing of a destination in it. */
Test(snapshot, a_summary_for_everybody)
{
    char text[STATUS_PUBLIC_SIZE + 64] = "";

    t.config.status_public = true;
    t.totals.delivered = 4711;
    tick_after(10 * SECOND);
    cr_expect_eq(pread(t.word, text, sizeof text - 1, 0), STATUS_PUBLIC_SIZE);
    cr_expect_not_null(strstr(text, "\ndelivered 4711\n"));
    cr_expect_null(strstr(text, "example"));
    cr_expect_null(strstr(text, "would_be"));
    /* In a dry run nothing is held back; what would be is told beside it. */
    t.config.dry_run = true;
    t.settings.stock = 4;
    t.decision.mode = LIMIT_SHED;
    tick_after(10 * SECOND);
    cr_expect_eq(pread(t.word, text, sizeof text - 1, 0), STATUS_PUBLIC_SIZE);
    cr_expect_eq(strncmp(text, "OPEN ", 5), 0);
    cr_expect_not_null(strstr(text, "\nwould_be SHED\n"));
}

/* What the policy service reads, and for how long it believes it. */
Test(snapshot, the_state_is_a_word_for_everybody)
{
    char line[64];
    ssize_t length;

    t.decision.mode = LIMIT_SHED;
    tick_after(10 * SECOND);
    length = pread(t.word, line, sizeof line, 0);
    cr_assert_gt(length, 0);
    cr_expect(status_word_sheds(line, (size_t)length, WALL + now));
    cr_expect(status_word_sheds(line, (size_t)length, WALL + now + 29 * SECOND));
    cr_expect_not(status_word_sheds(line, (size_t)length, WALL + now + 31 * SECOND));
    cr_expect_not(status_word_sheds(line, (size_t)length, WALL + now - 31 * SECOND));
    t.decision.mode = LIMIT_SHRINK;
    tick_after(10 * SECOND);
    length = pread(t.word, line, sizeof line, 0);
    cr_expect_not(status_word_sheds(line, (size_t)length, WALL + now));
    cr_expect_not(status_word_sheds("SHED", 4, WALL + now));
    cr_expect_eq(length, STATUS_WORD_SIZE_IN_FILE, "nothing else is public");
    cr_expect_not(status_word_sheds("SHED 999999999999999999999999999", 32, WALL + now));
}
