/*
 * supervisor/dispatcher/regulator.c as part of a running dispatcher: the kernel tells of pressure, and it looks at once, not when the
 * second is over. The kernel takes an event of a trigger back as soon as anybody has asked for it, an outer epoll(7) too: only a
 * real trigger shows whether it arrives. That of the CPU is as good as that of memory, and easier to make stall. See fake.h.
 */

#include <sys/inotify.h>

#include "cgroup/pressure.h"
#include "tests/unit/fake.h"

/* So many compete for the CPUs, however many there are. */
#define SPINNERS_EACH 2

/* Before the kernel looks the next time. */
#define BETWEEN_MS 500

/* A step that comes so soon after the one before was not the second's. */
#define SOON_MS 850

/* The kernel tells once in a window, and leaves one out when its own look was late before. */
#define ATTEMPTS 4

static void put(const struct fake *fake, const char *name, const char *text)
{
    int fd = open(fake_path(fake, name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* A /proc of our own: each step reads meminfo, which inotify(7) shows. */
static void proc_make(struct fake *fake, char *proc, size_t size)
{
    snprintf(fake->directory, sizeof fake->directory, "/tmp/headroom-test-XXXXXX");
    cr_assert_not_null(mkdtemp(fake->directory));
    snprintf(proc, size, "%s", fake->directory);
    fake->proc = proc;
    cr_assert_eq(mkdir(fake_path(fake, "self"), 0755), 0);
    put(fake, "self/mountinfo", "");
    put(fake, "self/cgroup", "");
    put(fake, "meminfo", "MemTotal: 8000000 kB\nMemAvailable: 6000000 kB\n");
    snprintf(fake->directory, sizeof fake->directory, "/tmp/headroom-test-XXXXXX");
}

/* Waits for the next step; the time. */
static int64_t step(int steps)
{
    char events[4096];

    cr_assert(readable(steps, WAIT_MS), "it takes no samples");
    cr_assert_gt(read(steps, events, sizeof events), 0);
    return fake_now_ms();
}

/* What it did so far. */
static void steps_forget(int steps)
{
    char events[4096];

    while (readable(steps, 0))
        cr_assert_gt(read(steps, events, sizeof events), 0);
}

/* Waits until the kernel tells. */
static void told(const struct pressure_trigger *trigger)
{
    struct pollfd wait = {.fd = trigger->descriptor, .events = POLLPRI};

    /* It is late where others take the processors. */
    cr_assert_eq(poll(&wait, 1, 6 * WAIT_MS), 1, "the kernel tells of no pressure");
}

static void spinners_start(pid_t *spinner, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if ((spinner[i] = fork()) == 0) {
            alarm(60);
            for (volatile unsigned turn = 0;; turn = turn + 1)
                ;
        }
}

static void spinners_end(const pid_t *spinner, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        kill(spinner[i], SIGKILL);
        waitpid(spinner[i], NULL, 0);
    }
}

Test(dispatcher_pressure, it_looks_when_the_kernel_tells)
{
    struct fake fake;
    struct pressure_trigger trigger, ours;
    pid_t spinner[2 * SPINNERS_EACH * 8] = {0};
    unsigned spinners = (unsigned)sysconf(_SC_NPROCESSORS_ONLN) * SPINNERS_EACH;
    char proc[sizeof fake.directory], path[64];
    int64_t soon = SOON_MS;
    int steps;

    if (pressure_arm(&trigger, AT_FDCWD, "/proc/pressure/cpu", PRESSURE_SOME, 1000,
                     PRESSURE_WINDOW_MIN) < 0 ||
        pressure_arm(&ours, AT_FDCWD, "/proc/pressure/cpu", PRESSURE_SOME, 1000,
                     PRESSURE_WINDOW_MIN) < 0)
        cr_skip_test("the kernel has no pressure triggers");
    if (spinners > sizeof spinner / sizeof *spinner)
        spinners = sizeof spinner / sizeof *spinner;
    fake_prepare(&fake);
    proc_make(&fake, proc, sizeof proc);
    fake.trigger = trigger.descriptor;
    snprintf(path, sizeof path, "%s/meminfo", proc);
    steps = inotify_init1(IN_CLOEXEC);
    cr_assert_geq(inotify_add_watch(steps, path, IN_ACCESS), 0);
    fake_start(&fake);
    close(trigger.descriptor);
    (void)fake_first_worker(&fake);
    /*
     * The kernel looks at triggers every two seconds when we may not have a shorter window, at times of its own, which a trigger of
     * ours tells: it is the same for all of them. Then the dispatcher is stopped, so that its next step of the second comes
     * late, between two of those times: what comes soon after that is the kernel's doing.
     */
    spinners_start(spinner, spinners);
    for (int attempt = 0; attempt < ATTEMPTS && soon >= SOON_MS; attempt++) {
        int64_t before;

        told(&ours);
        if (ours.window >= 1000000) {
            fake_pause(&fake);
            poll(NULL, 0, (int)(ours.window / 1000) - BETWEEN_MS);
        }
        steps_forget(steps);
        fake_resume(&fake); /* if it was stopped */
        before = step(steps);
        soon = step(steps) - before;
    }
    spinners_end(spinner, spinners);
    close(ours.descriptor);
    cr_assert_lt(soon, SOON_MS, "it looks once a second only");
    fake_end(&fake);
    snprintf(fake.directory, sizeof fake.directory, "%s", proc);
    fake_remove(&fake);
}
