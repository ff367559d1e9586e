#include "agents/postconf_qmgr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/master_file.h"

/* What is not taken of a line that has more has no place on one that is written by hand. */
#define SETTINGS_MAX 32

static int read_with(struct postconf *postconf, const char *const *settings, char *error,
                     size_t error_size)
{
    struct postconf *values = malloc(sizeof *values);
    int result = -ENOMEM;

    if (values)
        result = postconf_read(postconf->config_directory, settings, values, error, error_size);
    else
        snprintf(error, error_size, "%s", strerrordesc_np(ENOMEM));
    if (result == 0) {
        postconf->maximal_queue_lifetime = values->maximal_queue_lifetime;
        postconf->bounce_queue_lifetime = values->bounce_queue_lifetime;
        postconf->daemon_timeout = values->daemon_timeout;
        postconf->qmgr_message_active_limit = values->qmgr_message_active_limit;
        postconf->default_destination_concurrency_limit =
            values->default_destination_concurrency_limit;
    }
    free(values);
    return result;
}

int postconf_read_qmgr(struct postconf *postconf, const char *const *overrides, char *error,
                       size_t error_size)
{
    struct master_file *file = malloc(sizeof *file);
    const struct master_line *line;
    const char *settings[SETTINGS_MAX + 1] = {NULL};
    char *text = NULL, *words = NULL;
    int result = -ENOMEM;

    if (file)
        result = master_file_read(postconf->config_directory, &text, file);
    if (result < 0) {
        snprintf(error, error_size, "%s/master.cf: %s", postconf->config_directory,
                 strerrordesc_np(-result));
        goto out;
    }
    line = master_file_find(file, "qmgr", "unix", NULL);
    if (!line)
        line = master_file_find(file, "qmgr", "fifo", NULL);
    words = strdup(line ? line->arguments : "");
    if (words)
        master_line_settings(words, settings, SETTINGS_MAX);
    if (settings[0] || (overrides && *overrides))
        result = read_with(postconf, settings, error, error_size);
out:
    free(words);
    free(text);
    free(file);
    return result;
}
