/*
 * headroomctl: shows what headroom does. See headroomctl(8).
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_page.h"

static const struct {
    const char *name;
    int (*run)(struct ctl *ctl, int argc, char **argv);
    const char *words;
    const char *meaning;
} verbs[] = {
    {"status", ctl_status, "[--json | --limits] [SERVICE]",
     "what it does now, on one screen; all limits, and which is reached"},
    {"watch", ctl_watch, "[-n COUNT] [SERVICE]", "the same, live, with a history drawn"},
    {"destinations", ctl_destinations, "[SERVICE]",
     "who is slow, waits, fails or was deferred, why, and what to do"},
    {"busy", ctl_busy, "[--longer=TIME] [SERVICE]", "deliveries that run for long"},
    {"hold", ctl_hold, "[DESTINATION [for TIME] [SERVICE]]", "its mail waits from now on"},
    {"release", ctl_release, "DESTINATION [SERVICE]", "and goes on"},
    {"retries", ctl_retries, "[--json] [SERVICE]", "how much deferred mail comes back when"},
    {"history", ctl_history, "[--since=TIME] [--would] [SERVICE]",
     "changes of state, from the journal"},
    {"plot", ctl_plot, "[--since=TIME] [-o FILE] [SERVICE]", "the same as a drawing (SVG)"},
    {"policy", ctl_policy, "[SERVICE...]", "answers smtpd(8): later, while mail is shed"},
    {"check", ctl_check, "[--quiet] [FILE]", "the configuration and the set-up, with cures"},
    {"setup", ctl_setup, "[--out] [--apply] [SERVICE]",
     "the commands that put it into master.cf, and take it out"},
};

#define VERBS (sizeof verbs / sizeof verbs[0])

static void usage(FILE *out)
{
    fputs("usage: headroomctl [-c CONFIG_DIRECTORY] VERB ...\n", out);
    for (size_t i = 0; i < VERBS; i++)
        fprintf(out, "  %-12s %s\n               %s\n", verbs[i].name, verbs[i].words,
                verbs[i].meaning);
    fputs("exit status of status: 0 OPEN, 1 HOLD or SHRINK, 2 SHED, 3 not running or not\n"
          "  answering, 4 cannot tell\n",
          out);
}

int main(int argc, char **argv)
{
    struct ctl ctl = {0};
    int option;

    /* "+": the options behind the verb are the verb's. */
    while ((option = getopt(argc, argv, "+c:hV")) != -1) {
        switch (option) {
        case 'c':
            ctl.config_directory = optarg;
            break;
        case 'h':
            usage(stdout);
            return EXIT_SUCCESS;
        case 'V':
            puts("headroomctl " HEADROOM_VERSION);
            return EXIT_SUCCESS;
        default:
            usage(stderr);
            return CTL_FAILED;
        }
    }
    if (optind < argc && strcmp(argv[optind], "help") == 0) {
        usage(stdout);
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; optind < argc && i < VERBS; i++)
        if (strcmp(argv[optind], verbs[i].name) == 0) {
            int words = argc - optind;
            char **from = argv + optind;
            int result;

            /* getopt(3) begins its lines with it. */
            from[0] = argv[0];
            optind = 0;
            result = verbs[i].run(&ctl, words, from);
            ctl_page_end();
            if (fflush(stdout) != 0 || ferror(stdout)) {
                ctl_error("what was written did not arrive");
                return CTL_FAILED;
            }
            return result;
        }
    if (optind < argc)
        ctl_error("%s is not a verb", argv[optind]);
    usage(stderr);
    return CTL_FAILED;
}
