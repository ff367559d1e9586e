/*
 * headroomctl policy [SERVICE...]
 *
 * A policy service for check_policy_service (SMTPD_POLICY_README of Postfix): requests are lines
 * name=value up to an empty line, on standard input; each is answered on standard output. spawn(8)
 * starts one for each connection of an smtpd(8).
 */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/report/status_word.h"

/* Below config_directory: while it is there, an operator wants mail to wait with its senders. */
#define CLOSED_FILE "headroom.closed"

#define LATER "action=DEFER_IF_PERMIT 4.3.2 %s; try again later\n\n"
#define SHORT "This system is short of memory"
#define CLOSED "This system takes no mail at the moment"
#define NOTHING "action=DUNNO\n\n"

/* Longest line of a request that is looked at; of a longer one the rest is skipped. */
#define LINE_SIZE 2048

struct door {
    const struct ctl *ctl;
    struct ctl_services services;
    int file[CTL_SERVICES_MAX]; /* -1: not there yet */
    char closed[PATH_MAX + sizeof CLOSED_FILE];
};

static bool sheds(struct door *door, size_t n, int64_t now)
{
    char path[PATH_MAX + STATUS_NAME_SIZE + 32], line[STATUS_WORD_SIZE_IN_FILE];
    ssize_t length;

    if (door->file[n] < 0) {
        int used = snprintf(path, sizeof path, "%s/", door->ctl->postconf.queue_directory);

        snprintf(path + used, sizeof path - (size_t)used, STATUS_WORD_FILE, door->services.name[n]);
        door->file[n] = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    }
    if (door->file[n] < 0)
        return false;
    length = pread(door->file[n], line, sizeof line, 0);
    return length > 0 && status_word_sheds(line, (size_t)length, now);
}

/* Whatever cannot be told lets mail pass. */
static void answer(struct door *door)
{
    int64_t now = clock_wall();

    if (access(door->closed, F_OK) == 0) {
        printf(LATER, CLOSED);
        return;
    }
    for (size_t n = 0; n < door->services.count; n++)
        if (sheds(door, n, now)) {
            printf(LATER, SHORT);
            return;
        }
    fputs(NOTHING, stdout);
}

/* One line without its end. False at the end of the input. */
static bool read_line(char line[LINE_SIZE])
{
    size_t length;
    int c;

    if (!fgets(line, LINE_SIZE, stdin))
        return false;
    length = strcspn(line, "\n");
    if (line[length] == '\0')
        while ((c = getchar()) != '\n' && c != EOF)
            ;
    line[length] = '\0';
    return true;
}

static int serve(struct door *door)
{
    char line[LINE_SIZE];

    while (read_line(line)) {
        if (line[0] != '\0')
            continue;
        answer(door);
        if (fflush(stdout) != 0)
            return CTL_FAILED;
    }
    return 0;
}

/* The services that are named, or all of master.cf. 0 or CTL_FAILED. */
static int choose(struct door *door, int argc, char **argv)
{
    struct ctl_services one;

    if (argc <= optind)
        return ctl_services_configured(door->ctl, &door->services);
    if (argc - optind > CTL_SERVICES_MAX) {
        ctl_error("policy takes %d services at most", CTL_SERVICES_MAX);
        return CTL_FAILED;
    }
    for (int i = optind; i < argc; i++) {
        if (ctl_services(door->ctl, argv[i], &one) != 0)
            return CTL_FAILED;
        memcpy(door->services.name[door->services.count++], one.name[0], sizeof one.name[0]);
    }
    return 0;
}

int ctl_policy(struct ctl *ctl, int argc, char **argv)
{
    struct door *door = calloc(1, sizeof *door);
    int result = CTL_FAILED;

    if (!door)
        return CTL_FAILED;
    door->ctl = ctl;
    for (size_t n = 0; n < CTL_SERVICES_MAX; n++)
        door->file[n] = -1;
    if (getopt(argc, argv, "") == -1 && ctl_open(ctl) == 0 && choose(door, argc, argv) == 0) {
        snprintf(door->closed, sizeof door->closed, "%s/" CLOSED_FILE,
                 ctl->postconf.config_directory);
        result = serve(door);
    }
    free(door);
    return result;
}
