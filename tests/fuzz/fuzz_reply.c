/*
 * Any bytes as a worker's greeting and as its final reply. A prefix of what is complete wants more; a status 0 is only
 * read from bytes that end in just that.
 */

#include "agents/greeting.h"
#include "agents/limits.h"
#include "agents/merge.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds) {
        abort();
    }
}

/* A block of exactly `len` bytes, so that one read too many is seen. */
static char *copy_of(const uint8_t *data, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);

    check(copy != NULL);
    memcpy(copy, data, len);
    return copy;
}

static void as_greeting(const uint8_t *data, size_t size)
{
    char *bytes = copy_of(data, size);
    size_t length = 0;
    int rc = greeting_parse(bytes, size, &length);

    free(bytes);
    check(rc == 0 ? length <= size && length <= GREETING_MAX
                  : rc == -EAGAIN || rc == -EBADMSG || rc == -EMSGSIZE);
    if (rc == 0) {
        bytes = copy_of(data, length - 1);
        check(greeting_parse(bytes, length - 1, &length) == -EAGAIN);
        free(bytes);
    }
}

static void as_reply(const uint8_t *data, size_t size)
{
    char *bytes = copy_of(data, size);
    struct reply reply;
    struct merge merge;
    const char *merged;
    size_t merged_size;
    size_t length;
    int rc = reply_parse(bytes, size, &reply);

    if (rc != 0) {
        check(rc == -EAGAIN || rc == -EBADMSG || rc == -EMSGSIZE);
        free(bytes);
        return;
    }
    length = reply.length;
    check(length <= size && length <= REPLY_BYTES_MAX);
    /* All bytes but the digits of the status are given by the format. */
    check(length > sizeof "status");
    check(reply.status != 0 || bytes[length - 3] == '0');
    merge_init(&merge, 2);
    check(merge_add(&merge, &reply, bytes) == 0);
    check(merge_add(&merge, &reply, bytes) == 0);
    check(merge_done(&merge, &merged, &merged_size) == 0);
    check(reply.status != 0 && reply.dsn[0] == '\0'
              ? merged == reply_deferred
              : merged_size == length && memcmp(merged, bytes, length) == 0);
    merge_free(&merge);
    free(bytes);
    bytes = copy_of(data, length - 1);
    check(reply_parse(bytes, length - 1, &reply) == -EAGAIN);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    as_greeting(data, size);
    as_reply(data, size);
    return 0;
}
