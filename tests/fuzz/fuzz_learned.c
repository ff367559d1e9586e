/*
 * Any bytes as the file of what was learned. Its checksum is made right, so that
 * what is behind it is reached. What is taken over is written and read again.
 */

#include "supervisor/admission/learned.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW (INT64_C(1000) * ADMISSION_SECOND)
#define WALL (INT64_C(1700000000) * ADMISSION_SECOND)
#define NAME "learned"

static void check(bool holds)
{
    if (!holds)
        abort();
}

static struct admission *empty(void)
{
    struct admission_settings settings;
    struct admission *admission;

    admission_defaults(&settings);
    settings.seed[0] = 1;
    settings.seed[1] = 2;
    admission = admission_create(&settings, 4, 16);
    check(admission != NULL);
    return admission;
}

/* FNV-1a, as learned.h has it. */
static void sum(uint8_t *bytes, size_t size)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < size - 8; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    for (size_t i = 0; i < 8; i++)
        bytes[size - 8 + i] = (uint8_t)(hash >> (8 * i));
}

static void put(int directory, const uint8_t *bytes, size_t size)
{
    int file = openat(directory, NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    check(file >= 0 && write(file, bytes, size) == (ssize_t)size);
    close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int directory = -1;
    static char path[] = "/dev/shm/headroom-fuzz-XXXXXX";
    struct admission *admission = empty(), *again = empty();
    unsigned limit = 0, second = 0;
    uint8_t *bytes = malloc(size + 1);
    int taken, result;

    if (directory < 0) {
        check(mkdtemp(path) != NULL);
        directory = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    }
    check(bytes != NULL);
    memcpy(bytes, data, size);
    if (size > 32)
        sum(bytes, size);
    put(directory, bytes, size);
    taken = learned_load(directory, NAME, admission, &limit, NOW, WALL);
    check(taken >= 0 || taken == -EBADMSG);
    if (taken < 0)
        check(faccessat(directory, NAME, F_OK, 0) < 0);
    else {
        check(learned_save(directory, NAME, admission, limit, NOW, WALL) == 0);
        result = learned_load(directory, NAME, again, &second, NOW, WALL);
        check(result >= 0 && result <= taken && second == limit);
    }
    admission_destroy(admission);
    admission_destroy(again);
    free(bytes);
    return 0;
}
