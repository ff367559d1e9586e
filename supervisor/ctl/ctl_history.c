/*
 * headroomctl history [--since=TIME] [--would] [SERVICE]
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_journal.h"
#include "supervisor/ctl/ctl_page.h"
#include "supervisor/ctl/ctl_restarts.h"
#include "supervisor/ctl/ctl_words.h"

/* What the lines of a dry run about its state begin with: nothing was held back in it. */
#define DRY_RUN "dry run: "

#define DAY (INT64_C(24) * 3600 * 1000000)

static void print_entry(void *context, const struct ctl_entry *entry)
{
    char date[CTL_WORD_SIZE];

    (void)context;
    printf("%s %-10s ", ctl_date(entry->time, date), entry->service);
    if (strcmp(entry->event, "state") == 0)
        printf("%-7s %slimit %" PRId64 ", %" PRId64 " workers, %" PRId64 " waiting: %s\n",
               entry->state, strncmp(entry->text, DRY_RUN, strlen(DRY_RUN)) == 0 ? DRY_RUN : "",
               entry->limit, entry->workers, entry->waiting, entry->reason);
    else
        printf("%-7s %s\n", entry->event, entry->text);
}

static void take_entry(void *context, const struct ctl_entry *entry)
{
    ctl_restarts_take(context, entry);
}

/* What a dry run would have done, from the lines that count it. */
struct would {
    int64_t deferred, waited, split;
};

static void print_would(void *context, const struct ctl_entry *entry)
{
    struct would *sum = context;
    char date[CTL_WORD_SIZE];

    if (entry->would_defer < 0 || entry->would_wait < 0 || entry->would_split < 0 ||
        (entry->would_defer == 0 && entry->would_wait == 0 && entry->would_split == 0))
        return;
    sum->deferred += entry->would_defer;
    sum->waited += entry->would_wait;
    sum->split += entry->would_split;
    printf("%s %-16s would have deferred %" PRId64 ", made %" PRId64 " wait, split off %" PRId64,
           ctl_date(entry->time, date), entry->service, entry->would_defer, entry->would_wait,
           entry->would_split);
    if (entry->state[0] != '\0')
        printf("; %s, limit %" PRId64 ", %" PRId64 " workers: %s", entry->state, entry->limit,
               entry->workers, entry->reason);
    putchar('\n');
}

/* Without a journal there is what the snapshots remember. */
static int print_changes(const struct ctl *ctl, const char *named, int64_t since, bool would)
{
    char words[TOTALS_WOULD_SIZE];
    struct ctl_services services;
    struct status *status;
    char date[CTL_WORD_SIZE];
    int result = 0;

    if (ctl_services(ctl, named, &services) != 0)
        return CTL_FAILED;
    status = malloc(sizeof *status);
    if (!status)
        return CTL_FAILED;
    for (size_t i = 0; i < services.count; i++) {
        if (ctl_load_or_say(ctl, services.name[i], status) != 0) {
            result = CTL_FAILED;
            continue;
        }
        totals_write_would(&status->totals, words, sizeof words);
        if (would && status->settings.dry_run > 0)
            printf("%s: since the start at %s it would have %s\n", status->service,
                   ctl_date(status->started, date), words);
        else if (would)
            printf("%s: is no dry run\n", status->service);
        for (uint64_t j = would ? 0 : status->changes; j > 0; j--) {
            const struct status_change *at = &status->change[j - 1];

            if (at->time >= since)
                printf("%s %-10s %-7s limit %" PRIu64 ", %" PRIu64 " workers, %" PRIu64
                       " waiting: %s\n",
                       ctl_date(at->time, date), status->service, at->state, at->limit, at->workers,
                       at->waiting, at->reason);
        }
    }
    free(status);
    return result;
}

int ctl_history(struct ctl *ctl, int argc, char **argv)
{
    static const char *const events[] = {"state", "start", "exit", NULL};
    static const char *const all[] = {"state", "summary", "exit", NULL};
    static const struct option options[] = {
        {"since", required_argument, NULL, 's'}, {"would", no_argument, NULL, 'w'}, {0}};
    struct would sum = {0};
    bool would = false;
    int64_t now = clock_wall();
    int64_t since = now - DAY;
    struct ctl_restarts *restarts;
    int64_t count;
    char date[CTL_WORD_SIZE];
    int option;

    while ((option = getopt_long(argc, argv, "s:", options, NULL)) != -1) {
        if (option == 'w') {
            would = true;
            continue;
        }
        if (option != 's')
            return CTL_FAILED;
        if (!ctl_moment(optarg, now, &since)) {
            ctl_error("--since takes 90m, 3h, 2d, today, yesterday, 14:30 or \"2026-11-20 14:30\"");
            return CTL_FAILED;
        }
    }
    if (argc - optind > 1) {
        ctl_error("history takes one service, or none for all");
        return CTL_FAILED;
    }
    if (ctl_open(ctl) != 0)
        return CTL_FAILED;
    restarts = calloc(1, sizeof *restarts);
    if (!restarts)
        return CTL_FAILED;
    ctl_page_begin();
    restarts->use = print_entry;
    count = would ? ctl_journal_read(ctl, argv[optind], since, all, print_would, &sum)
                  : ctl_journal_read(ctl, argv[optind], since, events, take_entry, restarts);
    ctl_restarts_take(restarts, NULL);
    free(restarts);
    if (count > 0 && would)
        printf("since %s a dry run would have deferred %" PRId64 ", made %" PRId64
               " wait, split off %" PRId64 "\n",
               ctl_date(since, date), sum.deferred, sum.waited, sum.split);
    if (count > 0 && would && sum.deferred == 0 && sum.waited == 0 && sum.split == 0)
        puts("The log has the counts once a minute; headroomctl status has those since the start.");
    if (count > 0)
        return 0;
    if (count < 0)
        ctl_error("the journal cannot be read (%s); this is what the service itself remembers",
                  ctl_journal_error((int)count));
    else
        ctl_error("the journal%s has nothing of headroom since %s; this is what the service itself "
                  "remembers",
                  geteuid() == 0 ? "" : ", as far as you may read it,", ctl_date(since, date));
    return print_changes(ctl, argv[optind], since, would);
}
