#ifndef CGROUP_GROUP_H
#define CGROUP_GROUP_H

/*
 * The pool's memory group: found, made, entered, counted, removed.
 *
 * Life of it: the parent, holding the lock of its service (a second one would adopt a living
 * group), calls group_open once, as root, before it forks anything; then memory_source_open and
 * pressure_arm, whose descriptors the dispatcher inherits; group_clone for each worker;
 * group_remove and group_close at its end. The dispatcher calls group_renounce first of all, then
 * only the functions that read the struct, and group_close. Nothing here logs: what is to be said
 * is in group_note.
 *
 * The struct is not called `struct group`, because <grp.h> has that one.
 */

#include "cgroup/kernel.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum group_mode {
    GROUP_OBSERVE, /* nothing is made: own group and its ancestors, read only */
    GROUP_HYBRID, /* memory controller on v1: child of the own memory group, and a cgroup2 group for
                     the pressure */
    GROUP_UNIT,   /* cgroup v2, own group delegated: its processes move to its leaf `main`, the pool
                     is another leaf */
};

/* What the configuration asks for (cgroup.mode). A wish that cannot be met ends in GROUP_OBSERVE,
 * and the note says why. */
enum group_wish { GROUP_WISH_AUTO, GROUP_WISH_UNIT, GROUP_WISH_HYBRID, GROUP_WISH_OBSERVE };

struct group_config {
    const char *
        service; /* name of the transport in master.cf: "lmtp". Becomes part of the group's name. */
    const char *instance; /* queue_directory of this Postfix: tells apart two instances that share a
                             group. NULL: default */
    enum group_wish wish;
    const char *parent; /* cgroup.parent: the group, named as in /proc/self/cgroup, that the pool
                           goes below. NULL: own group. Naming it is the operator's word that it may
                           be used: no delegation is asked for. */
    uint64_t limit;     /* memory.limit, bytes; MEMORY_UNLIMITED: none */
    uint64_t high;      /* memory.high, bytes; MEMORY_UNLIMITED: none */
    struct cgroup_roots
        roots; /* zero: the real ones. The strings must live as long as the group. */
};

struct pool_group;

/* Finds the mode and makes (or adopts) the group, with its limits set. Whatever the machine
 * refuses, the result is a usable group, in the worst case in GROUP_OBSERVE. Fails only with
 * -ENOMEM, -EINVAL (no service) or when /proc cannot be read; then *group is NULL. May block for
 * long where the kernel has to reclaim to reach a limit of an adopted group. */
int group_open(struct pool_group **group, const struct group_config *config);

/* The same, but only looks: nothing is made, moved or written, and group_mode and group_note say
 * what group_open would try. For `headroomctl check`, and for recorded trees. group_clone on it is
 * fork, group_remove does nothing. */
int group_find(struct pool_group **group, const struct group_config *config);

enum group_mode group_mode(const struct pool_group *group);
const char *group_mode_name(enum group_mode mode); /* "unit", "hybrid", "observe" */

/* One line without a newline: mode, group, where the pressure comes from, and, where it settled for
 * less than it was asked or than it could have been, why and what cures it. Then group_settled is
 * true: log it as a warning, else as information. */
const char *group_note(const struct pool_group *group);
bool group_settled(const struct pool_group *group);

/* Directory of the pool's memory group ("" when none is made), for messages and headroomctl. */
const char *group_directory(const struct pool_group *group);

/* How many processes are in the pool's group now. -EOPNOTSUPP when none was made, -ENODEV when it
 * has vanished. Does not allocate. Counts all processes, so also those that were not started by
 * this process. */
int group_count_processes(const struct pool_group *group);

/* fork(2), but the child is in the pool's group from its first instruction (clone3(2) with
 * CLONE_INTO_CGROUP; on v1 the child attaches itself before this returns in it). Where that is
 * refused (ENOSYS, a seccomp filter, valgrind): fork, and the child attaches itself. A child that
 * the kernel lets into no group runs where the parent is: mail goes on, and group_count_processes
 * shows the difference. In observe mode it is fork.
 *
 * Returns the child's pid, 0 in the child, or a negative errno (-EAGAIN, -ENOMEM: no room for a
 * process). The caller has a single thread; the child calls only what signal-safety(7) allows,
 * until it executes a program. Does not allocate. */
pid_t group_clone(struct pool_group *group);

/* A process of the pool was ended by SIGKILL: perhaps all of them, by cgroup.kill. After a write to
 * that file some kernels (seen: 6.18) kill every process that is cloned into the group from outside
 * it, for as long as the group is there; those that attach themselves live. The next group_clone
 * tries it with a process of its own, and attaches from then on if that is killed. */
void group_was_killed(struct pool_group *group);

/* Makes the pool's groups again, with their limits, when somebody has removed them (an empty group
 * can be, at any time); to be called before group_clone. 0 when nothing was missing, 1 when they
 * were made, or a negative errno: workers run outside of them, and the next call tries again. */
int group_renew(struct pool_group *group);

/* For pressure_arm: descriptor of the cgroup2 directory whose memory.pressure is the pool's
 * (observe: our own group's), or -1 when there is none. Owned by the group. */
int group_pressure_directory(const struct pool_group *group);

/* Ends all that runs in the pool's group, whoever started it and whatever rights we have left:
 * cgroup.kill needs none over the processes. Waits up to 0.2 s until they have gone. 0, -EBUSY when
 * some have not, -EOPNOTSUPP where there is no group of ours with that file (before Linux 5.14, or
 * without a cgroup2 tree), or a negative errno. */
int group_kill(const struct pool_group *group);

/* Removes the pool's groups if nothing runs in them. -EBUSY: processes still finish; the group
 * stays, to be adopted by the successor. Waits up to 0.2 s for processes that are already reaped
 * but not yet gone. 0 when there was nothing to remove. In unit mode `main` stays: our own
 * processes are in it. */
int group_remove(struct pool_group *group);

/* Closes what lets its holder put processes into the group. For the dispatcher, which is not root:
 * the descriptors were opened as root, and the kernel asks for the rights of who opened them.
 * group_clone is for the parent only, from then on. */
void group_renounce(struct pool_group *group);

/* Frees memory and descriptors; the kernel's groups stay. NULL is allowed. */
void group_close(struct pool_group *group);

#endif
