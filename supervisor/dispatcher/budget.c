#include "supervisor/dispatcher/budget.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "supervisor/limits.h"

unsigned budget_clients(uint64_t descriptors, unsigned wanted, unsigned workers_max)
{
    uint64_t others = 2 * (uint64_t)workers_max + DESCRIPTORS_RESERVED;
    uint64_t few, many;

    if (descriptors >= others + 2 * (uint64_t)wanted)
        return wanted;
    few = descriptors > DESCRIPTORS_RESERVED + 4 ? (descriptors - DESCRIPTORS_RESERVED) / 4 : 1;
    many = descriptors > others ? (descriptors - others) / 2 : 0;
    if (few < many)
        few = many;
    return few < wanted ? (unsigned)few : wanted;
}

void budget_init(struct budget *budget, struct complaints *complaints, unsigned wanted,
                 unsigned workers_max)
{
    struct rlimit limit;

    *budget = (struct budget){.complaints = complaints, .clients_max = wanted};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        budget->clients_max = budget_clients(limit.rlim_cur, wanted, workers_max);
}

void budget_say(const struct budget *budget, unsigned wanted, unsigned room)
{
    if (budget->clients_max < wanted)
        journal_log(budget->complaints->journal, EVENT_DESCRIPTORS, LOG_WARNING, NULL, 0,
                    "the limit of open files allows %u requests at a time, not waiting.max + "
                    "workers.max = %u, so at most %u wait; raise it (LimitNOFILE= of Postfix's "
                    "unit) or lower these",
                    budget->clients_max, wanted, room);
}

bool budget_is_short(int error)
{
    /* ENOSPC: epoll_ctl(2) at max_user_watches. */
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS ||
           error == ENOSPC;
}

void budget_descriptors_short(struct budget *budget, int error, uint64_t now)
{
    budget->descriptors_short = true;
    complain(budget->complaints, COMPLAINT_DESCRIPTORS, now, NULL, 0,
             "%s: nothing more is accepted for now; raise the limit of open files "
             "(LimitNOFILE= of Postfix's unit), or lower workers.max or waiting.max",
             strerror(error));
}
