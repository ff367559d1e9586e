#include "supervisor/ctl/ctl_private.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SIZE 256

static pid_t parent_of(const char *proc, const char *pid)
{
    char path[PATH_SIZE];
    char line[512];
    const char *name_end;
    pid_t parent = 0;
    FILE *file;

    snprintf(path, sizeof path, "%s/%.16s/stat", proc, pid);
    file = fopen(path, "re");
    if (!file)
        return 0;
    /* The name may hold anything, also parentheses. */
    if (fgets(line, sizeof line, file) && (name_end = strrchr(line, ')')) && strlen(name_end) > 4)
        parent = (pid_t)strtol(name_end + 4, NULL, 10);
    fclose(file);
    return parent;
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
        long pid = strtol(entry->d_name, &end, 10);

        if (end == entry->d_name || *end != '\0' || pid == without)
            continue;
        if (parent_of(root, entry->d_name) == parent)
            count += add(root, entry->d_name, bytes);
    }
    closedir(all);
    return count;
}
