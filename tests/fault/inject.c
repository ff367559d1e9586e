/*
 * Takes over functions of the C library, for the program and its libraries, counts their calls and
 * lets one fail: fault.h. The file is PROGRAM_DIRECTORY/../fault; without it nothing fails.
 *
 * With INJECT_TEMPLATE it is part of headroom-template.so: there only the end by SIGKILL at the
 * n-th call is tried, because memory that is shared would make the template refuse to fork. The
 * number is read from OBJECT_DIRECTORY/../fault-template, which is empty afterwards.
 *
 * <fcntl.h> is not included, because it renames and wraps what is defined here.
 */

#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <linux/fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/fault/fault.h"

#define EXPORTED __attribute__((visibility("default")))

/* The C library's own, which no library of ours takes over. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static long (*kernel)(long number, ...);
/* Libraries make calls before main program's constructors. */
static long (*kernel_call(void))(long number, ...)
{
    if (!kernel)
        *(void **)&kernel = dlsym(RTLD_NEXT, "syscall");
    if (!kernel)
        abort();
    return kernel;
}

static pid_t self; /* a child of it is not counted */

__attribute__((noreturn)) static void die(void)
{
    for (;;)
        kernel_call()(SYS_tgkill, kernel_call()(SYS_getpid), kernel_call()(SYS_gettid), SIGKILL);
}

#ifdef INJECT_TEMPLATE

static unsigned long deadly, calls;
static char path[4096];

__attribute__((constructor(101))) static void begin(void)
{
    char text[32] = "";
    Dl_info object;
    int length, fd;

    if (dladdr(&deadly, &object) == 0)
        return;
    length = (int)(strrchr(object.dli_fname, '/') - object.dli_fname);
    snprintf(path, sizeof path, "%.*s/../fault-template", length, object.dli_fname);
    fd = (int)kernel_call()(SYS_openat, AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return;
    if (kernel_call()(SYS_read, fd, text, sizeof text - 1) > 0)
        deadly = strtoul(text, NULL, 10);
    kernel_call()(SYS_close, fd);
    self = (pid_t)kernel_call()(SYS_getpid);
}

static int fault(enum fault_class class)
{
    (void)class;
    if (deadly == 0 || kernel_call()(SYS_getpid) != self || ++calls != deadly)
        return 0;
    /* That says that it was hit. */
    kernel_call()(SYS_openat, AT_FDCWD, path, O_WRONLY | O_TRUNC, 0);
    die();
}

#else

static struct fault_page *page;
static enum fault_role role;

__attribute__((constructor(101))) static void begin(void)
{
    char path[4096], file[sizeof path + 16];
    ssize_t length;
    void *mapped;
    int fd;

    length = kernel_call()(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", path, sizeof path - 1);
    if (length <= 0)
        return;
    path[length] = '\0';
    snprintf(file, sizeof file, "%.*s/../fault", (int)(strrchr(path, '/') - path), path);
    fd = (int)kernel_call()(SYS_openat, AT_FDCWD, file, O_RDWR, 0);
    if (fd < 0)
        return;
    mapped = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    kernel_call()(SYS_close, fd);
    self = (pid_t)kernel_call()(SYS_getpid);
    if (mapped != MAP_FAILED)
        page = mapped;
}

static bool is_due(enum fault_class class, uint32_t number)
{
    if (page->role != role || page->class != class || page->action == 0)
        return false;
    return number == page->number || (page->lasting && number > page->number);
}

/* What the call is to do: 0, or fault_page.action. */
static int fault(enum fault_class class)
{
    uint32_t number;
    bool due;

    if (!page || kernel_call()(SYS_getpid) != self)
        return 0;
    number = ++page->counted[role][class];
    due = is_due(class, number);
    if (class != FAULT_MALLOC) {
        number = ++page->counted[role][FAULT_CALLS];
        due = due || is_due(FAULT_CALLS, number);
    }
    if (!due)
        return 0;
    page->hits++;
    if (page->action == FAULT_DEATH)
        die();
    return page->action;
}

struct dispatcher_settings;
struct parent;
extern int __real_dispatcher_run(const struct dispatcher_settings *settings);
extern int __real_parent_run(const struct parent *parent);
int __wrap_dispatcher_run(const struct dispatcher_settings *settings);
int __wrap_parent_run(const struct parent *parent);

int __wrap_dispatcher_run(const struct dispatcher_settings *settings)
{
    role = FAULT_DISPATCHER;
    self = (pid_t)kernel_call()(SYS_getpid);
    return __real_dispatcher_run(settings);
}

int __wrap_parent_run(const struct parent *parent)
{
    role = FAULT_PARENT;
    return __real_parent_run(parent);
}

#endif

/* 0, or the call fails: errno is set. */
static bool fails(enum fault_class class)
{
    int error = errno;
    int action = fault(class);

    errno = action > 0 ? action : error;
    return action > 0;
}

/* Of a datagram, a signalfd or an eventfd the kernel reads and writes all or nothing. */
static bool can_be_short(int fd)
{
    int type = SOCK_STREAM;
    socklen_t length = sizeof type;
    struct statfs where;

    return (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type == SOCK_STREAM) &&
           kernel_call()(SYS_fstatfs, fd, &where) == 0 && where.f_type != ANON_INODE_FS_MAGIC;
}

/* A short one, where the kernel could do it, else a failure. */
static bool fails_sized(enum fault_class class, int fd, size_t *size)
{
    int error = errno, action = fault(class);

    if (action == FAULT_SHORT && *size > 1 && can_be_short(fd))
        *size = 1;
    errno = action > 0 ? action : error;
    return action > 0;
}

/* Types and lists of parameters cannot have parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */

#define REAL(name)                                                                                 \
    do {                                                                                           \
        if (!real)                                                                                 \
            *(void **)&real = dlsym(RTLD_NEXT, #name);                                             \
    } while (0)

#define TAKE(type, failed, class, name, parameters, arguments)                                     \
    EXPORTED type name parameters                                                                  \
    {                                                                                              \
        static type(*real) parameters;                                                             \
        REAL(name);                                                                                \
        if (fails(class))                                                                          \
            return failed;                                                                         \
        return real arguments;                                                                     \
    }

#define TAKE_SIZED(class, name, parameters, arguments)                                             \
    EXPORTED ssize_t name parameters                                                               \
    {                                                                                              \
        static ssize_t(*real) parameters;                                                          \
        REAL(name);                                                                                \
        if (fails_sized(class, fd, &size))                                                         \
            return -1;                                                                             \
        return real arguments;                                                                     \
    }

static enum fault_class class_of_write(int fd)
{
    struct statfs where;

    if (kernel_call()(SYS_fstatfs, fd, &where) == 0 &&
        (where.f_type == CGROUP2_SUPER_MAGIC || where.f_type == CGROUP_SUPER_MAGIC))
        return FAULT_CGROUP;
    return FAULT_WRITE;
}

TAKE_SIZED(FAULT_READ, read, (int fd, void *bytes, size_t size), (fd, bytes, size))
TAKE_SIZED(FAULT_READ, pread, (int fd, void *bytes, size_t size, off_t at), (fd, bytes, size, at))
TAKE_SIZED(class_of_write(fd), write, (int fd, const void *bytes, size_t size), (fd, bytes, size))
TAKE_SIZED(FAULT_WRITE, pwrite, (int fd, const void *bytes, size_t size, off_t at),
           (fd, bytes, size, at))
TAKE_SIZED(FAULT_SEND, send, (int fd, const void *bytes, size_t size, int flags),
           (fd, bytes, size, flags))
TAKE_SIZED(FAULT_RECV, recv, (int fd, void *bytes, size_t size, int flags),
           (fd, bytes, size, flags))
TAKE(ssize_t, -1, FAULT_SEND, sendmsg, (int fd, const struct msghdr *message, int flags),
     (fd, message, flags))
TAKE(ssize_t, -1, FAULT_RECV, recvmsg, (int fd, struct msghdr *message, int flags),
     (fd, message, flags))
TAKE(int, -1, FAULT_SOCKET, dup3, (int from, int to, int flags), (from, to, flags))
TAKE(int, -1, FAULT_SOCKET, pipe2, (int ends[2], int flags), (ends, flags))
TAKE(int, -1, FAULT_WAIT, poll, (struct pollfd * watch, nfds_t count, int milliseconds),
     (watch, count, milliseconds))

#ifndef INJECT_TEMPLATE

struct dirent;
typedef struct __dirstream DIR;
struct stat;
struct timespec;
struct rlimit;

/* The mode is there only with O_CREAT and O_TMPFILE. */
#define TAKE_MODE(mode)                                                                            \
    unsigned mode;                                                                                 \
    va_list list;                                                                                  \
    va_start(list, flags);                                                                         \
    (mode) = flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, unsigned) : 0;                         \
    va_end(list)

#define TAKE_OPEN(name, parameters, directory)                                                     \
    int name parameters;                                                                           \
    EXPORTED int name parameters                                                                   \
    {                                                                                              \
        TAKE_MODE(mode);                                                                           \
        if (fails(FAULT_OPEN))                                                                     \
            return -1;                                                                             \
        return (int)kernel_call()(SYS_openat, directory, path, flags, mode);                       \
    }

TAKE_OPEN(open, (const char *path, int flags, ...), AT_FDCWD)
TAKE_OPEN(open64, (const char *path, int flags, ...), AT_FDCWD)
TAKE_OPEN(openat, (int directory, const char *path, int flags, ...), directory)
TAKE_OPEN(openat64, (int directory, const char *path, int flags, ...), directory)
DIR *opendir(const char *path);
TAKE(DIR *, NULL, FAULT_OPEN, opendir, (const char *path), (path))
TAKE(FILE *, NULL, FAULT_OPEN, fopen, (const char *path, const char *mode), (path, mode))

#define TAKE_MEMORY(name, parameters, arguments)                                                   \
    EXPORTED void *name parameters                                                                 \
    {                                                                                              \
        return fails(FAULT_MALLOC) ? NULL : __libc_##name arguments;                               \
    }

TAKE_MEMORY(malloc, (size_t size), (size))
TAKE_MEMORY(calloc, (size_t count, size_t size), (count, size))
TAKE_MEMORY(realloc, (void *old, size_t size), (old, size))

TAKE(int, -1, FAULT_SOCKET, socket, (int family, int type, int protocol), (family, type, protocol))
TAKE(int, -1, FAULT_SOCKET, socketpair, (int family, int type, int protocol, int ends[2]),
     (family, type, protocol, ends))
TAKE(int, -1, FAULT_SOCKET, eventfd, (unsigned value, int flags), (value, flags))
TAKE(int, -1, FAULT_SOCKET, signalfd, (int fd, const sigset_t *signals, int flags),
     (fd, signals, flags))
TAKE(int, -1, FAULT_SOCKET, epoll_create1, (int flags), (flags))
TAKE(int, -1, FAULT_CONNECT, connect, (int fd, __CONST_SOCKADDR_ARG address, socklen_t size),
     (fd, address, size))
TAKE(int, -1, FAULT_BIND, bind, (int fd, __CONST_SOCKADDR_ARG address, socklen_t size),
     (fd, address, size))
TAKE(int, -1, FAULT_BIND, listen, (int fd, int backlog), (fd, backlog))
TAKE(int, -1, FAULT_ACCEPT, accept4,
     (int fd, __SOCKADDR_ARG address, socklen_t *restrict size, int flags),
     (fd, address, size, flags))
TAKE(pid_t, -1, FAULT_FORK, fork, (void), ())
int mkdir(const char *path, unsigned mode);
TAKE(int, -1, FAULT_MKDIR, mkdir, (const char *path, unsigned mode), (path, mode))
int mkdirat(int at, const char *path, unsigned mode);
TAKE(int, -1, FAULT_MKDIR, mkdirat, (int at, const char *path, unsigned mode), (at, path, mode))
TAKE(int, -1, FAULT_RENAME, rename, (const char *from, const char *to), (from, to))
TAKE(int, -1, FAULT_RENAME, renameat, (int from_at, const char *from, int to_at, const char *to),
     (from_at, from, to_at, to))
TAKE(int, -1, FAULT_UNLINK, unlink, (const char *path), (path))
TAKE(int, -1, FAULT_UNLINK, unlinkat, (int at, const char *path, int flags), (at, path, flags))
TAKE(int, -1, FAULT_UNLINK, rmdir, (const char *path), (path))
TAKE(int, -1, FAULT_FSYNC, fsync, (int fd), (fd))
int stat(const char *path, struct stat *status);
TAKE(int, -1, FAULT_STAT, stat, (const char *path, struct stat *status), (path, status))
int lstat(const char *path, struct stat *status);
TAKE(int, -1, FAULT_STAT, lstat, (const char *path, struct stat *status), (path, status))
int fstat(int fd, struct stat *status);
TAKE(int, -1, FAULT_STAT, fstat, (int fd, struct stat *status), (fd, status))
int fstatat(int at, const char *path, struct stat *status, int flags);
TAKE(int, -1, FAULT_STAT, fstatat, (int at, const char *path, struct stat *status, int flags),
     (at, path, status, flags))
TAKE(int, -1, FAULT_STAT, access, (const char *path, int mode), (path, mode))
TAKE(int, -1, what == EPOLL_CTL_ADD ? FAULT_EPOLL : FAULT_CHANGE, epoll_ctl,
     (int loop, int what, int fd, struct epoll_event *event), (loop, what, fd, event))
TAKE(int, -1, FAULT_WAIT, epoll_wait,
     (int loop, struct epoll_event *events, int most, int milliseconds),
     (loop, events, most, milliseconds))
pid_t waitpid(pid_t pid, int *status, int options);
TAKE(pid_t, -1, FAULT_WAIT, waitpid, (pid_t pid, int *status, int options), (pid, status, options))
int nanosleep(const struct timespec *wanted, struct timespec *left);
TAKE(int, -1, FAULT_WAIT, nanosleep, (const struct timespec *wanted, struct timespec *left),
     (wanted, left))
TAKE(int, -1, FAULT_KILL, kill, (pid_t pid, int number), (pid, number))
TAKE(int, errno, FAULT_THREAD, pthread_create,
     (pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
      void *(*run)(void *argument), void *restrict argument),
     (thread, attributes, run, argument))
TAKE(int, -1, FAULT_RIGHTS, setresuid, (uid_t real_id, uid_t effective, uid_t saved),
     (real_id, effective, saved))
TAKE(int, -1, FAULT_RIGHTS, setresgid, (gid_t real_id, gid_t effective, gid_t saved),
     (real_id, effective, saved))
TAKE(int, -1, FAULT_RIGHTS, seteuid, (uid_t effective), (effective))
TAKE(int, -1, FAULT_RIGHTS, setegid, (gid_t effective), (effective))
int initgroups(const char *user, gid_t group);
TAKE(int, -1, FAULT_RIGHTS, initgroups, (const char *user, gid_t group), (user, group))
int fchmod(int fd, unsigned mode);
TAKE(int, -1, FAULT_RIGHTS, fchmod, (int fd, unsigned mode), (fd, mode))
int flock(int fd, int operation);
TAKE(int, -1, FAULT_RIGHTS, flock, (int fd, int operation), (fd, operation))
int setrlimit(int resource, const struct rlimit *limit);
TAKE(int, -1, FAULT_RIGHTS, setrlimit, (int resource, const struct rlimit *limit),
     (resource, limit))

/*
 * Nothing fails in it: glibc 2.36 follows a null pointer when the first malloc of its name services
 * fails, in nss_database_get(). Every stock agent calls it at its start, too.
 */
struct passwd;
struct passwd *getpwnam(const char *name);
EXPORTED struct passwd *getpwnam(const char *name)
{
    static struct passwd *(*real)(const char *);
    pid_t counted = self;
    struct passwd *found;

    REAL(getpwnam);
    self = 0;
    found = real(name);
    self = counted;
    return found;
}

long syscall(long number, ...)
{
    va_list list;
    long a[6];

    va_start(list, number);
    for (unsigned i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_clone3 && fails(FAULT_FORK))
        return -1;
    return kernel_call()(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#endif

/* NOLINTEND(bugprone-macro-parentheses) */
