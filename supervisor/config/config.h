#ifndef SUPERVISOR_CONFIG_H
#define SUPERVISOR_CONFIG_H

/*
 * The configuration of one service: the values, the table of keys, and the reading of them from
 * JSON text.
 *
 *   {"defaults": {"workers": {"max": 200}},
 *    "services": {"lmtp-filtermail": {"memory": {"limit": "64M"}}}}
 *
 * "defaults" and each entry of "services" have the same keys. What a service says wins over
 * "defaults", whatever comes first in the text; what neither says has the default of the table. The
 * table (config_keys) is the only place where a key is defined: a new key is one field of struct
 * config and one line of the table.
 *
 * How values are written:
 *   count    a whole number
 *   size     bytes as a whole number, or a string with K, M or G (powers of 1024): "64M";
 *            some keys have a word: "auto", "none"
 *   time     seconds as a number, or a string with s, m, h or d as in postconf(5): "5m";
 *            decimals are allowed: "0.5s"
 *   percent  a number, or a string with a percent sign: 0.5, "0.5%"
 *   choice, name, path   strings; boolean: true or false
 *   paces    an object with a time for each of several domains: {"example.com": "2s"}; those of a
 *            service are added to those of "defaults", and win for the same domain
 *
 * Nothing here does I/O or keeps state. config_parse() allocates (cJSON) and gives back all of it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_NAME_SIZE                                                                           \
    64 /* with the final NUL; names of stock agents have less than twenty characters */
#define CONFIG_PATH_SIZE 512   /* with the final NUL; groups of container managers have some 200 */
#define CONFIG_DOMAIN_SIZE 256 /* with the final NUL; RFC 5321, 4.5.3.1.2 */
#define CONFIG_PACES_MAX                                                                           \
    64 /* domains with a pace of their own: who needs more needs another rule */
/* Holds the printed value of any key: the longest is that of CONFIG_PACES_MAX domains, each with
 * quotes, a colon, a time ("3599.999999s") and a comma, and the braces. */
#define CONFIG_VALUE_SIZE (CONFIG_PACES_MAX * (CONFIG_DOMAIN_SIZE + 24) + 3)
#define CONFIG_LINE_SIZE 1024 /* no reported line is longer, the final NUL included */
#define CONFIG_REPORTS_MAX                                                                         \
    20 /* lines reported for one text; the rest is counted in one more line */

/* Sizes that are words. NONE is the value that cgroup/memory.h gives a limit that is not set. */
#define CONFIG_SIZE_NONE UINT64_MAX
#define CONFIG_SIZE_AUTO (UINT64_MAX - 1)

enum config_workers_start { CONFIG_START_EXEC, CONFIG_START_AUTO, CONFIG_START_FORK };
enum config_workers_limit { CONFIG_LIMIT_MEMORY, CONFIG_LIMIT_FIXED };
enum config_cgroup_mode {
    CONFIG_CGROUP_AUTO,
    CONFIG_CGROUP_UNIT,
    CONFIG_CGROUP_HYBRID,
    CONFIG_CGROUP_OBSERVE
};
enum config_destination_key {
    CONFIG_DESTINATION_RECIPIENT_DOMAIN,
    CONFIG_DESTINATION_NEXTHOP,
    CONFIG_DESTINATION_RECIPIENT
};

/* Times for domains, sorted by strcmp(3). */
struct config_paces {
    uint32_t count;
    struct config_pace {
        char domain[CONFIG_DOMAIN_SIZE]; /* in lower case */
        uint64_t pace;                   /* microseconds */
    } of[CONFIG_PACES_MAX];
};

/* Where workers.max comes from (config_bound.h). */
enum config_bound {
    CONFIG_BOUND_DEFAULT,
    CONFIG_BOUND_FILE,          /* workers.max */
    CONFIG_BOUND_COLUMN,        /* the process limit of the service's line in master.cf */
    CONFIG_BOUND_PROCESS_LIMIT, /* default_process_limit, which main.cf sets */
};

/* Plain values without pointers: may be copied and sent between processes of one build. */
struct config {
    uint64_t given; /* a bit for each key of config_keys(), in its order: the file sets it */

    char agent[CONFIG_NAME_SIZE]; /* a program in daemon_directory: a plain name, never a path */
    bool dry_run; /* nothing is held back, deferred or split: that is only counted */
    uint32_t workers_min;
    uint32_t workers_max;   /* never below workers_min */
    uint32_t workers_bound; /* enum config_bound */
    uint32_t workers_stock; /* of a dry run: as many as stock Postfix would have (config_bound.h) */
    uint32_t workers_limit; /* enum config_workers_limit */
    uint32_t workers_start; /* enum config_workers_start */
    uint32_t waiting_max;   /* requests */
    uint64_t waiting_time;  /* microseconds */

    uint32_t cgroup_mode;                 /* enum config_cgroup_mode */
    char cgroup_parent[CONFIG_PATH_SIZE]; /* empty, or a path below the root of the group tree, with
                                             its first slash */

    uint64_t memory_min_available; /* bytes, or CONFIG_SIZE_AUTO */
    uint64_t memory_limit;         /* bytes, or CONFIG_SIZE_NONE */
    uint64_t memory_high;          /* bytes, or CONFIG_SIZE_NONE */

    double pressure_hold;   /* percent */
    double pressure_target; /* percent */
    double pressure_full;   /* percent */

    uint64_t shed_after; /* microseconds */
    uint64_t shed_grace; /* microseconds */

    uint32_t destination_key; /* enum config_destination_key */
    bool destination_split;
    uint32_t destination_backlog;          /* requests */
    uint64_t destination_pace;             /* microseconds between two starts, 0: none */
    struct config_paces destination_paces; /* instead of it, for these domains */
    uint64_t destination_slow_after;       /* microseconds */

    bool journal_domains;
    bool status_public;

    char metrics_textfile[CONFIG_PATH_SIZE]; /* empty: none; %s in it is the service */
};

enum config_type {
    CONFIG_NAME,    /* char[CONFIG_NAME_SIZE] */
    CONFIG_PATH,    /* char[CONFIG_PATH_SIZE] */
    CONFIG_COUNT,   /* uint32_t */
    CONFIG_SIZE,    /* uint64_t, bytes */
    CONFIG_TIME,    /* uint64_t, microseconds */
    CONFIG_PERCENT, /* double */
    CONFIG_CHOICE,  /* uint32_t, the index into choices */
    CONFIG_BOOLEAN, /* bool */
    CONFIG_PACES    /* struct config_paces; bounds are of each time in it */
};

/* One key. Bounds and default are in the unit of the field (bytes, microseconds, percent) and
 * inclusive. */
struct config_key {
    const char *path; /* "workers.max" is {"workers": {"max": ...}} */
    enum config_type type;
    const char *unit; /* of a bare number, for people: "bytes", "seconds"; "" when it has none */
    double minimum;
    double maximum;
    double standard;           /* the default; of a choice its index, of a boolean 0 or 1 */
    const char *standard_text; /* the default of a name or path, else NULL */
    const char *word; /* a size that may be "auto" or "none": that word, which is then the default,
                         else NULL */
    const char *const *choices; /* of a choice, ended by NULL */
    const char *meaning;        /* one line for people */
    size_t offset;              /* of the field in struct config */
};

/* All keys, in the order in which people should see them. The array is constant and lives for ever.
 */
const struct config_key *config_keys(size_t *count);

/* The key with that path, or NULL. */
const struct config_key *config_key_find(const char *path);

/* The value of a key as JSON, such that reading it again gives the same value ("64M", "5m", 0.5,
 * true). Returns 0, or -ENOSPC when it does not fit (CONFIG_VALUE_SIZE always does). */
int config_print_value(const struct config_key *key, const struct config *config, char *buffer,
                       size_t size);

/* What a key may be, in words: `a whole number from 1 to 10000`. Cut when it does not fit. */
void config_print_allowed(const struct config_key *key, char *buffer, size_t size);

void config_defaults(struct config *out);

/* Workers that may exist. */
static inline uint32_t config_workers(const struct config *config)
{
    return config->dry_run ? config->workers_stock : config->workers_max;
}

/* Whether the file that was parsed sets a key of config_keys(). */
bool config_given(const struct config *config, const struct config_key *key);

/*
 * The shortest time between two starts to a domain (in lower case, without a final NUL), in
 * microseconds: that of destination.paces when the domain is named there, else destination.pace.
 */
uint64_t config_pace(const struct config *config, const char *domain, size_t length);

enum config_severity {
    CONFIG_WARNING, /* the configuration is used */
    CONFIG_ERROR    /* it is not */
};

/* Receives each problem as one line without a line break: "FILE:LINE:COLUMN: what was found, what
 * is allowed". Lines and columns count from 1, columns in characters (not bytes). The line is
 * printable and lives for the call. */
typedef void config_report(void *context, enum config_severity severity, const char *line);

/*
 * Reads the configuration of `service` out of a text. file_name is for the reports only. Unknown
 * keys are warnings with the nearest known key, and so is everything wrong in the entry of another
 * service. Needs no final NUL. Returns 0; -EINVAL when the text can't be used (at least one error
 * was reported) or -ENOMEM (the same). Then *out is as it was.
 */
int config_parse(const char *text, size_t length, const char *file_name, const char *service,
                 struct config *out, config_report *report, void *context);

#endif
