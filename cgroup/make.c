#include "cgroup/make.h"
#include "cgroup/library.h"
#include "cgroup/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A piece of cgroup.procs: about 500 processes at a time. */
#define PROCESSES_PIECE 4096

/* master(8) may fork while we move, but needs longer for one child than we for one move. */
#define MOVE_ROUNDS 100

/* The directory's name as libcgroup wants it, or NULL when the library cannot be used for it. */
static const char *library_name(const char *mount, const char *directory)
{
    const size_t length = strlen(mount);
    if (!library_serves(mount) || strncmp(directory, mount, length) != 0 ||
        directory[length] != '/')
        return NULL;
    return directory + length + 1;
}

/* The dispatcher, which is not root, counts processes: everybody may read, whatever the umask. */
static int open_to_readers(const char *directory)
{
    return chmod(directory, 0755) == 0 ? 0 : -errno;
}

int make_plain_group(const char *directory)
{
    return mkdir(directory, 0755) == 0 ? open_to_readers(directory) : -errno;
}

int make_memory_group(const char *mount, const char *directory)
{
    if (access(directory, F_OK) == 0)
        return -EEXIST;
    const char *name = library_name(mount, directory);
    if (name != NULL && library_make(name) == 0 && access(directory, F_OK) == 0)
        return open_to_readers(directory);
    /* A library that failed may have left the directory: then it is not a predecessor's. */
    const int result = make_plain_group(directory);
    return result == -EEXIST && name != NULL ? open_to_readers(directory) : result;
}

int make_value(const char *mount, const char *directory, const char *file, const char *value)
{
    char path[KERNEL_PATH_MAX];
    const char *name = library_name(mount, directory);
    if (name != NULL && library_set(name, file, value) == 0)
        return 0;
    const int result = kernel_join(path, sizeof path, directory, file);
    return result != 0 ? result : kernel_write_at(AT_FDCWD, path, value);
}

/* Moves one process. One that has ended meanwhile needs no move. */
static int move_process(int target, const char *process)
{
    const int result = kernel_write_at(target, "cgroup.procs", process);
    return result == -ESRCH ? 0 : result;
}

/* Moves the processes of one read of cgroup.procs; *moved is the number of its lines. */
static int move_piece(const char *source, int target, unsigned *moved)
{
    char text[PROCESSES_PIECE];
    char *line = text;
    char *end;
    int result = 0;
    *moved = 0;
    const ssize_t length = kernel_read_at(AT_FDCWD, source, text, sizeof text);
    if (length < 0)
        return (int)length;
    /* The last line may be cut; the next round reads it whole. */
    while (result == 0 && (end = strchr(line, '\n')) != NULL) {
        *end = '\0';
        /* "0" is a process outside our process name space. Written, it would mean ourselves. */
        result = strcmp(line, "0") == 0 ? -EXDEV : move_process(target, line);
        (*moved)++;
        line = end + 1;
    }
    return result;
}

static int move_all(const char *directory, int target)
{
    char source[KERNEL_PATH_MAX];
    unsigned moved = 1;
    int result = kernel_join(source, sizeof source, directory, "cgroup.procs");
    for (unsigned round = 0; result == 0 && moved > 0; round++)
        result = round == MOVE_ROUNDS ? -EBUSY : move_piece(source, target, &moved);
    return result;
}

/* Done by hand and not with libcgroup: for a group below `directory` the library writes
 * subtree_control of `directory` first, which is EBUSY until the processes are in the very leaf
 * that is to be made. */
static int open_main(const char *directory, int *target)
{
    char path[KERNEL_PATH_MAX];
    int result = kernel_join(path, sizeof path, directory, PLAN_MAIN);
    if (result == 0)
        result = make_plain_group(path);
    if (result != 0 && result != -EEXIST)
        return result;
    *target = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *target < 0 ? -errno : 0;
}

int make_room(const char *directory, bool move)
{
    char control[KERNEL_PATH_MAX];
    int target = -1;
    int result = kernel_join(control, sizeof control, directory, "cgroup.subtree_control");
    if (result == 0 && move)
        result = open_main(directory, &target);
    /* EBUSY: a process was born between the last move and the write. */
    for (unsigned round = 0; result == 0 && round < MOVE_ROUNDS; round++) {
        result = move ? move_all(directory, target) : 0;
        if (result != 0)
            break;
        result = kernel_write_at(AT_FDCWD, control, "+memory");
        if (result != -EBUSY || !move)
            break;
        result = round + 1 < MOVE_ROUNDS ? 0 : -EBUSY;
    }
    if (target >= 0)
        close(target);
    return result;
}

int make_removed(const char *mount, const char *directory)
{
    const char *name = mount != NULL ? library_name(mount, directory) : NULL;
    if (access(directory, F_OK) != 0)
        return 0;
    if (name != NULL && library_remove(name) == 0 && access(directory, F_OK) != 0)
        return 0;
    /* The library returns 0 for a group that still holds processes; rmdir tells. */
    return rmdir(directory) == 0 || errno == ENOENT ? 0 : -errno;
}

int make_count(const char *directory)
{
    char path[KERNEL_PATH_MAX];
    char text[PROCESSES_PIECE];
    int count = 0;
    const int result = kernel_join(path, sizeof path, directory, "cgroup.procs");
    const int descriptor = result == 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (descriptor < 0)
        return result != 0 ? result : (errno == ENOENT ? -ENODEV : -errno);
    for (;;) {
        const ssize_t got = read(descriptor, text, sizeof text);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            count = -errno;
        if (got <= 0)
            break;
        for (ssize_t at = 0; at < got; at++)
            count += text[at] == '\n';
    }
    close(descriptor);
    return count;
}
