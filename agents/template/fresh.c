/*
 * A worker that is executed runs and reads what is on disk now. A forked one runs and has read what
 * was there when the template started: so that must still be the same.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/template/parts.h"

/* A stock lmtp of Debian has 30 libraries and reads 10 files. */
#define FILES_MAX 256
#define PATH_SIZE 4096

static struct file {
    char *path; /* relative to the root */
    dev_t device;
    ino_t inode;
    struct timespec modified;
} files[FILES_MAX];
static size_t count;
static const struct template_places *places;
static bool noting;
static char unseen[TEMPLATE_DETAIL_SIZE]; /* a file that cannot be watched; "": none */

static bool same(const struct file *file, const struct stat *status)
{
    return status->st_dev == file->device && status->st_ino == file->inode &&
           status->st_mtim.tv_sec == file->modified.tv_sec &&
           status->st_mtim.tv_nsec == file->modified.tv_nsec;
}

static void miss(const char *path)
{
    if (unseen[0] == '\0')
        snprintf(unseen, sizeof unseen, "%.120s", path);
}

/* `path` begins with '/'; `status` is that of what was read, or NULL: as it is now. */
static void add(const char *path, const struct stat *status)
{
    const char *below = path;
    struct stat now;

    while (*below == '/')
        below++;
    if (fstatat(places->root, below, &now, 0) < 0) {
        miss(path);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (strcmp(files[i].path, below) == 0)
            return;
    if (!status)
        status = &now;
    if (count == FILES_MAX || !(files[count].path = strdup(below))) {
        miss(path);
        return;
    }
    files[count].device = status->st_dev;
    files[count].inode = status->st_ino;
    files[count].modified = status->st_mtim;
    /* It was replaced since. */
    if (!same(&files[count], &now))
        miss(path);
    count++;
}

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

void template_note_begin(const struct template_places *those)
{
    places = those;
    noting = places->root >= 0 && places->proc >= 0;
}

static void note(int fd, const struct stat *status)
{
    char name[32], path[PATH_SIZE];
    struct stat root, now;
    ssize_t length;

    snprintf(name, sizeof name, "fd/%d", fd);
    length = readlinkat(places->proc, name, path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    if (has_prefix(path, "/proc/") || has_prefix(path, "/sys/"))
        return;
    /* In a chroot its name is another than ours. */
    if (fstat(places->root, &root) == 0 && stat("/", &now) == 0 && root.st_dev == now.st_dev &&
        root.st_ino == now.st_ino)
        add(path, status);
    else
        miss(path);
}

void template_note_open(int fd)
{
    int error = errno;
    struct stat status;

    if (noting && fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        note(fd, &status);
    errno = error;
}

static bool note_mapped(void)
{
    int fd = openat(places->proc, "maps", O_RDONLY | O_CLOEXEC);
    FILE *maps = fd < 0 ? NULL : fdopen(fd, "r");
    char *line = NULL;
    size_t size = 0;

    if (!maps) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    while (getline(&line, &size, maps) > 0) {
        const char *path = strchr(line, '/');

        line[strcspn(line, "\n")] = '\0';
        /* A replaced file is followed by " (deleted)": there is none of that name. */
        if (path)
            add(path, NULL);
    }
    free(line);
    fclose(maps);
    return true;
}

enum template_reason template_note_end(const char *config_directory,
                                       char detail[TEMPLATE_DETAIL_SIZE])
{
    char path[PATH_SIZE];

    noting = false;
    snprintf(path, sizeof path, "%s/main.cf", config_directory);
    add(path, NULL);
    snprintf(path, sizeof path, "%s/master.cf", config_directory);
    add(path, NULL);
    if (!note_mapped())
        return TEMPLATE_NO_PROC;
    snprintf(detail, TEMPLATE_DETAIL_SIZE, "%s", unseen);
    return unseen[0] == '\0' ? TEMPLATE_FINE : TEMPLATE_REPLACED;
}

bool template_fresh(void)
{
    struct stat status;

    for (size_t i = 0; i < count; i++)
        if (fstatat(places->root, files[i].path, &status, 0) < 0 || !same(&files[i], &status))
            return false;
    return true;
}
