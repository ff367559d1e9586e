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

/* What is looked for: `deferred` wants the time of each file; NULL: they are only counted, up to `most`. */
struct walk {
    struct ctl_deferred *deferred;
    uint64_t count, most;
};

static int walk(int at, const char *name, unsigned depth, struct walk *found)
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
    while (found->count < found->most && (entry = readdir(directory))) {
        unsigned char type = entry->d_type;
        struct stat file;

        if (entry->d_name[0] == '.')
            continue;
        if (found->deferred || type == DT_UNKNOWN) {
            if (fstatat(fd, entry->d_name, &file, AT_SYMLINK_NOFOLLOW) < 0)
                continue;
            type = S_ISREG(file.st_mode) ? DT_REG : S_ISDIR(file.st_mode) ? DT_DIR : DT_UNKNOWN;
        }
        if (type == DT_REG) {
            found->count++;
            if (found->deferred)
                ctl_deferred_add(found->deferred, file.st_mtime);
        } else if (type == DT_DIR && depth > 0) {
            (void)walk(fd, entry->d_name, depth - 1, found);
        }
    }
    closedir(directory);
    return 0;
}

int ctl_deferred_scan(const char *directory, struct ctl_deferred *deferred)
{
    struct walk found = {.deferred = deferred, .most = UINT64_MAX};

    return walk(AT_FDCWD, directory, QUEUE_DEPTH, &found);
}

uint64_t ctl_deferred_count(const char *directory, uint64_t most)
{
    struct walk found = {.most = most};

    (void)walk(AT_FDCWD, directory, QUEUE_DEPTH, &found);
    return found.count;
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
