#ifndef TESTS_UNIT_CLIENTS_HARNESS_H
#define TESTS_UNIT_CLIENTS_HARNESS_H

/*
 * For tests of supervisor/dispatcher/clients.c: the test is qmgr(8), local(8), master(8), and the
 * router.
 */

#include "supervisor/dispatcher/clients.h"

#include <signal.h>
#include <sys/file.h>

#include "agents/limits.h"
#include "agents/master.h"
#include "agents/reply.h"
#include "supervisor/limits.h"
#include "tests/unit/peer.h"

#define MAX 8
#define ROUNDS 40U
#define EVENTS 1000
#define TIMEOUT (3600 * SECOND)
#define ID "E5825A72641" /* of WIRE_REQUEST */

/* --- the test's ends ----------------------------------------------------------------------------- */

struct event {
    enum clients_kind kind;
    struct client *client;
};

static struct {
    struct budget budget;
    struct complaints complaints;
    struct totals totals;
    struct clients *clients;
    int service;
    int master;     /* its end of the status channel */
    bool answers;   /* the sink answers at once, with a success */
    uint64_t jump;  /* how far the clock moves in the sink */
    bool forbidden; /* the sink may not be called */
    unsigned events;
    struct event event[EVENTS];
} t;

/* An answer from one agent. */
static inline struct merge answer_of(const char *text)
{
    struct wire bytes = wire(text);
    struct reply reply;
    struct merge merge;

    cr_assert_eq(reply_parse(bytes.bytes, bytes.len, &reply), 0);
    merge_init(&merge, 1);
    cr_assert_eq(merge_add(&merge, &reply, bytes.bytes), 0);
    wire_free(&bytes);
    return merge;
}

/* The sink must not be called meanwhile. */
static inline void answer(struct client *client, const char *text)
{
    struct merge merge = answer_of(text);

    t.forbidden = true;
    client_answer(client, &merge);
    t.forbidden = false;
    cr_expect_null(merge.kept, "it is taken over");
}

static inline void on_client(void *context, enum clients_kind kind, struct client *client)
{
    cr_expect_eq(context, &t);
    cr_assert_not(t.forbidden, "the sink is called");
    cr_assert_lt(t.events, EVENTS);
    t.event[t.events++] = (struct event){.kind = kind, .client = client};
    jumped += t.jump;
    if (t.answers)
        answer(client, WIRE_REPLY_DONE);
}

static inline void setup(void)
{
    int ends[2];

    peer_open();
    cr_assert_eq(mkdir("active", 0700), 0);
    t.service = peer_listen("service", 100);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    t.master = ends[0];
    t.budget = (struct budget){.complaints = &t.complaints, .clients_max = MAX};
    const struct clients_config config = {
        .loop = &peer_loop,
        .budget = &t.budget,
        .complaints = &t.complaints,
        .totals = &t.totals,
        .queue_directory = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
        .hash_queue_names = "deferred",
        .hash_queue_depth = 1,
        .timeout = TIMEOUT,
        .socket = t.service,
        .sockets = 1,
        .status = ends[1],
        .pid = 4711,
        .generation = 5,
        .sink = on_client,
        .context = &t,
    };
    cr_assert_eq(clients_create(&t.clients, &config), 0);
}

/* As it is most of the time. */
static inline void setup_listening(void)
{
    setup();
    clients_greet(t.clients, "protocol\0delivery_request_protocol\0", sizeof WIRE_GREETING - 1);
    clients_listen(t.clients, MAX);
}

static inline void teardown(void)
{
    clients_destroy(t.clients);
    peer_close();
}

TestSuite(clients_new, .init = setup, .fini = teardown);
TestSuite(clients, .init = setup_listening, .fini = teardown);

static inline int greeted(void)
{
    int fd = peer_dial();

    peer_expect(fd, WIRE_GREETING);
    return fd;
}

static inline void message(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    cr_assert_geq(fd, 0);
    close(fd);
}

/* Whether an agent has it locked. */
static inline bool locked(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool locked;

    cr_assert_geq(fd, 0);
    locked = flock(fd, LOCK_EX | LOCK_NB) < 0;
    close(fd);
    return locked;
}

static inline void expect_view(unsigned held, unsigned reading)
{
    struct clients_view view = clients_view(t.clients);

    cr_expect_eq(view.held, held, "%u are held, not %u", view.held, held);
    cr_expect_eq(view.reading, reading, "%u are being read, not %u", view.reading, reading);
}

/* A request that was read and is held. Returns qmgr's end. */
static inline int held(void)
{
    int fd = greeted();

    if (access("active/" ID, F_OK) < 0)
        message("active/" ID);
    peer_say(fd, WIRE_REQUEST);
    settle_down();
    cr_assert_gt(t.events, 0);
    cr_assert_eq(t.event[t.events - 1].kind, CLIENT_READ);
    return fd;
}

static inline struct client *last(void)
{
    return t.event[t.events - 1].client;
}

/* It stays in the queue, and the client is given back. */
static inline void expect_refused(int fd, const char *reason)
{
    peer_expect(fd, WIRE_REPLY_DEFERRED);
    peer_expect_end(fd);
    cr_expect_eq(t.events, 0);
    cr_expect_eq(t.totals.refused, 1);
    cr_expect_eq(t.totals.requests, 0);
    cr_expect_eq(said.times[COMPLAINT_REFUSED], 1);
    cr_expect(strstr(said.last, reason), "%s", said.last);
    cr_expect_eq(t.budget.held, 0);
    expect_view(0, 0);
}

static inline void expect_read(const char *text)
{
    struct wire want = wire(text);
    struct client *client;

    UNTIL(t.events == 1);
    cr_expect_eq(t.event[0].kind, CLIENT_READ);
    client = last();
    cr_expect_eq(client->length, want.len);
    cr_expect_eq(memcmp(client->bytes, want.bytes, want.len), 0);
    cr_expect_eq(client->request.recipient_count, 2);
    cr_expect_eq(t.budget.held, want.len, "it holds %lu for %zu", (unsigned long)t.budget.held,
                 want.len);
    cr_expect_eq(t.totals.requests, 1);
    expect_view(1, 0);
    wire_free(&want);
}

static inline void expect_answered(int fd)
{
    answer(last(), WIRE_REPLY_DSN);
    peer_expect(fd, WIRE_REPLY_DSN);
    peer_expect_end(fd);
    expect_view(0, 0);
    cr_expect_eq(t.budget.held, 0);
    cr_expect_eq(t.events, 1);
}

#endif
