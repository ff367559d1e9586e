/*
 * memory_watch MILLISECONDS GROUP
 *
 * Prints a line at once and then every so many milliseconds, until it is ended, about a v1 memory group and the pool's
 * group (headroom-...) below it:
 *
 *     TIME USAGE OOM PROCESSES POOL_USAGE POOL_ANON POOL_OOM
 *
 * TIME in seconds since boot, as test.sh's say prints it; memory in KiB; OOM and POOL_OOM count the processes that the OOM
 * killer ended; PROCESSES is how many workers are in the pool's group. What is not there (yet) is 0; when the group itself has
 * vanished, it ends.
 *
 * It reads the kernel's files with code of its own, so that the tests do not judge the supervisor by the supervisor's eyes.
 */

#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATH_LENGTH 1024
#define POOL_PREFIX "headroom-"

struct figures {
    uint64_t usage, anonymous, kills;
    unsigned processes;
};

static FILE *open_file(const char *group, const char *name)
{
    char path[PATH_LENGTH];

    if (snprintf(path, sizeof(path), "%s/%s", group, name) >= (int)sizeof(path))
        return NULL;
    return fopen(path, "re");
}

/* The number behind a key at the beginning of a line, or, with an empty key, the first one. 0 when there is none. */
static uint64_t read_value(const char *group, const char *name, const char *key)
{
    FILE *file = open_file(group, name);
    size_t length = strlen(key);
    uint64_t value = 0;
    char line[256];

    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, key, length) == 0 && (length == 0 || line[length] == ' ')) {
            value = strtoull(line + length, NULL, 10);
            break;
        }
    fclose(file);
    return value;
}

/* Without the one that forks them, which takes no mail. */
static unsigned count_workers(const char *group)
{
    FILE *file = open_file(group, "cgroup.procs"), *comm;
    unsigned count = 0;
    char line[64], name[64], path[128];

    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        snprintf(path, sizeof(path), "/proc/%.32s/comm", line);
        comm = fopen(path, "re");
        count += !comm || !fgets(name, sizeof(name), comm) || !strstr(name, "-template");
        if (comm)
            fclose(comm);
    }
    fclose(file);
    return count;
}

static struct figures read_figures(const char *group)
{
    return (struct figures){
        .usage = read_value(group, "memory.usage_in_bytes", "") / 1024,
        .anonymous = read_value(group, "memory.stat", "total_rss") / 1024,
        .kills = read_value(group, "memory.oom_control", "oom_kill"),
        .processes = count_workers(group),
    };
}

/* The pool's group below this one; false when there is none now. *gone: this one cannot be read. */
static bool find_pool(const char *group, char pool[PATH_LENGTH], bool *gone)
{
    DIR *directory = opendir(group);
    const struct dirent *entry;
    bool found = false;

    *gone = !directory;
    if (!directory)
        return false;
    while (!found && (entry = readdir(directory)))
        found = strncmp(entry->d_name, POOL_PREFIX, strlen(POOL_PREFIX)) == 0 &&
                snprintf(pool, PATH_LENGTH, "%s/%s", group, entry->d_name) < PATH_LENGTH;
    closedir(directory);
    return found;
}

int main(int count, char **word)
{
    long interval = count == 3 ? strtol(word[1], NULL, 10) : 0;
    struct timespec due;

    if (interval < 1) {
        fprintf(stderr, "usage: memory_watch MILLISECONDS GROUP\n");
        return 2;
    }
    clock_gettime(CLOCK_BOOTTIME, &due);
    for (;;) {
        struct figures pool = {0}, all = read_figures(word[2]);
        char directory[PATH_LENGTH];
        bool gone = false;

        if (find_pool(word[2], directory, &gone))
            pool = read_figures(directory);
        if (gone)
            return 0;
        printf("%lld.%02ld %" PRIu64 " %" PRIu64 " %u %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
               (long long)due.tv_sec, due.tv_nsec / 10000000, all.usage, all.kills, pool.processes,
               pool.usage, pool.anonymous, pool.kills);
        fflush(stdout);
        due.tv_nsec += interval * 1000000;
        due.tv_sec += due.tv_nsec / 1000000000;
        due.tv_nsec %= 1000000000;
        clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &due, NULL);
    }
}
