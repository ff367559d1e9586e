/*
 * A process that is a burden on memory, until it is ended:
 *
 *     memory_load take MEGABYTES [MEGABYTES_PER_SECOND]
 *     memory_load read FILE
 *
 * take: takes so much anonymous memory (at once, or at this rate), prints "taken" and keeps it. Ended, it gives it back.
 * read: maps the file and reads it from front to back, again and again. In a group with a limit below the file's size every
 * page has to be reclaimed and read anew, which is what the kernel counts as stall. The file's pages are charged to the
 * group that reads them first, so its cache should be dropped before.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MEGABYTE ((size_t)1 << 20)
#define PAGE 4096

static int take(size_t megabytes, long rate)
{
    char *memory = mmap(NULL, megabytes * MEGABYTE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct timespec due;

    if (memory == MAP_FAILED) {
        perror("memory_load: mmap");
        return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &due);
    for (size_t done = 0; done < megabytes; done++) {
        memset(memory + done * MEGABYTE, 1, MEGABYTE);
        if (rate <= 0)
            continue;
        due.tv_nsec += 1000000000 / rate;
        due.tv_sec += due.tv_nsec / 1000000000;
        due.tv_nsec %= 1000000000;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    }
    puts("taken");
    fflush(stdout);
    for (;;)
        pause();
}

static int read_again(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    const volatile char *page;

    if (file < 0 || fstat(file, &status) < 0) {
        perror(path);
        return 1;
    }
    page = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) {
        perror("memory_load: mmap");
        return 1;
    }
    for (;;)
        for (size_t at = 0; at < (size_t)status.st_size; at += PAGE)
            (void)page[at];
}

int main(int count, char **word)
{
    if (count >= 3 && strcmp(word[1], "take") == 0 && atol(word[2]) > 0)
        return take((size_t)atol(word[2]), count > 3 ? atol(word[3]) : 0);
    if (count == 3 && strcmp(word[1], "read") == 0)
        return read_again(word[2]);
    fprintf(stderr, "usage: memory_load take MEGABYTES [MEGABYTES_PER_SECOND] | read FILE\n");
    return 2;
}
