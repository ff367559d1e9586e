/* Any bytes as master.cf, as `check` and the start read it: what is pointed to is inside the text. */

#include "agents/master_file.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static const char *text;
static size_t text_size;

static void inside(const char *part)
{
    check(part >= text && part + strlen(part) <= text + text_size);
}

static void settings_of(const struct master_line *line)
{
    const char *setting[8];
    char *copy = strdup(line->arguments);
    char path[256];
    size_t count;

    check(copy != NULL);
    count = master_line_settings(copy, setting, 8);
    check(count <= 8);
    for (size_t i = 0; i < count; i++)
        check(setting[i] >= copy && setting[i] <= copy + strlen(line->arguments));
    free(copy);
    if (master_line_config(line, path, sizeof path))
        check(memchr(path, '\0', sizeof path) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct master_file file;
    char *copy = malloc(size + 1);

    check(copy != NULL);
    memcpy(copy, data, size);
    copy[size] = '\0';
    text = copy;
    text_size = size;
    master_file_parse(copy, &file);
    check(file.count <= MASTER_FILE_LINES_MAX);
    for (size_t i = 0; i < file.count; i++) {
        const struct master_line *line = &file.line[i];

        inside(line->name);
        inside(line->type);
        inside(line->command);
        inside(line->arguments);
        check(line->number >= 1 && line->replaced < line->number);
        check(line->limit >= MASTER_LIMIT_DEFAULT);
        check(master_file_find(&file, line->name, line->type, line->command) != NULL);
        settings_of(line);
    }
    free(copy);
    return 0;
}
