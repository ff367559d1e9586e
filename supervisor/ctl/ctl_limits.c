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

void ctl_limits_row(FILE *out, const struct ctl_bound *bound)
{
    char most[24] = "no limit", now[24] = "?";

    if (bound->most >= 0)
        snprintf(most, sizeof most, "%.0f", bound->most);
    if (bound->now >= 0)
        snprintf(now, sizeof now, "%.0f", bound->now);
    fprintf(out, "%c %-28s %9s %9s  %s\n",
            bound->most >= 0 && bound->now >= bound->most ? '*' : ' ', bound->name, now, most,
            bound->moved_by);
}

static void row(FILE *out, const char *name, double now, double most, const char *moved_by)
{
    ctl_limits_row(out, &(struct ctl_bound){name, now, most, moved_by});
}

/* A lane's share is that of the lanes below it, too. */
static void put_lanes(FILE *out, const struct status *status)
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
        row(out, lanes[i].name, (double)sum, (double)lanes[i].share,
            i == 0 ? "shares of the limit, by what is known of a destination" : "");
    }
}

static void put_windows(FILE *out, const struct status *status)
{
    unsigned full = 0;

    for (uint64_t i = 0; i < status->destinations; i++)
        full += status->destination[i].waiting > 0 &&
                status->destination[i].in_flight >= status->destination[i].window;
    fprintf(out, "%c %-28s %9u %9s  of those that headroomctl destinations shows\n",
            full > 0 ? '*' : ' ', "windows in full use", full, "");
}

static void put_memory(FILE *out, const struct status *status)
{
    char now[CTL_WORD_SIZE], most[CTL_WORD_SIZE];

    if (status->memory.machine_known)
        fprintf(out, "%c %-28s %9s %9s  memory.min_available\n",
                status->memory.available <= status->memory.min_available ? '*' : ' ',
                "memory available, least", ctl_size((double)status->memory.available, now),
                ctl_size((double)status->memory.min_available, most));
    if (status->memory.pool_known)
        fprintf(out, "%c %-28s %9s %9s  memory.limit, memory.high, MemoryMax= of the unit\n",
                status->memory.limit != STATUS_UNLIMITED &&
                        status->memory.working_set >= status->memory.limit
                    ? '*'
                    : ' ',
                "memory of the group", ctl_size((double)status->memory.working_set, now),
                status->memory.limit == STATUS_UNLIMITED
                    ? "no limit"
                    : ctl_size((double)status->memory.limit, most));
}

void ctl_limits_own(FILE *out, const struct status *status)
{
    double used = (double)(status->workers.live - status->workers.idle);

    fprintf(out, "  %-28s %9s %9s  %s\n", "Bound (* reached)", "now", "most", "what moves it");
    row(out, "workers", (double)status->workers.live, (double)status->settings.workers_max,
        config_bound_text(config_bound_of(status->settings.workers_bound)));
    row(out, "workers in use, of the limit", used, (double)status->state.limit,
        status->state.reason);
    put_lanes(out, status);
    put_windows(out, status);
    row(out, "requests that wait", (double)status->requests.waiting,
        (double)status->settings.waiting_max, "waiting.max");
    put_memory(out, status);
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

static void put_descriptors(FILE *out, const struct status *status, const char *root)
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
    row(out, "descriptors of headroom", count_files(path, 0), most,
        "LimitNOFILE= of Postfix's unit");
}

/* The tightest of a group and those above it. */
static void put_group_tasks(FILE *out, char *directory, size_t mount)
{
    char path[PATH_SIZE], where[PATH_SIZE];
    struct ctl_bound found = {"tasks", -1, -1, where};

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
        ctl_limits_row(out, &found);
}

static void put_tasks(FILE *out, const struct status *status, const char *root)
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
        put_group_tasks(out, directory, strlen(root) + strlen(mount));
    }
    if (file)
        fclose(file);
}

void ctl_limits_system(FILE *out, const struct ctl *ctl, const struct status *status,
                       const char *root)
{
    char path[PATH_SIZE];

    put_descriptors(out, status, root);
    put_tasks(out, status, root);
    snprintf(path, sizeof path, "%s/active", ctl->postconf.queue_directory);
    row(out, "active queue of Postfix", count_files(path, QUEUE_DEPTH),
        ctl->postconf.qmgr_message_active_limit, "qmgr_message_active_limit");
    row(out, "  requests of this service", (double)status->requests.held, -1, "");
}
