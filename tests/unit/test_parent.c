/*
 * supervisor/parent/parent.c in a process of its own. The test is the dispatcher's side of the channel and master(8)'s side of the
 * status channel; the process that the parent takes for the dispatcher only waits for the end of the channel. Workers are
 * shells: each has one socket, as fd 5 and as fd 6, from which it reads a line and does what that says. Whom the parent leaves
 * behind becomes a child of the test.
 */

#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "agents/template.h"
#include "supervisor/parent/parent.h"
#include "tests/unit/fake.h"

#define WORKERS 32
#define GENERATION 7u

/* Long before the parent's patience with those that do not end (600 ms). */
#define AT_ONCE_MS 400

#define SCRIPT "read order <&5; eval \"$order\""
#define WORK "echo ready >&5; read more <&5; echo $more >&5\n"

struct scene {
    struct fake fake; /* its directory, log, and the ends of the channels */
    const char *worker_path;
    bool stubborn;         /* the dispatcher does not end by itself */
    bool narrow;           /* few messages fit into the channel */
    bool endless;          /* each wish to end a worker is followed by the next */
    int dispatcher_status; /* with which it ends by itself */
    pid_t victim;          /* of a template that lies; 0: there is none */
    pid_t parent;
    pid_t dispatcher;
    int worker[WORKERS]; /* our ends */
};

/* In the parent of an endless scene: the dispatcher's end of the channel, and master(8)'s. */
static int endless_end = -1, endless_master;

/* What the parent calls in the place of the C library's. */
int kill(pid_t pid, int signal)
{
    static bool told;

    if (endless_end < 0 || signal != SIGKILL)
        return (int)syscall(SYS_kill, pid, signal);
    if (!told)
        told = write(endless_master, "", 1) == 1;
    return channel_send(endless_end, &(struct channel_message){.kind = CHANNEL_KILL}, NULL);
}

/*
 * This program in the place of the agent, when LIAR is in the environment: a template that tells of
 * a process which it has not made, and workers that only wait.
 */
#define LIAR "HEADROOM_TEST_LIAR" /* the process, and a file that is made when it is asked next */

__attribute__((constructor)) static void be_liar(void)
{
    const char *lie = getenv(LIAR);
    struct template_message message = {.kind = TEMPLATE_READY};
    char *path;
    int pid, fd;

    if (!lie)
        return;
    alarm(60);
    pid = (int)strtol(lie, &path, 10);
    if (getenv(TEMPLATE_ENVIRONMENT)) {
        if (send(MASTER_STATUS_FD, &message, sizeof message, 0) < 0)
            _exit(1);
        fd = open(path + 1, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        close(fd);
        while (recv(MASTER_STATUS_FD, &message, sizeof message, 0) == (ssize_t)sizeof message) {
            message.kind = TEMPLATE_STARTED;
            message.value = pid;
            (void)send(MASTER_STATUS_FD, &message, sizeof message, MSG_NOSIGNAL);
        }
    }
    for (;;)
        pause();
}

_Noreturn static void be_dispatcher(const struct scene *scene, int channel)
{
    struct pollfd watch = {.fd = channel, .events = POLLRDHUP};

    alarm(60);
    while (scene->stubborn)
        pause();
    poll(&watch, 1, -1);
    _exit(scene->dispatcher_status);
}

_Noreturn static void be_parent(const struct scene *scene, int channel, int dispatchers, int master)
{
    char name[] = "agent", command[] = "-c", script[] = SCRIPT, zero[] = "zero", more[] = "-u";
    char *arguments[] = {name, command, script, zero, more, NULL};
    struct parent parent = {
        .channel = channel,
        .status = master,
        .lock = -1,
        .workers_max = WORKERS,
        .worker_path = scene->worker_path,
        .worker_arguments = arguments,
        .generation = GENERATION,
        .template_object = scene->victim > 0 ? scene->worker_path : NULL,
    };
    const struct journal_options options = {
        .syslog_name = "test", .host = "test", .postlog = fake_path(&scene->fake, "log")};
    sigset_t signals;
    int status;

    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    if (scene->victim > 0) {
        char lie[160];

        snprintf(lie, sizeof lie, "%d %s/asked", (int)scene->victim, scene->fake.directory);
        setenv(LIAR, lie, 1);
    }
    setenv("GENERATION", "3", 1);
    setenv("MAIL_CONFIG", "/configuration", 1);
    alarm(60); /* should the test be gone */
    if (group_open(&parent.group, &(struct group_config){.service = "test",
                                                         .wish = GROUP_WISH_OBSERVE,
                                                         .limit = MEMORY_UNLIMITED,
                                                         .high = MEMORY_UNLIMITED}) < 0)
        _exit(99);
    parent.dispatcher = fork();
    if (parent.dispatcher == 0) {
        close(channel);
        close(master);
        be_dispatcher(scene, dispatchers);
    }
    if (scene->endless) {
        endless_end = dispatchers;
        endless_master = master;
    } else {
        close(dispatchers);
    }
    if (write(master, &parent.dispatcher, sizeof parent.dispatcher) < 0 ||
        journal_open(&parent.journal, &options) < 0)
        _exit(98);
    status = parent_run(&parent);
    journal_close(parent.journal, 1000);
    _exit(status);
}

static void prepare(struct scene *scene)
{
    *scene = (struct scene){.worker_path = "/bin/sh"};
    fake_prepare(&scene->fake);
    for (unsigned i = 0; i < WORKERS; i++)
        scene->worker[i] = -1;
}

static void start(struct scene *scene)
{
    struct fake *fake = &scene->fake;
    struct sockaddr_un log;
    int channel[2], master[2];
    const int least = 1; /* the kernel makes it its minimum */

    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    cr_assert_not_null(mkdtemp(fake->directory));
    fake->log = fake_socket(fake_path(fake, "log"), SOCK_DGRAM, &log);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, master), 0);
    cr_assert_eq(channel_open(channel), 0);
    if (scene->narrow)
        cr_assert_eq(setsockopt(channel[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof least), 0);
    scene->parent = fork();
    if (scene->parent == 0) {
        close(fake->log);
        close(master[0]);
        be_parent(scene, channel[0], channel[1], master[1]);
    }
    close(channel[0]);
    close(master[1]);
    fake->channel = channel[1];
    fake->master = master[0];
    fake_read(fake->master, (char *)&scene->dispatcher, sizeof scene->dispatcher);
}

/* The parent's status as wait(2) gives it, which must have come within the time. */
static void expect_end(const struct scene *scene, int exit_status, int64_t begin, int milliseconds)
{
    int status = fake_status(&(struct fake){.dispatcher = scene->parent});
    int64_t took = fake_now_ms() - begin;

    cr_assert(WIFEXITED(status), "%#x", (unsigned)status);
    cr_assert_eq(WEXITSTATUS(status), exit_status, "it ended with %d", WEXITSTATUS(status));
    cr_assert_lt(took, milliseconds, "it took %d ms", (int)took);
    cr_assert(kill(scene->dispatcher, 0) < 0 && errno == ESRCH, "the dispatcher is left");
}

static void finish(const struct scene *scene)
{
    for (unsigned i = 0; i < WORKERS; i++)
        if (scene->worker[i] >= 0)
            close(scene->worker[i]);
    close(scene->fake.channel);
    close(scene->fake.master);
    close(scene->fake.log);
    fake_remove(&scene->fake);
}

static void wish(const struct scene *scene, enum channel_kind kind, unsigned number, const int *fds)
{
    const struct channel_message message = {.kind = kind, .worker = number};
    struct pollfd watch = {.fd = scene->fake.channel, .events = POLLOUT};

    cr_assert_eq(poll(&watch, 1, WAIT_MS), 1, "the parent does not read");
    cr_assert_eq(channel_send(scene->fake.channel, &message, fds), 0);
}

/* Wishes a worker and gives it its order. */
static void spawn(struct scene *scene, unsigned number, const char *order)
{
    int ends[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    fake_write(ends[0], order, strlen(order));
    wish(scene, CHANNEL_SPAWN, number, (int[]){ends[1], ends[1]});
    close(ends[1]);
    if (scene->worker[number] >= 0)
        close(scene->worker[number]);
    scene->worker[number] = ends[0];
}

static struct channel_message expect(const struct scene *scene, enum channel_kind kind,
                                     unsigned number)
{
    struct channel_message news;
    int fds[CHANNEL_DESCRIPTORS];

    cr_assert(readable(scene->fake.channel, WAIT_MS), "nothing is told of worker %u", number);
    cr_assert_eq(channel_receive(scene->fake.channel, &news, fds), 1, "the parent has gone");
    cr_assert_eq(news.kind, kind, "%u was told of worker %u", news.kind, news.worker);
    cr_assert_eq(news.worker, number);
    return news;
}

static void expect_text(const struct scene *scene, unsigned number, const char *text)
{
    char have[64];
    size_t length = strlen(text);

    cr_assert_lt(length, sizeof have);
    fake_read(scene->worker[number], have, length);
    cr_assert_eq(memcmp(have, text, length), 0, "worker %u says: %.*s", number, (int)length, have);
}

/* Started, and at its work. */
static pid_t started(struct scene *scene, unsigned number, const char *order)
{
    pid_t pid;

    spawn(scene, number, order);
    pid = expect(scene, CHANNEL_STARTED, number).pid;
    expect_text(scene, number, "ready\n");
    return pid;
}

/* That it is stopped, or gone, is a state of a process: there is nothing to wait for but itself. */
static void wait_for(pid_t pid, bool stopped)
{
    int64_t deadline = fake_now_ms() + WAIT_MS;

    for (;;) {
        char path[64];
        char stat[128] = "";
        bool there;
        FILE *file;

        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        file = fopen(path, "re");
        /* It may go between the two. */
        there = file && fgets(stat, sizeof stat, file);
        if (file)
            fclose(file);
        if (!there && !stopped)
            return;
        cr_assert(there, "process %d has gone", (int)pid);
        if (stopped && strstr(stat, ") T "))
            return;
        cr_assert(fake_now_ms() < deadline, "still %s", stat);
        poll(NULL, 0, 1);
    }
}

/* It was not disturbed: it goes on, ends by itself, and nobody but the test is there to reap it. */
static void expect_goes_on(const struct scene *scene, unsigned number, pid_t pid)
{
    int status;

    cr_assert(!readable(scene->worker[number], QUIET_MS), "the worker has ended");
    fake_write(scene->worker[number], "done\n", 5);
    expect_text(scene, number, "done\n");
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0);
}

Test(parent, a_signal_ends_all_workers_within_a_second)
{
    for (int stubborn = 0; stubborn < 2; stubborn++) {
        struct scene scene;
        pid_t pid[3];
        int64_t begin;

        prepare(&scene);
        scene.stubborn = stubborn;
        start(&scene);
        pid[0] = started(&scene, 0, "echo ready >&5; exec sleep 1000\n");
        pid[1] = started(&scene, 5, WORK);
        pid[2] = stubborn ? started(&scene, WORKERS - 1,
                                    "trap '' TERM INT; echo ready >&5; exec sleep 1000\n")
                          : started(&scene, WORKERS - 1, WORK);
        if (stubborn) {
            kill(pid[1], SIGSTOP);
            wait_for(pid[1], true);
        }
        begin = fake_now_ms();
        kill(scene.parent, stubborn ? SIGTERM : SIGINT);
        expect_end(&scene, EXIT_SUCCESS, begin, stubborn ? 1000 : AT_ONCE_MS);
        /* Not even as zombies: those would be ours now. */
        for (int i = 0; i < 3; i++)
            cr_assert(kill(pid[i], 0) < 0 && errno == ESRCH, "worker %d is left", i);
        finish(&scene);
    }
}

Test(parent, the_end_of_master_disturbs_no_worker)
{
    for (int stubborn = 0; stubborn < 2; stubborn++) {
        struct scene scene;
        int64_t begin;
        pid_t pid;

        prepare(&scene);
        scene.stubborn = stubborn;
        start(&scene);
        pid = started(&scene, 3, WORK);
        begin = fake_now_ms();
        shutdown(scene.fake.master, SHUT_RDWR);
        expect_end(&scene, EXIT_SUCCESS, begin, stubborn ? 5000 : AT_ONCE_MS);
        expect_goes_on(&scene, 3, pid);
        finish(&scene);
    }
}

Test(parent, the_end_of_the_dispatcher_disturbs_no_worker)
{
    static const struct {
        int exit_status; /* -1: killed */
        int parents;
        const char *line;
    } ends[] = {
        {-1, EXIT_FAILURE, "the dispatcher ended unexpectedly (signal 9)"},
        {3, EXIT_FAILURE, "the dispatcher ended unexpectedly (exit status 3)"},
        {0, EXIT_SUCCESS, NULL},
    };

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct scene scene;
        int64_t begin;
        pid_t pid;

        prepare(&scene);
        scene.dispatcher_status = ends[i].exit_status;
        start(&scene);
        pid = started(&scene, 3, WORK);
        begin = fake_now_ms();
        if (ends[i].exit_status < 0)
            kill(scene.dispatcher, SIGKILL);
        else
            shutdown(scene.fake.channel, SHUT_RDWR);
        expect_end(&scene, ends[i].parents, begin, AT_ONCE_MS);
        if (ends[i].line)
            fake_expect_line(&scene.fake, ends[i].line);
        else
            cr_assert(!readable(scene.fake.log, 0));
        expect_goes_on(&scene, 3, pid);
        finish(&scene);
    }
}

/* What the dispatcher never sends. */
static void send_nonsense(struct scene *scene, int way)
{
    static const char bytes[2 * sizeof(struct channel_message)];
    const int channel = scene->fake.channel;
    const int two[] = {scene->fake.master, scene->fake.master};

    switch (way) {
    case 0:
        spawn(scene, 3, WORK); /* in use */
        break;
    case 1:
        wish(scene, CHANNEL_SPAWN, WORKERS, two);
        break;
    case 2:
        wish(scene, CHANNEL_SPAWN, UINT32_MAX, two);
        break;
    case 3:
        wish(scene, CHANNEL_KILL, WORKERS, NULL);
        break;
    case 4:
        wish(scene, CHANNEL_FAILED, 0, NULL);
        break;
    case 5:
        cr_assert_eq(write(channel, bytes, 1), 1);
        break;
    case 6:
        cr_assert_eq(write(channel, bytes, sizeof bytes), (ssize_t)sizeof bytes);
        break;
    default: { /* without descriptors */
        const struct channel_message message = {.kind = CHANNEL_SPAWN};

        cr_assert_eq(write(channel, &message, sizeof message), (ssize_t)sizeof message);
    }
    }
}

Test(parent, nonsense_of_the_dispatcher_is_a_failure_and_disturbs_no_worker)
{
    for (int way = 0; way < 8; way++) {
        struct scene scene;
        int64_t begin;
        pid_t pid;

        prepare(&scene);
        start(&scene);
        pid = started(&scene, 3, WORK);
        if (way == 0) { /* the first one's socket is needed below */
            int kept = scene.worker[3];

            scene.worker[3] = -1;
            begin = fake_now_ms();
            send_nonsense(&scene, way);
            close(scene.worker[3]);
            scene.worker[3] = kept;
        } else {
            begin = fake_now_ms();
            send_nonsense(&scene, way);
        }
        expect_end(&scene, EXIT_FAILURE, begin, AT_ONCE_MS);
        fake_expect_line(&scene.fake, "the dispatcher sent a malformed message");
        expect_goes_on(&scene, 3, pid);
        finish(&scene);
    }
}

/* A connection to a server that takes nothing, and whose end waits for it. */
static int lingers(void)
{
    static char much[1 << 20];
    const struct linger linger = {.l_onoff = 1, .l_linger = 30};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_eq(bind(server, (const struct sockaddr *)&address, length), 0);
    cr_assert_eq(listen(server, 1), 0);
    cr_assert_eq(getsockname(server, (struct sockaddr *)&address, &length), 0);
    cr_assert_eq(connect(client, (const struct sockaddr *)&address, length), 0);
    while (send(client, much, sizeof much, MSG_DONTWAIT) > 0)
        ;
    cr_assert_eq(setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    return client;
}

/* Whatever the dispatcher sends, a signal ends all within a second. */
Test(parent, a_descriptor_that_is_slow_to_close_is_not_waited_for)
{
    struct channel_message message = {.kind = CHANNEL_SPAWN, .worker = 1};
    struct scene scene;
    int64_t begin;
    int slow;

    prepare(&scene);
    start(&scene);
    slow = lingers();
    /* The last one who closes it waits: that is to be the parent. */
    kill(scene.parent, SIGSTOP);
    wait_for(scene.parent, true);
    wish(&scene, (enum channel_kind)message.kind, message.worker, (int[]){slow, slow});
    close(slow);
    begin = fake_now_ms();
    kill(scene.parent, SIGCONT);
    expect_end(&scene, EXIT_FAILURE, begin, 1000);
    finish(&scene);
}

Test(parent, a_stream_of_wishes_without_an_end_does_not_keep_signals_out)
{
    struct scene scene;
    int64_t begin;

    prepare(&scene);
    scene.endless = true;
    start(&scene);
    started(&scene, 0, WORK);
    wish(&scene, CHANNEL_KILL, 0, NULL);
    fake_read(scene.fake.master, (char[1]){0}, 1);
    begin = fake_now_ms();
    kill(scene.parent, SIGTERM);
    expect_end(&scene, EXIT_SUCCESS, begin, 1000);
    finish(&scene);
}

/* The template is mail_owner's: what it tells is no reason to signal whom root may. */
Test(parent, a_template_that_tells_of_another_process)
{
    struct scene scene;
    int64_t deadline = fake_now_ms() + WAIT_MS;

    prepare(&scene);
    scene.worker_path = "/proc/self/exe";
    scene.victim = fork();
    if (scene.victim == 0) {
        alarm(60);
        for (;;)
            pause();
    }
    start(&scene);
    while (access(fake_path(&scene.fake, "asked"), F_OK) < 0 && fake_now_ms() < deadline)
        poll(NULL, 0, 1);
    spawn(&scene, 0, "\n");
    cr_assert_eq(expect(&scene, CHANNEL_FAILED, 0).status, EAGAIN);
    fake_expect_line(&scene.fake, "it told of a process that is no worker");
    kill(scene.parent, SIGTERM);
    expect_end(&scene, EXIT_SUCCESS, fake_now_ms(), 1000);
    cr_assert_eq(waitpid(scene.victim, NULL, WNOHANG), 0, "the victim lives");
    kill(scene.victim, SIGKILL);
    waitpid(scene.victim, NULL, 0);
    finish(&scene);
}

/* All of them have been reaped before the first word of the parent is read. */
Test(parent, nothing_is_lost_while_the_dispatcher_does_not_read)
{
    struct scene scene;
    struct channel_message news;
    pid_t pid[WORKERS], told[WORKERS] = {0};
    int fds[CHANNEL_DESCRIPTORS];
    unsigned ended = 0;

    prepare(&scene);
    scene.narrow = true;
    start(&scene);
    for (unsigned i = 0; i < WORKERS; i++)
        spawn(&scene, i, "printf '%9d' $$ >&5; exit 3\n");
    for (unsigned i = 0; i < WORKERS; i++) {
        char text[10] = "";

        fake_read(scene.worker[i], text, 9);
        pid[i] = (pid_t)strtol(text, NULL, 10);
        wait_for(pid[i], false);
    }
    while (ended < WORKERS) {
        cr_assert(readable(scene.fake.channel, WAIT_MS), "%u of %u ends are told", ended, WORKERS);
        cr_assert_eq(channel_receive(scene.fake.channel, &news, fds), 1);
        cr_assert_lt(news.worker, WORKERS);
        cr_assert_eq(news.pid, pid[news.worker]);
        if (news.kind == CHANNEL_STARTED) {
            cr_assert_eq(told[news.worker], 0, "%u started twice", news.worker);
            told[news.worker] = news.pid;
        } else {
            cr_assert_eq(news.kind, CHANNEL_EXITED);
            cr_assert_eq(told[news.worker], news.pid, "%u: its end without its start", news.worker);
            cr_assert(WIFEXITED(news.status) && WEXITSTATUS(news.status) == 3);
            told[news.worker] = -1; /* its end once only */
            ended++;
        }
    }
    /* It goes on as ever, with the same numbers. */
    started(&scene, 0, WORK);
    fake_write(scene.worker[0], "done\n", 5);
    cr_assert_eq(expect(&scene, CHANNEL_EXITED, 0).status, 0);
    kill(scene.parent, SIGTERM);
    expect_end(&scene, EXIT_SUCCESS, fake_now_ms(), AT_ONCE_MS);
    finish(&scene);
}

Test(parent, kill_ends_one_worker)
{
    struct scene scene;
    struct channel_message news;
    pid_t pid;

    prepare(&scene);
    start(&scene);
    pid = started(&scene, 0, "trap '' TERM; " WORK);
    started(&scene, 1, WORK);
    wish(&scene, CHANNEL_KILL, 2, NULL); /* has ended by itself: they have crossed */
    wish(&scene, CHANNEL_KILL, 0, NULL);
    news = expect(&scene, CHANNEL_EXITED, 0);
    cr_assert_eq(news.pid, pid);
    cr_assert(WIFSIGNALED(news.status) && WTERMSIG(news.status) == SIGKILL);
    fake_write(scene.worker[1], "done\n", 5);
    expect_text(&scene, 1, "done\n");
    cr_assert_eq(expect(&scene, CHANNEL_EXITED, 1).status, 0);
    kill(scene.parent, SIGTERM);
    expect_end(&scene, EXIT_SUCCESS, fake_now_ms(), AT_ONCE_MS);
    finish(&scene);
}

/* postfix-protocol.md 1.2: GENERATION is in octal digits, one more for each process. */
Test(parent, workers_have_their_arguments_and_generation)
{
    static const char arguments[] = "agent\0-c\0" SCRIPT "\0zero\0-u";
    static const char *const generation[] = {"GENERATION=10", "GENERATION=11"};
    struct scene scene;

    prepare(&scene);
    start(&scene);
    for (unsigned i = 0; i < 2; i++) {
        static char have[65536];
        size_t length = 0;
        ssize_t got;
        unsigned found = 0;
        bool kept = false;

        spawn(&scene, 4, "cat /proc/$$/cmdline /proc/$$/environ >&5\n");
        expect(&scene, CHANNEL_STARTED, 4);
        cr_assert_eq(expect(&scene, CHANNEL_EXITED, 4).status, 0);
        while ((got = read(scene.worker[4], have + length, sizeof have - 1 - length)) > 0)
            length += (size_t)got;
        have[length] = '\0';
        cr_assert_gt(length, sizeof arguments);
        cr_assert_eq(memcmp(have, arguments, sizeof arguments), 0);
        for (const char *at = have + sizeof arguments; at < have + length; at += strlen(at) + 1) {
            kept = kept || strcmp(at, "MAIL_CONFIG=/configuration") == 0;
            if (strncmp(at, "GENERATION=", strlen("GENERATION=")) != 0)
                continue;
            found++;
            cr_assert_str_eq(at, generation[i]);
        }
        cr_assert(kept && found == 1, "%u entries", found);
    }
    kill(scene.parent, SIGTERM);
    expect_end(&scene, EXIT_SUCCESS, fake_now_ms(), AT_ONCE_MS);
    finish(&scene);
}

Test(parent, what_cannot_be_executed_is_said)
{
    static const struct {
        const char *path;
        int error;
    } bad[] = {{"/nonexistent/lmtp", ENOENT}, {"/etc/passwd", EACCES}};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct scene scene;

        prepare(&scene);
        scene.worker_path = bad[i].path;
        start(&scene);
        /* Twice, because the number is free again. */
        for (int round = 0; round < 2; round++) {
            spawn(&scene, 6, WORK);
            cr_assert_eq(expect(&scene, CHANNEL_FAILED, 6).status, bad[i].error, "%s", bad[i].path);
        }
        kill(scene.parent, SIGTERM);
        expect_end(&scene, EXIT_SUCCESS, fake_now_ms(), AT_ONCE_MS);
        finish(&scene);
    }
}
