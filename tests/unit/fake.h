#ifndef TESTS_UNIT_FAKE_H
#define TESTS_UNIT_FAKE_H

/*
 * A dispatcher in a process of its own, with the test in the place of master(8), the parent, the
 * workers and qmgr(8): it has the other ends of all that the dispatcher has. Whatever must happen is
 * waited for with WAIT_MS; what must not happen is looked for during QUIET_MS, after an event that
 * shows that the dispatcher had its chance.
 *
 * The dispatcher leaves root for nobody, who must be able to read the queue and own the state.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agents/master.h"
#include "supervisor/dispatcher/dispatcher.h"
#include "supervisor/parent/channel.h"
/* So a request is handed on as it is, whatever was answered before. */
#define WIRE_FLAGS "6147"
#include "tests/unit/wire.h"

#define WAIT_MS 5000
#define QUIET_MS 60
#define WORKERS_MAX 16
#define GREETING_SIZE (sizeof WIRE_GREETING - 1)

/* What a worker of the test has. */
struct fake_worker {
    int listening;
    int status;
    pid_t pid;
};

struct fake {
    char directory[32];
    struct sockaddr_un service; /* where qmgr connects */
    struct config config;
    pid_t dispatcher;
    int master;  /* master's end of the status channel */
    int channel; /* the parent's end */
    int log;
    int lifetime;       /* of messages, s; the captured ones are of 2026 */
    int active_max;     /* messages that qmgr(8) has at a time; 0: not known */
    rlim_t descriptors; /* a lower limit for the dispatcher, or 0 */
    const char *proc;   /* in the place of /proc, or NULL */
    int trigger;        /* of memory pressure, or -1 */
    unsigned started;
    struct fake_worker worker[WORKERS_MAX];
};

static inline bool readable(int fd, int milliseconds)
{
    struct pollfd watch = {.fd = fd, .events = POLLIN};

    return poll(&watch, 1, milliseconds) == 1;
}

static inline int64_t fake_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* All of it, or the test fails. */
static inline void fake_read(int fd, char *bytes, size_t length)
{
    size_t have = 0;

    while (have < length) {
        cr_assert(readable(fd, WAIT_MS), "%zu of %zu bytes came", have, length);
        ssize_t got = read(fd, bytes + have, length - have);

        cr_assert_gt(got, 0, "the end came after %zu of %zu bytes", have, length);
        have += (size_t)got;
    }
}

static inline void fake_write(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        struct pollfd watch = {.fd = fd, .events = POLLOUT};

        cr_assert_eq(poll(&watch, 1, WAIT_MS), 1, "nobody reads");
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);

        cr_assert(sent > 0 || errno == EAGAIN, "%s", strerror(errno));
        if (sent > 0) {
            bytes += sent;
            length -= (size_t)sent;
        }
    }
}

static inline void fake_expect_wire(int fd, const struct wire *want)
{
    char *have = malloc(want->len);

    cr_assert_not_null(have);
    fake_read(fd, have, want->len);
    cr_assert_eq(memcmp(have, want->bytes, want->len), 0);
    free(have);
}

static inline void fake_expect(int fd, const char *text)
{
    struct wire want = wire(text);

    fake_expect_wire(fd, &want);
    wire_free(&want);
}

static inline void fake_say(int fd, const char *text)
{
    struct wire bytes = wire(text);

    fake_write(fd, bytes.bytes, bytes.len);
    wire_free(&bytes);
}

/* The end of file, with nothing before it. Closes. */
static inline void fake_expect_end(int fd)
{
    char byte;

    cr_assert(readable(fd, WAIT_MS), "it is not closed");
    /* A connection that is closed with bytes unread gives an error instead. */
    cr_assert_leq(read(fd, &byte, 1), 0);
    close(fd);
}

static inline int fake_socket(const char *path, int type, struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof address->sun_path, "%s", path);
    cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)address, sizeof *address) == 0);
    cr_assert_eq(chmod(path, 0666), 0);
    return fd;
}

static inline const char *fake_path(const struct fake *fake, const char *name)
{
    static char path[100]; /* fits into a socket address */

    snprintf(path, sizeof path, "%s/%s", fake->directory, name);
    return path;
}

/* In the child: the descriptors where master puts them, nothing else left open, and off. */
_Noreturn static inline void fake_run(const struct fake *fake, pid_t parent, int master,
                                      int listening, int channel)
{
    static struct postconf postconf = {.daemon_directory = "/daemons", .hash_queue_depth = 1};
    struct dispatcher_settings settings = {
        .postconf = &postconf,
        .config = &fake->config,
        .config_source = "the test",
        .service = "test",
        .parent = parent,
        .generation = 5,
        .sockets = 1,
        .word = -1,
        .owner = geteuid() == 0 ? getpwnam("nobody") : getpwuid(geteuid()),
    };
    static struct memory_source memory;
    struct pool_group *group;
    char postlog[128];
    sigset_t signals;
    int status;

    snprintf(postlog, sizeof postlog, "%s", fake_path(fake, "log"));
    settings.journal =
        (struct journal_options){.syslog_name = "test", .host = "test", .postlog = postlog};
    settings.queue_directory = open(fake->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    settings.state_directory = open(fake_path(fake, "state"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* Above all that they could overwrite. */
    master = fcntl(master, F_DUPFD, 60);
    listening = fcntl(listening, F_DUPFD, 60);
    settings.channel = fcntl(channel, F_DUPFD, 100);
    settings.queue_directory = fcntl(settings.queue_directory, F_DUPFD, 100);
    settings.state_directory = fcntl(settings.state_directory, F_DUPFD, 100);
    settings.trigger[0].descriptor = fcntl(fake->trigger, F_DUPFD, 103);
    settings.trigger[1].descriptor = -1;
    dup2(master, MASTER_STATUS_FD);
    dup2(listening, MASTER_LISTEN_FD);
    close_range(MASTER_LISTEN_FD + 1, 99, 0);
    close_range(fake->trigger < 0 ? 103 : 104, ~0U, 0);
    if (fake->descriptors > 0)
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){fake->descriptors, fake->descriptors});
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    postconf.qmgr_message_active_limit = fake->active_max;
    postconf.maximal_queue_lifetime = postconf.bounce_queue_lifetime = fake->lifetime;
    if (group_open(&group, &(struct group_config){.service = "test",
                                                  .wish = GROUP_WISH_OBSERVE,
                                                  .limit = MEMORY_UNLIMITED,
                                                  .high = MEMORY_UNLIMITED,
                                                  .roots = {.proc = fake->proc}}) < 0 ||
        memory_source_open(&memory, group) < 0)
        _exit(99);
    settings.group = group;
    settings.memory = &memory;
    alarm(60); /* should it spin, and the test be gone */
    status = dispatcher_run(&settings);
    _exit(status);
}

static inline void fake_prepare(struct fake *fake)
{
    *fake =
        (struct fake){.directory = "/tmp/headroom-test-XXXXXX", .lifetime = INT_MAX, .trigger = -1};
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        fake->worker[i] = (struct fake_worker){.listening = -1, .status = -1};
    config_defaults(&fake->config);
    fake->config.workers_max = 4;
}

/* With the directory as it is. */
static inline void fake_launch(struct fake *fake)
{
    int master[2], channel[2], listening;
    pid_t parent = getpid();

    listening = fake_socket(fake_path(fake, "service"), SOCK_STREAM, &fake->service);
    cr_assert_eq(listen(listening, 100), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, master), 0);
    cr_assert_eq(channel_open(channel), 0);
    fake->dispatcher = fork();
    if (fake->dispatcher == 0)
        fake_run(fake, parent, master[1], listening, channel[1]);
    close(listening);
    close(master[1]);
    close(channel[1]);
    fake->master = master[0];
    fake->channel = channel[0];
}

static inline void fake_start(struct fake *fake)
{
    const struct passwd *nobody = getpwnam("nobody");
    struct sockaddr_un log;

    signal(SIGPIPE, SIG_IGN);
    cr_assert_not_null(mkdtemp(fake->directory));
    cr_assert_eq(chmod(fake->directory, 0755), 0);
    cr_assert_eq(mkdir(fake_path(fake, "active"), 0755), 0);
    cr_assert_eq(mkdir(fake_path(fake, "state"), 0700), 0);
    if (geteuid() == 0)
        cr_assert_eq(chown(fake_path(fake, "state"), nobody->pw_uid, nobody->pw_gid), 0);
    fake->log = fake_socket(fake_path(fake, "log"), SOCK_DGRAM, &log);
    fake_launch(fake);
}

/* Its exit status, as wait(2) gives it. */
static inline int fake_status(const struct fake *fake)
{
    int64_t deadline = fake_now_ms() + WAIT_MS;
    int status;

    while (waitpid(fake->dispatcher, &status, WNOHANG) == 0) {
        cr_assert(fake_now_ms() < deadline, "it does not end");
        poll(NULL, 0, 1);
    }
    return status;
}

/*
 * The dispatcher does nothing from now on until fake_resume(). kill(2) comes back before it has stopped: it could still take in
 * a part of what it is to find all at once.
 */
static inline void fake_pause(const struct fake *fake)
{
    int status;

    kill(fake->dispatcher, SIGSTOP);
    cr_assert_eq(waitpid(fake->dispatcher, &status, WUNTRACED), fake->dispatcher);
    cr_assert(WIFSTOPPED(status), "it ended with %#x", (unsigned)status);
}

static inline void fake_resume(const struct fake *fake)
{
    kill(fake->dispatcher, SIGCONT);
}

static inline void fake_remove(const struct fake *fake)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", fake->directory);
    cr_assert_eq(system(command), 0); /* NOLINT(cert-env33-c): a name of our own */
}

/* As master ends it. */
static inline void fake_end(const struct fake *fake)
{
    int status;

    kill(fake->dispatcher, SIGTERM);
    close(fake->master);
    status = fake_status(fake);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "it ended with %#x", (unsigned)status);
    fake_remove(fake);
}

/* Waits for a line of the log that has this text. */
static inline void fake_expect_line(const struct fake *fake, const char *text)
{
    char line[2048];

    for (;;) {
        cr_assert(readable(fake->log, WAIT_MS), "nothing says: %s", text);
        ssize_t got = recv(fake->log, line, sizeof line - 1, 0);

        cr_assert_gt(got, 0);
        line[got] = '\0';
        if (strstr(line, text))
            return;
    }
}

/* The parent */

/* The next wish; the number of the worker. */
static inline unsigned fake_expect_spawn(struct fake *fake)
{
    struct channel_message wish;
    int fds[CHANNEL_DESCRIPTORS];

    cr_assert(readable(fake->channel, WAIT_MS), "no worker is wanted");
    cr_assert_eq(channel_receive(fake->channel, &wish, fds), 1, "the dispatcher has gone");
    cr_assert(wish.kind == CHANNEL_SPAWN && wish.worker < fake->config.workers_max);
    cr_assert_lt(wish.worker, WORKERS_MAX);
    cr_assert_eq(fake->worker[wish.worker].listening, -1, "the number is in use");
    fake->worker[wish.worker] = (struct fake_worker){.listening = fds[0], .status = fds[1]};
    return wish.worker;
}

static inline void fake_tell(const struct fake *fake, enum channel_kind kind, unsigned number,
                             pid_t pid, int status)
{
    cr_assert_eq(channel_send(fake->channel,
                              &(struct channel_message){
                                  .kind = kind, .worker = number, .pid = pid, .status = status},
                              NULL),
                 0);
}

static inline void fake_started(struct fake *fake, unsigned number)
{
    struct fake_worker *worker = &fake->worker[number];

    worker->pid = 70000 + (int)fake->started;
    fake->started++;
    fake_tell(fake, CHANNEL_STARTED, number, worker->pid, 0);
}

static inline void fake_closed(struct fake *fake, unsigned number)
{
    struct fake_worker *worker = &fake->worker[number];

    if (worker->listening >= 0)
        close(worker->listening);
    if (worker->status >= 0)
        close(worker->status);
    worker->listening = worker->status = -1;
}

/* The process ends: its descriptors first, then the parent tells. */
static inline void fake_exited(struct fake *fake, unsigned number, int status)
{
    fake_closed(fake, number);
    fake_tell(fake, CHANNEL_EXITED, number, fake->worker[number].pid, status);
}

/* A worker */

static inline void fake_available(const struct fake *fake, unsigned number, int available)
{
    const struct fake_worker *worker = &fake->worker[number];
    const struct master_status status = {
        .pid = worker->pid, .generation = 8, .available = available};

    cr_assert_eq(write(worker->status, &status, sizeof status), (ssize_t)sizeof status);
}

/* Takes the connection, without a word. */
static inline int fake_accept(const struct fake *fake, unsigned number)
{
    int fd;

    cr_assert(readable(fake->worker[number].listening, WAIT_MS), "nobody connects to worker %u",
              number);
    fd = accept(fake->worker[number].listening, NULL, NULL);
    cr_assert_geq(fd, 0);
    return fd;
}

/* As lmtp does: TAKEN, then the greeting. */
static inline int fake_serve(const struct fake *fake, unsigned number)
{
    int fd = fake_accept(fake, number);

    fake_available(fake, number, MASTER_TAKEN);
    fake_say(fd, WIRE_GREETING);
    return fd;
}

/* Is let go, and is available again. */
static inline void fake_released(const struct fake *fake, unsigned number, int connection)
{
    fake_expect_end(connection);
    fake_available(fake, number, MASTER_AVAILABLE);
}

/* The first worker, started for its greeting and idle now. */
static inline unsigned fake_first_worker(struct fake *fake)
{
    unsigned number = fake_expect_spawn(fake);

    fake_started(fake, number);
    fake_released(fake, number, fake_serve(fake, number));
    return number;
}

/* qmgr */

static inline int fake_connect(const struct fake *fake)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_geq(fd, 0);
    cr_assert_eq(connect(fd, (const struct sockaddr *)&fake->service, sizeof fake->service), 0);
    return fd;
}

static inline int fake_greeted(const struct fake *fake)
{
    int fd = fake_connect(fake);

    fake_expect(fd, WIRE_GREETING);
    return fd;
}

/* A request for the message `id`, for that many recipients. */
static inline struct wire fake_request(const char *id, unsigned recipients)
{
    size_t size = 2048 + recipients * 200u;
    char *text = malloc(size);
    struct wire bytes;
    size_t at;

    cr_assert_not_null(text);
    at = (size_t)snprintf(text, size,
                          "flags|" WIRE_FLAGS
                          "|queue_name|active|queue_id|%s|offset|726|size|285|" WIRE_NEXTHOP
                          "smtputf8|0|" WIRE_SENDER WIRE_TIME WIRE_CLIENT "recipient_count|%u||",
                          id, recipients);
    for (unsigned i = 0; i < recipients; i++)
        at += (size_t)snprintf(text + at, size - at,
                               "original_recipient||recipient|user%u@example.com|offset|%u|"
                               "dsn_orig_rcpt|rfc822;user%u@example.com|notify_flags|0||",
                               i, 800 + i, i);
    cr_assert_lt(at, size);
    bytes = wire(text);
    free(text);
    return bytes;
}

static inline void fake_message(const struct fake *fake, const char *id)
{
    char name[64];
    int fd;

    snprintf(name, sizeof name, "active/%s", id);
    fd = open(fake_path(fake, name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    cr_assert_geq(fd, 0);
    close(fd);
}

/* Makes the message and asks for its delivery. Returns qmgr's connection. */
static inline int fake_ask(const struct fake *fake, const char *id)
{
    struct wire request = fake_request(id, 1);
    int fd;

    fake_message(fake, id);
    fd = fake_greeted(fake);
    fake_write(fd, request.bytes, request.len);
    wire_free(&request);
    return fd;
}

/* The worker reads exactly the request for `id` that fake_ask() sends. */
static inline void fake_expect_request(int connection, const char *id)
{
    struct wire want = fake_request(id, 1);
    char *have = malloc(want.len);

    cr_assert_not_null(have);
    fake_read(connection, have, want.len);
    cr_assert_eq(memcmp(have, want.bytes, want.len), 0, "not the request for %s", id);
    free(have);
    wire_free(&want);
}

/* From the kernel's list: to try to lock it would refuse it to the dispatcher at that moment. */
static inline bool fake_locked(const struct fake *fake, const char *id)
{
    char name[64], inode[32], line[256];
    struct stat found;
    bool locked = false;
    FILE *locks = NULL;

    snprintf(name, sizeof name, "active/%s", id);
    cr_assert_eq(stat(fake_path(fake, name), &found), 0);
    snprintf(inode, sizeof inode, ":%ju ", (uintmax_t)found.st_ino);
    /* The kernel gives the list in pieces: a line is missed when a lock before it goes meanwhile. */
    for (int look = 0; look < 10 && !locked; look++) {
        locks = fopen("/proc/locks", "re");
        cr_assert_not_null(locks);
        while (!locked && fgets(line, sizeof line, locks))
            locked = strstr(line, " FLOCK ") && strstr(line, " READ ") && strstr(line, inode);
        fclose(locks);
    }
    return locked;
}

/* The lock is a state of a file: there is nothing to wait for but itself. */
static inline void fake_expect_lock(const struct fake *fake, const char *id, bool locked)
{
    int64_t deadline = fake_now_ms() + WAIT_MS;

    while (fake_locked(fake, id) != locked) {
        cr_assert(fake_now_ms() < deadline, "%s is %slocked", id, locked ? "not " : "");
        poll(NULL, 0, 1);
    }
}

#endif
