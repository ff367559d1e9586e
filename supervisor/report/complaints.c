#include "supervisor/report/complaints.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    enum journal_event event;
    int priority;
    const char *rest; /* "7 more REST, since this was last said" */
    unsigned kept;    /* lines of a burst kept for the rest, which is then told at the next tick */
} kinds[COMPLAINTS] = {
    [COMPLAINT_START] = {EVENT_WORKER_START_FAILED, LOG_ERR,
                         "times starts of workers began to fail, between others that did not", 0},
    [COMPLAINT_REFUSED] = {EVENT_REQUEST_REFUSED, LOG_WARNING,
                           "delivery requests were refused and stay in the queue", 0},
    [COMPLAINT_LOST] = {EVENT_WORKER_LOST, LOG_WARNING,
                        "workers ended with a request, which is deferred and will be tried again",
                        1},
    [COMPLAINT_DESCRIPTORS] = {EVENT_DESCRIPTORS, LOG_WARNING,
                               "times there was no descriptor left; raise LimitNOFILE= of "
                               "Postfix's unit",
                               0},
    [COMPLAINT_RETRY] = {EVENT_RETRY_UNREACHABLE, LOG_WARNING,
                         "requests were deferred without service retry, and without a record", 0},
    [COMPLAINT_SOCKETS] = {EVENT_STATE_FILE, LOG_WARNING,
                           "times sockets of workers began to be made elsewhere", 0},
    [COMPLAINT_LEARNED] = {EVENT_STATE_FILE, LOG_WARNING,
                           "times it could not be kept what was learned of destinations", 0},
    [COMPLAINT_SNAPSHOT] = {EVENT_STATE_FILE, LOG_WARNING, "times status.json could not be written",
                            0},
    [COMPLAINT_NEXTHOP] = {EVENT_NEXTHOP_DOWN, LOG_WARNING, "times a next hop did not answer", 0},
    [COMPLAINT_METRICS] = {EVENT_STATE_FILE, LOG_WARNING,
                           "times the file of metrics.textfile could not be written", 0},
};

bool complain(struct complaints *complaints, enum complaint which, uint64_t now,
              const struct journal_field *fields, size_t count, const char *format, ...)
{
    struct journal_field all[JOURNAL_FIELDS_MAX];
    char text[JOURNAL_TEXT_MAX + 1];
    uint64_t unsaid;
    va_list list;

    if (!journal_limit_happened(&complaints->limit[which], JOURNAL_LIMIT_BURST - kinds[which].kept,
                                now, &unsaid))
        return false;
    if (count >= JOURNAL_FIELDS_MAX)
        count = JOURNAL_FIELDS_MAX - 1;
    if (count > 0)
        memcpy(all, fields, count * sizeof *fields);
    all[count] = JOURNAL_NUMBER("HEADROOM_UNSAID", (int64_t)unsaid);
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    journal_log(complaints->journal, kinds[which].event, kinds[which].priority, all, count + 1,
                "%s", text);
    return true;
}

void complaints_count(struct complaints *complaints, enum complaint which)
{
    complaints->limit[which].unsaid++;
}

void complaints_flush(struct complaints *complaints, uint64_t now, bool last)
{
    uint64_t unsaid;

    for (unsigned i = 0; i < COMPLAINTS; i++)
        /* Starts that fail between others that do not may be many for hours: a disk is full. */
        if (journal_limit_remainder(&complaints->limit[i],
                                    i == COMPLAINT_START ? 1 : JOURNAL_LIMIT_BURST, now, last,
                                    &unsaid))
            journal_log(
                complaints->journal, kinds[i].event, LOG_WARNING,
                (struct journal_field[]){JOURNAL_NUMBER("HEADROOM_UNSAID", (int64_t)unsaid)}, 1,
                "%" PRIu64 " more %s, since this was last said", unsaid, kinds[i].rest);
}
