/*
 * headroom: named in master.cf in the place of lmtp. See headroom(8).
 *
 * master(8) starts this process with the descriptors, arguments and environment of any delivery
 * agent. It reads its parameters and its configuration, takes the lock of the service, and becomes
 * two: the parent (supervisor/parent/parent.h) and the dispatcher
 * (supervisor/dispatcher/dispatcher.h).
 */

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/master.h"
#include "agents/master_init.h"
#include "agents/postconf.h"
#include "agents/postconf_qmgr.h"
#include "agents/template.h"
#include "supervisor/config/config_bound.h"
#include "supervisor/config/config_file.h"
#include "supervisor/dispatcher/dispatcher.h"
#include "supervisor/journal/journal.h"
#include "supervisor/parent/channel.h"
#include "supervisor/parent/cut.h"
#include "supervisor/parent/parent.h"
#include "supervisor/parent/setup.h"
#include "supervisor/report/status_word.h"

/* A predecessor ends at once on a reload, and its dispatcher with it. */
#define LOCK_WAIT_MS 5000

struct program {
    struct master_arguments arguments;
    struct postconf postconf;
    struct config config;
    enum config_source config_source;
    unsigned generation;
    char postlog[PATH_MAX + POSTCONF_NAME_SIZE + 16];
    struct journal_options journal_options;
    struct journal *journal;
    const struct passwd *owner;
    int lock;
    int state_directory;
    int word;
    int queue_directory;
    struct pool_group *group;
    struct memory_source memory;
    struct pressure_trigger trigger[DISPATCHER_TRIGGERS];
    char worker_path[PATH_MAX + CONFIG_NAME_SIZE];
    char template_object[PATH_MAX];
    char *worker_arguments[MASTER_WORKER_ARGUMENTS_MAX];
};

/*
 * Nothing can run: one line, a pause (master would start us again at once, postfix-protocol.md 1.5)
 * and a failure, for which master throttles the service. Mail waits.
 */
__attribute__((format(printf, 2, 3))) static int refuse(struct program *program, const char *format,
                                                        ...)
{
    char line[JOURNAL_TEXT_MAX];
    va_list list;

    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    if (!program->journal)
        journal_open(&program->journal, &program->journal_options);
    journal_log(program->journal, EVENT_SETUP, LOG_CRIT, NULL, 0, "cannot run: %s", line);
    fprintf(stderr, "headroom: %s\n", line);
    journal_close(program->journal, 1000);
    /* main() closes it, too. */
    program->journal = NULL;
    /* Who holds the lock runs; this one does not. */
    if (program->lock > 0)
        close(program->lock);
    program->lock = 0;
    sleep(1);
    return EXIT_FAILURE;
}

static void report_configuration(void *context, enum config_severity severity, const char *line)
{
    struct program *program = context;

    (void)severity;
    journal_log(program->journal, EVENT_CONFIGURATION, LOG_WARNING, NULL, 0, "%s", line);
}

/* Who and where we are. 0, or the exit status. */
static int identify(struct program *program, int argc, char **argv)
{
    char error[512];
    int result;

    /* Until Postfix's parameters are known. master(8) exports these, the last with maillog_file. */
    program->journal_options.syslog_name =
        getenv("MAIL_LOGTAG") ? getenv("MAIL_LOGTAG") : "postfix";
    program->journal_options.postlog = getenv("POSTLOG_SERVICE");
    program->journal_options.host = getenv("POSTLOG_HOSTNAME");
    result = master_arguments_parse(argc, argv, &program->arguments, error, sizeof error);
    /* -n comes before the operator's words: a line about a mistake in them names the service. */
    program->journal_options.service = program->arguments.service;
    if (result < 0 || master_descriptors_check(program->arguments.sockets, error, sizeof error) < 0)
        return refuse(program, "%s", error);
    if (master_generation_parse(getenv("GENERATION"), &program->generation) < 0)
        return refuse(program, "GENERATION in the environment is not a number of master(8)'s");
    for (unsigned i = 0; i < program->arguments.sockets; i++)
        fcntl(MASTER_LISTEN_FD + (int)i, F_SETFD, FD_CLOEXEC);
    fcntl(MASTER_STATUS_FD, F_SETFD, FD_CLOEXEC);

    if (postconf_read(NULL, program->arguments.setting, &program->postconf, error, sizeof error) <
        0)
        return refuse(program, "postconf: %s", error);
    program->journal_options.syslog_name = program->postconf.syslog_name;
    program->journal_options.syslog_facility = program->postconf.syslog_facility;
    program->journal_options.host = program->postconf.myhostname;
    program->journal_options.postlog = NULL;
    if (program->postconf.maillog_file[0] != '\0') {
        snprintf(program->postlog, sizeof program->postlog, "%s/public/%s",
                 program->postconf.queue_directory, program->postconf.postlog_service_name);
        program->journal_options.postlog = program->postlog;
    }
    journal_open(&program->journal, &program->journal_options);
    if (postconf_read_qmgr(&program->postconf, program->arguments.setting, error, sizeof error) < 0)
        journal_log(program->journal, EVENT_CONFIGURATION, LOG_WARNING, NULL, 0,
                    "parameters of qmgr(8) cannot be read: %s; its times are taken to be those of "
                    "this service's line",
                    error);
    return 0;
}

/* Takes the service: its lock, its directories, its configuration. 0, or the exit status + 1. */
static int take(struct program *program)
{
    const struct postconf *postconf = &program->postconf;
    const char *service = program->arguments.service;
    char path[PATH_MAX + 32];
    char note[CONFIG_LINE_SIZE];
    int copies, result;

    program->owner = getpwnam(postconf->mail_owner);
    if (!program->owner)
        return 1 + refuse(program, "mail_owner %s is not a user", postconf->mail_owner);
    program->queue_directory = open(postconf->queue_directory, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (program->queue_directory < 0 || fchdir(program->queue_directory) < 0)
        return 1 + refuse(program, "queue_directory %s: %s", postconf->queue_directory,
                          strerror(errno));
    result = program->lock = setup_lock(service, MASTER_STATUS_FD, LOCK_WAIT_MS);
    if (result == -EPIPE)
        return 1 + EXIT_SUCCESS;
    if (result == -EWOULDBLOCK) {
        /* master counts the other as available, so it does not start us again for each mail. */
        journal_log(program->journal, EVENT_SECOND_PROCESS, LOG_NOTICE, NULL, 0,
                    "another process runs service %s: this one is not needed and ends", service);
        return 1 + EXIT_SUCCESS;
    }
    if (result < 0)
        return 1 + refuse(program, "lock %s/pid/headroom.%s: %s", postconf->queue_directory,
                          service, strerror(-result));
    result = setup_state_directory(postconf->data_directory, service, program->owner);
    program->state_directory = result < 0 ? -1 : result;
    if (result < 0)
        journal_log(program->journal, EVENT_STATE_FILE, LOG_WARNING, NULL, 0,
                    "%s/headroom.%s cannot be a directory of %s: %s; mail flows without what is "
                    "kept there: status for headroomctl, what was learned of destinations%s",
                    postconf->data_directory, service, postconf->mail_owner, strerror(-result),
                    setup_cure(result));
    snprintf(path, sizeof path, STATUS_WORD_FILE, service);
    result = setup_word(path, STATUS_WORD_SIZE_IN_FILE);
    program->word = result < 0 ? -1 : result;
    if (result < 0)
        journal_log(program->journal, EVENT_STATE_FILE, LOG_WARNING, NULL, 0,
                    "%s/%s cannot be written: %s; `headroomctl policy` lets all mail pass",
                    postconf->queue_directory, path, strerror(-result));
    copies = setup_copy_directory(service);
    if (copies < 0)
        journal_log(program->journal, EVENT_CONFIGURATION, LOG_WARNING, NULL, 0,
                    "no copy of a good configuration can be kept in %s/pid: %s",
                    postconf->queue_directory, strerror(-copies));
    if (program->arguments.config_file)
        snprintf(path, sizeof path, "%s", program->arguments.config_file);
    else
        snprintf(path, sizeof path, "%s/headroom.json", postconf->config_directory);
    program->config_source =
        config_file_load(path, program->arguments.config_file != NULL, copies, service,
                         &program->config, report_configuration, program);
    if (copies >= 0)
        close(copies);
    if (config_file_doubt(path, note, sizeof note))
        report_configuration(program, CONFIG_WARNING, note);
    config_bound_find(&program->config, postconf->config_directory, service,
                      program->arguments.limit, note, sizeof note);
    if (note[0] != '\0')
        report_configuration(program, CONFIG_WARNING, note);
    return 0;
}

/*
 * The memory group, and all that shows what memory does: opened as root, for the dispatcher to
 * read. 0, or the exit status + 1.
 */
static int memory_take(struct program *program)
{
    static const enum group_wish wish[] = {
        [CONFIG_CGROUP_AUTO] = GROUP_WISH_AUTO,
        [CONFIG_CGROUP_UNIT] = GROUP_WISH_UNIT,
        [CONFIG_CGROUP_HYBRID] = GROUP_WISH_HYBRID,
        [CONFIG_CGROUP_OBSERVE] = GROUP_WISH_OBSERVE,
    };
    const struct config *config = &program->config;
    const struct group_config wanted = {
        .service = program->arguments.service,
        .instance = program->postconf.queue_directory,
        .wish = wish[config->cgroup_mode],
        .parent = config->cgroup_parent[0] != '\0' ? config->cgroup_parent : NULL,
        .limit = config->dry_run ? CONFIG_SIZE_NONE : config->memory_limit,
        .high = config->dry_run ? CONFIG_SIZE_NONE : config->memory_high,
    };
    /* Half of the stall at which the pool is to shrink, within the shortest window there is. */
    unsigned stall = (unsigned)(config->pressure_target / 100 * PRESSURE_WINDOW_MIN / 2) + 1;
    int result = group_open(&program->group, &wanted);

    if (result == 0)
        result = memory_source_open(&program->memory, program->group);
    if (result < 0)
        return 1 + refuse(program, "memory group: %s", strerror(-result));
    /* Without triggers the dispatcher looks once a second. */
    pressure_arm(&program->trigger[0], group_pressure_directory(program->group), "memory.pressure",
                 PRESSURE_SOME, stall, PRESSURE_WINDOW_MIN);
    pressure_arm(&program->trigger[1], AT_FDCWD, "/proc/pressure/memory", PRESSURE_SOME, stall,
                 PRESSURE_WINDOW_MIN);
    return 0;
}

/* What is preloaded into a template: beside this program where it was built, else where it was
 * installed. */
static void template_find(struct program *program)
{
    const size_t size = sizeof program->template_object;
    ssize_t length = readlink("/proc/self/exe", program->template_object, size);
    char *slash;

    if (length > 0 && (size_t)length < size) {
        program->template_object[length] = '\0';
        slash = strrchr(program->template_object, '/');
        snprintf(slash, size - (size_t)(slash - program->template_object), "/" TEMPLATE_OBJECT);
        if (access(program->template_object, R_OK) == 0)
            return;
    }
    snprintf(program->template_object, size, "%s", LIBRARY_DIRECTORY "/" TEMPLATE_OBJECT);
}

/* Becomes two processes. Returns the exit status, in each. */
static int divide(struct program *program)
{
    sigset_t signals;
    int ends[2];
    pid_t parent = getpid(), pid;
    bool alone = master_panics_on_orphans(getppid());
    /* Stock agents are executed. */
    uint32_t start = program->config.dry_run ? CONFIG_START_EXEC : program->config.workers_start;
    const char *kept;
    int status;

    if (channel_open(ends) < 0)
        return refuse(program, "socketpair: %s", strerror(errno));
    /* Blocked before there is a second process, so that none is missed. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    /* Its thread would not be there in the child. */
    journal_close(program->journal, 1000);
    program->journal = NULL;

    pid = fork();
    if (pid < 0)
        return refuse(program, "fork: %s", strerror(errno));
    if (pid == 0) {
        const struct dispatcher_settings settings = {
            .postconf = &program->postconf,
            .config = &program->config,
            .config_source = config_source_text(program->config_source),
            .service = program->arguments.service,
            .journal = program->journal_options,
            .parent = parent,
            .generation = program->generation,
            .sockets = program->arguments.sockets,
            .channel = ends[1],
            .confined = true,
            .queue_directory = program->queue_directory,
            .state_directory = program->state_directory,
            .word = program->word,
            .owner = program->owner,
            .group = program->group,
            .memory = &program->memory,
            .trigger = {program->trigger[0], program->trigger[1]},
        };

        /* It ends with the parent, or before it: the lock is not its own to give back. */
        close(ends[0]);
        close(program->lock);
        close(MASTER_FLOW_READ);
        close(MASTER_FLOW_WRITE);
        group_renounce(program->group);
        return dispatcher_run(&settings);
    }
    close(ends[1]);
    for (unsigned i = 0; i < program->arguments.sockets; i++)
        close(MASTER_LISTEN_FD + (int)i);
    /* Capabilities are of a thread, and the log has one. */
    kept = cut_text(cut_rights(program->config.agent));
    journal_open(&program->journal, &program->journal_options);
    if (kept)
        journal_log(program->journal, EVENT_START, LOG_INFO, NULL, 0,
                    "rights of root that agents have no need of are not given up: %s", kept);
    if (alone)
        journal_log(
            program->journal, EVENT_SETUP, LOG_WARNING, NULL, 0,
            "master(8) is process 1 without -i: should headroom be killed, master would panic "
            "on the workers that are left; " MASTER_INIT_CURE);
    status = parent_run(&(struct parent){
        .channel = ends[0],
        .status = MASTER_STATUS_FD,
        .lock = program->lock,
        .alone = alone,
        .dispatcher = pid,
        .owner = program->owner,
        .workers_max = config_workers(&program->config),
        .worker_path = program->worker_path,
        .worker_arguments = program->worker_arguments,
        .template_object = start == CONFIG_START_EXEC ? NULL : program->template_object,
        .template_wanted = start == CONFIG_START_FORK,
        .generation = program->generation,
        .group = program->group,
        .journal = program->journal,
    });
    journal_close(program->journal, 200);
    return status;
}

int main(int argc, char **argv)
{
    /* Static: it is large, and its parts point to each other. */
    static struct program program;
    int result;

    /* By hand. For master(8), which always gives more words, -V is an option of the agent. */
    if (argc == 2 && strcmp(argv[1], "-V") == 0) {
        puts("headroom " HEADROOM_VERSION);
        return EXIT_SUCCESS;
    }
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    result = identify(&program, argc, argv);
    if (result != 0)
        return result;
    result = take(&program);
    if (result != 0) {
        journal_close(program.journal, 1000);
        return result - 1;
    }
    setup_descriptors();
    result = memory_take(&program);
    if (result != 0)
        return result - 1;
    snprintf(program.worker_path, sizeof program.worker_path, "%s/%s",
             program.postconf.daemon_directory, program.config.agent);
    template_find(&program);
    result = master_worker_arguments(&program.arguments, program.config.agent,
                                     program.worker_arguments, MASTER_WORKER_ARGUMENTS_MAX);
    if (result < 0)
        return refuse(&program, "too many words on the line in master.cf");
    return divide(&program);
}
