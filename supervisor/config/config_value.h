#ifndef SUPERVISOR_CONFIG_VALUE_H
#define SUPERVISOR_CONFIG_VALUE_H

/*
 * One value of the configuration between JSON and its field. For config.c; others use config.h.
 */

#include "supervisor/config/config.h"

#include <cjson/cJSON.h>

#define CONFIG_MILLIONTHS 1000000
#define CONFIG_SIZE_UNITS 3
#define CONFIG_TIME_UNITS 4

/* A unit behind a number. The largest comes first: printing takes the first that divides. */
struct config_unit {
    char letter;
    uint64_t factor;
};

extern const struct config_unit config_size_units[CONFIG_SIZE_UNITS];
extern const struct config_unit config_time_units[CONFIG_TIME_UNITS];

/* Whether it is a whole number from 0 to 2^53. */
bool config_value_whole(double value);

/* Puts the default of a key into its field. */
void config_value_default(const struct config_key *key, struct config *out);

/* Puts a JSON value into the field of a key, which is not a CONFIG_PACES. Returns 0, or -EINVAL
 * when the key may not have that value: then the field is as it was. */
int config_value_set(const struct config_key *key, const cJSON *item, struct config *out);

/*
 * A decimal number without sign and exponent at the start of `text`: in millionths, so that 0.1 is
 * exact. Returns how many characters it has; 0 when there is none, when it has more than six
 * decimals or when it is above 10^12.
 */
size_t config_value_decimal(const char *text, uint64_t *millionths);

/* Whether it is a domain as CONFIG_PACES may have it. */
bool config_value_domain(const char *name);

/* Puts one domain into a CONFIG_PACES key's field, in the place of what it has for that domain.
 * Returns 0; -EINVAL when the value is no time within the key's bounds, -ENOSPC when it has
 * CONFIG_PACES_MAX others. Then the field is as it was. */
int config_value_set_pace(const struct config_key *key, const char *domain, const cJSON *item,
                          struct config *out);

/* The same with the time as it is, for a domain that is one: 0 or -ENOSPC. */
int config_paces_set(struct config_paces *paces, const char *domain, uint64_t pace);

#endif
