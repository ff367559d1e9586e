#include "supervisor/config/json.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Parses a copy of exactly that size, so that AddressSanitizer sees a byte read too much. */
static int parse(const char *text, size_t length, struct json_document *document,
                 struct json_error *error)
{
    char *copy = malloc(length == 0 ? 1 : length);
    int result;

    cr_assert_not_null(copy);
    memcpy(copy, text, length);
    result = json_parse(copy, length, document, error);
    free(copy);
    return result;
}

static void accepts(const char *text)
{
    struct json_document document;
    struct json_error error = {0};

    cr_expect_eq(parse(text, strlen(text), &document, &error), 0, "%s: %s", text, error.text);
    json_free(&document);
}

struct refusal {
    const char *text;
    unsigned line;
    unsigned column;
    const char *says;
};

static void refuses(const struct refusal *refusal, size_t length)
{
    struct json_document document = {0};
    struct json_error error = {0};
    unsigned line;
    unsigned column;

    cr_expect_eq(parse(refusal->text, length, &document, &error), -EINVAL, "accepted: %s",
                 refusal->text);
    json_line_column(refusal->text, length, error.offset, &line, &column);
    cr_expect(line == refusal->line && column == refusal->column,
              "%s: at %u:%u instead of %u:%u: %s", refusal->text, line, column, refusal->line,
              refusal->column, error.text);
    cr_expect_not_null(strstr(error.text, refusal->says), "%s: says \"%s\" without \"%s\"",
                       refusal->text, error.text, refusal->says);
    cr_expect_null(strpbrk(error.text, "\r\n\t\033"), "%s: not printable", refusal->text);
}

Test(json, accepts_what_rfc_8259_allows)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        " \t\r\n{ } \n",
        "null",
        "-0",
        "0.5e+3",
        "1E-2",
        "{\"a\":{\"b\":[1,2,{\"c\":null}],\"d\":true},\"e\":false}",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u20ac\\ud83d\\ude00\"",
        "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf\"",
        "{\"a\":1,\"A\":2,\"\":3}",
        "1e-999", /* too small is zero, not an error */
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        accepts(texts[i]);
}

Test(json, refuses_with_place_and_cure)
{
    static const struct refusal refusals[] = {
        {"", 1, 1, "empty: write {}"},
        {" \n ", 1, 1, "empty: write {}"},
        {"{\n  \"a\": 1\n  \"b\": 2\n}", 2, 9, "a comma is missing here"},
        {"[1 [2]]", 1, 3, "a comma is missing here"},
        {"{\"a\": 1,\n}", 1, 8, "comma with nothing behind it: remove it before the }"},
        {"[1, ]", 1, 3, "remove it before the ]"},
        {"{,}", 1, 2, "a key in double quotes"},
        {"{\"a\":1,,}", 1, 8, "a key in double quotes"},
        {"{\n // why\n}", 2, 2, "comment"},
        {"{\"a\": /* why */ 1}", 1, 7, "comment"},
        {"{\"a\": 1} # why", 1, 10, "comment"},
        {"{a: 1}", 1, 2, "found a, but a key in double quotes"},
        {"{'a': 1}", 1, 2, "single quote"},
        {"{\"a\" 1}", 1, 6, "a colon"},
        {"{\"a\"= 1}", 1, 5, "found =, but a colon"},
        {"{\"a\": }", 1, 7, "found }, but a value"},
        {"{\"a\": 1]", 1, 8, "found ], but a comma or }"},
        {"[1}", 1, 3, "found }, but a comma or ]"},
        {"{\n\"a\": {\"b\": 1\n", 3, 1, "the { of line 2, column 6 is not closed"},
        {"{\"a\"", 1, 5, "the { of line 1, column 1 is not closed"},
        {"{\"a\":", 1, 6, "is not closed"},
        {"{\"a\": 1,", 1, 9, "the { of line 1, column 1 is not closed"},
        {"[", 1, 2, "the [ of line 1, column 1 is not closed"},
        {"{\"a\": \"b}\n", 1, 7, "no closing quote on its line"},
        {"{\"a\": \"b\n\"}", 1, 7, "no closing quote on its line"},
        {"[\"a\tb\"]", 1, 4, "tab in a string: write \\t"},
        {"[\"a\001\"]", 1, 4, "control character 0x01 in a string: write \\u0001"},
        {"[\001]", 1, 2, "control character 0x01"},
        {"{} {}", 1, 4, "found {, but the end of the file"},
        {"{}]", 1, 3, "the end of the file"},
        {"007", 1, 1, "leading zero"},
        {"-012", 1, 1, "leading zero"},
        {"+1", 1, 1, "begins with +"},
        {"[.5]", 1, 2, "begins with ."},
        {"[5.]", 1, 2, "behind its decimal point"},
        {"[-]", 1, 2, "minus sign"},
        {"[1e]", 1, 2, "exponent"},
        {"[1e999]", 1, 2, "too large"},
        {"[-1e999]", 1, 2, "too large"},
        {"[1, [2, 3], 1e999]", 1, 13, "too large"},
        {"[64M]", 1, 2, "found 64M without quotes: a value with a unit is a string, \"64M\""},
        {"[5%]", 1, 2, "\"5%\""},
        {"[0x10]", 1, 2, "0x10"},
        {"[123456789012345678901234567890123]", 1, 2, "33 characters"},
        {"[True]", 1, 2, "found True, but JSON writes it true"},
        {"[yes]", 1, 2, "found yes, but JSON writes it true"},
        {"[nul]", 1, 2, "found nul without quotes"},
        {"[truefalse]", 1, 2, "without quotes"},
        {"[NaN]", 1, 2, "NaN"},
        {"[\"\\x41\"]", 1, 3, "backslash"},
        {"[\"\\u12g4\"]", 1, 3, "four hexadecimal digits"},
        {"[\"\\u0000\"]", 1, 3, "\\u0000"},
        {"[\"\\ud800\"]", 1, 3, "surrogate"},
        {"[\"\\udc00\\ud800\"]", 1, 3, "surrogate"},
        {"[\"\\ud800\\u0041\"]", 1, 3, "surrogate"},
        {"[\"\xff\"]", 1, 3, "0xff, which is not UTF-8"},
        {"[\"\xc0\xaf\"]", 1, 3, "0xc0"},             /* overlong */
        {"[\"\xe0\x80\xaf\"]", 1, 3, "0xe0"},         /* overlong */
        {"[\"\xed\xa0\x80\"]", 1, 3, "0xed"},         /* a surrogate */
        {"[\"\xf4\x90\x80\x80\"]", 1, 3, "0xf4"},     /* above U+10FFFF */
        {"[\"\xe2\x82\"]", 1, 3, "0xe2"},             /* cut */
        {"[\xe4]", 1, 2, "0xe4, which is not UTF-8"}, /* Latin-1 */
        {"\xef\xbb\xbf{}", 1, 1, "byte order mark"},
        {"\xff\xfe{", 1, 1, "UTF-16"},
        {"{\"a\": 1,\n \"b\": 2,\n \"a\": 3}", 3, 2, "\"a\" again, but it is on line 1, column 2"},
        {"{\"x\": {\"a\": [1], \"\\u0061\": 2}}", 1, 18, "\"a\" again"},
        /* Columns count characters, not bytes. */
        {"{\"\xc3\xbc\xf0\x9f\x98\x80\": nope}", 1, 8, "nope"},
        {"[\"\xe2\x82\xac\", \xe2\x82\xac]", 1, 7, "found \xe2\x82\xac, but a value"},
    };

    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        refuses(&refusals[i], strlen(refusals[i].text));
}

Test(json, refuses_a_nul_byte_anywhere)
{
    static const struct refusal refusals[] = {
        {"{}\0", 1, 3, "NUL"},
        {"{\0}", 1, 2, "NUL"},
    };
    static const struct refusal inside = {"[\"\0\"]", 1, 3, "0x00"};

    refuses(&refusals[0], 3);
    refuses(&refusals[1], 3);
    refuses(&inside, 5);
}

Test(json, bounds_depth_values_and_size)
{
    struct json_document document;
    struct json_error error;
    static char text[JSON_TEXT_MAX + 1];

    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    cr_expect_eq(json_parse(text, (size_t)2 * JSON_DEPTH_MAX, &document, &error), 0);
    json_free(&document);
    memset(text, '[', JSON_TEXT_MAX);
    cr_expect_eq(json_parse(text, JSON_TEXT_MAX, &document, &error), -EINVAL);
    cr_expect_eq(error.offset, JSON_DEPTH_MAX);

    /* The list itself is one value: one element less than the bound is allowed. */
    text[0] = '[';
    for (size_t i = 0; i < JSON_VALUES_MAX; i++) {
        text[1 + 2 * i] = '1';
        text[2 + 2 * i] = ',';
    }
    text[2 * (JSON_VALUES_MAX - 1)] = ']';
    cr_expect_eq(json_parse(text, 2 * (JSON_VALUES_MAX - 1) + 1, &document, &error), 0);
    cr_expect_eq(document.count, JSON_VALUES_MAX);
    json_free(&document);
    text[2 * (JSON_VALUES_MAX - 1)] = ',';
    text[2 * JSON_VALUES_MAX] = ']';
    cr_expect_eq(json_parse(text, 2 * JSON_VALUES_MAX + 1, &document, &error), -EINVAL);
    cr_expect_not_null(strstr(error.text, "values"));

    memset(text, ' ', sizeof(text));
    text[0] = '1';
    cr_expect_eq(json_parse(text, JSON_TEXT_MAX, &document, &error), 0);
    json_free(&document);
    cr_expect_eq(json_parse(text, JSON_TEXT_MAX + 1, &document, &error), -EINVAL);
    cr_expect_not_null(strstr(error.text, "bytes"));
}

Test(json, bounds_depth_not_the_number_of_brackets)
{
    accepts(
        "[[[]],[[]],[[]],[[]],[[]],[[]],[[]],[[]],[[]],[[]],[[]],[[]],[[]],[[]],[[]],[[]],[[]]]");
    accepts("[{\"a\":1},{\"a\":1},{\"a\":1},{\"a\":1},{\"a\":1},{\"a\":1},{\"a\":1},{\"a\":1},{"
            "\"a\":1},"
            "{\"a\":1},{\"a\":1},{\"a\":1},{\"a\":1},{\"a\":1},{\"a\":1},{\"a\":1},{\"a\":1},{"
            "\"a\":1}]");
}

static const char sample[] = "{\"a\": {\"b\": [1, \"\xe2\x82\xac\\u20ac\", {}], \"c\": -1.5e3},\n"
                             " \"d\": \"\\ud83d\\ude00\", \"e\": [true, null]}";

Test(json, refuses_every_truncation)
{
    struct json_document document;
    struct json_error error;

    for (size_t length = 0; length < sizeof(sample) - 1; length++) {
        cr_expect_eq(parse(sample, length, &document, &error), -EINVAL, "first %zu bytes", length);
        cr_expect_leq(error.offset, length);
    }
    accepts(sample);
}

/* Puts each of the bytes that mean something to a parser in the place of each byte: what is accepted must still be sound. */
Test(json, survives_every_changed_byte)
{
    static const char bytes[] = "{}[]\":,\\/0e-. \n\t\177\200\300\377u";
    char changed[sizeof(sample)];

    for (size_t at = 0; at < sizeof(sample) - 1; at++)
        for (size_t i = 0; i < sizeof(bytes); i++) { /* the final NUL is one of them */
            struct json_document document = {0};
            struct json_error error;

            memcpy(changed, sample, sizeof(sample));
            changed[at] = bytes[i];
            if (parse(changed, sizeof(sample) - 1, &document, &error) == 0) {
                cr_expect_eq(document.places[0].values, document.count);
                cr_expect_not_null(document.root);
            } else {
                cr_expect_leq(error.offset, sizeof(sample) - 1);
            }
            json_free(&document);
        }
}

Test(json, places_go_with_the_tree)
{
    static const char text[] = "{\"a\": {\"b\": [1, 22], \"c\": 3}, \"d\": \"x\"}";
    static const struct {
        const char *key;
        const char *value;
        uint32_t values;
    } expected[] = {
        {text, text, 7},         {"\"a\"", "{\"b\": [1, 22], \"c\": 3}", 5},
        {"\"b\"", "[1, 22]", 3}, {"1", "1", 1},
        {"22", "22", 1},         {"\"c\"", "3", 1},
        {"\"d\"", "\"x\"", 1},
    };
    struct json_document document;
    struct json_error error;

    cr_assert_eq(json_parse(text, strlen(text), &document, &error), 0);
    cr_assert_eq(document.count, 7);
    for (size_t i = 0; i < 7; i++) {
        const struct json_place *place = &document.places[i];

        cr_expect_eq(strncmp(text + place->key, expected[i].key, strlen(expected[i].key)), 0);
        cr_expect_eq(place->end - place->value, strlen(expected[i].value));
        cr_expect_eq(strncmp(text + place->value, expected[i].value, strlen(expected[i].value)), 0);
        cr_expect_eq(place->values, expected[i].values);
    }
    json_free(&document);
}

Test(json, excerpts_are_harmless_and_short)
{
    static const char nasty[] = "a\033[31m\xc2\x9b\n\xff\xe2\x82\xac\177z";
    char buffer[64];

    json_excerpt(nasty, 0, sizeof(nasty) - 1, 60, buffer, sizeof(buffer));
    cr_expect_str_eq(buffer, "a?[31m???\xe2\x82\xac?z");
    json_excerpt("abcdef", 0, 6, 3, buffer, sizeof(buffer));
    cr_expect_str_eq(buffer, "abc...");
    for (size_t size = 1; size < 12; size++) {
        json_excerpt("abcdefghijklmnop", 0, 16, 60, buffer, size);
        cr_expect_lt(strlen(buffer), size);
    }
}
