/*
 * queue_age QUEUE_DIRECTORY SECONDS: makes every message of a Postfix queue that many seconds older.
 *
 * A message's age is in its queue file: the time record (from which qmgr(8) takes incoming_arrival) and the attribute
 * create_time (from which it takes the age). Both are rewritten in place, with as many digits as before. The file's
 * modification time, which says when qmgr tries again, is moved to the past as well. Run it while Postfix is stopped.
 */

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/queue_file.h"

#define WALK_DESCRIPTORS 16

/* nftw() passes nothing to its function. */
static long long older;
static unsigned long changed;

/* Rewrites the decimal number at `text`, which has exactly `digits` digits. */
static int age_number(char *text, size_t digits)
{
    char number[32];
    long long value;
    int length;

    if (digits == 0 || digits >= sizeof(number))
        return -EBADMSG;
    memcpy(number, text, digits);
    number[digits] = '\0';
    value = strtoll(number, NULL, 10) - older;
    length = snprintf(number, sizeof(number), "%0*lld", (int)digits, value);
    if (value < 0 || (size_t)length != digits)
        return -ERANGE;
    memcpy(text, number, digits);
    return 0;
}

static size_t count_digits(const char *text, size_t length)
{
    size_t digits = 0;

    while (digits < length && text[digits] >= '0' && text[digits] <= '9')
        digits++;
    return digits;
}

static int age_records(char *file, size_t size)
{
    static const char name[] = "create_time=";
    struct queue_reader reader = {.file = (unsigned char *)file, .size = size};
    struct queue_record record;
    size_t skip;
    int result;

    while ((result = queue_reader_next(&reader, &record)) > 0 &&
           record.type != QUEUE_RECORD_MESSAGE) {
        skip = 0;
        if (record.type == QUEUE_RECORD_ATTRIBUTE && record.length >= sizeof(name) - 1 &&
            memcmp(file + record.data, name, sizeof(name) - 1) == 0)
            skip = sizeof(name) - 1;
        else if (record.type != QUEUE_RECORD_TIME)
            continue;
        result = age_number(file + record.data + skip,
                            count_digits(file + record.data + skip, record.length - skip));
        if (result < 0)
            return result;
    }
    return result < 0 ? result : 0;
}

static int age_file(const char *path, const struct stat *status, int type, struct FTW *where)
{
    struct timespec times[2];
    char *file = MAP_FAILED;
    int result = 0;
    int fd;

    (void)where;
    if (type != FTW_F || status->st_size == 0 || status->st_size > QUEUE_FILE_MAX)
        return 0;
    fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        result = -errno;
        goto out;
    }
    file = mmap(NULL, (size_t)status->st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (file == MAP_FAILED) {
        result = -errno;
        goto out;
    }
    result = age_records(file, (size_t)status->st_size);
    if (result < 0)
        goto out;
    times[0] = (struct timespec){.tv_sec = status->st_mtime - older};
    times[1] = times[0];
    if (futimens(fd, times) < 0)
        result = -errno;
    changed++;
out:
    if (file != MAP_FAILED)
        munmap(file, (size_t)status->st_size);
    if (fd >= 0)
        close(fd);
    if (result < 0) {
        fprintf(stderr, "queue_age: %s: %s\n", path, strerror(-result));
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const queues[] = {"incoming", "active", "deferred", "hold"};
    char path[PATH_MAX];
    char *end;
    int status = 0;

    if (argc != 3 || (older = strtoll(argv[2], &end, 10)) <= 0 || *end != '\0') {
        fprintf(stderr, "usage: queue_age QUEUE_DIRECTORY SECONDS\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", argv[1], queues[i]);
        if (nftw(path, age_file, WALK_DESCRIPTORS, FTW_PHYS) != 0)
            status = 1;
    }
    printf("%lu messages are %lld s older\n", changed, older);
    return status;
}
