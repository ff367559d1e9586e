#ifndef SUPERVISOR_CONFIG_WALK_H
#define SUPERVISOR_CONFIG_WALK_H

/*
 * What is carried along when config.c walks through a document, and how a problem that is met on
 * the way is said. For config.c; others use config.h.
 */

#include "supervisor/config/config.h"
#include "supervisor/config/json.h"

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_KEYS_MAX 64        /* more than the table has; checked where it is used */
#define CONFIG_PATH_SHOWN 100     /* longer than any key's path: what is cut is no key */
#define CONFIG_FOUND_SHOWN 40     /* characters shown of a value that is wrong */
#define CONFIG_FILE_NAME_SIZE 300 /* shown of the file name, so that the rest of the line remains */

/* Who gave a key its value; the later wins. */
enum config_layer { CONFIG_LAYER_TABLE, CONFIG_LAYER_DEFAULTS, CONFIG_LAYER_SERVICE };

/* The values known so far, and their origin, to check one against another. */
struct config_values {
    struct config config;
    unsigned char layer[CONFIG_KEYS_MAX];
    uint32_t offset[CONFIG_KEYS_MAX];
};

struct config_walk {
    const char *text;
    size_t length;
    char file_name[CONFIG_FILE_NAME_SIZE];
    const struct json_document *document;
    config_report *report;
    void *context;
    bool other_service; /* errors are warnings: they are not ours */
    unsigned errors;
    unsigned reported;
    unsigned dropped;
};

/* config_walk.c */

/* Whether a problem is to be said. It counts as said, or as dropped. The first error always is. */
bool config_walk_wanted(struct config_walk *walk, enum config_severity severity);

/* Says it, with the place of that byte of the text before it. */
__attribute__((format(printf, 4, 5))) void config_walk_say(const struct config_walk *walk,
                                                           enum config_severity severity,
                                                           uint32_t offset, const char *format,
                                                           ...);

/* How bad an error is here. */
enum config_severity config_walk_severity(const struct config_walk *walk);

/* What stands there, as it was written. */
void config_walk_found(const struct config_walk *walk, const cJSON *item, uint32_t index,
                       char *buffer, size_t size);

/* Whether it is an object; if not, says that it must be, `with` what in it. */
bool config_walk_object(struct config_walk *walk, const char *path, const cJSON *item,
                        uint32_t index, const char *with);

/* Says that there is no such key, and which may have been meant. */
void config_walk_unknown(struct config_walk *walk, const char *section, const char *path,
                         const char *name, uint32_t index);

/* config_order.c */

/* Checks values against each other where one of them was given in `least` or above it. */
void config_order_check(struct config_walk *walk, const struct config_values *values,
                        enum config_layer least);

/* config_agent.c */

/* Checks that an agent given in `least` or above is none of Postfix's other programs. */
void config_agent_check(struct config_walk *walk, const struct config_values *values,
                        enum config_layer least);

#endif
