#include "supervisor/ctl/ctl_restarts.h"

#include <stdio.h>
#include <string.h>

#include "supervisor/ctl/ctl_words.h"

#define WITHIN INT64_C(60000000)
#define END_WORDS "headroom ends: "

/* NULL: there are too many. */
static struct ctl_restart *find(struct ctl_restarts *restarts, const char *service)
{
    for (size_t i = 0; i < restarts->count; i++)
        if (strcmp(restarts->service[i].row.service, service) == 0)
            return &restarts->service[i];
    if (restarts->count == CTL_SERVICES_MAX)
        return NULL;
    memset(&restarts->service[restarts->count], 0, sizeof restarts->service[0]);
    status_text(restarts->service[restarts->count].row.service, STATUS_NAME_SIZE, service);
    return &restarts->service[restarts->count++];
}

/* The row, and an end after it. */
static void hand_on(struct ctl_restarts *restarts, struct ctl_restart *at)
{
    char last[sizeof at->row.text], clock[CTL_WORD_SIZE];

    if (at->times > 0) {
        snprintf(last, sizeof last, "%s", at->row.text);
        snprintf(at->row.text, sizeof at->row.text,
                 "%u time%s until %s, settings unchanged; before the last: %.900s", at->times,
                 at->times == 1 ? "" : "s", ctl_clock(at->until, at->row.time, clock), last);
        restarts->use(restarts->context, &at->row);
    }
    if (at->ended.time != 0)
        restarts->use(restarts->context, &at->ended);
    at->times = 0;
    at->ended.time = 0;
}

static bool again(const struct ctl_restart *at, const struct ctl_entry *entry)
{
    return at->ended.time != 0 && entry->time - at->ended.time <= WITHIN &&
           strcmp(at->settings, entry->text) == 0;
}

/* The end at hand and this start are one restart more. */
static void count_one(struct ctl_restart *at, const struct ctl_entry *start)
{
    const char *text = at->ended.text;

    if (strncmp(text, END_WORDS, strlen(END_WORDS)) == 0)
        text += strlen(END_WORDS);
    if (at->times++ == 0) {
        at->row = at->ended;
        status_text(at->row.event, sizeof at->row.event, "restart");
    }
    snprintf(at->row.text, sizeof at->row.text, "%s", text);
    at->until = start->time;
    at->ended.time = 0;
}

void ctl_restarts_take(struct ctl_restarts *restarts, const struct ctl_entry *entry)
{
    bool start = strcmp(entry->event, "start") == 0;
    struct ctl_restart *at =
        start || strcmp(entry->event, "exit") == 0 ? find(restarts, entry->service) : NULL;

    if (!at) {
        ctl_restarts_end(restarts);
        restarts->use(restarts->context, entry);
    } else if (!start) {
        if (at->ended.time != 0)
            hand_on(restarts, at);
        at->ended = *entry;
    } else if (again(at, entry)) {
        count_one(at, entry);
    } else {
        hand_on(restarts, at);
        restarts->use(restarts->context, entry);
        snprintf(at->settings, sizeof at->settings, "%s", entry->text);
    }
}

void ctl_restarts_end(struct ctl_restarts *restarts)
{
    for (size_t i = 0; i < restarts->count; i++)
        hand_on(restarts, &restarts->service[i]);
}
