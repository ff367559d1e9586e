/* agents/worker.c: the socket of a worker, and what a program finds when it is executed as one. */

#include "agents/worker.h"

#include "agents/master.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void enter_directory(void)
{
    static char directory[] = "/tmp/headroom-test-XXXXXX";

    cr_assert(mkdtemp(directory) && chdir(directory) == 0);
}

static void leave_directory(void)
{
    char directory[64];

    cr_assert_not_null(getcwd(directory, sizeof directory));
    cr_assert_eq(rmdir(directory), 0, "something is left in it");
}

Test(worker, listens_and_is_connected_to)
{
    struct stat status;
    int listening, client, server;
    char byte;

    enter_directory();
    umask(077);
    cr_assert_eq(worker_connect(3), -ENOENT);
    listening = worker_listen(3);
    cr_assert_geq(listening, 0);
    cr_assert(fcntl(listening, F_GETFD) & FD_CLOEXEC);
    cr_assert(fcntl(listening, F_GETFL) & O_NONBLOCK);
    cr_assert_eq(lstat("worker.3", &status), 0);
    cr_assert(S_ISSOCK(status.st_mode) && (status.st_mode & 077) == 0);

    /* Connected before anybody accepts, and still there when the name is not. */
    client = worker_connect(3);
    cr_assert_geq(client, 0);
    cr_assert(fcntl(client, F_GETFD) & FD_CLOEXEC);
    cr_assert(fcntl(client, F_GETFL) & O_NONBLOCK);
    cr_assert_eq(unlink("worker.3"), 0);
    cr_assert_eq(worker_connect(3), -ENOENT);
    server = accept(listening, NULL, NULL);
    cr_assert_geq(server, 0);
    cr_assert_eq(write(client, "x", 1), 1);
    cr_assert_eq(read(server, &byte, 1), 1);

    /* One that waits in the backlog sees the end of the worker. */
    cr_assert_eq(worker_connect(4), -ENOENT);
    close(listening);
    listening = worker_listen(4);
    client = worker_connect(4);
    close(listening);
    cr_assert_leq(read(client, &byte, 1), 0);
    cr_assert_neq(errno, EAGAIN);
    cr_assert_eq(worker_connect(4), -ECONNREFUSED);

    /* What a predecessor left in its place does not matter. */
    listening = worker_listen(4);
    cr_assert_geq(listening, 0);
    cr_assert_geq(worker_connect(4), 0);
    cr_assert_eq(unlink("worker.4"), 0);
    leave_directory();
}

Test(worker, sweep_takes_sockets_and_nothing_else)
{
    enter_directory();
    cr_assert_eq(worker_sweep(NULL, NULL), 0);
    for (unsigned i = 0; i < 20; i++)
        close(worker_listen(i * 37));
    close(open("last-good.json", O_CREAT | O_WRONLY, 0600));
    close(open("workers", O_CREAT | O_WRONLY, 0600));
    cr_assert_eq(worker_sweep(NULL, NULL), 0);
    cr_assert_eq(unlink("last-good.json"), 0);
    cr_assert_eq(unlink("workers"), 0);
    leave_directory();
}

static int left[64];
static unsigned left_count;

static void on_left(void *context, int fd)
{
    cr_expect_eq(context, left);
    left[left_count++] = fd;
}

/* In a process of its own, as each supervisor has: names have its pid. */
static void sweep(unsigned running)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct pollfd watch;

        left_count = 0;
        if (worker_sweep(on_left, left) != 0 || left_count != running)
            _exit(1);
        for (unsigned i = 0; i < left_count; i++) {
            watch = (struct pollfd){.fd = left[i], .events = POLLIN};
            if (poll(&watch, 1, 0) != 0)
                _exit(2); /* busy, and yet readable */
        }
        _exit(0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(status, 0, "%u: %x", running, (unsigned)status);
}

/* Workers are told of by each sweep for as long as somebody listens, and new ones have their numbers. */
Test(worker, sweep_tells_of_those_that_run)
{
    int listening[10];

    enter_directory();
    for (unsigned i = 0; i < 10; i++)
        listening[i] = worker_listen(i);
    close(worker_listen(10));
    sweep(10);
    cr_assert_eq(worker_connect(3), -ENOENT, "the name is free");
    for (unsigned i = 0; i < 5; i++)
        close(listening[i]);
    listening[0] = worker_listen(7);
    sweep(6);
    close(listening[0]);
    sweep(5);
    cr_assert_eq(worker_sweep(on_left, left), 0);
    cr_assert_eq(left_count, 5);
    /* The end of a worker is seen on its connection. */
    for (unsigned i = 5; i < 10; i++)
        close(listening[i]);
    for (unsigned i = 0; i < 5; i++) {
        struct pollfd watch = {.fd = left[i], .events = POLLIN};

        cr_expect_eq(poll(&watch, 1, 0), 1);
        close(left[i]);
    }
    sweep(0);
    /* At the end, those of a predecessor stay while it runs. */
    close(worker_listen(1));
    listening[0] = worker_listen(2);
    cr_assert_eq(rename("worker.2", "left.1.2"), 0);
    cr_assert_eq(worker_sweep(NULL, NULL), 0);
    cr_expect_eq(access("worker.1", F_OK), -1);
    cr_expect_eq(access("left.1.2", F_OK), 0);
    close(listening[0]);
    cr_assert_eq(worker_sweep(NULL, NULL), 0);
    leave_directory();
}

/* Runs the shell as a worker; what it writes comes back. `at` and `other` are where its listening
 * socket and its status channel are before. */
static void run(const char *path, const char *script, int at, int other, char *output, size_t size,
                ino_t inode[2], int *status)
{
    /* argv is not changed, but exec wants it so. */
    static char shell[] = "sh", option[] = "-c", entry[] = "GENERATION=17";
    char text[1024];
    char *argv[] = {shell, option, text, NULL};
    char *environment[] = {entry, NULL};
    int out[2], pair[2], listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t have = 0;
    ssize_t got;
    struct stat found;
    pid_t pid;

    snprintf(text, sizeof text, "%s", script);
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    cr_assert_eq(fstat(listening, &found), 0);
    inode[0] = found.st_ino;
    cr_assert_eq(fstat(pair[0], &found), 0);
    inode[1] = found.st_ino;
    pid = fork();
    if (pid == 0) {
        /* The test's own descriptors are in the way: all above all that matters, then away. */
        int high[3] = {fcntl(out[1], F_DUPFD, 60), fcntl(listening, F_DUPFD, 60),
                       fcntl(pair[0], F_DUPFD, 60)};

        close_range(3, 59, 0);
        close_range(63, ~0U, 0);
        dup2(open("/dev/null", O_RDONLY), MASTER_FLOW_READ);
        dup2(MASTER_FLOW_READ, MASTER_FLOW_WRITE);
        dup2(high[0], STDOUT_FILENO);
        dup3(high[1], at, O_CLOEXEC);
        dup3(high[2], other, O_CLOEXEC);
        /* Of the parent there are always some more. */
        dup3(high[0], 20, O_CLOEXEC);
        close_range(60, ~0U, 0);
        worker_execute(path, argv, environment, at, other);
    }
    close(out[1]);
    while (have < size - 1 && (got = read(out[0], output + have, size - 1 - have)) > 0)
        have += (size_t)got;
    output[have] = '\0';
    cr_assert_eq(waitpid(pid, status, 0), pid);
    close(out[0]);
    close(pair[0]);
    close(pair[1]);
    close(listening);
}

/* Wherever the two were, and even in each other's places. 7 is the directory that the shell reads. */
Test(worker, is_executed_with_its_descriptors_in_their_places)
{
    static const int places[][2] = {{9, 10}, {6, 5}, {5, 6}, {7, 6}, {5, 30}, {6, 31}, {8, 5}};
    static const char script[] = "echo $GENERATION; umask; readlink /proc/$$/fd/5 /proc/$$/fd/6; "
                                 "cd /proc/$$/fd; echo *";

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char output[512], want[512];
        ino_t inode[2];
        int status;

        run("/bin/sh", script, places[i][0], places[i][1], output, sizeof output, inode, &status);
        snprintf(want, sizeof want, "17\n0077\nsocket:[%lu]\nsocket:[%lu]\n0 1 2 3 4 5 6 7\n",
                 (unsigned long)inode[1], (unsigned long)inode[0]);
        cr_assert_eq(status, 0);
        cr_assert_str_eq(output, want, "listening %d, status %d: %s", places[i][0], places[i][1],
                         output);
    }
}

Test(worker, that_cannot_be_executed)
{
    char output[16];
    ino_t inode[2];
    int status;

    run("/nowhere/lmtp", "exit 0", 9, 10, output, sizeof output, inode, &status);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 127);
}
