/* supervisor/dispatcher/parts.c: the table of parts, with requests that were captured. */

#include "supervisor/dispatcher/parts.h"

#include <criterion/criterion.h>
#include <signal.h>

#include "agents/reply.h"
#include "supervisor/limits.h"
#include "tests/unit/said.h"
#include "tests/unit/wire.h"

struct table {
    struct budget budget;
    struct parts *parts;
    struct wire bytes;
    struct request request;
    struct split split;
    unsigned each; /* parts that were handed to each() */
    struct part *part[8];
};

/* Its request is for five recipients in three domains. */
static void table_open(struct table *table, unsigned clients, unsigned extra)
{
    *table = (struct table){.budget.clients_max = clients};
    cr_assert_eq(parts_create(&table->parts, &table->budget, NULL, extra), 0);
    table->bytes = wire(WIRE_MANY);
    request_init(&table->request);
    cr_assert_eq(request_parse(&table->request, table->bytes.bytes, table->bytes.len), 0);
    cr_assert_eq(split_plan(&table->split, &table->request, table->bytes.bytes, split_key_domain),
                 0);
    cr_assert_eq(table->split.part_count, 3);
}

static void table_close(struct table *table)
{
    parts_destroy(table->parts);
    split_free(&table->split);
    wire_free(&table->bytes);
}

static struct job *job_of(const struct table *table)
{
    return parts_job(table->parts, NULL, table->bytes.len);
}

static struct job *whole(const struct table *table)
{
    struct job *job = job_of(table);

    parts_whole(table->parts, job, table->bytes.bytes);
    return job;
}

static void on_each(void *context, struct part *part, uint32_t n)
{
    struct table *table = context;

    cr_expect_eq(n, table->each, "in the order of the split");
    cr_expect_eq(part->state, PART_WAITING);
    table->part[table->each++] = part;
}

static bool divide(struct table *table, struct job *job)
{
    table->each = 0;
    return parts_divide(table->parts, job, &table->split, &table->request, table->bytes.bytes,
                        on_each, table);
}

static void expect_view(const struct table *table, unsigned waiting, unsigned requests,
                        uint64_t bytes)
{
    struct parts_view view = parts_view(table->parts);

    cr_expect_eq(view.waiting, waiting, "%u parts wait, not %u", view.waiting, waiting);
    cr_expect_eq(view.requests, requests, "%u requests wait, not %u", view.requests, requests);
    cr_expect_eq(view.bytes, bytes, "%lu bytes, not %lu", (unsigned long)view.bytes,
                 (unsigned long)bytes);
}

/* All parts of the job end, by way of a client that has gone. */
static void end(const struct table *table, struct job *job)
{
    struct part *part;

    TAILQ_FOREACH(part, &job->parts, of_job)
    if (part->state == PART_WAITING)
        parts_step(table->parts, part, PART_CANCELLED);
    parts_free(table->parts, job);
}

Test(parts, a_whole_request)
{
    struct table table;
    struct client *client = (struct client *)&table; /* any */
    struct job *job;
    struct part *part;

    table_open(&table, 2, 0);
    cr_expect_eq(parts_size(table.parts), 2);
    job = parts_job(table.parts, client, table.bytes.len);
    cr_expect_eq(job->client, client);
    cr_expect_eq(job->left, 0);
    expect_view(&table, 0, 0, 0);
    part = parts_whole(table.parts, job, table.bytes.bytes);
    cr_expect_eq(part->state, PART_WAITING);
    cr_expect_eq(part->bytes, table.bytes.bytes, "nothing is copied");
    cr_expect_eq(part->length, table.bytes.len);
    cr_expect_null(part->own);
    cr_expect_eq(part->worker, -1);
    cr_expect_eq(part->job, job);
    cr_expect_eq(job->left, 1);
    cr_expect_eq(job->merge.expected, 1);
    cr_expect_eq(parts_at(table.parts, parts_handle(table.parts, part)), part);
    cr_expect_eq(table.budget.held, 0, "they are the client's");
    expect_view(&table, 1, 1, table.bytes.len);
    end(&table, job);
    expect_view(&table, 0, 0, 0);
    table_close(&table);
}

/* Each share is a request of its own, with the recipients of one domain. */
Test(parts, a_split_request)
{
    static const char *const shares[] = {
        WIRE_MANY_COMMON "recipient_count|2||" WIRE_MANY_A WIRE_MANY_C,
        WIRE_MANY_COMMON "recipient_count|1||" WIRE_MANY_D,
        WIRE_MANY_COMMON "recipient_count|2||" WIRE_MANY_B WIRE_MANY_X,
    };
    struct table table;
    struct job *job;
    uint64_t bytes = 0;

    table_open(&table, 2, 3);
    job = job_of(&table);
    cr_assert(divide(&table, job));
    cr_assert_eq(table.each, 3);
    cr_expect_eq(job->left, 3);
    cr_expect_eq(job->merge.expected, 3);
    for (unsigned i = 0; i < 3; i++) {
        struct wire want = wire(shares[i]);
        const struct part *part = table.part[i];

        cr_expect(part->length == want.len && memcmp(part->bytes, want.bytes, want.len) == 0,
                  "share %u", i);
        cr_expect_eq(part->own, part->bytes);
        for (unsigned j = 0; j < i; j++)
            cr_expect_neq(parts_handle(table.parts, part),
                          parts_handle(table.parts, table.part[j]));
        bytes += want.len;
        wire_free(&want);
    }
    cr_expect_eq(table.budget.held, bytes);
    expect_view(&table, 3, 1, bytes + table.bytes.len);
    end(&table, job);
    cr_expect_eq(table.budget.held, 0);
    expect_view(&table, 0, 0, 0);
    table_close(&table);
}

/* A request waits as long as one of its parts does. */
Test(parts, what_waits_is_counted)
{
    struct table table;
    struct job *job;
    struct part *part;
    uint64_t share, all;

    table_open(&table, 3, 3);
    job = job_of(&table);
    cr_assert(divide(&table, job));
    all = table.budget.held + table.bytes.len;
    part = TAILQ_FIRST(&job->parts);
    share = part->length;
    cr_expect_eq(parts_step(table.parts, part, PART_CHOSEN), PART_NOTHING);
    expect_view(&table, 2, 1, all - share);
    /* Its worker vanished: it waits again. */
    cr_expect_eq(parts_step(table.parts, part, PART_AGENT_GONE), PART_BACK);
    expect_view(&table, 3, 1, all);
    /* A new worker takes one that waits. */
    cr_expect_eq(parts_step(table.parts, part, PART_GREETED), PART_HAND_OVER);
    expect_view(&table, 2, 1, all - share);
    cr_expect_eq(parts_step(table.parts, part, PART_CANCELLED), PART_NOTHING);
    expect_view(&table, 2, 1, all - share);
    part = TAILQ_NEXT(part, of_job);
    all -= share;
    share = part->length;
    cr_expect_eq(parts_step(table.parts, part, PART_DEFERRED), PART_NOTHING);
    expect_view(&table, 1, 1, all - share);
    part = TAILQ_NEXT(part, of_job);
    cr_expect_eq(parts_step(table.parts, part, PART_CANCELLED), PART_NOTHING);
    expect_view(&table, 0, 0, 0);
    /* Beside another request. */
    whole(&table);
    expect_view(&table, 1, 1, table.bytes.len);
    table_close(&table);
}

static void expect_outgoing(const struct part *leader, const char *text)
{
    struct wire want = wire(text);

    cr_assert_not_null(leader->outgoing);
    cr_expect_eq(leader->outgoing_length, want.len, "%zu, not %zu", leader->outgoing_length,
                 want.len);
    cr_expect(leader->outgoing_length == want.len &&
              memcmp(leader->outgoing, want.bytes, want.len) == 0);
    wire_free(&want);
}

/* Some go along: a request for the recipients of these. All: the client's own bytes. */
Test(parts, parts_go_along_with_another)
{
    struct table table;
    struct job *job;
    struct part *leader, *second, *third;
    uint64_t held;

    table_open(&table, 2, 6);
    whole(&table);
    job = job_of(&table);
    cr_assert(divide(&table, job));
    leader = table.part[2];
    second = table.part[0];
    third = table.part[1];
    held = table.budget.held;
    parts_step(table.parts, leader, PART_CHOSEN);
    parts_join(table.parts, leader, second);
    cr_expect_eq(second->state, PART_JOINED);
    cr_expect_eq(leader->members, 1);
    cr_expect_eq(parts_view(table.parts).waiting, 2);
    cr_expect_eq(parts_view(table.parts).jobs, 2);
    cr_assert(parts_outgoing(table.parts, leader, &table.request, table.bytes.bytes));
    expect_outgoing(leader, WIRE_MANY_COMMON
                    "recipient_count|4||" WIRE_MANY_A WIRE_MANY_C WIRE_MANY_B WIRE_MANY_X);
    cr_expect_eq(table.budget.held, held + leader->outgoing_length);
    parts_leave(table.parts, second);
    cr_expect_eq(second->state, PART_WAITING);
    cr_expect_null(leader->outgoing);
    cr_expect_eq(table.budget.held, held);
    cr_expect_eq(parts_view(table.parts).waiting, 3);

    parts_join(table.parts, leader, second);
    parts_join(table.parts, leader, third);
    cr_assert(parts_outgoing(table.parts, leader, &table.request, table.bytes.bytes));
    cr_expect_eq(leader->outgoing, table.bytes.bytes, "nothing is copied");
    expect_outgoing(leader, WIRE_MANY);
    cr_expect_eq(table.budget.held, held);
    cr_expect_eq(parts_view(table.parts).waiting, 1);
    cr_expect_eq(parts_view(table.parts).jobs, 1);
    /* They have ended, and leave nothing. */
    parts_step(table.parts, second, PART_REPLIED);
    parts_leave(table.parts, second);
    parts_step(table.parts, third, PART_AGENT_GONE);
    cr_expect_eq(third->state, PART_ENDED);
    parts_free(table.parts, job);
    cr_expect_eq(table.budget.held, 0);
    table_close(&table);
}

/* What has ended makes room, though another part of its request waits for long. */
Test(parts, a_part_that_has_ended_makes_room)
{
    struct table table;
    struct job *job;
    uint64_t held;

    table_open(&table, 2, 3);
    job = job_of(&table);
    cr_assert(divide(&table, job));
    cr_assert_not(divide(&table, job_of(&table)));
    held = table.budget.held;
    for (unsigned i = 0; i < 2; i++) {
        held -= table.part[i]->length;
        parts_step(table.parts, table.part[i], PART_CANCELLED);
        parts_end(table.parts, table.part[i]);
    }
    cr_expect_eq(table.budget.held, held);
    cr_expect_eq(TAILQ_FIRST(&job->parts), table.part[2]);
    end(&table, job);
    cr_expect_eq(table.budget.held, 0);
    cr_expect(divide(&table, job_of(&table)));
    table_close(&table);
}

/* Bytes that do not fit are no reason to fail: the caller lets them go alone. */
Test(parts, outgoing_bytes_are_bounded)
{
    struct table table;
    struct job *job;

    table_open(&table, 1, 3);
    job = job_of(&table);
    cr_assert(divide(&table, job));
    parts_join(table.parts, table.part[0], table.part[1]);
    table.budget.held += HELD_BYTES_MAX - table.budget.held;
    cr_expect_not(parts_outgoing(table.parts, table.part[0], &table.request, table.bytes.bytes));
    cr_expect_null(table.part[0]->outgoing);
    table_close(&table);
}

Test(parts, a_step_that_cannot_be_aborts, .signal = SIGABRT)
{
    struct table table;
    struct job *job;

    table_open(&table, 1, 0);
    job = whole(&table);
    parts_step(table.parts, TAILQ_FIRST(&job->parts), PART_REPLIED);
}

/* One part is kept for each job that may still come: a split has only what is beside them. */
Test(parts, each_job_finds_room_for_one_part)
{
    struct table table;
    struct job *job[4];

    table_open(&table, 4, 2);
    job[0] = job_of(&table);
    /* 6 in all, 3 for the other jobs: just enough. */
    cr_expect(divide(&table, job[0]));
    job[1] = job_of(&table);
    cr_expect_not(divide(&table, job[1]), "3 are left, 2 of them for other jobs");
    cr_expect_eq(table.each, 0, "nothing has happened");
    cr_expect_eq(job[1]->left, 0);
    parts_whole(table.parts, job[1], table.bytes.bytes);
    job[2] = whole(&table);
    job[3] = whole(&table);
    expect_view(&table, 6, 4, table.budget.held + 4 * table.bytes.len);
    for (unsigned i = 0; i < 4; i++)
        end(&table, job[i]);
    /* And all of it is free again, as often as one likes. */
    for (unsigned i = 0; i < 100; i++) {
        job[0] = job_of(&table);
        cr_assert(divide(&table, job[0]), "round %u", i);
        end(&table, job[0]);
    }
    cr_expect_eq(table.budget.held, 0);
    table_close(&table);
}

/* Parts in use beyond what would leave one for each job: what is spare is none, not billions. */
Test(parts, spare_saturates)
{
    struct table table;
    struct job *job[4];

    table_open(&table, 4, 2);
    job[0] = job_of(&table);
    cr_assert(divide(&table, job[0]));
    /* Two more for the same job: the table is full but for one, and three jobs are still to come. */
    parts_whole(table.parts, job[0], table.bytes.bytes);
    parts_whole(table.parts, job[0], table.bytes.bytes);
    job[1] = job_of(&table);
    cr_expect_not(divide(&table, job[1]));
    table_close(&table);
}

/* Each share repeats what all recipients have in common. */
Test(parts, held_bytes_bound_a_split)
{
    struct table table;
    struct job *job;
    uint64_t bytes = 0;

    table_open(&table, 2, 3);
    for (unsigned i = 0; i < 3; i++)
        bytes += table.split.parts[i].size;
    job = job_of(&table);
    table.budget.held = HELD_BYTES_MAX - bytes + 1;
    cr_expect_not(divide(&table, job));
    cr_expect_eq(table.budget.held, HELD_BYTES_MAX - bytes + 1);
    table.budget.held--;
    cr_expect(divide(&table, job));
    cr_expect_eq(table.budget.held, HELD_BYTES_MAX);
    end(&table, job);
    cr_expect_eq(table.budget.held, HELD_BYTES_MAX - bytes);
    table_close(&table);
}

/* What is in use at the end is given back; AddressSanitizer would find the rest. */
Test(parts, it_ends_with_all_it_has)
{
    struct table table;
    struct job *job;
    struct reply reply;
    struct wire bytes = wire(WIRE_REPLY_DSN);

    table_open(&table, 3, 3);
    job = job_of(&table);
    cr_assert(divide(&table, job));
    cr_assert_eq(reply_parse(bytes.bytes, bytes.len, &reply), 0);
    cr_assert_eq(merge_add(&job->merge, &reply, bytes.bytes), 0);
    cr_assert_not_null(job->merge.kept);
    whole(&table);
    table_close(&table);
    parts_destroy(NULL);
    wire_free(&bytes);
}
