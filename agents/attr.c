#include "agents/attr.h"

#include "agents/limits.h"

#include <errno.h>
#include <string.h>

/* The length of the text at `text`, of which `there` bytes have come and which may have `max`
 * before its NUL. */
static int text_length(const char *text, size_t there, size_t max, size_t *length)
{
    size_t search = there < max + 1 ? there : max + 1;
    const char *end = memchr(text, '\0', search);

    if (end == NULL)
        return search > max ? -EMSGSIZE : -EAGAIN;
    *length = (size_t)(end - text);
    return 0;
}

int attr_next(const char *bytes, size_t len, size_t *at, struct attr_pair *pair)
{
    size_t name_len = 0;
    size_t value_len = 0;
    size_t value_at;
    int rc;

    if (*at >= len)
        return -EAGAIN;
    rc = text_length(bytes + *at, len - *at, ATTR_NAME_MAX, &name_len);
    if (rc < 0)
        return rc;
    if (name_len == 0) {
        *at += 1;
        return 0;
    }
    value_at = *at + name_len + 1;
    rc = text_length(bytes + value_at, len - value_at, ATTR_VALUE_MAX, &value_len);
    if (rc < 0)
        return rc;
    pair->name = bytes + *at;
    pair->value = bytes + value_at;
    pair->value_len = value_len;
    *at = value_at + value_len + 1;
    return 1;
}

int attr_long(const char *text, uint64_t *number)
{
    uint64_t value = 0;

    if (*text == '\0')
        return -EINVAL;
    for (; *text != '\0'; text++) {
        unsigned digit = (unsigned char)*text - (unsigned)'0';

        if (digit > 9 || __builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value))
            return -EINVAL;
    }
    *number = value;
    return 0;
}

int attr_int(const char *text, uint32_t *number)
{
    uint64_t value = 0;
    int rc = attr_long(text, &value);

    if (rc < 0)
        return rc;
    if (value > UINT32_MAX)
        return -EINVAL;
    *number = (uint32_t)value;
    return 0;
}

/* The value of a character of the standard alphabet, or -1. */
static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* b64_pton(3) is in libresolv, which nothing else needs, and skips blanks. */
int attr_data(const char *text, void *data, size_t size)
{
    unsigned char decoded[ATTR_DATA_MAX];
    size_t digits = (size * 4 + 2) / 3; /* six bits each */
    uint32_t bits = 0;
    size_t used = 0;

    /* The padding fills the last group of four. */
    if (size > ATTR_DATA_MAX || strlen(text) != (size + 2) / 3 * 4 ||
        strspn(text + digits, "=") != strlen(text + digits))
        return -EINVAL;
    for (size_t i = 0; i < digits; i++) {
        int digit = base64_digit(text[i]);

        if (digit < 0)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)digit;
        /* Of four digits the first gives 6 bits; after the others 4, 2 and 0 are left over. */
        if (i % 4 != 0) {
            unsigned left = 6 - 2 * (unsigned)(i % 4);

            decoded[used++] = (unsigned char)(bits >> left);
        }
    }
    /* Bits behind the last whole byte must be zero, or two texts would mean the same. */
    if ((digits % 4 == 2 && (bits & 0xf) != 0) || (digits % 4 == 3 && (bits & 0x3) != 0))
        return -EINVAL;
    memcpy(data, decoded, size);
    return 0;
}
