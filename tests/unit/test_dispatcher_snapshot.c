/* The snapshot of a running dispatcher: it shows itself in a file, and a file that cannot be written stops nothing. */

#include "tests/unit/fake_round.h"

#include "supervisor/admission/learned.h"
#include "supervisor/base/file.h"
#include "supervisor/report/metrics.h"
#include "supervisor/report/status.h"

TestSuite(dispatcher_snapshot, .timeout = 60);

static size_t read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, text, size - 1);

    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
    return length > 0 ? (size_t)length : 0;
}

/* The snapshot, as it is now. False while there is none. What is there must always be whole. */
static bool snapshot_read(struct fake *fake, struct status *status)
{
    static char text[STATUS_TEXT_MAX];
    size_t length = read_file(fake_path(fake, "state/" STATUS_FILE), text, sizeof text);

    if (length == 0)
        return false;
    cr_assert_eq(status_read(text, length, status), 0, "%s", text);
    return true;
}

static void wait_for_busy(struct fake *fake, struct status *status, uint64_t busy)
{
    int64_t deadline = fake_now_ms() + WAIT_MS;

    while (!snapshot_read(fake, status) || status->workers.busy != busy) {
        cr_assert(fake_now_ms() < deadline, "%llu workers are never busy",
                  (unsigned long long)busy);
        poll(NULL, 0, 20);
    }
}

Test(dispatcher_snapshot, shows_what_happens)
{
    static struct status status;
    struct fake fake;
    struct stat found;
    unsigned number;
    int qmgr, worker;

    number = fake_begin(&fake, 4);
    qmgr = fake_ask(&fake, "AAAA1");
    worker = fake_serve_request(&fake, number, "AAAA1");
    wait_for_busy(&fake, &status, 1);
    cr_expect_str_eq(status.service, "test");
    cr_expect_eq(status.pid, (uint64_t)fake.dispatcher);
    cr_expect_eq(status.parent, (uint64_t)getpid());
    cr_expect_eq(status.settings.workers_max, 4);
    cr_expect_eq(status.totals.requests, 1);
    cr_expect_eq(status.totals.delivered, 0);
    cr_expect(status.faults.greeting_known);
    cr_assert_eq(status.destinations, 1);
    cr_expect_eq(status.destination[0].in_flight, 1);
    fake_say(worker, WIRE_REPLY_DONE);
    fake_expect(qmgr, WIRE_REPLY_DONE);
    cr_assert_eq(stat(fake_path(&fake, "state/" STATUS_FILE), &found), 0);
    cr_expect_eq(found.st_mode & 07777, 0600);
    /* The last one is written in the end, whenever the one before was. */
    close(fake.master);
    fake_status(&fake);
    cr_assert(snapshot_read(&fake, &status));
    cr_expect_eq(status.totals.delivered, 1);
    cr_expect_neq(access(fake_path(&fake, "state/" STATUS_FILE ".new"), F_OK), 0);
    fake_remove(&fake);
}

/* Something lies where it is written, or beside it: it is said, and mail goes on. */
Test(dispatcher_snapshot, is_not_needed)
{
    struct fake fake;
    unsigned number = fake_begin(&fake, 4);
    int qmgr, worker;

    while (mkdir(fake_path(&fake, "state/" STATUS_FILE), 0755) < 0)
        unlink(fake_path(&fake, "state/" STATUS_FILE));
    qmgr = fake_ask(&fake, "AAAA1");
    worker = fake_serve(&fake, number);
    fake_expect_line(&fake, STATUS_FILE " cannot be written: Is a directory");
    fake_expect_request(worker, "AAAA1");
    fake_say(worker, WIRE_REPLY_DONE);
    fake_expect(qmgr, WIRE_REPLY_DONE);
    fake_end(&fake);
}

Test(dispatcher_snapshot, metrics_are_written_where_they_are_wanted)
{
    static char text[METRICS_TEXT_MAX];
    struct fake fake;
    struct stat found;
    int64_t deadline = fake_now_ms() + WAIT_MS;

    fake_prepare(&fake);
    /* Relative to the state directory, where the dispatcher works; a configured path begins with /. */
    status_text(fake.config.metrics_textfile, sizeof fake.config.metrics_textfile, "%s.prom");
    fake_start(&fake);
    while (read_file(fake_path(&fake, "state/test.prom"), text, sizeof text) == 0) {
        cr_assert(fake_now_ms() < deadline);
        poll(NULL, 0, 20);
    }
    cr_expect_not_null(strstr(text, "headroom_workers_max{service=\"test\"} 4\n"));
    cr_expect_str_eq(text + strlen(text) - 6, "# EOF\n");
    cr_assert_eq(stat(fake_path(&fake, "state/test.prom"), &found), 0);
    cr_expect_eq(found.st_mode & 07777, 0644);
    fake_end(&fake);
}

/* Five of eight refusals have a line; the rest is counted in the end. */
Test(dispatcher_snapshot, what_was_not_said_is_said_in_the_end)
{
    struct fake fake;

    fake_begin(&fake, 4);
    for (int i = 0; i < 8; i++) {
        int qmgr = fake_greeted(&fake);

        fake_say(qmgr, "W");
        shutdown(qmgr, SHUT_WR);
        fake_expect(qmgr, WIRE_REPLY_DEFERRED);
        fake_expect_end(qmgr);
    }
    close(fake.master);
    fake_status(&fake);
    fake_expect_line(&fake, " 3 more delivery requests were refused");
    fake_remove(&fake);
}

/* --- what is kept for the next start ------------------------------------------------------------------ */

/* The dispatcher ends and has kept its limit, which is returned. */
static unsigned limit_kept(struct fake *fake, struct admission *admission, int state)
{
    unsigned limit;

    close(fake->master);
    cr_assert_eq(fake_status(fake), 0);
    cr_assert_geq(learned_load(state, "learned", admission, &limit, 0,
                               time(NULL) * INT64_C(1000000) + 1000000),
                  0);
    return limit;
}

/* After a reload L is what a predecessor ran at, not what it is after a first start. 120 workers need 240 MB. */
Test(dispatcher_snapshot, the_limit_survives_a_restart)
{
    const struct passwd *nobody = getpwnam("nobody");
    struct admission_settings settings;
    struct admission *admission;
    struct fake fake;
    unsigned number;
    int state;

    admission_defaults(&settings);
    admission = admission_create(&settings, 1, 1);
    cr_assert_not_null(admission);
    number = fake_begin(&fake, 150);
    state = open(fake_path(&fake, "state"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_expect_eq(limit_kept(&fake, admission, state), 100);
    cr_assert_eq(learned_save(state, "learned", admission, 120, 0, time(NULL) * INT64_C(1000000)),
                 0);
    if (geteuid() == 0)
        cr_assert_eq(fchownat(state, "learned", nobody->pw_uid, nobody->pw_gid, 0), 0);
    fake_closed(&fake, number);
    close(fake.channel);
    cr_assert_eq(unlink(fake.service.sun_path), 0);
    fake_launch(&fake);
    fake_first_worker(&fake);
    cr_expect_eq(limit_kept(&fake, admission, state), 120);
    close(state);
    admission_destroy(admission);
    fake_remove(&fake);
}
