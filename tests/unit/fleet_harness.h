#ifndef TESTS_UNIT_FLEET_HARNESS_H
#define TESTS_UNIT_FLEET_HARNESS_H

/*
 * For tests of supervisor/dispatcher/fleet.c and fleet_start.c: the test is the parent, the
 * workers, and the router.
 */

#include "supervisor/dispatcher/fleet.h"

#include <poll.h>
#include <signal.h>

#include "agents/master.h"
#include "supervisor/limits.h"
#include "supervisor/parent/channel.h"
#include "tests/unit/peer.h"

#define MAX 4
#define EVENTS 2000

/* A process of the test: its ends. */
struct process {
    int listening;
    int status;
};

struct event {
    enum fleet_kind kind;
    int worker;
    const void *work;
    uint32_t reply; /* its status */
    size_t length;  /* and its bytes */
    bool renewed;
    bool retired;
    pid_t pid;
    int status;
    char lost[QUEUE_ID_MAX + 1];
};

static struct {
    struct budget budget;
    struct complaints complaints;
    struct totals totals;
    struct fleet *fleet;
    int channel; /* the fleet's end */
    int parent;  /* and the parent's */
    unsigned renewed;
    int renew_result;
    int directory; /* of sockets */
    struct sockets sockets;
    struct passwd owner;
    unsigned calls_again; /* works for which the sink calls a worker as soon as one has replied */
    uint64_t jump;        /* how far the clock moves in the sink */
    unsigned events;
    struct event event[EVENTS];
    struct process process[MAX];
} t;

static char work[8];

static inline void on_fleet(void *context, const struct fleet_event *event)
{
    struct event *kept = &t.event[t.events++];

    cr_expect_eq(context, &t);
    cr_assert_lt(t.events, EVENTS);
    *kept = (struct event){.kind = event->kind,
                           .worker = event->worker,
                           .work = event->work,
                           .renewed = event->renewed,
                           .retired = event->retired,
                           .pid = event->pid,
                           .status = event->status};
    if (event->reply) {
        kept->reply = event->reply->status;
        kept->length = event->reply->length;
    }
    if (event->lost)
        snprintf(kept->lost, sizeof kept->lost, "%s", event->lost);
    jumped += t.jump;
    if (event->kind == FLEET_REPLIED && t.calls_again > 0) {
        t.calls_again--;
        cr_expect_eq(fleet_call(t.fleet, &work[7]), event->worker);
    }
}

static inline int renew(void *context)
{
    cr_expect_eq(context, &t);
    t.renewed++;
    return t.renew_result < 0 ? t.renew_result : t.directory;
}

static inline void setup(void)
{
    int ends[2];

    peer_open();
    cr_assert_eq(channel_open(ends), 0);
    t.channel = ends[0];
    t.parent = ends[1];
    t.budget.complaints = &t.complaints;
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
                                          .renew = renew,
                                          .context = &t},
                 t.directory);
    const struct fleet_config config = {
        .loop = &peer_loop,
        .budget = &t.budget,
        .complaints = &t.complaints,
        .totals = &t.totals,
        .channel = t.channel,
        .min = 2,
        .max = MAX,
        .agent = "lmtp",
        .directory = "/daemons",
        .sockets = &t.sockets,
        .sink = on_fleet,
        .context = &t,
    };
    cr_assert_eq(fleet_create(&t.fleet, &config), 0);
}

static inline void teardown(void)
{
    fleet_destroy(t.fleet);
    sockets_close(&t.sockets);
    close(t.directory);
    peer_close();
}

TestSuite(fleet, .init = setup, .fini = teardown);

/* --- what the test does as the parent and as a worker ------------------------------------------ */

static inline const struct pool *pool(void)
{
    return fleet_view(t.fleet).pool;
}

static inline void expect_count(enum worker_state state, unsigned count)
{
    cr_expect_eq(pool()->count[state], count, "%u in state %d, not %u", pool()->count[state],
                 (int)state, count);
}

static inline void tell(enum channel_kind kind, int number, pid_t pid, int status)
{
    cr_assert_eq(
        channel_send(t.parent,
                     &(struct channel_message){
                         .kind = kind, .worker = (uint32_t)number, .pid = pid, .status = status},
                     NULL),
        0);
}

/* A message of that kind has come; the number of the worker. */
static inline int told(enum channel_kind kind)
{
    struct channel_message message = {0};
    int fds[CHANNEL_DESCRIPTORS];

    cr_assert_eq(channel_receive(t.parent, &message, fds), 1, "nothing is told to the parent");
    cr_assert_eq(message.kind, kind);
    cr_assert_lt(message.worker, MAX);
    if (kind == CHANNEL_SPAWN)
        t.process[message.worker] = (struct process){.listening = fds[0], .status = fds[1]};
    return (int)message.worker;
}

static inline bool told_nothing(void)
{
    struct pollfd wait = {.fd = t.parent, .events = POLLIN};

    return poll(&wait, 1, 0) == 0;
}

/* Asked for, and not started yet. */
static inline int spawn(void)
{
    cr_assert_eq(fleet_start(t.fleet), 0);
    return told(CHANNEL_SPAWN);
}

static inline int start(void)
{
    int number = spawn();

    tell(CHANNEL_STARTED, number, 1000 + number, 0);
    settle_down();
    return number;
}

/* The worker takes a connection. */
static inline int taken(int number)
{
    return peer_accept(t.process[number].listening);
}

/* A new worker has greeted. Returns the connection. */
static inline int greet(int number)
{
    int connection = peer_greet(t.process[number].listening);

    settle_down();
    return connection;
}

/* A worker that has greeted, had nothing to do, and is idle. */
static inline int idle(void)
{
    int number = start();
    int connection = greet(number);

    cr_assert_eq(fleet_ready(t.fleet), number);
    fleet_release(t.fleet, number);
    peer_expect_end(connection);
    return number;
}

/* An idle worker that is called, and has the request. Returns the connection. */
static inline int busy(int number, unsigned which)
{
    struct wire bytes = wire(WIRE_REQUEST);
    int connection;

    cr_assert_eq(fleet_call(t.fleet, &work[which]), number);
    connection = greet(number);
    cr_assert_eq(fleet_give(t.fleet, number, &work[which], bytes.bytes, bytes.len, "E5825A72641"),
                 0);
    wire_free(&bytes);
    peer_expect(connection, WIRE_REQUEST);
    return connection;
}

/* Its end, as the kernel makes it: descriptors first. */
static inline void dies(int number, int connection, int status)
{
    close(t.process[number].listening);
    close(t.process[number].status);
    if (connection >= 0)
        close(connection);
    tell(CHANNEL_EXITED, number, 1000 + number, status);
}

static inline void forget_events(void)
{
    t.events = 0;
}

/* The events since forget_events() are these, and each was of this worker. */
static inline void expect_events(int number, unsigned count, const enum fleet_kind *kinds)
{
    cr_assert_eq(t.events, count, "%u events, not %u; the last of kind %d", t.events, count,
                 t.events > 0 ? (int)t.event[t.events - 1].kind : -1);
    for (unsigned i = 0; i < count; i++) {
        cr_expect_eq(t.event[i].kind, kinds[i], "event %u is of kind %d, not %d", i,
                     (int)t.event[i].kind, (int)kinds[i]);
        cr_expect_eq(t.event[i].worker, number);
    }
}

#define EXPECT_EVENTS(number, ...)                                                                 \
    expect_events((number), sizeof((enum fleet_kind[]){__VA_ARGS__}) / sizeof(enum fleet_kind),    \
                  (enum fleet_kind[]){__VA_ARGS__})

static inline unsigned descriptors_open(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

#endif
