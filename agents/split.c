#include "agents/split.h"

#include "agents/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(REQUEST_BYTES_MAX <= UINT32_MAX, "positions in a request are 32 bits wide");

#define COUNT_SIZE sizeof "4294967295"

/* Not tolower(3): that depends on the locale. */
static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

void split_key_domain(const char *recipient, size_t recipient_len, struct request_text *key)
{
    const char *at = memrchr(recipient, '@', recipient_len);

    key->offset = at == NULL ? recipient_len : (size_t)(at - recipient) + 1;
    key->len = recipient_len - key->offset;
}

void split_key_recipient(const char *recipient, size_t recipient_len, struct request_text *key)
{
    (void)recipient;
    key->offset = 0;
    key->len = recipient_len;
}

void split_key_none(const char *recipient, size_t recipient_len, struct request_text *key)
{
    (void)recipient;
    (void)recipient_len;
    key->offset = 0;
    key->len = 0;
}

static int compare_keys(const char *bytes, const struct split_recipient *a,
                        const struct split_recipient *b)
{
    if (a->key_len != b->key_len)
        return a->key_len < b->key_len ? -1 : 1;
    for (uint32_t i = 0; i < a->key_len; i++) {
        int difference = lower(bytes[a->key + i]) - lower(bytes[b->key + i]);

        if (difference != 0)
            return difference;
    }
    return 0;
}

static int by_index(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int by_key(const void *left, const void *right, void *bytes)
{
    const struct split_recipient *a = left;
    const struct split_recipient *b = right;
    int order = compare_keys(bytes, a, b);

    return order != 0 ? order : by_index(a->index, b->index);
}

static int by_group(const void *left, const void *right)
{
    const struct split_recipient *a = left;
    const struct split_recipient *b = right;
    int order = by_index(a->group, b->group);

    return order != 0 ? order : by_index(a->index, b->index);
}

static int read_recipients(struct split *split, const struct request *request, const char *bytes,
                           split_key *key)
{
    struct request_recipient recipient;
    size_t at = request->recipients;

    for (uint32_t i = 0; i < split->recipient_count; i++) {
        struct split_recipient *entry = &split->recipients[i];
        struct request_text text = {0, 0};
        int rc = request_recipient(request, bytes, &at, &recipient);

        if (rc <= 0)
            return -EBADMSG;
        key(recipient.recipient, recipient.recipient_len, &text);
        if (text.offset > recipient.recipient_len ||
            text.len > recipient.recipient_len - text.offset)
            return -EBADMSG;
        entry->start = (uint32_t)recipient.start;
        entry->end = (uint32_t)recipient.end;
        entry->key = (uint32_t)((size_t)(recipient.recipient - bytes) + text.offset);
        entry->key_len = (uint32_t)text.len;
        entry->index = i;
    }
    return 0;
}

/* Gives every recipient its group, and returns the number of groups. There is at least one
 * recipient. */
static uint32_t group(struct split *split, const char *bytes)
{
    struct split_recipient *entry = split->recipients;
    uint32_t groups = 1;
    /* qsort_r passes it through as void *; by_key only reads. */
    union {
        const char *from;
        void *to;
    } pass = {.from = bytes};

    qsort_r(entry, split->recipient_count, sizeof *entry, by_key, pass.to);
    entry[0].group = entry[0].index;
    for (uint32_t i = 1; i < split->recipient_count; i++) {
        if (compare_keys(bytes, &entry[i - 1], &entry[i]) == 0) {
            entry[i].group = entry[i - 1].group;
        } else {
            entry[i].group = entry[i].index;
            groups++;
        }
    }
    qsort(entry, split->recipient_count, sizeof *entry, by_group);
    return groups;
}

static size_t count_text(char *text, uint32_t count)
{
    return (size_t)snprintf(text, COUNT_SIZE, "%" PRIu32, count);
}

size_t split_common_size(const struct request *request, uint32_t count)
{
    char text[COUNT_SIZE];

    return request->recipients - request->count.len + count_text(text, count);
}

char *split_common(const struct request *request, const char *bytes, uint32_t count, char *buffer)
{
    size_t behind_count = request->count.offset + request->count.len;
    char text[COUNT_SIZE];

    buffer = mempcpy(buffer, bytes, request->count.offset);
    buffer = mempcpy(buffer, text, count_text(text, count));
    return mempcpy(buffer, bytes + behind_count, request->recipients - behind_count);
}

static void fill_parts(struct split *split, const struct request *request)
{
    struct split_part *part = split->parts - 1;

    for (uint32_t i = 0; i < split->recipient_count; i++) {
        const struct split_recipient *entry = &split->recipients[i];

        if (i == 0 || entry->group != entry[-1].group) {
            part++;
            *part = (struct split_part){
                .key = {entry->key, entry->key_len},
                .first = i,
            };
        }
        part->recipient_count++;
        part->size += entry->end - entry->start;
    }
    for (uint32_t i = 0; i < split->part_count; i++)
        split->parts[i].size += split_common_size(request, split->parts[i].recipient_count);
}

int split_plan(struct split *split, const struct request *request, const char *bytes,
               split_key *key)
{
    int rc;

    memset(split, 0, sizeof *split);
    if (request->result != 0 || request->recipient_count == 0)
        return -EBADMSG;
    split->recipient_count = request->recipient_count;
    split->recipients = calloc(split->recipient_count, sizeof *split->recipients);
    if (split->recipients == NULL) {
        rc = -ENOMEM;
        goto fail;
    }
    rc = read_recipients(split, request, bytes, key);
    if (rc < 0)
        goto fail;
    split->part_count = group(split, bytes);
    split->parts = calloc(split->part_count, sizeof *split->parts);
    if (split->parts == NULL) {
        rc = -ENOMEM;
        goto fail;
    }
    fill_parts(split, request);
    return 0;
fail:
    split_free(split);
    return rc;
}

void split_free(struct split *split)
{
    free(split->recipients);
    free(split->parts);
    memset(split, 0, sizeof *split);
}

int split_write(const struct split *split, const struct request *request, const char *bytes,
                uint32_t part, char *buffer, size_t size)
{
    const struct split_part *chosen;
    char *to;

    if (part >= split->part_count)
        return -EINVAL;
    chosen = &split->parts[part];
    if (size < chosen->size)
        return -EMSGSIZE;
    to = split_common(request, bytes, chosen->recipient_count, buffer);
    for (uint32_t i = 0; i < chosen->recipient_count; i++) {
        const struct split_recipient *entry = &split->recipients[chosen->first + i];

        to = mempcpy(to, bytes + entry->start, entry->end - entry->start);
    }
    return 0;
}
