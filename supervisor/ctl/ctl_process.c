#include "supervisor/ctl/ctl_process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/template.h"

#define PATH_SIZE 256

/* State and parent of a process; 0 and '\0' when there is none. */
static pid_t read_stat(const char *proc, const char *pid, char *state)
{
    char path[PATH_SIZE];
    char line[512];
    const char *name_end;
    pid_t parent = 0;
    FILE *file;

    *state = '\0';
    snprintf(path, sizeof path, "%s/%.16s/stat", proc, pid);
    file = fopen(path, "re");
    if (!file)
        return 0;
    /* The name may hold anything, also parentheses. */
    if (fgets(line, sizeof line, file) && !strstr(line, TEMPLATE_NAME ")") &&
        (name_end = strrchr(line, ')')) && strlen(name_end) > 4) {
        *state = name_end[2];
        parent = (pid_t)strtol(name_end + 4, NULL, 10);
    }
    fclose(file);
    return parent;
}

char ctl_process_state(pid_t pid)
{
    char path[PATH_SIZE];
    char name[32] = "";
    char state;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%ld/comm", (long)pid);
    file = fopen(path, "re");
    if (!file)
        return '\0';
    if (!fgets(name, sizeof name, file) || strcmp(name, "headroom\n") != 0)
        name[0] = '\0';
    fclose(file);
    if (name[0] == '\0')
        return '\0';
    snprintf(name, sizeof name, "%ld", (long)pid);
    read_stat("/proc", name, &state);
    return state == 'Z' || state == 'X' ? '\0' : state;
}

static unsigned add(const char *proc, const char *pid, double *bytes)
{
    char path[PATH_SIZE];
    char line[256];
    unsigned long kib;
    unsigned lines = 0;
    FILE *file;

    snprintf(path, sizeof path, "%s/%.16s/smaps_rollup", proc, pid);
    file = fopen(path, "re");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "Private_%*[A-Za-z]: %lu kB", &kib) == 1) {
            *bytes += 1024.0 * (double)kib;
            lines++;
        }
    fclose(file);
    return lines > 0;
}

unsigned ctl_private_sum(const char *proc, pid_t parent, pid_t without, double *bytes)
{
    const char *root = proc ? proc : "/proc";
    const struct dirent *entry;
    unsigned count = 0;
    DIR *all = opendir(root);

    *bytes = 0;
    if (!all)
        return 0;
    while ((entry = readdir(all))) {
        char *end;
        char state;
        long pid = strtol(entry->d_name, &end, 10);

        if (end == entry->d_name || *end != '\0' || pid == without)
            continue;
        if (read_stat(root, entry->d_name, &state) == parent)
            count += add(root, entry->d_name, bytes);
    }
    closedir(all);
    return count;
}
