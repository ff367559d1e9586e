/* supervisor/dispatcher/clients.c: the test is qmgr(8), local(8), master(8), and the router. */

#include "supervisor/dispatcher/clients.h"

#include <signal.h>
#include <sys/file.h>

#include "agents/limits.h"
#include "agents/master.h"
#include "agents/reply.h"
#include "supervisor/limits.h"
#include "tests/unit/peer.h"

#define MAX 8
#define ROUNDS 160U
#define EVENTS 1000
#define TIMEOUT (3600 * SECOND)
#define ID "E5825A72641" /* of WIRE_REQUEST */

/* --- memory that is short when the test says so -------------------------------------------------- */

#if defined __SANITIZE_ADDRESS__
#define SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

static bool memory_short;

#ifndef SANITIZED
void *__libc_malloc(size_t size);
void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size)
{
    if (!memory_short)
        return __libc_malloc(size);
    errno = ENOMEM;
    return NULL;
}

void *realloc(void *old, size_t size)
{
    if (!memory_short)
        return __libc_realloc(old, size);
    errno = ENOMEM;
    return NULL;
}
#endif

/* A turn without memory. */
static void turn_short_of_memory(void)
{
    memory_short = true;
    turn();
    turn();
    memory_short = false;
}

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
static struct merge answer_of(const char *text)
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
static void answer(struct client *client, const char *text)
{
    struct merge merge = answer_of(text);

    t.forbidden = true;
    client_answer(client, &merge);
    t.forbidden = false;
    cr_expect_null(merge.kept, "it is taken over");
}

static void on_client(void *context, enum clients_kind kind, struct client *client)
{
    cr_expect_eq(context, &t);
    cr_assert_not(t.forbidden, "the sink is called");
    cr_assert_lt(t.events, EVENTS);
    t.event[t.events++] = (struct event){.kind = kind, .client = client};
    jumped += t.jump;
    if (t.answers)
        answer(client, WIRE_REPLY_DONE);
}

static void setup(void)
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
static void setup_listening(void)
{
    setup();
    clients_greet(t.clients, "protocol\0delivery_request_protocol\0", sizeof WIRE_GREETING - 1);
    clients_listen(t.clients, MAX);
}

static void teardown(void)
{
    clients_destroy(t.clients);
    peer_close();
}

TestSuite(clients_new, .init = setup, .fini = teardown);
TestSuite(clients, .init = setup_listening, .fini = teardown);

static int dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "service"};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_geq(fd, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int greeted(void)
{
    int fd = dial();

    peer_expect(fd, WIRE_GREETING);
    return fd;
}

static void message(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    cr_assert_geq(fd, 0);
    close(fd);
}

/* Whether an agent has it locked. */
static bool locked(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool locked;

    cr_assert_geq(fd, 0);
    locked = flock(fd, LOCK_EX | LOCK_NB) < 0;
    close(fd);
    return locked;
}

static void expect_view(unsigned held, unsigned reading)
{
    struct clients_view view = clients_view(t.clients);

    cr_expect_eq(view.held, held, "%u are held, not %u", view.held, held);
    cr_expect_eq(view.reading, reading, "%u are being read, not %u", view.reading, reading);
}

/* A request that was read and is held. Returns qmgr's end. */
static int held(void)
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

static struct client *last(void)
{
    return t.event[t.events - 1].client;
}

/* It stays in the queue, and the client is given back. */
static void expect_refused(int fd, const char *reason)
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

/* --- connections --------------------------------------------------------------------------------- */

/* Without a greeting there is nothing to say. */
Test(clients_new, nothing_is_accepted_before_a_worker_has_greeted)
{
    int fd = dial();

    clients_listen(t.clients, MAX);
    settle_down();
    expect_view(0, 0);
    clients_greet(t.clients, "protocol\0delivery_request_protocol\0", sizeof WIRE_GREETING - 1);
    settle_down();
    expect_view(0, 0);
    clients_listen(t.clients, MAX);
    peer_expect(fd, WIRE_GREETING);
    expect_view(1, 1);
    close(fd);
    settle_down();
    expect_view(0, 0);
}

/* Another release of Postfix was installed meanwhile. */
Test(clients, the_greeting_is_the_last_that_was_given)
{
    int fd;

    close(greeted());
    clients_greet(t.clients, "status\0000\0", sizeof WIRE_GREETING_35 - 1);
    fd = dial();
    peer_expect(fd, WIRE_GREETING_35);
    close(fd);
}

Test(clients, room_is_respected)
{
    int fd[MAX + 1];

    clients_listen(t.clients, 2);
    for (unsigned i = 0; i < 4; i++)
        fd[i] = dial();
    settle_down();
    expect_view(2, 2);
    clients_listen(t.clients, 0);
    settle_down();
    expect_view(2, 2);
    clients_listen(t.clients, 1);
    settle_down();
    expect_view(3, 3);
    cr_expect(peer_quiet(fd[3]), "it waits");
    clients_listen(t.clients, 100);
    for (unsigned i = 4; i <= MAX; i++)
        fd[i] = dial();
    settle_down();
    expect_view(MAX, MAX);
    for (unsigned i = 0; i < MAX; i++)
        peer_expect(fd[i], WIRE_GREETING);
    cr_expect(peer_quiet(fd[MAX]), "more than there are places");
    close(fd[0]);
    settle_down();
    clients_listen(t.clients, 1);
    peer_expect(fd[MAX], WIRE_GREETING);
    for (unsigned i = 1; i <= MAX; i++)
        close(fd[i]);
    settle_down();
    expect_view(0, 0);
}

/* A held request may be as large as it likes: then nothing more is accepted. */
Test(clients, bytes_that_are_held_leave_no_room)
{
    int fd = dial();

    t.budget.held = HELD_BYTES_MAX;
    settle_down();
    expect_view(0, 0);
    t.budget.held = 0;
    peer_expect(fd, WIRE_GREETING);
    close(fd);
}

/* Once, in one write, and only when somebody was accepted. */
Test(clients, master_is_told_once)
{
    const struct master_status both[2] = {
        {.pid = 4711, .generation = 5, .available = MASTER_TAKEN},
        {.pid = 4711, .generation = 5, .available = MASTER_AVAILABLE},
    };
    char bytes[2 * sizeof both];
    int fd;

    settle_down();
    cr_expect(peer_quiet(t.master));
    fd = greeted();
    cr_assert_eq(recv(t.master, bytes, sizeof bytes, MSG_DONTWAIT), (ssize_t)sizeof both);
    cr_expect_eq(memcmp(bytes, both, sizeof both), 0);
    close(fd);
    close(greeted());
    settle_down();
    cr_expect(peer_quiet(t.master));
}

Test(clients, without_a_descriptor_nothing_is_accepted)
{
    int fd = dial();
    rlim_t before = descriptors_end();

    settle_down();
    descriptors_again(before);
    cr_expect(t.budget.descriptors_short);
    cr_expect_eq(said.times[COMPLAINT_DESCRIPTORS], 1);
    settle_down();
    expect_view(0, 0);
    cr_expect(peer_quiet(t.master));
    t.budget.descriptors_short = false;
    peer_expect(fd, WIRE_GREETING);
    close(fd);
}

/* Accepted already: qmgr(8) would take the whole transport for dead without the greeting. */
Test(clients, what_cannot_be_watched_is_greeted)
{
    int fd = dial();

    epoll_refuses = ENOSPC;
    peer_expect(fd, WIRE_GREETING);
    peer_expect_end(fd);
    epoll_refuses = 0;
    cr_expect(t.budget.descriptors_short);
    expect_view(0, 0);
    t.budget.descriptors_short = false;
    close(held());
}

/* Each place is used again and again. */
Test(clients, places_are_used_again)
{
    t.answers = true;
    message("active/" ID);
    for (unsigned i = 0; i < ROUNDS; i++) {
        int fd[3];

        clients_listen(t.clients, MAX);
        for (unsigned j = 0; j < 3; j++)
            fd[j] = greeted();
        close(fd[0]);
        peer_say(fd[1], WIRE_REQUEST);
        peer_expect(fd[1], WIRE_REPLY_DONE);
        peer_expect_end(fd[1]);
        peer_say(fd[2], "nonsense|||");
        peer_expect(fd[2], WIRE_REPLY_DEFERRED);
        peer_expect_end(fd[2]);
        settle_down();
        expect_view(0, 0);
    }
    cr_expect_eq(t.events, ROUNDS);
    cr_expect_eq(t.totals.requests, ROUNDS);
    cr_expect_eq(t.totals.refused, ROUNDS);
    cr_expect_eq(t.budget.held, 0);
}

/* --- reading ------------------------------------------------------------------------------------- */

static void expect_read(const char *text)
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

static void expect_answered(int fd)
{
    answer(last(), WIRE_REPLY_DSN);
    peer_expect(fd, WIRE_REPLY_DSN);
    peer_expect_end(fd);
    expect_view(0, 0);
    cr_expect_eq(t.budget.held, 0);
    cr_expect_eq(t.events, 1);
}

Test(clients, a_request_in_one_piece)
{
    int fd = greeted();

    message("active/" ID);
    peer_say(fd, WIRE_REQUEST);
    expect_read(WIRE_REQUEST);
    expect_answered(fd);
}

Test(clients, a_request_byte_by_byte)
{
    int fd = greeted();

    message("active/" ID);
    peer_say_slowly(fd, WIRE_REQUEST);
    expect_read(WIRE_REQUEST);
    expect_answered(fd);
}

/* All that a socket takes, as often as is needed. */
static void pour(int fd, const char *bytes, size_t length)
{
    uint64_t since = real_now();

    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);

        cr_assert(sent > 0 || errno == EAGAIN, "%s", strerror(errno));
        cr_assert_not(peer_late(since), "nobody reads");
        if (sent > 0) {
            bytes += sent;
            length -= (size_t)sent;
        }
        turn();
    }
}

/* More than is read at once; its buffer is cut to its length in the end. */
Test(clients, a_large_request)
{
    static char text[600000];
    size_t at = (size_t)snprintf(text, sizeof text, WIRE_COMMON "recipient_count|3000||");
    struct wire bytes;
    int fd = greeted();

    for (unsigned i = 0; i < 3000; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s", WIRE_USER1);
    message("active/" ID);
    bytes = wire(text);
    pour(fd, bytes.bytes, bytes.len);
    UNTIL(t.events == 1);
    cr_expect_eq(last()->length, bytes.len);
    cr_expect_eq(memcmp(last()->bytes, bytes.bytes, bytes.len), 0);
    cr_expect_eq(t.budget.held, bytes.len);
    wire_free(&bytes);
    expect_answered(fd);
}

/* Beyond the limit it is refused, and all memory is given back. */
Test(clients, a_request_that_is_too_large)
{
    static char recipient[60200];
    size_t at = (size_t)snprintf(recipient, sizeof recipient, "original_recipient|");
    struct wire bytes = wire(WIRE_COMMON "recipient_count|1000||");
    uint64_t since = real_now();
    int fd = greeted();

    message("active/" ID);
    pour(fd, bytes.bytes, bytes.len);
    wire_free(&bytes);
    memset(recipient + at, 'r', 60000);
    snprintf(recipient + at + 60000, sizeof recipient - at - 60000,
             "|recipient|u@example.com|offset|627|dsn_orig_rcpt||notify_flags|0||");
    bytes = wire(recipient);
    for (size_t sent = 0; t.totals.refused == 0;) {
        ssize_t more = send(fd, bytes.bytes + sent, bytes.len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        cr_assert_not(peer_late(since));
        sent = more > 0 ? (sent + (size_t)more) % bytes.len : sent;
        cr_assert_leq(t.budget.held, 3 * REQUEST_BYTES_MAX);
        turn();
    }
    wire_free(&bytes);
    cr_expect_eq(t.events, 0);
    cr_expect_eq(t.budget.held, 0);
    expect_view(0, 0);
    close(fd);
}

Test(clients, bytes_behind_the_end)
{
    int fd = greeted();

    message("active/" ID);
    peer_say(fd, WIRE_REQUEST "x");
    expect_refused(fd, "bytes behind its end");
    cr_expect_not(locked("active/" ID));
}

Test(clients, nonsense)
{
    int fd = greeted();

    peer_say(fd, "GET / HTTP/1.0\r\n\r\n|nonsense||");
    expect_refused(fd, "refused");
}

/* One that goes says nothing and is told nothing. */
Test(clients, hang_up_before_a_byte)
{
    close(greeted());
    settle_down();
    expect_view(0, 0);
    cr_expect_eq(t.events, 0);
    cr_expect_eq(t.totals.refused, 0);
}

/* Half a request. It may still read. */
Test(clients, hang_up_in_the_middle)
{
    int fd = greeted();

    peer_say(fd, WIRE_HEAD);
    settle_down();
    shutdown(fd, SHUT_WR);
    expect_refused(fd, "ends in the middle");
}

Test(clients, hang_up_in_the_middle_for_good)
{
    int fd = greeted();

    peer_say(fd, WIRE_HEAD);
    settle_down();
    cr_expect_gt(t.budget.held, 0);
    close(fd);
    settle_down();
    expect_view(0, 0);
    cr_expect_eq(t.events, 0);
    cr_expect_eq(t.budget.held, 0);
}

/* It is told, and the request waits for its answer with its lock: an agent may have it. */
Test(clients, hang_up_behind_the_request)
{
    int fd = held();

    close(fd);
    settle_down();
    cr_assert_eq(t.events, 2);
    cr_expect_eq(t.event[1].kind, CLIENT_GONE);
    cr_expect_eq(t.event[1].client, t.event[0].client);
    expect_view(1, 0);
    cr_expect(locked("active/" ID));
    settle_down();
    cr_expect_eq(t.events, 2, "once");
    answer(last(), WIRE_REPLY_DONE);
    settle_down();
    cr_expect_eq(t.events, 2);
    expect_view(0, 0);
    cr_expect_eq(t.budget.held, 0);
    cr_expect_not(locked("active/" ID));
}

/* The request and the hang-up come together: first the one, then the other. */
Test(clients, hang_up_together_with_the_request)
{
    int fd = greeted();

    message("active/" ID);
    peer_say(fd, WIRE_REQUEST);
    close(fd);
    settle_down();
    cr_assert_eq(t.events, 2);
    cr_expect_eq(t.event[0].kind, CLIENT_READ);
    cr_expect_eq(t.event[1].kind, CLIENT_GONE);
    answer(last(), WIRE_REPLY_DONE);
    expect_view(0, 0);
}

/* A client has nothing to say before the answer: it is none. */
Test(clients, one_that_goes_on_talking)
{
    int fd = held();

    peer_say(fd, "x");
    settle_down();
    cr_assert_eq(t.events, 2);
    cr_expect_eq(t.event[1].kind, CLIENT_GONE);
    peer_expect_end(fd);
    answer(last(), WIRE_REPLY_DONE);
    expect_view(0, 0);
}

/* Half a request for ipc_timeout; each byte begins it again, and before the first one there is no limit. */
Test(clients, what_does_not_come_to_its_end)
{
    int silent = greeted();
    int fd = greeted();

    peer_say(fd, WIRE_HEAD);
    settle_down();
    later(TIMEOUT - SECOND);
    clients_tick(t.clients);
    peer_say(fd, WIRE_NEXTHOP);
    settle_down();
    later(TIMEOUT - SECOND);
    clients_tick(t.clients);
    expect_view(2, 2);
    later(SECOND);
    clients_tick(t.clients);
    peer_expect(fd, WIRE_REPLY_DEFERRED);
    peer_expect_end(fd);
    cr_expect(strstr(said.last, "ipc_timeout"), "%s", said.last);
    later(100 * TIMEOUT);
    clients_tick(t.clients);
    cr_expect(peer_quiet(silent));
    expect_view(1, 1);
    message("active/" ID);
    peer_say(silent, WIRE_REQUEST);
    UNTIL(t.events == 1);
    close(silent);
}

/* --- the lock ------------------------------------------------------------------------------------ */

Test(clients, the_queue_file_is_locked_until_the_answer)
{
    int fd = held();

    cr_expect(locked("active/" ID));
    answer(last(), WIRE_REPLY_DONE);
    cr_expect_not(locked("active/" ID), "the agents are done with it");
    peer_expect(fd, WIRE_REPLY_DONE);
    peer_expect_end(fd);
}

Test(clients, no_queue_file)
{
    int fd = greeted();

    peer_say(fd, WIRE_REQUEST);
    expect_refused(fd, "does not exist");
    cr_expect(strstr(said.last, ID), "%s", said.last);
}

Test(clients, somebody_has_it_locked)
{
    int fd = greeted(), lock;

    message("active/" ID);
    lock = open("active/" ID, O_RDWR | O_CLOEXEC);
    cr_assert_eq(flock(lock, LOCK_EX), 0);
    peer_say(fd, WIRE_REQUEST);
    expect_refused(fd, "locked by another");
}

/* A queue that is hashed, and what is no file. */
Test(clients, where_the_queue_file_is)
{
    int fd = greeted();

    cr_assert_eq(mkdir("deferred", 0700), 0);
    cr_assert_eq(mkdir("deferred/E", 0700), 0);
    message("deferred/E/" ID);
    peer_say(fd, "flags|3|queue_name|deferred|queue_id|" ID "|offset|726|size|285|" WIRE_NEXTHOP
                 "smtputf8|0|" WIRE_SENDER WIRE_TIME WIRE_CLIENT "recipient_count|1||" WIRE_USER1);
    UNTIL(t.events == 1);
    cr_expect(locked("deferred/E/" ID));
    answer(last(), WIRE_REPLY_DONE);
    close(fd);
    t.events = t.totals.requests = 0;
    cr_assert_eq(mkdir("active/" ID, 0700), 0);
    fd = greeted();
    peer_say(fd, WIRE_REQUEST);
    expect_refused(fd, strerror(EINVAL));
}

/* All is read, and there is none for the lock: a refusal could bounce an old message. */
static int unlocked(void)
{
    int fd = greeted();
    rlim_t before;

    message("active/" ID);
    before = descriptors_end();
    peer_say(fd, WIRE_REQUEST);
    settle_down();
    clients_tick(t.clients);
    settle_down();
    descriptors_again(before);
    cr_expect(t.budget.descriptors_short);
    cr_expect_eq(t.events, 0);
    cr_expect_eq(t.totals.refused, 0);
    expect_view(1, 1);
    return fd;
}

Test(clients, without_a_descriptor_for_the_lock_it_is_tried_again)
{
    int fd = unlocked();

    settle_down();
    cr_expect_eq(t.events, 0);
    later(100 * TIMEOUT);
    clients_tick(t.clients);
    expect_read(WIRE_REQUEST);
    cr_expect(locked("active/" ID));
    expect_answered(fd);
}

Test(clients, hang_up_without_a_lock)
{
    close(unlocked());
    settle_down();
    expect_view(0, 0);
    cr_expect_eq(t.budget.held, 0);
    clients_tick(t.clients);
    cr_expect_eq(t.events, 0);
    cr_expect_eq(t.totals.refused, 0);
}

/* --- no memory ----------------------------------------------------------------------------------- */

/* Nothing is read until the tick, and nothing is refused. */
Test(clients, without_memory_for_the_first_bytes)
{
    int fd = greeted();

#ifdef SANITIZED
    cr_skip_test("the sanitizer has an allocator of its own, which does not fail");
#endif
    message("active/" ID);
    peer_say(fd, WIRE_REQUEST);
    turn_short_of_memory();
    settle_down();
    cr_expect_eq(t.events, 0, "it is read before the tick");
    memory_short = true;
    clients_tick(t.clients);
    memory_short = false;
    turn_short_of_memory();
    settle_down();
    cr_expect_eq(t.events, 0);
    clients_tick(t.clients);
    expect_read(WIRE_REQUEST);
    cr_expect_eq(t.totals.refused, 0);
    expect_answered(fd);
}

Test(clients, without_memory_for_more)
{
    int fd = greeted();

#ifdef SANITIZED
    cr_skip_test("the sanitizer has an allocator of its own, which does not fail");
#endif
    message("active/" ID);
    peer_say(fd, WIRE_HEAD);
    settle_down();
    for (unsigned i = 0; i < 3; i++) {
        peer_say(fd, i == 0 ? WIRE_NEXTHOP "smtputf8|0|" : i == 1 ? WIRE_SENDER : WIRE_TIME);
        turn_short_of_memory();
        later(2 * TIMEOUT);
        clients_tick(t.clients);
        cr_expect_eq(t.totals.refused, 0, "it could not have come to its end");
    }
    peer_say(fd, WIRE_CLIENT "recipient_count|2||" WIRE_USER1 WIRE_USER2);
    expect_read(WIRE_REQUEST);
    expect_answered(fd);
}

/* A buffer that cannot be cut is kept as it is. */
Test(clients, without_memory_to_cut_the_buffer)
{
    int fd = greeted();

#ifdef SANITIZED
    cr_skip_test("the sanitizer has an allocator of its own, which does not fail");
#endif
    message("active/" ID);
    peer_say_slowly(fd, WIRE_COMMON);
    peer_say(fd, "recipient_count|2||" WIRE_USER1 WIRE_USER2);
    turn_short_of_memory();
    cr_assert_eq(t.events, 1);
    cr_expect_eq(t.budget.held, last()->capacity);
    cr_expect_gt(last()->capacity, last()->length);
    expect_answered(fd);
}

Test(clients, hang_up_without_memory)
{
    int fd = greeted();

#ifdef SANITIZED
    cr_skip_test("the sanitizer has an allocator of its own, which does not fail");
#endif
    peer_say(fd, WIRE_HEAD);
    turn_short_of_memory();
    close(fd);
    settle_down();
    expect_view(0, 0);
    cr_expect_eq(t.events, 0);
    cr_expect_eq(t.totals.refused, 0);
    cr_expect_eq(t.budget.held, 0);
}

/* --- the answer ---------------------------------------------------------------------------------- */

/* One that no agent gave. */
Test(clients, an_answer_that_expects_nothing_is_the_bare_deferral)
{
    struct merge merge = {0};
    int fd = held();

    client_answer(last(), &merge);
    peer_expect(fd, WIRE_REPLY_DEFERRED);
    peer_expect_end(fd);
    expect_view(0, 0);
}

/* As long as a reply may be. */
static const char *long_reply(void)
{
    static char text[REPLY_BYTES_MAX];
    int at = snprintf(text, sizeof text,
                      "status|4.4.1|diag_type||diag_text||mta_type||mta_mname||action||reason|");

    memset(text + at, 'r', 60000);
    snprintf(text + at + 60000, sizeof text - (size_t)at - 60000, "|status|4294967295||");
    return text;
}

/* The client does not read, and the socket takes a piece only. Returns qmgr's end. */
static int answered_in_part(void)
{
    int fd = held(), small = 1;

    cr_assert_eq(setsockopt(last()->connection, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    answer(last(), long_reply());
    settle_down();
    return fd;
}

Test(clients, an_answer_in_several_writes)
{
    int fd = answered_in_part();

    expect_view(1, 0);
    cr_expect_not(locked("active/" ID), "only the client is waited for");
    peer_expect(fd, long_reply());
    peer_expect_end(fd);
    expect_view(0, 0);
    cr_expect_eq(t.events, 1);
    cr_expect_eq(t.budget.held, 0);
}

Test(clients, hang_up_in_the_middle_of_the_answer)
{
    close(answered_in_part());
    settle_down();
    expect_view(0, 0);
    cr_expect_eq(t.events, 1);
    cr_expect_eq(t.budget.held, 0);
}

/* The connection broke, and nobody has seen that yet: the answer finds out, and tells nobody. */
Test(clients, hang_up_before_the_answer)
{
    close(held());
    answer(last(), WIRE_REPLY_DONE);
    expect_view(0, 0);
    settle_down();
    cr_expect_eq(t.events, 1);
    cr_expect_eq(t.budget.held, 0);
}

/* From within the sink, as a request that needs no agent would be. */
Test(clients, the_sink_may_answer)
{
    int fd = greeted();

    t.answers = true;
    message("active/" ID);
    peer_say(fd, WIRE_REQUEST);
    peer_expect(fd, WIRE_REPLY_DONE);
    peer_expect_end(fd);
    expect_view(0, 0);
}

Test(clients, two_answers_abort, .signal = SIGABRT)
{
    struct merge merge = {0};

    answered_in_part();
    client_answer(last(), &merge);
}

/* --- the clock ----------------------------------------------------------------------------------- */

/* It jumps in each handler: requests are read and answered as before. */
Test(clients, a_clock_that_jumps)
{
    message("active/" ID);
    for (unsigned i = 0; i < JUMPS; i++) {
        unsigned before = t.events;
        int half = greeted(), fd;

        peer_say(half, WIRE_COMMON);
        settle_down();
        t.jump = jumps[i];
        fd = held();
        t.jump = 0;
        /* The rest of the other one was there in time. */
        peer_say(half, "recipient_count|2||" WIRE_USER1 WIRE_USER2);
        turn();
        clients_tick(t.clients);
        cr_assert_eq(t.events, before + 2);
        answer(t.event[before].client, WIRE_REPLY_DONE);
        answer(t.event[before + 1].client, WIRE_REPLY_DONE);
        peer_expect(fd, WIRE_REPLY_DONE);
        peer_expect(half, WIRE_REPLY_DONE);
        close(fd);
        close(half);
        clients_listen(t.clients, MAX);
    }
    cr_expect_eq(t.totals.refused, 0);
}

/* What is under way at the end is given back; AddressSanitizer would find the rest. */
Test(clients, it_ends_with_all_it_has)
{
    int idle = greeted(), half = greeted(), whole, gone, part;

    peer_say(half, WIRE_HEAD);
    part = answered_in_part();
    whole = held();
    gone = held();
    close(gone);
    settle_down();
    expect_view(5, 2);
    clients_destroy(t.clients);
    t.clients = NULL;
    peer_expect_end(idle);
    peer_expect_end(half);
    peer_expect_end(whole);
    cr_expect_not(locked("active/" ID));
    close(part);
}
