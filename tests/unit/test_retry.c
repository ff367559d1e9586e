/* supervisor/dispatcher/retry.c: the test is retry(8), and the router. */

#include "supervisor/dispatcher/retry.h"

#include "agents/limits.h"
#include "supervisor/limits.h"
#include "tests/unit/peer.h"

#define WORK 400

struct event {
    enum retry_kind kind;
    const void *work;
    uint32_t status;
    size_t length; /* of the reply */
};

static struct {
    struct budget budget;
    struct complaints complaints;
    struct retry *retry;
    struct wire bytes;
    const void *kept; /* work that is not to be deferred any more */
    const char *text; /* of the deferral; NULL: the number of the work */
    int listening;    /* retry(8); -1: there is none */
    bool crowded;
    uint64_t due; /* what retry_turn() said last */
    unsigned events;
    struct event event[WORK];
} t;

static char work[WORK]; /* their addresses are what is sent */

static void on_retry(void *context, const struct retry_event *event)
{
    cr_expect_eq(context, &t);
    cr_assert_lt(t.events, WORK);
    t.event[t.events] = (struct event){.kind = event->kind, .work = event->work};
    if (event->kind == RETRY_ANSWERED) {
        struct reply reply;

        t.event[t.events].status = event->reply->status;
        t.event[t.events].length = event->reply->length;
        cr_expect_eq(reply_parse(event->bytes, event->reply->length, &reply), 0);
    }
    t.events++;
}

static bool still(const void *context, const void *what)
{
    cr_expect_eq(context, &t);
    return what != t.kept;
}

static void prepare(void *context, void *what, struct retry_letter *letter)
{
    cr_expect_eq(context, &t);
    letter->bytes = t.bytes.bytes;
    letter->length = t.bytes.len;
    if (t.text)
        snprintf(letter->text, REDIRECT_TEXT_MAX + 1, "%s", t.text);
    else
        snprintf(letter->text, REDIRECT_TEXT_MAX + 1, "4.3.2 work %d", (int)((char *)what - work));
}

static void begin_more(void)
{
    t.due = retry_turn(t.retry, t.crowded);
}

/* Away: private/retry is not there. */
static void setup(void)
{
    peer_open();
    t.budget = (struct budget){.complaints = &t.complaints};
    t.bytes = wire(WIRE_REQUEST);
    t.listening = -1;
    cr_assert_eq(mkdir("private", 0700), 0);
    const struct retry_config config = {
        .loop = &peer_loop,
        .budget = &t.budget,
        .complaints = &t.complaints,
        .queue_directory = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
        .size = WORK,
        .still = still,
        .prepare = prepare,
        .sink = on_retry,
        .context = &t,
    };
    cr_assert_eq(retry_create(&t.retry, &config), 0);
    peer_between = begin_more;
}

static void service_begins(int backlog)
{
    t.listening = peer_listen("private/retry", backlog);
}

static void setup_with_service(void)
{
    setup();
    service_begins(100);
}

static void teardown(void)
{
    retry_destroy(t.retry);
    wire_free(&t.bytes);
    peer_close();
}

TestSuite(retry, .init = setup_with_service, .fini = teardown);
TestSuite(retry_away, .init = setup, .fini = teardown);

static void send_work(unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++)
        retry_send(t.retry, &work[i]);
}

/* The request as retry(8) gets it. */
static void expect_request(int connection, const char *text)
{
    peer_expect(connection, WIRE_HEAD "nexthop|");
    peer_expect(connection, text);
    peer_expect(connection, "|encoding||smtputf8|0|" WIRE_SENDER WIRE_TIME WIRE_CLIENT
                            "recipient_count|2||" WIRE_USER1 WIRE_USER2);
}

/* Takes the next conversation up to its reply, which must be for this work. */
static int converse(unsigned number)
{
    char text[32];
    int connection = peer_accept(t.listening);

    snprintf(text, sizeof text, "4.3.2 work %u", number);
    peer_say(connection, WIRE_GREETING);
    expect_request(connection, text);
    return connection;
}

static void expect_event(unsigned n, enum retry_kind kind, unsigned number)
{
    cr_assert_gt(t.events, n);
    cr_expect_eq(t.event[n].kind, kind, "event %u", n);
    cr_expect_eq(t.event[n].work, &work[number], "event %u is of work %d", n,
                 (int)((const char *)t.event[n].work - work));
}

Test(retry, one_is_deferred)
{
    int connection;

    t.text = "4.3.2 short of memory";
    send_work(0, 1);
    cr_expect_eq(retry_pending(t.retry), 1);
    connection = peer_accept(t.listening);
    settle_down();
    cr_expect(peer_quiet(connection), "nothing is said before the greeting");
    peer_say(connection, WIRE_GREETING);
    expect_request(connection, t.text);
    settle_down();
    cr_expect_eq(t.events, 0);
    cr_expect_eq(retry_pending(t.retry), 1);
    peer_say(connection, WIRE_REPLY_DSN);
    peer_expect_end(connection);
    cr_assert_eq(t.events, 1);
    expect_event(0, RETRY_ANSWERED, 0);
    cr_expect_eq(t.event[0].status, UINT32_MAX);
    cr_expect_eq(t.event[0].length, strlen(WIRE_REPLY_DSN));
    cr_expect_eq(retry_pending(t.retry), 0);
    cr_expect_eq(said.times[COMPLAINT_RETRY], 0);
    settle_down();
    cr_expect_eq(t.events, 1);
}

/* As a slow machine would have it. */
Test(retry, in_pieces)
{
    int connection;

    t.text = "4.3.2 short of memory";
    send_work(0, 2);
    connection = peer_accept(t.listening);
    peer_say_slowly(connection, WIRE_GREETING);
    expect_request(connection, t.text);
    peer_say_slowly(connection, WIRE_REPLY_DEFERRED);
    UNTIL(t.events == 1);
    expect_event(0, RETRY_ANSWERED, 0);
    cr_expect_eq(t.event[0].length, strlen(WIRE_REPLY_DEFERRED));
    close(connection);
}

/* A long list of recipients does not fit into the socket. */
Test(retry, a_large_request_in_pieces)
{
    static char text[600000];
    size_t at;
    struct wire want;
    char *nexthop;
    int connection;

    at = (size_t)snprintf(text, sizeof text, WIRE_COMMON "recipient_count|3000||");
    for (unsigned i = 0; i < 3000; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s", WIRE_USER1);
    wire_free(&t.bytes);
    t.bytes = wire(text);
    t.text = "4.3.2 many";
    send_work(0, 1);
    connection = peer_accept(t.listening);
    peer_say(connection, WIRE_GREETING);
    settle_down();
    want = wire(text);
    nexthop = memmem(want.bytes, want.len, "nexthop.example", 15);
    peer_expect_bytes(connection, want.bytes, (size_t)(nexthop - want.bytes));
    peer_expect(connection, t.text);
    peer_expect_bytes(connection, nexthop + 15, want.len - (size_t)(nexthop + 15 - want.bytes));
    wire_free(&want);
    peer_say(connection, WIRE_REPLY_DEFERRED);
    UNTIL(t.events == 1);
    expect_event(0, RETRY_ANSWERED, 0);
    close(connection);
}

/* The text goes into the log and the defer record. */
Test(retry, what_is_not_printable_is_a_question_mark)
{
    int connection;

    t.text = "4.3.2 a\tb\nc\xc3\xa4 d\x7f";
    send_work(0, 1);
    connection = peer_accept(t.listening);
    peer_say(connection, WIRE_GREETING);
    expect_request(connection, "4.3.2 a?b?c?? d?");
    close(connection);
}

/* A success that nobody delivered would make qmgr(8) forget the recipients. */
Test(retry, a_success_is_refused)
{
    int connection;

    send_work(0, 1);
    connection = converse(0);
    peer_say(connection, WIRE_REPLY_DONE);
    peer_expect_end(connection);
    cr_assert_eq(t.events, 1);
    expect_event(0, RETRY_FAILED, 0);
    cr_expect_eq(said.times[COMPLAINT_RETRY], 1);
}

/* It goes, or talks nonsense, at each point. */
Test(retry, no_answer)
{
    static const char *const greetings[] = {"", "protocol|", "protocol|something_else||",
                                            WIRE_GREETING WIRE_REPLY_DEFERRED};
    static const char *const replies[] = {"", "status|4.4.1|", "status|x||",
                                          WIRE_REPLY_DEFERRED "more|"};
    unsigned n = 0;
    int connection;

    for (unsigned i = 0; i < 4; i++, n++) {
        send_work(n, 1);
        later(SECOND / 50);
        connection = peer_accept(t.listening);
        peer_say(connection, greetings[i]);
        shutdown(connection, SHUT_WR);
        peer_expect_end(connection);
        cr_assert_eq(t.events, n + 1);
        expect_event(n, RETRY_FAILED, n);
    }
    for (unsigned i = 0; i < 4; i++, n++) {
        send_work(n, 1);
        later(SECOND / 50);
        connection = converse(n);
        peer_say(connection, replies[i]);
        shutdown(connection, SHUT_WR);
        peer_expect_end(connection);
        cr_assert_eq(t.events, n + 1);
        expect_event(n, RETRY_FAILED, n);
    }
    cr_expect_eq(said.times[COMPLAINT_RETRY], 1, "once, until it answers again");
    cr_expect_eq(retry_pending(t.retry), 0);
}

/* Two at a time, first come, first served. */
Test(retry, order_is_kept)
{
    int connection[2];

    t.crowded = true;
    send_work(0, 6);
    connection[0] = converse(0);
    connection[1] = converse(1);
    for (unsigned n = 2; n < 6; n++) {
        settle_down();
        cr_expect_not(peer_connected(t.listening), "a third one at a time");
        cr_expect_eq(retry_pending(t.retry), 6 - (n - 2));
        peer_say(connection[n % 2], WIRE_REPLY_DEFERRED);
        peer_expect_end(connection[n % 2]);
        connection[n % 2] = converse(n);
    }
    /* The younger one of the last two is answered first. */
    peer_say(connection[1], WIRE_REPLY_DEFERRED);
    peer_expect_end(connection[1]);
    peer_say(connection[0], WIRE_REPLY_DEFERRED);
    peer_expect_end(connection[0]);
    cr_assert_eq(t.events, 6);
    for (unsigned n = 0; n < 4; n++)
        expect_event(n, RETRY_ANSWERED, n);
    expect_event(4, RETRY_ANSWERED, 5);
    expect_event(5, RETRY_ANSWERED, 4);
}

/* At its turn it is too late for a deferral: the router gets it back, and nothing is sent. */
Test(retry, what_is_kept)
{
    int connection;

    t.crowded = true;
    t.kept = &work[1];
    send_work(0, 3);
    connection = converse(0);
    UNTIL(t.events == 1);
    expect_event(0, RETRY_KEPT, 1);
    close(connection);
    connection = converse(2);
    cr_expect_eq(retry_pending(t.retry), 1);
    close(connection);
}

/* Failing at once would be a deferral, too. */
Test(retry_away, what_is_kept_does_not_fail)
{
    t.crowded = true;
    t.kept = &work[1];
    send_work(0, 2);
    turn();
    cr_assert_eq(t.events, 2);
    expect_event(0, RETRY_FAILED, 0);
    expect_event(1, RETRY_KEPT, 1);
}

/* Each interval one begins, and it is said when the next does. */
Test(retry, pacing)
{
    int connection;

    send_work(0, 3);
    connection = peer_accept(t.listening);
    /* The time of a turn is real: this machine may be slow. */
    if (peer_loop.now < t.due) {
        cr_expect_not(peer_connected(t.listening));
        cr_expect_leq(t.due - peer_loop.now, DEFERRALS_INTERVAL);
    }
    later(DEFERRALS_INTERVAL);
    close(peer_accept(t.listening));
    settle_down();
    cr_expect_not(t.due <= peer_loop.now && t.due != UINT64_MAX, "it is due for ever");
    close(connection);
}

/* So many fail in so long a time, of steps of a millisecond. */
static unsigned failed_in(unsigned milliseconds)
{
    unsigned before = t.events;

    for (unsigned i = 0; i < milliseconds; i++) {
        peer_loop.now += 1000;
        begin_more();
    }
    return t.events - before;
}

Test(retry_away, it_is_two_hundred_a_second)
{
    unsigned failed;

    send_work(0, WORK);
    failed = failed_in(1000);
    cr_expect(failed >= 199 && failed <= 201, "%u", failed);
}

/* Half a tenth of a second is caught up with; after three seconds they do not all come at once. */
Test(retry_away, what_is_late_is_not_a_flood)
{
    unsigned before;

    send_work(0, WORK);
    failed_in(100);
    before = t.events;
    peer_loop.now += 50000;
    begin_more();
    cr_expect(t.events - before >= 10 && t.events - before <= 11, "%u", t.events - before);
    for (unsigned i = 0; i < JUMPS; i++) {
        before = t.events;
        peer_loop.now += jumps[i];
        begin_more();
        cr_expect_eq(t.events - before, 1);
        cr_expect_gt(t.due, peer_loop.now);
        cr_expect_leq(t.due, peer_loop.now + DEFERRALS_INTERVAL);
    }
}

/* While places are few, there is no pace. */
Test(retry_away, crowded)
{
    send_work(0, 50);
    cr_expect_eq(retry_turn(t.retry, true), UINT64_MAX);
    cr_assert_eq(t.events, 50);
    for (unsigned n = 0; n < 50; n++)
        expect_event(n, RETRY_FAILED, n);
    cr_expect_eq(retry_pending(t.retry), 0);
}

/* Said once, and again after it was there. */
Test(retry_away, not_reachable)
{
    int connection;

    t.crowded = true;
    send_work(0, 3);
    turn();
    cr_assert_eq(t.events, 3);
    cr_expect_eq(said.times[COMPLAINT_RETRY], 1);
    cr_expect(strstr(said.last, strerror(ENOENT)));
    cr_expect(strstr(said.last, "retry unix - - y - - error"), "how to mend it");
    service_begins(10);
    send_work(3, 1);
    connection = converse(3);
    peer_say(connection, WIRE_REPLY_DEFERRED);
    peer_expect_end(connection);
    expect_event(3, RETRY_ANSWERED, 3);
    close(t.listening);
    send_work(4, 1);
    turn();
    expect_event(4, RETRY_FAILED, 4);
    cr_expect_eq(said.times[COMPLAINT_RETRY], 2);
    cr_expect(strstr(said.last, strerror(ECONNREFUSED)));
}

/* One conversation waits for it, the other work fails at once; until it answers. */
Test(retry, mute)
{
    int connection[2];

    t.crowded = true;
    send_work(0, 2);
    connection[0] = converse(0);
    connection[1] = converse(1);
    later(RETRY_TIMEOUT - SECOND);
    retry_tick(t.retry);
    cr_expect_eq(t.events, 0);
    later(SECOND);
    retry_tick(t.retry);
    cr_assert_eq(t.events, 2);
    expect_event(0, RETRY_FAILED, 0);
    expect_event(1, RETRY_FAILED, 1);
    cr_expect_eq(said.times[COMPLAINT_RETRY], 1);
    peer_expect_end(connection[0]);
    peer_expect_end(connection[1]);
    send_work(2, 4);
    turn();
    cr_assert_eq(t.events, 5);
    for (unsigned n = 2; n < 5; n++)
        expect_event(n, RETRY_FAILED, n + 1);
    cr_expect_eq(retry_pending(t.retry), 1);
    connection[0] = converse(2);
    peer_say(connection[0], WIRE_REPLY_DEFERRED);
    peer_expect_end(connection[0]);
    expect_event(5, RETRY_ANSWERED, 2);
    send_work(6, 2);
    close(converse(6));
    close(converse(7));
}

/* The clock jumps while both wait: they are given up, and the next ones are tried. */
Test(retry, a_clock_that_jumps)
{
    int connection;

    for (unsigned i = 0; i < JUMPS; i++) {
        unsigned before = t.events;

        send_work(3 * i, 1);
        later(SECOND);
        connection = converse(3 * i);
        jumped += jumps[i];
        peer_say(connection, WIRE_REPLY_DEFERRED);
        UNTIL(t.events == before + 1);
        expect_event(before, RETRY_ANSWERED, 3 * i);
        retry_tick(t.retry);
        cr_expect_eq(t.events, before + 1);
        close(connection);
    }
}

/* So many wait at its socket that it takes no connection: the work keeps its turn, for a while. */
Test(retry_away, it_takes_no_connection)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "private/retry"};
    int fill;

    service_begins(0);
    do {
        fill = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        cr_assert_geq(fill, 0);
    } while (connect(fill, (struct sockaddr *)&address, sizeof address) == 0);
    cr_assert_eq(errno, EAGAIN);
    send_work(0, 2);
    t.crowded = true;
    turn();
    cr_expect_eq(t.due, UINT64_MAX);
    cr_expect_eq(t.events, 0);
    cr_expect_eq(retry_pending(t.retry), 2);
    later(RETRY_TIMEOUT - SECOND);
    cr_expect_eq(t.events, 0);
    cr_expect_eq(said.times[COMPLAINT_RETRY], 0);
    later(SECOND + 1);
    cr_expect_eq(t.events, 2);
    expect_event(0, RETRY_FAILED, 0);
    expect_event(1, RETRY_FAILED, 1);
    cr_expect_eq(said.times[COMPLAINT_RETRY], 1);
    /* There is room again. */
    while (peer_connected(t.listening))
        ;
    send_work(2, 1);
    fill = converse(2);
    peer_say(fill, WIRE_REPLY_DEFERRED);
    peer_expect_end(fill);
    expect_event(2, RETRY_ANSWERED, 2);
}

/* It is no fault of retry(8): the work waits. */
Test(retry, without_a_descriptor_the_work_keeps_its_turn)
{
    rlim_t before = descriptors_end();
    int connection;

    send_work(0, 1);
    turn();
    cr_expect(t.budget.descriptors_short);
    cr_expect_eq(t.due, UINT64_MAX);
    descriptors_again(before);
    cr_expect_eq(t.events, 0);
    cr_expect_eq(retry_pending(t.retry), 1);
    cr_expect_eq(said.times[COMPLAINT_RETRY], 0);
    /* Nor when epoll(7) has no room. */
    epoll_refuses = ENOSPC;
    turn();
    epoll_refuses = 0;
    peer_expect_end(peer_accept(t.listening));
    cr_expect_eq(t.events, 0);
    cr_expect_eq(retry_pending(t.retry), 1);
    connection = converse(0);
    peer_say(connection, WIRE_REPLY_DEFERRED);
    peer_expect_end(connection);
    expect_event(0, RETRY_ANSWERED, 0);
}

/* What is under way at the end is given back. */
Test(retry, it_ends_with_all_it_has)
{
    int connection;

    send_work(0, 5);
    connection = converse(0);
    peer_say(connection, "status|");
    settle_down();
    retry_destroy(NULL);
}
