#include "supervisor/ctl/ctl_setup_edit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What begins a line that continues the one before (master_file.h). */
#define SPACES " \t\r\n\v\f"

#define NAME_SIZE 512

bool ctl_setup_takes(const struct master_line *line)
{
    return strchr(line->name, '\'') == NULL && strlen(line->name) < NAME_SIZE / 2;
}

__attribute__((format(printf, 2, 3))) static void add(struct ctl_setup_edits *edits,
                                                      const char *format, ...)
{
    va_list list;

    if (edits->used >= sizeof edits->words)
        return;
    va_start(list, format);
    edits->used += (size_t)vsnprintf(edits->words + edits->used, sizeof edits->words - edits->used,
                                     format, list);
    va_end(list);
}

/* The name, as a regular expression that finds nothing else. */
static const char *expression(const char *name, char text[NAME_SIZE])
{
    size_t used = 0;

    for (const char *c = name; *c != '\0' && used + 2 < NAME_SIZE; c++) {
        if (strchr("]/.*+?^(){}|[$\\", *c))
            text[used++] = '\\';
        text[used++] = *c;
    }
    text[used] = '\0';
    return text;
}

/* The last line in the file of the service that begins at line `first`. */
static unsigned last_of(const char *text, unsigned first)
{
    unsigned number = 0, last = first;

    for (const char *at = text; *at != '\0';) {
        size_t length = strcspn(at, "\n");
        size_t blank = strspn(at, SPACES);

        if (++number > first && blank < length && at[blank] != '#') {
            if (blank == 0)
                break;
            last = number;
        }
        at += length + (at[length] == '\n');
    }
    return last;
}

static void replace_command(struct ctl_setup_edits *edits, const struct master_line *line,
                            const char *command)
{
    char name[NAME_SIZE], old[NAME_SIZE];

    add(edits, " \\\n    -e '%us/^(%s\\s+%s(\\s+\\S+){5}\\s+)%s(\\s|$)/\\1%s\\3/'", line->number,
        expression(line->name, name), line->type, expression(line->command, old), command);
}

/* The equal service that the one at `number` replaces, by its line; 0: none. `text` is cut there. */
static unsigned replaced_by(char *text, struct master_file *file, const struct master_line *line,
                            unsigned number)
{
    char *at = text;

    for (unsigned last = last_of(text, number); last > 0; last--) {
        at += strcspn(at, "\n");
        at += *at == '\n';
    }
    *at = '\0';
    master_file_parse(text, file);
    for (size_t i = 0; i < file->count; i++)
        if (file->line[i].number == number && strcmp(file->line[i].name, line->name) == 0)
            return file->line[i].replaced;
    return 0;
}

/* Makes comments of all equal services before the line. */
static void comment_replaced(struct ctl_setup_edits *edits, const char *text,
                             const struct master_line *line)
{
    struct master_file *file = malloc(sizeof *file);

    for (unsigned number = line->replaced; file && number != 0;) {
        char *copy = strdup(text);

        add(edits, " \\\n    -e '%u,%us/^/#/'", number, last_of(text, number));
        number = copy ? replaced_by(copy, file, line, number) : 0;
        free(copy);
    }
    free(file);
}

/* The other line of the name, which nothing asks. */
static const struct master_line *public_of(const struct master_file *file,
                                           const struct master_line *line)
{
    for (size_t i = 0; i < file->count; i++)
        if (file->line[i].public && strcmp(file->line[i].name, line->name) == 0 &&
            strcmp(file->line[i].type, line->type) == 0)
            return &file->line[i];
    return NULL;
}

void ctl_setup_in(struct ctl_setup_edits *edits, const char *text, const struct master_file *file,
                  const struct master_line *line, bool silence)
{
    const struct master_line *retry = master_file_find(file, "retry", "unix", NULL);
    const struct master_line *public = public_of(file, line);

    *edits = (struct ctl_setup_edits){0};
    if (strcmp(line->command, "headroom") != 0)
        replace_command(edits, line, "headroom");
    if (public && public != line && strcmp(public->command, "headroom") == 0)
        replace_command(edits, public, "lmtp");
    comment_replaced(edits, text, line);
    if (!retry)
        add(edits,
            " \\\n    -e '$a retry     unix  -       -       n       -       -       error'");
    else if (strcmp(retry->command, "error") != 0)
        replace_command(edits, retry, "error");
    if (silence && !public)
        add(edits, " \\\n    -e '$a %s unix n - %s - 0 lmtp'", line->name,
            line->chroot ? "y" : "n");
}

void ctl_setup_out(struct ctl_setup_edits *edits, const char *text, const struct master_line *line,
                   const char *agent)
{
    char path[NAME_SIZE];

    *edits = (struct ctl_setup_edits){0};
    replace_command(edits, line, agent);
    if (master_line_config(line, path, sizeof path))
        add(edits, " \\\n    -e '%u,%us/\\s+-C\\s*\\S+//'", line->number,
            last_of(text, line->number));
}
