/* supervisor/dispatcher/clients.c: how a request is read and locked, and what that lacks. See clients_harness.h. */

#include "tests/unit/clients_harness.h"

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

/* --- reading ------------------------------------------------------------------------------------- */

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

/* More than is read at once: its buffer grows, and is cut to its length in the end. */
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
