#include "supervisor/config/config_bound.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/master_file.h"
#include "agents/postconf.h"

/* default_process_limit where main.cf does not set it: postconf(5). */
#define STOCK_PROCESSES 100

static const struct {
    const char *word;
    const char *text;
} bounds[] = {
    [CONFIG_BOUND_DEFAULT] = {"default", "default"},
    [CONFIG_BOUND_FILE] = {"file", "workers.max in headroom.json"},
    [CONFIG_BOUND_COLUMN] = {"column", "process limit column of master.cf"},
    [CONFIG_BOUND_PROCESS_LIMIT] = {"default_process_limit", "default_process_limit of main.cf"},
};

static void choose(struct config *config, int limit, enum config_bound bound)
{
    const struct config_key *key = config_key_find("workers.max");

    config->workers_max = limit > key->maximum ? (uint32_t)key->maximum : (uint32_t)limit;
    config->workers_bound = bound;
}

bool config_bound_apply(struct config *config, int column, int process_limit)
{
    const uint32_t most = (uint32_t)config_key_find("workers.max")->maximum;
    uint32_t stock = process_limit > 0 ? (uint32_t)process_limit : STOCK_PROCESSES;
    bool lowered;

    if (column >= 0)
        stock = column > 0 ? (uint32_t)column : most;
    if (config->dry_run)
        config->workers_stock = stock < most ? stock : most;
    if (config->workers_bound == CONFIG_BOUND_FILE)
        return false;
    if (column > 0)
        choose(config, column, CONFIG_BOUND_COLUMN);
    else if (column < 0 && process_limit > 0)
        choose(config, process_limit, CONFIG_BOUND_PROCESS_LIMIT);
    lowered = config->workers_min > config->workers_max;
    if (lowered)
        config->workers_min = config->workers_max;
    return lowered;
}

static int column_read(const char *config_directory, const char *service, int told, char *note,
                       size_t note_size)
{
    struct master_file *file = malloc(sizeof *file);
    const struct master_line *line = NULL;
    char *text = NULL;
    int result = file ? master_file_read(config_directory, &text, file) : -ENOMEM;

    if (result < 0)
        snprintf(note, note_size, "%s/master.cf: %s: the process limit of service %s is not known",
                 config_directory, strerror(-result), service);
    else
        line = master_file_find(file, service, "unix", "headroom");
    if (line)
        told = line->limit;
    free(text);
    free(file);
    return told;
}

void config_bound_find(struct config *config, const char *config_directory, const char *service,
                       int told, char *note, size_t note_size)
{
    unsigned wanted = config->workers_min;
    int process_limit = 0;
    char error[512];
    int column;

    note[0] = '\0';
    if (config->workers_bound == CONFIG_BOUND_FILE && !config->dry_run)
        return;
    column = column_read(config_directory, service, told, note, note_size);
    if (column < 0 && postconf_main_number(NULL, config_directory, "default_process_limit",
                                           &process_limit, error, sizeof error) < 0)
        snprintf(note, note_size, "postconf: %s: default_process_limit is not known", error);
    if (config_bound_apply(config, column, process_limit))
        snprintf(note, note_size,
                 "workers.min is %u, but the %s allows %u: that holds, unless workers.max is set",
                 wanted, config_bound_text(config->workers_bound), config->workers_max);
}

const char *config_bound_text(enum config_bound bound)
{
    return bounds[bound].text;
}

const char *config_bound_word(enum config_bound bound)
{
    return bounds[bound].word;
}

enum config_bound config_bound_of(const char *word)
{
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
        if (strcmp(bounds[i].word, word) == 0)
            return (enum config_bound)i;
    return CONFIG_BOUND_DEFAULT;
}
