#include "supervisor/dispatcher/dispatcher.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agents/master.h"
#include "cgroup/schedstat.h"
#include "supervisor/admission/learned.h"
#include "supervisor/base/clock.h"
#include "supervisor/config/config_bound.h"
#include "supervisor/dispatcher/dispatcher_confine.h"
#include "supervisor/dispatcher/dispatcher_modules.h"
#include "supervisor/dispatcher/router.h"
#include "supervisor/dispatcher/sockets.h"
#include "supervisor/limits.h"
#include "supervisor/parent/setup.h"
#include "supervisor/report/nexthop_lines.h"
#include "supervisor/report/snapshot.h"
#include "supervisor/report/state_lines.h"

#define TICK UINT64_C(1000000) /* us */
#define LEARNED_FILE "learned"
/* The last line waits so long for who writes the log. Milliseconds. */
#define LAST_LINE 200
#define LAST_LINE_RELOAD 2000

struct dispatcher {
    const struct dispatcher_settings *settings;
    struct journal *journal;
    struct complaints complaints;
    struct totals totals;
    struct loop loop;
    struct budget budget;
    struct sockets sockets;
    struct router router; /* and by it all modules on the way of a request */
    struct state_lines lines;
    struct nexthop_lines nexthop_lines;
    struct snapshot *snapshot;
    struct watch signals;
    struct watch master;
    struct dispatcher_confinement confinement;
    int signal_descriptor;
    bool ended;          /* by a signal */
    bool master_gone;    /* or a reload: the end of master's status channel */
    bool late;           /* the last tick came late, and gave nobody up */
    bool leaving;        /* what is to be said at the end is said */
    uint64_t tick;       /* when the next one is due */
    uint64_t remembered; /* when the learned was last written */
    int state_directory; /* descriptor; -1: it cannot be used, which was said */
    char place[512];     /* its name, for the log */
    int remember_error;  /* why the learned could not be kept; 0: it could */
};

/* --- set-up --------------------------------------------------------------------------------- */

/*
 * The state directory is not there, or could not be used at the start: made again. Its descriptor,
 * or a negative errno.
 */
static int directory_renew(void *context)
{
    struct dispatcher *dispatcher = context;
    const struct dispatcher_settings *settings = dispatcher->settings;
    int fd = setup_state_directory(settings->postconf->data_directory, settings->service,
                                   settings->owner);
    int result = fd;

    /* Another one is not what Landlock left open. */
    if (fd == -EACCES && dispatcher->state_directory >= 0)
        return -ENOENT;
    if (fd < 0)
        return fd;
    if (dispatcher->state_directory < 0) {
        dispatcher->state_directory = fd;
        snapshot_place(dispatcher->snapshot, fd);
        return fd;
    }
    /* Others know the number of the descriptor. */
    if (dup3(fd, dispatcher->state_directory, O_CLOEXEC) < 0)
        result = -errno;
    close(fd);
    return result < 0 ? result : dispatcher->state_directory;
}

/* A predecessor's worker still runs. */
static void on_left(void *context, int fd)
{
    struct dispatcher *dispatcher = context;

    strangers_add(&dispatcher->router.strangers, fd);
}

static void on_stepped(void *context, enum limit_mode before);

/* The owner is the flag that says so. */
static void on_end(void *owner, int fd, uint32_t events)
{
    (void)fd;
    (void)events;
    *(bool *)owner = true;
}

static int ends_watch(struct dispatcher *dispatcher)
{
    struct loop *loop = &dispatcher->loop;
    sigset_t signals;
    int result;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    dispatcher->signal_descriptor = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (dispatcher->signal_descriptor < 0)
        return -errno;
    result = watch_on(loop, &dispatcher->signals, dispatcher->signal_descriptor, EPOLLIN, on_end,
                      &dispatcher->ended);
    if (result < 0)
        return result;
    return watch_on(loop, &dispatcher->master, MASTER_STATUS_FD, EPOLLIN, on_end,
                    &dispatcher->master_gone);
}

static int prepare(struct dispatcher *dispatcher)
{
    const struct dispatcher_settings *settings = dispatcher->settings;
    const struct config *config = settings->config;
    struct router *router = &dispatcher->router;
    unsigned limit = 0;
    int result = dispatcher_confine_user(settings);

    /* The log has a thread; no_new_privs and Landlock are of a thread: they come first. */
    if (result == 0)
        dispatcher_confine_files(&dispatcher->confinement, settings);
    if (result == 0)
        result = journal_open(&dispatcher->journal, &settings->journal);
    dispatcher->complaints.journal = dispatcher->journal;
    if (result == 0)
        result = loop_create(&dispatcher->loop);
    if (result < 0)
        return result;
    snprintf(dispatcher->place, sizeof dispatcher->place, "%.400s/headroom.%.100s",
             settings->postconf->data_directory, settings->service);
    dispatcher->state_directory = settings->state_directory;
    budget_init(&dispatcher->budget, &dispatcher->complaints,
                config->waiting_max + config_workers(config) + DEFERRING_MAX,
                config_workers(config));
    *router = (struct router){
        .config = config,
        .postconf = settings->postconf,
        .loop = &dispatcher->loop,
        .journal = dispatcher->journal,
        .complaints = &dispatcher->complaints,
        .totals = &dispatcher->totals,
        .budget = &dispatcher->budget,
        .room = {.waiting_max = config->waiting_max,
                 .clients_max = dispatcher->budget.clients_max,
                 .active_max = (unsigned)settings->postconf->qmgr_message_active_limit,
                 .hop_max = (unsigned)postconf_concurrency(settings->postconf, settings->service),
                 .bytes_max = HELD_BYTES_MAX},
        .schedstat = schedstat_open(),
        .again = UINT64_MAX,
        .strangers = {.loop = &dispatcher->loop, .sink = router_on_stranger, .context = router},
        .stepped = on_stepped,
        .context = dispatcher,
    };
    router->together = router->room.hop_max > 0 && router->room.hop_max < config_workers(config);
    sockets_open(&dispatcher->sockets,
                 &(struct sockets_config){
                     .complaints = &dispatcher->complaints,
                     .owner = settings->owner,
                     .service = settings->service,
                     .queue_directory = settings->queue_directory,
                     .queue_name = settings->postconf->queue_directory,
                     .memory = "/dev/shm",
                     .state_name = dispatcher->place,
                     .left = on_left,
                     .renew = directory_renew,
                     .context = dispatcher,
                 },
                 dispatcher->state_directory);
    result = dispatcher_modules_create(router, settings, &dispatcher->sockets);
    /* None yet, or damaged and thrown away: it is learned again. */
    if (result == 0) {
        learned_load(dispatcher->state_directory, LEARNED_FILE, router->admission, &limit,
                     router_now(router), clock_wall());
        regulator_resume(router->regulator, limit);
    }
    if (result == 0)
        result = snapshot_create(&dispatcher->snapshot, dispatcher->state_directory,
                                 dispatcher->place, settings->word, &dispatcher->complaints);
    if (result == 0)
        result = ends_watch(dispatcher);
    if (result == 0)
        dispatcher_confine_calls(&dispatcher->confinement, settings, dispatcher->journal);
    return result;
}

/* --- the log ---------------------------------------------------------------------------------- */

static void say_start(const struct dispatcher *dispatcher)
{
    const struct dispatcher_settings *settings = dispatcher->settings;
    const struct config *config = settings->config;
    char dry[80] = "";

    if (config->dry_run)
        snprintf(dry, sizeof dry,
                 "; dry run: nothing is held back, at most %u workers as stock has",
                 config->workers_stock);
    journal_log(
        dispatcher->journal, EVENT_START, LOG_INFO,
        (struct journal_field[]){JOURNAL_TEXT("HEADROOM_VERSION", HEADROOM_VERSION)}, 1,
        "headroom %s starts: service %s, agent %s, workers %u to %u (%s), at most %u requests "
        "wait, configuration from %s%s%s",
        HEADROOM_VERSION, settings->service, config->agent, config->workers_min,
        config->workers_max, config_bound_text((enum config_bound)config->workers_bound),
        router_room(&dispatcher->router), settings->config_source, dry,
        dispatcher->confinement.text);
    journal_log(dispatcher->journal, EVENT_GROUP,
                group_settled(settings->group) ? LOG_WARNING : LOG_INFO, NULL, 0, "%s",
                group_note(settings->group));
    budget_say(&dispatcher->budget, config->waiting_max + config_workers(config),
               router_room(&dispatcher->router));
}

static void on_stepped(void *context, enum limit_mode before)
{
    struct dispatcher *dispatcher = context;
    struct report_view view;

    /* The successor speaks for the service. */
    if (dispatcher->leaving)
        return;
    view = dispatcher_view(&dispatcher->router, dispatcher->settings);
    if (view.decision->mode != before) {
        state_lines_changed(&dispatcher->lines, &view, before);
        snapshot_changed(dispatcher->snapshot, &view);
    }
    state_lines_tick(&dispatcher->lines, &view, dispatcher->journal);
}

/* --- it runs ---------------------------------------------------------------------------------- */

/* Keeps what was learned of destinations, for the next start. */
static void remember(struct dispatcher *dispatcher)
{
    int before = dispatcher->remember_error;
    int result;

    dispatcher->remembered = dispatcher->loop.now;
    if (dispatcher->state_directory < 0 && directory_renew(dispatcher) < 0)
        return;
    result = learned_save(dispatcher->state_directory, LEARNED_FILE, dispatcher->router.admission,
                          regulator_view(dispatcher->router.regulator).decision->limit,
                          router_now(&dispatcher->router), clock_wall());
    dispatcher->remember_error = result < 0 ? result : 0;
    if (result < 0 && result != before)
        complain(&dispatcher->complaints, COMPLAINT_LEARNED, dispatcher->loop.now, NULL, 0,
                 "what was learned of destinations cannot be kept in %s/" LEARNED_FILE
                 ": %s; after a restart it is learned again",
                 dispatcher->place, strerror(-result));
}

static void report(struct dispatcher *dispatcher, bool last)
{
    struct report_view view = dispatcher_view(&dispatcher->router, dispatcher->settings);

    view.logged = &dispatcher->lines.told_totals;
    nexthop_lines_tick(&dispatcher->nexthop_lines, &view, &dispatcher->complaints);
    complaints_flush(&dispatcher->complaints, dispatcher->loop.now, last);
    snapshot_tick(dispatcher->snapshot, &view, last);
    if (last)
        state_lines_end(&dispatcher->lines, &view, dispatcher->journal);
}

/* Once a second. After a long stop of the machine: one tick, not all that were missed. */
static void tick(struct dispatcher *dispatcher)
{
    struct router *router = &dispatcher->router;
    bool late = dispatcher->loop.now - dispatcher->tick >= TICK;

    dispatcher->tick = dispatcher->loop.now + TICK;
    router_tick(router);
    clients_tick(router->clients);
    /* After a stop, answers that have come meanwhile are read before anybody is given up. */
    dispatcher->late = late && !dispatcher->late;
    if (!dispatcher->late) {
        fleet_tick(router->fleet);
        retry_tick(router->retry);
    }
    if (dispatcher->leaving)
        return;
    if (dispatcher->loop.now - dispatcher->remembered >= REMEMBER_EVERY)
        remember(dispatcher);
    report(dispatcher, false);
}

/*
 * The parent goes at once, and the lock with it, so that a successor can begin. Without the death
 * signal this process stays for the clients that wait for an answer.
 */
static void leave(struct dispatcher *dispatcher)
{
    dispatcher->leaving = true;
    remember(dispatcher);
    report(dispatcher, true);
    prctl(PR_SET_PDEATHSIG, 0);
    watch_forget(&dispatcher->loop, &dispatcher->master);
    close(MASTER_STATUS_FD);
    router_leave(&dispatcher->router);
}

/* Whether nothing is left to do. */
static bool over(struct dispatcher *dispatcher)
{
    struct router *router = &dispatcher->router;

    if (dispatcher->ended || (router->closed && router->status != EXIT_SUCCESS))
        return true;
    if (!dispatcher->master_gone && !router->closed)
        return false;
    if (clients_view(router->clients).connected == 0)
        return true;
    if (!dispatcher->leaving)
        leave(dispatcher);
    return false;
}

/* Returns the exit status. */
static int run(struct dispatcher *dispatcher)
{
    struct router *router = &dispatcher->router;
    uint64_t due;

    regulator_step(router->regulator);
    report(dispatcher, false);
    dispatcher->tick = dispatcher->loop.now + TICK;
    while (!over(dispatcher)) {
        if (dispatcher->loop.now >= dispatcher->tick)
            tick(dispatcher);
        due = router_turn(router);
        loop_turn(&dispatcher->loop, due < dispatcher->tick ? due : dispatcher->tick);
    }
    return router->closed ? router->status : EXIT_SUCCESS;
}

int dispatcher_run(const struct dispatcher_settings *settings)
{
    struct dispatcher *dispatcher = calloc(1, sizeof *dispatcher);
    int result;

    if (!dispatcher)
        return EXIT_FAILURE;
    dispatcher->settings = settings;
    dispatcher->loop.epoll = -1;
    dispatcher->signal_descriptor = -1;
    result = prepare(dispatcher);
    if (result == 0) {
        say_start(dispatcher);
        result = run(dispatcher);
        if (!dispatcher->leaving) {
            remember(dispatcher);
            report(dispatcher, true);
        }
    } else {
        journal_log(dispatcher->journal, EVENT_SETUP, LOG_CRIT, NULL, 0,
                    "the dispatcher cannot start: %s", strerror(-result));
        result = EXIT_FAILURE;
    }
    /* A successor finds busy workers by their sockets. */
    if (!dispatcher->leaving && dispatcher->ended) {
        router_end_waiting(&dispatcher->router);
        sockets_end(&dispatcher->sockets);
    }
    if (!dispatcher->leaving)
        sockets_close(&dispatcher->sockets);
    snapshot_destroy(dispatcher->snapshot);
    dispatcher_modules_destroy(&dispatcher->router);
    loop_destroy(&dispatcher->loop);
    if (dispatcher->signal_descriptor >= 0)
        close(dispatcher->signal_descriptor);
    /* A reload ends postlogd(8), too: the parent goes now, and the last line waits for the next. */
    if (dispatcher->master_gone && !dispatcher->leaving) {
        prctl(PR_SET_PDEATHSIG, 0);
        close(settings->channel);
    }
    journal_close(dispatcher->journal,
                  dispatcher->master_gone && !dispatcher->ended ? LAST_LINE_RELOAD : LAST_LINE);
    free(dispatcher);
    return result;
}
