/*
 * packaging/monitoring and the manual against the metrics: an alert or a panel on a metric that does not exist is silent for
 * ever. The files' own syntax is promtool's and mtail's business (tests/system/ctl.sh, where they are installed).
 */

#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/config/config_file.h"
#include "supervisor/report/metrics.h"

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyz_"

static char *file(const char *path)
{
    char *text = NULL, *copy;
    size_t length = 0;

    cr_assert_eq(config_file_read(path, &text, &length), 0, "%s: run from the top of the tree",
                 path);
    copy = strndup(text, length);
    free(text);
    return copy;
}

/* The metrics of a service of which all is known. */
static char *metrics(void)
{
    struct status *status = calloc(1, sizeof *status);
    char *text = malloc(METRICS_TEXT_MAX);

    status->memory.machine_known = status->memory.pool_known = true;
    status->pressure.pool_known = status->pressure.machine_known = true;
    cr_assert_gt(metrics_write(status, text, METRICS_TEXT_MAX), 0);
    free(status);
    return text;
}

/* Whether `text` has `before`, the name, and then no more of a name. */
static bool names(const char *text, const char *before, const char *name, size_t length)
{
    size_t skip = strlen(before);

    for (const char *at = text; (at = strstr(at, before)) != NULL; at++)
        if (strncmp(at + skip, name, length) == 0 && strspn(at + skip, NAME_CHARACTERS) == length)
            return true;
    return false;
}

static unsigned check_names(const char *path, const char *known)
{
    char *text = file(path);
    unsigned count = 0;

    for (const char *at = text; (at = strstr(at, "headroom_")) != NULL; count++) {
        size_t length = strspn(at, NAME_CHARACTERS);

        cr_expect(names(known, "# TYPE ", at, length), "%s: no metric %.*s", path, (int)length, at);
        at += length;
    }
    free(text);
    return count;
}

Test(monitoring, names_metrics_that_exist)
{
    char *known = metrics();

    cr_expect_gt(check_names("packaging/monitoring/headroom.rules.yml", known), 9);
    cr_expect_gt(check_names("packaging/monitoring/headroom.rules.test.yml", known), 9);
    cr_expect_gt(check_names("packaging/monitoring/headroom.dashboard.json", known), 15);
    free(known);
}

Test(monitoring, every_metric_is_in_the_manual)
{
    char *known = metrics(), *manual = file("packaging/headroomctl.8");
    const char *at = known;

    while ((at = strstr(at, "# TYPE ")) != NULL) {
        size_t length = strspn(at += strlen("# TYPE "), NAME_CHARACTERS);

        cr_expect(names(manual, " ", at, length), "headroomctl.8 has no %.*s", (int)length, at);
    }
    free(known);
    free(manual);
}

Test(monitoring, dashboard_is_json_and_every_panel_asks_something)
{
    char *text = file("packaging/monitoring/headroom.dashboard.json");
    cJSON *root = cJSON_ParseWithOpts(text, NULL, true);
    const cJSON *panel;

    cr_assert_not_null(root);
    cr_expect_gt(cJSON_GetArraySize(cJSON_GetObjectItem(root, "panels")), 5);
    cJSON_ArrayForEach(panel, cJSON_GetObjectItem(root, "panels"))
    {
        const cJSON *title = cJSON_GetObjectItem(panel, "title"), *target;

        cr_assert(cJSON_IsString(title));
        cr_expect_gt(cJSON_GetArraySize(cJSON_GetObjectItem(panel, "targets")), 0, "%s",
                     title->valuestring);
        cJSON_ArrayForEach(target, cJSON_GetObjectItem(panel, "targets")) cr_expect_not_null(
            strstr(cJSON_GetStringValue(cJSON_GetObjectItem(target, "expr")), "headroom_"));
    }
    cJSON_Delete(root);
    free(text);
}
