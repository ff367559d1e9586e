/* agents/marks.c: what is marked in a queue file, by a request that was captured. */

#include "agents/marks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/wire.h"

/* Two recipients, at 627 and 705. */
static int marks(char first, char second, size_t length)
{
    struct wire request = wire(WIRE_REQUEST);
    int fd = memfd_create("queue", MFD_CLOEXEC), result;

    cr_assert_geq(fd, 0);
    cr_assert_eq(ftruncate(fd, (off_t)length), 0);
    if (length > 627)
        cr_assert_eq(pwrite(fd, &first, 1, 627), 1);
    if (length > 705)
        cr_assert_eq(pwrite(fd, &second, 1, 705), 1);
    result = marks_done(fd, request.bytes, request.len);
    close(fd);
    wire_free(&request);
    return result;
}

Test(marks, all_are_done_or_not)
{
    cr_expect_eq(marks('D', 'D', 1000), 1);
    cr_expect_eq(marks('D', 'R', 1000), 0);
    cr_expect_eq(marks('R', 'D', 1000), 0);
    cr_expect_eq(marks('R', 'R', 1000), 0);
}

/* What is no recipient there proves nothing. */
Test(marks, another_file)
{
    cr_expect_eq(marks('D', 'N', 1000), -ENOENT);
    cr_expect_eq(marks('\0', 'D', 1000), -ENOENT);
    cr_expect_eq(marks('D', 'D', 700), -ENOENT, "a file that ends before");
}

Test(marks, without_a_record_or_a_file)
{
    struct wire request =
        wire(WIRE_COMMON "recipient_count|1||"
                         "original_recipient||recipient|u@a|offset|18446744073709551615|"
                         "dsn_orig_rcpt||notify_flags|0||");
    int fd = memfd_create("queue", MFD_CLOEXEC);

    cr_expect_eq(marks_done(fd, request.bytes, request.len), -ENOENT);
    cr_expect_eq(marks_done(fd, request.bytes, request.len - 1), -EBADMSG);
    close(fd);
    wire_free(&request);
    request = wire(WIRE_REQUEST);
    cr_expect_eq(marks_done(-1, request.bytes, request.len), -EBADF);
    wire_free(&request);
}
