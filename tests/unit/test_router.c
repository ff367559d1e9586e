/*
 * supervisor/dispatcher/router.c with the real modules, in this process. The test is qmgr(8), the
 * parent, the workers and retry(8), and does between two turns what the dispatcher does.
 */

#include "supervisor/dispatcher/router.h"

#include <signal.h>
#include <sys/file.h>

#include "agents/master.h"
#include "supervisor/limits.h"
#include "supervisor/parent/channel.h"
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
    struct budget budget;
    struct router router;
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

static void ends(unsigned number, int status)
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

static void parent_looks(void)
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
static void worker_works(unsigned number)
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

static void others_work(void)
{
    if (!t.automatic)
        return;
    parent_looks();
    for (unsigned i = 0; i < MAX; i++)
        if (t.process[i].alive)
            worker_works(i);
}

/* The dispatcher is away for so long, and all others go on. */
static void away(enum place place)
{
    if (t.jump[place] == 0)
        return;
    jumped += t.jump[place];
    t.jump[place] = 0;
    for (unsigned i = 0; i < 4; i++)
        others_work();
}

/* --- sinks with a clock that jumps ------------------------------------------------------------------ */

static void on_client(void *context, enum clients_kind kind, struct client *client)
{
    away(IN_CLIENT);
    router_on_client(context, kind, client);
}

static void on_fleet(void *context, const struct fleet_event *event)
{
    away(IN_FLEET);
    router_on_fleet(context, event);
}

static void on_retry(void *context, const struct retry_event *event)
{
    away(IN_RETRY);
    router_on_retry(context, event);
}

static void on_step(void *context, enum limit_mode before)
{
    away(IN_STEP);
    router_on_step(context, before);
}

static struct limit_demand demand(const void *context)
{
    away(IN_DEMAND);
    return router_demand(context);
}

static void prepare(void *context, void *work, struct retry_letter *letter)
{
    away(IN_PREPARE);
    router_prepare(context, work, letter);
}

static void stepped(void *context, enum limit_mode before)
{
    (void)before;
    cr_expect_eq(context, &t);
    t.stepped++;
    if (t.nested)
        router_on_fleet(&t.router, &(struct fleet_event){.kind = FLEET_FORK_FAILED});
}

static int renew(void *context)
{
    (void)context;
    return 0;
}

/* --- the dispatcher --------------------------------------------------------------------------------- */

static void between(void)
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

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

/* What the machine has available, of 8000 MB. */
static void available(unsigned megabytes)
{
    char text[128];

    snprintf(text, sizeof text, "MemTotal: 8192000 kB\nMemAvailable: %u kB\n", megabytes * 1024);
    put("proc/meminfo", text);
}

static void memory_open(void)
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

static void modules_create(int queue, int status)
{
    struct router *router = &t.router;
    struct admission_settings settings;
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
                                       .renew = renew,
                                       .place = "the test",
                                       .sink = on_fleet,
                                       .context = router};
    struct retry_config retry = {.loop = &peer_loop,
                                 .budget = &t.budget,
                                 .complaints = &t.complaints,
                                 .queue_directory = queue,
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
static void launch(unsigned workers, enum config_workers_limit limit)
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
        .budget = &t.budget,
        .room = {.waiting_max = t.config.waiting_max,
                 .clients_max = t.budget.clients_max,
                 .bytes_max = HELD_BYTES_MAX},
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

static void teardown(void)
{
    regulator_destroy(t.router.regulator);
    retry_destroy(t.router.retry);
    fleet_destroy(t.router.fleet);
    admission_destroy(t.router.admission);
    parts_destroy(t.router.parts);
    clients_destroy(t.router.clients);
    memory_source_close(&t.memory);
    group_close(t.group);
    peer_close();
}

TestSuite(router, .fini = teardown);

/* --- what the test does ----------------------------------------------------------------------------- */

static bool spawn_comes(int *number)
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

static void tell(enum channel_kind kind, int number, int status)
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
static int started(void)
{
    int number = -1;

    UNTIL(spawn_comes(&number));
    tell(CHANNEL_STARTED, number, 0);
    return number;
}

static int taken(int number)
{
    return peer_accept(t.process[number].listening);
}

static int greets(int number)
{
    int connection = taken(number);

    peer_say(connection, WIRE_GREETING);
    return connection;
}

/* The first one, started for its greeting: it is idle. */
static int first_worker(void)
{
    int number = started();

    peer_expect_end(greets(number));
    return number;
}

static const struct pool *pool(void)
{
    return fleet_view(t.router.fleet).pool;
}

static unsigned waiting(void)
{
    return parts_view(t.router.parts).waiting;
}

static unsigned held(void)
{
    return clients_view(t.router.clients).held;
}

/* Nothing waits or runs, and nothing is kept. */
static void expect_empty(void)
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

static void message(const char *id)
{
    char path[64];
    int fd;

    snprintf(path, sizeof path, "active/%s", id);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    close(fd);
}

static bool locked(const char *id)
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

static int dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "service"};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_geq(fd, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* The request for a message of this name, for one domain. */
static const char *request_of(const char *id)
{
    static char text[4096];

    snprintf(text, sizeof text,
             "flags|3|queue_name|active|queue_id|%s|offset|726|size|285|" WIRE_NEXTHOP
             "smtputf8|0|" WIRE_SENDER WIRE_TIME WIRE_CLIENT "recipient_count|1||" WIRE_USER1,
             id);
    return text;
}

/* Asks for the delivery of a message. Returns qmgr's end. */
static int ask_with(const char *id, const char *text)
{
    int fd = dial();

    message(id);
    peer_expect(fd, WIRE_GREETING);
    peer_say(fd, text);
    return fd;
}

static int ask(const char *id)
{
    return ask_with(id, request_of(id));
}

/* The client is told this, and left. */
static void expect_answer(int fd, const char *text)
{
    peer_expect(fd, text);
    peer_expect_end(fd);
}

/* The worker is called for this message. Returns the connection. */
static int serve(int number, const char *id)
{
    int connection = greets(number);

    peer_expect(connection, request_of(id));
    return connection;
}

static void reply(int connection, const char *text)
{
    peer_say(connection, text);
    peer_expect_end(connection);
}

static void dies(int number, int connection, int status)
{
    t.process[number].connection = connection;
    ends((unsigned)number, status);
}

/* --- the way of a request --------------------------------------------------------------------------- */

Test(router, to_a_worker_and_back)
{
    int number, fd;

    launch(2, CONFIG_LIMIT_FIXED);
    number = first_worker();
    fd = ask("AAA");
    reply(serve(number, "AAA"), WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    cr_expect_eq(t.totals.requests, 1);
    cr_expect_eq(t.totals.delivered, 1);
    cr_expect_not(locked("AAA"));
    /* What the agent says of a failure is told in its words. */
    fd = ask("BBB");
    reply(serve(number, "BBB"), WIRE_REPLY_DSN);
    expect_answer(fd, WIRE_REPLY_DSN);
    cr_expect_eq(t.totals.failed, 1);
    cr_expect_eq(t.totals.started, 1);
    expect_empty();
}

/* How long it took, without the time that it waited. */
Test(router, the_time_of_a_delivery_is_learned)
{
    struct admission_memory memory;
    uint32_t cursor = 0;
    int number, fd, connection;

    launch(1, CONFIG_LIMIT_FIXED);
    number = first_worker();
    fd = ask("AAA");
    connection = taken(number);
    later(20 * SECOND);
    peer_say(connection, WIRE_GREETING);
    peer_expect(connection, request_of("AAA"));
    later(2 * SECOND);
    reply(connection, WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    cr_assert(admission_recall(t.router.admission, &cursor, (int64_t)peer_loop.now, &memory));
    cr_expect_str_eq(memory.key, "example.com");
    cr_expect(memory.service >= 2000000 && memory.service < 10000000, "%ld us",
              (long)memory.service);
    cr_expect_neq(memory.success_age, ADMISSION_NEVER);
}

/* The idle one has just gone, and nobody has told of it: its request waits for the next. */
Test(router, nobody_is_at_home)
{
    int number, fd, other;

    launch(MAX, CONFIG_LIMIT_FIXED);
    number = first_worker();
    settle_down();
    close(t.process[number].listening);
    fd = ask("AAA");
    other = started();
    reply(serve(other, "AAA"), WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    expect_empty();
}

/* Memory ends: those that have nothing to do go, all but the minimum. */
Test(router, idle_workers_go_without_memory)
{
    int first, second, one, two, busy;

    launch(4, CONFIG_LIMIT_MEMORY);
    first = first_worker();
    one = ask("AAA");
    busy = serve(first, "AAA");
    two = ask("BBB");
    second = started();
    reply(serve(second, "BBB"), WIRE_REPLY_DONE);
    expect_answer(two, WIRE_REPLY_DONE);
    reply(busy, WIRE_REPLY_DONE);
    expect_answer(one, WIRE_REPLY_DONE);
    cr_expect_eq(pool()->count[WORKER_IDLE], 2);
    available(1);
    for (unsigned i = 0; i < 20 && pool()->count[WORKER_LEAVING] == 0; i++)
        later(SECOND);
    cr_expect_eq(pool()->count[WORKER_LEAVING], 1);
    cr_expect_eq(pool()->count[WORKER_IDLE], 1);
}

/* One that waits gets a worker of its own, as soon as that has greeted. */
Test(router, a_worker_is_started_for_what_waits)
{
    int first, second, one, two, busy;

    launch(MAX, CONFIG_LIMIT_FIXED);
    first = first_worker();
    one = ask("AAA");
    busy = serve(first, "AAA");
    two = ask("BBB");
    second = started();
    reply(serve(second, "BBB"), WIRE_REPLY_DONE);
    expect_answer(two, WIRE_REPLY_DONE);
    reply(busy, WIRE_REPLY_DONE);
    expect_answer(one, WIRE_REPLY_DONE);
    expect_empty();
}

/* No more than there may be: it waits, and is told why. */
Test(router, a_request_waits_for_a_worker)
{
    int number, one, two, busy, none;

    launch(1, CONFIG_LIMIT_FIXED);
    number = first_worker();
    one = ask("AAA");
    busy = serve(number, "AAA");
    two = ask("BBB");
    UNTIL(waiting() == 1);
    settle_down();
    cr_expect_not(spawn_comes(&none));
    cr_expect(locked("BBB"));
    cr_expect_eq(t.router.spawn.why, t.router.runnable > 0 ? SPAWN_MAX : SPAWN_LANES);
    reply(busy, WIRE_REPLY_DONE);
    reply(serve(number, "BBB"), WIRE_REPLY_DONE);
    expect_answer(one, WIRE_REPLY_DONE);
    expect_answer(two, WIRE_REPLY_DONE);
    expect_empty();
}

/* --- a request for three domains -------------------------------------------------------------------- */

static const char *const shares[] = {
    WIRE_MANY_COMMON "recipient_count|2||" WIRE_MANY_A WIRE_MANY_C,
    WIRE_MANY_COMMON "recipient_count|1||" WIRE_MANY_D,
    WIRE_MANY_COMMON "recipient_count|2||" WIRE_MANY_B WIRE_MANY_X,
};

/* Each share goes to a worker, in any order; these are their replies. */
static void split(const char *const replies[3], const char *answer)
{
    bool seen[3] = {false};
    int fd = ask_with("E2A4CA72681", WIRE_MANY);

    UNTIL(t.totals.requests > 0);
    for (unsigned i = 0; i < 3; i++) {
        char bytes[8192];
        ssize_t got = 0;
        int connection = -1;

        for (uint64_t since = real_now(); connection < 0;) {
            int none;

            cr_assert_not(peer_late(since), "share %u", i);
            if (spawn_comes(&none))
                tell(CHANNEL_STARTED, none, 0);
            for (unsigned n = 0; n < MAX && connection < 0; n++)
                if (t.process[n].alive)
                    connection =
                        accept4(t.process[n].listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            turn();
        }
        peer_say(connection, WIRE_GREETING);
        UNTIL((got = recv(connection, bytes, sizeof bytes, MSG_DONTWAIT)) >= 0);
        if (got == 0) { /* it was not needed after all */
            close(connection);
            i--;
            continue;
        }
        for (unsigned n = 0; n < 3; n++) {
            struct wire want = wire(shares[n]);

            if ((size_t)got == want.len && memcmp(bytes, want.bytes, want.len) == 0) {
                cr_expect_not(seen[n], "share %u went twice", n);
                seen[n] = true;
                reply(connection, replies[n]);
                connection = -1;
            }
            wire_free(&want);
        }
        cr_assert_eq(connection, -1, "%zd bytes that are no share", got);
        if (i < 2)
            cr_expect(peer_quiet(fd), "answered with %u parts missing", 2 - i);
    }
    expect_answer(fd, answer);
    cr_expect_not(locked("E2A4CA72681"));
    expect_empty();
}

Test(router, three_shares_delivered)
{
    launch(3, CONFIG_LIMIT_FIXED);
    first_worker();
    split((const char *const[]){WIRE_REPLY_DONE, WIRE_REPLY_DONE, WIRE_REPLY_DONE},
          WIRE_REPLY_DONE);
    cr_expect_eq(t.totals.requests, 1);
    cr_expect_eq(t.totals.delivered, 3);
}

Test(router, one_share_of_three_failed)
{
    launch(3, CONFIG_LIMIT_FIXED);
    first_worker();
    split((const char *const[]){WIRE_REPLY_DONE, WIRE_REPLY_DSN, WIRE_REPLY_DONE},
          WIRE_REPLY_DEFERRED);
    cr_expect_eq(t.totals.delivered, 2);
    cr_expect_eq(t.totals.failed, 1);
}

Test(router, three_shares_failed)
{
    launch(3, CONFIG_LIMIT_FIXED);
    first_worker();
    split((const char *const[]){WIRE_REPLY_DSN, WIRE_REPLY_DSN, WIRE_REPLY_DSN}, WIRE_REPLY_DSN);
}

/* Some wait, some run: those that wait are dropped, the other one runs to its end. */
Test(router, the_client_of_three_shares_goes)
{
    int number, fd, connection;

    launch(1, CONFIG_LIMIT_FIXED);
    number = first_worker();
    fd = ask_with("E2A4CA72681", WIRE_MANY);
    connection = greets(number);
    UNTIL(!peer_quiet(connection));
    cr_expect_eq(waiting(), 2);
    close(fd);
    UNTIL(waiting() == 0);
    cr_expect(locked("E2A4CA72681"));
    cr_expect_eq(held(), 1);
    peer_say(connection, WIRE_REPLY_DONE);
    close(connection);
    UNTIL(held() == 0);
    expect_empty();
    cr_expect_not(locked("E2A4CA72681"));
    close(ask("AAA"));
}

/* --- the client goes, in each state ------------------------------------------------------------------ */

Test(router, the_client_goes_while_it_waits)
{
    int number, one, two, busy;

    launch(1, CONFIG_LIMIT_FIXED);
    number = first_worker();
    one = ask("AAA");
    busy = serve(number, "AAA");
    two = ask("BBB");
    UNTIL(waiting() == 1);
    close(two);
    UNTIL(waiting() == 0);
    cr_expect_not(locked("BBB"));
    reply(busy, WIRE_REPLY_DONE);
    expect_answer(one, WIRE_REPLY_DONE);
    settle_down();
    cr_expect_not(peer_connected(t.process[number].listening));
    expect_empty();
}

Test(router, the_client_goes_while_its_worker_is_called)
{
    int number, fd, connection;

    launch(1, CONFIG_LIMIT_FIXED);
    number = first_worker();
    fd = ask("AAA");
    connection = taken(number);
    close(fd);
    peer_expect_end(connection);
    cr_expect_eq(pool()->count[WORKER_IDLE], 1);
    expect_empty();
    fd = ask("BBB");
    reply(serve(number, "BBB"), WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
}

/* Its bytes have left: a delivery is never cut short. */
Test(router, the_client_goes_while_it_is_delivered)
{
    int number, fd, connection;

    launch(1, CONFIG_LIMIT_FIXED);
    number = first_worker();
    fd = ask("AAA");
    connection = serve(number, "AAA");
    close(fd);
    settle_down();
    cr_expect(peer_quiet(connection));
    cr_expect(locked("AAA"));
    peer_say(connection, WIRE_REPLY_DONE);
    peer_expect_end(connection);
    cr_expect_eq(t.totals.delivered, 1);
    cr_expect_not(locked("AAA"));
    expect_empty();
}

/* A request of which the worker has taken a piece. */
Test(router, the_client_goes_while_its_request_is_written)
{
    static char text[600000];
    size_t at = (size_t)snprintf(text, sizeof text, WIRE_COMMON "recipient_count|3000||");
    struct wire bytes;
    int number, fd, connection;

    launch(1, CONFIG_LIMIT_FIXED);
    number = first_worker();
    for (unsigned i = 0; i < 3000; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s", WIRE_USER1);
    bytes = wire(text);
    message("E5825A72641");
    fd = dial();
    peer_expect(fd, WIRE_GREETING);
    for (size_t sent = 0; sent < bytes.len;) {
        ssize_t more = send(fd, bytes.bytes + sent, bytes.len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        sent += more > 0 ? (size_t)more : 0;
        turn();
    }
    connection = greets(number);
    settle_down();
    close(fd);
    settle_down();
    cr_expect_eq(held(), 1);
    peer_expect_bytes(connection, bytes.bytes, bytes.len);
    settle_down();
    peer_say(connection, WIRE_REPLY_DONE);
    peer_expect_end(connection);
    cr_expect_eq(t.totals.delivered, 1);
    expect_empty();
    wire_free(&bytes);
}

/* --- the worker goes --------------------------------------------------------------------------------- */

/* With the request: nobody else gets it, and qmgr(8) tries again. */
Test(router, a_worker_is_lost)
{
    int number, fd, connection;

    launch(2, CONFIG_LIMIT_FIXED);
    number = first_worker();
    fd = ask("AAA");
    connection = serve(number, "AAA");
    dies(number, connection, SIGKILL);
    expect_answer(fd, WIRE_REPLY_DEFERRED);
    settle_down();
    cr_expect_eq(t.totals.lost, 1);
    cr_expect_eq(said.times[COMPLAINT_LOST], 1);
    cr_expect(strstr(said.last, "AAA: worker 1000 ended with it (signal 9)"), "%s", said.last);
    cr_expect_eq(t.totals.failed, 0);
    expect_empty();
}

/* Before a byte: another one gets it. */
Test(router, a_worker_vanishes)
{
    int number, fd, other;

    launch(2, CONFIG_LIMIT_FIXED);
    number = first_worker();
    fd = ask("AAA");
    dies(number, taken(number), 0);
    other = started();
    cr_expect(peer_quiet(fd));
    reply(serve(other, "AAA"), WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    cr_expect_eq(t.totals.lost, 0);
    expect_empty();
}

/* The news of a lost worker and the hang-up of its client in one batch. */
static void worker_and_client_go(bool client_first)
{
    int number, fd, connection;

    launch(2, CONFIG_LIMIT_FIXED);
    number = first_worker();
    fd = ask("AAA");
    connection = serve(number, "AAA");
    settle_down();
    if (client_first)
        close(fd);
    dies(number, connection, 0);
    if (!client_first)
        close(fd);
    turn();
    expect_empty();
    cr_expect_not(locked("AAA"));
    cr_expect_eq(t.totals.lost, 1);
    fd = ask("BBB");
    number = started();
    reply(serve(number, "BBB"), WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    expect_empty();
}

Test(router, client_and_worker_go_together)
{
    worker_and_client_go(true);
}

Test(router, worker_and_client_go_together)
{
    worker_and_client_go(false);
}

/* --- deferrals --------------------------------------------------------------------------------------- */

/* Memory ends while one runs and one waits, until that is to be deferred. Returns qmgr's end of it. */
static int shed(void)
{
    int number, fd;

    launch(4, CONFIG_LIMIT_MEMORY);
    number = first_worker();
    ask("AAA");
    serve(number, "AAA");
    available(1);
    later(2 * SECOND);
    fd = ask("BBB");
    for (unsigned i = 0; i < 200 && retry_pending(t.router.retry) == 0; i++)
        later(SECOND / 4);
    cr_assert_eq(retry_pending(t.router.retry), 1, "nothing is deferred");
    cr_expect_eq(regulator_view(t.router.regulator).decision->mode, LIMIT_SHED);
    return fd;
}

/* retry(8) gets the request with the reason in the place of the nexthop. Returns the connection. */
static int retry_serves(void)
{
    static const char cause[] = "nexthop|4.3.2 delivery deferred: this system is short of memory (";
    int connection = peer_accept(t.retry);
    char bytes[4096];
    ssize_t got = 0;
    char *at;
    struct wire want = wire(cause);

    peer_say(connection, WIRE_GREETING);
    UNTIL((got = recv(connection, bytes, sizeof bytes, MSG_DONTWAIT)) > 0);
    at = memmem(bytes, (size_t)got, want.bytes, want.len);
    wire_free(&want);
    cr_assert_not_null(at);
    cr_expect(memmem(bytes, (size_t)got, "BBB", 4));
    return connection;
}

Test(router, a_request_is_deferred_without_memory)
{
    int fd = shed();
    int connection = retry_serves();

    settle_down();
    cr_expect(peer_quiet(fd));
    cr_expect(locked("BBB"));
    reply(connection, WIRE_REPLY_DSN);
    expect_answer(fd, WIRE_REPLY_DSN);
    cr_expect_eq(t.totals.deferred, 1);
    cr_expect_eq(t.totals.deferred_memory, 1);
    cr_expect_eq(t.totals.deferred_full + t.totals.deferred_slow, 0);
    cr_expect_eq(t.totals.unrecorded, 0);
    cr_expect_eq(t.totals.failed, 0);
}

Test(router, a_request_is_deferred_without_retry)
{
    int fd = shed();
    int connection = retry_serves();

    close(connection);
    expect_answer(fd, WIRE_REPLY_DEFERRED);
    cr_expect_eq(t.totals.deferred, 1);
    cr_expect_eq(t.totals.unrecorded, 1);
    cr_expect_not(locked("BBB"));
}

Test(router, the_client_goes_while_it_is_deferred)
{
    int fd = shed();
    int connection = retry_serves();

    close(fd);
    settle_down();
    cr_expect(locked("BBB"));
    reply(connection, WIRE_REPLY_DSN);
    settle_down();
    cr_expect_not(locked("BBB"));
    cr_expect_eq(t.totals.deferred, 1);
    cr_expect_eq(held(), 1, "the other one runs");
}

/* --- what is accepted -------------------------------------------------------------------------------- */

/* In requests, not in parts: one message to many domains is one. */
Test(router, a_split_message_does_not_fill_the_room)
{
    int number, fd, other;

    launch(1, CONFIG_LIMIT_FIXED);
    t.config.waiting_max = t.router.room.waiting_max = 2;
    number = first_worker();
    fd = ask("AAA");
    serve(number, "AAA");
    other = ask_with("E2A4CA72681", WIRE_MANY);
    UNTIL(waiting() == 3);
    ask("BBB");
    UNTIL(waiting() == 4);
    close(fd);
    close(other);
}

/* Three wait where two may; of those that work none is deferred. Then nobody is accepted. */
Test(router, a_full_room_accepts_nobody)
{
    int number, busy, fd;

    launch(1, CONFIG_LIMIT_FIXED);
    t.config.waiting_max = t.router.room.waiting_max = 2;
    number = first_worker();
    fd = ask("000");
    reply(serve(number, "000"), WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    ask("AAA");
    busy = serve(number, "AAA");
    ask("BBB");
    ask("CCC");
    ask("DDD");
    UNTIL(waiting() == 3);
    cr_expect_eq(retry_pending(t.router.retry), 0);
    fd = dial();
    settle_down();
    cr_expect(peer_quiet(fd), "it is accepted");
    reply(busy, WIRE_REPLY_DONE);
    peer_expect(fd, WIRE_GREETING);
}

/* --- promises ---------------------------------------------------------------------------------------- */

/* A sink that is entered from within another one: the state that it finds may be half done. */
Test(router, nested_sinks_abort, .signal = SIGABRT)
{
    launch(1, CONFIG_LIMIT_FIXED);
    t.nested = true;
    later(2 * SECOND);
}

Test(router, the_parent_goes)
{
    launch(1, CONFIG_LIMIT_FIXED);
    close(t.parent);
    settle_down();
    cr_expect(t.router.closed);
    cr_expect_eq(t.router.status, 0);
}

/* --- many, and a clock that jumps --------------------------------------------------------------------- */

/* So many at once through a few workers: each is answered once, and delivered once. */
static void burst(unsigned count)
{
    struct wire want = wire(WIRE_REPLY_DONE);
    int fd[64];
    char id[16];

    cr_assert_leq(count, 64);
    for (unsigned i = 0; i < count; i++) {
        snprintf(id, sizeof id, "A%u", i);
        message(id);
        fd[i] = dial();
        peer_say(fd[i], request_of(id));
    }
    for (unsigned i = 0; i < count; i++)
        peer_expect(fd[i], WIRE_GREETING);
    for (unsigned i = 0; i < count; i++)
        expect_answer(fd[i], WIRE_REPLY_DONE);
    wire_free(&want);
}

Test(router, a_burst_of_64)
{
    launch(MAX, CONFIG_LIMIT_FIXED);
    t.automatic = true;
    burst(64);
    cr_expect_eq(t.delivered, 64);
    cr_expect_eq(t.totals.requests, 64);
    cr_expect_eq(t.totals.delivered, 64);
    cr_expect_eq(t.totals.failed + t.totals.lost + t.totals.deferred + t.totals.refused, 0);
    cr_expect_leq(t.totals.started, MAX);
    expect_empty();
}

/* The dispatcher is away in each handler in turn, and others are not. It goes on delivering within a second. */
Test(router, a_clock_that_jumps_in_each_handler)
{
    launch(MAX, CONFIG_LIMIT_FIXED);
    t.automatic = true;
    burst(3);
    for (enum place place = IN_CLIENT; place <= IN_DEMAND; place++)
        for (unsigned i = 0; i < JUMPS; i++) {
            uint64_t begin;

            if (place == IN_RETRY)
                continue; /* nothing is deferred here */
            t.jump[place] = jumps[i];
            if (place == IN_STEP || place == IN_DEMAND)
                later(SECOND);
            begin = real_now();
            burst(3);
            cr_expect_lt(real_now() - begin, SECOND, "place %d, %lu us", (int)place,
                         (unsigned long)jumps[i]);
            cr_expect_eq(t.jump[place], 0, "it did not jump");
            expect_empty();
        }
    cr_expect_eq(t.totals.failed + t.totals.lost + t.totals.deferred + t.totals.refused, 0);
    cr_expect_eq(said.times[COMPLAINT_START], 0);
}

/* The same on the way to retry(8). */
Test(router, a_clock_that_jumps_in_a_deferral)
{
    int fd = shed();
    int connection;

    t.jump[IN_PREPARE] = t.jump[IN_RETRY] = 3 * SECOND;
    connection = retry_serves();
    reply(connection, WIRE_REPLY_DSN);
    expect_answer(fd, WIRE_REPLY_DSN);
    cr_expect_eq(t.jump[IN_RETRY], 0);
    cr_expect_eq(t.totals.deferred, 1);
    cr_expect_gt(t.due, peer_loop.now);
}
