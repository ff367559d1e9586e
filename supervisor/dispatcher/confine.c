#include "supervisor/dispatcher/confine.h"

#include <errno.h>
#include <malloc.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * By name: one that an architecture, or this version of the library, does not have is left out.
 * Where there are several of one purpose, which is used depends on architecture and C library.
 */
static const char *const allowed[] = {
    /* files */
    "read", "readv", "pread64", "write", "writev", "pwrite64", "open", "openat", "close",
    "close_range", "fstat", "fstat64", "stat", "stat64", "lstat", "lstat64", "newfstatat",
    "fstatat64", "statx", "lseek", "_llseek", "access", "faccessat", "faccessat2", "readlink",
    "readlinkat", "getdents", "getdents64", "unlink", "unlinkat", "rename", "renameat", "renameat2",
    "mkdir", "mkdirat", "rmdir", "chmod", "fchmod", "fchmodat", "fchmodat2", "umask", "fsync",
    "fdatasync", "flock", "ftruncate", "ftruncate64", "getcwd", "chdir", "fchdir", "dup", "dup2",
    "dup3", "pipe", "pipe2", "fcntl", "fcntl64", "statfs", "statfs64", "fstatfs", "fstatfs64",
    "memfd_create",
    /* memory */
    "brk", "mmap", "mmap2", "munmap", "mremap", "mprotect", "madvise",
    /* threads and signals of its own */
    "futex", "futex_time64", "set_robust_list", "rseq", "membarrier", "sched_yield",
    "sched_getaffinity", "getcpu", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigreturn",
    "rt_sigtimedwait", "rt_sigtimedwait_time64", "sigaltstack", "alarm", "setitimer",
    "restart_syscall", "exit", "exit_group",
    /* time */
    "clock_gettime", "clock_gettime64", "clock_getres", "clock_getres_time64", "gettimeofday",
    "time", "nanosleep", "clock_nanosleep", "clock_nanosleep_time64",
    /* who it is: rights_borrow() sets what it is already */
    "getpid", "gettid", "getppid", "getuid", "getuid32", "geteuid", "geteuid32", "getgid",
    "getgid32", "getegid", "getegid32", "getresuid", "getresuid32", "getresgid", "getresgid32",
    "setresuid", "setresuid32", "setresgid", "setresgid32", "uname", "sysinfo", "getrusage",
    "getrandom",
    /* waiting */
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
    "poll", "ppoll", "ppoll_time64", "select", "_newselect", "pselect6", "pselect6_time64",
    "eventfd2", "signalfd4", "timerfd_create", "timerfd_settime", "timerfd_settime64",
    /* sockets, which are of AF_UNIX */
    "connect", "bind", "listen", "accept", "accept4", "getsockname", "getpeername", "getsockopt",
    "setsockopt", "send", "sendto", "sendmsg", "sendmmsg", "recv", "recvfrom", "recvmsg",
    "shutdown"};

/* Nothing that it is made of tries one of these. */
static const char *const deadly[] = {
    "execve",      "execveat",       "ptrace",        "process_vm_readv", "process_vm_writev",
    "mount",       "umount2",        "pivot_root",    "move_mount",       "open_tree",
    "fsopen",      "setns",          "unshare",       "chroot",           "init_module",
    "kexec_load",  "finit_module",   "delete_module", "kexec_file_load",  "bpf",
    "pidfd_getfd", "perf_event_open"};

static int add(scmp_filter_ctx filter, uint32_t action, const char *name, unsigned count,
               const struct scmp_arg_cmp *comparisons)
{
    int call = seccomp_syscall_resolve_name(name);

    if (call == __NR_SCMP_ERROR)
        return 0;
    return seccomp_rule_add_array(filter, action, call, count, comparisons);
}

static int add_all(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp local = SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0);
    /* Of its own process only: abort(3). */
    const struct scmp_arg_cmp own = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0);
    const struct scmp_arg_cmp self = SCMP_A0(SCMP_CMP_EQ, 0, 0);
    const struct scmp_arg_cmp death = SCMP_A0(SCMP_CMP_EQ, PR_SET_PDEATHSIG, 0);
    int result = 0;

    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0] && result == 0; i++)
        result = add(filter, SCMP_ACT_ALLOW, allowed[i], 0, NULL);
    for (size_t i = 0; i < sizeof deadly / sizeof deadly[0] && result == 0; i++)
        result = add(filter, SCMP_ACT_KILL_PROCESS, deadly[i], 0, NULL);
    if (result == 0)
        result = add(filter, SCMP_ACT_ALLOW, "socket", 1, &local);
    if (result == 0)
        result = add(filter, SCMP_ACT_ALLOW, "socketpair", 1, &local);
    if (result == 0)
        result = add(filter, SCMP_ACT_ALLOW, "tgkill", 1, &own);
    if (result == 0)
        result = add(filter, SCMP_ACT_ALLOW, "prlimit64", 1, &self);
    if (result == 0)
        result = add(filter, SCMP_ACT_ALLOW, "prctl", 1, &death);
    return result;
}

int confine_calls(void)
{
    const struct rlimit none = {0, 0};
    scmp_filter_ctx filter;
    int result;

    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
        setrlimit(RLIMIT_NPROC, &none) < 0)
        return -errno;
    filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter)
        return -ENOMEM;
    result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    /* A tree: a line of a hundred comparisons is felt where each message costs fifty calls. */
    if (result == 0)
        result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (result == 0)
        result = add_all(filter);
    if (result == 0)
        result = seccomp_load(filter);
    seccomp_release(filter);
    /* To make a filter takes 150 kB, for an instant. */
    (void)malloc_trim(0);
    return result;
}

int confine_probe(void)
{
    pid_t pid = fork();
    int status;

    if (pid < 0)
        return -errno;
    if (pid == 0) {
        (void)confine_files(NULL, 0);
        (void)confine_calls();
        _exit(0);
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFSIGNALED(status) ? -EPERM : 0;
}
