/*
 * What is taken over above the kernel: memory figures, queue files, names of sockets, and the end.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/base/clock.h"
#include "tests/world/calls.h"
#include "tests/world/kernel.h"
#include "tests/world/world.h"

#define MB (UINT64_C(1) << 20)
#define TOTAL (8192 * MB)
#define WORKER (2 * MB)
#define GROUP_SHARED (4 * MB)
#define GROUP_SPARE (12 * MB) /* with less a group counts as short */

static struct outside {
    uint64_t time;       /* of the figures below */
    uint64_t some, full; /* us of stall */
    uint64_t failures;   /* the group ran into its limit */
    uint64_t oom;        /* kills by the kernel */
    bool stalled;
    int listener[WORKERS_MAX]; /* by the worker's number; -1: none was made */
    uint64_t wall_due;         /* the date may change then */
} outside;

void outside_begin(void)
{
    outside = (struct outside){.time = world.now, .wall_due = world.now + SECONDS(1)};
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        outside.listener[i] = -1;
}

/* --- memory --- */

/* Of those that SIGKILL ends the kernel ended some. */
void outside_killed(int status)
{
    outside.oom += status == SIGKILL && chance(500);
}

static void stall_goes_on(void)
{
    uint64_t passed = world.now - outside.time;

    outside.time = world.now;
    if (outside.stalled) {
        outside.some += passed / 4;
        outside.full += passed / 5;
    }
    if (troubled(STALL) && !outside.stalled)
        kernel.pressure = true;
    outside.stalled = troubled(STALL);
}

static uint64_t available(void)
{
    uint64_t used = 2048 * MB + workers_live() * WORKER;

    return troubled(MEMORY_SHORT) ? 150 * MB : TOTAL - used;
}

void __wrap_memory_source_read(const struct memory_source *source, struct memory_sample *sample)
{
    uint64_t usage = GROUP_SHARED + workers_live() * WORKER;

    (void)source;
    stall_goes_on();
    *sample = (struct memory_sample){
        .time = world.now,
        .groups = 1,
        .group[0] = {.known = world.plan.limit > 0 && !troubled(GROUP_GONE),
                     .usage = usage,
                     .working_set = usage,
                     .limit = world.plan.limit > 0 ? world.plan.limit : MEMORY_UNLIMITED},
        .machine_known = true,
        .total = TOTAL,
        .available = available(),
        .pool = {.known = true, .some = outside.some, .full = outside.full},
        .machine = {.known = true, .some = outside.some, .full = outside.full},
        .events_known = world.plan.limit > 0 && !troubled(GROUP_GONE),
        .oom_kill = outside.oom,
    };
}

bool __wrap_memory_source_renew(struct memory_source *source, const struct pool_group *group)
{
    (void)source;
    (void)group;
    return !troubled(GROUP_GONE);
}

const char *__wrap_group_directory(const struct pool_group *group)
{
    (void)group;
    return world.plan.limit > 0 ? "/group" : "";
}

int __wrap_group_count_processes(const struct pool_group *group)
{
    (void)group;
    return troubled(GROUP_GONE) ? -ENODEV : (int)workers_live();
}

enum group_mode __wrap_group_mode(const struct pool_group *group)
{
    (void)group;
    return world.plan.limit > 0 ? GROUP_UNIT : GROUP_OBSERVE;
}

const char *__wrap_group_note(const struct pool_group *group)
{
    (void)group;
    return "the group is of the world";
}

bool __wrap_group_settled(const struct pool_group *group)
{
    (void)group;
    return false;
}

/* --- the queue --- */

int __wrap_queue_file_lock(int directory, const char *path)
{
    unsigned id;
    int fd;

    (void)directory;
    if (sscanf(path, "%*[^/]/Q%u", &id) != 1 || id >= world.plan.mails)
        broken("a queue file of this queue", "%s", path);
    if (mails[id].missing || strncmp(path, "active/", 7) != 0)
        return -ENOENT;
    if (mails[id].foreign_lock)
        return -EWOULDBLOCK;
    fd = kernel_open(KIND_LOCK, (int)id);
    if (fd < 0)
        return -errno;
    mails[id].locks++;
    return fd;
}

bool __wrap_queue_file_moved(int directory, const char *path)
{
    (void)directory;
    (void)path;
    return world.ending && world.now >= world.moved;
}

int __wrap_queue_writable(int directory)
{
    (void)directory;
    return troubled(QUEUE_READONLY) ? -EROFS : troubled(QUEUE_FULL) ? -ENOSPC : 0;
}

int __wrap_defer_log_reason(int directory, const char *queue_id, const char *names, unsigned depth,
                            const char *domain, char *text, size_t size)
{
    (void)directory;
    (void)queue_id;
    (void)names;
    (void)depth;
    (void)domain;
    if (chance(500))
        return -ENOENT;
    snprintf(text, size, "4.2.2 mailbox is full");
    return 0;
}

/* --- sockets of workers --- */

void __wrap_sockets_open(struct sockets *sockets, const struct sockets_config *config, int state)
{
    (void)state;
    *sockets = (struct sockets){.config = *config};
    predecessor_left(config->left, config->context);
}

int __wrap_sockets_listen(struct sockets *sockets, unsigned number, int *place, uint64_t now)
{
    int listener, fd;

    (void)sockets;
    (void)now;
    if (number >= WORKERS_MAX)
        broken("12: no more workers than somebody chose", "worker %u", number);
    listener = listener_open();
    fd = kernel_open(KIND_LISTENER, listener);
    if (fd < 0) {
        listener_close(listener);
        return -EMFILE;
    }
    outside.listener[number] = listener;
    *place = 0;
    return fd;
}

/* The stream that is made is ours at one end. */
int __wrap_sockets_connect(struct sockets *sockets, unsigned number, int place)
{
    int stream, fd;

    (void)sockets;
    (void)place;
    stream = listener_connect(outside.listener[number], ROLE_WORKER);
    if (stream < 0)
        return stream;
    fd = kernel_open(KIND_STREAM, stream);
    if (fd >= 0)
        return fd;
    streams[stream].ours = 0;
    return -EMFILE;
}

void __wrap_sockets_close(struct sockets *sockets)
{
    (void)sockets;
}

/* --- the router is known while its modules are there --- */

int __wrap_dispatcher_modules_create(struct router *router,
                                     const struct dispatcher_settings *settings,
                                     struct sockets *sockets)
{
    int result = __real_dispatcher_modules_create(router, settings, sockets);

    world.router = result == 0 ? router : NULL;
    return result;
}

void __wrap_dispatcher_modules_destroy(struct router *router)
{
    world.router = NULL;
    __real_dispatcher_modules_destroy(router);
}

/* --- by the clock --- */

/* The begin or the end of an episode, the end of the run, and a step of the date. */
uint64_t outside_next(void)
{
    uint64_t when = world.ending ? NEVER : world.plan.end;

    for (unsigned i = 0; i < world.plan.episodes; i++) {
        const struct episode *episode = &world.plan.episode[i];

        if (episode->begin > world.now && episode->begin < when)
            when = episode->begin;
        if (episode->end > world.now && episode->end < when)
            when = episode->end;
    }
    return predecessor_next() < when ? predecessor_next() : when;
}

static void memory_look(void)
{
    uint64_t group = GROUP_SHARED + workers_live() * WORKER + GROUP_SPARE;
    bool is_short = troubled(MEMORY_SHORT) || troubled(GROUP_GONE) || troubled(STALL) ||
                    troubled(FORK_FAILS) || (world.plan.limit > 0 && group > world.plan.limit);

    stall_goes_on();
    if (is_short) {
        world.calm_since = NEVER;
        world.short_last = world.now;
    } else if (world.calm_since == NEVER) {
        world.calm_since = world.now;
    }
}

/* All has ended well, and a while ago: so surplus workers have gone. */
static bool all_over(void)
{
    if (!world.plan.ends || world.now < world.plan.quiet_from + SECONDS(60))
        return false;
    for (unsigned i = 0; i < world.plan.mails; i++)
        if (mails[i].state != MAIL_OVER)
            return false;
    return clients_view(world.router->clients).held == 0 &&
           workers_live() <= world.plan.config.workers_min;
}

void outside_act(void)
{
    memory_look();
    predecessor_act();
    if (world.now >= outside.wall_due) {
        outside.wall_due = world.now + SECONDS(1);
        if (strikes(WALL_JUMPS, 100)) {
            world.wall += (int64_t)draw_below(SECONDS(20 * 3600)) - (int64_t)SECONDS(10 * 3600);
            note("the date is another");
        }
    }
    if (world.ending || (world.now < world.plan.end && !all_over()))
        return;
    world.ending = true;
    world.plan.end = world.now;
    if (world.plan.ends)
        promise_quiet();
    if (world.plan.stop) {
        note("SIGTERM");
        kernel.signalled = true;
    } else {
        note("reload");
        world.moved = chance(800)   ? world.now + draw_from(50000, 300000)
                      : chance(800) ? world.now + draw_below(SECONDS(20))
                                    : NEVER;
        kernel.parent_gone = chance(300);
        kernel.master_gone = !kernel.parent_gone;
        mail_reload();
    }
}
