#include "supervisor/ctl/ctl_master.h"

#include <stdio.h>
#include <string.h>

#define BLANKS " \t\n"

/* name type private unprivileged chroot wakeup maxproc command */
#define COLUMNS 8

static void take(char *text, struct ctl_master *master)
{
    char *column[COLUMNS];
    char *slash;

    for (int i = 0; i < COLUMNS; i++) {
        text += strspn(text, BLANKS);
        column[i] = text;
        text += strcspn(text, BLANKS);
        if (column[i] == text)
            return;
        if (*text != '\0')
            *text++ = '\0';
    }
    slash = strrchr(column[COLUMNS - 1], '/');
    master->line[master->count++] = (struct ctl_master_line){
        .name = column[0],
        .type = column[1],
        .command = slash ? slash + 1 : column[COLUMNS - 1],
        .arguments = text,
    };
}

void ctl_master_parse(char *text, struct ctl_master *master)
{
    master->count = 0;
    while (*text != '\0' && master->count < CTL_MASTER_MAX) {
        char *end = text;

        /* A line that begins with a blank belongs to the one before. */
        do {
            end += strcspn(end, "\n");
            if (*end == '\n' && (end[1] == ' ' || end[1] == '\t'))
                *end = ' ';
            else
                break;
        } while (*end != '\0');
        if (*end == '\n')
            *end++ = '\0';
        if (*text != '#')
            take(text, master);
        text = end;
    }
}

const struct ctl_master_line *ctl_master_find(const struct ctl_master *master, const char *name,
                                              const char *type)
{
    for (size_t i = 0; i < master->count; i++)
        if (strcmp(master->line[i].name, name) == 0 && strcmp(master->line[i].type, type) == 0)
            return &master->line[i];
    return NULL;
}

bool ctl_master_config(const struct ctl_master_line *line, char *file, size_t size)
{
    const char *at = line->arguments;

    while (*(at += strspn(at, BLANKS)) != '\0') {
        size_t length = strcspn(at, BLANKS);

        if (length >= 2 && strncmp(at, "-C", 2) == 0) {
            const char *value = length > 2 ? at + 2 : at + 2 + strspn(at + 2, BLANKS);
            size_t value_length = strcspn(value, BLANKS);

            snprintf(file, size, "%.*s", (int)value_length, value);
            return value_length > 0;
        }
        at += length;
    }
    return false;
}
