/*
 * Any bytes as a delivery request: parsed whole and in pieces with the same result; what is accepted is walked, split,
 * written, merged and redirected, and every part must be a request with the same recipients.
 */

#include "agents/limits.h"
#include "agents/queue_file.h"
#include "agents/redirect.h"
#include "agents/split.h"

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

static void in_pieces(const uint8_t *data, size_t size, const struct request *whole)
{
    struct request request;
    size_t step = size > 0 ? data[size - 1] % 16 + 1 : 1;
    size_t len = 0;
    int rc = -EAGAIN;

    request_init(&request);
    while (rc == -EAGAIN && len < size) {
        char *bytes;

        len = size - len < step ? size : len + step;
        bytes = copy_of(data, len);
        rc = request_parse(&request, bytes, len);
        free(bytes);
    }
    check(rc == whole->result);
    check(request.refusal == whole->refusal);
    check(request.length == whole->length && request.recipients == whole->recipients);
    check(request.recipient_count == whole->recipient_count && request.flags == whole->flags);
    check(request.nexthop.offset == whole->nexthop.offset);
    check(request.nexthop.len == whole->nexthop.len);
}

static uint64_t recipients_hash(const struct request *request, const char *bytes)
{
    struct request_recipient recipient;
    size_t at = request->recipients;
    uint64_t sum = 0;
    uint32_t count = 0;
    int rc;

    while ((rc = request_recipient(request, bytes, &at, &recipient)) == 1) {
        uint64_t hash = 14695981039346656037u;

        check(strlen(recipient.recipient) == recipient.recipient_len);
        for (size_t i = recipient.start; i < recipient.end; i++) {
            hash = (hash ^ (unsigned char)bytes[i]) * 1099511628211u;
        }
        sum += hash;
        count++;
    }
    check(rc == 0 && count == request->recipient_count && at == request->length);
    return sum;
}

static void in_parts(const struct request *request, const char *bytes, split_key *key)
{
    struct split split;
    uint64_t sum = 0;

    check(split_plan(&split, request, bytes, key) == 0);
    for (uint32_t part = 0; part < split.part_count; part++) {
        size_t size = split.parts[part].size;
        char *piece = malloc(size);
        struct request parsed;

        check(piece != NULL);
        check(split_write(&split, request, bytes, part, piece, size) == 0);
        request_init(&parsed);
        check(request_parse(&parsed, piece, size) == 0);
        check(parsed.length == size);
        check(parsed.recipient_count == split.parts[part].recipient_count);
        sum += recipients_hash(&parsed, piece);
        free(piece);
    }
    check(sum == recipients_hash(request, bytes));
    split_free(&split);
}

static void redirected(const struct request *request, const char *bytes)
{
    static const char text[] = "4.3.2 memory is short";
    struct iovec pieces[REDIRECT_PIECES];
    struct request parsed;
    size_t size = 0;
    size_t at = 0;
    char *copy;

    check(redirect_request(request, bytes, text, pieces, &size) == 0);
    copy = malloc(size);
    check(copy != NULL);
    for (int i = 0; i < REDIRECT_PIECES; i++) {
        memcpy(copy + at, pieces[i].iov_base, pieces[i].iov_len);
        at += pieces[i].iov_len;
    }
    request_init(&parsed);
    check(request_parse(&parsed, copy, size) == 0);
    check(parsed.length == size);
    check(strcmp(copy + parsed.nexthop.offset, text) == 0);
    check(recipients_hash(&parsed, copy) == recipients_hash(request, bytes));
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = copy_of(data, size);
    struct request request;

    request_init(&request);
    if (request_parse(&request, bytes, size) == 0) {
        char path[QUEUE_PATH_SIZE];

        check(queue_file_path(path, sizeof path, bytes + request.queue_name.offset,
                              bytes + request.queue_id.offset, "active", 2) == 0);
        check(strstr(path, "..") == NULL && path[0] != '/');
        in_parts(&request, bytes, split_key_domain);
        in_parts(&request, bytes, split_key_recipient);
        redirected(&request, bytes);
    }
    in_pieces(data, size, &request);
    free(bytes);
    return 0;
}
