#include "supervisor/parent/cut.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BIT(capability) (UINT64_C(1) << (capability))
#define KEPT                                                                                       \
    (BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_KILL) | BIT(CAP_SYS_CHROOT) |                     \
     BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH))

/* Debian 13's unit leaves them, and not the right to give them up: not worth a line at each start. */
#define BORNE (BIT(CAP_CHOWN) | BIT(CAP_FOWNER) | BIT(CAP_NET_BIND_SERVICE))

/* From the bounding set, so that no exec gives them back. False when one of weight stays. */
static bool bound(void)
{
    bool all = true;

    /* The kernel refuses the first number that it does not know. */
    for (int i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
        if (!(KEPT & BIT(i)) && prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1 &&
            prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0 && !(BORNE & BIT(i)))
            all = false;
    return all;
}

/* From the sets of this process; that needs no right. */
static bool drop(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capget, &header, sets) < 0)
        return false;
    for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        uint32_t kept = (uint32_t)(KEPT >> (32 * i));

        sets[i].effective &= kept;
        sets[i].permitted &= kept;
        sets[i].inheritable &= kept;
    }
    return syscall(SYS_capset, &header, sets) == 0;
}

static bool give_up(void)
{
    bool all = bound();

    if (access("/sys/fs/selinux/enforce", F_OK) < 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        all = false;
    return drop() && all;
}

enum cut cut_rights(const char *agent)
{
    pid_t pid;
    int status;

    if (strcmp(agent, "lmtp") != 0 && strcmp(agent, "smtp") != 0)
        return CUT_AGENT_NEEDS;
    pid = fork();
    if (pid == 0) {
        (void)give_up();
        _exit(0);
    }
    if (pid < 0)
        return CUT_FORBIDDEN;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return CUT_FORBIDDEN;
    if (!WIFEXITED(status))
        return CUT_FORBIDDEN;
    return give_up() ? CUT_DONE : CUT_WORKERS_KEEP;
}

const char *cut_text(enum cut cut)
{
    switch (cut) {
    case CUT_FORBIDDEN:
        return "a filter of Postfix's unit (SystemCallFilter=) forbids it";
    case CUT_WORKERS_KEEP:
        return "agents keep them, because Postfix's unit leaves no CAP_SETPCAP "
               "(CapabilityBoundingSet=)";
    default:
        return NULL;
    }
}
