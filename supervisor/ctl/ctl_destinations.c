/*
 * headroomctl destinations [--transport-map[=retry|discard]] [SERVICE [DOMAIN...]]
 *
 * With --transport-map: lines for a transport map (transport(5)) that take mail for the named
 * destinations, or for all dead ones, out of the way: `retry:` defers it at once, `discard:` throws
 * it away.
 */

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/base/clock.h"
#include "supervisor/config/json.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_advice.h"
#include "supervisor/ctl/ctl_hold.h"
#include "supervisor/ctl/ctl_page.h"
#include "supervisor/ctl/ctl_words.h"

/* How wide the list is beside the names. */
#define COLUMNS 60

struct wish {
    bool map;
    bool discard;
    size_t domains;
    char *const *domain;
};

static const struct status_destination *find(const struct status *status, const char *name)
{
    for (uint64_t i = 0; i < status->destinations; i++)
        if (strcasecmp(status->destination[i].name, name) == 0)
            return &status->destination[i];
    return NULL;
}

/*
 * What can be a key of a transport map: a domain, also in UTF-8 (SMTPUTF8). Neither a folded name
 * nor an address literal; and not all subdomains of one.
 */
static bool is_domain(const char *name)
{
    size_t length = strlen(name), step;
    bool plain;

    if (length == 0 || length >= STATUS_KEY_SIZE - 1 || name[0] == '.' || name[0] == '-')
        return false;
    for (size_t at = 0; at < length; at += step) {
        step = json_character(name, at, length, &plain);
        if (!plain || (step == 1 &&
                       !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_",
                               name[at])))
            return false;
    }
    return true;
}

/* Known as dead; or it hangs, and has never shown a sign of life. */
static bool is_dead(const struct status_destination *at)
{
    return strcmp(at->lane, "dead") == 0 || (at->hanging > 0 && at->last_success == 0);
}

static bool shown(const struct status_destination *at)
{
    return at->waiting > 0 || at->deferred > 0 || at->hanging > 0 || at->failures > 0 || at->held ||
           strcmp(at->lane, "slow") == 0 || strcmp(at->lane, "dead") == 0;
}

static void print_map_line(const struct wish *wish, const char *name, const char *why)
{
    printf("# %s\n%s\t%s\n", why, name,
           wish->discard ? "discard:" : "retry:4.4.1 destination is not reachable");
}

static void describe(const struct status_destination *at, int64_t now, char *text, size_t size)
{
    char since[CTL_WORD_SIZE];
    char last[CTL_WORD_SIZE];

    snprintf(text, size,
             "%s since %s, %" PRIu64 " in delivery, %" PRIu64 " waiting, %" PRIu64
             " deferred by us, last delivery %s",
             at->lane, ctl_clock(at->since, now, since), at->in_flight, at->waiting, at->deferred,
             at->last_success == 0 ? "never seen" : ctl_date(at->last_success, last));
}

/* 0, or CTL_FAILED when a named one cannot be a key. */
static int print_map(const struct wish *wish, const struct status *status)
{
    int64_t now = clock_wall();
    char text[512];
    unsigned lines = 0;

    for (size_t i = 0; i < wish->domains; i++) {
        const struct status_destination *at = find(status, wish->domain[i]);

        if (!is_domain(wish->domain[i])) {
            ctl_error("%s is not a domain", wish->domain[i]);
            return CTL_FAILED;
        }
        if (at)
            describe(at, now, text, sizeof text);
        print_map_line(wish, wish->domain[i], at ? text : "not among those in trouble now");
        lines++;
    }
    for (uint64_t i = 0; wish->domains == 0 && i < status->destinations; i++) {
        const struct status_destination *at = &status->destination[i];

        if (!is_dead(at))
            continue;
        lines++;
        describe(at, now, text, sizeof text);
        if (is_domain(at->name))
            print_map_line(wish, at->name, text);
        else
            ctl_error("left out: %s (%s): a transport map has no such key, it takes domains",
                      at->name, text);
    }
    if (lines == 0)
        ctl_error("no destination of %s is dead", status->service);
    if (wish->domains == 0 && status->destinations == STATUS_DESTINATIONS_MAX)
        ctl_error("of %s not more than %d destinations are known here: others may be dead, too",
                  status->service, STATUS_DESTINATIONS_MAX);
    return 0;
}

/* Why it fails, and what to do, unless that was said before. */
static void print_reason(const struct status_destination *at, int64_t now, const char **said)
{
    char since[CTL_WORD_SIZE], span[CTL_WORD_SIZE];
    const char *advice = ctl_advice(at->reason);

    if (at->failures == 0)
        return;
    printf("    %" PRIu64 " failed since %s, the last %s ago", at->failures,
           ctl_clock(at->failing_since, now, since), ctl_span(now - at->failed, span));
    if (at->reason[0] != '\0')
        printf(": %s", at->reason);
    if (advice && advice != *said)
        printf("\n    -> %s", advice);
    putchar('\n');
    *said = advice;
}

static void print_holds(const struct ctl *ctl, const char *service)
{
    struct holds holds;

    if (ctl_hold_read(ctl, &holds) != 0)
        return;
    for (size_t i = 0; i < holds.count; i++)
        if (hold_is_of(&holds.hold[i], service))
            ctl_hold_print(stdout, &holds.hold[i], clock_wall());
}

static void print_list(const struct status *status)
{
    int64_t now = clock_wall();
    size_t columns = ctl_page_columns();
    char since[CTL_WORD_SIZE];
    char span[CTL_WORD_SIZE];
    char last[CTL_WORD_SIZE];
    const char *said = NULL;
    unsigned lines = 0;

    for (uint64_t i = 0; i < status->destinations; i++) {
        const struct status_destination *at = &status->destination[i];

        if (!shown(at))
            continue;
        if (lines++ == 0) {
            ctl_page_name(stdout, 0, "Destination", columns, COLUMNS);
            puts(" lane    since    in use waiting deferred  longest   last ok");
        }
        ctl_page_name(stdout, 0, at->name, columns, COLUMNS);
        printf(" %-7s %-8s %6" PRIu64 " %7" PRIu64 " %8" PRIu64 "  %-9s %s\n", at->lane,
               ctl_when(at->since, now, since), at->in_flight, at->waiting, at->deferred,
               at->oldest_start == 0 || at->in_flight == 0 ? "-"
                                                           : ctl_span(now - at->oldest_start, span),
               ctl_when(at->last_success, now, last));
        print_reason(at, now, &said);
    }
    if (lines == 0)
        puts("no destination is slow, waits, fails or was deferred");
    if (status->destinations == STATUS_DESTINATIONS_MAX)
        printf("There may be more; these have the longest queues and the longest deliveries.\n");
}

static int show(const struct ctl *ctl, const char *service, const struct wish *wish, bool first,
                struct status *status)
{
    int result = ctl_load_or_say(ctl, service, status);

    if (result != 0)
        return result;
    if (ctl_running(ctl, service) == CTL_RUNS_NOT)
        fprintf(stderr, "headroomctl: %s is not running; this is its last state\n", service);
    if (wish->map)
        return print_map(wish, status);
    if (!first)
        putchar('\n');
    printf("%s:\n", service);
    print_holds(ctl, service);
    print_list(status);
    return 0;
}

int ctl_destinations(struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {{"transport-map", optional_argument, NULL, 't'}, {0}};
    struct ctl_services services;
    struct wish wish = {0};
    struct status *status;
    int option, result = 0;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 't')
            return CTL_FAILED;
        wish.map = true;
        wish.discard = optarg && strcmp(optarg, "discard") == 0;
        if (optarg && !wish.discard && strcmp(optarg, "retry") != 0) {
            ctl_error("--transport-map may be =retry (mail is deferred) or =discard (mail is "
                      "thrown away)");
            return CTL_FAILED;
        }
    }
    if (argc - optind > 1) {
        wish.domain = argv + optind + 1;
        wish.domains = (size_t)(argc - optind - 1);
    }
    if (wish.domains > 0 && !wish.map) {
        ctl_error("domains are named with --transport-map only");
        return CTL_FAILED;
    }
    if (ctl_open(ctl) != 0 || ctl_services(ctl, argv[optind], &services) != 0)
        return CTL_FAILED;
    status = malloc(sizeof *status);
    if (!status)
        return CTL_FAILED;
    if (!wish.map)
        ctl_page_begin();
    for (size_t i = 0; i < services.count; i++)
        if (show(ctl, services.name[i], &wish, i == 0, status) != 0)
            result = CTL_FAILED;
    free(status);
    return result;
}
