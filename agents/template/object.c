/*
 * headroom-template.so: takes over event_loop() of a stock agent, and forks workers. See
 * agents/template.h.
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agents/master.h"
#include "agents/template/parts.h"

#define CONTROL MASTER_STATUS_FD

/* s. Connections to other programs of Postfix are closed after ipc_idle, 5 s by default. */
#define SETTLE_MOST 15

/* Out of the way of what the agent opens, whose numbers stay what they are without us. */
#define PLACES_FD 100

__attribute__((visibility("default"))) void event_loop(int delay);
__attribute__((visibility("default"))) void *tls_client_init(const void *properties);

static char process_name[16]; /* as it was executed */
static bool asked;            /* we are the template; false in a worker */
static bool tls;              /* it is prepared to speak TLS */
static struct template_places places = {.root = -1, .proc = -1, .pipe = {-1, -1}};
static struct template_postfix postfix;

void *template_symbol(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

static int open_place(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, PLACES_FD);

    if (fd >= 0)
        close(fd);
    return high;
}

/* Out of the environment, and out of what /proc/PID/environ shows. */
static void forget(const char *name)
{
    char *value = getenv(name);
    char *entry = value ? value - strlen(name) - 1 : NULL;

    unsetenv(name);
    if (entry)
        memset(entry, 0, strlen(entry));
}

__attribute__((constructor)) static void begin(void)
{
    const char *version = getenv(TEMPLATE_ENVIRONMENT);
    char own[sizeof process_name];

    /* Some other program of the agent's, or of another version of us. */
    if (!version || strcmp(version, TEMPLATE_VERSION) != 0)
        return;
    asked = true;
    prctl(PR_GET_NAME, process_name);
    snprintf(own, sizeof own, "%.6s" TEMPLATE_NAME, process_name);
    prctl(PR_SET_NAME, own);
    forget(TEMPLATE_ENVIRONMENT);
    forget("LD_PRELOAD");
    places.root = open_place("/");
    places.proc = open_place("/proc/self");
    template_note_begin(&places);
}

static bool find_postfix(void)
{
    *(void **)&postfix.event_fork = template_symbol("event_fork");
    *(void **)&postfix.dict_changed_name = template_symbol("dict_changed_name");
    *(void **)&postfix.set_mail_conf_int = template_symbol("set_mail_conf_int");
    *(void **)&postfix.mysrand = template_symbol("mysrand");
    postfix.pid = template_symbol("var_pid");
    postfix.config_directory = template_symbol("var_config_dir");
    return postfix.event_fork && postfix.dict_changed_name && postfix.set_mail_conf_int &&
           postfix.mysrand && postfix.pid && postfix.config_directory &&
           template_symbol("event_request_timer") && template_symbol("event_cancel_timer");
}

/* False when the parent has gone. */
static bool tell(enum template_kind kind, uint32_t number, int value, const char *detail)
{
    struct template_message message = {.kind = kind, .number = number, .value = value};

    snprintf(message.detail, sizeof message.detail, "%s", detail);
    return send(CONTROL, &message, sizeof message, MSG_NOSIGNAL) == (ssize_t)sizeof message;
}

/* One wish. False at the end of the control socket, and when it is malformed. */
static bool wish_read(struct template_message *wish, int descriptors[TEMPLATE_DESCRIPTORS])
{
    struct iovec vector = {.iov_base = wish, .iov_len = sizeof *wish};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(TEMPLATE_DESCRIPTORS * sizeof(int))];
    } rights;
    struct msghdr header = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = &rights,
        .msg_controllen = sizeof rights.space,
    };
    const struct cmsghdr *first;
    ssize_t got;

    do
        got = recvmsg(CONTROL, &header, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    first = CMSG_FIRSTHDR(&header);
    if (got != (ssize_t)sizeof *wish || wish->kind != TEMPLATE_FORK || !first ||
        first->cmsg_type != SCM_RIGHTS ||
        first->cmsg_len != CMSG_LEN(TEMPLATE_DESCRIPTORS * sizeof(int)))
        return false;
    memcpy(descriptors, CMSG_DATA(first), TEMPLATE_DESCRIPTORS * sizeof(int));
    return true;
}

/* A brother, not a child: our parent reaps it. There is one thread, which holds no lock. */
static pid_t brother(void)
{
#ifdef __s390__
    long result = syscall(SYS_clone, 0L, (long)(CLONE_PARENT | SIGCHLD), 0L, 0L, 0L);
#else
    long result = syscall(SYS_clone, (long)(CLONE_PARENT | SIGCHLD), 0L, 0L, 0L, 0L);
#endif

    return result < 0 ? -errno : (pid_t)result;
}

/* A pipe of its own in the place of the template's. */
static bool renew_pipe(void)
{
    int ends[2];
    bool good;

    if (places.pipe[0] < 0)
        return true;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return false;
    good = dup3(ends[0], places.pipe[0], O_CLOEXEC) >= 0 &&
           dup3(ends[1], places.pipe[1], O_CLOEXEC) >= 0;
    close(ends[0]);
    close(ends[1]);
    return good;
}

/* In the new process. Afterwards it is what a stock agent is before its first event. */
static void become_worker(uint32_t number, const int descriptors[TEMPLATE_DESCRIPTORS],
                          const int tables[TEMPLATE_TABLES_MAX])
{
    struct timespec now;
    int seed;

    if (!tell(TEMPLATE_STARTED, number, getpid(), "") ||
        dup3(descriptors[0], MASTER_LISTEN_FD, O_CLOEXEC) < 0 ||
        dup3(descriptors[1], MASTER_STATUS_FD, O_CLOEXEC) < 0 || !renew_pipe() ||
        !template_tables_begin(&places, tables))
        _exit(127);
    prctl(PR_SET_NAME, process_name);
    close(descriptors[0]);
    close(descriptors[1]);
    close(places.root);
    close(places.proc);
    *postfix.pid = getpid();
    postfix.set_mail_conf_int("process_id", getpid());
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        seed = getpid() ^ (int)now.tv_nsec;
    }
    postfix.mysrand(seed);
    postfix.event_fork();
    template_timers_begin();
}

/* Forks for one wish. The pid, in the new process 0, or a negative errno. */
static pid_t fork_worker(uint32_t number, const int descriptors[TEMPLATE_DESCRIPTORS])
{
    int tables[TEMPLATE_TABLES_MAX];
    pid_t pid;

    if (!template_fresh() || postfix.dict_changed_name() || !template_tables_open(&places, tables))
        return -ESTALE;
    pid = brother();
    if (pid == 0)
        become_worker(number, descriptors, tables);
    else
        template_tables_close(places.tables, tables);
    return pid;
}

/* Serves wishes. Returns in workers only. */
static void serve(void)
{
    int descriptors[TEMPLATE_DESCRIPTORS];
    struct template_message wish;
    pid_t pid;

    /* The watchdog: a worker starts it when it comes to its loop. */
    alarm(0);
    /* Should the parent be killed while we are stopped, so are we. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!tell(TEMPLATE_READY, 0, tls, ""))
        _exit(0);
    while (wish_read(&wish, descriptors)) {
        pid = fork_worker(wish.number, descriptors);
        if (pid == 0) {
            asked = false;
            return;
        }
        close(descriptors[0]);
        close(descriptors[1]);
        tell(pid > 0 ? TEMPLATE_STARTED : TEMPLATE_FAILED, wish.number, pid > 0 ? pid : -pid, "");
    }
    _exit(0);
}

/* The first turns of the loop: forks as soon as this process may be forked. */
static void take_over(void)
{
    static unsigned turns;
    char detail[TEMPLATE_DETAIL_SIZE] = "";
    enum template_reason reason = find_postfix() ? TEMPLATE_FINE : TEMPLATE_SYMBOLS;

    if (reason == TEMPLATE_FINE)
        reason = template_look(&places, detail);
    /* The stock loop runs for a second, and with it the timers that close connections. */
    if (reason == TEMPLATE_CONNECTION && turns++ < SETTLE_MOST) {
        if (turns == 1)
            tell(TEMPLATE_SETTLES, 0, 0, "");
        postfix.event_loop(1);
        return;
    }
    if (reason == TEMPLATE_FINE && !template_timers_kept())
        reason = TEMPLATE_TIMERS;
    if (reason == TEMPLATE_FINE)
        reason = template_note_end(*postfix.config_directory, detail);
    if (reason == TEMPLATE_FINE)
        serve();
    else {
        tell(TEMPLATE_REFUSED, 0, (int)reason, detail);
        _exit(0);
    }
}

void event_loop(int delay)
{
    if (!postfix.event_loop)
        *(void **)&postfix.event_loop = template_symbol("event_loop");
    if (asked)
        take_over();
    else
        postfix.event_loop(delay);
}

/* Called before the loop, where any server may be spoken TLS to. */
void *tls_client_init(const void *properties)
{
    void *(*real)(const void *properties);

    *(void **)&real = template_symbol("tls_client_init");
    tls = true;
    return real(properties);
}
