#ifndef SUPERVISOR_JSON_H
#define SUPERVISOR_JSON_H

/*
 * Strict JSON (RFC 8259) with the place of every value, around cJSON, which is lax and knows no
 * places: it accepts duplicate keys, 007, 1e999, raw line breaks, bad UTF-8, a NUL in a string and
 * a byte order mark (libraries.md).
 *
 * A scan before cJSON refuses all that and writes down the place of each value in document order;
 * then cJSON makes the tree. A value and its place are found together by walking both in the same
 * order: the first child of the value at index i is at i + 1, the next sibling at i +
 * places[i].values.
 */

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_TEXT_MAX ((size_t)1 << 20) /* bytes; a real file has a few hundred */
#define JSON_DEPTH_MAX 16 /* levels; a configuration has four, and both scanners recurse */
/* The search for duplicates is quadratic; this is 170 services with all keys. */
#define JSON_VALUES_MAX ((size_t)4096)
#define JSON_NUMBER_MAX 32 /* characters of a number; cJSON cuts one at 63 without a word */

/* Offsets in bytes from the start of the text. */
struct json_place {
    uint32_t key;    /* the opening quote of the key; of a value without a key the value itself */
    uint32_t value;  /* its first byte */
    uint32_t end;    /* the first byte after it */
    uint32_t values; /* how many values it holds, itself included */
};

struct json_document {
    cJSON *root;
    struct json_place *places;
    uint32_t count;
};

struct json_error {
    uint32_t offset;
    char text[200]; /* what was found and what is allowed: one printable line without the place */
};

/*
 * Parses a text of `length` bytes (no final NUL needed). On success the caller ends with
 * json_free(). Returns 0; -EINVAL with *error filled in; -ENOMEM (*error is filled in too). After
 * an error there is nothing to free.
 */
int json_parse(const char *text, size_t length, struct json_document *document,
               struct json_error *error);
void json_free(struct json_document *document);

/* The first half of json_parse(), without cJSON: places needs JSON_VALUES_MAX entries. Returns 0 or
 * -EINVAL. */
int json_scan(const char *text, size_t length, struct json_place *places, uint32_t *count,
              struct json_error *error);

/* Length of the UTF-8 character at text[at], at < length; 0 when it is none (RFC 3629: no
 * surrogates, shortest form only). */
size_t json_utf8_length(const char *text, size_t at, size_t length);

/*
 * Bytes of the character at text[at], at < length. *plain is false for what must not be shown: a
 * byte that is no UTF-8, control characters, also those of C1, which terminals obey, and what breaks
 * a line or turns its direction (U+2028 to U+202E, U+2066 to U+2069).
 */
size_t json_character(const char *text, size_t at, size_t length, bool *plain);

/* Line and column of an offset, from 1. Columns are characters (code points), a line ends with a
 * line feed. */
void json_line_column(const char *text, size_t length, size_t offset, unsigned *line,
                      unsigned *column);

/*
 * Copies text[from..to) so that it can be shown: one line, no control characters (also none of C1
 * in UTF-8, which terminals obey), bad UTF-8 as ?, cut after `characters` with "..." behind.
 */
void json_excerpt(const char *text, size_t from, size_t to, unsigned characters, char *buffer,
                  size_t size);

#endif
