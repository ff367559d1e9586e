#include "supervisor/dispatcher/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Instructions, as many as the kernel takes. */
#define PROGRAM_MAX 4096
#define PROBE_SECONDS 60
#define PROBE_CPU_SECONDS 1 /* it takes 0.02 */

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

static int add_all(scmp_filter_ctx filter, pid_t whose)
{
    const struct scmp_arg_cmp local = SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0);
    /* Of its own process only: abort(3). */
    const struct scmp_arg_cmp own = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)whose, 0);
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

/* The filter as the kernel takes it, made by a child process. */
static struct sock_filter program[PROGRAM_MAX];
static size_t length;

static int load(void)
{
    const struct sock_fprog loaded = {.len = (unsigned short)length, .filter = program};

    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &loaded) < 0)
        return -errno;
    return 0;
}

int confine_calls(void)
{
    const struct rlimit none = {0, 0};

    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
        setrlimit(RLIMIT_NPROC, &none) < 0)
        return -errno;
    return length > 0 ? load() : -ENOMEM;
}

/* Reads up to its end. How many instructions there are; 0: they are not whole. */
static size_t take(int reader)
{
    size_t size = 0;
    ssize_t got;

    do {
        got = read(reader, (char *)program + size, sizeof program - size);
        size += got > 0 ? (size_t)got : 0;
    } while (got > 0 || (got < 0 && errno == EINTR));
    if (got < 0 || size == sizeof program || size % sizeof program[0] != 0)
        return 0;
    return size / sizeof program[0];
}

/* Into `program`, in the child. How many instructions there are, or 0. */
static size_t build(pid_t whose)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    size_t count = 0;
    int ends[2];

    if (!filter || pipe2(ends, O_CLOEXEC) < 0)
        return 0;
    /* A tree: a line of a hundred comparisons is felt where each message costs fifty calls. */
    if (seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2) == 0 && add_all(filter, whose) == 0 &&
        seccomp_export_bpf(filter, ends[1]) == 0) {
        close(ends[1]);
        count = take(ends[0]);
    }
    seccomp_release(filter);
    return count;
}

/*
 * Without memory libseccomp 2.5.4 crashes, spins, or leaves calls out of the filter and says nothing.
 * So the child ends, however it was started, and says only what it has made twice.
 */
_Noreturn static void child(pid_t whose, int writer)
{
    static struct sock_filter first[PROGRAM_MAX];
    sigset_t none;
    size_t size;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGALRM, SIG_DFL);
    alarm(PROBE_SECONDS);
    setrlimit(RLIMIT_CPU, &(struct rlimit){PROBE_CPU_SECONDS, PROBE_CPU_SECONDS});
    length = build(whose);
    memcpy(first, program, sizeof first);
    size = length * sizeof program[0];
    if (length == 0 || build(whose) != length || memcmp(first, program, size) != 0 ||
        write(writer, program, size) != (ssize_t)size)
        _exit(1);
    close(writer);
    (void)confine_files(NULL, 0);
    (void)load();
    _exit(0);
}

int confine_probe(void)
{
    int ends[2], status;
    pid_t pid;

    length = 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid = fork();
    if (pid == 0)
        child(getppid(), ends[1]);
    status = errno;
    close(ends[1]);
    if (pid > 0)
        length = take(ends[0]);
    close(ends[0]);
    if (pid < 0)
        return -status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? -EPERM : 0;
}
