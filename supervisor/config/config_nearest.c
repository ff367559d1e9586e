#include "supervisor/config/config_nearest.h"

#include "supervisor/config/config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define COMPARED_MAX 64 /* characters; what is longer is near to no key, the longest has some 25 */
#define NEAR_MAX 3      /* edits; more of them make any two short words alike */

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* Edits (a character more, less or other) between two texts, up to COMPARED_MAX. */
static size_t distance(const char *left, const char *right)
{
    size_t row[COMPARED_MAX + 1];
    size_t columns = strlen(right);

    if (strlen(left) > COMPARED_MAX || columns > COMPARED_MAX)
        return COMPARED_MAX;
    for (size_t j = 0; j <= columns; j++)
        row[j] = j;
    for (size_t i = 0; left[i] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < columns; j++) {
            bool same = tolower((unsigned char)left[i]) == tolower((unsigned char)right[j]);
            size_t above = row[j + 1];

            row[j + 1] = smallest(above + 1, row[j] + 1, diagonal + !same);
            diagonal = above;
        }
    }
    return row[columns];
}

static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');

    return dot == NULL ? path : dot + 1;
}

bool config_is_section(const char *path)
{
    size_t length = strlen(path);
    size_t count;
    const struct config_key *keys = config_keys(&count);

    for (size_t i = 0; i < count; i++)
        if (strncmp(keys[i].path, path, length) == 0 && keys[i].path[length] == '.')
            return true;
    return false;
}

struct nearest {
    const char *path;
    const char *name;
    size_t cost;
    char *buffer;
    size_t size;
};

static void consider(struct nearest *nearest, const char *candidate)
{
    size_t whole = distance(nearest->path, candidate);
    size_t elsewhere = distance(nearest->name, last_part(candidate)) + 1;
    size_t cost = whole < elsewhere ? whole : elsewhere;

    if (cost < nearest->cost) {
        nearest->cost = cost;
        snprintf(nearest->buffer, nearest->size, "%s", candidate);
    }
}

bool config_nearest(const char *path, const char *name, char *buffer, size_t size)
{
    size_t near = 1 + strlen(name) / 4;
    struct nearest nearest = {path, name, (near < NEAR_MAX ? near : NEAR_MAX) + 1, buffer, size};
    size_t none = nearest.cost;
    size_t count;
    const struct config_key *keys = config_keys(&count);

    for (size_t i = 0; i < count; i++) {
        char section[COMPARED_MAX];
        const char *dot = strrchr(keys[i].path, '.');

        consider(&nearest, keys[i].path);
        if (dot == NULL)
            continue;
        snprintf(section, sizeof(section), "%.*s", (int)(dot - keys[i].path), keys[i].path);
        consider(&nearest, section);
    }
    return nearest.cost < none;
}

void config_names(const char *section, char *buffer, size_t size)
{
    size_t length = strlen(section);
    size_t used = 0;
    size_t count;
    const struct config_key *keys = config_keys(&count);
    const char *before = "";

    if (size > 0)
        buffer[0] = '\0';
    for (size_t i = 0; i < count && used < size; i++) {
        const char *name = keys[i].path;
        size_t part;

        if (length > 0) {
            if (strncmp(name, section, length) != 0 || name[length] != '.')
                continue;
            name += length + 1;
        }
        part = strcspn(name, ".");
        /* The keys of a section stand together in the table. */
        if (strncmp(before, name, part) == 0 && (before[part] == '.' || before[part] == '\0'))
            continue;
        used += (size_t)snprintf(buffer + used, size - used, "%s%.*s", used == 0 ? "" : ", ",
                                 (int)part, name);
        before = name;
    }
}
