/*
 * supervisor/dispatcher/confine.h: who has conquered the dispatcher tries what he would. Each attempt
 * is made in a process of its own, which is confined as the dispatcher is, and says what came of it.
 */

#include "supervisor/dispatcher/confine.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/dispatcher/dispatcher_confine.h"

/* Exit statuses that are no errno value. */
#define SUCCEEDED 200
#define NOT_CONFINED 201

static char directory[] = "/tmp/headroom-confine-XXXXXX";
static char outside[64];

/* Another process of the same user. */
static pid_t victim;

/* 0 or the errno value of the attempt. */
typedef int attempt(void);

static int done(long result)
{
    return result < 0 ? errno : SUCCEEDED;
}

static void be_confined(int *files)
{
    const struct confine_place places[] = {{.name = directory}, {.name = "/nonexistent"}};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        _exit(NOT_CONFINED);
    (void)confine_probe();
    *files = confine_files(places, 2);
    if (confine_calls() < 0)
        _exit(NOT_CONFINED);
}

/* The status of wait(2). */
static int try(attempt *what)
{
    int status, files;
    pid_t pid = fork();

    if (pid == 0) {
        alarm(20);
        be_confined(&files);
        _exit(what());
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static void setup(void)
{
    int status, files = 0;
    pid_t pid;

    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
        cr_skip_test("this kernel, or what runs this, has no seccomp");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(outside, sizeof outside, "/tmp/headroom-outside-%d", (int)getpid());
    victim = fork();
    if (victim == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    pid = fork();
    if (pid == 0) {
        be_confined(&files);
        _exit(files < 0 ? -files : SUCCEEDED);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status));
    cr_assert_neq(WEXITSTATUS(status), NOT_CONFINED, "seccomp");
    if (WEXITSTATUS(status) != SUCCEEDED)
        outside[0] = '\0'; /* no Landlock here */
}

static void teardown(void)
{
    kill(victim, SIGKILL);
    waitpid(victim, NULL, 0);
    if (outside[0] != '\0')
        unlink(outside);
    rmdir(directory);
}

TestSuite(confine, .init = setup, .fini = teardown);

static void expect_error(attempt *what, int error)
{
    int status = try(what);

    cr_expect(WIFEXITED(status), "signal %d", WTERMSIG(status));
    cr_expect_eq(WEXITSTATUS(status), error, "it ended with %d, not %d", WEXITSTATUS(status),
                 error);
}

static void expect_death(attempt *what)
{
    int status = try(what);

    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%#x", (unsigned)status);
    cr_expect_not(WCOREDUMP(status));
}

static int executes(void)
{
    return done(execl("/bin/true", "true", (char *)NULL));
}

static int traces(void)
{
    return done(ptrace(PTRACE_ATTACH, victim, NULL, NULL));
}

static int reads_memory(void)
{
    return done(syscall(SYS_process_vm_readv, victim, NULL, 0, NULL, 0, 0));
}

static int unshares(void)
{
    return done(syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */));
}

Test(confine, an_attack_is_the_end)
{
    expect_death(executes);
    expect_death(traces);
    expect_death(reads_memory);
    expect_death(unshares);
}

static int kills(void)
{
    return done(kill(victim, SIGKILL));
}

static int kills_a_thread(void)
{
    return done(syscall(SYS_tgkill, victim, victim, SIGKILL));
}

static int forks(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(SUCCEEDED);
    return done(pid);
}

static int has_tcp(void)
{
    return done(socket(AF_INET, SOCK_STREAM, 0));
}

static int has_tcp6(void)
{
    return done(socket(AF_INET6, SOCK_STREAM, 0));
}

static int has_netlink(void)
{
    return done(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int limits_another(void)
{
    return done(prlimit(victim, RLIMIT_NOFILE, &(struct rlimit){0, 0}, NULL));
}

static int dumps(void)
{
    return done(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int has_a_ring(void)
{
    return done(syscall(SYS_io_uring_setup, 1, NULL));
}

Test(confine, what_it_has_no_need_of_is_refused)
{
    expect_error(kills, EPERM);
    expect_error(kills_a_thread, EPERM);
    expect_error(forks, EPERM);
    expect_error(has_tcp, EPERM);
    expect_error(has_tcp6, EPERM);
    expect_error(has_netlink, EPERM);
    expect_error(limits_another, EPERM);
    expect_error(dumps, EPERM);
    expect_error(has_a_ring, EPERM);
    cr_expect_eq(kill(victim, 0), 0, "it lives");
}

static int writes_passwd(void)
{
    return done(open("/etc/passwd", O_WRONLY));
}

static int writes_outside(void)
{
    return done(open(outside, O_WRONLY | O_CREAT, 0600));
}

static int links_outside(void)
{
    return done(symlink("/etc/passwd", outside));
}

static int links_inside(void)
{
    if (chdir(directory) < 0)
        return errno;
    return done(symlink("/etc/passwd", "link"));
}

static int removes_outside(void)
{
    return done(unlink("/tmp/.."));
}

static int listening = -1;
static struct sockaddr_in server = {.sin_family = AF_INET};
static int client = -1;

static int connects(void)
{
    return done(connect(client, (const struct sockaddr *)&server, sizeof server));
}

Test(confine, files_are_written_in_its_directories_only)
{
    socklen_t length = sizeof server;

    if (outside[0] == '\0')
        cr_skip_test("this kernel has no Landlock");
    expect_error(writes_passwd, EACCES);
    expect_error(writes_outside, EACCES);
    expect_error(links_outside, EPERM);
    expect_error(links_inside, EPERM);
    cr_expect_neq(WEXITSTATUS(try(removes_outside)), SUCCEEDED);
    /* A socket that it was given. */
    if (syscall(444 /* landlock_create_ruleset */, NULL, 0, 1) < 4)
        return;
    listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cr_assert_eq(bind(listening, (const struct sockaddr *)&server, length), 0);
    cr_assert_eq(listen(listening, 1), 0);
    cr_assert_eq(getsockname(listening, (struct sockaddr *)&server, &length), 0);
    expect_error(connects, EACCES);
}

/* --- as the dispatcher does it: data_directory and the queue have more in them than what is its own --- */

static const char *const others[] = {"data/headroom.other/learned",
                                     "data/headroom.other/worker.1",
                                     "data/verify_cache.db",
                                     "queue/private/retry",
                                     "queue/private/headroom.other/worker.1",
                                     "queue/active/A",
                                     "metrics.prom"};
static const char *const shared[] = {"data",          "data/headroom.other",
                                     "queue/private", "queue/private/headroom.other",
                                     "queue/active",  "queue"};

static int put(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int result = fd < 0 || write(fd, "x", 1) != 1 ? errno : 0;

    if (fd >= 0)
        close(fd);
    return result;
}

/* The number of the first thing that could be done and should not, or the other way round. */
static int conquers(void)
{
    static const char *const own[] = {"data/headroom.lmtp", "queue/private/headroom.lmtp"};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[128];
    int fd;

    if (chdir(directory) < 0)
        return 1;
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
        if (put(others[i]) != EACCES || unlink(others[i]) == 0 ||
            rename(others[i], "data/headroom.lmtp/taken") == 0)
            return 10 + (int)i;
    for (unsigned i = 0; i < sizeof shared / sizeof shared[0]; i++) {
        snprintf(path, sizeof path, "%s/new", shared[i]);
        snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", shared[i]);
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (put(path) != EACCES || mkdir(path, 0700) == 0 ||
            bind(fd, (const struct sockaddr *)&address, sizeof address) == 0)
            return 30 + (int)i;
        close(fd);
    }
    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/file", own[i]);
        snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", own[i]);
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (put(path) != 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
            rename(path, path) < 0 || unlink(path) < 0 || unlink(address.sun_path) < 0)
            return 50 + (int)i;
        close(fd);
    }
    /* At the end it leaves nothing in the queue. */
    return rmdir("queue/private/headroom.lmtp") == 0 ? SUCCEEDED : 60;
}

/* The exit status of one who is confined with this state directory, or none, and does it. */
static int confined_with(const char *state, attempt *what)
{
    static struct postconf postconf;
    static struct config config;
    struct dispatcher_confinement confinement = {0};
    struct dispatcher_settings settings = {.postconf = &postconf,
                                           .config = &config,
                                           .service = "lmtp",
                                           .confined = true,
                                           .state_directory = -1};
    struct passwd owner = {.pw_uid = geteuid(), .pw_gid = getegid()};
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        alarm(20);
        settings.owner = &owner;
        snprintf(postconf.data_directory, sizeof postconf.data_directory, "%s/data", directory);
        if (chdir(directory) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
            _exit(1);
        settings.queue_directory = open("queue", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (state)
            settings.state_directory = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        dispatcher_confine_files(&confinement, &settings);
        _exit(confinement.files < 0 ? 2 : what());
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The disk was full when it started, and has room now. */
static int makes_state(void)
{
    return chdir(directory) == 0 && mkdir("data/headroom.late", 0700) == 0 &&
                   put("data/headroom.late/learned") == 0
               ? SUCCEEDED
               : errno;
}

Test(confine, nothing_of_others_in_shared_directories)
{
    static const char *const made[] = {
        "data",         "data/headroom.lmtp", "data/headroom.other",         "queue",
        "queue/active", "queue/private",      "queue/private/headroom.other"};

    if (outside[0] == '\0')
        cr_skip_test("this kernel has no Landlock");
    cr_assert_eq(chdir(directory), 0);
    for (unsigned i = 0; i < sizeof made / sizeof made[0]; i++)
        cr_assert_eq(mkdir(made[i], 0700), 0);
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_assert_eq(put(others[i]), 0);
    cr_expect_eq(confined_with("data/headroom.lmtp", conquers), SUCCEEDED);
    cr_expect_eq(confined_with(NULL, makes_state), SUCCEEDED);
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_expect_eq(unlink(others[i]), 0);
    cr_expect_eq(unlink("data/headroom.late/learned"), 0);
    cr_expect_eq(rmdir("data/headroom.late"), 0);
    cr_expect_eq(rmdir("queue/private/headroom.lmtp"), 0);
    for (unsigned i = sizeof made / sizeof made[0]; i > 0; i--)
        cr_expect_eq(rmdir(made[i - 1]), 0, "%s", made[i - 1]);
}

static void *say(void *argument)
{
    pthread_barrier_t *barrier = argument;

    pthread_barrier_wait(barrier);
    kill(victim, SIGKILL);
    return NULL;
}

/* What the dispatcher does. The log's thread is older than the filter, which holds for it, too. */
static int works(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    char *memory = malloc(1 << 22);
    int pair[2], fd;

    if (!memory || chdir(directory) < 0)
        return 1;
    memset(memory, 1, 1 << 22);
    free(memory);
    fd = open("file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, "text", 4) != 4 || fchmod(fd, 0644) < 0 || fsync(fd) < 0 ||
        close(fd) < 0 || rename("file", "other") < 0 || unlink("other") < 0 ||
        mkdir("sub", 0700) < 0 || rmdir("sub") < 0)
        return 2;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, 4) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 ||
        connect(pair[0], (const struct sockaddr *)&address, sizeof address) == 0 ||
        unlink("socket") < 0)
        return 3;
    if (prctl(PR_SET_PDEATHSIG, 0) < 0 || seteuid(getuid()) < 0 || setegid(getgid()) < 0)
        return 4;
    if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0)
        return 5;
    return SUCCEEDED;
}

static int ends_itself(void)
{
    abort();
}

Test(confine, what_it_needs_goes_on)
{
    int status, files;
    pid_t pid;

    expect_error(works, SUCCEEDED);
    status = try(ends_itself);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%#x", (unsigned)status);
    cr_expect_not(WCOREDUMP(status), "addresses of people are in it");
    pid = fork();
    if (pid == 0) {
        pthread_barrier_t barrier;
        pthread_t thread;

        pthread_barrier_init(&barrier, NULL, 2);
        if (pthread_create(&thread, NULL, say, &barrier) != 0)
            _exit(1);
        be_confined(&files);
        pthread_barrier_wait(&barrier);
        pthread_join(thread, NULL);
        /* No other thread is made any more. */
        _exit(pthread_create(&thread, NULL, say, &barrier) == 0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(status, 0, "%#x", (unsigned)status);
    cr_expect_eq(kill(victim, 0), 0, "it lives");
}

/* Another filter ends who calls seccomp(2), as systemd's SystemCallFilter= does. */
static void be_filtered(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || !filter ||
        seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(seccomp), 0) < 0 ||
        seccomp_load(filter) < 0)
        _exit(NOT_CONFINED);
}

Test(confine, a_filter_that_forbids_it_is_seen_by_a_child)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        be_filtered();
        _exit(confine_probe() == -EPERM ? SUCCEEDED : 1);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == SUCCEEDED);
}
