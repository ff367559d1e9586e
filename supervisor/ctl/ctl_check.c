/*
 * headroomctl check [--quiet] [FILE]: what is wrong with the configuration and the set-up, and what would be
 * in force.
 *
 * Exit status: 0 when mail can go through headroom as configured (warnings allowed), 1 when
 * something is wrong.
 */

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/config/config_bound.h"
#include "supervisor/config/config_file.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_check_lines.h"
#include "supervisor/ctl/ctl_check_master.h"
#include "supervisor/ctl/ctl_check_running.h"
#include "supervisor/ctl/ctl_check_setup.h"
#include "supervisor/ctl/ctl_page.h"

/* An error outside of a service's own part is found once for each service. */
#define LINES_MAX (CONFIG_REPORTS_MAX + 1)

struct service {
    const struct master_line *line;
    struct ctl_last last;
    struct config config;
};

struct check {
    struct ctl *ctl;
    struct ctl_findings findings;
    struct master_file master;
    size_t lines;
    char line[LINES_MAX][CONFIG_LINE_SIZE];
    char *text;
    struct service service[CTL_SERVICES_MAX];
};

static void on_report(void *context, enum config_severity severity, const char *line)
{
    struct check *check = context;

    for (size_t i = 0; i < check->lines; i++)
        if (strcmp(check->line[i], line) == 0)
            return;
    if (check->lines < LINES_MAX)
        snprintf(check->line[check->lines++], CONFIG_LINE_SIZE, "%s", line);
    ctl_found(&check->findings, severity == CONFIG_ERROR ? CTL_WRONG : CTL_WARNING, NULL, "%s",
              line);
}

static void ignore(void *context, enum config_severity severity, const char *line)
{
    (void)context;
    (void)severity;
    (void)line;
}

/* What the supervisor takes in the place of an unusable file. Returns its name for people. */
static const char *fall_back(const struct check *check, const char *service, struct config *config)
{
    char path[PATH_MAX + STATUS_NAME_SIZE + 32];
    char *text = NULL;
    size_t length = 0;
    int result;

    /* setup_copy_directory() makes it. */
    snprintf(path, sizeof path, "%s/pid/headroom-copy.%s/" CONFIG_LAST_GOOD,
             check->ctl->postconf.queue_directory, service);
    result = config_file_read(path, &text, &length);
    if (result == 0)
        result = config_parse(text, length, path, service, config, ignore, NULL);
    free(text);
    return result == 0 ? "the last good copy" : "the defaults";
}

/* Whatever is found: *config is what would be in force. */
static int read_config(struct check *check, const char *file, const char *service, bool named,
                       struct config *config)
{
    char *text = NULL;
    char doubt[CONFIG_LINE_SIZE];
    size_t length = 0;
    int result = config_file_read(file, &text, &length);

    if (config_file_doubt(file, doubt, sizeof doubt))
        ctl_found(&check->findings, CTL_WARNING, NULL, "%s", doubt);
    config_defaults(config);
    if (result == -ENOENT && !named) {
        ctl_found(&check->findings, CTL_GOOD, NULL, "%s is not there: the defaults hold", file);
        return 0;
    }
    if (result == 0)
        result = config_parse(text, length, file, service, config, on_report, check);
    else
        ctl_found(&check->findings, CTL_WRONG,
                  "correct the name or the rights, or put a right file there", "%s: %s", file,
                  config_file_error(result));
    if (result < 0)
        printf("%-8s until that is mended, service %s uses %s, as below\n", "", service,
               fall_back(check, service, config));
    else
        ctl_found(&check->findings, CTL_GOOD, NULL, "%s can be used for service %s", file, service);
    free(text);
    return result;
}

/* Why a key has its value; "" where the file says nothing but that. */
static const char *origin(const struct config_key *key, const struct config *config)
{
    if (key->offset == offsetof(struct config, workers_max))
        return config_bound_text((enum config_bound)config->workers_bound);
    return config_given(config, key) ? "" : "default";
}

static void print_config(const char *service, const struct config *config)
{
    char value[CONFIG_VALUE_SIZE];
    size_t count;
    const struct config_key *key = config_keys(&count);

    printf("\nservice %s would have:\n", service);
    for (size_t i = 0; i < count; i++) {
        const char *from = origin(&key[i], config);
        bool told = from[0] != '\0';

        config_print_value(&key[i], config, value, sizeof value);
        printf("  %-24s %-18s %s%s%s\n", key[i].path, value, told ? "(" : "", from,
               told ? ")" : "");
    }
}

/* What workers.max is where the file does not set it, as the supervisor finds it. */
static void find_bound(struct check *check, const struct master_line *line, struct config *config)
{
    char note[CONFIG_LINE_SIZE];

    config_bound_find(config, check->ctl->postconf.config_directory, line->name, line->limit, note,
                      sizeof note);
    if (note[0] != '\0')
        ctl_found(&check->findings, CTL_WARNING, NULL, "%s", note);
}

static void check_service(struct check *check, const struct master_line *line, const char *given,
                          const struct ctl_last *last, struct config *config)
{
    char file[PATH_MAX + 32];
    bool named = true;

    if (given)
        snprintf(file, sizeof file, "%s", given);
    else if (!master_line_config(line, file, sizeof file)) {
        named = false;
        snprintf(file, sizeof file, "%s/headroom.json", check->ctl->postconf.config_directory);
    }
    read_config(check, file, line->name, named, config);
    find_bound(check, line, config);
    ctl_check_line(&check->master, line, &check->findings);
    ctl_check_filter(&check->master, line, check->ctl->postconf.content_filter,
                     config->destination_key == CONFIG_DESTINATION_NEXTHOP, &check->findings);
    ctl_check_service(check->ctl, line, config, &check->findings);
    ctl_check_running(check->ctl, line->name, file, last, &check->findings);
    if (config->dry_run)
        ctl_found(&check->findings, CTL_GOOD, NULL,
                  "service %s is a dry run: at most %u workers, as stock has, and nothing is held "
                  "back; headroomctl history --would says what headroom would have done",
                  line->name, config->workers_stock);
}

static void print_verdict(const struct ctl_findings *findings)
{
    printf("\n%u wrong, %u warning%s\n", findings->wrong, findings->warnings,
           findings->warnings == 1 ? "" : "s");
    ctl_findings_repeat(findings);
}

static int run(struct check *check, const char *given)
{
    struct service *service = check->service;
    size_t count = 0;
    pid_t master;

    if (ctl_read_master(check->ctl, &check->text, &check->master) != 0)
        return CTL_FAILED;
    for (size_t i = 0; i < check->master.count && count < CTL_SERVICES_MAX; i++)
        if (strcmp(check->master.line[i].command, "headroom") == 0)
            service[count++].line = &check->master.line[i];
    /* The journal is read from here: where master(8) is, it may be hidden. */
    for (size_t i = 0; i < count; i++)
        ctl_last_start(check->ctl, service[i].line->name, &service[i].last);
    master = ctl_master_pid(check->ctl);
    if (master > 0)
        ctl_check_master(master, &check->master, &check->findings);
    for (size_t i = 0; i < count; i++)
        check_service(check, service[i].line, given, &service[i].last, &service[i].config);
    if (count == 0) {
        ctl_found(
            &check->findings, CTL_WRONG, "headroomctl setup shows the commands for this machine",
            "no service in master.cf of %s runs headroom", check->ctl->postconf.config_directory);
        /* The file may be checked before it is used. */
        if (given && read_config(check, given, "lmtp", true, &service[0].config) == 0)
            print_config("lmtp", &service[0].config);
    }
    ctl_check_lines(&check->master, &check->findings);
    ctl_check_machine(check->ctl, &check->findings);
    for (size_t i = 0; i < count && !check->findings.quiet; i++)
        print_config(service[i].line->name, &service[i].config);
    if (!check->findings.quiet)
        print_verdict(&check->findings);
    return check->findings.wrong > 0 ? 1 : 0;
}

int ctl_check(struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {{"quiet", no_argument, NULL, 'q'}, {0}};
    struct check *check;
    bool quiet = false;
    int option, result;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 'q')
            return CTL_FAILED;
        quiet = true;
    }
    if (argc - optind > 1) {
        ctl_error("check takes one file, or none for the one that is configured");
        return CTL_FAILED;
    }
    if (ctl_open(ctl) != 0)
        return CTL_FAILED;
    check = calloc(1, sizeof *check);
    if (!check)
        return CTL_FAILED;
    ctl_page_begin();
    check->ctl = ctl;
    check->findings.quiet = quiet;
    result = run(check, argv[optind]);
    free(check->text);
    free(check);
    return result;
}
