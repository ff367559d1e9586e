#include "supervisor/report/metrics.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/limit/limit.h"

struct out {
    char *text;
    size_t size;
    size_t used;
    char service[2 * STATUS_NAME_SIZE]; /* as the value of a label */
    const char *name;                   /* of the present family */
};

__attribute__((format(printf, 2, 3))) static void put(struct out *out, const char *format, ...)
{
    va_list list;
    int length;

    if (out->used >= out->size)
        return;
    va_start(list, format);
    length = vsnprintf(out->text + out->used, out->size - out->used, format, list);
    va_end(list);
    out->used += (size_t)length;
}

static void family(struct out *out, const char *name, const char *type, const char *help)
{
    out->name = name;
    put(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Without a label (NULL) the service is the only one. */
static void sample(struct out *out, const char *label, const char *value, double number)
{
    if (label)
        put(out, "%s{service=\"%s\",%s=\"%s\"} %.15g\n", out->name, out->service, label, value,
            number);
    else
        put(out, "%s{service=\"%s\"} %.15g\n", out->name, out->service, number);
}

static void gauge(struct out *out, const char *name, const char *help, double number)
{
    family(out, name, "gauge", help);
    sample(out, NULL, NULL, number);
}

static void counter(struct out *out, const char *name, const char *help, uint64_t number)
{
    family(out, name, "counter", help);
    sample(out, NULL, NULL, (double)number);
}

static void put_state(struct out *out, const struct status *status)
{
    family(out, "headroom_info", "gauge", "Always 1; the version is a label.");
    sample(out, "version", status->version, 1);
    family(out, "headroom_state", "gauge", "1 for the state that the service is in.");
    for (int mode = LIMIT_OPEN; mode <= LIMIT_SHED; mode++) {
        const char *name = limit_mode_name((enum limit_mode)mode);

        sample(out, "state", name, strcmp(name, status->state.name) == 0);
    }
    gauge(out, "headroom_start_timestamp_seconds", "When the dispatcher started.",
          (double)status->started / 1e6);
    gauge(out, "headroom_written_timestamp_seconds", "When these figures were taken.",
          (double)status->written / 1e6);
}

static void put_workers(struct out *out, const struct status *status)
{
    gauge(out, "headroom_workers_limit", "Workers that may exist now.",
          (double)status->state.limit);
    gauge(out, "headroom_dry_run", "1 for a dry run, which holds nothing back.",
          status->settings.dry_run > 0);
    gauge(out, "headroom_workers_max", "The configured workers.max.",
          (double)status->settings.workers_max);
    family(out, "headroom_workers", "gauge", "Workers by what they do.");
    sample(out, "activity", "starting", (double)status->workers.starting);
    sample(out, "activity", "idle", (double)status->workers.idle);
    sample(out, "activity", "busy", (double)(status->workers.busy + status->workers.connecting));
    sample(out, "activity", "leaving", (double)status->workers.leaving);
    gauge(out, "headroom_workers_failed_starts", "Starts that failed since the last good one.",
          (double)status->faults.failed_starts);
}

static void put_requests(struct out *out, const struct status *status)
{
    gauge(out, "headroom_requests_waiting", "Requests that wait for a worker.",
          (double)status->requests.waiting);
    gauge(out, "headroom_requests_held", "Requests that were accepted and are not answered.",
          (double)status->requests.held);
}

static void put_totals(struct out *out, const struct status *status)
{
    const char *before = "";
    char name[64];

    for (unsigned n = 0; n < TOTALS_COUNT; n++) {
        const struct totals_entry *entry = &totals_table[n];

        if (entry->metric[0] == '\0')
            continue;
        snprintf(name, sizeof name, "headroom_%s_total", entry->metric);
        if (strcmp(before, entry->metric) != 0)
            family(out, name, "counter", entry->help);
        out->name = name;
        before = entry->metric;
        sample(out, entry->label[0] != '\0' ? "reason" : NULL, entry->label,
               (double)totals_value(&status->totals, n));
    }
}

static void put_memory(struct out *out, const struct status *status)
{
    if (status->memory.machine_known) {
        gauge(out, "headroom_memory_available_bytes", "MemAvailable of the machine.",
              (double)status->memory.available);
        gauge(out, "headroom_memory_min_available_bytes", "What workers must leave of it.",
              (double)status->memory.min_available);
    }
    if (status->memory.pool_known) {
        gauge(out, "headroom_memory_working_set_bytes", "Working set of the memory group.",
              (double)status->memory.working_set);
        if (status->memory.limit != STATUS_UNLIMITED)
            gauge(out, "headroom_memory_limit_bytes", "Limit of the memory group.",
                  (double)status->memory.limit);
    }
    gauge(out, "headroom_memory_footprint_bytes", "What one more worker is taken to need.",
          (double)status->memory.footprint);
    counter(out, "headroom_memory_oom_kills_total", "Processes of the group that were OOM-killed.",
            status->memory.oom_kills);
    family(out, "headroom_pressure_ratio", "gauge",
           "Share of time in which some task waited for memory.");
    if (status->pressure.pool_known)
        sample(out, "of", "pool", status->pressure.pool_some / 100);
    if (status->pressure.machine_known)
        sample(out, "of", "machine", status->pressure.machine_some / 100);
    family(out, "headroom_pressure_full_ratio", "gauge",
           "Share of time in which all tasks waited for memory.");
    if (status->pressure.pool_known)
        sample(out, "of", "pool", status->pressure.pool_full / 100);
    if (status->pressure.machine_known)
        sample(out, "of", "machine", status->pressure.machine_full / 100);
    counter(out, "headroom_journal_lines_lost_total", "Lines of the log that were not written.",
            status->faults.lines_lost);
}

int metrics_write(const struct status *status, char *text, size_t size)
{
    struct out out = {.text = text, .size = size};
    size_t used = 0;

    for (const char *c = status->service; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            out.service[used++] = '\\';
        out.service[used++] = *c == '\n' ? '?' : *c;
    }
    out.service[used] = '\0';
    put_state(&out, status);
    put_workers(&out, status);
    put_requests(&out, status);
    put_totals(&out, status);
    put_memory(&out, status);
    put(&out, "# EOF\n");
    return out.used < size ? (int)out.used : -ENOSPC;
}

int metrics_paths(const char *wanted, const char *service, char path[METRICS_PATH_MAX],
                  char beside[METRICS_PATH_MAX])
{
    const char *place = strstr(wanted, "%s");
    int before = place ? (int)(place - wanted) : (int)strlen(wanted);
    const char *name;
    int length;

    length = snprintf(path, METRICS_PATH_MAX, "%.*s%s%s", before, wanted, place ? service : "",
                      place ? place + 2 : "");
    if (length < 0 || length >= METRICS_PATH_MAX)
        return -ENAMETOOLONG;
    name = strrchr(path, '/');
    name = name ? name + 1 : path;
    /* The collector reads names that end in .prom. */
    length = snprintf(beside, METRICS_PATH_MAX, "%.*s.%s.new", (int)(name - path), path, name);
    return length < 0 || length >= METRICS_PATH_MAX ? -ENAMETOOLONG : 0;
}
