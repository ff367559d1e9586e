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
#include "supervisor/ctl/ctl_would.h"

#define DAY (INT64_C(24) * 3600 * 1000000)

static void print_entry(void *context, const struct ctl_entry *entry)
{
    char date[CTL_WORD_SIZE];

    (void)context;
    printf("%s %-10s ", ctl_date(entry->time, date), entry->service);
    if (strcmp(entry->event, "state") == 0)
        printf("%-7s %slimit %" PRId64 ", %" PRId64 " workers, %" PRId64 " waiting: %s\n",
               entry->state, ctl_would_entry(entry) ? "dry run: " : "", entry->limit,
               entry->workers, entry->waiting, entry->reason);
    else
        printf("%-7s %s\n", entry->event, entry->text);
}

static void take_entry(void *context, const struct ctl_entry *entry)
{
    ctl_restarts_take(context, entry);
}

static int64_t print_journal(const struct ctl *ctl, const char *named, int64_t since)
{
    static const char *const events[] = {"state", "start", "exit", NULL};
    struct ctl_restarts *restarts = calloc(1, sizeof *restarts);
    int64_t count;

    if (!restarts)
        return -ENOMEM;
    restarts->use = print_entry;
    count = ctl_journal_read(ctl, named, since, events, take_entry, restarts);
    ctl_restarts_take(restarts, NULL);
    free(restarts);
    return count;
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
    static const struct option options[] = {
        {"since", required_argument, NULL, 's'}, {"would", no_argument, NULL, 'w'}, {0}};
    bool would = false;
    int64_t now = clock_wall();
    int64_t since = now - DAY;
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
    ctl_page_begin();
    count = would ? ctl_would(ctl, argv[optind], since) : print_journal(ctl, argv[optind], since);
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
