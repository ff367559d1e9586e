#ifndef SUPERVISOR_CONFIG_NEAREST_H
#define SUPERVISOR_CONFIG_NEAREST_H

/*
 * What the operator may have meant by a key that is not known. For config.c.
 */

#include <stdbool.h>
#include <stddef.h>

/* Whether the path is that of an object which holds keys: "workers". */
bool config_is_section(const char *path);

/*
 * The known key or section nearest to an unknown one, by edit distance without regard to case; a
 * key that is known in another section counts as near. `path` is the whole path, `name` its last
 * part. The answer is a path and valid for the call's buffer; false when nothing is near.
 */
bool config_nearest(const char *path, const char *name, char *buffer, size_t size);

/* The names in a section ("": the uppermost), separated by commas. Cut to `size`. */
void config_names(const char *section, char *buffer, size_t size);

#endif
