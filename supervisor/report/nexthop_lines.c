#include "supervisor/report/nexthop_lines.h"

/* What is over sooner is not worth a line. */
#define SAID_AFTER ADMISSION_SECOND

static double seconds(const struct report_view *view, int64_t since)
{
    return (double)((int64_t)view->now - since) / 1e6;
}

static bool say_down(const struct report_view *view, const struct admission_nexthop *hop,
                     struct complaints *complaints)
{
    const struct journal_field fields[] = {JOURNAL_TEXT("HEADROOM_NEXTHOP", hop->name),
                                           JOURNAL_NUMBER("HEADROOM_WAITING", hop->waiting)};

    if (hop->state == ADMISSION_NEXTHOP_SILENT)
        return complain(complaints, COMPLAINT_NEXTHOP, view->now, fields, 2,
                        "next hop %s does not answer: nothing was heard of it for %.0f s, and "
                        "deliveries hang; %u wait",
                        hop->name, seconds(view, hop->since), hop->waiting);
    return complain(complaints, COMPLAINT_NEXTHOP, view->now, fields, 2,
                    "next hop %s does not answer: for %.0f s %u deliveries in a row reached no "
                    "server (the lines of the agents say why); %u wait, and %s",
                    hop->name, seconds(view, hop->since), hop->failures, hop->waiting,
                    view->config->dry_run ? "in a dry run all is tried" : "one at a time is tried");
}

static void say_up(const struct report_view *view, const struct admission_nexthop *hop,
                   int64_t since, struct journal *journal)
{
    journal_log(journal, EVENT_NEXTHOP_UP, LOG_NOTICE,
                (struct journal_field[]){JOURNAL_TEXT("HEADROOM_NEXTHOP", hop->name),
                                         JOURNAL_NUMBER("HEADROOM_WAITING", hop->waiting)},
                2, "next hop %s answers again, after %.0f s; %u wait", hop->name,
                seconds(view, since), hop->waiting);
}

/* Each is for twice as long as the one before, up to an hour: these lines need no other bound. */
static void say_crowded(const struct report_view *view, const struct admission_nexthop *hop,
                        struct journal *journal)
{
    journal_log(
        journal, EVENT_NEXTHOP_CROWDED, LOG_NOTICE,
        (struct journal_field[]){JOURNAL_TEXT("HEADROOM_NEXTHOP", hop->name)}, 1,
        "next hop %s refuses more than %u deliveries at a time and serves others: no more "
        "are begun for %.0f s, as with stock; the server's own limit moves that, or workers.max",
        hop->name, hop->crowded_limit, -seconds(view, hop->crowded_until));
}

void nexthop_lines_tick(struct nexthop_lines *lines, const struct report_view *view,
                        struct complaints *complaints)
{
    struct admission_nexthop hop;
    int64_t now = (int64_t)view->now;

    for (unsigned i = 0; admission_nexthop(view->admission, i, now, &hop); i++) {
        enum nexthop_told *told = &lines->of[i].told;

        if (hop.crowded_until > lines->of[i].crowded_until)
            say_crowded(view, &hop, complaints->journal);
        lines->of[i].crowded_until = hop.crowded_until;

        if (hop.state == ADMISSION_NEXTHOP_UP) {
            if (*told == NEXTHOP_TOLD_DOWN)
                say_up(view, &hop, lines->of[i].since, complaints->journal);
            *told = NEXTHOP_TOLD_UP;
        } else if (*told == NEXTHOP_TOLD_UP && now - hop.since >= SAID_AFTER) {
            lines->of[i].since = hop.since;
            *told = say_down(view, &hop, complaints) ? NEXTHOP_TOLD_DOWN : NEXTHOP_UNTOLD;
        }
    }
}
