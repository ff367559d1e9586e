#include "cgroup/memory_source.h"
#include "cgroup/group_parts.h"
#include "cgroup/memory_parse.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

/* memory.stat of v1 on a 6.18 kernel is 1.6 KB, of v2 about 2 KB, /proc/meminfo 1.5 KB. What is cut
 * is not believed, and the keys that count are near the beginning. */
#define TEXT_MAX 8192

/* Opens a file of a group. *descriptor is -1 without it; errors are shortages of this process. */
static int open_file(const char *directory, const char *name, int *descriptor)
{
    char path[KERNEL_PATH_MAX];
    *descriptor = -1;
    if (kernel_join(path, sizeof path, directory, name) != 0)
        return 0;
    *descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return *descriptor < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM) ? -errno : 0;
}

static void close_file(int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

static void close_files(struct memory_files *files)
{
    close_file(&files->usage);
    close_file(&files->stat);
    close_file(&files->max);
    close_file(&files->high);
}

static int open_files(struct memory_files *files, const char *directory, bool v1)
{
    *files = (struct memory_files){.v1 = v1, .usage = -1, .stat = -1, .max = -1, .high = -1};
    int result =
        open_file(directory, v1 ? "memory.usage_in_bytes" : "memory.current", &files->usage);
    if (result == 0)
        result = open_file(directory, "memory.stat", &files->stat);
    if (result == 0)
        result = open_file(directory, v1 ? "memory.limit_in_bytes" : "memory.max", &files->max);
    if (result == 0 && !v1)
        result = open_file(directory, "memory.high", &files->high);
    return result;
}

/* The pool's group, then its ancestors up to the topmost that can be seen. */
static int open_groups(struct memory_source *source, const struct pool_group *group)
{
    const char *mount = group->plan.memory.mount;
    char directory[KERNEL_PATH_MAX];
    int result = 0;
    memcpy(directory, group->memory, sizeof directory);
    while (result == 0 && directory[0] != '\0' && source->groups < MEMORY_GROUPS_MAX) {
        struct memory_files *files = &source->group[source->groups++];
        result = open_files(files, directory, group->plan.v1);
        files->top = strcmp(directory, mount) == 0;
        char *slash = strrchr(directory, '/');
        if (files->top || slash == NULL)
            break;
        *slash = '\0';
    }
    return result;
}

static void close_events(struct memory_source *source)
{
    close_file(&source->events);
    close_file(&source->failures);
    close_file(&source->pool_pressure);
}

/* What the pool's groups count, besides what open_files opens. */
static int open_events(struct memory_source *source, const struct pool_group *group)
{
    int result = 0;

    if (group->memory[0] != '\0')
        result = open_file(group->memory, group->plan.v1 ? "memory.oom_control" : "memory.events",
                           &source->events);
    if (result == 0 && group->memory[0] != '\0' && group->plan.v1)
        result = open_file(group->memory, "memory.failcnt", &source->failures);
    if (result == 0 && group->unified[0] != '\0')
        result = open_file(group->unified, "memory.pressure", &source->pool_pressure);
    return result;
}

/* The root of cgroup v2 speaks for the machine. A container's root group, which does not, has
 * cgroup.events. */
static int open_root(struct memory_source *source, const struct pool_group *group)
{
    const struct kernel_tree *tree = &group->plan.unified;
    char path[KERNEL_PATH_MAX];

    if (!tree->found || kernel_join(path, sizeof path, tree->mount, "cgroup.events") != 0 ||
        access(path, F_OK) == 0)
        return 0;
    return open_file(tree->mount, "memory.stat", &source->machine_stat);
}

int memory_source_open(struct memory_source *source, const struct pool_group *group)
{
    char path[KERNEL_PATH_MAX];
    *source = (struct memory_source){.ceiling = group->ceiling,
                                     .ceiling_high = group->ceiling == group->high,
                                     .events = -1,
                                     .failures = -1,
                                     .pool_pressure = -1,
                                     .machine_pressure = -1,
                                     .machine = -1,
                                     .machine_stat = -1};
    int result = open_groups(source, group);
    if (result == 0)
        result = open_events(source, group);
    if (result == 0 && kernel_proc_path(&group->roots, "", path, sizeof path) == 0) {
        result = open_file(path, "pressure/memory", &source->machine_pressure);
        if (result == 0)
            result = open_file(path, "meminfo", &source->machine);
    }
    if (result == 0 && source->machine < 0)
        result = open_root(source, group);
    if (result != 0)
        memory_source_close(source);
    return result;
}

/* Reads a file into text; 0 when it is missing, empty or gone. With one read: the kernel makes the
 * whole text anew for each, and gives all of it that fits. */
static size_t read_text(int descriptor, char text[TEXT_MAX])
{
    ssize_t length;
    if (descriptor < 0)
        return 0;
    do {
        length = pread(descriptor, text, TEXT_MAX, 0);
    } while (length < 0 && errno == EINTR);
    return length > 0 ? (size_t)length : 0;
}

static bool read_number(int descriptor, uint64_t *value)
{
    char text[TEXT_MAX];
    return memory_parse_number(text, read_text(descriptor, text), value);
}

static void read_group(const struct memory_files *files, struct memory_group *group)
{
    char text[TEXT_MAX];
    uint64_t usage;
    uint64_t inactive;
    uint64_t anonymous;
    uint64_t limit;
    *group = (struct memory_group){.limit = MEMORY_UNLIMITED};
    const size_t length = read_text(files->stat, text);
    if (read_number(files->usage, &usage) &&
        memory_parse_key(text, length, files->v1 ? "total_inactive_file" : "inactive_file",
                         &inactive) &&
        memory_parse_key(text, length, files->v1 ? "total_rss" : "anon", &anonymous)) {
        group->known = true;
        group->usage = usage;
        group->working_set = memory_parse_working_set(usage, inactive, anonymous);
    }
    if (read_number(files->max, &limit))
        group->limit = limit;
    if (read_number(files->high, &limit) && limit < group->limit) {
        group->limit = limit;
        group->high = true;
    }
    /* In a container ancestors above the mount are hidden; v1 tells the lowest limit of all. */
    if (files->v1 && files->top &&
        memory_parse_key(text, length, "hierarchical_memory_limit", &limit) && limit < group->limit)
        group->limit = limit;
    if (group->limit >= UINT64_C(1) << 62)
        group->limit = MEMORY_UNLIMITED;
}

static void read_events(const struct memory_source *source, struct memory_sample *sample)
{
    char text[TEXT_MAX];
    const size_t length = read_text(source->events, text);
    sample->events_known = memory_parse_key(text, length, "oom_kill", &sample->oom_kill);
    if (!sample->events_known)
        return;
    if (source->failures >= 0) {
        (void)read_number(source->failures, &sample->max);
    } else {
        (void)memory_parse_key(text, length, "max", &sample->max);
        (void)memory_parse_key(text, length, "high", &sample->high);
    }
}

static void read_stall(int descriptor, struct memory_stall *stall)
{
    char text[TEXT_MAX];
    (void)memory_parse_stall(text, read_text(descriptor, text), stall);
}

static void read_machine(const struct memory_source *source, struct memory_sample *sample)
{
    char text[TEXT_MAX];
    struct sysinfo now;
    size_t length = read_text(source->machine, text);
    sample->machine_known = memory_parse_key(text, length, "MemTotal", &sample->total) &&
                            memory_parse_key(text, length, "MemAvailable", &sample->available);
    if (sample->machine_known)
        return;
    sample->total = 0;
    length = read_text(source->machine_stat, text);
    if (length == 0 || sysinfo(&now) < 0)
        return;
    sample->machine_known =
        memory_parse_available(text, length, (uint64_t)now.totalram * now.mem_unit,
                               (uint64_t)now.freeram * now.mem_unit, &sample->available);
    if (sample->machine_known)
        sample->total = (uint64_t)now.totalram * now.mem_unit;
}

void memory_source_read(const struct memory_source *source, struct memory_sample *sample)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    *sample = (struct memory_sample){.groups = 1};
    sample->time = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    sample->group[0].limit = MEMORY_UNLIMITED;
    for (unsigned level = 0; level < source->groups; level++) {
        struct memory_group group;
        read_group(&source->group[level], &group);
        if (level == 0)
            sample->group[0] = group;
        else if (group.limit != MEMORY_UNLIMITED)
            sample->group[sample->groups++] = group;
    }
    if (source->ceiling < sample->group[0].limit) {
        sample->group[0].limit = source->ceiling;
        sample->group[0].high = source->ceiling_high;
    }
    read_machine(source, sample);
    read_stall(source->pool_pressure, &sample->pool);
    read_stall(source->machine_pressure, &sample->machine);
    read_events(source, sample);
}

void memory_source_close(struct memory_source *source)
{
    for (unsigned level = 0; level < source->groups; level++)
        close_files(&source->group[level]);
    source->groups = 0;
    close_events(source);
    close_file(&source->machine_pressure);
    close_file(&source->machine);
    close_file(&source->machine_stat);
}

bool memory_source_renew(struct memory_source *source, const struct pool_group *group)
{
    const bool top = source->groups > 0 && source->group[0].top;

    if (!group->made || source->groups == 0)
        return false;
    close_files(&source->group[0]);
    close_events(source);
    /* Files that cannot be opened, also for lack of descriptors, are tried at the next sample. */
    (void)open_files(&source->group[0], group->memory, group->plan.v1);
    source->group[0].top = top;
    (void)open_events(source, group);
    return source->group[0].usage >= 0 && source->group[0].stat >= 0;
}
