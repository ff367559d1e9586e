#include "supervisor/ctl/ctl_restarts.h"

#include <stdio.h>
#include <string.h>

#include "supervisor/ctl/ctl_words.h"

#define WITHIN INT64_C(60000000)

/* Whether the end that is kept and this start are one restart more. */
static bool again(const struct ctl_restarts *restarts, const struct ctl_entry *start)
{
    return restarts->ended.time != 0 && start->time - restarts->ended.time <= WITHIN &&
           strcmp(start->service, restarts->ended.service) == 0 &&
           strcmp(start->service, restarts->start.service) == 0 &&
           strcmp(start->text, restarts->start.text) == 0;
}

static void count_one(struct ctl_restarts *restarts, const struct ctl_entry *start)
{
    struct ctl_entry *row = &restarts->row;
    char clock[CTL_WORD_SIZE];

    if (restarts->times++ == 0)
        *row = restarts->ended;
    status_text(row->event, sizeof row->event, "restart");
    snprintf(row->text, sizeof row->text, "%u time%s until %s, settings unchanged", restarts->times,
             restarts->times == 1 ? "" : "s", ctl_clock(start->time, row->time, clock));
    restarts->ended.time = 0;
}

void ctl_restarts_take(struct ctl_restarts *restarts, const struct ctl_entry *entry)
{
    bool start = entry && strcmp(entry->event, "start") == 0;
    bool end = entry && strcmp(entry->event, "exit") == 0;

    if (start && again(restarts, entry)) {
        count_one(restarts, entry);
        return;
    }
    if (restarts->times > 0 &&
        (!end || restarts->ended.time != 0 || strcmp(entry->service, restarts->row.service) != 0)) {
        restarts->use(NULL, &restarts->row);
        restarts->times = 0;
    }
    if (restarts->ended.time != 0) {
        restarts->use(NULL, &restarts->ended);
        restarts->ended.time = 0;
    }
    if (start)
        restarts->start = *entry;
    if (end)
        restarts->ended = *entry;
    else if (entry)
        restarts->use(NULL, entry);
}
