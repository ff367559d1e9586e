#include "supervisor/report/status_table.h"

/* The name of a struct or member cannot stand in parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define PLAIN(kind, of, member)                                                                    \
    {                                                                                              \
        "", #member, kind, offsetof(struct of, member), 0, NULL                                    \
    }
#define WORDS(of, member)                                                                          \
    {                                                                                              \
        "", #member, STATUS_TEXT, offsetof(struct of, member), sizeof(((struct of *)0)->member),   \
            NULL                                                                                   \
    }
#define ONE_OF(words, of, member)                                                                  \
    {                                                                                              \
        "", #member, STATUS_WORD, offsetof(struct of, member), sizeof(((struct of *)0)->member),   \
            words                                                                                  \
    }
#define INNER(kind, section, member)                                                               \
    {                                                                                              \
#section, #member, kind, offsetof(struct status, section.member), 0, NULL                  \
    }
#define INNER_WORDS(section, member)                                                               \
    {                                                                                              \
#section, #member, STATUS_TEXT, offsetof(struct status, section.member),                   \
            sizeof(((struct status *)0)->section.member), NULL                                     \
    }
#define INNER_ONE_OF(words, section, member)                                                       \
    {                                                                                              \
#section, #member, STATUS_WORD, offsetof(struct status, section.member),                   \
            sizeof(((struct status *)0)->section.member), words                                    \
    }

#define TOTAL(name, field, metric, label, help, text)                                              \
    {"totals", #name, STATUS_COUNT, offsetof(struct status, totals.name), 0, NULL},

/* NOLINTEND(bugprone-macro-parentheses) */

/* limit_mode_name(), admission_lane_name(), group_mode_name(): test_status.c compares. */
#define STATES "OPEN|HOLD|SHRINK|SHED"
#define LANES "proven|first|passed|slow|unknown|dead"
#define MODES "unit|hybrid|observe"
#define NEXTHOP_STATES "down|silent" /* collect.c */

static const struct status_field fields[] = {
    PLAIN(STATUS_COUNT, status, format),
    WORDS(status, version),
    WORDS(status, service),
    PLAIN(STATUS_TIME, status, written),
    PLAIN(STATUS_TIME, status, started),
    PLAIN(STATUS_COUNT, status, pid),
    PLAIN(STATUS_COUNT, status, parent),
    INNER_ONE_OF(STATES, state, name),
    INNER(STATUS_TIME, state, since),
    INNER(STATUS_COUNT, state, limit),
    INNER_WORDS(state, reason),
    INNER_WORDS(state, key),
    INNER(STATUS_FLAG, state, memory),
    INNER(STATUS_COUNT, settings, dry_run),
    INNER(STATUS_COUNT, settings, workers_min),
    INNER(STATUS_COUNT, settings, workers_max),
    INNER_WORDS(settings, workers_bound),
    INNER(STATUS_FLAG, settings, fixed),
    INNER(STATUS_COUNT, settings, waiting_max),
    INNER(STATUS_COUNT, settings, slow_after),
    INNER(STATUS_COUNT, workers, live),
    INNER(STATUS_COUNT, workers, starting),
    INNER(STATUS_COUNT, workers, idle),
    INNER(STATUS_COUNT, workers, connecting),
    INNER(STATUS_COUNT, workers, busy),
    INNER(STATUS_COUNT, workers, leaving),
    INNER(STATUS_COUNT, workers, most),
    INNER_WORDS(workers, why),
    INNER_WORDS(workers, start),
    INNER(STATUS_TIME, workers, starting_since),
    INNER(STATUS_COUNT, requests, held),
    INNER(STATUS_COUNT, requests, waiting),
    INNER(STATUS_COUNT, requests, deferring),
    INNER(STATUS_COUNT, requests, hanging),
    INNER(STATUS_COUNT, waits, held),
    INNER(STATUS_COUNT, waits, failing),
    INNER(STATUS_COUNT, waits, pace),
    INNER(STATUS_COUNT, waits, number),
    INNER(STATUS_COUNT, waits, window),
    INNER(STATUS_COUNT, waits, unproven),
    INNER(STATUS_COUNT, lanes, proven),
    INNER(STATUS_COUNT, lanes, first),
    INNER(STATUS_COUNT, lanes, passed),
    INNER(STATUS_COUNT, lanes, slow),
    INNER(STATUS_COUNT, lanes, unknown),
    INNER(STATUS_COUNT, lanes, dead),
    INNER(STATUS_COUNT, shares, proven),
    INNER(STATUS_COUNT, shares, first),
    INNER(STATUS_COUNT, shares, passed),
    INNER(STATUS_COUNT, shares, slow),
    INNER(STATUS_COUNT, shares, unknown),
    INNER(STATUS_COUNT, shares, dead),
    TOTALS(TOTAL) INNER(STATUS_COUNT, unlogged, deferred),
    INNER(STATUS_COUNT, unlogged, waited),
    INNER(STATUS_COUNT, unlogged, split),
    INNER(STATUS_COUNT, minute, span),
    INNER(STATUS_COUNT, minute, delivered),
    INNER(STATUS_COUNT, minute, failed),
    INNER(STATUS_COUNT, minute, deferred),
    INNER(STATUS_COUNT, minute, waiting),
    INNER(STATUS_COUNT, minute, limit),
    INNER(STATUS_COUNT, minute, workers),
    INNER(STATUS_NUMBER, minute, pressure),
    INNER_ONE_OF(MODES, memory, mode),
    INNER(STATUS_FLAG, memory, machine_known),
    INNER(STATUS_BYTES, memory, total),
    INNER(STATUS_BYTES, memory, available),
    INNER(STATUS_BYTES, memory, min_available),
    INNER(STATUS_FLAG, memory, pool_known),
    INNER(STATUS_BYTES, memory, working_set),
    INNER(STATUS_BYTES, memory, limit),
    INNER(STATUS_BYTES, memory, footprint),
    INNER(STATUS_COUNT, memory, oom_kills),
    INNER(STATUS_FLAG, pressure, pool_known),
    INNER(STATUS_NUMBER, pressure, pool_some),
    INNER(STATUS_NUMBER, pressure, pool_full),
    INNER(STATUS_FLAG, pressure, machine_known),
    INNER(STATUS_NUMBER, pressure, machine_some),
    INNER(STATUS_NUMBER, pressure, machine_full),
    INNER(STATUS_NUMBER, pressure, hold),
    INNER(STATUS_NUMBER, pressure, target),
    INNER(STATUS_NUMBER, pressure, full),
    INNER(STATUS_FLAG, faults, greeting_known),
    INNER(STATUS_COUNT, faults, failed_starts),
    INNER_WORDS(faults, start_error),
    INNER(STATUS_COUNT, faults, lines_lost),
    INNER(STATUS_FLAG, faults, queue_read_only),
    INNER(STATUS_FLAG, faults, queue_full),
};

static const struct status_field change_fields[] = {
    PLAIN(STATUS_TIME, status_change, time),
    ONE_OF(STATES, status_change, state),
    WORDS(status_change, reason),
    PLAIN(STATUS_COUNT, status_change, limit),
    PLAIN(STATUS_COUNT, status_change, workers),
    PLAIN(STATUS_COUNT, status_change, waiting),
};

static const struct status_field nexthop_fields[] = {
    WORDS(status_nexthop, name),
    ONE_OF(NEXTHOP_STATES, status_nexthop, state),
    PLAIN(STATUS_TIME, status_nexthop, since),
    PLAIN(STATUS_COUNT, status_nexthop, waiting),
    PLAIN(STATUS_COUNT, status_nexthop, destinations),
};

static const struct status_field destination_fields[] = {
    WORDS(status_destination, name),
    ONE_OF(LANES, status_destination, lane),
    PLAIN(STATUS_TIME, status_destination, since),
    PLAIN(STATUS_COUNT, status_destination, in_flight),
    PLAIN(STATUS_COUNT, status_destination, hanging),
    PLAIN(STATUS_COUNT, status_destination, waiting),
    PLAIN(STATUS_COUNT, status_destination, window),
    PLAIN(STATUS_TIME, status_destination, oldest_start),
    PLAIN(STATUS_COUNT, status_destination, service),
    PLAIN(STATUS_TIME, status_destination, last_success),
    PLAIN(STATUS_TIME, status_destination, last_failure),
    PLAIN(STATUS_COUNT, status_destination, deferred),
    PLAIN(STATUS_COUNT, status_destination, would_defer),
    PLAIN(STATUS_COUNT, status_destination, failures),
    PLAIN(STATUS_TIME, status_destination, failing_since),
    PLAIN(STATUS_TIME, status_destination, failed),
    WORDS(status_destination, reason),
    PLAIN(STATUS_TIME, status_destination, reason_time),
    PLAIN(STATUS_FLAG, status_destination, held),
};

static const struct status_field delivery_fields[] = {
    WORDS(status_delivery, id),
    PLAIN(STATUS_COUNT, status_delivery, pid),
    PLAIN(STATUS_TIME, status_delivery, since),
    WORDS(status_delivery, destination),
    PLAIN(STATUS_COUNT, status_delivery, others),
};

#define TABLE(of)                                                                                  \
    {                                                                                              \
        .field = (of), .count = sizeof(of) / sizeof((of)[0])                                       \
    }

const struct status_table status_table = TABLE(fields);
const struct status_table status_nexthop_table = TABLE(nexthop_fields);
const struct status_table status_delivery_table = TABLE(delivery_fields);
const struct status_table status_change_table = TABLE(change_fields);
const struct status_table status_destination_table = TABLE(destination_fields);
