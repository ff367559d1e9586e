/*
 * Lines whose number is limited (supervisor/journal/journal_limit.h): what was not said in a flood is said when it is over.
 */

#include <inttypes.h>

#include "supervisor/dispatcher/dispatch.h"

struct remainder {
    struct journal_limit *limit;
    enum journal_event event;
    const char *what;
};

void remainders_say(struct dispatcher *dispatcher, bool last)
{
    const struct remainder remainders[] = {
        {&dispatcher->start_lines, EVENT_WORKER_START_FAILED,
         "times starts of workers began to fail, between others that did not"},
        {&dispatcher->refused_lines, EVENT_REQUEST_REFUSED,
         "delivery requests were refused and stay in the queue"},
        {&dispatcher->lost_lines, EVENT_WORKER_LOST,
         "workers ended with a request, which is deferred and will be tried again"},
        {&dispatcher->descriptor_lines, EVENT_DESCRIPTORS,
         "times there was no descriptor left; raise LimitNOFILE= of Postfix's unit"},
        {&dispatcher->retry_lines, EVENT_RETRY_UNREACHABLE,
         "requests were deferred without service retry, and without a record"},
        {&dispatcher->learned_lines, EVENT_STATE_FILE,
         "times it could not be kept what was learned of destinations"},
        {&dispatcher->snapshot_lines, EVENT_STATE_FILE, "times status.json could not be written"},
        {&dispatcher->metrics_lines, EVENT_STATE_FILE,
         "times the file of metrics.textfile could not be written"},
    };
    uint64_t unsaid;

    for (size_t i = 0; i < sizeof remainders / sizeof remainders[0]; i++)
        if (journal_limit_remainder(remainders[i].limit, dispatcher->now, last, &unsaid))
            journal_log(
                dispatcher->journal, remainders[i].event, LOG_WARNING,
                (struct journal_field[]){JOURNAL_NUMBER("HEADROOM_UNSAID", (int64_t)unsaid)}, 1,
                "%" PRIu64 " more %s, since this was last said", unsaid, remainders[i].what);
}
