#ifndef SUPERVISOR_REPORT_METRICS_H
#define SUPERVISOR_REPORT_METRICS_H

/*
 * A snapshot as metrics, for the textfile collector of node_exporter.
 *
 * The collector reads Prometheus' text format 0.0.4 and no other; in it a counter is declared by the name with _total. The
 * text keeps the rest of OpenMetrics as well: units in the names, one family after the other, "# EOF" at the end. So it is
 * read by Prometheus' own parsers of both. No time stamps: the collector refuses a file that has some. No domains.
 */

#include "supervisor/config/config.h"
#include "supervisor/report/status.h"

#define METRICS_TEXT_MAX 16384
/* A configured path in which the service stands once, and the additions of the temporary name. */
#define METRICS_PATH_MAX (CONFIG_PATH_SIZE + STATUS_NAME_SIZE + 16)

/* Returns the length, or -ENOSPC. Pure. */
int metrics_write(const struct status *status, char *text, size_t size);

/*
 * The file that metrics.textfile means, with the service in the place of the first %s, and a name beside it that the
 * collector does not read. -ENAMETOOLONG when it does not fit METRICS_PATH_MAX. Pure.
 */
int metrics_paths(const char *wanted, const char *service, char path[METRICS_PATH_MAX],
                  char beside[METRICS_PATH_MAX]);

#endif
