#include "cgroup/group.h"
#include "cgroup/group_parts.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* clone3(2) has no wrapper in the C library, which therefore does not know of the child: the child calls only what is
 * async-signal-safe, as after a fork in a process with threads. */
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

/* Puts the calling process into a group. Nothing can be done, nor said, where that fails; see group.h. */
static void enter(int processes)
{
    if (processes >= 0 && write(processes, "0", 1) != 1)
        return;
}

pid_t group_clone(const struct pool_group *group)
{
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
        /* v1 has no clone into a group. The child enters before it runs a program, so all that program uses is charged. */
        enter(group->enter_memory);
    }
    return process;
}
