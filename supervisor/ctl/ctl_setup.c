/*
 * headroomctl setup [--out] [--apply] [SERVICE]
 *
 * Prints the commands that put headroom into a line of master.cf, and those that take it out again,
 * for this machine; with --apply it does the first, with --out the second, after a look. What is
 * printed was tried on a copy of master.cf.
 */

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/config/config_file.h"
#include "supervisor/ctl/ctl_check_master.h"
#include "supervisor/ctl/ctl_setup_steps.h"

static void ignore(void *context, enum config_severity severity, const char *line)
{
    (void)context;
    (void)severity;
    (void)line;
}

/* 0, or CTL_FAILED after a line. */
static int read_master(struct ctl_setup *setup)
{
    char *bytes = NULL;
    size_t length = 0;
    int result = config_file_read(setup->path, &bytes, &length);

    if (result == 0) {
        setup->raw = strndup(bytes, length);
        setup->text = strndup(bytes, length);
        result = setup->raw && setup->text ? 0 : -ENOMEM;
    }
    free(bytes);
    if (result < 0) {
        ctl_error("%s: %s", setup->path, config_file_error(result));
        return CTL_FAILED;
    }
    master_file_parse(setup->text, &setup->master);
    return 0;
}

/* The program that headroom starts for the line, by its configuration. */
static void find_agent(struct ctl_setup *setup)
{
    struct config *config = malloc(sizeof *config);
    char path[PATH_MAX + 32];
    char *text = NULL;
    size_t length = 0;

    snprintf(setup->agent, sizeof setup->agent, "lmtp");
    if (!master_line_config(setup->line, path, sizeof path))
        snprintf(path, sizeof path, "%s/headroom.json", setup->ctl->postconf.config_directory);
    if (config && config_file_read(path, &text, &length) == 0 &&
        config_parse(text, length, path, setup->line->name, config, ignore, NULL) == 0)
        snprintf(setup->agent, sizeof setup->agent, "%s", config->agent);
    free(text);
    free(config);
}

static bool is_candidate(const struct master_line *line)
{
    return strcmp(line->type, "unix") == 0 && !line->public &&
           (strcmp(line->command, "lmtp") == 0 || strcmp(line->command, "headroom") == 0);
}

/* Without a name: the one line that there is. 0, or CTL_FAILED after a line. */
static int choose(struct ctl_setup *setup, const char *name)
{
    const struct master_file *master = &setup->master;
    const struct master_line *found = NULL;
    size_t count = 0;

    if (name)
        found = master_file_find(master, name, "unix", NULL);
    for (size_t i = 0; !name && i < master->count; i++)
        if (is_candidate(&master->line[i])) {
            found = &master->line[i];
            count++;
        }
    setup->line = found;
    if (!found)
        ctl_error("%s has no line `%s unix - ...%s`", setup->path, name ? name : "NAME",
                  name ? "" : " lmtp");
    else if (count > 1)
        ctl_error("%zu lines run lmtp or headroom; name one, for instance: headroomctl setup %s",
                  count, found->name);
    return found && count <= 1 ? 0 : CTL_FAILED;
}

/* Whether headroom can stand in the line. 0, or CTL_FAILED after a line. */
static int judge(const struct ctl_setup *setup)
{
    const struct master_line *line = setup->line;

    if (line->public)
        ctl_error("line %u of %s: service %s is public; qmgr(8) asks a private one: write - in the "
                  "third column, if it is a transport",
                  line->number, setup->path, line->name);
    else if (strcmp(line->command, "headroom") != 0 && strcmp(line->command, setup->agent) != 0)
        ctl_error("line %u of %s: service %s runs %s, but headroom would start %s: it is for lmtp; "
                  "another agent is named by the key agent, see headroom.json(5)",
                  line->number, setup->path, line->name, line->command, setup->agent);
    else if (!ctl_setup_takes(line))
        ctl_error("line %u of %s: the name %s is for an editor: write headroom for %s there",
                  line->number, setup->path, line->name, line->command);
    else
        return 0;
    return CTL_FAILED;
}

/* As a shell takes them: what fails ends the row. */
static void print_steps(const char *head, const struct ctl_steps *steps)
{
    printf("# %s\n", head);
    for (size_t i = 0; i < steps->count; i++)
        printf("%s%s\n", steps->command[i], i + 1 < steps->count ? " &&" : "");
}

static void print(const struct ctl_setup *setup, bool out)
{
    const struct master_line *line = setup->line;
    bool in = strcmp(line->command, "headroom") == 0;

    printf("# %s is line %u of %s and runs %s.\n", line->name, line->number, setup->path,
           line->command);
    if (!out && setup->in.count == 0)
        puts("# Headroom is in; headroomctl check looks at it.\n");
    else if (!out) {
        printf("# Options of the line go to the workers; chroot (%s) and process limit (",
               line->chroot ? "y" : "n");
        printf(line->limit < 0 ? "-)" : "%d)", line->limit);
        puts(" stay.\n");
        print_steps(in ? "What is left to do:" : "To put headroom in:", &setup->in);
        putchar('\n');
    }
    print_steps("To take it out again, at any time, with mail in flight or not:", &setup->out);
}

/* Asks, on standard input. False at its end, too. */
static bool agreed(void)
{
    char answer[16];

    fputs("Do this? [y/N] ", stdout);
    (void)fflush(stdout);
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

/* Runs a command as it was printed. The exit status of the shell; -1: there was none. */
static int run_step(const char *command)
{
    pid_t child;
    int status;

    printf("+ %s\n", command);
    (void)fflush(stdout);
    child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static int apply(const struct ctl_setup *setup, bool out)
{
    const struct ctl_steps *steps = out ? &setup->out : &setup->in;

    if (steps->count == 0)
        return 0;
    if (geteuid() != 0) {
        ctl_error("--apply is root's");
        return CTL_FAILED;
    }
    putchar('\n');
    if (!agreed()) {
        puts("nothing was changed");
        return CTL_FAILED;
    }
    for (size_t i = 0; i < steps->count; i++) {
        if (run_step(steps->command[i]) == 0)
            continue;
        ctl_error("stopped there; mend it and go on by hand, or go back: cp -p %s.bak %s",
                  setup->path, setup->path);
        return CTL_FAILED;
    }
    puts(out                               ? "headroom is out"
         : ctl_master_pid(setup->ctl) != 0 ? "headroom is in; headroomctl status shows it work"
                                           : "headroom is in; postfix start starts it");
    return 0;
}

static int serve(struct ctl_setup *setup, const char *name, bool out, bool does)
{
    int result;

    snprintf(setup->path, sizeof setup->path, "%s/master.cf",
             setup->ctl->postconf.config_directory);
    if (setup->ctl->config_directory)
        snprintf(setup->option, sizeof setup->option, " -c %s", setup->ctl->config_directory);
    if (read_master(setup) != 0)
        return CTL_FAILED;
    result = choose(setup, name);
    if (result == 0) {
        find_agent(setup);
        result = judge(setup);
    }
    if (result == 0 && out && strcmp(setup->line->command, "headroom") != 0) {
        printf("# %s is line %u of %s and runs %s: headroom is not in.\n", setup->line->name,
               setup->line->number, setup->path, setup->line->command);
        return 0;
    }
    if (result == 0)
        result = ctl_setup_steps(setup);
    if (result == 0)
        print(setup, out);
    return result == 0 && does ? apply(setup, out) : result;
}

int ctl_setup(struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {
        {"out", no_argument, NULL, 'o'}, {"apply", no_argument, NULL, 'a'}, {0}};
    struct ctl_setup *setup;
    bool out = false, does = false;
    int option, result;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 'o' && option != 'a')
            return CTL_FAILED;
        out |= option == 'o';
        does |= option == 'a';
    }
    if (argc - optind > 1) {
        ctl_error("setup takes one service, or none where only one can be meant");
        return CTL_FAILED;
    }
    setup = ctl_open(ctl) == 0 ? calloc(1, sizeof *setup) : NULL;
    if (!setup)
        return CTL_FAILED;
    setup->ctl = ctl;
    result = serve(setup, argv[optind], out, does);
    free(setup->raw);
    free(setup->text);
    free(setup);
    return result;
}
