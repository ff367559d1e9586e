/* supervisor/dispatcher/router_join.c: parts that go to one worker together. See router_harness.h. */

#include "tests/unit/router_harness.h"

#define ID "E2A4CA72681"
#define GOOD_TWO WIRE_MANY_A WIRE_MANY_C
#define GOOD_ONE WIRE_MANY_D
#define REST WIRE_MANY_B WIRE_MANY_X

/* The three domains of the captured request have delivered, or failed. */
static void teach(const char *key, bool delivered)
{
    struct admission_memory memory = {.success_age = ADMISSION_NEVER,
                                      .failure_age = ADMISSION_NEVER,
                                      .answer_age = ADMISSION_NEVER,
                                      .window = 5};

    snprintf(memory.key, sizeof memory.key, "%s", key);
    *(delivered ? &memory.success_age : &memory.failure_age) = SECOND;
    cr_assert_eq(admission_teach(t.router.admission, &memory, (int64_t)peer_loop.now), 0);
}

/* qmgr(8) has so many for a next hop at a time, which is less than there are agents. */
static void few_sessions(unsigned most)
{
    t.router.room.hop_max = most;
    t.router.together = true;
}

static int prepare_worker(bool first, bool second, bool third)
{
    launch(1, CONFIG_LIMIT_FIXED);
    later(10 * SECOND);
    teach("one.example", first);
    teach("three.example", second);
    teach("two.example", third);
    return first_worker();
}

/* What an agent does: two.example is at 667 and 877, three.example at 803, one.example at 601 and 733. */
static void mark(int64_t offset, char type)
{
    int fd = open("active/" ID, O_RDWR | O_CLOEXEC);

    cr_assert_geq(fd, 0);
    cr_assert_eq(pwrite(fd, &type, 1, offset), 1);
    close(fd);
}

static void mark_all(char one, char three, char two)
{
    mark(601, one);
    mark(733, one);
    mark(803, three);
    mark(667, two);
    mark(877, two);
}

static bool fit(const char *key)
{
    struct admission_arrival arrival = {.key = key, .key_length = strlen(key), .first = true};
    struct admission_arrival other = {.key = "fit", .key_length = 3, .first = true};
    unsigned a = parts_size(t.router.parts) - 1, b = a - 1;
    int64_t now = (int64_t)peer_loop.now;
    bool joins;

    teach("fit", true);
    cr_assert_eq(admission_arrive(t.router.admission, b, &other, now), 0);
    cr_assert_eq(admission_next(t.router.admission, 10, now).part, b);
    cr_assert_eq(admission_arrive(t.router.admission, a, &arrival, now), 0);
    joins = admission_join(t.router.admission, b, a, 10, now) == 1;
    if (joins)
        cr_assert_eq(admission_put_back(t.router.admission, a, now), 0);
    cr_assert_eq(admission_cancel(t.router.admission, a, now), 0);
    cr_assert_eq(admission_cancel(t.router.admission, b, now), 0);
    return joins;
}

Test(router_join, healthy_ones_are_one_transaction, .fini = teardown)
{
    int number = prepare_worker(true, true, true);
    int fd = ask_with(ID, WIRE_MANY), connection = greets(number);

    peer_expect(connection, WIRE_MANY);
    cr_expect_eq(waiting(), 0);
    cr_expect(locked(ID));
    reply(connection, WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    cr_expect_eq(t.totals.delivered, 3);
    cr_expect(fit("two.example"));
    expect_empty();
}

/* Each learns its share of the time. */
Test(router_join, the_time_is_divided, .fini = teardown)
{
    struct admission_view view;
    int number = prepare_worker(true, true, true);
    int fd = ask_with(ID, WIRE_MANY), connection = greets(number);

    peer_expect(connection, WIRE_MANY);
    later(6 * SECOND);
    reply(connection, WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    cr_assert_eq(admission_look(t.router.admission, "two.example", 11, &view), 0);
    /* The first eighth of 2 s: the mean began with 0. */
    cr_expect(view.service >= 250000 && view.service < 500000, "%ld us", (long)view.service);
    expect_empty();
}

Test(router_join, a_dead_one_goes_alone, .fini = teardown)
{
    int number = prepare_worker(true, false, true);
    int fd = ask_with(ID, WIRE_MANY), connection = greets(number);

    peer_expect(connection, WIRE_MANY_COMMON "recipient_count|4||" GOOD_TWO REST);
    cr_expect_eq(waiting(), 1);
    reply(connection, WIRE_REPLY_DONE);
    connection = greets(number);
    peer_expect(connection, WIRE_MANY_COMMON "recipient_count|1||" GOOD_ONE);
    cr_expect(peer_quiet(fd));
    reply(connection, WIRE_REPLY_DSN);
    expect_answer(fd, WIRE_REPLY_DEFERRED);
    cr_expect_eq(t.totals.delivered, 2);
    cr_expect_eq(t.totals.failed, 1);
    expect_empty();
}

/* qmgr(8) has fewer for a next hop than there are agents: whom nothing is known of goes along, and nobody waits for an answer. */
Test(router_join, the_unknown_go_along_where_sessions_are_counted, .fini = teardown)
{
    int number, fd, connection;

    launch(1, CONFIG_LIMIT_FIXED);
    later(10 * SECOND);
    teach("one.example", true);
    number = first_worker();
    few_sessions(20);
    fd = ask_with(ID, WIRE_MANY);
    connection = greets(number);
    peer_expect(connection, WIRE_MANY);
    cr_expect_eq(waiting(), 0);
    mark_all('D', 'R', 'D');
    reply(connection, WIRE_REPLY_NO_DSN "status|4294967295||");
    expect_answer(fd, WIRE_REPLY_DEFERRED);
    cr_expect_eq(t.totals.delivered, 2);
    cr_expect_eq(t.totals.failed, 1);
    cr_expect_eq(t.totals.would_split, 0);
    expect_empty();
}

/* Who is dead does not, and nobody goes along with it. */
Test(router_join, a_dead_one_goes_alone_where_sessions_are_counted, .fini = teardown)
{
    int number = prepare_worker(false, true, true), fd, connection;

    few_sessions(20);
    fd = ask_with(ID, WIRE_MANY);
    connection = greets(number);
    peer_expect(connection, WIRE_MANY_COMMON "recipient_count|3||" GOOD_ONE REST);
    cr_expect_eq(waiting(), 1);
    reply(connection, WIRE_REPLY_DONE);
    connection = greets(number);
    peer_expect(connection, WIRE_MANY_COMMON "recipient_count|2||" GOOD_TWO);
    reply(connection, WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    expect_empty();
}

/* But for what an operator holds. */
Test(router_join, what_is_held_waits_all_the_same, .fini = teardown)
{
    static const char *const held[] = {"three.example"};
    int number = prepare_worker(true, true, true), fd, connection;

    few_sessions(20);
    admission_hold(t.router.admission, held, 1, (int64_t)peer_loop.now);
    fd = ask_with(ID, WIRE_MANY);
    connection = greets(number);
    peer_expect(connection, WIRE_MANY_COMMON "recipient_count|4||" GOOD_TWO REST);
    cr_expect_eq(waiting(), 1);
    reply(connection, WIRE_REPLY_DONE);
    cr_expect(peer_quiet(fd));
    admission_hold(t.router.admission, NULL, 0, (int64_t)peer_loop.now);
    later(SECOND);
    connection = greets(number);
    peer_expect(connection, WIRE_MANY_COMMON "recipient_count|1||" GOOD_ONE);
    reply(connection, WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    expect_empty();
}

/* Who was delivered is read from the marks; qmgr(8) is not told to rest the next hop. */
Test(router_join, one_of_them_fails, .fini = teardown)
{
    int number = prepare_worker(true, true, true);
    int fd = ask_with(ID, WIRE_MANY), connection = greets(number);

    peer_expect(connection, WIRE_MANY);
    mark_all('D', 'R', 'D');
    reply(connection, WIRE_REPLY_NO_DSN "status|4294967295||");
    expect_answer(fd, WIRE_REPLY_DEFERRED);
    cr_expect_eq(t.totals.delivered, 2);
    cr_expect_eq(t.totals.failed, 1);
    cr_expect(fit("one.example"));
    cr_expect_not(fit("three.example"));
    cr_expect(fit("two.example"));
    expect_empty();
}

Test(router_join, it_times_out_in_the_middle, .fini = teardown)
{
    int number = prepare_worker(true, true, true);
    int fd = ask_with(ID, WIRE_MANY), connection = greets(number);

    peer_expect(connection, WIRE_MANY);
    later(300 * SECOND);
    mark_all('D', 'R', 'R');
    mark(667, 'D'); /* one of two recipients is not enough */
    reply(connection, "status|4.4.2|diag_type||diag_text||mta_type||mta_mname||action||"
                      "reason|timed out|status|4294967295||");
    expect_answer(fd, WIRE_REPLY_DEFERRED);
    cr_expect_eq(t.totals.delivered, 1);
    cr_expect_eq(t.totals.failed, 2);
    cr_expect_not(fit("one.example"), "it was long");
    cr_expect_not(fit("three.example"));
    cr_expect_not(fit("two.example"));
    expect_empty();
}

/* No server was reached: the agent's words, and nothing is held against anybody. */
Test(router_join, the_next_hop_is_down, .fini = teardown)
{
    int number = prepare_worker(true, true, true);
    int fd = ask_with(ID, WIRE_MANY), connection = greets(number);

    peer_expect(connection, WIRE_MANY);
    mark_all('R', 'R', 'R');
    reply(connection, WIRE_REPLY_DSN);
    expect_answer(fd, WIRE_REPLY_DSN);
    cr_expect_eq(t.totals.failed, 3);
    cr_expect(fit("one.example"));
    cr_expect(fit("two.example"));
    expect_empty();
}

/* Those that are not done are deferred, and counted as lost. */
Test(router_join, its_worker_dies, .fini = teardown)
{
    int number = prepare_worker(true, true, true);
    int fd = ask_with(ID, WIRE_MANY), connection = greets(number);

    peer_expect(connection, WIRE_MANY);
    mark_all('D', 'R', 'R');
    dies(number, connection, 9);
    expect_answer(fd, WIRE_REPLY_DEFERRED);
    cr_expect_eq(t.totals.delivered, 1);
    cr_expect_eq(t.totals.lost, 2);
    cr_expect(fit("one.example"));
    cr_expect(fit("two.example"));
    cr_expect_eq(held(), 0);
    cr_expect_eq(waiting(), 0);
}

/* Nothing has left yet: all wait again, and go together. */
Test(router_join, its_worker_vanishes_before, .fini = teardown)
{
    int number = prepare_worker(true, true, true);
    int fd = ask_with(ID, WIRE_MANY), connection = taken(number);

    cr_expect_eq(waiting(), 0);
    dies(number, connection, 9);
    UNTIL(waiting() == 3);
    number = started();
    connection = greets(number);
    peer_expect(connection, WIRE_MANY);
    reply(connection, WIRE_REPLY_DONE);
    expect_answer(fd, WIRE_REPLY_DONE);
    expect_empty();
}

Test(router_join, the_client_goes_before, .fini = teardown)
{
    int number = prepare_worker(true, true, true);
    int fd = ask_with(ID, WIRE_MANY), connection = taken(number);

    close(fd);
    UNTIL(held() == 0);
    peer_expect_end(connection);
    expect_empty();
    cr_expect_not(locked(ID));
}

/* It runs to its end, and the lock is kept as long. */
Test(router_join, the_client_goes_while_it_runs, .fini = teardown)
{
    int number = prepare_worker(true, false, true);
    int fd = ask_with(ID, WIRE_MANY), connection = greets(number);

    peer_expect(connection, WIRE_MANY_COMMON "recipient_count|4||" GOOD_TWO REST);
    close(fd);
    UNTIL(waiting() == 0);
    settle_down();
    cr_expect(locked(ID));
    cr_expect_eq(held(), 1);
    reply(connection, WIRE_REPLY_DONE);
    UNTIL(held() == 0);
    cr_expect_not(locked(ID));
    cr_expect_eq(t.totals.delivered, 2);
    expect_empty();
}

/* Where there is no room for the bytes, each goes alone. */
Test(router_join, no_room_for_the_bytes, .fini = teardown)
{
    int number = prepare_worker(true, false, true);
    uint64_t much = HELD_BYTES_MAX - 4000;
    int fd, connection;

    t.budget.held += much;
    fd = ask_with(ID, WIRE_MANY);
    connection = greets(number);
    UNTIL(!peer_quiet(connection));
    t.budget.held -= much;
    cr_expect_eq(waiting(), 2);
    close(fd);
    close(connection);
    UNTIL(held() == 0);
}
