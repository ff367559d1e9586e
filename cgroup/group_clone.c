#include "cgroup/group.h"
#include "cgroup/group_parts.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* clone3(2) has no wrapper in the C library, which therefore does not know of the child: the child
 * calls only what is async-signal-safe, as after a fork in a process with threads. */
static pid_t clone_into(int directory)
{
    struct clone_args arguments = {
        .flags = CLONE_INTO_CGROUP,
        .exit_signal = SIGCHLD,
        .cgroup = (__u64)directory,
    };
    const long result = syscall(SYS_clone3, &arguments, sizeof arguments);
    return result < 0 ? -errno : (pid_t)result;
}

/* Puts the calling process into a group. A failure cannot be reported; see group.h. */
static void enter(int processes)
{
    if (processes >= 0 && write(processes, "0", 1) != 1)
        return;
}

/* True when the kernel kills what is cloned into the group, before its first instruction. */
static bool is_deadly(int directory)
{
    int status = 0;
    const pid_t process = clone_into(directory);
    if (process == 0)
        _exit(0);
    if (process < 0)
        return false;
    while (waitpid(process, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFSIGNALED(status);
}

void group_was_killed(struct pool_group *group)
{
    group->doubt = true;
}

pid_t group_clone(struct pool_group *group)
{
    if (group->doubt && group->clone_directory >= 0 && is_deadly(group->clone_directory))
        group->clone_directory = -1;
    group->doubt = false;
    const bool into = group->clone_directory >= 0;
    pid_t process = into ? clone_into(group->clone_directory) : -ENOSYS;
    bool inside = process >= 0;
    if (process == -EAGAIN || process == -ENOMEM)
        return process;
    if (process < 0) {
        process = fork();
        if (process < 0)
            return -errno;
        inside = false;
    }
    if (process == 0) {
        if (!inside)
            enter(group->enter_unified);
        /* v1 cannot clone into a group. The child enters it before it runs the program. */
        enter(group->enter_memory);
    }
    return process;
}
