#include "agents/limits.h"
#include "agents/queue_file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names of queue files that qmgr(8) of Postfix 3.7.11 made itself, long ids and short ones. */
Test(queue_file, path)
{
    static const struct {
        const char *id;
        const char *hashed;
        unsigned depth;
        const char *path;
    } table[] = {
        {"E5825A72641", "deferred, defer", 1, "active/E5825A72641"},
        {"4jX5Rd0dsKz1bY57", "deferred, ACTIVE", 2, "active/1/6/4jX5Rd0dsKz1bY57"},
        {"4jX5Rd4Jstz1bY6h", "deferred, ACTIVE", 2, "active/9/4/4jX5Rd4Jstz1bY6h"},
        {"4jX5Rf4g6qz1bY9Y", "deferred, ACTIVE", 2, "active/A/0/4jX5Rf4g6qz1bY9Y"},
        {"4jX5Rf0X4Fz1bY8Z", "deferred, ACTIVE", 2, "active/1/2/4jX5Rf0X4Fz1bY8Z"},
        {"83D94A72633", "deferred, active", 3, "active/8/3/D/83D94A72633"},
        {"7703EA72552", "deferred, active", 3, "active/7/7/0/7703EA72552"},
        /* postfix-protocol.md 4.6 */
        {"AAAA1111", "active", 1, "active/A/AAAA1111"},
        /* names are whole words, in any of the separators */
        {"AAAA1111", "inactive actives act", 1, "active/AAAA1111"},
        {"AAAA1111", "incoming\tactive,defer", 1, "active/A/AAAA1111"},
        {"AAAA1111", "", 1, "active/AAAA1111"},
        {"AAAA1111", " , ", 1, "active/AAAA1111"},
        {"AAAA1111", "active", 0, "active/AAAA1111"},
        /* shorter than its directories; a `z` too early to be the separator of a long id */
        {"A1", "active", 3, "active/A/1/_/A1"},
        {"BCDFGHJKLz1", "active", 1, "active/B/BCDFGHJKLz1"},
        /* 0x1234 microseconds: five digits */
        {"4jX5Rd01jcz1", "active", 2, "active/0/1/4jX5Rd01jcz1"},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char path[QUEUE_PATH_SIZE];

        cr_expect_eq(queue_file_path(path, sizeof path, "active", table[i].id, table[i].hashed,
                                     table[i].depth),
                     0);
        cr_expect_str_eq(path, table[i].path);
    }
}

Test(queue_file, no_path_leaves_the_queue)
{
    static const char *const bad[] = {"",    ".",   "..",  "../x",     "a/b", "/etc",
                                      "a b", "a.b", "a\n", "\xc3\xa9", "a-b", "~"};
    char path[QUEUE_PATH_SIZE] = "untouched";

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect_eq(queue_file_path(path, sizeof path, "active", bad[i], "", 1), -EINVAL, "%s",
                     bad[i]);
        cr_expect_eq(queue_file_path(path, sizeof path, bad[i], "A1", "", 1), -EINVAL, "%s",
                     bad[i]);
        cr_expect_str_eq(path, "untouched");
    }
    cr_expect_not(queue_name_valid("act_ive"));
    cr_expect(queue_id_valid("A_1"));
}

Test(queue_file, longest_path)
{
    char name[QUEUE_NAME_MAX + 2];
    char id[QUEUE_ID_MAX + 2];
    char path[QUEUE_PATH_SIZE];

    memset(name, 'n', sizeof name);
    memset(id, 'I', sizeof id);
    name[QUEUE_NAME_MAX + 1] = '\0';
    id[QUEUE_ID_MAX + 1] = '\0';
    cr_expect_not(queue_name_valid(name));
    cr_expect_not(queue_id_valid(id));
    name[QUEUE_NAME_MAX] = '\0';
    id[QUEUE_ID_MAX] = '\0';
    cr_expect_eq(queue_file_path(path, sizeof path, name, id, name, QUEUE_HASH_DEPTH_MAX), 0);
    cr_expect_eq(queue_file_path(path, sizeof path - 1, name, id, name, QUEUE_HASH_DEPTH_MAX),
                 -ENAMETOOLONG);
    cr_expect_eq(queue_file_path(path, sizeof path, name, id, name, QUEUE_HASH_DEPTH_MAX + 1),
                 -EINVAL);
}

struct queue {
    char directory[64];
    int fd;
};

static void queue_make(struct queue *queue)
{
    strcpy(queue->directory, "/tmp/test_queue_file.XXXXXX");
    cr_assert_not_null(mkdtemp(queue->directory));
    queue->fd = open(queue->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(queue->fd, 0);
    cr_assert_eq(mkdirat(queue->fd, "active", 0700), 0);
}

static void queue_remove(struct queue *queue, const char *file)
{
    unlinkat(queue->fd, file, 0);
    unlinkat(queue->fd, file, AT_REMOVEDIR);
    cr_expect_eq(unlinkat(queue->fd, "active", AT_REMOVEDIR), 0);
    close(queue->fd);
    cr_expect_eq(rmdir(queue->directory), 0);
}

static int queue_file(const struct queue *queue)
{
    int fd = openat(queue->fd, "active/A1", O_RDWR | O_CREAT | O_CLOEXEC, 0700);

    cr_assert_geq(fd, 0);
    return fd;
}

Test(queue_file, shares_the_lock_with_agents_and_keeps_qmgr_out)
{
    struct queue queue;
    int agent;
    int qmgr;
    int fd;

    queue_make(&queue);
    agent = queue_file(&queue);
    qmgr = queue_file(&queue);
    cr_assert_eq(flock(agent, LOCK_SH | LOCK_NB), 0);
    fd = queue_file_lock(queue.fd, "active/A1");
    cr_assert_geq(fd, 0);
    cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    cr_expect_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    close(agent);
    cr_expect_eq(flock(qmgr, LOCK_EX | LOCK_NB), -1);
    close(fd);
    cr_expect_eq(flock(qmgr, LOCK_EX | LOCK_NB), 0);
    cr_expect_eq(queue_file_lock(queue.fd, "active/A1"), -EWOULDBLOCK);
    close(qmgr);
    queue_remove(&queue, "active/A1");
}

/* Without being stopped by a fifo that nobody writes to; the limit of time is criterion's. */
Test(queue_file, only_regular_files, .timeout = 10)
{
    struct queue queue;

    queue_make(&queue);
    cr_expect_eq(queue_file_lock(queue.fd, "active/A1"), -ENOENT);
    cr_assert_eq(mkfifoat(queue.fd, "active/A1", 0700), 0);
    cr_expect_eq(queue_file_lock(queue.fd, "active/A1"), -EINVAL);
    cr_assert_eq(unlinkat(queue.fd, "active/A1", 0), 0);
    cr_assert_eq(symlinkat("/etc/passwd", queue.fd, "active/A1"), 0);
    cr_expect_eq(queue_file_lock(queue.fd, "active/A1"), -ELOOP);
    cr_assert_eq(unlinkat(queue.fd, "active/A1", 0), 0);
    cr_assert_eq(mkdirat(queue.fd, "active/A1", 0700), 0);
    cr_expect_eq(queue_file_lock(queue.fd, "active/A1"), -EINVAL);
    queue_remove(&queue, "active/A1");
}

/* Every failure closes what it opened. */
Test(queue_file, no_descriptor_leaks)
{
    struct queue queue;
    int before;
    int after;
    int qmgr;

    queue_make(&queue);
    qmgr = queue_file(&queue);
    cr_assert_eq(flock(qmgr, LOCK_EX | LOCK_NB), 0);
    before = dup(0);
    close(before);
    cr_expect_eq(queue_file_lock(queue.fd, "active/A1"), -EWOULDBLOCK);
    cr_expect_eq(queue_file_lock(queue.fd, "active"), -EINVAL);
    after = dup(0);
    close(after);
    cr_expect_eq(after, before);
    close(qmgr);
    queue_remove(&queue, "active/A1");
}

Test(queue_file, moved)
{
    struct queue queue;

    queue_make(&queue);
    cr_expect(queue_file_moved(queue.fd, "active/A1"));
    close(queue_file(&queue));
    cr_expect_not(queue_file_moved(queue.fd, "active/A1"));
    cr_assert_eq(renameat(queue.fd, "active/A1", queue.fd, "A1"), 0);
    cr_expect(queue_file_moved(queue.fd, "active/A1"));
    cr_expect_not(queue_file_moved(-1, "active/A1"), "what cannot be told");
    queue_remove(&queue, "A1");
}

Test(queue_file, writable)
{
    int fd = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

    cr_expect_eq(queue_writable(fd, NULL), 0);
    close(fd);
    cr_expect_eq(queue_writable(-1, NULL), 0, "what cannot be told");
}
