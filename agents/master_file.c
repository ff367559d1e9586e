#include "agents/master_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What master(8) takes as a blank between columns, and what makes a line a continuation. */
#define BLANKS " \t\r\n"
#define SPACES " \t\r\n\v\f"

/* name type private unprivileged chroot wakeup maxproc command */
#define COLUMNS 8
#define COLUMN_NAME 0
#define COLUMN_TYPE 1
#define COLUMN_PRIVATE 2
#define COLUMN_CHROOT 4
#define COLUMN_LIMIT 6
#define COLUMN_COMMAND 7

/* As master does with atoi(3): "10x" is 10. */
static int limit_of(const char *column)
{
    long value;

    if (column[0] < '0' || column[0] > '9')
        return MASTER_LIMIT_DEFAULT;
    errno = 0;
    value = strtol(column, NULL, 10);
    return errno != 0 || value > INT_MAX ? INT_MAX : (int)value;
}

static bool equal(const struct master_line *a, const struct master_line *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->type, b->type) == 0 && a->public == b->public;
}

/* One logical line. */
static void take(char *text, unsigned number, struct master_file *file)
{
    char *column[COLUMNS];
    const char *slash;
    struct master_line line;
    size_t at = 0;

    for (int i = 0; i < COLUMNS; i++) {
        text += strspn(text, BLANKS);
        column[i] = text;
        text += strcspn(text, BLANKS);
        if (column[i] == text)
            return;
        if (*text != '\0')
            *text++ = '\0';
    }
    slash = strrchr(column[COLUMN_COMMAND], '/');
    line = (struct master_line){
        .name = column[COLUMN_NAME],
        .type = column[COLUMN_TYPE],
        .public = strcmp(column[COLUMN_PRIVATE], "n") == 0,
        .chroot = strcmp(column[COLUMN_CHROOT], "y") == 0,
        .limit = limit_of(column[COLUMN_LIMIT]),
        .command = slash ? slash + 1 : column[COLUMN_COMMAND],
        .arguments = text,
        .number = number,
    };
    while (at < file->count && !equal(&file->line[at], &line))
        at++;
    if (at == MASTER_FILE_LINES_MAX)
        return;
    if (at == file->count) {
        file->count++;
    } else {
        line.replaced = file->line[at].number;
        line.replaced_command = file->line[at].command;
    }
    file->line[at] = line;
}

void master_file_parse(char *text, struct master_file *file)
{
    char *logical =
        text; /* where the logical line stands, put together over what it was read from */
    char *end = text;
    unsigned number = 0;
    unsigned first = 0;

    file->count = 0;
    for (const char *at = text; *at != '\0';) {
        size_t length = strcspn(at, "\n");
        size_t blank = strspn(at, SPACES);
        const char *next = at + length + (at[length] == '\n');

        number++;
        if (blank < length && at[blank] != '#') {
            if (blank == 0 && end > logical) {
                *end++ = '\0';
                take(logical, first, file);
                logical = end;
            }
            if (end == logical)
                first = number;
            /* A continuation: a blank in the place of the newline that was read. */
            else
                *end++ = ' ';
            memmove(end, at, length);
            end += length;
        }
        at = next;
    }
    *end = '\0';
    if (end > logical)
        take(logical, first, file);
}

static int read_all(const char *path, char **text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    char *buffer = malloc(MASTER_FILE_BYTES_MAX + 1);
    size_t used = 0;
    ssize_t got = 1;
    int result = 0;

    if (fd < 0)
        result = -errno;
    else if (!buffer)
        result = -ENOMEM;
    while (result == 0 && got != 0 && used <= MASTER_FILE_BYTES_MAX) {
        got = read(fd, buffer + used, MASTER_FILE_BYTES_MAX + 1 - used);
        if (got > 0)
            used += (size_t)got;
        else if (got < 0 && errno != EINTR)
            result = -errno;
    }
    if (result == 0 && used > MASTER_FILE_BYTES_MAX)
        result = -EFBIG;
    if (fd >= 0)
        close(fd);
    if (result == 0)
        buffer[used] = '\0';
    else
        free(buffer);
    *text = result == 0 ? buffer : NULL;
    return result;
}

int master_file_read(const char *config_directory, char **text, struct master_file *file)
{
    char path[PATH_MAX + 16];
    int result;

    snprintf(path, sizeof path, "%s/master.cf", config_directory);
    result = read_all(path, text);
    if (result == 0)
        master_file_parse(*text, file);
    return result;
}

const struct master_line *master_file_find(const struct master_file *file, const char *name,
                                           const char *type, const char *command)
{
    const struct master_line *found = NULL;

    for (size_t i = 0; i < file->count; i++) {
        const struct master_line *line = &file->line[i];

        if (strcmp(line->name, name) == 0 && strcmp(line->type, type) == 0 &&
            (!command || strcmp(line->command, command) == 0) &&
            (!found || (found->public && !line->public)))
            found = line;
    }
    return found;
}

/* The next word, closed with a NUL; *at is behind it. NULL at the end. */
static char *next_word(char **at)
{
    char *word = *at + strspn(*at, BLANKS);
    char *end = *word == '{' ? strchr(word, '}') : NULL;

    if (*word == '\0')
        return NULL;
    if (end) {
        word += 1 + strspn(word + 1, BLANKS);
        *at = end + 1;
        while (end > word && strchr(BLANKS, end[-1]))
            end--;
    } else {
        end = word + strcspn(word, BLANKS);
        *at = *end == '\0' ? end : end + 1;
    }
    *end = '\0';
    return word;
}

size_t master_line_settings(char *arguments, const char **settings, size_t most)
{
    size_t count = 0;
    char *word;

    while (count < most && (word = next_word(&arguments))) {
        if (strncmp(word, "-o", 2) != 0)
            continue;
        word = word[2] != '\0' ? word + 2 : next_word(&arguments);
        if (!word)
            break;
        settings[count++] = word;
    }
    return count;
}

bool master_line_config(const struct master_line *line, char *path, size_t size)
{
    const char *at = line->arguments;

    while (*(at += strspn(at, BLANKS)) != '\0') {
        size_t length = strcspn(at, BLANKS);

        if (length >= 2 && strncmp(at, "-C", 2) == 0) {
            const char *value = length > 2 ? at + 2 : at + 2 + strspn(at + 2, BLANKS);
            size_t value_length = strcspn(value, BLANKS);

            snprintf(path, size, "%.*s", (int)value_length, value);
            return value_length > 0;
        }
        at += length;
    }
    return false;
}
