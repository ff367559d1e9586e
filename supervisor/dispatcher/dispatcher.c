#include "supervisor/dispatcher/dispatcher.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "agents/worker.h"
#include "cgroup/schedstat.h"
#include "supervisor/dispatcher/dispatch.h"
#include "supervisor/parent/channel.h"

#define TICK UINT64_C(1000000) /* us */

/* A dispatcher that hangs is ended by SIGALRM, as Postfix's own daemons are by their watchdog; the
 * parent ends with it, and master starts a fresh pair. A machine that thrashes is slow for less than
 * this. s */
#define WATCHDOG 300

/* Turns of sd-event's sources in one turn of the loop: no source of its that is always due keeps all others waiting. */
#define TURNS_AT_ONCE 16

uint64_t dispatcher_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

_Noreturn void dispatcher_broken(struct dispatcher *dispatcher, const char *what, int state,
                                 int event)
{
    journal_log(dispatcher->journal, EVENT_EXIT, LOG_CRIT, NULL, 0,
                "broken promise: %s in state %d met event %d; starting again. Please report this",
                what, state, event);
    journal_close(dispatcher->journal, 200);
    abort();
}

void dispatcher_descriptors_short(struct dispatcher *dispatcher, int error)
{
    uint64_t unsaid;

    dispatcher->descriptors_short = true;
    clients_listen(dispatcher);
    if (!journal_limit_happened(&dispatcher->descriptor_lines, dispatcher->now, &unsaid))
        return;
    journal_log(dispatcher->journal, EVENT_DESCRIPTORS, LOG_WARNING,
                (struct journal_field[]){JOURNAL_NUMBER("HEADROOM_UNSAID", (int64_t)unsaid)}, 1,
                "%s: nothing more is accepted for now; raise the limit of open files "
                "(LimitNOFILE= of Postfix's unit), or lower workers.max or waiting.max",
                strerror(error));
}

/* A worker must exist before anything is accepted: its greeting is ours. */
static unsigned workers_wanted(struct dispatcher *dispatcher)
{
    const struct pool *pool = &dispatcher->pool;
    unsigned wanted = parts_runnable(dispatcher);
    unsigned soon = pool->count[WORKER_STARTING];

    if (dispatcher->greeting_length == 0 && wanted == 0)
        wanted = 1;
    return wanted > soon ? wanted - soon : 0;
}

/* Does what waits gain from one more worker? Asked again soon, if not: perhaps none comes back. */
static bool growth_is_due(struct dispatcher *dispatcher, unsigned wanted)
{
    const struct pool *pool = &dispatcher->pool;
    uint64_t now = dispatcher->now, runnable;

    /* None is there that could come back. A machine on which each turn of the loop is late would be judged anew each time. */
    if (pool_live(pool) == pool->count[WORKER_LEAVING])
        return true;
    if (dispatcher->schedstat >= 0 && growth_wants_sample(&dispatcher->growth, now) &&
        schedstat_runnable(dispatcher->schedstat, &runnable) == 0)
        growth_sample(&dispatcher->growth, runnable, now);
    if (growth_helps(&dispatcher->growth, wanted, now))
        return true;
    dispatcher_wake_at(dispatcher, (int64_t)now + GROWTH_AGAIN);
    return false;
}

/* Brings waiting parts and workers together. */
static void pump(struct dispatcher *dispatcher)
{
    struct pool *pool = &dispatcher->pool;
    struct part *part;
    unsigned wanted;
    int number;

    if (parts_room_full(dispatcher))
        parts_defer(dispatcher);
    while ((number = pool_idle(pool)) != POOL_NONE && (part = parts_next(dispatcher)))
        if (!part_connect(part, &dispatcher->worker[number]) && dispatcher->descriptors_short)
            break;
    while (workers_may_start(dispatcher) && (wanted = workers_wanted(dispatcher)) > 0 &&
           growth_is_due(dispatcher, wanted) && regulator_take(dispatcher, 1) == 1)
        if (!workers_start(dispatcher))
            break;
    parts_wake(dispatcher);
    deferrals_pump(dispatcher);
    clients_listen(dispatcher);
}

void dispatcher_wake_at(struct dispatcher *dispatcher, int64_t when)
{
    if (when == ADMISSION_NEVER ||
        (dispatcher->wakeup_at != 0 && dispatcher->wakeup_at <= (uint64_t)when))
        return;
    dispatcher->wakeup_at = (uint64_t)when;
}

static int on_channel(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct dispatcher *dispatcher = userdata;
    struct channel_message news;
    int fds[CHANNEL_DESCRIPTORS];
    int result;

    (void)source;
    (void)events;
    while ((result = channel_receive(fd, &news, fds)) == 1) {
        enum worker_state state = WORKER_FREE;

        if (news.worker < dispatcher->pool.size)
            state = dispatcher->pool.worker[news.worker].state;
        if (state == WORKER_FREE || news.kind == CHANNEL_SPAWN)
            dispatcher_broken(dispatcher, "parent", (int)state, (int)news.kind);
        if (news.kind == CHANNEL_STARTED) {
            workers_started(dispatcher, news.worker, news.pid);
            /* Before more are started: the limit must see the new group. */
            if (news.status != 0)
                regulator_step(dispatcher);
        } else if (news.kind == CHANNEL_FAILED)
            workers_start_failed(dispatcher, news.worker, news.status);
        else
            workers_exited(dispatcher, news.worker, news.status);
    }
    if (result < 0)
        return sd_event_exit(dispatcher->event, result == -EPIPE ? 0 : 1);
    return 0;
}

/* master has closed its end: a reload, or it has gone. Nothing is drained; workers finish. */
static int on_master(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct dispatcher *dispatcher = userdata;

    (void)source;
    (void)fd;
    (void)events;
    return sd_event_exit(dispatcher->event, 0);
}

static int on_tick(sd_event_source *source, uint64_t when, void *userdata)
{
    struct dispatcher *dispatcher = userdata;
    uint64_t now = dispatcher->now;

    dispatcher->descriptors_short = false;
    clients_expire(dispatcher, now);
    workers_expire(dispatcher, now);
    deferrals_expire(dispatcher, now);
    parts_defer(dispatcher);
    if (now - dispatcher->remembered >= REMEMBER_EVERY) {
        dispatcher->remembered = now;
        parts_remember(dispatcher);
    }
    remainders_say(dispatcher, false);
    snapshot_tick(dispatcher, false);
    /* Not behind itself after a long stop of the machine: one tick, not all that were missed. */
    sd_event_source_set_time(source, (when + TICK > now ? when : now) + TICK);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static bool running(const struct dispatcher *dispatcher)
{
    return sd_event_get_state(dispatcher->event) != SD_EVENT_FINISHED;
}

/* Sources that are still due after that many turns are not armed: the next turn of the loop does not wait, and arms them. */
void dispatcher_arm(struct dispatcher *dispatcher)
{
    dispatcher->unarmed = false;
    for (unsigned i = 0; i < TURNS_AT_ONCE && running(dispatcher); i++) {
        if (sd_event_run(dispatcher->event, 0) <= 0)
            return;
        dispatcher->now = dispatcher_clock();
    }
    dispatcher->unarmed = true;
}

/*
 * Something of sd-event's is ready. Its sources are changed by their own handlers, or dispatcher_arm() is called: so what is
 * armed in the end is what has to be.
 */
static void on_event(void *owner, int fd, uint32_t events)
{
    (void)fd;
    (void)events;
    dispatcher_arm(owner);
}

/* How long there is nothing to do when nothing is ready, in ms; -1: sd-event wakes us for the tick. */
static int until_wakeup(const struct dispatcher *dispatcher)
{
    uint64_t left;

    if (dispatcher->unarmed)
        return 0;
    if (dispatcher->wakeup_at == 0)
        return -1;
    left = dispatcher->wakeup_at > dispatcher->now ? dispatcher->wakeup_at - dispatcher->now : 0;
    return left < TICK ? (int)((left + 999) / 1000) : -1;
}

/* The event loop: all that is ready, and then what comes of it, once. Returns the exit status. */
static int loop(struct dispatcher *dispatcher)
{
    int status = EXIT_FAILURE;

    dispatcher_arm(dispatcher);
    while (running(dispatcher)) {
        /* Fed here only: a handler that does not come back, and a loop within one, end the process. */
        alarm(WATCHDOG);
        watcher_wait(&dispatcher->watcher, until_wakeup(dispatcher));
        dispatcher->now = dispatcher_clock();
        watcher_dispatch(&dispatcher->watcher);
        if (dispatcher->unarmed)
            dispatcher_arm(dispatcher);
        if (!running(dispatcher))
            break;
        /* What waits may be due now: a pace, a token, a deferral. */
        if (dispatcher->wakeup_at != 0 && dispatcher->wakeup_at <= dispatcher->now) {
            dispatcher->wakeup_at = 0;
            parts_defer(dispatcher);
        }
        pump(dispatcher);
    }
    sd_event_get_exit_code(dispatcher->event, &status);
    return status;
}

static int events_add(struct dispatcher *dispatcher)
{
    sd_event *event = dispatcher->event;
    int result;

    result = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
    if (result >= 0)
        result = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
    if (result >= 0)
        result = sd_event_add_io(event, NULL, dispatcher->settings->channel, EPOLLIN, on_channel,
                                 dispatcher);
    if (result >= 0)
        result = sd_event_add_io(event, NULL, MASTER_STATUS_FD, EPOLLIN, on_master, dispatcher);
    if (result >= 0)
        result = sd_event_add_time_relative(event, &dispatcher->tick, CLOCK_MONOTONIC, TICK, 0,
                                            on_tick, dispatcher);
    if (result >= 0)
        result = watch_on(&dispatcher->watcher, &dispatcher->others, sd_event_get_fd(event),
                          EPOLLIN, on_event, dispatcher);
    /* For nothing yet: clients_listen() says when. */
    for (unsigned i = 0; result >= 0 && i < dispatcher->settings->sockets; i++)
        result = watch_on(&dispatcher->watcher, &dispatcher->listen[i], MASTER_LISTEN_FD + (int)i,
                          0, clients_on_listen, dispatcher);
    return result;
}

/* From root to mail_owner, before anything is accepted. */
static int privileges_drop(const struct dispatcher_settings *settings)
{
    const struct passwd *owner = settings->owner;

    if (geteuid() == 0 && (initgroups(owner->pw_name, owner->pw_gid) < 0 ||
                           setresgid(owner->pw_gid, owner->pw_gid, owner->pw_gid) < 0 ||
                           setresuid(owner->pw_uid, owner->pw_uid, owner->pw_uid) < 0))
        return -errno;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    /* The parent's end is seen on the channel; this is for a dispatcher that does not look. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -errno;
    return getppid() == settings->parent ? 0 : -ESRCH;
}

/*
 * How many clients the descriptors allow: two each, and two for each worker. When there are not
 * enough for all workers there may be: a client and the worker that it keeps busy cost four. More
 * workers than that, for the parts of one request, wait until there are descriptors.
 */
static unsigned clients_allowed(const struct config *config)
{
    uint64_t wanted = (uint64_t)config->waiting_max + config->workers_max + DEFERRING_MAX;
    uint64_t others = 2 * (uint64_t)config->workers_max + DESCRIPTORS_RESERVED;
    uint64_t few, many;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= others + 2 * wanted)
        return (unsigned)wanted;
    few =
        limit.rlim_cur > DESCRIPTORS_RESERVED + 4 ? (limit.rlim_cur - DESCRIPTORS_RESERVED) / 4 : 1;
    many = limit.rlim_cur > others ? (limit.rlim_cur - others) / 2 : 0;
    return (unsigned)(few > many ? few : many);
}

static void say_start(struct dispatcher *dispatcher)
{
    const struct dispatcher_settings *settings = dispatcher->settings;
    const struct config *config = settings->config;

    journal_log(dispatcher->journal, EVENT_START, LOG_INFO,
                (struct journal_field[]){JOURNAL_TEXT("HEADROOM_VERSION", HEADROOM_VERSION)}, 1,
                "headroom %s starts: service %s, agent %s, workers %u to %u, at most %u requests "
                "wait, configuration from %s",
                HEADROOM_VERSION, settings->service, config->agent, config->workers_min,
                config->workers_max, parts_room(dispatcher), settings->config_source);
    if (group_settled(settings->group))
        journal_log(dispatcher->journal, EVENT_GROUP, LOG_WARNING, NULL, 0, "%s",
                    group_note(settings->group));
    else
        journal_log(dispatcher->journal, EVENT_GROUP, LOG_INFO, NULL, 0, "%s",
                    group_note(settings->group));
    if (dispatcher->clients_max < config->waiting_max + config->workers_max)
        journal_log(dispatcher->journal, EVENT_DESCRIPTORS, LOG_WARNING, NULL, 0,
                    "the limit of open files allows %u requests at a time, not waiting.max + "
                    "workers.max = %u, so at most %u wait; raise it (LimitNOFILE= of Postfix's "
                    "unit) or lower these",
                    dispatcher->clients_max, config->waiting_max + config->workers_max,
                    parts_room(dispatcher));
}

static void say_exit(struct dispatcher *dispatcher)
{
    const struct dispatcher_totals *totals = &dispatcher->totals;
    uint64_t unsaid = regulator_unsaid(dispatcher);
    char changes[80] = "";

    if (unsaid > 0)
        snprintf(changes, sizeof changes, "; changes of the state not said: %" PRIu64, unsaid);
    journal_log(dispatcher->journal, EVENT_EXIT, LOG_INFO,
                (struct journal_field[]){
                    JOURNAL_NUMBER("HEADROOM_REQUESTS", (int64_t)totals->requests),
                    JOURNAL_NUMBER("HEADROOM_DELIVERED", (int64_t)totals->delivered),
                    JOURNAL_NUMBER("HEADROOM_DEFERRED", (int64_t)totals->deferred),
                    JOURNAL_NUMBER("HEADROOM_POSTPONED", (int64_t)totals->postponed),
                    JOURNAL_NUMBER("HEADROOM_LOST", (int64_t)totals->lost),
                    JOURNAL_NUMBER("HEADROOM_REFUSED", (int64_t)totals->refused),
                    JOURNAL_NUMBER("HEADROOM_UNSAID", (int64_t)unsaid),
                },
                7,
                "headroom ends: %" PRIu64 " requests, %" PRIu64 " delivered, %" PRIu64
                " deferred by workers, %" PRIu64 " postponed, %" PRIu64 " lost with a worker, "
                "%" PRIu64 " refused; %" PRIu64 " workers started, at most %u at a time%s",
                totals->requests, totals->delivered, totals->deferred, totals->postponed,
                totals->lost, totals->refused, totals->started, totals->most_live, changes);
}

static int prepare(struct dispatcher *dispatcher)
{
    const struct dispatcher_settings *settings = dispatcher->settings;
    int result;

    result = privileges_drop(settings);
    /* The log has a thread, and no_new_privs is of a thread: first the one, then the other. */
    if (result == 0)
        result = journal_open(&dispatcher->journal, &settings->journal);
    /* Sockets of workers are named relative to it: their full names could be too long. */
    if (result == 0 && fchdir(settings->state_directory) < 0)
        result = -errno;
    if (result == 0)
        result = worker_sweep();
    if (result == 0)
        result = sd_event_new(&dispatcher->event);
    if (result >= 0)
        result = watcher_create(&dispatcher->watcher);
    if (result >= 0)
        result = workers_create(dispatcher);
    dispatcher->clients_max = clients_allowed(settings->config);
    dispatcher->room = (struct room){.waiting_max = settings->config->waiting_max,
                                     .clients_max = dispatcher->clients_max,
                                     .bytes_max = HELD_BYTES_MAX};
    if (result >= 0)
        result = clients_create(dispatcher);
    if (result >= 0)
        result = parts_create(dispatcher);
    if (result >= 0)
        result = deferrals_create(dispatcher);
    if (result >= 0)
        result = snapshot_create(dispatcher);
    if (result >= 0)
        result = regulator_create(dispatcher);
    if (result >= 0)
        result = events_add(dispatcher);
    return result;
}

int dispatcher_run(const struct dispatcher_settings *settings)
{
    struct dispatcher *dispatcher = calloc(1, sizeof *dispatcher);
    int result = -ENOMEM;

    if (dispatcher) {
        dispatcher->settings = settings;
        dispatcher->watcher.epoll = -1;
        dispatcher->now = dispatcher_clock();
        dispatcher->schedstat = schedstat_open();
        result = prepare(dispatcher);
    }
    if (result >= 0) {
        say_start(dispatcher);
        regulator_step(dispatcher);
        snapshot_tick(dispatcher, false);
        pump(dispatcher);
        result = loop(dispatcher);
        parts_remember(dispatcher);
        snapshot_tick(dispatcher, true);
        remainders_say(dispatcher, true);
        say_exit(dispatcher);
    } else if (dispatcher) {
        journal_log(dispatcher->journal, EVENT_SETUP, LOG_CRIT, NULL, 0,
                    "the dispatcher cannot start: %s", strerror(-result));
    }
    if (dispatcher) {
        regulator_destroy(dispatcher);
        snapshot_destroy(dispatcher);
        deferrals_destroy(dispatcher);
        parts_destroy(dispatcher);
        clients_destroy(dispatcher);
        workers_destroy(dispatcher);
        sd_event_unref(dispatcher->event);
        watcher_destroy(&dispatcher->watcher);
        if (dispatcher->schedstat >= 0)
            close(dispatcher->schedstat);
        journal_close(dispatcher->journal, 200);
        free(dispatcher);
    }
    return result < 0 ? EXIT_FAILURE : result;
}
