#include "cgroup/group.h"
#include "cgroup/group_parts.h"
#include "cgroup/make.h"
#include "cgroup/memory.h"
#include "cgroup/memory_parse.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Since 6.19 a process leaves its group a moment after it could be reaped. 20 times 10 ms. */
#define REMOVE_TRIES 20
#define REMOVE_PAUSE 10000000L

const char *group_mode_name(enum group_mode mode)
{
    switch (mode) {
    case GROUP_UNIT:
        return "unit";
    case GROUP_HYBRID:
        return "hybrid";
    case GROUP_OBSERVE:
        break;
    }
    return "observe";
}

static void set_up(struct pool_group *group)
{
    group->unified_directory = -1;
    group->clone_directory = -1;
    group->enter_memory = -1;
    group->enter_unified = -1;
    group->ceiling = MEMORY_UNLIMITED;
}

/* Where the sample looks: the pool's groups, or in their absence our own. */
static int set_paths(struct pool_group *group)
{
    const struct group_plan *plan = &group->plan;
    int result = 0;
    group->memory[0] = group->unified[0] = '\0';
    if (plan->mode != GROUP_OBSERVE)
        result = kernel_join(group->memory, sizeof group->memory, plan->below, plan->name);
    else if (plan->memory.found)
        memcpy(group->memory, plan->memory.own, sizeof group->memory);
    if (result != 0)
        return result;
    if (plan->mode == GROUP_UNIT)
        memcpy(group->unified, group->memory, sizeof group->unified);
    else if (plan->mode == GROUP_HYBRID && plan->below_unified[0] != '\0')
        result =
            kernel_join(group->unified, sizeof group->unified, plan->below_unified, plan->name);
    else if (plan->unified.found)
        memcpy(group->unified, plan->unified.own, sizeof group->unified);
    return result;
}

static int open_in(const char *directory, const char *file, int flags)
{
    char path[KERNEL_PATH_MAX];
    const int result = kernel_join(path, sizeof path, directory, file);
    if (result != 0)
        return result;
    const int descriptor = open(path, flags | O_CLOEXEC | O_NOCTTY);
    return descriptor < 0 ? -errno : descriptor;
}

static uint64_t read_number(const char *directory, const char *file)
{
    char path[KERNEL_PATH_MAX];
    char text[64];
    uint64_t value = 0;
    if (kernel_join(path, sizeof path, directory, file) != 0)
        return 0;
    const ssize_t length = kernel_read_at(AT_FDCWD, path, text, sizeof text);
    if (length > 0)
        (void)memory_parse_number(text, (size_t)length, &value);
    return value;
}

/* Sets one limit, or says why not. A limit below what an adopted group uses is not written: the
 * kernel would kill busy workers to reach it (v2), or refuse it (v1). It is kept by the ceiling
 * instead: no worker is started above it. */
static void set_limit(struct pool_group *group, const char *file, uint64_t limit, const char *key)
{
    struct group_plan *plan = &group->plan;
    char value[32];
    int result;
    if (limit == MEMORY_UNLIMITED)
        (void)snprintf(value, sizeof value, "%s", plan->v1 ? "-1" : "max");
    else
        (void)snprintf(value, sizeof value, "%" PRIu64, limit);
    if (limit == MEMORY_UNLIMITED && !group->adopted)
        return;
    const uint64_t usage =
        read_number(group->memory, plan->v1 ? "memory.usage_in_bytes" : "memory.current");
    if (group->adopted && limit < usage) {
        result = -EBUSY;
    } else {
        result = make_value(plan->memory.mount, group->memory, file, value);
        if (result == 0)
            return;
    }
    if (limit < group->ceiling)
        group->ceiling = limit;
    plan_because(
        plan, "%s could not be set (%s): kept by starting no worker above it, until the next start",
        key, result == -EBUSY ? "the group already uses more" : strerror(-result));
}

/* Makes the pool's groups. On failure nothing of ours stays and the mode is observe. */
static int make_groups(struct pool_group *group)
{
    struct group_plan *plan = &group->plan;
    int result = 0;
    if (plan->mode == GROUP_UNIT)
        result = make_room(plan->below, plan->move);
    if (result == 0)
        /* Not libcgroup for v2: it writes subtree_control of all groups above, delegated or not. */
        result = plan->v1 ? make_memory_group(plan->memory.mount, group->memory)
                          : make_plain_group(group->memory);
    if (result == -EEXIST) {
        group->adopted = true;
        result = 0;
    }
    if (result != 0)
        return result;
    group->made = true;
    if (plan->mode == GROUP_HYBRID && plan->below_unified[0] != '\0') {
        const int second = make_plain_group(group->unified);
        group->unified_made = second == 0 || second == -EEXIST;
        group->unified_error = group->unified_made ? 0 : second;
        if (!group->unified_made) {
            plan_because(plan, "%s could not be made (%s), so the pool's own pressure is not seen",
                         group->unified, strerror(-second));
            memcpy(group->unified, plan->unified.own, sizeof group->unified);
        }
    }
    /* high first: it is reached by reclaim, so that max then finds less to reclaim. */
    if (plan->v1) {
        set_limit(group, "memory.limit_in_bytes", group->limit, "memory.limit");
        if (group->high < group->ceiling)
            group->ceiling = group->high;
    } else {
        set_limit(group, "memory.high", group->high, "memory.high");
        set_limit(group, "memory.max", group->limit, "memory.limit");
    }
    return 0;
}

/* Opens what group_clone and pressure_arm need; both have a fallback for what is missing. */
static void open_doors(struct pool_group *group)
{
    const bool unified_pool =
        group->made && (group->plan.mode == GROUP_UNIT || group->unified_made);
    if (group->unified[0] != '\0')
        group->unified_directory = open(group->unified, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (unified_pool) {
        group->clone_directory = group->unified_directory;
        group->enter_unified = open_in(group->unified, "cgroup.procs", O_WRONLY);
    }
    if (group->made && group->plan.v1)
        group->enter_memory = open_in(group->memory, "cgroup.procs", O_WRONLY);
}

static void write_note(struct pool_group *group)
{
    const struct group_plan *plan = &group->plan;
    const bool own_pressure = group->unified[0] != '\0' &&
                              (plan->mode == GROUP_OBSERVE ||
                               (plan->mode == GROUP_HYBRID && plan->below_unified[0] == '\0'));
    const char *pressure = plan->no_pressure           ? "nowhere"
                           : group->unified[0] == '\0' ? "the machine"
                           : own_pressure              ? group->plan.unified.own
                                                       : group->unified;
    (void)snprintf(group->note, sizeof group->note, "memory group: %s, %s%s, pressure from %s%s%s",
                   group_mode_name(plan->mode),
                   group->memory[0] != '\0' ? group->memory : "no group",
                   group->adopted ? " (left by a predecessor)" : "", pressure,
                   plan->why[0] != '\0' ? "; " : "", plan->why);
}

int group_find(struct pool_group **result, const struct group_config *config)
{
    struct pool_group *group = calloc(1, sizeof *group);
    *result = NULL;
    if (group == NULL)
        return -ENOMEM;
    set_up(group);
    group->roots = config->roots;
    int error = plan_make(&group->plan, config);
    if (error == 0)
        error = set_paths(group);
    if (error != 0) {
        group_close(group);
        return error;
    }
    write_note(group);
    *result = group;
    return 0;
}

int group_open(struct pool_group **result, const struct group_config *config)
{
    struct pool_group *group;
    int error = group_find(&group, config);
    *result = group;
    if (error != 0)
        return error;
    if (group->plan.mode != GROUP_OBSERVE) {
        group->limit = config->limit;
        group->high = config->high;
        error = make_groups(group);
        if (error != 0) {
            plan_because(&group->plan, "%s could not be made (%s)%s", group->memory,
                         strerror(-error),
                         error == -EROFS || error == -EACCES || error == -EPERM
                             ? ": start as root, with the groups mounted writable"
                             : "");
            if (config->limit != MEMORY_UNLIMITED || config->high != MEMORY_UNLIMITED)
                plan_because(&group->plan,
                             "memory.limit and memory.high have no group to be set on");
            plan_observe(&group->plan);
            /* Moving may have put ourselves elsewhere: look again where we are. */
            (void)plan_look(&group->plan, &group->roots);
            (void)set_paths(group);
        }
    }
    open_doors(group);
    write_note(group);
    return 0;
}

enum group_mode group_mode(const struct pool_group *group)
{
    return group->plan.mode;
}

const char *group_note(const struct pool_group *group)
{
    return group->note;
}

bool group_settled(const struct pool_group *group)
{
    return group->plan.settled;
}

const char *group_directory(const struct pool_group *group)
{
    return group->made ? group->memory : "";
}

/* In hybrid mode a child is in the cgroup2 group from its birth, but enters the v1 group only once
 * it runs: the larger number is the true one. */
int group_count_processes(const struct pool_group *group)
{
    if (!group->made)
        return -EOPNOTSUPP;
    const int count = make_count(group->memory);
    const int second = group->unified_made ? make_count(group->unified) : 0;
    return count >= 0 && second > count ? second : count;
}

int group_pressure_directory(const struct pool_group *group)
{
    return group->unified_directory;
}

int group_kill(const struct pool_group *group)
{
    const struct timespec pause = {.tv_nsec = REMOVE_PAUSE};
    int result;

    if (!group->made || group->unified_directory < 0 ||
        (group->plan.mode != GROUP_UNIT && !group->unified_made))
        return -EOPNOTSUPP;
    result = kernel_write_at(group->unified_directory, "cgroup.kill", "1");
    if (result != 0)
        return result == -ENOENT ? -EOPNOTSUPP : result;
    for (unsigned attempt = 0; attempt < REMOVE_TRIES; attempt++) {
        if (group_count_processes(group) <= 0)
            return 0;
        (void)nanosleep(&pause, NULL);
    }
    return -EBUSY;
}

int group_remove(struct pool_group *group)
{
    int result = 0;
    for (unsigned attempt = 0; group->made && attempt < REMOVE_TRIES; attempt++) {
        const struct timespec pause = {.tv_nsec = REMOVE_PAUSE};
        if (group_count_processes(group) > 0)
            return -EBUSY;
        result = make_removed(group->plan.memory.mount, group->memory);
        /* Not for libcgroup: it does not know the cgroup2 tree without controllers. */
        if (result == 0 && group->unified_made)
            result = make_removed(NULL, group->unified);
        if (result == 0)
            group->made = group->unified_made = false;
        else if (result != -EBUSY)
            break;
        else
            (void)nanosleep(&pause, NULL);
    }
    return result;
}

static void close_door(int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

void group_renounce(struct pool_group *group)
{
    close_door(&group->enter_memory);
    close_door(&group->enter_unified);
}

int group_renew(struct pool_group *group)
{
    int result;

    if (!group->made || (!group->lost && access(group->memory, F_OK) == 0 &&
                         (!group->unified_made || access(group->unified, F_OK) == 0)))
        return 0;
    if (!group->lost)
        group->paired = group->unified_made;
    group_renounce(group);
    close_door(&group->unified_directory);
    group->clone_directory = -1;
    group->adopted = group->doubt = group->unified_made = false;
    result = set_paths(group);
    if (result == 0)
        result = make_groups(group);
    if (result == 0 && group->paired)
        result = group->unified_error;
    group->lost = result != 0;
    open_doors(group);
    return result == 0 ? 1 : result;
}

void group_close(struct pool_group *group)
{
    if (group == NULL)
        return;
    close_door(&group->unified_directory);
    group_renounce(group);
    free(group);
}
