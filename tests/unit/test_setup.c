/* supervisor/parent/setup.c: the lock of a service, and its directory, which mail_owner could prepare. */

#include "supervisor/parent/setup.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char directory[] = "/tmp/headroom-test-XXXXXX";
static int status[2]; /* ours, and master's end */

static void enter(void)
{
    cr_assert(mkdtemp(directory) && chdir(directory) == 0 && mkdir("pid", 0755) == 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, status), 0);
}

static void leave(void)
{
    char command[128];

    cr_assert_eq(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    cr_assert_eq(system(command), 0); /* NOLINT(cert-env33-c): a name of our own */
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Another process that takes the lock and ends after that time, or when it is killed. */
static pid_t holder(const char *service, int milliseconds)
{
    int ready[2];
    char byte;
    pid_t pid;

    cr_assert_eq(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        int lock = setup_lock(service, status[0], 0);

        close(status[1]); /* master's */
        if (lock >= 0 && write(ready[1], "x", 1) == 1)
            poll(NULL, 0, milliseconds);
        _exit(0);
    }
    close(ready[1]);
    cr_assert_eq(read(ready[0], &byte, 1), 1, "it did not get the lock");
    close(ready[0]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

TestSuite(setup, .init = enter, .fini = leave);

Test(setup, only_one_process_has_the_lock_of_a_service)
{
    pid_t other = holder("lmtp", 30000);
    int64_t began = now_ms();
    struct stat found;
    int lock, free_one;

    cr_assert_eq(setup_lock("lmtp", status[0], 0), -EWOULDBLOCK);
    cr_assert_eq(setup_lock("lmtp", status[0], 100), -EWOULDBLOCK);
    cr_assert_geq(now_ms() - began, 100);
    free_one = setup_lock("lmtp-slow", status[0], 0);
    cr_assert_geq(free_one, 0, "another service");
    end(other);
    lock = setup_lock("lmtp", status[0], 0);
    cr_assert_geq(lock, 0);
    cr_assert(fcntl(lock, F_GETFD) & FD_CLOEXEC, "workers would keep it");
    cr_assert_eq(lstat("pid/headroom.lmtp", &found), 0);
    cr_assert_eq(found.st_mode & 07777, 0600);
    close(lock);
    close(free_one);
}

/* The lock is of the open file: a child that inherited it, as the dispatcher does, keeps it. */
Test(setup, the_lock_is_free_when_both_processes_have_ended)
{
    int lock = setup_lock("lmtp", status[0], 0);
    pid_t child = fork();

    if (child == 0) {
        poll(NULL, 0, 30000);
        _exit(0);
    }
    close(lock);
    cr_assert_eq(setup_lock("lmtp", status[0], 0), -EWOULDBLOCK);
    end(child);
    cr_assert_geq(setup_lock("lmtp", status[0], 0), 0);
}

Test(setup, waits_for_a_predecessor_that_ends)
{
    int64_t began = now_ms();
    pid_t other = holder("lmtp", 150);

    cr_assert_geq(setup_lock("lmtp", status[0], 10000), 0);
    cr_assert_geq(now_ms() - began, 150);
    cr_assert_lt(now_ms() - began, 5000);
    end(other);
}

Test(setup, does_not_wait_when_master_has_gone)
{
    pid_t other = holder("lmtp", 30000);
    int64_t began = now_ms();

    close(status[1]);
    cr_assert_eq(setup_lock("lmtp", status[0], 10000), -EPIPE);
    cr_assert_lt(now_ms() - began, 5000);
    end(other);
}

Test(setup, a_lock_file_that_is_a_link_or_a_directory)
{
    cr_assert_eq(symlink("../stolen", "pid/headroom.lmtp"), 0);
    cr_assert_eq(setup_lock("lmtp", status[0], 0), -ELOOP);
    cr_assert_eq(access("stolen", F_OK), -1);
    cr_assert_eq(mkdir("pid/headroom.smtp", 0700), 0);
    cr_assert_eq(setup_lock("smtp", status[0], 0), -EISDIR);
}

static const struct passwd *owner_find(void)
{
    const struct passwd *owner = geteuid() == 0 ? getpwnam("nobody") : getpwuid(geteuid());

    cr_assert_not_null(owner);
    return owner;
}

/* data_directory, as Postfix makes it. */
static void data_make(void)
{
    const struct passwd *owner = owner_find();

    cr_assert(chmod(".", 0711) == 0 && mkdir("data", 0700) == 0);
    if (geteuid() == 0)
        cr_assert_eq(chown("data", owner->pw_uid, owner->pw_gid), 0);
}

Test(setup, the_directory_is_made_for_its_owner)
{
    const struct passwd *owner = owner_find();
    struct stat found;

    data_make();
    cr_assert_eq(setup_state_directory("absent", "lmtp", owner), -ENOENT);
    for (int round = 0; round < 2; round++) {
        int fd = setup_state_directory("data", "lmtp", owner);

        cr_assert_geq(fd, 0);
        cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        cr_assert_eq(lstat("data/headroom.lmtp", &found), 0);
        cr_assert(S_ISDIR(found.st_mode) && (found.st_mode & 07777) == 0700);
        cr_assert(found.st_uid == owner->pw_uid && found.st_gid == owner->pw_gid);
        close(fd);
        cr_assert_eq(chmod("data/headroom.lmtp", 0777), 0); /* for the next round */
    }
}

Test(setup, a_directory_that_is_something_else)
{
    const struct passwd *owner = owner_find();
    struct stat found;

    data_make();
    cr_assert_eq(mkdir("target", 0755), 0);
    cr_assert_eq(symlink("../target", "data/headroom.link"), 0);
    cr_assert_eq(symlink("../nothing", "data/headroom.loose"), 0);
    close(open("data/headroom.file", O_CREAT | O_WRONLY, 0600));
    cr_assert_eq(mkfifo("data/headroom.fifo", 0600), 0);
    cr_assert_eq(setup_state_directory("data", "link", owner), -ENOTDIR);
    cr_assert_eq(setup_state_directory("data", "loose", owner), -ENOTDIR);
    cr_assert_eq(setup_state_directory("data", "file", owner), -ENOTDIR);
    cr_assert_eq(setup_state_directory("data", "fifo", owner), -ENOTDIR);
    cr_assert_eq(access("nothing", F_OK), -1);
    cr_assert_eq(lstat("target", &found), 0);
    cr_assert(found.st_uid == geteuid() && (found.st_mode & 07777) == 0755);
    if (geteuid() != 0)
        return; /* the rest needs other people */
    cr_assert_eq(mkdir("data/headroom.other", 0755), 0);
    cr_assert_eq(chown("data/headroom.other", 4242, 4242), 0);
    cr_assert_eq(setup_state_directory("data", "other", owner), -EPERM);
    cr_assert_eq(lstat("data/headroom.other", &found), 0);
    cr_assert(found.st_uid == 4242 && (found.st_mode & 07777) == 0755, "it was touched");
}

Test(setup, the_directory_of_the_copy_is_not_a_link_and_shut_for_others)
{
    struct stat found;

    for (int round = 0; round < 2; round++) { /* made, and found */
        int fd = setup_copy_directory("lmtp");

        cr_assert_geq(fd, 0);
        cr_assert_eq(fstat(fd, &found), 0);
        cr_expect_eq(found.st_mode, S_IFDIR | 0700);
        cr_expect_eq(found.st_uid, geteuid());
        close(fd);
    }
    /* The lock of no service has the same name. */
    cr_assert_eq(access("pid/headroom-copy.lmtp", F_OK), 0);
    cr_assert_eq(symlink("headroom-copy.lmtp", "pid/headroom-copy.link"), 0);
    cr_expect_eq(setup_copy_directory("link"), -ENOTDIR);
}

Test(setup, everybody_may_read_the_word_and_a_link_is_not_followed)
{
    struct stat found;
    int fd;

    umask(077);
    fd = setup_word("pid/headroom-state.lmtp", 8);
    cr_assert_geq(fd, 0);
    cr_assert_eq(fstat(fd, &found), 0);
    cr_expect_eq(found.st_mode, S_IFREG | 0644);
    close(fd);
    cr_assert_eq(symlink("headroom-state.lmtp", "pid/headroom-state.link"), 0);
    cr_expect_eq(setup_word("pid/headroom-state.link", 8), -ELOOP);
}

Test(setup, descriptors_to_the_hard_limit)
{
    struct rlimit limit;

    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max / 2;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(setup_descriptors(), 0);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(limit.rlim_cur, limit.rlim_max);
}
