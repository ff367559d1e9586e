#include "supervisor/config/json.h"

#include <stdbool.h>
#include <string.h>

size_t json_utf8_length(const char *text, size_t at, size_t length)
{
    const unsigned char *byte = (const unsigned char *)text + at;
    size_t left = length - at;
    size_t need;
    unsigned lowest = 0x80;
    unsigned highest = 0xbf;

    if (byte[0] < 0x80)
        return 1;
    if (byte[0] >= 0xc2 && byte[0] <= 0xdf)
        need = 2;
    else if (byte[0] >= 0xe0 && byte[0] <= 0xef)
        need = 3;
    else if (byte[0] >= 0xf0 && byte[0] <= 0xf4)
        need = 4;
    else
        return 0;
    if (byte[0] == 0xe0)
        lowest = 0xa0;
    else if (byte[0] == 0xed)
        highest = 0x9f;
    else if (byte[0] == 0xf0)
        lowest = 0x90;
    else if (byte[0] == 0xf4)
        highest = 0x8f;
    if (left < need || byte[1] < lowest || byte[1] > highest)
        return 0;
    for (size_t i = 2; i < need; i++)
        if (byte[i] < 0x80 || byte[i] > 0xbf)
            return 0;
    return need;
}

/* Ends of a line, and what turns the direction of those that follow (bidirectional text). */
static bool misleads(const unsigned char *byte, size_t bytes)
{
    return bytes == 3 && byte[0] == 0xe2 &&
           ((byte[1] == 0x80 && byte[2] >= 0xa8 && byte[2] <= 0xae) ||
            (byte[1] == 0x81 && byte[2] >= 0xa6 && byte[2] <= 0xa9));
}

size_t json_character(const char *text, size_t at, size_t length, bool *plain)
{
    const unsigned char *byte = (const unsigned char *)text + at;
    size_t bytes = json_utf8_length(text, at, length);

    *plain = bytes > 0 && byte[0] >= ' ' && byte[0] != 0x7f &&
             !(bytes == 2 && byte[0] == 0xc2 && byte[1] < 0xa0) && !misleads(byte, bytes);
    return bytes > 0 ? bytes : 1;
}

void json_excerpt(const char *text, size_t from, size_t to, unsigned characters, char *buffer,
                  size_t size)
{
    size_t used = 0;

    if (size == 0)
        return;
    while (from < to && characters > 0) {
        bool plain;
        size_t length = json_character(text, from, to, &plain);

        if (used + 4 + 3 >= size) /* one character and the dots */
            break;
        if (plain) {
            memcpy(buffer + used, text + from, length);
            used += length;
        } else {
            buffer[used++] = '?';
        }
        from += length;
        characters--;
    }
    if (from < to && used + 3 < size) {
        memcpy(buffer + used, "...", 3);
        used += 3;
    }
    buffer[used] = '\0';
}

void json_line_column(const char *text, size_t length, size_t offset, unsigned *line,
                      unsigned *column)
{
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < offset && i < length; i++) {
        if (text[i] == '\n') {
            ++*line;
            *column = 1;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            ++*column;
        }
    }
}
