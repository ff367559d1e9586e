#include "supervisor/ctl/ctl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "supervisor/base/file.h"
#include "supervisor/ctl/ctl_page.h"

#define PREFIX "headroom."

void ctl_error(const char *format, ...)
{
    char line[2 * PATH_MAX + 512] = "headroomctl: ";
    size_t used = strlen(line);
    va_list list;

    va_start(list, format);
    vsnprintf(line + used, sizeof line - used, format, list);
    va_end(list);
    ctl_page_error(line);
}

int ctl_open(struct ctl *ctl)
{
    char error[512];

    if (postconf_read(ctl->config_directory, NULL, &ctl->postconf, error, sizeof error) == 0)
        return 0;
    ctl_error("postconf: %s (is Postfix installed, and set up, as by dpkg-reconfigure postfix? -c "
              "DIR names another configuration)",
              error);
    return CTL_FAILED;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

int ctl_read_master(const struct ctl *ctl, char **text, struct master_file *master)
{
    int result = master_file_read(ctl->postconf.config_directory, text, master);

    if (result == 0)
        return 0;
    ctl_error("%s/master.cf: %s", ctl->postconf.config_directory, strerror(-result));
    return CTL_FAILED;
}

static void add_service(struct ctl_services *services, const char *name)
{
    if (services->count == CTL_SERVICES_MAX || strlen(name) >= STATUS_NAME_SIZE)
        return;
    for (size_t i = 0; i < services->count; i++)
        if (strcmp(services->name[i], name) == 0)
            return;
    status_text(services->name[services->count++], STATUS_NAME_SIZE, name);
}

int ctl_services_configured(const struct ctl *ctl, struct ctl_services *services)
{
    struct master_file *master = malloc(sizeof *master);
    char *text = NULL;
    int result = master ? ctl_read_master(ctl, &text, master) : CTL_FAILED;

    for (size_t i = 0; result == 0 && i < master->count; i++)
        if (strcmp(master->line[i].command, "headroom") == 0 &&
            strcmp(master->line[i].type, "unix") == 0)
            add_service(services, master->line[i].name);
    free(master);
    free(text);
    return result;
}

/* Services that were taken out of master.cf and still finish mail, found by their directories. */
static int add_running(const struct ctl *ctl, struct ctl_services *services)
{
    const char *directory = ctl->postconf.data_directory;
    const struct dirent *entry;
    DIR *found = opendir(directory);

    /* Who may not read there may still see what is public. */
    if (!found && errno == EACCES && services->count > 0)
        return 0;
    if (!found) {
        ctl_error("%s: %s; run this as root or %s", directory, strerror(errno),
                  ctl->postconf.mail_owner);
        return CTL_FAILED;
    }
    while ((entry = readdir(found)))
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0 &&
            ctl_running(ctl, entry->d_name + strlen(PREFIX)) == CTL_RUNS)
            add_service(services, entry->d_name + strlen(PREFIX));
    closedir(found);
    return 0;
}

int ctl_services(const struct ctl *ctl, const char *named, struct ctl_services *services)
{
    services->count = 0;
    if (named) {
        if (strlen(named) >= STATUS_NAME_SIZE || strchr(named, '/')) {
            ctl_error("%s is not the name of a service: see the first column of master.cf", named);
            return CTL_FAILED;
        }
        add_service(services, named);
        return 0;
    }
    if (ctl_services_configured(ctl, services) != 0 || add_running(ctl, services) != 0)
        return CTL_FAILED;
    qsort(services->name, services->count, sizeof services->name[0], by_name);
    if (services->count > 0)
        return 0;
    ctl_error("no service in master.cf of %s runs headroom; `headroomctl setup` shows how to begin",
              ctl->postconf.config_directory);
    return CTL_FAILED;
}

int ctl_begin(struct ctl *ctl, const char *verb, bool single, int argc, char **argv,
              struct ctl_services *services)
{
    if (argc - optind > 1) {
        ctl_error("%s takes one service%s", verb, single ? "" : ", or none for all");
        return CTL_FAILED;
    }
    if (ctl_open(ctl) != 0 || ctl_services(ctl, argv[optind], services) != 0)
        return CTL_FAILED;
    if (!single || services->count == 1)
        return 0;
    ctl_error("there are %zu services; name one: headroomctl %s %s", services->count, verb,
              services->name[0]);
    return CTL_FAILED;
}

enum ctl_running ctl_running(const struct ctl *ctl, const char *service)
{
    char path[PATH_MAX + STATUS_NAME_SIZE + 32];
    enum ctl_running running;
    int fd;

    snprintf(path, sizeof path, "%s/pid/" PREFIX "%s", ctl->postconf.queue_directory, service);
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? CTL_RUNS_NOT : CTL_UNKNOWN;
    /* Shared, for an instant: one that starts just now waits for much longer than that. */
    running = flock(fd, LOCK_SH | LOCK_NB) == 0 ? CTL_RUNS_NOT : CTL_RUNS;
    close(fd);
    return running;
}

int ctl_load(const struct ctl *ctl, const char *service, struct status *status)
{
    char path[PATH_MAX + STATUS_NAME_SIZE + 32];
    char *text = NULL;
    size_t length;
    int fd, result;

    snprintf(path, sizeof path, "%s/" PREFIX "%s/" STATUS_FILE, ctl->postconf.data_directory,
             service);
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    result = file_read(fd, STATUS_TEXT_MAX, &text, &length);
    close(fd);
    if (result == 0)
        result = status_read(text, length, status);
    free(text);
    return result == 0 && strcmp(status->service, service) != 0 ? -EINVAL : result;
}

/* Why a service has no snapshot, and what to do next. */
static void say_absent(const struct ctl *ctl, const char *service)
{
    struct master_file *master = malloc(sizeof *master);
    const struct master_line *line = NULL;
    char *text = NULL;

    if (master && ctl_read_master(ctl, &text, master) == 0)
        line = master_file_find(master, service, "unix", NULL);
    if (!line)
        ctl_error("no service %s in master.cf of %s; postconf -M shows those that there are",
                  service, ctl->postconf.config_directory);
    else if (strcmp(line->command, "headroom") != 0)
        ctl_error("service %s runs %s, not headroom; headroomctl setup %s shows how to put it in",
                  service, line->command, service);
    else
        ctl_error("service %s has written no status yet: the first mail starts it, once Postfix "
                  "runs; headroomctl check says what is in its way",
                  service);
    free(text);
    free(master);
}

int ctl_load_or_say(const struct ctl *ctl, const char *service, struct status *status)
{
    int result = ctl_load(ctl, service, status);

    if (result == 0)
        return 0;
    if (result == -ENOENT)
        say_absent(ctl, service);
    else if (result == -EACCES || result == -EPERM)
        ctl_error("%s/" PREFIX "%s/" STATUS_FILE ": %s; run this as root or %s",
                  ctl->postconf.data_directory, service, strerror(-result),
                  ctl->postconf.mail_owner);
    else if (result == -EPROTO)
        ctl_error("%s/" PREFIX "%s/" STATUS_FILE " has format %" PRIu64
                  ", and this headroomctl reads format %d: they are of different releases; "
                  "`postfix reload` starts the headroom that is installed",
                  ctl->postconf.data_directory, service, status->format, STATUS_FORMAT);
    else
        ctl_error("%s/" PREFIX "%s/" STATUS_FILE " cannot be read (%s); a running service replaces "
                  "it within 10 s",
                  ctl->postconf.data_directory, service,
                  result == -EINVAL ? "damaged, or of another service" : strerror(-result));
    return CTL_FAILED;
}

enum ctl_life ctl_life_of(const struct status *status, enum ctl_running running, char process,
                          int64_t now)
{
    bool silent = now - status->written > CTL_SILENT_AFTER;

    if (running == CTL_RUNS_NOT || process == '\0')
        return CTL_ENDED;
    /* A process of that number may be another's by now. */
    if (running == CTL_UNKNOWN && silent)
        return CTL_ENDED;
    return silent || process == 'T' || process == 't' ? CTL_SILENT : CTL_ANSWERS;
}

int ctl_exit_of(const struct status *status, enum ctl_life life)
{
    if (life == CTL_WAITS)
        return CTL_OPEN;
    if (life != CTL_ANSWERS)
        return CTL_STOPPED;
    if (strcmp(status->state.name, "OPEN") == 0 || status->settings.dry_run > 0)
        return CTL_OPEN;
    return strcmp(status->state.name, "SHED") == 0 ? CTL_SHED : CTL_SHORT;
}
