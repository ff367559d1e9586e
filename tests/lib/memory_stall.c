/*
 * memory_stall LIMIT_MB READERS SECONDS [DIRECTORY]
 *
 * Shows that the memory group works here: opens a group with that limit, lets readers in it read a file of 256 MB (made in
 * DIRECTORY, /var/tmp by default) that does not fit, prints a sample a second and each pressure event, ends the readers
 * and removes the group. Exit: 0 stall of the pool was seen, 1 it was not, 77 no group can be made here (see the note).
 *
 * Sequential reading makes the stall: every page has to be reclaimed and read again. Each reader gets its mapping after it
 * was born in the group, and the file's cache is dropped first, because a page is charged to the group that read it first.
 */

#include "cgroup/group.h"
#include "cgroup/memory_source.h"
#include "cgroup/pressure.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_SIZE ((size_t)256 << 20)
#define PIECE ((size_t)1 << 20)
#define READERS_MAX 16

static int make_file(const char *directory)
{
    char path[KERNEL_PATH_MAX];
    static char piece[PIECE];
    if (kernel_join(path, sizeof path, directory, "memory_stall.XXXXXX") != 0)
        return -1;
    const int file = mkstemp(path);
    if (file < 0)
        return -1;
    (void)unlink(path);
    for (size_t done = 0; done < FILE_SIZE; done += PIECE) {
        memset(piece, (int)(done / PIECE) + 1, PIECE);
        if (write(file, piece, PIECE) != (ssize_t)PIECE) {
            close(file);
            return -1;
        }
    }
    (void)fsync(file);
    (void)posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    return file;
}

/* Only what is async-signal-safe: this is the child of group_clone. */
static _Noreturn void read_for_ever(int file, pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    const volatile char *page = mmap(NULL, FILE_SIZE, PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED)
        _exit(1);
    for (;;)
        for (size_t at = 0; at < FILE_SIZE; at += 4096)
            (void)page[at];
}

static void print_sample(const struct memory_sample *sample, const struct memory_sample *before)
{
    const double period = (double)(sample->time - before->time);
    printf("pool usage %" PRIu64 " KB, working set %" PRIu64 " KB, limit %" PRIu64
           " KB; stall of the pool some %.1f %% full %.1f %%, of the machine some %.1f %%; high "
           "%" PRIu64 " max %" PRIu64 " oom_kill %" PRIu64 "\n",
           sample->group[0].usage / 1024, sample->group[0].working_set / 1024,
           sample->group[0].limit / 1024,
           100.0 * (double)(sample->pool.some - before->pool.some) / period,
           100.0 * (double)(sample->pool.full - before->pool.full) / period,
           100.0 * (double)(sample->machine.some - before->machine.some) / period, sample->high,
           sample->max, sample->oom_kill);
    (void)fflush(stdout);
}

/* Samples for some seconds. Returns the stall of the pool that was seen, us. */
static uint64_t watch(const struct memory_source *source, struct pressure_trigger *trigger,
                      int seconds)
{
    struct memory_sample first;
    struct memory_sample before;
    struct memory_sample sample;
    memory_source_read(source, &first);
    sample = before = first;
    while (sample.time < first.time + (uint64_t)seconds * 1000000) {
        struct pollfd wait = {.fd = trigger->descriptor, .events = POLLPRI};
        const uint64_t due = before.time + 1000000;
        const int left = sample.time < due ? (int)((due - sample.time + 999) / 1000) : 0;
        const int events = poll(&wait, 1, left);
        memory_source_read(source, &sample);
        if (events > 0 && (wait.revents & POLLERR) != 0) {
            printf("the trigger's group is gone\n");
            close(trigger->descriptor);
            trigger->descriptor = -1;
        } else if (events > 0) {
            printf("pressure event, %s\n",
                   sample.pool.some > before.pool.some ? "confirmed" : "false");
        }
        if (sample.time >= due) {
            print_sample(&sample, &before);
            before = sample;
        }
    }
    return sample.pool.some - first.pool.some;
}

int main(int count, char **word)
{
    char instance[32]; /* the pid, so that several can run side by side */
    struct group_config config = {
        .service = "stall", .instance = instance, .high = MEMORY_UNLIMITED};
    struct pool_group *group;
    struct memory_source source;
    struct pressure_trigger trigger;
    pid_t reader[READERS_MAX];
    int readers = count > 2 ? atoi(word[2]) : 0;
    (void)snprintf(instance, sizeof instance, "%d", (int)getpid());
    if (count < 4 || readers < 1 || readers > READERS_MAX) {
        fprintf(stderr, "usage: memory_stall LIMIT_MB READERS SECONDS [DIRECTORY]\n");
        return 2;
    }
    config.limit = strtoull(word[1], NULL, 10) << 20;
    int result = group_open(&group, &config);
    if (result != 0) {
        fprintf(stderr, "memory_stall: %s\n", strerror(-result));
        return 2;
    }
    printf("%s\n", group_note(group));
    const int file =
        group_mode(group) == GROUP_OBSERVE ? -1 : make_file(count > 4 ? word[4] : "/var/tmp");
    if (file < 0 || memory_source_open(&source, group) != 0) {
        (void)group_remove(group);
        group_close(group);
        return 77;
    }
    result = pressure_arm(&trigger, group_pressure_directory(group), "memory.pressure",
                          PRESSURE_SOME, 100000, 1000000);
    printf("trigger: %s, %u us in %u us\n", result == 0 ? "armed" : "poll only", trigger.stall,
           trigger.window);
    (void)fflush(stdout);
    const pid_t parent = getpid();
    for (int i = 0; i < readers; i++) {
        reader[i] = group_clone(group);
        if (reader[i] == 0)
            read_for_ever(file, parent);
    }
    printf("%d processes in the group\n", group_count_processes(group));
    const uint64_t stall = watch(&source, &trigger, atoi(word[3]));
    for (int i = 0; i < readers; i++)
        if (reader[i] > 0 && kill(reader[i], SIGKILL) == 0)
            (void)waitpid(reader[i], NULL, 0);
    result = group_remove(group);
    printf("stall of the pool: %" PRIu64 " us; group removed: %s\n", stall,
           result == 0 ? "yes" : strerror(-result));
    close(trigger.descriptor);
    memory_source_close(&source);
    group_close(group);
    close(file);
    return stall > 0 && result == 0 ? 0 : 1;
}
