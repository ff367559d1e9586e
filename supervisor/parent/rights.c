#include "supervisor/parent/rights.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

int rights_borrow(const struct passwd *owner)
{
    int result;

    if (setegid(owner->pw_gid) < 0)
        return -errno;
    if (seteuid(owner->pw_uid) == 0)
        return 0;
    result = -errno;
    rights_return();
    return result;
}

void rights_return(void)
{
    int error = errno;

    /* The user first: only root may take a group that is not his. */
    if (seteuid(getuid()) < 0 || setegid(getgid()) < 0)
        abort();
    errno = error;
}

int rights_kill(const struct passwd *owner, pid_t pid, int signal)
{
    int result;

    if (kill(pid, signal) == 0)
        return 0;
    if (errno != EPERM)
        return -errno;
    result = rights_borrow(owner);
    if (result < 0)
        return -EPERM;
    if (kill(pid, signal) < 0)
        result = -errno;
    rights_return();
    return result;
}
