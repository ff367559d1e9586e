#ifndef TESTS_UNIT_ROUTER_HARNESS_H
#define TESTS_UNIT_ROUTER_HARNESS_H

/*
 * For tests of supervisor/dispatcher/router.c with the real modules, in this process: the test is
 * qmgr(8), the parent, the workers and retry(8), and does between two turns what the dispatcher
 * does.
 */

#include "supervisor/admission/admission_view.h"
#include "supervisor/dispatcher/router.h"

#include <signal.h>
#include <sys/file.h>

#include "agents/master.h"
#include "supervisor/limits.h"
#include "supervisor/parent/channel.h"
#include "tests/lib/limit_defaults.h"
#include "tests/unit/peer.h"

#define MAX 8
#define TICK SECOND

/* Where the clock may jump. */
enum place { IN_CLIENT, IN_FLEET, IN_RETRY, IN_STEP, IN_DEMAND, IN_PREPARE, PLACES };

/* A process of the test, which works by itself when t.automatic. */
struct process {
    bool alive;
    int listening;
    int status;
    int connection; /* -1: none */
    size_t length;  /* of what it has read */
    char bytes[8192];
};

static struct {
    struct config config;
    struct postconf postconf;
    struct complaints complaints;
    struct totals totals;
    struct failures failures;
    struct budget budget;
    struct router router;
    struct sockets sockets;
    struct passwd owner;
    int directory; /* of sockets */
    struct pool_group *group;
    struct memory_source memory;
    int channel;
    int parent;
    int service;
    int retry; /* -1: there is none */
    uint64_t tick;
    uint64_t due; /* what the last turn said */
    bool automatic;
    unsigned delivered; /* by automatic workers */
    struct process process[MAX];
    uint64_t jump[PLACES];
    bool nested; /* stepped() enters a sink: what no module does */
    unsigned stepped;
} t;

/* --- automatic workers ---------------------------------------------------------------------------- */

static inline void ends(unsigned number, int status)
{
    struct process *process = &t.process[number];

    process->alive = false;
    close(process->listening);
    close(process->status);
    if (process->connection >= 0)
        close(process->connection);
    cr_assert_eq(channel_send(t.parent,
                              &(struct channel_message){.kind = CHANNEL_EXITED,
                                                        .worker = number,
                                                        .pid = 1000 + (int)number,
                                                        .status = status},
                              NULL),
                 0);
}

static inline void parent_looks(void)
{
    struct channel_message message;
    int fds[CHANNEL_DESCRIPTORS];

    while (channel_receive(t.parent, &message, fds) == 1) {
        struct channel_message started = {
            .kind = CHANNEL_STARTED, .worker = message.worker, .pid = 1000 + (int)message.worker};

        cr_assert_lt(message.worker, MAX);
        if (message.kind == CHANNEL_KILL) {
            ends(message.worker, SIGKILL);
            continue;
        }
        t.process[message.worker] = (struct process){
            .alive = true, .listening = fds[0], .status = fds[1], .connection = -1};
        cr_assert_eq(channel_send(t.parent, &started, NULL), 0);
    }
}

/* Greets, reads a request to its end, delivers; goes when it is told to and is idle. */
static inline void worker_works(unsigned number)
{
    struct process *process = &t.process[number];
    struct request request;
    ssize_t got;

    if (process->connection < 0) {
        process->connection = accept4(process->listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        process->length = 0;
        if (process->connection >= 0)
            peer_say(process->connection, WIRE_GREETING);
        else if (!peer_quiet(process->status))
            ends(number, 0);
        return;
    }
    got = recv(process->connection, process->bytes + process->length,
               sizeof process->bytes - process->length, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got > 0) {
        process->length += (size_t)got;
        request_init(&request);
        if (request_parse(&request, process->bytes, process->length) != 0)
            return;
        cr_assert_eq(process->length, request.length);
        peer_say(process->connection, WIRE_REPLY_DONE);
        t.delivered++;
        return; /* stock agents wait for the end */
    }
    close(process->connection);
    process->connection = -1;
}

static inline void others_work(void)
{
    if (!t.automatic)
        return;
    parent_looks();
    for (unsigned i = 0; i < MAX; i++)
        if (t.process[i].alive)
            worker_works(i);
}

/* The dispatcher is away for so long, and all others go on. */
static inline void away(enum place place)
{
    if (t.jump[place] == 0)
        return;
    jumped += t.jump[place];
    t.jump[place] = 0;
    for (unsigned i = 0; i < 4; i++)
        others_work();
}

/* --- sinks with a clock that jumps ------------------------------------------------------------------ */

static inline void on_client(void *context, enum clients_kind kind, struct client *client)
{
    away(IN_CLIENT);
    router_on_client(context, kind, client);
}

static inline void on_fleet(void *context, const struct fleet_event *event)
{
    away(IN_FLEET);
    router_on_fleet(context, event);
}

static inline void on_retry(void *context, const struct retry_event *event)
{
    away(IN_RETRY);
    router_on_retry(context, event);
}

static inline void on_step(void *context, enum limit_mode before)
{
    away(IN_STEP);
    router_on_step(context, before);
}

static inline struct limit_demand demand(const void *context)
{
    away(IN_DEMAND);
    return router_demand(context);
}

static inline void prepare(void *context, void *work, struct retry_letter *letter)
{
    away(IN_PREPARE);
    router_prepare(context, work, letter);
}

static inline void stepped(void *context, enum limit_mode before)
{
    (void)before;
    cr_expect_eq(context, &t);
    t.stepped++;
    if (t.nested)
        router_on_fleet(&t.router, &(struct fleet_event){.kind = FLEET_FORK_FAILED});
}

static inline int renew(void *context)
{
    (void)context;
    return -ENOENT;
}

/* --- the dispatcher --------------------------------------------------------------------------------- */

static inline void between(void)
{
    if (peer_loop.now >= t.tick) {
        t.tick = peer_loop.now + TICK;
        router_tick(&t.router);
        clients_tick(t.router.clients);
        fleet_tick(t.router.fleet);
        retry_tick(t.router.retry);
    }
    t.due = router_turn(&t.router);
    others_work();
}

static inline void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

/* What the machine has available, of 8000 MB. */
static inline void available(unsigned megabytes)
{
    char text[128];

    snprintf(text, sizeof text, "MemTotal: 8192000 kB\nMemAvailable: %u kB\n", megabytes * 1024);
    put("proc/meminfo", text);
}

static inline void memory_open(void)
{
    static char proc[64];

    snprintf(proc, sizeof proc, "%s/proc", peer_directory);
    cr_assert_eq(mkdir("proc", 0700), 0);
    cr_assert_eq(mkdir("proc/self", 0700), 0);
    put("proc/self/mountinfo", "");
    put("proc/self/cgroup", "");
    available(6000);
    cr_assert_eq(group_open(&t.group, &(struct group_config){.service = "test",
                                                             .wish = GROUP_WISH_OBSERVE,
                                                             .limit = MEMORY_UNLIMITED,
                                                             .high = MEMORY_UNLIMITED,
                                                             .roots = {.proc = proc}}),
                 0);
    cr_assert_eq(memory_source_open(&t.memory, t.group), 0);
}

static inline void modules_create(int queue, int status)
{
    struct router *router = &t.router;
    struct admission_settings settings;

    t.owner = (struct passwd){.pw_uid = geteuid(), .pw_gid = getegid()};
    t.directory = open(peer_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(t.directory, 0);
    /* No directory can have this name: there is no other place. */
    sockets_open(&t.sockets,
                 &(struct sockets_config){.complaints = &t.complaints,
                                          .owner = &t.owner,
                                          .service = "no/such",
                                          .queue_directory = -1,
                                          .queue_name = "/the/queue",
                                          .memory = "/nowhere",
                                          .state_name = "/the/place",
                                          .renew = renew},
                 t.directory);
    const struct clients_config clients = {.loop = &peer_loop,
                                           .budget = &t.budget,
                                           .complaints = &t.complaints,
                                           .totals = &t.totals,
                                           .queue_directory = queue,
                                           .hash_queue_names = "",
                                           .timeout = 3600 * SECOND,
                                           .socket = t.service,
                                           .sockets = 1,
                                           .status = status,
                                           .sink = on_client,
                                           .context = router};
    const struct fleet_config fleet = {.loop = &peer_loop,
                                       .budget = &t.budget,
                                       .complaints = &t.complaints,
                                       .totals = &t.totals,
                                       .channel = t.channel,
                                       .min = t.config.workers_min,
                                       .max = t.config.workers_max,
                                       .agent = "lmtp",
                                       .directory = "/daemons",
                                       .sockets = &t.sockets,
                                       .sink = on_fleet,
                                       .context = router};
    struct retry_config retry = {.loop = &peer_loop,
                                 .budget = &t.budget,
                                 .complaints = &t.complaints,
                                 .queue_directory = queue,
                                 .still = router_still,
                                 .prepare = prepare,
                                 .sink = on_retry,
                                 .context = router};
    const struct regulator_config regulator = {
        .loop = &peer_loop,
        .settings = {.min = 1,
                     .max = t.config.workers_max,
                     .fixed = t.config.workers_limit == CONFIG_LIMIT_FIXED,
                     .min_available = UINT64_C(200) << 20,
                     .hold = LIMIT_DEFAULT_HOLD,
                     .target = LIMIT_DEFAULT_TARGET,
                     .full = LIMIT_DEFAULT_FULL,
                     .shed_after = LIMIT_DEFAULT_SHED_AFTER},
        .group = t.group,
        .memory = &t.memory,
        .trigger = {-1, -1},
        .demand = demand,
        .sink = on_step,
        .context = router};

    cr_assert_eq(clients_create(&router->clients, &clients), 0);
    cr_assert_eq(parts_create(&router->parts, &t.budget, NULL, t.config.waiting_max), 0);
    admission_defaults(&settings);
    router->admission = admission_create(&settings, parts_size(router->parts), 1000);
    cr_assert_not_null(router->admission);
    cr_assert_eq(fleet_create(&router->fleet, &fleet), 0);
    retry.size = parts_size(router->parts);
    cr_assert_eq(retry_create(&router->retry, &retry), 0);
    cr_assert_eq(regulator_create(&router->regulator, &regulator), 0);
}

/* By default but for the number of workers, and which limit there is. */
static inline void launch(unsigned workers, enum config_workers_limit limit)
{
    int ends[2], status[2];

    peer_open();
    cr_assert_eq(mkdir("active", 0700), 0);
    cr_assert_eq(mkdir("private", 0700), 0);
    config_defaults(&t.config);
    t.config.workers_min = 1;
    t.config.workers_max = workers;
    t.config.workers_limit = limit;
    t.config.destination_split = true;
    t.postconf.maximal_queue_lifetime = t.postconf.bounce_queue_lifetime = INT32_MAX;
    t.complaints = (struct complaints){0};
    budget_init(&t.budget, &t.complaints, 100, workers);
    memory_open();
    cr_assert_eq(channel_open(ends), 0);
    t.channel = ends[0];
    t.parent = ends[1];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, status), 0);
    t.service = peer_listen("service", 200);
    t.retry = peer_listen("private/retry", 100);
    t.router = (struct router){
        .config = &t.config,
        .postconf = &t.postconf,
        .loop = &peer_loop,
        .complaints = &t.complaints,
        .totals = &t.totals,
        .failures = &t.failures,
        .queue_directory = -1,
        .budget = &t.budget,
        .room = {.waiting_max = t.config.waiting_max,
                 .clients_max = t.budget.clients_max,
                 .bytes_max = HELD_BYTES_MAX},
        .strangers = {.loop = &peer_loop, .sink = router_on_stranger, .context = &t.router},
        .schedstat = -1,
        .again = UINT64_MAX,
        .stepped = stepped,
        .context = &t,
    };
    modules_create(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), status[1]);
    regulator_step(t.router.regulator);
    t.tick = peer_loop.now + TICK;
    peer_between = between;
    turn();
}

static inline void teardown(void)
{
    strangers_destroy(&t.router.strangers);
    regulator_destroy(t.router.regulator);
    retry_destroy(t.router.retry);
    fleet_destroy(t.router.fleet);
    sockets_close(&t.sockets);
    close(t.directory);
    admission_destroy(t.router.admission);
    parts_destroy(t.router.parts);
    clients_destroy(t.router.clients);
    memory_source_close(&t.memory);
    group_close(t.group);
    peer_close();
}

TestSuite(router, .fini = teardown);

/* --- what the test does ----------------------------------------------------------------------------- */

static inline bool spawn_comes(int *number)
{
    struct channel_message message;
    int fds[CHANNEL_DESCRIPTORS];

    if (channel_receive(t.parent, &message, fds) != 1)
        return false;
    cr_assert_eq(message.kind, CHANNEL_SPAWN);
    cr_assert_lt(message.worker, MAX);
    *number = (int)message.worker;
    t.process[*number] =
        (struct process){.alive = true, .listening = fds[0], .status = fds[1], .connection = -1};
    return true;
}

static inline void tell(enum channel_kind kind, int number, int status)
{
    cr_assert_eq(channel_send(t.parent,
                              &(struct channel_message){.kind = kind,
                                                        .worker = (uint32_t)number,
                                                        .pid = 1000 + number,
                                                        .status = status},
                              NULL),
                 0);
}

/* The next worker that is wanted. */
static inline int started(void)
{
    int number = -1;

    UNTIL(spawn_comes(&number));
    tell(CHANNEL_STARTED, number, 0);
    return number;
}

static inline int taken(int number)
{
    return peer_accept(t.process[number].listening);
}

static inline int greets(int number)
{
    return peer_greet(t.process[number].listening);
}

/* The first one, started for its greeting: it is idle. */
static inline int first_worker(void)
{
    int number = started();

    peer_expect_end(greets(number));
    return number;
}

static inline const struct pool *pool(void)
{
    return fleet_view(t.router.fleet).pool;
}

static inline unsigned waiting(void)
{
    return parts_view(t.router.parts).waiting;
}

static inline unsigned held(void)
{
    return clients_view(t.router.clients).held;
}

/* Nothing waits or runs, and nothing is kept. */
static inline void expect_empty(void)
{
    struct admission_counters counters;

    settle_down();
    admission_count(t.router.admission, &counters);
    cr_expect_eq(held(), 0);
    cr_expect_eq(waiting(), 0);
    cr_expect_eq(counters.waiting, 0);
    cr_expect_eq(counters.in_flight, 0);
    cr_expect_eq(t.budget.held, 0);
    cr_expect_eq(retry_pending(t.router.retry), 0);
    cr_expect_eq(t.router.inside, 0);
    cr_expect_gt(t.due, peer_loop.now, "it is due for ever");
}

static inline void message(const char *id)
{
    char path[64];
    int fd;

    snprintf(path, sizeof path, "active/%s", id);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    close(fd);
}

static inline bool locked(const char *id)
{
    char path[64];
    bool locked;
    int fd;

    snprintf(path, sizeof path, "active/%s", id);
    fd = open(path, O_RDWR | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    locked = flock(fd, LOCK_EX | LOCK_NB) < 0;
    close(fd);
    return locked;
}

static inline const char *request_with(const char *id, const char *flags)
{
    static char text[4096];

    snprintf(text, sizeof text,
             "flags|%s|queue_name|active|queue_id|%s|offset|726|size|285|" WIRE_NEXTHOP
             "smtputf8|0|" WIRE_SENDER WIRE_TIME WIRE_CLIENT "recipient_count|1||" WIRE_USER1,
             flags, id);
    return text;
}

/* The request for a message of this name, for one domain. */
static inline const char *request_of(const char *id)
{
    return request_with(id, WIRE_FLAGS);
}

/* Asks for the delivery of a message. Returns qmgr's end. */
static inline int ask_with(const char *id, const char *text)
{
    int fd = peer_dial();

    message(id);
    peer_expect(fd, WIRE_GREETING);
    peer_say(fd, text);
    return fd;
}

static inline int ask(const char *id)
{
    return ask_with(id, request_of(id));
}

/* The client is told this, and left. */
static inline void expect_answer(int fd, const char *text)
{
    peer_expect(fd, text);
    peer_expect_end(fd);
}

/* The worker is called for this message. Returns the connection. */
static inline int serve(int number, const char *id)
{
    int connection = greets(number);

    peer_expect(connection, request_of(id));
    return connection;
}

static inline void reply(int connection, const char *text)
{
    peer_say(connection, text);
    peer_expect_end(connection);
}

static inline void dies(int number, int connection, int status)
{
    t.process[number].connection = connection;
    ends((unsigned)number, status);
}

#endif
