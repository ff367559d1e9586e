#include "cgroup/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* queue_directory of an instance that needs no hash: Postfix's own default (postconf(5)). */
static const char DEFAULT_INSTANCE[] = "/var/spool/postfix";

/* Characters of the service's name that are kept: there must be room for prefix and hash. */
#define SERVICE_KEPT 64

/* The list of controllers is about 70 bytes today. */
#define CONTROLLERS_MAX 1024

void plan_because(struct group_plan *plan, const char *format, ...)
{
    const size_t used = strlen(plan->why);
    const size_t room = sizeof plan->why - used;
    if (room < sizeof "; ")
        return;
    const size_t comma = used > 0 ? 2 : 0;
    memcpy(plan->why + used, "; ", comma);
    va_list list;
    va_start(list, format);
    (void)vsnprintf(plan->why + used + comma, room - comma, format, list);
    va_end(list);
    plan->settled = true;
}

void plan_observe(struct group_plan *plan)
{
    plan->mode = GROUP_OBSERVE;
    plan->below[0] = '\0';
    plan->below_unified[0] = '\0';
    plan->move = false;
}

/* FNV-1a, 32 bits. The final NUL counts, so that ("a", "bc") and ("ab", "c") differ. */
static uint32_t hash_text(uint32_t hash, const char *text)
{
    for (;; text++) {
        hash = (hash ^ (unsigned char)*text) * UINT32_C(16777619);
        if (*text == '\0')
            return hash;
    }
}

void plan_name(char name[PLAN_NAME_MAX], const char *service, const char *instance)
{
    char kept[SERVICE_KEPT + 1];
    size_t length = 0;
    bool plain = instance == NULL || strcmp(instance, DEFAULT_INSTANCE) == 0;
    for (; service[length] != '\0' && length < SERVICE_KEPT; length++) {
        const char c = service[length];
        const bool safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
        kept[length] = safe ? c : '_';
        plain = plain && safe;
    }
    plain = plain && service[length] == '\0';
    kept[length] = '\0';
    if (plain) {
        (void)snprintf(name, PLAN_NAME_MAX, "headroom-%s", kept);
        return;
    }
    uint32_t hash = hash_text(UINT32_C(2166136261), service);
    hash = hash_text(hash, instance != NULL ? instance : DEFAULT_INSTANCE);
    (void)snprintf(name, PLAN_NAME_MAX, "headroom-%s-%08x", kept, hash);
}

/* A group that may get children from us, as far as can be seen without trying. */
static bool may_write(const struct kernel_tree *tree, const char *directory)
{
    return !tree->read_only && faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == 0;
}

static bool is_directory(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool has_file(const char *directory, const char *name)
{
    char path[KERNEL_PATH_MAX];
    return kernel_join(path, sizeof path, directory, name) == 0 && access(path, F_OK) == 0;
}

/* systemd marks a group that it has delegated (systemd.resource-control(5), Delegate=): since 251
 * with user.delegate, before with trusted.delegate, which only root can read. */
static bool marked_delegated(const char *directory)
{
    char value[2] = "";
    return (getxattr(directory, "user.delegate", value, sizeof value) == 1 && value[0] == '1') ||
           (getxattr(directory, "trusted.delegate", value, sizeof value) == 1 && value[0] == '1');
}

/* The topmost group that is seen here, and not the kernel's own root: a container's, which is all
 * ours. The kernel's root has no cgroup.events. That one is taken too: where a service manager
 * rules, no process is left in it. */
static bool is_delegated(const struct kernel_tree *tree, const char *directory)
{
    return strcmp(directory, tree->mount) == 0 || marked_delegated(directory);
}

/* Only the kernel's root group may hold processes and hand on controllers (cgroups(7)). */
static bool is_kernel_root(const char *directory)
{
    return !has_file(directory, "cgroup.events");
}

static bool has_controller(const char *directory, const char *controller)
{
    char path[KERNEL_PATH_MAX];
    char list[CONTROLLERS_MAX];
    const size_t length = strlen(controller);
    if (kernel_join(path, sizeof path, directory, "cgroup.controllers") != 0 ||
        kernel_read_at(AT_FDCWD, path, list, sizeof list) < 0)
        return false;
    for (const char *at = list; (at = strstr(at, controller)) != NULL; at += length)
        if ((at == list || at[-1] == ' ') && strchr(" \n", at[length]) != NULL)
            return true;
    return false;
}

/* The operator's group, checked. */
static bool take_parent(struct group_plan *plan, const struct kernel_tree *tree, const char *parent,
                        char *directory)
{
    if (kernel_group_directory(tree, parent, directory, KERNEL_PATH_MAX) == 0 &&
        is_directory(directory))
        return true;
    plan_because(plan,
                 "cgroup.parent \"%s\" is no group below %s: name it as /proc/PID/cgroup does, or "
                 "leave it out",
                 parent, tree->mount);
    return false;
}

static bool check_writable(struct group_plan *plan, const struct kernel_tree *tree,
                           const char *directory)
{
    if (may_write(tree, directory))
        return true;
    if (tree->read_only)
        plan_because(plan,
                     "%s is mounted read-only: set ProtectControlGroups=no in Postfix's unit "
                     "(headroom's drop-in does) and restart it, in a container mount its groups "
                     "writable, or accept it with cgroup.mode = observe",
                     directory);
    else
        plan_because(plan,
                     "%s cannot be written: start as root, or accept it with cgroup.mode = observe",
                     directory);
    return false;
}

static void plan_hybrid(struct group_plan *plan, const struct group_config *config)
{
    if (config->parent == NULL)
        memcpy(plan->below, plan->memory.own, sizeof plan->below);
    else if (!take_parent(plan, &plan->memory, config->parent, plan->below)) {
        plan_observe(plan);
        return;
    }
    if (!check_writable(plan, &plan->memory, plan->below)) {
        plan_observe(plan);
        return;
    }
    plan->mode = GROUP_HYBRID;
    /* A named parent need not exist in the second tree. */
    if (plan->unified.found &&
        (config->parent == NULL ||
         kernel_group_directory(&plan->unified, config->parent, plan->below_unified,
                                sizeof plan->below_unified) != 0 ||
         !is_directory(plan->below_unified)))
        memcpy(plan->below_unified, plan->unified.own, sizeof plan->below_unified);
    if (plan->unified.found && !may_write(&plan->unified, plan->below_unified))
        plan->below_unified[0] = '\0';
    if (plan->below_unified[0] == '\0')
        plan_because(plan,
                     "no writable cgroup2 tree beside cgroup v1, so the pool's own pressure is "
                     "not seen: mount one (mount -t cgroup2 none /sys/fs/cgroup/unified)");
    if (config->high != UINT64_MAX)
        plan_because(plan, "cgroup v1 has no memory.high: kept by starting no worker above it");
}

/* Our own group, or the one whose leaf `main` we are in. */
static bool is_own(const struct kernel_tree *tree, const char *directory)
{
    char leaf[KERNEL_PATH_MAX];
    return strcmp(directory, tree->own) == 0 ||
           (kernel_join(leaf, sizeof leaf, directory, PLAN_MAIN) == 0 &&
            strcmp(leaf, tree->own) == 0);
}

/* Unit mode: the group that gets the leaves. After an earlier start we are in its leaf `main`. */
static void find_unit(struct group_plan *plan)
{
    const char *own = plan->unified.own;
    const char *slash = strrchr(own, '/');
    memcpy(plan->below, own, sizeof plan->below);
    if (slash == NULL || strcmp(slash + 1, PLAN_MAIN) != 0 ||
        strcmp(own, plan->unified.mount) == 0 || is_delegated(&plan->unified, own))
        return;
    plan->below[slash - own] = '\0';
    if (!is_delegated(&plan->unified, plan->below))
        memcpy(plan->below, own, sizeof plan->below);
}

static void plan_unit(struct group_plan *plan, const struct group_config *config)
{
    if (config->parent != NULL) {
        if (!take_parent(plan, &plan->unified, config->parent, plan->below)) {
            plan_observe(plan);
            return;
        }
    } else {
        find_unit(plan);
        if (!is_delegated(&plan->unified, plan->below)) {
            /* A unit's mounts are made when it starts; whether it is delegated, systemd can change
             * while it runs. */
            plan_because(
                plan,
                "%s is not delegated%s: give Postfix's unit \"[Service] Delegate=memory\"%s and "
                "\"OOMPolicy=continue\" (systemctl edit, or headroom's drop-in), then %s; or name "
                "a group in cgroup.parent",
                plan->below,
                plan->unified.read_only ? " and mounted read-only (ProtectControlGroups=yes)" : "",
                plan->unified.read_only ? ", \"ProtectControlGroups=no\"" : "",
                plan->unified.read_only ? "restart it" : "postfix reload");
            plan_observe(plan);
            return;
        }
    }
    /* Both are said at once: the cure of one would only show the other. */
    const bool controlled = has_controller(plan->below, "memory");
    if (!controlled)
        plan_because(plan,
                     "%s has no memory controller: boot without cgroup_disable=memory, and give "
                     "Postfix's unit \"[Service] Delegate=memory\"",
                     plan->below);
    if (!check_writable(plan, &plan->unified, plan->below) || !controlled) {
        plan_observe(plan);
        return;
    }
    plan->mode = GROUP_UNIT;
    /* Only our own group is emptied, never one that was merely named. Also when we are in its leaf
     * already: another service of the same unit, started at the same time, may have moved us and
     * not be done yet. */
    plan->move = is_own(&plan->unified, plan->below) && !is_kernel_root(plan->below);
}

/* With ProcSubset=pid /proc shows processes only; else meminfo is always there. */
static bool proc_is_hidden(const struct cgroup_roots *roots)
{
    char path[KERNEL_PATH_MAX];
    return kernel_proc_path(roots, "meminfo", path, sizeof path) == 0 && access(path, F_OK) != 0 &&
           errno == ENOENT;
}

/* Where the file for the machine is not hidden, and yet not there, there is none for a group
 * either. */
static void check_pressure(struct group_plan *plan, const struct cgroup_roots *roots)
{
    char path[KERNEL_PATH_MAX];
    char text[256];
    if (proc_is_hidden(roots)) {
        plan->no_pressure = !plan->unified.found || !has_file(plan->unified.own, "memory.pressure");
        plan_because(plan, "/proc shows processes only, so less is seen of the machine's memory: "
                           "set ProcSubset=all in Postfix's unit (headroom's drop-in does) and "
                           "restart it");
        return;
    }
    if (kernel_proc_path(roots, "pressure/memory", path, sizeof path) != 0 ||
        kernel_read_at(AT_FDCWD, path, text, sizeof text) <= 0) {
        plan->no_pressure = true;
        plan_because(plan, "the kernel gives no pressure information: boot with psi=1");
    }
}

int plan_look(struct group_plan *plan, const struct cgroup_roots *roots)
{
    const int result = kernel_trees(roots, &plan->memory, &plan->unified);
    plan->v1 = plan->memory.found;
    if (!plan->v1)
        plan->memory = plan->unified;
    return result;
}

int plan_make(struct group_plan *plan, const struct group_config *config)
{
    if (config->service == NULL || config->service[0] == '\0')
        return -EINVAL;
    *plan = (struct group_plan){.mode = GROUP_OBSERVE};
    plan_name(plan->name, config->service, config->instance);
    const int result = plan_look(plan, &config->roots);
    if (result != 0)
        return result;
    if (config->wish == GROUP_WISH_OBSERVE)
        plan->mode = GROUP_OBSERVE;
    else if (!plan->memory.found)
        plan_because(plan, "no group can be seen: mount the kernel's groups at /sys/fs/cgroup");
    else if (config->wish == GROUP_WISH_UNIT && plan->v1)
        plan_because(plan, "cgroup.mode = unit needs cgroup v2, and the memory controller is on v1 "
                           "here: set it to auto or hybrid");
    else if (config->wish == GROUP_WISH_HYBRID && !plan->v1)
        plan_because(plan,
                     "cgroup.mode = hybrid needs the memory controller on cgroup v1, and it is "
                     "not there: set it to auto or unit");
    else if (plan->v1)
        plan_hybrid(plan, config);
    else
        plan_unit(plan, config);
    if (plan->mode == GROUP_OBSERVE && (config->limit != UINT64_MAX || config->high != UINT64_MAX))
        plan_because(plan, "memory.limit and memory.high have no group to be set on");
    check_pressure(plan, &config->roots);
    return 0;
}
