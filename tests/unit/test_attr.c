#include "agents/attr.h"
#include "agents/limits.h"
#include "tests/unit/wire.h"

#include <errno.h>
#include <inttypes.h>

Test(attr, pairs_and_end)
{
    /* The second value is empty: two NULs in a row are no end. */
    struct wire list = wire("status||reason|no route||rest");
    struct attr_pair pair;
    size_t at = 0;

    cr_assert_eq(attr_next(list.bytes, list.len, &at, &pair), 1);
    cr_assert_str_eq(pair.name, "status");
    cr_assert_str_eq(pair.value, "");
    cr_assert_eq(pair.value_len, 0);
    cr_assert_eq(at, 8);
    cr_assert_eq(attr_next(list.bytes, list.len, &at, &pair), 1);
    cr_assert_str_eq(pair.name, "reason");
    cr_assert_str_eq(pair.value, "no route");
    cr_assert_eq(pair.value_len, 8);
    cr_assert_eq(at, 24);
    cr_assert_eq(attr_next(list.bytes, list.len, &at, &pair), 0);
    cr_assert_eq(at, 25);
    wire_free(&list);
}

Test(attr, every_truncation_wants_more)
{
    struct wire list = wire("recipient_count|2|");
    struct attr_pair pair;

    for (size_t len = 0; len < list.len; len++) {
        char *part = wire_prefix(&list, len);
        size_t at = 0;

        cr_assert_eq(attr_next(part, len, &at, &pair), -EAGAIN, "%zu", len);
        cr_assert_eq(at, 0);
        free(part);
    }
    wire_free(&list);
}

/* name_len and value_len bytes with their NULs. */
static int next_of(size_t name_len, size_t value_len, size_t cut)
{
    size_t len = name_len + value_len + 2;
    char *bytes = malloc(len);
    struct attr_pair pair;
    size_t at = 0;
    int rc;

    cr_assert_not_null(bytes);
    memset(bytes, 'x', len);
    bytes[name_len] = '\0';
    bytes[len - 1] = '\0';
    rc = attr_next(bytes, len - cut, &at, &pair);
    cr_assert_eq(at, rc > 0 ? len : 0);
    free(bytes);
    return rc;
}

Test(attr, limits)
{
    cr_assert_eq(next_of(ATTR_NAME_MAX, 1, 0), 1);
    cr_assert_eq(next_of(ATTR_NAME_MAX + 1, 1, 0), -EMSGSIZE);
    cr_assert_eq(next_of(1, ATTR_VALUE_MAX, 0), 1);
    cr_assert_eq(next_of(1, ATTR_VALUE_MAX + 1, 0), -EMSGSIZE);
    /* One that is too long is refused before its end has come, one that may still end in time is not. */
    cr_assert_eq(next_of(1, ATTR_VALUE_MAX + 1, 1), -EMSGSIZE);
    cr_assert_eq(next_of(1, ATTR_VALUE_MAX, 1), -EAGAIN);
}

Test(attr, numbers)
{
    static const struct {
        const char *text;
        int int_rc;
        uint32_t int_value;
        int long_rc;
        uint64_t long_value;
    } table[] = {
        {"0", 0, 0, 0, 0},
        {"4294967295", 0, 4294967295u, 0, 4294967295u},
        {"4294967296", -EINVAL, 0, 0, 4294967296u},
        {"18446744073709551615", -EINVAL, 0, 0, UINT64_MAX},
        {"18446744073709551616", -EINVAL, 0, -EINVAL, 0},
        {"99999999999999999999", -EINVAL, 0, -EINVAL, 0},
        {"007", 0, 7, 0, 7},
        {"", -EINVAL, 0, -EINVAL, 0},
        {"-1", -EINVAL, 0, -EINVAL, 0},
        {"+1", -EINVAL, 0, -EINVAL, 0},
        {" 1", -EINVAL, 0, -EINVAL, 0},
        {"1 ", -EINVAL, 0, -EINVAL, 0},
        {"0x1", -EINVAL, 0, -EINVAL, 0},
        {"1e3", -EINVAL, 0, -EINVAL, 0},
        {"\xb1", -EINVAL, 0, -EINVAL, 0},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        uint32_t small = 77;
        uint64_t large = 77;

        cr_expect_eq(attr_int(table[i].text, &small), table[i].int_rc, "int %s", table[i].text);
        cr_expect_eq(small, table[i].int_rc == 0 ? table[i].int_value : 77, "%s", table[i].text);
        cr_expect_eq(attr_long(table[i].text, &large), table[i].long_rc, "long %s", table[i].text);
        cr_expect_eq(large, table[i].long_rc == 0 ? table[i].long_value : 77, "%s", table[i].text);
    }
}

Test(attr, base64)
{
    /* The first six are the examples of RFC 4648, section 10. */
    static const struct {
        const char *text;
        size_t size;
        const char *data; /* NULL = refused */
    } table[] = {
        {"Zg==", 1, "f"},
        {"Zm8=", 2, "fo"},
        {"Zm9v", 3, "foo"},
        {"Zm9vYg==", 4, "foob"},
        {"Zm9vYmE=", 5, "fooba"},
        {"Zm9vYmFy", 6, "foobar"},
        {"", 0, ""},
        {"+/+/", 3, "\xfb\xff\xbf"},
        {"Zm9vYg==", 3, NULL},
        {"Zm9vYg==", 5, NULL},
        {"Zm9vYg", 4, NULL},
        {"Zm9vYg=", 4, NULL},
        {"Zm9vYg===", 4, NULL},
        {"Zm9vYg=x", 4, NULL},
        {"Zm9 Yg==", 4, NULL},
        {"Zm9-Yg==", 4, NULL},
        {"Zm9vYh==", 4, NULL},
        {"Zm9vYmF=", 5, NULL},
        {"=m9v", 3, NULL},
        {"Zm9vYmF\xff", 6, NULL},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char data[8] = "???????";
        int rc = attr_data(table[i].text, data, table[i].size);

        cr_expect_eq(rc, table[i].data == NULL ? -EINVAL : 0, "%s", table[i].text);
        cr_expect_arr_eq(data, table[i].data == NULL ? "???????" : table[i].data, table[i].size,
                         "%s", table[i].text);
        cr_expect_eq(data[table[i].size], '?', "%s", table[i].text);
    }
}
