#ifndef TESTS_FAULT_FAULT_H
#define TESTS_FAULT_FAULT_H

/*
 * The n-th call fails. inject.c is linked into a test build of the programs, which is otherwise the
 * real one; faults.c writes what is to fail into a file that all its processes map.
 */

#include <stdatomic.h>
#include <stdint.h>

/* Which of the processes: before there are two, the parent, the dispatcher. */
enum fault_role { FAULT_START, FAULT_PARENT, FAULT_DISPATCHER, FAULT_ROLES };
#define FAULT_ROLE_NAMES "start", "parent", "dispatcher"

/* What is counted together. CALLS is every one of the others but MALLOC. */
enum fault_class {
    FAULT_CALLS,
    FAULT_MALLOC,
    FAULT_OPEN, /* also directories */
    FAULT_READ,
    FAULT_WRITE,
    FAULT_CGROUP, /* a write to a file of cgroup or cgroup2 */
    FAULT_SEND,
    FAULT_RECV,
    FAULT_SOCKET, /* and socketpair, pipe2, eventfd, signalfd, epoll_create1, dup3 */
    FAULT_CONNECT,
    FAULT_BIND, /* and listen */
    FAULT_ACCEPT,
    FAULT_FORK, /* and clone3 */
    FAULT_MKDIR,
    FAULT_RENAME,
    FAULT_UNLINK, /* and rmdir */
    FAULT_FSYNC,
    FAULT_STAT,
    FAULT_EPOLL,  /* epoll_ctl that adds */
    FAULT_CHANGE, /* epoll_ctl that changes or removes: it takes no memory, so it never fails */
    FAULT_WAIT,   /* epoll_wait, poll, waitpid, nanosleep */
    FAULT_KILL,
    FAULT_THREAD,
    FAULT_RIGHTS, /* setresuid, seteuid, initgroups, fchmod, flock, prctl, setrlimit */
    FAULT_CLASSES
};
#define FAULT_CLASS_NAMES                                                                          \
    "calls", "malloc", "open", "read", "write", "cgroup", "send", "recv", "socket", "connect",     \
        "bind", "accept", "fork", "mkdir", "rename", "unlink", "fsync", "stat", "epoll", "change", \
        "wait", "kill", "thread", "rights"

/* In the place of an errno value. */
#define FAULT_SHORT (-1) /* one byte is read or written, of a file, pipe or stream */
#define FAULT_DEATH (-2) /* SIGKILL in the place of the call */

struct fault_page {
    _Atomic uint32_t role, class, number;
    _Atomic uint32_t lasting; /* this one and all that follow */
    _Atomic int32_t action;   /* an errno value or one of the above; 0: nothing fails */
    _Atomic uint32_t hits;
    _Atomic uint32_t counted[FAULT_ROLES][FAULT_CLASSES];
};

#endif
