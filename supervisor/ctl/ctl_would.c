#include "supervisor/ctl/ctl_would.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "supervisor/ctl/ctl_words.h"

bool ctl_would_entry(const struct ctl_entry *entry)
{
    return entry->would_defer >= 0 && entry->would_wait >= 0 && entry->would_split >= 0;
}

/* -> whether there was anything to count. */
static bool count(struct totals_would *sum, const struct totals_would *more, int64_t time,
                  const char *service)
{
    char date[CTL_WORD_SIZE];

    if (more->deferred + more->waited + more->split == 0)
        return false;
    sum->deferred += more->deferred;
    sum->waited += more->waited;
    sum->split += more->split;
    printf("%s %-16s would have deferred %" PRIu64 ", made %" PRIu64 " wait, split off %" PRIu64,
           ctl_date(time, date), service, more->deferred, more->waited, more->split);
    return true;
}

static void print_entry(void *context, const struct ctl_entry *entry)
{
    const struct totals_would more = {.deferred = (uint64_t)entry->would_defer,
                                      .waited = (uint64_t)entry->would_wait,
                                      .split = (uint64_t)entry->would_split};

    if (!ctl_would_entry(entry) || !count(context, &more, entry->time, entry->service))
        return;
    if (entry->state[0] != '\0')
        printf("; %s, limit %" PRId64 ", %" PRId64 " workers: %s", entry->state, entry->limit,
               entry->workers, entry->reason);
    putchar('\n');
}

/* A service counts in a line a minute at most; its snapshot knows what came after the last one. */
static int64_t print_rest(const struct ctl *ctl, const char *service, int64_t since,
                          struct status *status, struct totals_would *sum)
{
    /* The last line of one that has ended has all. */
    if (ctl_load(ctl, service, status) != 0 || status->settings.dry_run == 0 ||
        status->written < since || ctl_running(ctl, service) == CTL_RUNS_NOT)
        return 0;
    if (!count(sum, &status->unlogged, status->written, service))
        return 0;
    puts("; since its last line in the log");
    return 1;
}

int64_t ctl_would(const struct ctl *ctl, const char *named, int64_t since)
{
    static const char *const events[] = {"state", "summary", "exit", NULL};
    struct status *status = malloc(sizeof *status);
    struct ctl_services services = {.count = 0};
    struct totals_would sum = {0};
    char date[CTL_WORD_SIZE];
    int64_t lines =
        status ? ctl_journal_read(ctl, named, since, events, print_entry, &sum) : -ENOMEM;

    /* Without a journal the caller shows all that is counted since the start. */
    if (lines > 0 && (named ? ctl_services(ctl, named, &services)
                            : ctl_services_configured(ctl, &services)) == 0)
        for (size_t i = 0; i < services.count; i++)
            lines += print_rest(ctl, services.name[i], since, status, &sum);
    if (lines > 0)
        printf("since %s a dry run would have deferred %" PRIu64 ", made %" PRIu64
               " wait, split off %" PRIu64 "\n",
               ctl_date(since, date), sum.deferred, sum.waited, sum.split);
    free(status);
    return lines;
}
