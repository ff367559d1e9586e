/* supervisor/dispatcher/regulator.c beside a recorded tree of groups that the test changes. */

#include "supervisor/dispatcher/regulator.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>

#include "supervisor/journal/journal.h"
#include "tests/lib/limit_defaults.h"
#include "tests/unit/jump.h"
#include "tests/unit/tree.h"

#define MB (UINT64_C(1) << 20)
#define POOL "sys/memory/mail/postfix/headroom-lmtp/"
#define MACHINE "proc/meminfo"

/* --- the log -------------------------------------------------------------------------------------- */

static struct {
    unsigned group; /* lines about the group */
    unsigned broken;
} logged;

void journal_log(struct journal *journal, enum journal_event event, int priority,
                 const struct journal_field *fields, size_t count, const char *format, ...)
{
    (void)journal;
    (void)priority;
    (void)fields;
    (void)count;
    (void)format;
    logged.group += event == EVENT_GROUP;
    logged.broken += event == EVENT_EXIT;
}

uint64_t journal_close(struct journal *journal, int milliseconds)
{
    (void)journal;
    (void)milliseconds;
    return 0;
}

/* --- the test's ends ------------------------------------------------------------------------------ */

static struct {
    struct tree tree;
    struct loop loop;
    struct pool_group *group;
    struct memory_source memory;
    struct regulator_config config;
    struct regulator *regulator;
    struct limit_demand demand;
    uint64_t jump_in_demand; /* how far the clock moves while a step is taken */
    uint64_t jump_in_sink;
    unsigned steps;
    enum limit_mode before[64];
    int kernel[REGULATOR_TRIGGERS]; /* the kernel's end of a trigger */
} t;

static struct limit_demand demand(const void *context)
{
    cr_expect_eq(context, &t);
    jumped += t.jump_in_demand;
    return t.demand;
}

static void on_step(void *context, enum limit_mode before)
{
    cr_expect_eq(context, &t);
    t.before[t.steps++ % 64] = before;
    jumped += t.jump_in_sink;
}

static void number_write(const char *name, uint64_t value)
{
    char path[256], text[32];

    snprintf(path, sizeof path, POOL "%s", name);
    snprintf(text, sizeof text, "%lu\n", (unsigned long)value);
    tree_write(&t.tree, path, text);
}

static void kills_write(unsigned kills)
{
    char text[128];

    snprintf(text, sizeof text, "oom_kill_disable 0\nunder_oom 0\noom_kill %u\n", kills);
    tree_write(&t.tree, POOL "memory.oom_control", text);
}

static void usage_write(uint64_t bytes)
{
    char text[128];

    number_write("memory.usage_in_bytes", bytes);
    snprintf(text, sizeof text, "total_inactive_file 0\ntotal_rss %lu\n", (unsigned long)bytes);
    tree_write(&t.tree, POOL "memory.stat", text);
}

static void processes_write(unsigned count)
{
    char text[256];
    size_t at = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < count; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%u\n", 100000 + i);
    tree_write(&t.tree, POOL "cgroup.procs", text);
}

/* The pool's group, with 400 MB for it. */
static void group_write(unsigned kills)
{
    number_write("memory.limit_in_bytes", 400 * MB);
    number_write("memory.failcnt", 0);
    usage_write(10 * MB);
    kills_write(kills);
    processes_write(0);
}

static void create(void)
{
    cr_assert_eq(regulator_create(&t.regulator, &t.config), 0);
}

/* On a quiet machine with all it needs; `kills` have been before. */
static void setup_with(unsigned kills)
{
    struct group_config config;

    tree_copy(&t.tree, "hybrid");
    tree_write(&t.tree, "sys/memory/mail/postfix/memory.limit_in_bytes", "8589934592\n");
    tree_write(&t.tree, "sys/memory/mail/memory.limit_in_bytes", "8589934592\n");
    group_write(kills);
    config = tree_config(&t.tree);
    cr_assert_eq(group_open(&t.group, &config), 0);
    group_write(kills); /* limits are set by the one who opens it */
    cr_assert_eq(memory_source_open(&t.memory, t.group), 0);
    cr_assert_eq(loop_create(&t.loop), 0);
    t.config = (struct regulator_config){
        .loop = &t.loop,
        .settings = {.min = 2,
                     .max = 100,
                     .min_available = LIMIT_AUTO,
                     .hold = LIMIT_DEFAULT_HOLD,
                     .target = LIMIT_DEFAULT_TARGET,
                     .full = LIMIT_DEFAULT_FULL,
                     .shed_after = LIMIT_DEFAULT_SHED_AFTER},
        .group = t.group,
        .memory = &t.memory,
        .trigger = {-1, -1},
        .demand = demand,
        .sink = on_step,
        .context = &t,
    };
}

static void setup(void)
{
    setup_with(0);
    create();
}

static void setup_without(void)
{
    setup_with(2);
}

static void teardown(void)
{
    regulator_destroy(t.regulator);
    memory_source_close(&t.memory);
    group_close(t.group);
    loop_destroy(&t.loop);
    tree_drop(&t.tree);
}

TestSuite(regulator, .init = setup, .fini = teardown);
TestSuite(regulator_new, .init = setup_without, .fini = teardown);

static struct regulator_view view(void)
{
    return regulator_view(t.regulator);
}

/* As the router and the dispatcher do. */
static void turn(void)
{
    if (t.loop.now >= regulator_due(t.regulator))
        regulator_step(t.regulator);
    loop_turn(&t.loop, t.loop.now);
}

static void later(uint64_t time)
{
    jumped += time;
    loop_turn(&t.loop, t.loop.now);
}

/* The group is full: nothing is left for one more. */
static void memory_ends(void)
{
    usage_write(399 * MB);
    t.demand = (struct limit_demand){.live = 40, .busy = 40, .waiting = 10};
}

/* --- steps ---------------------------------------------------------------------------------------- */

Test(regulator, the_first_step_is_due_at_once)
{
    struct regulator_view first = view();

    cr_expect_leq(regulator_due(t.regulator), t.loop.now);
    cr_expect_eq(first.stepped, 0);
    cr_expect_eq(first.settings->max, 100);
    regulator_step(t.regulator);
    cr_assert_eq(t.steps, 1);
    cr_expect_eq(t.before[0], LIMIT_OPEN);
    cr_expect_eq(view().stepped, t.loop.now);
    cr_expect_eq(view().decision->mode, LIMIT_OPEN);
    cr_expect_geq(view().decision->limit, 2);
    cr_expect_eq(view().sample->group[0].limit, 400 * MB);
    cr_expect_eq(regulator_due(t.regulator), t.loop.now + SECOND);
}

/* A second apart; a quarter of one while the state is not OPEN, and the mode before is told. */
Test(regulator, when_the_next_step_is)
{
    uint64_t entered;

    regulator_step(t.regulator);
    later(SECOND);
    memory_ends();
    regulator_step(t.regulator);
    cr_assert_eq(view().decision->mode, LIMIT_HOLD);
    cr_expect_eq(t.before[1], LIMIT_OPEN);
    entered = t.loop.now;
    cr_expect_eq(view().changed, entered);
    cr_expect_eq(regulator_due(t.regulator), t.loop.now + SECOND / 4);
    later(SECOND / 4);
    regulator_step(t.regulator);
    cr_expect_eq(t.before[2], LIMIT_HOLD);
    cr_expect_eq(view().changed, entered, "it has not changed since");
    cr_expect_eq(view().decision->start, 0);
}

/* The process is away in the middle of a step, or behind it: the next step is due once, by the clock of now. */
static void steps_after_a_jump(uint64_t *where)
{
    for (unsigned i = 0; i < JUMPS; i++) {
        unsigned before = t.steps;
        uint64_t begin;

        later(2 * SECOND);
        *where = jumps[i];
        turn();
        *where = 0;
        cr_assert_eq(t.steps, before + 1);
        begin = real_now();
        while (real_now() - begin < SECOND / 20)
            turn();
        cr_expect_leq(t.steps, before + 2, "%u steps after %lu us", t.steps - before,
                      (unsigned long)jumps[i]);
        cr_expect_gt(regulator_due(t.regulator), t.loop.now);
        cr_expect_leq(regulator_due(t.regulator), t.loop.now + SECOND);
    }
}

Test(regulator, a_clock_that_jumps_in_a_step)
{
    steps_after_a_jump(&t.jump_in_demand);
}

Test(regulator, a_clock_that_jumps_in_the_sink)
{
    steps_after_a_jump(&t.jump_in_sink);
}

/* What is taken is gone until the next step, and comes back when a worker ends by itself. */
Test(regulator, what_may_be_started)
{
    unsigned start, taken = 0;

    t.demand = (struct limit_demand){.live = 2, .busy = 2, .waiting = 50};
    regulator_step(t.regulator);
    start = view().decision->start;
    cr_assert_gt(start, 0);
    cr_expect_eq(view().state->budget, start);
    while (regulator_take(t.regulator, 1) == 1)
        taken++;
    cr_expect_eq(taken, start);
    cr_expect_eq(regulator_take(t.regulator, 5), 0);
    regulator_ended(t.regulator, 1);
    cr_expect_eq(regulator_take(t.regulator, 5), 1);
}

Test(regulator, starts_that_failed_are_counted_until_the_next_step)
{
    regulator_step(t.regulator);
    regulator_failed(t.regulator);
    regulator_failed(t.regulator);
    cr_expect_eq(view().failed, 2);
    later(SECOND);
    regulator_step(t.regulator);
    cr_expect_eq(view().failed, 0);
}

/* More than may exist: the parent would act on it as root. */
Test(regulator_new, a_decision_that_breaks_a_promise_aborts, .signal = SIGABRT)
{
    t.config.settings.max = 0;
    create();
    regulator_step(t.regulator);
}

/* --- pressure ------------------------------------------------------------------------------------- */

/* A descriptor that can have EPOLLPRI, as a trigger of the kernel has: out-of-band data of TCP. */
static void trigger_open(unsigned n)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_eq(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(listening, 1), 0);
    cr_assert_eq(getsockname(listening, (struct sockaddr *)&address, &length), 0);
    t.kernel[n] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(t.kernel[n], (struct sockaddr *)&address, sizeof address), 0);
    t.config.trigger[n] = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    cr_assert_geq(t.config.trigger[n], 0);
    close(listening);
}

/* The kernel tells of pressure; as with a trigger, the event is there once. */
static void pressure(unsigned n)
{
    struct pollfd told = {.fd = t.config.trigger[n], .events = POLLPRI};
    char byte;

    cr_assert_eq(send(t.kernel[n], "!", 1, MSG_OOB), 1);
    cr_assert_eq(poll(&told, 1, 5000), 1);
    loop_turn(&t.loop, t.loop.now);
    cr_assert_eq(recv(t.config.trigger[n], &byte, 1, MSG_OOB), 1);
}

Test(regulator_new, on_pressure_it_looks_at_once)
{
    trigger_open(0);
    trigger_open(1);
    create();
    regulator_step(t.regulator);
    for (unsigned i = 0; i < 4; i++) {
        later(SECOND / 5);
        pressure(i % 2);
        cr_expect_eq(t.steps, 2 + i);
        cr_expect_gt(regulator_due(t.regulator), t.loop.now);
    }
    /* Not more often than ten times a second. */
    pressure(0);
    pressure(1);
    cr_expect_eq(t.steps, 5);
    /* And not because of other things. */
    later(SECOND / 5);
    cr_assert_eq(send(t.kernel[0], "x", 1, 0), 1);
    later(SECOND / 5);
    cr_expect_eq(t.steps, 5);
}

/* The group of a trigger was removed: it tells EPOLLERR for ever. The other one still counts. */
Test(regulator_new, a_trigger_that_ends)
{
    int ends[2];
    uint64_t begin;
    unsigned turns = 0;

    cr_assert_eq(pipe(ends), 0);
    close(ends[0]);
    t.config.trigger[0] = ends[1];
    trigger_open(1);
    create();
    regulator_step(t.regulator);
    later(SECOND / 5);
    begin = real_now();
    while (real_now() - begin < SECOND / 50) {
        loop_turn(&t.loop, t.loop.now + 5000);
        turns++;
    }
    cr_expect_leq(turns, 6, "it spins");
    cr_expect_eq(t.steps, 1);
    later(SECOND / 5);
    pressure(1);
    cr_expect_eq(t.steps, 2);
}

/* /dev/null is mounted over the file: there are steps all the same. */
Test(regulator_new, a_trigger_that_cannot_be_watched)
{
    t.config.trigger[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    create();
    regulator_step(t.regulator);
    cr_expect_eq(t.steps, 1);
}

/* --- kills ---------------------------------------------------------------------------------------- */

/* Each answers once; what was before is not of ours. */
Test(regulator_new, each_kill_answers_once)
{
    char figures[128] = "";

    create();
    regulator_step(t.regulator);
    cr_expect_not(regulator_oom_killed(t.regulator, figures, sizeof figures), "two were before");
    kills_write(4);
    usage_write(399 * MB);
    cr_expect(regulator_oom_killed(t.regulator, figures, sizeof figures));
    cr_expect(strstr(figures, "400M"), "%s", figures);
    cr_expect(regulator_oom_killed(t.regulator, figures, sizeof figures));
    cr_expect_not(regulator_oom_killed(t.regulator, figures, sizeof figures));
    later(SECOND);
    regulator_step(t.regulator);
    cr_expect_not(regulator_oom_killed(t.regulator, figures, sizeof figures));
    tree_write(&t.tree, POOL "memory.oom_control", "");
    cr_expect_not(regulator_oom_killed(t.regulator, figures, sizeof figures), "unknown");
}

/* --- the group is removed ------------------------------------------------------------------------- */

/* Files of a group that was removed read as nothing. */
static void group_vanish(void)
{
    static const char *const files[] = {"memory.usage_in_bytes", "memory.stat",
                                        "memory.limit_in_bytes", "memory.oom_control",
                                        "memory.failcnt"};
    char path[256];

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, POOL "%s", files[i]);
        tree_write(&t.tree, path, "");
        tree_remove(&t.tree, path);
    }
    tree_remove(&t.tree, POOL "cgroup.procs");
}

Test(regulator, the_group_is_removed)
{
    char figures[128];

    t.demand = (struct limit_demand){.live = 2, .idle = 2};
    regulator_step(t.regulator);
    cr_expect(view().sample->group[0].known);
    group_vanish();
    for (unsigned i = 0; i < 3; i++) {
        later(SECOND);
        regulator_step(t.regulator);
        cr_expect_not(view().sample->group[0].known);
        cr_expect_eq(logged.group, 1, "once");
    }
    /* It is made again, with kills of its own: they are not of a worker that died since. */
    group_write(3);
    later(SECOND);
    regulator_step(t.regulator);
    cr_expect(view().sample->group[0].known, "it is found in the same step");
    cr_expect_eq(view().sample->group[0].usage, 10 * MB);
    cr_expect_not(regulator_oom_killed(t.regulator, figures, sizeof figures));
    kills_write(4);
    cr_expect(regulator_oom_killed(t.regulator, figures, sizeof figures));
    cr_expect_eq(logged.group, 1);
    later(SECOND);
    regulator_step(t.regulator);
    /* The next time is said again. */
    group_vanish();
    later(SECOND);
    regulator_step(t.regulator);
    cr_expect_eq(logged.group, 2);
}
