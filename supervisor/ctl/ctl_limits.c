#include "supervisor/ctl/ctl_limits.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/config/config_bound.h"
#include "supervisor/ctl/ctl_screen.h"
#include "supervisor/ctl/ctl_words.h"

#define PATH_SIZE (2 * PATH_MAX)

/* hash_queue_depth is 1 as a rule, and 16 at most. */
#define QUEUE_DEPTH 16

static const char *write_value(const struct ctl_bound *bound, double value, char *text)
{
    if (bound->kind == CTL_BOUND_BYTES || bound->kind == CTL_BOUND_LEAST)
        return ctl_size(value, text);
    snprintf(text, CTL_WORD_SIZE, "%.0f", value);
    return text;
}

static bool is_reached(const struct ctl_bound *bound)
{
    if (bound->kind == CTL_BOUND_NONE)
        return bound->now > 0;
    if (bound->most < 0 || bound->now < 0)
        return false;
    return bound->kind == CTL_BOUND_LEAST ? bound->now <= bound->most : bound->now >= bound->most;
}

/* Without the blanks that set it in. What is not known, or has no bound, is null. */
static void add_object(cJSON *array, const struct ctl_bound *bound)
{
    cJSON *row = cJSON_CreateObject();

    if (!row)
        return;
    cJSON_AddStringToObject(row, "name", bound->name + strspn(bound->name, " "));
    cJSON_AddItemToObject(row, "now",
                          bound->now < 0 ? cJSON_CreateNull() : cJSON_CreateNumber(bound->now));
    cJSON_AddItemToObject(row, "most",
                          bound->most < 0 ? cJSON_CreateNull() : cJSON_CreateNumber(bound->most));
    cJSON_AddBoolToObject(row, "reached", is_reached(bound));
    cJSON_AddStringToObject(row, "moved_by", bound->moved_by);
    cJSON_AddItemToArray(array, row);
}

void ctl_limits_row(const struct ctl_limits *to, const struct ctl_bound *bound)
{
    char now[CTL_WORD_SIZE], most[CTL_WORD_SIZE];
    const char *none = bound->kind == CTL_BOUND_NONE ? "" : "no limit";

    if (to->array)
        add_object(to->array, bound);
    else
        fprintf(to->out, "%c %-28s %9s %9s  %s\n", is_reached(bound) ? '*' : ' ', bound->name,
                bound->now < 0 ? "?" : write_value(bound, bound->now, now),
                bound->most < 0 ? none : write_value(bound, bound->most, most), bound->moved_by);
}

static void row(const struct ctl_limits *to, const char *name, double now, double most,
                const char *moved_by)
{
    ctl_limits_row(to, &(struct ctl_bound){name, now, most, moved_by, CTL_BOUND_COUNT});
}

/* A lane's share is that of the lanes below it, too. */
static void put_lanes(const struct ctl_limits *to, const struct status *status)
{
    const struct {
        const char *name;
        uint64_t used;
        uint64_t share;
    } lanes[] = {
        {"  to dead destinations", status->lanes.dead, status->shares.dead},
        {"  and unknown ones", status->lanes.unknown, status->shares.unknown},
        {"  and slow ones", status->lanes.slow, status->shares.slow},
        {"  and passed first attempts", status->lanes.passed, status->shares.passed},
        {"  and first attempts", status->lanes.first, status->shares.first},
        {"  and proven destinations", status->lanes.proven, status->shares.proven},
    };
    uint64_t sum = 0;

    for (size_t i = 0; i < sizeof lanes / sizeof lanes[0]; i++) {
        sum += lanes[i].used;
        row(to, lanes[i].name, (double)sum, (double)lanes[i].share,
            i == 0 ? "shares of the limit, by what is known of a destination" : "");
    }
}

static void put_windows(const struct ctl_limits *to, const struct status *status)
{
    unsigned full = 0;

    for (uint64_t i = 0; i < status->destinations; i++)
        full += status->destination[i].waiting > 0 &&
                status->destination[i].in_flight >= status->destination[i].window;
    ctl_limits_row(to, &(struct ctl_bound){"windows in full use", full, -1,
                                           "of those that headroomctl destinations shows",
                                           CTL_BOUND_NONE});
}

static void put_memory(const struct ctl_limits *to, const struct status *status)
{
    double limit = status->memory.limit == STATUS_UNLIMITED ? -1 : (double)status->memory.limit;

    if (status->memory.machine_known)
        ctl_limits_row(to, &(struct ctl_bound){"memory available, least",
                                               (double)status->memory.available,
                                               (double)status->memory.min_available,
                                               "memory.min_available", CTL_BOUND_LEAST});
    if (status->memory.pool_known)
        ctl_limits_row(to, &(struct ctl_bound){"memory of the group",
                                               (double)status->memory.working_set, limit,
                                               "memory.limit, memory.high, MemoryMax= of the unit",
                                               CTL_BOUND_BYTES});
}

void ctl_limits_own(const struct ctl_limits *to, const struct status *status)
{
    double used = (double)(status->workers.live - status->workers.idle);

    if (!to->array)
        fprintf(to->out, "  %-28s %9s %9s  %s\n", "Bound (* reached)", "now", "most",
                "what moves it");
    if (status->settings.dry_run > 0)
        row(to, "workers", (double)status->workers.live, (double)status->settings.dry_run,
            "the dry run: as stock has");
    else
        row(to, "workers", (double)status->workers.live, (double)status->settings.workers_max,
            config_bound_text(config_bound_of(status->settings.workers_bound)));
    row(to, "workers in use, of the limit", used, (double)status->state.limit,
        status->state.reason);
    put_lanes(to, status);
    put_windows(to, status);
    row(to, "requests that wait", (double)status->requests.waiting,
        (double)status->settings.waiting_max, "waiting.max");
    put_memory(to, status);
}

/* The number in a small file; -1: it has none, or "max". */
static double read_number(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[32] = "", *end;
    double number;

    if (!file)
        return -1;
    if (!fgets(line, sizeof line, file))
        line[0] = '\0';
    fclose(file);
    number = strtod(line, &end);
    return end == line ? -1 : number;
}

static double count_files(const char *directory, int depth)
{
    char path[PATH_SIZE];
    const struct dirent *entry;
    DIR *files = opendir(directory);
    double count = 0;

    if (!files)
        return -1;
    while ((entry = readdir(files))) {
        if (entry->d_name[0] == '.')
            continue;
        if (entry->d_type == DT_DIR && depth > 0) {
            snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
            count += count_files(path, depth - 1);
        } else {
            count++;
        }
    }
    closedir(files);
    return count;
}

static void put_descriptors(const struct ctl_limits *to, const struct status *status,
                            const char *root)
{
    char path[PATH_SIZE], line[256];
    double most = -1;
    FILE *file;

    snprintf(path, sizeof path, "%s/proc/%" PRIu64 "/limits", root, status->pid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "Max open files", 14) == 0)
            most = strtod(line + 14, NULL);
    if (file)
        fclose(file);
    snprintf(path, sizeof path, "%s/proc/%" PRIu64 "/fd", root, status->pid);
    row(to, "descriptors of headroom", count_files(path, 0), most,
        "LimitNOFILE= of Postfix's unit");
}

/* The tightest of a group and those above it. */
static void put_group_tasks(const struct ctl_limits *to, char *directory, size_t mount)
{
    char path[PATH_SIZE], where[PATH_SIZE];
    struct ctl_bound found = {"tasks", -1, -1, where, CTL_BOUND_COUNT};

    for (char *end; strlen(directory) >= mount; *end = '\0') {
        double now, most;

        snprintf(path, sizeof path, "%.4000s/pids.max", directory);
        most = read_number(path);
        snprintf(path, sizeof path, "%.4000s/pids.current", directory);
        now = read_number(path);
        if (most >= 0 && (found.most < 0 || now / most > found.now / found.most)) {
            found.now = now;
            found.most = most;
            snprintf(where, sizeof where, "TasksMax=, pids.max of %.4000s", directory);
        }
        end = strrchr(directory, '/');
        if (!end)
            break;
    }
    if (found.most >= 0)
        ctl_limits_row(to, &found);
}

static void put_tasks(const struct ctl_limits *to, const struct status *status, const char *root)
{
    char path[PATH_SIZE], line[PATH_MAX], directory[PATH_SIZE];
    FILE *file;

    snprintf(path, sizeof path, "%s/proc/%" PRIu64 "/cgroup", root, status->pid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        char *name = strchr(line, ':'), *group = name ? strchr(name + 1, ':') : NULL;
        const char *mount = NULL;

        line[strcspn(line, "\n")] = '\0';
        if (!group)
            continue;
        *group++ = '\0';
        if (strcmp(name, ":pids") == 0)
            mount = "/sys/fs/cgroup/pids";
        else if (strcmp(name, ":") == 0)
            mount = "/sys/fs/cgroup";
        if (!mount)
            continue;
        snprintf(directory, sizeof directory, "%s%s%s", root, mount,
                 strcmp(group, "/") == 0 ? "" : group);
        put_group_tasks(to, directory, strlen(root) + strlen(mount));
    }
    if (file)
        fclose(file);
}

void ctl_limits_system(const struct ctl_limits *to, const struct ctl *ctl,
                       const struct status *status, const char *root)
{
    char path[PATH_SIZE];

    put_descriptors(to, status, root);
    put_tasks(to, status, root);
    snprintf(path, sizeof path, "%s/active", ctl->postconf.queue_directory);
    row(to, "active queue of Postfix", count_files(path, QUEUE_DEPTH),
        ctl->postconf.qmgr_message_active_limit, "qmgr_message_active_limit");
    row(to, "  requests of this service", (double)status->requests.held, -1, "");
}
