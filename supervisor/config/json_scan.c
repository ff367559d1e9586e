#include "supervisor/config/json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct scan {
    const char *text;
    size_t length;
    size_t at;
    unsigned depth;
    struct json_place *places;
    uint32_t count;
    struct json_error *error;
};

static int scan_value(struct scan *scan, size_t key);

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_word(int c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* The byte at `at`, or -1 behind the end. */
static int byte_at(const struct scan *scan, size_t at)
{
    return at < scan->length ? (unsigned char)scan->text[at] : -1;
}

__attribute__((format(printf, 3, 4))) static int fail(struct scan *scan, size_t offset,
                                                      const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    scan->error->offset = (uint32_t)offset;
    vsnprintf(scan->error->text, sizeof(scan->error->text), format, arguments);
    va_end(arguments);
    return -EINVAL;
}

static size_t word_end(const struct scan *scan, size_t at)
{
    while (is_word(byte_at(scan, at)))
        at++;
    return at;
}

/* Something stands at scan->at that can't stand there: says what it is and what could. */
static int unexpected(struct scan *scan, const char *allowed)
{
    size_t at = scan->at;
    int c = byte_at(scan, at);
    int next = byte_at(scan, at + 1);
    char found[64];

    if (c < 0)
        return fail(scan, at, "the file ends here, but must go on with %s", allowed);
    if ((c == '/' && (next == '/' || next == '*')) || c == '#')
        return fail(scan, at, "found a comment, but JSON has none: remove it");
    if (c == 0)
        return fail(scan, at, "found a NUL byte, but a file must be UTF-8 text");
    if (at == 0 && ((c == 0xfe && next == 0xff) || (c == 0xff && next == 0xfe)))
        return fail(scan, at, "the file is UTF-16, but must be saved as UTF-8");
    if (c == 0xef && next == 0xbb && byte_at(scan, at + 2) == 0xbf)
        return fail(scan, at,
                    "found a byte order mark: save the file as UTF-8 without a byte order mark");
    if (json_utf8_length(scan->text, at, scan->length) == 0)
        return fail(scan, at, "found the byte 0x%02x, which is not UTF-8: save the file as UTF-8",
                    (unsigned)c);
    if (c < 0x20 || c == 0x7f)
        return fail(scan, at, "found the control character 0x%02x, but %s is needed here",
                    (unsigned)c, allowed);
    if (c == '\'')
        return fail(scan, at, "found a single quote, but strings and keys need double quotes");
    if (is_word(c)) {
        json_excerpt(scan->text, at, word_end(scan, at), 20, found, sizeof(found));
        return fail(scan, at, "found %s, but %s is needed here", found, allowed);
    }
    json_excerpt(scan->text, at, at + json_utf8_length(scan->text, at, scan->length), 1, found,
                 sizeof(found));
    return fail(scan, at, "found %s, but %s is needed here", found, allowed);
}

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->length && is_space(scan->text[scan->at]))
        scan->at++;
}

static int scan_hex(const struct scan *scan, size_t at, unsigned *value)
{
    *value = 0;
    for (size_t i = at; i < at + 4; i++) {
        int c = byte_at(scan, i);

        if (is_digit(c))
            *value = *value * 16 + (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            *value = *value * 16 + (unsigned)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            *value = *value * 16 + (unsigned)(c - 'A' + 10);
        else
            return -EINVAL;
    }
    return 0;
}

/* At a backslash within a string. */
static int scan_escape(struct scan *scan)
{
    size_t start = scan->at;
    int c = byte_at(scan, start + 1);
    unsigned unit;
    unsigned low;

    if (c > 0 && strchr("\"\\/bfnrt", c) != NULL) {
        scan->at += 2;
        return 0;
    }
    if (c != 'u')
        return fail(scan, start,
                    "found a backslash in a string that begins no escape: "
                    "write \\\\ for a backslash");
    if (scan_hex(scan, start + 2, &unit) != 0)
        return fail(scan, start, "found \\u without four hexadecimal digits behind it");
    if (unit == 0)
        return fail(scan, start, "found \\u0000 in a string, which no value may contain");
    scan->at += 6;
    if (unit < 0xd800 || unit > 0xdfff)
        return 0;
    if (unit > 0xdbff || byte_at(scan, scan->at) != '\\' || byte_at(scan, scan->at + 1) != 'u' ||
        scan_hex(scan, scan->at + 2, &low) != 0 || low < 0xdc00 || low > 0xdfff)
        return fail(scan, start,
                    "found half of a surrogate pair in a string: "
                    "write the character itself");
    scan->at += 6;
    return 0;
}

static int scan_string(struct scan *scan)
{
    size_t start = scan->at++;

    for (;;) {
        int c = byte_at(scan, scan->at);
        size_t length;

        /* The place to mend is at the opening quote, not where the line or the file ends. */
        if (c < 0 || c == '\n' || c == '\r')
            return fail(scan, start,
                        "the string that begins here has no closing quote on its line");
        if (c == '"') {
            scan->at++;
            return 0;
        }
        if (c == '\\') {
            int result = scan_escape(scan);

            if (result != 0)
                return result;
            continue;
        }
        if (c == '\t')
            return fail(scan, scan->at, "found a tab in a string: write \\t");
        if (c < 0x20)
            return fail(scan, scan->at,
                        "found the control character 0x%02x in a string: write \\u%04x",
                        (unsigned)c, (unsigned)c);
        length = json_utf8_length(scan->text, scan->at, scan->length);
        if (length == 0)
            return fail(scan, scan->at,
                        "found the byte 0x%02x, which is not UTF-8: save the file as UTF-8",
                        (unsigned)c);
        scan->at += length;
    }
}

static int scan_number(struct scan *scan)
{
    size_t start = scan->at;
    size_t at = start;
    char found[64];

    if (byte_at(scan, at) == '-')
        at++;
    if (byte_at(scan, at) == '0' && is_digit(byte_at(scan, at + 1)))
        return fail(scan, start, "found a number with a leading zero: remove the zero");
    if (!is_digit(byte_at(scan, at)))
        return fail(scan, start, "found a minus sign without a digit behind it");
    while (is_digit(byte_at(scan, at)))
        at++;
    if (byte_at(scan, at) == '.') {
        if (!is_digit(byte_at(scan, ++at)))
            return fail(scan, start, "found a number without a digit behind its decimal point");
        while (is_digit(byte_at(scan, at)))
            at++;
    }
    if (byte_at(scan, at) == 'e' || byte_at(scan, at) == 'E') {
        at++;
        if (byte_at(scan, at) == '+' || byte_at(scan, at) == '-')
            at++;
        if (!is_digit(byte_at(scan, at)))
            return fail(scan, start, "found a number without a digit in its exponent");
        while (is_digit(byte_at(scan, at)))
            at++;
    }
    if (is_word(byte_at(scan, at)) || byte_at(scan, at) == '%') {
        size_t end = word_end(scan, at) + (byte_at(scan, at) == '%');

        json_excerpt(scan->text, start, end, 20, found, sizeof(found));
        return fail(scan, start, "found %s without quotes: a value with a unit is a string, \"%s\"",
                    found, found);
    }
    if (at - start > JSON_NUMBER_MAX)
        return fail(scan, start, "found a number with %zu characters, but at most %d are allowed",
                    at - start, JSON_NUMBER_MAX);
    scan->at = at;
    return 0;
}

static int scan_word(struct scan *scan)
{
    static const char *const literals[] = {"true", "false", "null"};
    static const char *const meant[][2] = {{"true", "true"},   {"yes", "true"}, {"on", "true"},
                                           {"false", "false"}, {"no", "false"}, {"off", "false"},
                                           {"null", "null"},   {"nil", "null"}};
    size_t start = scan->at;
    size_t end = word_end(scan, start);
    char found[64];

    for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++)
        if (strlen(literals[i]) == end - start &&
            memcmp(literals[i], scan->text + start, end - start) == 0) {
            scan->at = end;
            return 0;
        }
    json_excerpt(scan->text, start, end, 20, found, sizeof(found));
    for (size_t i = 0; i < sizeof(meant) / sizeof(meant[0]); i++)
        if (strcasecmp(meant[i][0], found) == 0)
            return fail(scan, start, "found %s, but JSON writes it %s", found, meant[i][1]);
    return fail(scan, start, "found %s without quotes: write \"%s\"", found, found);
}

static int not_closed(struct scan *scan, size_t open)
{
    unsigned line;
    unsigned column;

    json_line_column(scan->text, scan->length, open, &line, &column);
    return fail(scan, scan->at,
                "the file ends here, but the %c of line %u, column %u is not closed",
                scan->text[open], line, column);
}

/* The key of a member and its colon, at its quote. */
static int scan_key(struct scan *scan, size_t open)
{
    int result;

    if (byte_at(scan, scan->at) != '"')
        return unexpected(scan, "a key in double quotes");
    result = scan_string(scan);
    if (result != 0)
        return result;
    skip_space(scan);
    if (scan->at >= scan->length)
        return not_closed(scan, open);
    if (byte_at(scan, scan->at) != ':')
        return unexpected(scan, "a colon between the key and its value");
    scan->at++;
    skip_space(scan);
    return 0;
}

/* An object or a list, at its opening bracket. */
static int scan_container(struct scan *scan)
{
    size_t open = scan->at++;
    bool object = scan->text[open] == '{';
    int close = object ? '}' : ']';

    if (scan->depth == JSON_DEPTH_MAX)
        return fail(scan, open, "found more than %d levels of brackets", JSON_DEPTH_MAX);
    skip_space(scan);
    if (byte_at(scan, scan->at) == close) {
        scan->at++;
        return 0;
    }
    scan->depth++;
    for (;;) {
        size_t key;
        size_t last;
        size_t comma;
        int result;

        if (scan->at >= scan->length)
            return not_closed(scan, open);
        key = scan->at;
        result = object ? scan_key(scan, open) : 0;
        if (result != 0)
            return result;
        if (scan->at >= scan->length)
            return not_closed(scan, open);
        result = scan_value(scan, key);
        if (result != 0)
            return result;
        last = scan->at;
        skip_space(scan);
        comma = scan->at;
        if (comma >= scan->length)
            return not_closed(scan, open);
        if (scan->text[comma] == close)
            break;
        if (scan->text[comma] == '"' ||
            (!object && (scan->text[comma] == '{' || scan->text[comma] == '[')))
            return fail(scan, last, "a comma is missing here, before the next %s",
                        object ? "key" : "value");
        if (scan->text[comma] != ',')
            return unexpected(scan, object ? "a comma or }" : "a comma or ]");
        scan->at++;
        skip_space(scan);
        if (byte_at(scan, scan->at) == close)
            return fail(scan, comma,
                        "found a comma with nothing behind it: remove it before the %c", close);
    }
    scan->at++;
    scan->depth--;
    return 0;
}

static int scan_value(struct scan *scan, size_t key)
{
    uint32_t index = scan->count;
    size_t start = scan->at;
    int c = byte_at(scan, start);
    int result;

    if (index == JSON_VALUES_MAX)
        return fail(scan, start, "found more than %zu values", JSON_VALUES_MAX);
    scan->count++;
    if (c == '{' || c == '[')
        result = scan_container(scan);
    else if (c == '"')
        result = scan_string(scan);
    else if (c == '-' || is_digit(c))
        result = scan_number(scan);
    else if (c == '+' || (c == '.' && is_digit(byte_at(scan, start + 1))))
        result =
            fail(scan, start, "found a number that begins with %c: it must begin with a digit", c);
    else if (is_word(c))
        result = scan_word(scan);
    else
        result = unexpected(scan, "a value");
    scan->places[index] = (struct json_place){(uint32_t)key, (uint32_t)start, (uint32_t)scan->at,
                                              scan->count - index};
    return result;
}

int json_scan(const char *text, size_t length, struct json_place *places, uint32_t *count,
              struct json_error *error)
{
    struct scan scan = {.text = text, .length = length, .places = places, .error = error};
    int result;

    if (length > JSON_TEXT_MAX)
        return fail(&scan, 0, "the file has %zu bytes, but at most %zu are allowed", length,
                    JSON_TEXT_MAX);
    skip_space(&scan);
    if (scan.at == length)
        return fail(&scan, 0, "the file is empty: write {} for the defaults");
    result = scan_value(&scan, scan.at);
    if (result != 0)
        return result;
    skip_space(&scan);
    if (scan.at < length)
        return unexpected(&scan, "the end of the file");
    *count = scan.count;
    return 0;
}
