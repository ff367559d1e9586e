/* supervisor/dispatcher/fleet_part.c: after a large message the connection is kept. */

#include "tests/unit/fleet_harness.h"

/* A worker with a large message. Returns the connection. */
static int busy_with_large(int number, unsigned which)
{
    int connection = busy(number, which);

    fleet_large(t.fleet, number);
    forget_events();
    return connection;
}

/* It has delivered that, and is idle. */
static int parts(int number, unsigned which)
{
    int connection = busy_with_large(number, which);

    peer_say(connection, WIRE_REPLY_DONE);
    settle_down();
    EXPECT_EVENTS(number, FLEET_REPLIED);
    return connection;
}

static bool ended(int connection)
{
    struct pollfd wait = {.fd = connection, .events = POLLIN};

    settle_down();
    return poll(&wait, 1, 0) == 1;
}

/* The turn finds what is due at that time. With the next event the clock is the machine's again. */
static uint64_t part_at(uint64_t now)
{
    peer_loop.now = now;
    return fleet_part(t.fleet);
}

static uint64_t until(int number)
{
    return pool()->worker[number].since + PARTING_TIME;
}

Test(fleet, a_connection_is_kept_for_a_moment_after_a_large_message)
{
    int number = idle(), connection;

    cr_expect_eq(fleet_part(t.fleet), UINT64_MAX);
    connection = parts(number, 1);
    expect_count(WORKER_IDLE, 1);
    cr_expect_eq(part_at(until(number) - 1), until(number));
    cr_expect_not(ended(connection));
    cr_expect_eq(part_at(until(number)), UINT64_MAX);
    peer_expect_end(connection);
    expect_count(WORKER_IDLE, 1);
    connection = busy(number, 2);
    peer_say(connection, WIRE_REPLY_DONE);
    peer_expect_end(connection);
}

Test(fleet, each_connection_is_kept_for_its_own_time)
{
    int one = idle(), two = start(), first, second;

    close(greet(two));
    fleet_release(t.fleet, two);
    first = parts(two, 1);
    later(PARTING_TIME / 2);
    second = parts(one, 2);
    cr_expect_lt(until(two), until(one));
    cr_expect_eq(part_at(until(two)), until(one));
    peer_expect_end(first);
    cr_expect_not(ended(second));
    cr_expect_eq(part_at(until(one)), UINT64_MAX);
    peer_expect_end(second);
}

Test(fleet, a_worker_that_is_needed_parts_at_once)
{
    int number = idle();
    int before = parts(number, 1);
    int connection;

    cr_assert_eq(fleet_call(t.fleet, &work[2]), number);
    peer_expect_end(before);
    cr_expect_eq(fleet_part(t.fleet), UINT64_MAX);
    connection = greet(number);
    fleet_release(t.fleet, number);
    peer_expect_end(connection);
}

/* Its message has not gone, and may be tried again as soon as nobody has it locked. */
Test(fleet, nothing_is_kept_for_a_message_that_was_not_delivered)
{
    int number = idle();
    int connection = busy_with_large(number, 1);

    peer_say(connection, WIRE_REPLY_DEFERRED);
    peer_expect_end(connection);
    connection = busy(number, 2);
    peer_say(connection, WIRE_REPLY_DONE);
    peer_expect_end(connection);
    cr_expect_eq(fleet_part(t.fleet), UINT64_MAX);
}

Test(fleet, those_that_part_are_called_last_and_the_first_of_them_first)
{
    int number[3], connection[3];

    for (unsigned i = 0; i < 3; i++)
        number[i] = start();
    for (unsigned i = 0; i < 3; i++) {
        connection[i] = greet(number[i]);
        fleet_release(t.fleet, number[i]);
        peer_expect_end(connection[i]);
    }
    connection[2] = parts(number[2], 1);
    cr_assert_eq(fleet_call(t.fleet, &work[2]), number[1]);
    cr_assert_eq(fleet_call(t.fleet, &work[3]), number[0]);
    connection[0] = greet(number[0]);
    connection[1] = greet(number[1]);
    fleet_release(t.fleet, number[0]);
    fleet_release(t.fleet, number[1]);
    close(connection[0]);
    close(connection[1]);
    connection[1] = parts(number[1], 2);
    connection[0] = parts(number[0], 3);
    cr_assert_eq(fleet_call(t.fleet, &work[4]), number[2]);
    cr_assert_eq(fleet_call(t.fleet, &work[5]), number[1]);
    peer_expect_end(connection[2]);
    peer_expect_end(connection[1]);
    cr_expect_not(ended(connection[0]));
    close(connection[0]);
}

Test(fleet, one_that_dies_while_it_parts_is_not_called)
{
    int number = idle();
    int connection = parts(number, 1);

    forget_events();
    close(t.process[number].status);
    settle_down();
    expect_count(WORKER_LEAVING, 1);
    cr_expect_eq(fleet_part(t.fleet), UINT64_MAX);
    peer_expect_end(connection);
    cr_expect_eq(t.events, 0);
    number = idle();
    connection = parts(number, 1);
    forget_events();
    close(connection);
    settle_down();
    expect_count(WORKER_LEAVING, 2);
    cr_expect_eq(fleet_call(t.fleet, &work[2]), POOL_NONE);
    cr_expect_eq(t.events, 0);
}

Test(fleet, one_that_is_told_to_go_parts_at_once)
{
    int number = idle();
    int connection = parts(number, 1);

    fleet_retire(t.fleet, 1);
    peer_expect_end(connection);
    expect_count(WORKER_LEAVING, 1);
    cr_expect_eq(fleet_part(t.fleet), UINT64_MAX);
}
