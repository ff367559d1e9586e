/* supervisor/dispatcher/budget.c: figures that were computed by hand from what budget.h says. */

#include "supervisor/dispatcher/budget.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/resource.h>

#include "tests/unit/said.h"

/* 64 descriptors are reserved, a client has 2, a worker has 2. */
static const struct {
    uint64_t descriptors;
    unsigned wanted;
    unsigned workers_max;
    unsigned clients;
} FIGURES[] = {
    /* All have room: 2 * 1500 + 2 * 500 + 64 = 4064. */
    {1048576, 1500, 500, 1500},
    {4064, 1500, 500, 1500},
    /* One less: there is no room for the last client. */
    {4063, 1500, 500, 1499},
    {4062, 1500, 500, 1499},
    {4061, 1500, 500, 1498},
    /* (3064 - 64) / 4 = 750 busy workers with a client each; but there are 500 at most. */
    {3064, 1500, 500, 1000},
    /* No room for all workers: a client and its worker cost four. (1024 - 64) / 4 */
    {1024, 1500, 500, 240},
    {256, 1500, 500, 48},
    /* The same at the point where the two rules meet: (2064 - 1064) / 2 = (2064 - 64) / 4 = 500 */
    {2064, 1500, 500, 500},
    {2068, 1500, 500, 502},
    {2060, 1500, 500, 499},
    /* Never none. */
    {72, 1500, 500, 2},
    {71, 1500, 500, 1},
    {68, 1500, 500, 1},
    {64, 1500, 500, 1},
    {0, 1500, 500, 1},
    /* Never more than wanted, also with far more workers than clients. */
    {1050, 10, 500, 10},
    {1083, 10, 500, 10},
    {100, 10, 500, 9},
    {UINT64_MAX, 21000, 500, 21000}, /* no limit */
    {UINT64_MAX, 4000000000U, 4000000000U, 4000000000U},
    {UINT64_C(16000000063), 4000000000U, 4000000000U, 3999999999U},
};

Test(budget, clients_by_hand)
{
    for (size_t i = 0; i < sizeof FIGURES / sizeof FIGURES[0]; i++) {
        unsigned clients =
            budget_clients(FIGURES[i].descriptors, FIGURES[i].wanted, FIGURES[i].workers_max);

        cr_expect_eq(clients, FIGURES[i].clients, "%zu: %u, not %u", i, clients,
                     FIGURES[i].clients);
    }
}

/* More descriptors never mean fewer clients, and they are never more than are wanted. */
Test(budget, more_descriptors_are_no_less)
{
    for (unsigned workers = 0; workers < 60; workers += 7)
        for (unsigned wanted = 1; wanted < 60; wanted += 3) {
            unsigned before = 1;

            for (uint64_t descriptors = 0; descriptors < 400; descriptors++) {
                unsigned clients = budget_clients(descriptors, wanted, workers);

                cr_assert(clients >= before && clients <= wanted, "%u of %u after %u, %u workers",
                          clients, wanted, before, workers);
                before = clients;
            }
            cr_expect_eq(before, wanted);
        }
}

Test(budget, the_limit_of_this_process)
{
    struct complaints complaints = {0};
    struct budget budget;
    struct rlimit limit;

    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 1024;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    budget_init(&budget, &complaints, 1500, 500);
    cr_expect_eq(budget.clients_max, 240);
    cr_expect_eq(budget.held, 0);
    cr_expect_not(budget.descriptors_short);
    cr_expect_eq(said.times[COMPLAINT_DESCRIPTORS], 0);
}

/* What passes, and what does not. ENOSPC is epoll_ctl(2) at max_user_watches. */
Test(budget, what_is_a_lack)
{
    static const int lacks[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS, ENOSPC};
    static const int others[] = {0, ENOENT, EACCES, ECONNREFUSED, EAGAIN, EPIPE, EWOULDBLOCK};

    for (size_t i = 0; i < sizeof lacks / sizeof lacks[0]; i++)
        cr_expect(budget_is_short(lacks[i]), "%s", strerror(lacks[i]));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_expect_not(budget_is_short(others[i]), "%s", strerror(others[i]));
}

Test(budget, a_lack_is_noted_and_said)
{
    struct complaints complaints = {0};
    struct budget budget;

    budget_init(&budget, &complaints, 100, 10);
    budget_descriptors_short(&budget, EMFILE, 5);
    cr_expect(budget.descriptors_short);
    cr_expect_eq(said.times[COMPLAINT_DESCRIPTORS], 1);
    cr_expect(strstr(said.last, strerror(EMFILE)));
    cr_expect(strstr(said.last, "LimitNOFILE="));
}
