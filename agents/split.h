#ifndef AGENTS_SPLIT_H
#define AGENTS_SPLIT_H

/*
 * One request for several destinations becomes one valid request per destination, and some of them
 * one again: the common list with another recipient_count, and the recipient lists of that part, in
 * their order; all else byte for byte (postfix-protocol.md 4.2, 4.3). The queue file, offsets and
 * DSN options therefore stay true, and each worker marks its own recipients.
 *
 * The plan holds positions in the request's bytes, which must stay unchanged (they may be moved) as
 * long as it is used. Cost: n log n for n recipients, whatever the recipients are called; 24 bytes
 * for each, 32 for each part.
 */

#include "agents/request.h"

#include <stddef.h>
#include <stdint.h>

/* Says which piece of a recipient names its destination: key->offset from the start of the
 * recipient. Compared without regard to the case of ASCII letters. */
typedef void split_key(const char *recipient, size_t recipient_len, struct request_text *key);

/* The domain: what follows the last `@`, empty when there is none. */
void split_key_domain(const char *recipient, size_t recipient_len, struct request_text *key);
/* The whole recipient. */
void split_key_recipient(const char *recipient, size_t recipient_len, struct request_text *key);
/* Nothing, so that all recipients go together. */
void split_key_none(const char *recipient, size_t recipient_len, struct request_text *key);

struct split_recipient {
    uint32_t start; /* its list within the bytes */
    uint32_t end;
    uint32_t key;
    uint32_t key_len;
    uint32_t index; /* its place in the request, from 0 */
    uint32_t group; /* the index of the first recipient with the same key */
};

struct split_part {
    struct request_text key;  /* within the bytes, in the case of the part's first recipient */
    uint32_t first;           /* the part's recipients are split.recipients[first] ... */
    uint32_t recipient_count; /* ... and so many, in the order of the request */
    size_t size;              /* bytes of the part as a request */
};

struct split {
    uint32_t part_count;
    uint32_t recipient_count;
    struct split_part *parts; /* in the order of their first recipients */
    struct split_recipient *recipients;
};

/*
 * Groups the recipients of a complete request. 0, and split_free is the caller's duty; -ENOMEM or
 * -EBADMSG, and there is nothing to free.
 */
int split_plan(struct split *split, const struct request *request, const char *bytes,
               split_key *key);
void split_free(struct split *split);

/* Writes the part, exactly parts[part].size bytes. 0; -EMSGSIZE when `size` is less, -EINVAL when
 * there is no such part. */
int split_write(const struct split *split, const struct request *request, const char *bytes,
                uint32_t part, char *buffer, size_t size);

/*
 * The other way round: parts of one request run as one. split_common() writes the common list of a
 * part with `count` recipients, split_common_size() bytes, and returns the place behind it;
 * recipient lists follow it, those of all parts that are joined. That fits where the request did.
 */
size_t split_common_size(const struct request *request, uint32_t count);
char *split_common(const struct request *request, const char *bytes, uint32_t count, char *buffer);

#endif
