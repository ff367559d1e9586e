/* supervisor/base/file.c: a file is read whole, and replaced as a whole or not at all. */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/file.h"

static size_t read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, text, size - 1);

    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
    return length > 0 ? (size_t)length : 0;
}

/* A disk without room for it: the old text stays, and nothing lies beside it. */
Test(file, a_text_that_does_not_fit_leaves_the_old_one)
{
    char directory[] = "/tmp/headroom-replace.XXXXXX";
    char text[64];
    char path[80];
    int fd;

    cr_assert_not_null(mkdtemp(directory));
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(path, sizeof path, "%s/file", directory);
    cr_assert_eq(file_replace(fd, "file", "beside", 0600, false, "old text", 8), 0);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){10, RLIM_INFINITY});
    cr_expect_eq(file_replace(fd, "file", "beside", 0600, false, "this is far too long", 20),
                 -EFBIG);
    cr_expect_eq(read_file(path, text, sizeof text), 8);
    cr_expect_str_eq(text, "old text");
    cr_expect_eq(faccessat(fd, "beside", F_OK, 0), -1);
    /* A pipe that nobody reads, in its place: no hanging; it goes. */
    cr_assert_eq(mkfifoat(fd, "beside", 0600), 0);
    cr_expect_eq(file_replace(fd, "file", "beside", 0600, false, "new", 3), 0);
    cr_expect_eq(read_file(path, text, sizeof text), 3);
    cr_expect_str_eq(text, "new");
    cr_expect_eq(faccessat(fd, "beside", F_OK, 0), -1);
    /* Nor is a link followed that somebody has put there. */
    cr_assert_eq(symlinkat("file", fd, "beside"), 0);
    cr_assert_eq(linkat(fd, "file", fd, "kept", 0), 0);
    cr_expect_eq(file_replace(fd, "file", "beside", 0600, false, "more", 4), 0);
    cr_expect_eq(faccessat(fd, "beside", F_OK, AT_SYMLINK_NOFOLLOW), -1);
    snprintf(path, sizeof path, "%s/kept", directory);
    cr_expect_eq(read_file(path, text, sizeof text), 3);
    unlinkat(fd, "kept", 0);
    snprintf(path, sizeof path, "%s/file", directory);
    cr_assert_eq(file_replace(fd, "file", "beside", 0600, false, "new", 3), 0);
    /* Nor is a directory of that name any reason to lose the file. */
    cr_assert_eq(mkdirat(fd, "beside", 0700), 0);
    cr_expect_eq(file_replace(fd, "file", "beside", 0600, true, "newer", 5), -EISDIR);
    cr_expect_eq(read_file(path, text, sizeof text), 3);
    unlinkat(fd, "beside", AT_REMOVEDIR);
    unlinkat(fd, "file", 0);
    close(fd);
    cr_expect_eq(rmdir(directory), 0);
}

/* What is read is a regular file of bounded size. */
Test(file, reads_no_more_than_it_may)
{
    char directory[] = "/tmp/headroom-read.XXXXXX";
    char *text = NULL;
    size_t length = 0;
    int at, fd;

    cr_assert_not_null(mkdtemp(directory));
    at = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_expect_eq(file_read(at, 100, &text, &length), -EISDIR);
    cr_assert_eq(file_replace(at, "file", "beside", 0600, true, "five\n", 5), 0);
    fd = openat(at, "file", O_RDONLY | O_CLOEXEC);
    cr_expect_eq(file_read(fd, 4, &text, &length), -EFBIG);
    cr_assert_eq(file_read(fd, 5, &text, &length), 0);
    cr_expect_eq(length, 5);
    cr_expect_arr_eq(text, "five\n", 5);
    free(text);
    close(fd);
    cr_assert_eq(mkfifoat(at, "pipe", 0600), 0);
    fd = openat(at, "pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    cr_expect_eq(file_read(fd, 5, &text, &length), -EINVAL);
    close(fd);
    unlinkat(at, "pipe", 0);
    unlinkat(at, "file", 0);
    close(at);
    cr_expect_eq(rmdir(directory), 0);
}
