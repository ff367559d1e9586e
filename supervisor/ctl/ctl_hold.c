/*
 * headroomctl hold [DESTINATION [for TIME] [SERVICE]]
 * headroomctl release DESTINATION [SERVICE]
 *
 * Both write HOLDS_FILE (report/holds.h), which the dispatchers read each second.
 */

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_hold.h"
#include "supervisor/ctl/ctl_words.h"

#define SECOND INT64_C(1000000)

void ctl_hold_print(FILE *out, const struct hold *hold, int64_t now)
{
    char since[CTL_WORD_SIZE], until[CTL_WORD_SIZE];

    fprintf(out, "%s is held by %s since %s", hold->destination, hold->who,
            ctl_clock(hold->since * SECOND, now, since));
    if (hold->until != 0)
        fprintf(out, " until %s", ctl_clock(hold->until * SECOND, now, until));
    if (strcmp(hold->service, "-") != 0)
        fprintf(out, ", for %s", hold->service);
    fputc('\n', out);
}

int ctl_hold_read(const struct ctl *ctl, struct holds *holds)
{
    int result = holds_read(ctl->postconf.config_directory, 0, clock_wall() / SECOND, holds);

    if (result == 0)
        return 0;
    ctl_error("%s/" HOLDS_FILE ": %s; nothing is held until that is mended",
              ctl->postconf.config_directory, result == -EPERM ? holds->cure : strerror(-result));
    return CTL_FAILED;
}

/* Nobody else changes the file until the descriptor is closed; or CTL_FAILED after a line. */
static int begin(const struct ctl *ctl, int *lock, struct holds *holds)
{
    if (geteuid() != 0) {
        ctl_error("hold and release are root's");
        return CTL_FAILED;
    }
    *lock = open(ctl->postconf.config_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*lock < 0 || flock(*lock, LOCK_EX) < 0) {
        ctl_error("%s: %s", ctl->postconf.config_directory, strerror(errno));
        return CTL_FAILED;
    }
    return ctl_hold_read(ctl, holds);
}

static int end(const struct ctl *ctl, const struct holds *holds)
{
    int result = holds_write(ctl->postconf.config_directory, holds);

    if (result == 0)
        return 0;
    ctl_error("%s/" HOLDS_FILE ": %s; nothing has changed", ctl->postconf.config_directory,
              strerror(-result));
    return CTL_FAILED;
}

static void take_who(char *who, size_t size)
{
    const char *name = getenv("SUDO_USER");
    const struct passwd *user = name ? NULL : getpwuid(getuid());

    if (!name)
        name = user ? user->pw_name : "root";
    snprintf(who, size, "%s", hold_takes(name) ? name : "root");
}

/* The words behind the verb. 0, or CTL_FAILED after a line. */
static int take_words(int argc, char **argv, bool time, int64_t now, struct hold *hold)
{
    int at = optind + 1;
    int64_t moment;

    *hold = (struct hold){.since = now / SECOND, .service = "-"};
    snprintf(hold->destination, sizeof hold->destination, "%s", argv[optind]);
    for (char *c = hold->destination; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    if (!hold_takes(argv[optind])) {
        ctl_error("%s cannot be held: wanted is a destination as headroomctl destinations has it, "
                  "a domain as a rule",
                  argv[optind]);
        return CTL_FAILED;
    }
    if (time && at < argc && strcmp(argv[at], "for") == 0) {
        if (at + 1 == argc || !ctl_moment(argv[at + 1], now, &moment) || moment >= now) {
            ctl_error("behind for, wanted is a time such as 90s, 15m, 3h or 2d");
            return CTL_FAILED;
        }
        hold->until = (now + (now - moment)) / SECOND;
        at += 2;
    }
    if (at < argc)
        snprintf(hold->service, sizeof hold->service, "%s", argv[at++]);
    if (at < argc || !hold_takes(hold->service)) {
        ctl_error("words too many: %s", argv[argc - 1]);
        return CTL_FAILED;
    }
    return 0;
}

/* The services that the hold is for must be there, else a slip of the pen holds nothing. */
static int known(const struct ctl *ctl, const struct hold *hold)
{
    struct ctl_services services = {0};

    if (strcmp(hold->service, "-") == 0)
        return 0;
    if (ctl_services(ctl, NULL, &services) != 0)
        return CTL_FAILED;
    for (size_t i = 0; i < services.count; i++)
        if (strcmp(services.name[i], hold->service) == 0)
            return 0;
    ctl_error("no service %s runs headroom", hold->service);
    return CTL_FAILED;
}

/* Takes those out that are of the same destination, and of the same service or, with "-", of any. */
static size_t take_out(struct holds *holds, const struct hold *hold)
{
    size_t kept = 0, before = holds->count;

    for (size_t i = 0; i < holds->count; i++)
        if (strcmp(holds->hold[i].destination, hold->destination) != 0 ||
            (strcmp(hold->service, "-") != 0 && strcmp(holds->hold[i].service, hold->service) != 0))
            holds->hold[kept++] = holds->hold[i];
    holds->count = kept;
    return before - kept;
}

/* A slip of the pen holds nothing; but mail to a new name may be what is to be held. */
static void doubt(const struct ctl *ctl, const struct hold *hold)
{
    struct ctl_services services = {0};
    struct status *status = malloc(sizeof *status);
    bool known = !status || ctl_services(ctl, NULL, &services) != 0;

    for (size_t i = 0; i < services.count && !known; i++)
        if (hold_is_of(hold, services.name[i]) && ctl_load(ctl, services.name[i], status) == 0)
            for (uint64_t n = 0; n < status->destinations && !known; n++)
                known = strcasecmp(status->destination[n].name, hold->destination) == 0;
    free(status);
    if (!known)
        ctl_error("%s is not among what headroomctl destinations shows now: its mail will wait "
                  "when it comes, if the name is right",
                  hold->destination);
}

static void dry(const struct ctl *ctl, const struct hold *hold)
{
    struct ctl_services services = {0};
    struct status *status = malloc(sizeof *status);

    if (status && ctl_services(ctl, NULL, &services) == 0)
        for (size_t i = 0; i < services.count; i++)
            if (hold_is_of(hold, services.name[i]) &&
                ctl_load(ctl, services.name[i], status) == 0 && status->settings.dry_run > 0)
                ctl_error("service %s is a dry run: mail goes on all the same", services.name[i]);
    free(status);
}

static int list(const struct ctl *ctl)
{
    struct holds holds;

    if (ctl_hold_read(ctl, &holds) != 0)
        return CTL_FAILED;
    for (size_t i = 0; i < holds.count; i++)
        ctl_hold_print(stdout, &holds.hold[i], clock_wall());
    if (holds.count == 0)
        puts("no destination is held");
    return 0;
}

int ctl_hold(struct ctl *ctl, int argc, char **argv)
{
    int64_t now = clock_wall();
    struct holds holds;
    struct hold hold;
    int lock = -1, result = CTL_FAILED;

    if (getopt(argc, argv, "+") != -1 || ctl_open(ctl) != 0)
        return CTL_FAILED;
    if (optind == argc)
        return list(ctl);
    if (take_words(argc, argv, true, now, &hold) != 0 || known(ctl, &hold) != 0)
        return CTL_FAILED;
    take_who(hold.who, sizeof hold.who);
    if (begin(ctl, &lock, &holds) == 0) {
        take_out(&holds, &hold);
        if (holds.count == HOLDS_MAX) {
            ctl_error("not more than %d destinations can be held", HOLDS_MAX);
        } else {
            holds.hold[holds.count++] = hold;
            result = end(ctl, &holds);
        }
    }
    if (result == 0) {
        ctl_hold_print(stdout, &hold, now);
        doubt(ctl, &hold);
        dry(ctl, &hold);
    }
    if (lock >= 0)
        close(lock);
    return result;
}

int ctl_release(struct ctl *ctl, int argc, char **argv)
{
    struct holds holds;
    struct hold hold;
    int lock = -1, result = CTL_FAILED;

    if (getopt(argc, argv, "+") != -1)
        return CTL_FAILED;
    if (optind == argc) {
        ctl_error("release what? headroomctl hold shows what is held");
        return CTL_FAILED;
    }
    if (ctl_open(ctl) != 0 || take_words(argc, argv, false, clock_wall(), &hold) != 0)
        return CTL_FAILED;
    if (begin(ctl, &lock, &holds) == 0) {
        if (take_out(&holds, &hold) == 0)
            ctl_error("%s is not held", hold.destination);
        else
            result = end(ctl, &holds);
    }
    if (result == 0)
        printf("%s is released\n", hold.destination);
    if (lock >= 0)
        close(lock);
    return result;
}
