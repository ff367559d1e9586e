#include "supervisor/ctl/ctl_deferred.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* hash_queue_depth is 1 as a rule, and 16 at most. */
#define QUEUE_DEPTH 16

void ctl_deferred_add(struct ctl_deferred *deferred, time_t time)
{
    if (time <= deferred->now)
        deferred->due++;
    else if (time - deferred->now >= CTL_DEFERRED_SPAN)
        deferred->later++;
    else
        deferred->second[time - deferred->now]++;
}

static int scan(int at, const char *name, unsigned depth, struct ctl_deferred *deferred)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (!directory) {
        int result = -errno;

        if (fd >= 0)
            close(fd);
        return result;
    }
    while ((entry = readdir(directory))) {
        struct stat file;

        if (entry->d_name[0] == '.' || fstatat(fd, entry->d_name, &file, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (S_ISREG(file.st_mode))
            ctl_deferred_add(deferred, file.st_mtime);
        else if (S_ISDIR(file.st_mode) && depth > 0)
            (void)scan(fd, entry->d_name, depth - 1, deferred);
    }
    closedir(directory);
    return 0;
}

int ctl_deferred_scan(const char *directory, struct ctl_deferred *deferred)
{
    return scan(AT_FDCWD, directory, QUEUE_DEPTH, deferred);
}

/* Without a look at each file. */
static uint64_t count(int at, const char *name, unsigned depth, uint64_t most)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    uint64_t sum = 0;

    if (!directory) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    while (sum < most && (entry = readdir(directory))) {
        unsigned char type = entry->d_type;
        struct stat file;

        if (entry->d_name[0] == '.')
            continue;
        if (type == DT_UNKNOWN && fstatat(fd, entry->d_name, &file, AT_SYMLINK_NOFOLLOW) == 0)
            type = S_ISDIR(file.st_mode) ? DT_DIR : DT_REG;
        if (type == DT_REG)
            sum++;
        else if (type == DT_DIR && depth > 0)
            sum += count(fd, entry->d_name, depth - 1, most - sum);
    }
    closedir(directory);
    return sum;
}

uint64_t ctl_deferred_count(const char *directory, uint64_t most)
{
    return count(AT_FDCWD, directory, QUEUE_DEPTH, most);
}

uint64_t ctl_deferred_row(const struct ctl_deferred *deferred, unsigned row)
{
    uint64_t sum = 0;

    for (unsigned i = row * CTL_DEFERRED_ROW; i < (row + 1) * CTL_DEFERRED_ROW; i++)
        sum += deferred->second[i];
    return sum;
}

uint64_t ctl_deferred_all(const struct ctl_deferred *deferred)
{
    uint64_t sum = deferred->due + deferred->later;

    for (unsigned row = 0; row < CTL_DEFERRED_ROWS; row++)
        sum += ctl_deferred_row(deferred, row);
    return sum;
}

struct ctl_deferred_peak ctl_deferred_peak(const struct ctl_deferred *deferred)
{
    struct ctl_deferred_peak peak = {deferred->now, 0};
    uint64_t sum = 0;

    for (unsigned i = 0; i < CTL_DEFERRED_SPAN; i++) {
        sum += deferred->second[i];
        if (i >= CTL_DEFERRED_WINDOW)
            sum -= deferred->second[i - CTL_DEFERRED_WINDOW];
        if (sum > peak.messages) {
            peak.messages = sum;
            peak.from =
                deferred->now + (i >= CTL_DEFERRED_WINDOW ? i - CTL_DEFERRED_WINDOW + 1 : 0);
        }
    }
    return peak;
}
