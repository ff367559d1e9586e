#include "supervisor/config/config_walk.h"

/* Pairs of keys of which the first must not be above the second. */
static const struct {
    const char *low;
    const char *high;
    enum config_severity severity;
    const char *because;
} ordered[] = {
    {"workers.min", "workers.max", CONFIG_ERROR, ""},
    {"pressure.hold", "pressure.target", CONFIG_WARNING,
     ": else workers are retired before starting them stops"},
    {"memory.high", "memory.limit", CONFIG_WARNING, ": else it has no effect"},
};

/* Whether the value of a key is a number, and which. */
static bool number_of(const struct config_key *key, const struct config *config, double *number)
{
    const char *at = (const char *)config + key->offset;

    switch (key->type) {
    case CONFIG_COUNT:
        *number = *(const uint32_t *)(const void *)at;
        return true;
    case CONFIG_PERCENT:
        *number = *(const double *)(const void *)at;
        return true;
    case CONFIG_SIZE:
    case CONFIG_TIME:
        *number = (double)*(const uint64_t *)(const void *)at;
        return *(const uint64_t *)(const void *)at < CONFIG_SIZE_AUTO;
    default:
        return false;
    }
}

void config_order_check(struct config_walk *walk, const struct config_values *values,
                        enum config_layer least)
{
    size_t count;
    const struct config_key *keys = config_keys(&count);

    for (size_t i = 0; i < sizeof(ordered) / sizeof(ordered[0]); i++) {
        const struct config_key *low = config_key_find(ordered[i].low);
        const struct config_key *high = config_key_find(ordered[i].high);
        enum config_severity severity = walk->other_service ? CONFIG_WARNING : ordered[i].severity;
        size_t blamed;
        bool blame_high;
        double least_number;
        double most_number;
        char low_value[64];
        char high_value[64];

        if (low == NULL || high == NULL || !number_of(low, &values->config, &least_number) ||
            !number_of(high, &values->config, &most_number) || least_number <= most_number)
            continue;
        /* The one that was given last is the one to mend. */
        blame_high = values->layer[high - keys] >= values->layer[low - keys];
        blamed = (size_t)((blame_high ? high : low) - keys);
        if (values->layer[blamed] < least || !config_walk_wanted(walk, severity))
            continue;
        config_print_value(low, &values->config, low_value, sizeof(low_value));
        config_print_value(high, &values->config, high_value, sizeof(high_value));
        config_walk_say(walk, severity, values->offset[blamed],
                        "%s is %s but must be at %s %s, which is %s%s", keys[blamed].path,
                        blame_high ? high_value : low_value, blame_high ? "least" : "most",
                        blame_high ? low->path : high->path, blame_high ? low_value : high_value,
                        ordered[i].because);
    }
}
