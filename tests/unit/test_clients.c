/* supervisor/dispatcher/clients.c: connections and answers. See clients_harness.h. */

#include <signal.h>

#include "tests/unit/clients_harness.h"

/* --- connections --------------------------------------------------------------------------------- */

/* Without a greeting there is nothing to say. */
Test(clients_new, nothing_is_accepted_before_a_worker_has_greeted)
{
    int fd = peer_dial();

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
    fd = peer_dial();
    peer_expect(fd, WIRE_GREETING_35);
    close(fd);
}

Test(clients, room_is_respected)
{
    int fd[MAX + 1];

    clients_listen(t.clients, 2);
    for (unsigned i = 0; i < 4; i++)
        fd[i] = peer_dial();
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
        fd[i] = peer_dial();
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
    int fd = peer_dial();

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
    int fd = peer_dial();
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
    int fd = peer_dial();

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
