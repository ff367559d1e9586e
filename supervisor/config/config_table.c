#include "supervisor/config/config.h"

#include <string.h>

#define KIB 1024.0
#define MIB (1024 * KIB)
#define TIB (1024 * 1024 * MIB)
#define SECOND 1e6
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

#define FIELD(name) .offset = offsetof(struct config, name)

/* In the order of the enums in the header. */
static const char *const workers_limits[] = {"memory", "fixed", NULL};
static const char *const workers_starts[] = {"exec", "auto", "fork", NULL};
static const char *const cgroup_modes[] = {"auto", "unit", "hybrid", "observe", NULL};
static const char *const destination_keys[] = {"recipient_domain", "nexthop", "recipient", NULL};

static const struct config_key keys[] = {
    {"agent", CONFIG_NAME, "", .standard_text = "lmtp",
     .meaning = "The delivery agent that workers run, a program in Postfix's daemon_directory.",
     FIELD(agent)},
    {"dry_run", CONFIG_BOOLEAN, "", .standard = 0,
     .meaning =
         "Whether mail goes as with stock Postfix, and what headroom would do is only counted.",
     FIELD(dry_run)},

    {"workers.min", CONFIG_COUNT, "workers", 1, 10000, 1,
     .meaning = "Workers that are allowed whatever the state of memory.", FIELD(workers_min)},
    {"workers.max", CONFIG_COUNT, "workers", 1, 10000, 500,
     .meaning =
         "Workers that are never exceeded. Its default is the process limit of the service in "
         "master.cf, else default_process_limit of main.cf, where one is set.",
     FIELD(workers_max)},
    {"workers.limit", CONFIG_CHOICE, "", .standard = CONFIG_LIMIT_MEMORY, .choices = workers_limits,
     .meaning = "What decides how many workers there may be: live memory, or workers.max alone.",
     FIELD(workers_limit)},
    {"workers.start", CONFIG_CHOICE, "", .standard = CONFIG_START_AUTO, .choices = workers_starts,
     .meaning =
         "How a worker is started: executed, or forked from an initialised one where that is "
         "safe; fork: with a warning where it is not.",
     FIELD(workers_start)},

    {"waiting.max", CONFIG_COUNT, "requests", 1, 100000, 2000,
     .meaning = "Requests that may wait for a worker.", FIELD(waiting_max)},
    {"waiting.time", CONFIG_TIME, "seconds", 1 * SECOND, 1 * DAY, 300 * SECOND,
     .meaning = "How long a request to a slow destination may wait before it is deferred.",
     FIELD(waiting_time)},

    {"memory.min_available", CONFIG_SIZE, "bytes", 0, 64 * TIB, .word = "auto",
     .meaning = "Available memory of the machine that workers must leave free; auto: 200M or a "
                "tenth of the memory, the smaller.",
     FIELD(memory_min_available)},
    {"memory.limit", CONFIG_SIZE, "bytes", 8 * MIB, 64 * TIB, .word = "none",
     .meaning = "Hard limit of the workers' memory group: above it the kernel kills.",
     FIELD(memory_limit)},
    {"memory.high", CONFIG_SIZE, "bytes", 8 * MIB, 64 * TIB, .word = "none",
     .meaning = "Soft limit of the workers' memory group: above it the kernel reclaims and slows "
                "them down.",
     FIELD(memory_high)},

    {"pressure.hold", CONFIG_PERCENT, "percent", 0.01, 100, 0.5,
     .meaning = "Share of time in which tasks wait for memory, from which on no worker is started.",
     FIELD(pressure_hold)},
    {"pressure.target", CONFIG_PERCENT, "percent", 0.01, 100, 1,
     .meaning = "Share of time in which tasks wait for memory, from which on workers are retired.",
     FIELD(pressure_target)},
    {"pressure.full", CONFIG_PERCENT, "percent", 0.01, 100, 10,
     .meaning = "Share of time in which all tasks wait for memory, from which on waiting mail is "
                "deferred.",
     FIELD(pressure_full)},

    {"shed.after", CONFIG_TIME, "seconds", 0, 1 * HOUR, 10 * SECOND,
     .meaning = "How long memory must be short before waiting mail is deferred.",
     FIELD(shed_after)},
    {"shed.grace", CONFIG_TIME, "seconds", 0, 1 * HOUR, 5 * SECOND,
     .meaning = "How long a request may still wait for a worker while waiting mail is deferred.",
     FIELD(shed_grace)},

    {"destination.key", CONFIG_CHOICE, "", .standard = CONFIG_DESTINATION_RECIPIENT_DOMAIN,
     .choices = destination_keys, .meaning = "What makes two requests go to the same destination.",
     FIELD(destination_key)},
    {"destination.split", CONFIG_BOOLEAN, "", .standard = 1,
     .meaning = "Whether destinations that are not known to deliver get requests of their own.",
     FIELD(destination_split)},
    {"destination.backlog", CONFIG_COUNT, "requests", 1, 100000, 30,
     .meaning = "Requests that may wait for one slow or dead destination.",
     FIELD(destination_backlog)},
    {"destination.pace", CONFIG_TIME, "seconds", 0, 1 * HOUR, 0,
     .meaning = "Shortest time between two starts to one destination.", FIELD(destination_pace)},
    {"destination.paces", CONFIG_PACES, "seconds", 0, 1 * HOUR, 0,
     .meaning = "Shortest time between two starts to single domains, instead of destination.pace.",
     FIELD(destination_paces)},
    {"destination.slow_after", CONFIG_TIME, "seconds", 0.1 * SECOND, 1 * HOUR, 5 * SECOND,
     .meaning = "Time of a delivery from which on its destination counts as slow.",
     FIELD(destination_slow_after)},

    {"cgroup.mode", CONFIG_CHOICE, "", .standard = CONFIG_CGROUP_AUTO, .choices = cgroup_modes,
     .meaning = "How the workers' memory group is made; auto: the best that the machine allows.",
     FIELD(cgroup_mode)},
    {"cgroup.parent", CONFIG_PATH, "", .standard_text = "",
     .meaning = "The group in which the workers' group is made; empty: headroom's own.",
     FIELD(cgroup_parent)},

    {"journal.domains", CONFIG_BOOLEAN, "", .standard = 0,
     .meaning = "Whether the journal may name the domains of recipients.", FIELD(journal_domains)},

    {"status.public", CONFIG_BOOLEAN, "", .standard = 0,
     .meaning = "Whether everybody may read a summary of the state, without domains.",
     FIELD(status_public)},

    {"metrics.textfile", CONFIG_PATH, "", .standard_text = "",
     .meaning =
         "File with metrics for Prometheus (name it *.prom), in a directory that mail_owner may "
         "write to; %s stands for the service; empty: none.",
     FIELD(metrics_textfile)},
};

_Static_assert(sizeof(keys) / sizeof(keys[0]) <= 64, "config.given has a bit for each");

const struct config_key *config_keys(size_t *count)
{
    *count = sizeof(keys) / sizeof(keys[0]);
    return keys;
}

const struct config_key *config_key_find(const char *path)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strcmp(keys[i].path, path) == 0)
            return &keys[i];
    return NULL;
}
