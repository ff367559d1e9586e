/* supervisor/dispatcher/fleet.c and fleet_start.c: the test is the parent, the workers, and the router. */

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
    unsigned calls_again; /* works for which the sink calls a worker as soon as one has replied */
    uint64_t jump;        /* how far the clock moves in the sink */
    unsigned events;
    struct event event[EVENTS];
    struct process process[MAX];
} t;

static char work[8];

static void on_fleet(void *context, const struct fleet_event *event)
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

static int renew(void *context)
{
    cr_expect_eq(context, &t);
    t.renewed++;
    return t.renew_result;
}

static void setup(void)
{
    int ends[2];

    peer_open();
    cr_assert_eq(channel_open(ends), 0);
    t.channel = ends[0];
    t.parent = ends[1];
    t.budget.complaints = &t.complaints;
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
        .renew = renew,
        .place = "/the/place",
        .sink = on_fleet,
        .context = &t,
    };
    cr_assert_eq(fleet_create(&t.fleet, &config), 0);
}

static void teardown(void)
{
    fleet_destroy(t.fleet);
    peer_close();
}

TestSuite(fleet, .init = setup, .fini = teardown);

/* --- what the test does as the parent and as a worker ------------------------------------------ */

static const struct pool *pool(void)
{
    return fleet_view(t.fleet).pool;
}

static void expect_count(enum worker_state state, unsigned count)
{
    cr_expect_eq(pool()->count[state], count, "%u in state %d, not %u", pool()->count[state],
                 (int)state, count);
}

static void tell(enum channel_kind kind, int number, pid_t pid, int status)
{
    cr_assert_eq(
        channel_send(t.parent,
                     &(struct channel_message){
                         .kind = kind, .worker = (uint32_t)number, .pid = pid, .status = status},
                     NULL),
        0);
}

/* A message of that kind has come; the number of the worker. */
static int told(enum channel_kind kind)
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

static bool told_nothing(void)
{
    struct pollfd wait = {.fd = t.parent, .events = POLLIN};

    return poll(&wait, 1, 0) == 0;
}

/* Asked for, and not started yet. */
static int spawn(void)
{
    cr_assert_eq(fleet_start(t.fleet), 0);
    return told(CHANNEL_SPAWN);
}

static int start(void)
{
    int number = spawn();

    tell(CHANNEL_STARTED, number, 1000 + number, 0);
    settle_down();
    return number;
}

/* The worker takes a connection. */
static int taken(int number)
{
    return peer_accept(t.process[number].listening);
}

/* A new worker has greeted. Returns the connection. */
static int greet(int number)
{
    int connection = taken(number);

    peer_say(connection, WIRE_GREETING);
    settle_down();
    return connection;
}

/* A worker that has greeted, had nothing to do, and is idle. */
static int idle(void)
{
    int number = start();
    int connection = greet(number);

    cr_assert_eq(fleet_ready(t.fleet), number);
    fleet_release(t.fleet, number);
    peer_expect_end(connection);
    return number;
}

/* An idle worker that is called, and has the request. Returns the connection. */
static int busy(int number, unsigned which)
{
    struct wire bytes = wire(WIRE_REQUEST);
    int connection;

    cr_assert_eq(fleet_call(t.fleet, &work[which]), number);
    connection = greet(number);
    cr_assert(fleet_give(t.fleet, number, &work[which], bytes.bytes, bytes.len, "E5825A72641"));
    wire_free(&bytes);
    peer_expect(connection, WIRE_REQUEST);
    return connection;
}

/* Its end, as the kernel makes it: descriptors first. */
static void dies(int number, int connection, int status)
{
    close(t.process[number].listening);
    close(t.process[number].status);
    if (connection >= 0)
        close(connection);
    tell(CHANNEL_EXITED, number, 1000 + number, status);
}

static void forget_events(void)
{
    t.events = 0;
}

/* The events since forget_events() are these, and each was of this worker. */
static void expect_events(int number, unsigned count, const enum fleet_kind *kinds)
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

/* --- a worker's life --------------------------------------------------------------------------- */

Test(fleet, a_new_worker_delivers)
{
    struct wire bytes = wire(WIRE_REQUEST);
    int number = spawn(), connection;

    cr_expect_eq(fleet_view(t.fleet).greeting_length, 0);
    expect_count(WORKER_STARTING, 1);
    cr_expect_eq(fleet_starting_since(t.fleet), peer_loop.now);
    tell(CHANNEL_STARTED, number, 4711, 1);
    settle_down();
    EXPECT_EVENTS(number, FLEET_STARTED);
    cr_expect(t.event[0].renewed);
    cr_expect_eq(t.totals.started, 1);
    cr_expect_eq(fleet_ready(t.fleet), POOL_NONE, "it has not greeted");
    forget_events();
    connection = greet(number);
    EXPECT_EVENTS(number, FLEET_GREETED);
    cr_expect_null(t.event[0].work);
    cr_expect_eq(fleet_ready(t.fleet), number);
    cr_expect_eq(fleet_view(t.fleet).greeting_length, strlen(WIRE_GREETING));
    cr_expect_eq(fleet_view(t.fleet).most, 1);
    forget_events();
    cr_expect(fleet_give(t.fleet, number, &work[0], bytes.bytes, bytes.len, "E5825A72641"));
    cr_expect_eq(fleet_ready(t.fleet), POOL_NONE);
    cr_expect_eq(fleet_starting_since(t.fleet), 0);
    expect_count(WORKER_BUSY, 1);
    peer_expect(connection, WIRE_REQUEST);
    settle_down();
    cr_expect_eq(t.events, 0);
    peer_say(connection, WIRE_REPLY_DSN);
    peer_expect_end(connection);
    EXPECT_EVENTS(number, FLEET_REPLIED);
    cr_expect_eq(t.event[0].work, &work[0]);
    cr_expect_eq(t.event[0].reply, UINT32_MAX);
    cr_expect_eq(t.event[0].length, strlen(WIRE_REPLY_DSN));
    expect_count(WORKER_IDLE, 1);
    wire_free(&bytes);
}

Test(fleet, an_idle_worker_delivers)
{
    int number = idle();
    int connection;

    forget_events();
    connection = busy(number, 1);
    EXPECT_EVENTS(number, FLEET_GREETED);
    cr_expect_eq(t.event[0].work, &work[1]);
    peer_say(connection, WIRE_REPLY_DONE);
    peer_expect_end(connection);
    cr_assert_eq(t.events, 2);
    cr_expect_eq(t.event[1].kind, FLEET_REPLIED);
    cr_expect_eq(t.event[1].work, &work[1]);
    cr_expect_eq(t.event[1].reply, 0);
    expect_count(WORKER_IDLE, 1);
    cr_expect_eq(t.totals.started, 1);
}

/* As a slow machine would have it. */
Test(fleet, greeting_and_reply_in_pieces)
{
    int number = start();
    int connection = taken(number);

    peer_say_slowly(connection, WIRE_GREETING);
    settle_down();
    cr_assert_eq(fleet_ready(t.fleet), number);
    fleet_release(t.fleet, number);
    close(connection);
    connection = busy(number, 1);
    forget_events();
    peer_say_slowly(connection, WIRE_REPLY_DSN);
    settle_down();
    EXPECT_EVENTS(number, FLEET_REPLIED);
    cr_expect_eq(t.event[0].length, strlen(WIRE_REPLY_DSN));
    close(connection);
}

/* More than the socket takes at once. */
static struct wire large_request(void)
{
    static char text[600000];
    size_t at = (size_t)snprintf(text, sizeof text, WIRE_COMMON "recipient_count|3000||");

    for (unsigned i = 0; i < 3000; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s", WIRE_USER1);
    return wire(text);
}

Test(fleet, a_large_request_in_pieces)
{
    struct wire bytes = large_request();
    int number = start();
    int connection = greet(number);

    forget_events();
    cr_assert_not(fleet_give(t.fleet, number, &work[2], bytes.bytes, bytes.len, "A"));
    settle_down();
    cr_expect_eq(t.events, 0, "nothing is read");
    peer_expect_bytes(connection, bytes.bytes, bytes.len);
    settle_down();
    EXPECT_EVENTS(number, FLEET_SENT);
    cr_expect_eq(t.event[0].work, &work[2]);
    peer_say(connection, WIRE_REPLY_DONE);
    peer_expect_end(connection);
    cr_assert_eq(t.events, 2);
    cr_expect_eq(t.event[1].kind, FLEET_REPLIED);
    wire_free(&bytes);
}

/* An agent may know its answer before it has read all. */
Test(fleet, a_reply_before_all_is_read)
{
    struct wire bytes = large_request();
    int number = start();
    int connection = greet(number);

    forget_events();
    cr_assert_not(fleet_give(t.fleet, number, &work[2], bytes.bytes, bytes.len, "A"));
    peer_say(connection, WIRE_REPLY_DEFERRED);
    settle_down();
    EXPECT_EVENTS(number, FLEET_REPLIED);
    expect_count(WORKER_IDLE, 1);
    close(connection);
    wire_free(&bytes);
}

/* The request was withdrawn before the worker greeted. */
Test(fleet, one_that_is_called_is_released)
{
    int number = idle();
    int connection;

    forget_events();
    cr_assert_eq(fleet_call(t.fleet, &work[0]), number);
    expect_count(WORKER_CONNECTING, 1);
    connection = taken(number);
    peer_say(connection, WIRE_GREETING);
    fleet_release(t.fleet, number);
    settle_down();
    cr_expect_eq(t.events, 0);
    expect_count(WORKER_IDLE, 1);
    close(connection);
    close(busy(number, 3));
}

/* The worker is idle again when the sink learns of its reply. */
Test(fleet, the_sink_may_call_at_once)
{
    int number = idle();
    int connection = busy(number, 1);

    t.calls_again = 1;
    peer_say(connection, WIRE_REPLY_DONE);
    peer_expect_end(connection);
    connection = greet(number);
    cr_expect_eq(t.event[t.events - 1].kind, FLEET_GREETED);
    cr_expect_eq(t.event[t.events - 1].work, &work[7]);
    close(connection);
}

Test(fleet, none_is_idle)
{
    cr_expect_eq(fleet_call(t.fleet, &work[0]), POOL_NONE);
    close(busy(idle(), 0));
    cr_expect_eq(fleet_call(t.fleet, &work[1]), POOL_NONE);
}

/* It says two things of 12 bytes for each connection, and would stop for good when nobody reads them. */
Test(fleet, a_worker_can_always_say_what_it_does)
{
    int number = idle();

    for (unsigned i = 0; i < 200; i++) {
        const struct master_status status = {.pid = 1, .generation = 8, .available = i % 2};

        cr_assert_eq(fleet_call(t.fleet, &work[0]), number);
        for (unsigned j = 0; j < 2; j++)
            cr_assert_eq(
                send(t.process[number].status, &status, sizeof status, MSG_DONTWAIT | MSG_NOSIGNAL),
                (ssize_t)sizeof status, "connection %u: %s", i, strerror(errno));
        close(taken(number));
        fleet_release(t.fleet, number);
    }
}

/* --- a worker goes ----------------------------------------------------------------------------- */

/* With a request in hand, or half of a reply, or nonsense: it is lost. The name is told with its end. */
Test(fleet, lost_with_a_request)
{
    static const char *const replies[] = {"", "status|4.4.1|", "nonsense||",
                                          WIRE_REPLY_DONE "more|"};

    for (unsigned i = 0; i < 4; i++) {
        int number = idle();
        int connection = busy(number, i);

        forget_events();
        peer_say(connection, replies[i]);
        shutdown(connection, SHUT_WR);
        settle_down();
        EXPECT_EVENTS(number, FLEET_LOST);
        cr_expect_eq(t.event[0].work, &work[i]);
        expect_count(WORKER_LEAVING, 1);
        /* It may still deliver it: it is never ended by force. */
        later(3 * GREET_TIMEOUT);
        fleet_tick(t.fleet);
        cr_expect(told_nothing());
        dies(number, connection, SIGKILL);
        settle_down();
        EXPECT_EVENTS(number, FLEET_LOST, FLEET_ENDED);
        cr_expect_eq(t.event[1].pid, 1000 + number);
        cr_expect_eq(t.event[1].status, SIGKILL);
        cr_expect_str_eq(t.event[1].lost, "E5825A72641");
        cr_expect_not(t.event[1].retired);
        expect_count(WORKER_FREE, MAX);
    }
}

/* The next one with this number has lost nothing. */
Test(fleet, a_number_is_used_again)
{
    int number = idle();

    dies(number, busy(number, 0), SIGKILL);
    settle_down();
    cr_expect_eq(idle(), number);
    forget_events();
    dies(number, -1, 0);
    settle_down();
    EXPECT_EVENTS(number, FLEET_ENDED);
    cr_expect_str_eq(t.event[0].lost, "");
    cr_expect_eq(t.event[0].status, 0);
}

/* Before any byte was sent the work goes back: to another worker, perhaps. */
Test(fleet, vanished_before_a_byte_was_sent)
{
    static const char *const greetings[] = {"", "protocol|", "protocol|something_else||",
                                            WIRE_GREETING "status|"};

    for (unsigned i = 0; i < 4; i++) {
        int number = idle();
        int connection;

        forget_events();
        cr_assert_eq(fleet_call(t.fleet, &work[i]), number);
        connection = taken(number);
        peer_say(connection, greetings[i]);
        shutdown(connection, SHUT_WR);
        settle_down();
        EXPECT_EVENTS(number, FLEET_VANISHED);
        cr_expect_eq(t.event[0].work, &work[i]);
        dies(number, connection, 0);
        settle_down();
        EXPECT_EVENTS(number, FLEET_VANISHED, FLEET_ENDED);
        cr_expect_str_eq(t.event[1].lost, "");
    }
}

/* It greets, and is gone when its greeting is read: nothing is given to the dead. */
Test(fleet, vanished_behind_its_greeting)
{
    int number = idle();
    int connection;

    forget_events();
    cr_assert_eq(fleet_call(t.fleet, &work[0]), number);
    connection = taken(number);
    peer_say(connection, WIRE_GREETING);
    close(connection);
    settle_down();
    EXPECT_EVENTS(number, FLEET_VANISHED);
}

/* An idle one goes by itself after max_idle: only the end of its status channel tells. */
Test(fleet, an_idle_one_that_goes_is_not_called)
{
    int number = idle();

    close(t.process[number].status);
    settle_down();
    expect_count(WORKER_LEAVING, 1);
    cr_expect_eq(fleet_call(t.fleet, &work[0]), POOL_NONE);
    /* One that nobody has told of yet does not answer the door. */
    number = idle();
    close(t.process[number].listening);
    cr_expect_eq(fleet_call(t.fleet, &work[0]), POOL_NONE);
    expect_count(WORKER_LEAVING, 2);
}

/* It is busy with its last request, and says so at once by its status channel. */
Test(fleet, one_that_goes_after_its_reply_is_not_idle_again)
{
    int number = idle();
    int connection = busy(number, 0);

    forget_events();
    close(t.process[number].status);
    settle_down();
    cr_expect_eq(t.events, 0);
    peer_say(connection, WIRE_REPLY_DONE);
    settle_down();
    EXPECT_EVENTS(number, FLEET_REPLIED);
    expect_count(WORKER_LEAVING, 1);
    close(connection);
}

Test(fleet, the_longest_idle_is_retired)
{
    int first = idle(), second, third;
    char byte;

    later(SECOND);
    second = idle();
    later(SECOND);
    third = idle();
    forget_events();
    fleet_retire(t.fleet, 2);
    expect_count(WORKER_IDLE, 1);
    expect_count(WORKER_LEAVING, 2);
    cr_expect_eq(fleet_call(t.fleet, &work[0]), third);
    /* They are told by the end of the channel. */
    cr_expect_eq(recv(t.process[first].status, &byte, 1, MSG_DONTWAIT), 0);
    cr_expect_eq(recv(t.process[second].status, &byte, 1, MSG_DONTWAIT), 0);
    dies(first, -1, 0);
    settle_down();
    EXPECT_EVENTS(first, FLEET_ENDED);
    cr_expect(t.event[0].retired);
    fleet_retire(t.fleet, 100);
    expect_count(WORKER_IDLE, 0);
    expect_count(WORKER_CONNECTING, 1);
}

/* Idle for half a minute, beyond the minimum; those that leave do not count. */
Test(fleet, surplus_is_retired)
{
    for (unsigned i = 0; i < 4; i++)
        idle();
    close(t.process[0].status);
    settle_down();
    later(IDLE_SURPLUS - SECOND);
    fleet_tick(t.fleet);
    expect_count(WORKER_IDLE, 3);
    later(SECOND);
    fleet_tick(t.fleet);
    expect_count(WORKER_IDLE, 2);
    later(86400 * SECOND);
    fleet_tick(t.fleet);
    expect_count(WORKER_IDLE, 2);
}

/* --- it does not answer ------------------------------------------------------------------------ */

Test(fleet, one_that_does_not_greet_is_ended)
{
    int number = start();

    forget_events();
    later(GREET_TIMEOUT - SECOND);
    fleet_tick(t.fleet);
    cr_expect(told_nothing());
    later(SECOND);
    fleet_tick(t.fleet);
    cr_expect_eq(told(CHANNEL_KILL), number);
    cr_expect_eq(t.events, 0);
    cr_expect_eq(said.times[COMPLAINT_START], 1);
    cr_expect(strstr(said.last, "does not greet"));
    cr_expect_gt(fleet_view(t.fleet).start_after, peer_loop.now);
    fleet_tick(t.fleet);
    later(2 * GREET_TIMEOUT);
    fleet_tick(t.fleet);
    cr_expect(told_nothing(), "once");
    dies(number, -1, SIGKILL);
    settle_down();
    EXPECT_EVENTS(number, FLEET_ENDED);
    cr_expect_eq(said.times[COMPLAINT_START], 1, "its end is no other reason");
    expect_count(WORKER_FREE, MAX);
}

Test(fleet, one_that_is_called_and_does_not_greet_is_ended)
{
    int number = idle();

    forget_events();
    cr_assert_eq(fleet_call(t.fleet, &work[4]), number);
    later(GREET_TIMEOUT);
    fleet_tick(t.fleet);
    EXPECT_EVENTS(number, FLEET_VANISHED);
    cr_expect_eq(t.event[0].work, &work[4]);
    cr_expect_eq(told(CHANNEL_KILL), number);
    cr_expect_eq(said.times[COMPLAINT_START], 0);
}

/* It was told to go, and does not: its place is needed. */
Test(fleet, one_that_does_not_leave_is_ended)
{
    int number = idle();

    fleet_retire(t.fleet, 1);
    later(GREET_TIMEOUT - SECOND);
    fleet_tick(t.fleet);
    cr_expect(told_nothing());
    later(SECOND);
    fleet_tick(t.fleet);
    cr_expect_eq(told(CHANNEL_KILL), number);
    later(GREET_TIMEOUT);
    fleet_tick(t.fleet);
    cr_expect(told_nothing(), "once");
    dies(number, -1, SIGKILL);
    settle_down();
    expect_count(WORKER_FREE, MAX);
}

/* A busy one delivers, for as long as that takes. */
Test(fleet, a_busy_one_is_never_ended)
{
    int connection = busy(idle(), 0);

    forget_events();
    for (unsigned i = 0; i < JUMPS; i++) {
        later(jumps[i]);
        fleet_tick(t.fleet);
    }
    cr_expect(told_nothing());
    cr_expect_eq(t.events, 0);
    peer_say(connection, WIRE_REPLY_DONE);
    peer_expect_end(connection);
    cr_expect_eq(t.events, 1);
}

/* The channel is full: the parent is told at a later tick, once. */
static void expect_kill_later(int number)
{
    const struct channel_message filler = {.kind = CHANNEL_KILL, .worker = MAX - 1};
    unsigned fillers = 0;

    while (channel_send(t.channel, &filler, NULL) == 0)
        fillers++;
    later(GREET_TIMEOUT);
    fleet_tick(t.fleet);
    later(SECOND);
    fleet_tick(t.fleet);
    for (; fillers > 0; fillers--)
        cr_assert_eq(told(CHANNEL_KILL), MAX - 1);
    cr_expect(told_nothing());
    later(SECOND);
    fleet_tick(t.fleet);
    cr_expect_eq(told(CHANNEL_KILL), number);
    fleet_tick(t.fleet);
    later(GREET_TIMEOUT);
    fleet_tick(t.fleet);
    cr_expect(told_nothing());
}

Test(fleet, a_parent_that_does_not_read)
{
    int number = idle();

    fleet_retire(t.fleet, 1);
    expect_kill_later(number);
    tell(CHANNEL_EXITED, number, 1000 + number, SIGKILL);
    settle_down();
    expect_kill_later(start());
}

/* A start that cannot be told is a failed start: nothing of it is left. */
Test(fleet, a_start_that_cannot_be_told)
{
    const struct channel_message filler = {.kind = CHANNEL_KILL, .worker = MAX - 1};

    while (channel_send(t.channel, &filler, NULL) == 0)
        ;
    cr_expect_eq(fleet_start(t.fleet), -EAGAIN);
    cr_expect_eq(said.times[COMPLAINT_START], 1);
    cr_expect_gt(fleet_view(t.fleet).start_after, peer_loop.now);
    expect_count(WORKER_FREE, MAX);
}

/* --- the parent tells of its end, in each state ------------------------------------------------- */

/* All of the group was killed: that says nothing of the program, unless it goes on and on. */
Test(fleet, killed_before_it_was_ready)
{
    for (unsigned i = 0; i < POOL_KILLS_MOST; i++) {
        int number = start();

        forget_events();
        dies(number, -1, SIGKILL);
        settle_down();
        EXPECT_EVENTS(number, FLEET_ENDED);
        cr_expect_gt(fleet_view(t.fleet).start_after, peer_loop.now);
        later(SECOND / 10);
        cr_expect_leq(fleet_view(t.fleet).start_after, peer_loop.now);
    }
    cr_expect_eq(said.times[COMPLAINT_START], 0);
    dies(start(), -1, SIGKILL);
    settle_down();
    cr_expect_eq(said.times[COMPLAINT_START], 1);
    cr_expect(strstr(said.last, "it ended with signal 9 before it was ready"), "%s", said.last);
    expect_count(WORKER_FREE, MAX);
}

Test(fleet, ended_before_it_was_ready)
{
    int number = start();

    forget_events();
    dies(number, -1, 127 << 8);
    settle_down();
    EXPECT_EVENTS(number, FLEET_ENDED);
    cr_expect_eq(said.times[COMPLAINT_START], 1);
    cr_expect(strstr(said.last, "exit status 127"), "%s", said.last);
    cr_expect(strstr(said.last, "/daemons/lmtp"), "%s", said.last);
    expect_count(WORKER_FREE, MAX);
}

Test(fleet, ended_with_a_greeting_that_was_not_read)
{
    int number = start();
    int connection = taken(number);

    forget_events();
    peer_say(connection, WIRE_GREETING);
    dies(number, connection, 0);
    settle_down();
    cr_expect_eq(t.event[t.events - 1].kind, FLEET_ENDED);
    cr_expect_eq(said.times[COMPLAINT_START], 0);
    cr_expect_eq(fleet_view(t.fleet).start_after, 0);
    cr_expect_eq(fleet_view(t.fleet).greeting_length, strlen(WIRE_GREETING));
    cr_expect_eq(fleet_ready(t.fleet), POOL_NONE);
}

Test(fleet, ended_when_it_was_ready)
{
    int number = start();

    greet(number);
    cr_assert_eq(fleet_ready(t.fleet), number);
    forget_events();
    tell(CHANNEL_EXITED, number, 1000 + number, 0);
    settle_down();
    EXPECT_EVENTS(number, FLEET_ENDED);
    cr_expect_eq(fleet_ready(t.fleet), POOL_NONE);
    cr_expect_eq(said.times[COMPLAINT_START], 0);
    expect_count(WORKER_FREE, MAX);
}

Test(fleet, ended_when_it_was_idle)
{
    int number = idle();

    forget_events();
    tell(CHANNEL_EXITED, number, 1000 + number, 0);
    settle_down();
    EXPECT_EVENTS(number, FLEET_ENDED);
    cr_expect_not(t.event[0].retired);
    cr_expect_eq(fleet_call(t.fleet, &work[0]), POOL_NONE);
    expect_count(WORKER_FREE, MAX);
}

Test(fleet, ended_when_it_was_called)
{
    int number = idle();

    cr_assert_eq(fleet_call(t.fleet, &work[3]), number);
    forget_events();
    tell(CHANNEL_EXITED, number, 1000 + number, 0);
    settle_down();
    EXPECT_EVENTS(number, FLEET_VANISHED, FLEET_ENDED);
    cr_expect_eq(t.event[0].work, &work[3]);
    expect_count(WORKER_FREE, MAX);
}

/* A process that it left behind may have its end of the connection open. */
Test(fleet, ended_when_it_was_busy)
{
    int number = idle();
    int connection = busy(number, 3);

    forget_events();
    tell(CHANNEL_EXITED, number, 1000 + number, SIGSEGV);
    settle_down();
    EXPECT_EVENTS(number, FLEET_LOST, FLEET_ENDED);
    cr_expect_eq(t.event[0].work, &work[3]);
    cr_expect_str_eq(t.event[1].lost, "E5825A72641");
    expect_count(WORKER_FREE, MAX);
    peer_expect_end(connection);
}

/* What it said before its end counts. */
Test(fleet, ended_behind_its_reply)
{
    int number = idle();
    int connection = busy(number, 3);

    forget_events();
    peer_say(connection, WIRE_REPLY_DONE);
    tell(CHANNEL_EXITED, number, 1000 + number, 0);
    settle_down();
    EXPECT_EVENTS(number, FLEET_REPLIED, FLEET_ENDED);
    cr_expect_eq(t.event[0].reply, 0);
    cr_expect_str_eq(t.event[1].lost, "");
    expect_count(WORKER_FREE, MAX);
}

Test(fleet, ended_when_it_was_told_to_go)
{
    int number = idle();

    fleet_retire(t.fleet, 1);
    forget_events();
    dies(number, -1, 0);
    settle_down();
    EXPECT_EVENTS(number, FLEET_ENDED);
    cr_expect(t.event[0].retired);
    expect_count(WORKER_FREE, MAX);
}

/* --- a hang-up and the news of the end in one batch, in both orders ----------------------------- */

struct batch {
    const char *says; /* on its connection, before it hangs up */
    bool called;      /* an idle one that is called; else a new one */
    bool given;
    unsigned events;
    enum fleet_kind kinds[2];
    const char *lost;
    unsigned complaints;
};

static const struct batch batches[] = {
    {WIRE_REPLY_DONE, true, true, 2, {FLEET_REPLIED, FLEET_ENDED}, "", 0},
    {"", true, true, 2, {FLEET_LOST, FLEET_ENDED}, "E5825A72641", 0},
    {"status|", true, true, 2, {FLEET_LOST, FLEET_ENDED}, "E5825A72641", 0},
    {WIRE_GREETING, true, false, 2, {FLEET_VANISHED, FLEET_ENDED}, "", 0},
    {"", true, false, 2, {FLEET_VANISHED, FLEET_ENDED}, "", 0},
    {WIRE_GREETING, false, false, 1, {FLEET_ENDED}, "", 0},
    {"", false, false, 1, {FLEET_ENDED}, "", 1},
};

static void batch(const struct batch *want, bool hang_up_first)
{
    int number = want->called ? idle() : start();
    unsigned complaints = said.times[COMPLAINT_START];
    int connection;

    if (want->given) {
        connection = busy(number, 5);
    } else {
        if (want->called)
            cr_assert_eq(fleet_call(t.fleet, &work[5]), number);
        connection = taken(number);
    }
    settle_down();
    forget_events();
    if (!hang_up_first)
        tell(CHANNEL_EXITED, number, 1000 + number, 0);
    peer_say(connection, want->says);
    close(connection);
    close(t.process[number].listening);
    close(t.process[number].status);
    if (hang_up_first)
        tell(CHANNEL_EXITED, number, 1000 + number, 0);
    turn();
    settle_down();
    expect_events(number, want->events, want->kinds);
    if (want->events == 2)
        cr_expect_eq(t.event[0].work, &work[5]);
    cr_expect_str_eq(t.event[want->events - 1].lost, want->lost);
    cr_expect_eq(said.times[COMPLAINT_START] - complaints, want->complaints, "%s",
                 hang_up_first ? "hang-up first" : "end first");
    expect_count(WORKER_FREE, MAX);
}

Test(fleet, hang_up_and_end_in_one_batch)
{
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++)
        batch(&batches[i], true);
}

Test(fleet, end_and_hang_up_in_one_batch)
{
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++)
        batch(&batches[i], false);
}

/* --- starts that fail --------------------------------------------------------------------------- */

/* One second, then two, and so on; each reason is said once, until one succeeds. */
Test(fleet, back_off)
{
    unsigned pause = 1;

    for (unsigned i = 0; i < 8; i++) {
        tell(CHANNEL_FAILED, spawn(), 0, ENOENT);
        settle_down();
        cr_expect_eq(fleet_view(t.fleet).start_after - peer_loop.now <= pause * SECOND, true);
        cr_expect_gt(fleet_view(t.fleet).start_after + SECOND / 10, peer_loop.now + pause * SECOND);
        cr_expect_eq(fleet_view(t.fleet).start_error, ENOENT);
        later(pause * SECOND);
        pause = pause * 2 > 60 ? 60 : pause * 2;
    }
    cr_expect_eq(said.times[COMPLAINT_START], 1);
    cr_expect(strstr(said.last, strerror(ENOENT)));
    cr_expect_eq(t.events, 0);
    tell(CHANNEL_FAILED, spawn(), 0, EACCES);
    settle_down();
    cr_expect_eq(said.times[COMPLAINT_START], 2, "another reason");
    idle();
    cr_expect_eq(fleet_view(t.fleet).start_error, 0);
    cr_expect_eq(fleet_view(t.fleet).start_after, 0);
    tell(CHANNEL_FAILED, spawn(), 0, EACCES);
    settle_down();
    cr_expect_eq(said.times[COMPLAINT_START], 3);
    cr_expect_leq(fleet_view(t.fleet).start_after, peer_loop.now + SECOND, "from the beginning");
}

/* No memory or no process for it: the limit judges that, and there is no pause. */
Test(fleet, a_fork_that_fails)
{
    static const int errors[] = {EAGAIN, ENOMEM};

    for (unsigned i = 0; i < 2; i++) {
        int number = spawn();

        forget_events();
        tell(CHANNEL_FAILED, number, 0, errors[i]);
        settle_down();
        EXPECT_EVENTS(number, FLEET_FORK_FAILED);
        cr_expect_eq(fleet_view(t.fleet).start_after, 0);
        cr_expect_eq(said.times[COMPLAINT_START], 0);
        expect_count(WORKER_FREE, MAX);
    }
}

Test(fleet, all_numbers_are_in_use)
{
    for (unsigned i = 0; i < MAX; i++)
        spawn();
    cr_expect_eq(fleet_start(t.fleet), -EAGAIN);
    cr_expect(told_nothing());
    cr_expect_eq(said.times[COMPLAINT_START], 0);
}

Test(fleet, since_when_one_starts)
{
    uint64_t first = peer_loop.now;
    int number = spawn();

    later(SECOND);
    spawn();
    cr_expect_eq(fleet_starting_since(t.fleet), first, "the oldest");
    tell(CHANNEL_FAILED, number, 0, EAGAIN);
    settle_down();
    cr_expect_geq(fleet_starting_since(t.fleet), first + SECOND);
    cr_expect_lt(fleet_starting_since(t.fleet), first + 2 * SECOND);
}

/* Somebody has removed it: it is made again, or said where it is missed. */
Test(fleet, the_directory_of_sockets_is_gone)
{
    char command[64];

    snprintf(command, sizeof command, "%s/sub", peer_directory);
    cr_assert_eq(mkdir(command, 0700), 0);
    cr_assert_eq(chdir(command), 0);
    cr_assert_eq(rmdir(command), 0);
    t.renew_result = -EACCES;
    cr_expect_eq(fleet_start(t.fleet), -EACCES);
    cr_expect_eq(t.renewed, 1);
    cr_expect_eq(said.times[COMPLAINT_START], 1);
    cr_expect(strstr(said.last, "/the/place"), "%s", said.last);
    cr_expect(strstr(said.last, strerror(EACCES)), "%s", said.last);
    t.renew_result = 0;
    cr_expect_eq(fleet_start(t.fleet), -ENOENT, "it says so, but it is not there");
    cr_expect_eq(t.renewed, 2);
    expect_count(WORKER_FREE, MAX);
    cr_assert_eq(chdir(peer_directory), 0);
    later(SECOND);
    idle();
    cr_expect_eq(t.renewed, 2);
}

/* --- descriptors -------------------------------------------------------------------------------- */

static unsigned descriptors_open(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* At each of the four that a start needs. */
Test(fleet, without_a_descriptor_nothing_is_started)
{
    unsigned before = descriptors_open();

    for (unsigned more = 0; more < 4; more++) {
        rlim_t limit;
        int kept[4];

        for (unsigned i = 0; i < 4; i++)
            kept[i] = dup(0);
        limit = descriptors_end();
        for (unsigned i = 0; i < more; i++)
            close(kept[3 - i]);
        t.budget.descriptors_short = false;
        cr_expect_lt(fleet_start(t.fleet), 0, "with %u", more);
        cr_expect(t.budget.descriptors_short, "with %u", more);
        expect_count(WORKER_FREE, MAX);
        cr_expect_eq(said.times[COMPLAINT_START], 0);
        cr_expect_eq(fleet_view(t.fleet).start_after, 0);
        cr_expect(told_nothing());
        descriptors_again(limit);
        for (unsigned i = 0; i < 4 - more; i++)
            close(kept[i]);
        cr_expect_eq(descriptors_open(), before, "one was left open");
    }
    idle();
}

/* That there is no descriptor, or no room in epoll(7), does not mean that the worker has gone. */
Test(fleet, without_a_descriptor_nobody_is_called)
{
    int number = idle();
    rlim_t limit = descriptors_end();

    cr_expect_eq(fleet_call(t.fleet, &work[0]), POOL_NONE);
    descriptors_again(limit);
    cr_expect(t.budget.descriptors_short);
    expect_count(WORKER_IDLE, 1);
    t.budget.descriptors_short = false;
    epoll_refuses = ENOSPC;
    cr_expect_eq(fleet_call(t.fleet, &work[0]), POOL_NONE);
    epoll_refuses = 0;
    cr_expect(t.budget.descriptors_short);
    expect_count(WORKER_IDLE, 1);
    while (peer_connected(t.process[number].listening))
        ;
    close(busy(number, 0));
}

/* --- the parent --------------------------------------------------------------------------------- */

Test(fleet, the_parent_has_gone)
{
    close(t.parent);
    turn();
    cr_assert_gt(t.events, 0);
    cr_expect_eq(t.event[0].kind, FLEET_CLOSED);
    cr_expect_eq(t.event[0].status, 0);
}

Test(fleet, the_parent_talks_nonsense)
{
    peer_send(t.parent, "nonsense", 8);
    turn();
    cr_assert_gt(t.events, 0);
    cr_expect_eq(t.event[0].kind, FLEET_CLOSED);
    cr_expect_eq(t.event[0].status, 1);
}

/* Its last news are not lost. */
Test(fleet, news_of_a_parent_that_has_gone)
{
    int number = idle();

    forget_events();
    dies(number, -1, 0);
    close(t.parent);
    turn();
    cr_assert_geq(t.events, 2);
    cr_expect_eq(t.event[0].kind, FLEET_ENDED);
    cr_expect_eq(t.event[1].kind, FLEET_CLOSED);
}

Test(fleet, news_of_a_worker_that_is_not_aborts, .signal = SIGABRT)
{
    tell(CHANNEL_EXITED, 1, 4711, 0);
    turn();
}

Test(fleet, news_of_a_number_that_is_not_aborts, .signal = SIGABRT)
{
    tell(CHANNEL_STARTED, MAX, 4711, 0);
    turn();
}

/* What is ours to say: it would end a worker that lives. */
Test(fleet, a_wish_of_the_parent_aborts, .signal = SIGABRT)
{
    tell(CHANNEL_KILL, idle(), 0, 0);
    turn();
}

/* --- the clock ---------------------------------------------------------------------------------- */

/* It jumps in each sink: deliveries go on. */
Test(fleet, a_clock_that_jumps)
{
    for (unsigned i = 0; i < JUMPS; i++) {
        int number, connection;

        t.jump = jumps[i];
        number = idle();
        connection = busy(number, 0);
        peer_say(connection, WIRE_REPLY_DONE);
        peer_expect_end(connection);
        fleet_tick(t.fleet);
        connection = busy(number, 1);
        peer_say(connection, WIRE_REPLY_DONE);
        peer_expect_end(connection);
        t.jump = 0;
        dies(number, -1, 0);
        settle_down();
    }
    expect_count(WORKER_FREE, MAX);
    cr_expect_eq(said.times[COMPLAINT_START], 0);
}

/* What is under way at the end is given back: the ends of all status channels, too. */
Test(fleet, it_ends_with_all_it_has)
{
    unsigned before = descriptors_open();
    struct fleet *fleet;
    struct fleet_config config = {.loop = &peer_loop,
                                  .budget = &t.budget,
                                  .complaints = &t.complaints,
                                  .totals = &t.totals,
                                  .max = 2,
                                  .agent = "lmtp",
                                  .directory = "/daemons",
                                  .sink = on_fleet,
                                  .context = &t};
    int ends[2], number, connection, fds[CHANNEL_DESCRIPTORS];
    struct channel_message message;

    cr_assert_eq(channel_open(ends), 0);
    config.channel = ends[0];
    cr_assert_eq(fleet_create(&fleet, &config), 0);
    cr_assert_eq(fleet_start(fleet), 0);
    cr_assert_eq(channel_receive(ends[1], &message, fds), 1);
    connection = peer_accept(fds[0]);
    peer_say(connection, WIRE_GREETING);
    settle_down();
    number = fleet_ready(fleet);
    cr_assert_neq(number, POOL_NONE);
    fleet_give(fleet, number, &work[0], "x", 1, "A");
    peer_say(connection, "status|");
    settle_down();
    fleet_destroy(fleet);
    fleet_destroy(NULL);
    close(ends[0]);
    close(ends[1]);
    close(fds[0]);
    close(fds[1]);
    close(connection);
    cr_expect_eq(descriptors_open(), before);
}
