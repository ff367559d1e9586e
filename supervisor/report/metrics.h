#ifndef SUPERVISOR_REPORT_METRICS_H
#define SUPERVISOR_REPORT_METRICS_H

/*
 * A snapshot as metrics, for the textfile collector of node_exporter. Pure.
 *
 * The collector reads Prometheus' text format 0.0.4 only: a counter is declared with _total in its
 * name. The text also keeps the other rules of OpenMetrics (units in the names, families one after
 * the other, "# EOF" at the end), so the parsers of both formats read it. It has no time stamps,
 * because the collector refuses a file with any, and no domains.
 */

#include "supervisor/config/config.h"
#include "supervisor/report/status.h"

#define METRICS_TEXT_MAX 20480
/* A configured path with the service in it, and what the temporary name adds. */
#define METRICS_PATH_MAX (CONFIG_PATH_SIZE + STATUS_NAME_SIZE + 16)

/* Returns the length, or -ENOSPC. */
int metrics_write(const struct status *status, char *text, size_t size);

/*
 * `path` is `wanted` (metrics.textfile) with the service in the place of the first %s; `beside` is
 * a name in the same directory that the collector does not read. -ENAMETOOLONG: one does not fit.
 */
int metrics_paths(const char *wanted, const char *service, char path[METRICS_PATH_MAX],
                  char beside[METRICS_PATH_MAX]);

#endif
