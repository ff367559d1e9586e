#ifndef AGENTS_ATTR_H
#define AGENTS_ATTR_H

/*
 * Attribute lists, the wire format of all of Postfix's internal protocols (postfix-protocol.md 3).
 *
 * A list is any number of (name NUL value NUL), closed by an empty name, that is one more NUL. A
 * value may be empty. Nothing here allocates or does I/O. All sizes are bytes.
 */

#include <stddef.h>
#include <stdint.h>

/* Pointers into the caller's buffer; both texts end with a NUL there. */
struct attr_pair {
    const char *name;
    const char *value;
    size_t value_len; /* without the NUL */
};

/*
 * Takes the next pair of the list at bytes + *at; bytes up to len are there.
 *   1          a pair; *at is behind it
 *   0          end of the list; *at is behind the closing NUL
 *   -EAGAIN    not complete yet, *at is unchanged
 *   -EMSGSIZE  name longer than ATTR_NAME_MAX or value longer than ATTR_VALUE_MAX, *at is unchanged
 */
int attr_next(const char *bytes, size_t len, size_t *at, struct attr_pair *pair);

/*
 * Decimal numbers as Postfix sends them: digits only, -1 is all ones (int: 4294967295). 0, or
 * -EINVAL when the text is empty, has anything but digits in it, or does not fit; *number is then
 * unchanged.
 */
int attr_int(const char *text, uint32_t *number);
int attr_long(const char *text, uint64_t *number);

/*
 * Base64 of exactly `size` bytes of data into `data`. 0, -EINVAL when it is no base64 or of another
 * size; data is then unchanged. At most ATTR_DATA_MAX bytes.
 */
#define ATTR_DATA_MAX 256
int attr_data(const char *text, void *data, size_t size);

#endif
