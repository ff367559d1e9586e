/*
 * headroomctl retries [--json] [SERVICE]
 *
 * How much of the deferred mail comes back when.
 */

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "supervisor/base/clock.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_deferred.h"
#include "supervisor/ctl/ctl_page.h"
#include "supervisor/ctl/ctl_words.h"

#define BAR 40

/* In microseconds, as clock_wall() counts. */
#define SECOND INT64_C(1000000)

static void put_row(const char *when, uint64_t messages, uint64_t most)
{
    static const char bar[BAR + 1] = "########################################";
    /* Not nothing for one message. */
    int length = most > 0 ? (int)((messages * BAR + most - 1) / most) : 0;

    printf("  %-22s %8" PRIu64 "%s%.*s\n", when, messages, length > 0 ? "  " : "", length, bar);
}

/* Local time; the next hour needs no date. */
static const char *time_of_day(time_t time, char text[CTL_WORD_SIZE])
{
    struct tm local = {.tm_mon = 0};

    (void)localtime_r(&time, &local);
    (void)strftime(text, CTL_WORD_SIZE, "%H:%M:%S", &local);
    return text;
}

static void print(const struct ctl_deferred *deferred, const char *queue_directory)
{
    struct ctl_deferred_peak peak = ctl_deferred_peak(deferred);
    uint64_t all = ctl_deferred_all(deferred);
    uint64_t most = deferred->due > deferred->later ? deferred->due : deferred->later;
    char when[CTL_WORD_SIZE + 8], text[CTL_WORD_SIZE];

    for (unsigned row = 0; row < CTL_DEFERRED_ROWS; row++)
        if (ctl_deferred_row(deferred, row) > most)
            most = ctl_deferred_row(deferred, row);
    printf("%" PRIu64 " deferred messages in %s, of all transports; each comes back with the first "
           "queue run after its time\n",
           all, queue_directory);
    if (all == 0)
        return;
    put_row("next queue run", deferred->due, most);
    for (unsigned row = 0; row < CTL_DEFERRED_ROWS; row++) {
        (void)snprintf(when, sizeof when, "from %s",
                       time_of_day(deferred->now + (time_t)row * CTL_DEFERRED_ROW, text));
        put_row(when, ctl_deferred_row(deferred, row), most);
    }
    put_row("in an hour or later", deferred->later, most);
    if (peak.messages > 0)
        printf("At most %" PRIu64 " (%.1f %%) have their time within 30 s, from %s on.\n",
               peak.messages, 100.0 * (double)peak.messages / (double)all,
               time_of_day(peak.from, text));
}

static void print_json(const struct ctl_deferred *deferred)
{
    struct ctl_deferred_peak peak = ctl_deferred_peak(deferred);

    printf("{\"now\": %lld, \"messages\": %" PRIu64 ", \"due\": %" PRIu64 ", \"rows\": [",
           (long long)deferred->now, ctl_deferred_all(deferred), deferred->due);
    for (unsigned row = 0; row < CTL_DEFERRED_ROWS; row++)
        printf("%s{\"from\": %u, \"to\": %u, \"messages\": %" PRIu64 "}", row > 0 ? ", " : "",
               row * CTL_DEFERRED_ROW, (row + 1) * CTL_DEFERRED_ROW,
               ctl_deferred_row(deferred, row));
    printf("], \"later\": %" PRIu64
           ", \"peak\": {\"from\": %lld, \"seconds\": %d, \"messages\": %" PRIu64 "}}\n",
           deferred->later, (long long)peak.from, CTL_DEFERRED_WINDOW, peak.messages);
}

/* A file in the deferred queue does not tell its transport: this is an upper bound for one. */
static void print_service(const struct ctl *ctl, const char *service)
{
    struct status *status = malloc(sizeof *status);
    char clock[CTL_WORD_SIZE];

    if (status && ctl_load(ctl, service, status) == 0)
        printf("%s: Headroom itself deferred %" PRIu64 " requests since its start at %s.\n",
               service, status->totals.deferred, ctl_clock(status->started, clock_wall(), clock));
    free(status);
}

int ctl_retries(struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {0}};
    char path[PATH_MAX + sizeof "/deferred"];
    struct ctl_deferred *deferred;
    struct ctl_services services;
    bool json = false;
    int option, result;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 'j')
            return CTL_FAILED;
        json = true;
    }
    if (ctl_begin(ctl, "retries", false, argc, argv, &services) != 0)
        return CTL_FAILED;
    deferred = calloc(1, sizeof *deferred);
    if (!deferred)
        return CTL_FAILED;
    deferred->now = (time_t)(clock_wall() / SECOND);
    snprintf(path, sizeof path, "%s/deferred", ctl->postconf.queue_directory);
    result = ctl_deferred_scan(path, deferred);
    if (result < 0)
        ctl_error("%s: %s; run this as root or %s", path, strerror(-result),
                  ctl->postconf.mail_owner);
    else if (json)
        print_json(deferred);
    else {
        ctl_page_begin();
        print(deferred, ctl->postconf.queue_directory);
    }
    for (size_t i = 0; result == 0 && !json && i < services.count; i++)
        print_service(ctl, services.name[i]);
    free(deferred);
    return result < 0 ? CTL_FAILED : 0;
}
