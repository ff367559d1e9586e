#include "agents/marks.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include "agents/request.h"

/* The record types of a recipient: to be delivered, and done. */
#define RECORD_RECIPIENT 'R'
#define RECORD_DONE 'D'

/* 1, 0, or a negative errno. What is neither of the two types is not the record of a recipient. */
static int mark_done(int fd, int64_t offset)
{
    ssize_t got;
    char type;

    if (offset <= 0)
        return -ENOENT;
    do
        got = pread(fd, &type, 1, (off_t)offset);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    if (got == 0 || (type != RECORD_RECIPIENT && type != RECORD_DONE))
        return -ENOENT;
    return type == RECORD_DONE;
}

int marks_done(int fd, const char *bytes, size_t length)
{
    struct request_recipient recipient;
    struct request request;
    size_t at;
    int result;

    request_init(&request);
    if (request_parse(&request, bytes, length) != 0)
        return -EBADMSG;
    at = request.recipients;
    while ((result = request_recipient(&request, bytes, &at, &recipient)) == 1) {
        result = mark_done(fd, recipient.offset);
        if (result != 1)
            return result;
    }
    return result == 0 ? 1 : -EBADMSG;
}
