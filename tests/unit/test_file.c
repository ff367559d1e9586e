/* supervisor/base/file.c: a file is replaced as a whole, or not at all. */

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
    cr_assert_eq(replace_file(fd, "file", "beside", 0600, "old text", 8), 0);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){10, RLIM_INFINITY});
    cr_expect_eq(replace_file(fd, "file", "beside", 0600, "this is far too long", 20), -EFBIG);
    cr_expect_eq(read_file(path, text, sizeof text), 8);
    cr_expect_str_eq(text, "old text");
    cr_expect_eq(faccessat(fd, "beside", F_OK, 0), -1);
    /* A pipe that nobody reads, in its place: no hanging. */
    cr_assert_eq(mkfifoat(fd, "beside", 0600), 0);
    cr_expect_eq(replace_file(fd, "file", "beside", 0600, "new", 3), -ENXIO);
    unlinkat(fd, "beside", 0);
    unlinkat(fd, "file", 0);
    close(fd);
    cr_expect_eq(rmdir(directory), 0);
}
