#include "agents/queue_file.h"

#include "agents/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Long queue ids count in base 52: digits and letters, but no vowels. */
static const char base52[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";

/* In a long id 6 or more characters of seconds and 4 of microseconds precede the `z`. */
#define LONG_ID_SEPARATOR 'z'
#define LONG_ID_SEPARATOR_MIN 10
#define LONG_ID_MICROSECONDS 4

/* Not isalnum(3): that depends on the locale. */
static bool is_letter_or_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool name_valid(const char *name, size_t max, char extra)
{
    size_t len = 0;

    for (; name[len] != '\0'; len++)
        if (len == max || (name[len] != extra && !is_letter_or_digit(name[len])))
            return false;
    return len > 0;
}

bool queue_name_valid(const char *queue_name)
{
    return name_valid(queue_name, QUEUE_NAME_MAX, '0');
}

bool queue_id_valid(const char *queue_id)
{
    return name_valid(queue_id, QUEUE_ID_MAX, '_');
}

static bool is_hashed(const char *names, const char *queue_name)
{
    static const char separators[] = ", \t\r\n";
    size_t len = strlen(queue_name);

    while (*(names += strspn(names, separators)) != '\0') {
        size_t word = strcspn(names, separators);

        if (word == len && strncasecmp(names, queue_name, len) == 0)
            return true;
        names += word;
    }
    return false;
}

/* What the hash directories are taken from: the id, or of a long id its microseconds in
 * hexadecimal, which spread. */
static void hash_source(char *source, size_t size, const char *queue_id)
{
    const char *separator = strrchr(queue_id, LONG_ID_SEPARATOR);
    unsigned long microseconds = 0;

    (void)snprintf(source, size, "%s", queue_id);
    if (separator == NULL || separator - queue_id < LONG_ID_SEPARATOR_MIN)
        return;
    for (int i = -LONG_ID_MICROSECONDS; i < 0; i++) {
        const char *digit = strchr(base52, separator[i]);

        if (digit == NULL)
            return;
        microseconds = microseconds * (sizeof base52 - 1) + (unsigned long)(digit - base52);
    }
    (void)snprintf(source, size, "%05lX", microseconds);
}

int queue_file_path(char *path, size_t size, const char *queue_name, const char *queue_id,
                    const char *hash_queue_names, unsigned hash_queue_depth)
{
    char source[QUEUE_ID_MAX + 1];
    char hash[2 * QUEUE_HASH_DEPTH_MAX + 1] = "";
    int len;

    if (!queue_name_valid(queue_name) || !queue_id_valid(queue_id) ||
        hash_queue_depth > QUEUE_HASH_DEPTH_MAX)
        return -EINVAL;
    if (is_hashed(hash_queue_names, queue_name)) {
        const char *from = source;
        char *to = hash;

        hash_source(source, sizeof source, queue_id);
        for (unsigned i = 0; i < hash_queue_depth; i++) {
            *to++ = *from == '\0' ? '_' : *from++; /* `_` when the id is shorter than the depth */
            *to++ = '/';
        }
        *to = '\0';
    }
    len = snprintf(path, size, "%s/%s%s", queue_name, hash, queue_id);
    return len < 0 || (size_t)len >= size ? -ENAMETOOLONG : 0;
}

int queue_file_lock(int queue_directory_fd, const char *path)
{
    struct stat status;
    int rc;
    /* Not blocking: should it be a fifo, open(2) must not wait for a writer. */
    int fd = openat(queue_directory_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) < 0) {
        rc = -errno;
        goto fail;
    }
    if (!S_ISREG(status.st_mode)) {
        rc = -EINVAL;
        goto fail;
    }
    if (flock(fd, LOCK_SH | LOCK_NB) < 0) {
        rc = -errno;
        goto fail;
    }
    return fd;
fail:
    close(fd);
    return rc;
}

bool queue_file_moved(int queue_directory_fd, const char *path)
{
    struct stat found;

    return fstatat(queue_directory_fd, path, &found, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

int queue_writable(int queue_directory_fd, struct statvfs *found)
{
    struct statvfs status = {0};
    bool known = fstatvfs(queue_directory_fd, &status) == 0;

    if (found)
        *found = status;
    if (!known)
        return 0;
    if ((status.f_flag & ST_RDONLY) != 0)
        return -EROFS;
    /* Some file systems have no number of inodes. */
    if ((status.f_blocks > 0 && status.f_bavail == 0) ||
        (status.f_files > 0 && status.f_favail == 0))
        return -ENOSPC;
    return 0;
}
