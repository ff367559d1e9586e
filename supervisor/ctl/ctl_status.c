/*
 * headroomctl status [--json | --limits] [SERVICE]
 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/base/clock.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_advice.h"
#include "supervisor/ctl/ctl_check_running.h"
#include "supervisor/ctl/ctl_deferred.h"
#include "supervisor/ctl/ctl_limits.h"
#include "supervisor/ctl/ctl_page.h"
#include "supervisor/ctl/ctl_process.h"
#include "supervisor/ctl/ctl_screen.h"
#include "supervisor/ctl/ctl_words.h"
#include "supervisor/report/status_word.h"

#define DESTINATIONS 8
#define CHANGES 5

/* From taking the lock to the first snapshot it takes some milliseconds. */
#define START_MS 2000
#define START_LOOK_MS 20

/* Prints what is not in the snapshot: `name` is an array. It is deleted. */
static void print_array(const char *name, cJSON *array)
{
    char *text = array ? cJSON_PrintUnformatted(array) : NULL;

    printf(", \"%s\": %s", name, text ? text : "[]");
    cJSON_free(text);
    cJSON_Delete(array);
}

static cJSON *limits_of(const struct ctl *ctl, const struct status *status, enum ctl_life life)
{
    const struct ctl_limits to = {.array = cJSON_CreateArray()};

    if (to.array && life == CTL_ANSWERS) {
        ctl_limits_own(&to, status);
        ctl_limits_system(&to, ctl, status, "");
    }
    return to.array;
}

/* What to do about the destinations that fail, as headroomctl destinations says it. */
static cJSON *advice_of(const struct status *status)
{
    cJSON *array = cJSON_CreateArray();

    for (uint64_t i = 0; array && i < status->destinations; i++) {
        const struct status_destination *at = &status->destination[i];
        const char *advice = at->reason[0] != '\0' ? ctl_advice(at->reason) : NULL;
        cJSON *one = advice ? cJSON_CreateObject() : NULL;

        if (!one)
            continue;
        cJSON_AddStringToObject(one, "destination", at->name);
        cJSON_AddStringToObject(one, "advice", advice);
        cJSON_AddItemToArray(array, one);
    }
    return array;
}

static int print_json(const struct ctl *ctl, const struct status *status, enum ctl_life life,
                      bool first)
{
    char *text = malloc(STATUS_TEXT_MAX);
    int length = text ? status_write(status, text, STATUS_TEXT_MAX) : -ENOMEM;

    if (length >= 0) {
        printf("%s\n{\"running\": %s, \"answering\": %s, \"waits_for_mail\": %s, \"status\": %s",
               first ? "" : ",", life == CTL_ANSWERS || life == CTL_SILENT ? "true" : "false",
               life == CTL_ANSWERS ? "true" : "false", life == CTL_WAITS ? "true" : "false", text);
        print_array("limits", limits_of(ctl, status, life));
        print_array("advice", advice_of(status));
        putchar('}');
    }
    free(text);
    return length < 0 ? CTL_FAILED : 0;
}

/* What one that does not run is: CTL_WAITS or CTL_ENDED. */
static enum ctl_life ended_how(const struct ctl *ctl, const char *service, bool never)
{
    struct ctl_last *last = malloc(sizeof *last);
    bool waits = false;

    if (last) {
        ctl_last_start(ctl, service, last);
        waits = ctl_waits_for_mail(ctl, last, never);
    }
    free(last);
    return waits ? CTL_WAITS : CTL_ENDED;
}

/* Whether it never ran because no mail has come; then *status has its name only. */
static bool never_needed(const struct ctl *ctl, const char *service, enum ctl_running running,
                         struct status *status)
{
    if (running != CTL_RUNS_NOT || ctl_load(ctl, service, status) != -ENOENT ||
        ended_how(ctl, service, true) != CTL_WAITS)
        return false;
    memset(status, 0, sizeof *status);
    status_text(status->service, sizeof status->service, service);
    return true;
}

/* One that has just started is about to replace what its predecessor wrote. */
static int load(const struct ctl *ctl, const char *service, bool runs, struct status *status)
{
    int result = ctl_load_or_say(ctl, service, status);

    for (int waited = 0; result == 0 && runs && waited < START_MS; waited += START_LOOK_MS) {
        if (ctl_process_state((pid_t)status->pid) != '\0')
            break;
        poll(NULL, 0, START_LOOK_MS);
        result = ctl_load_or_say(ctl, service, status);
    }
    return result;
}

/* What everybody may read (status.public). The exit status, or -1 where there is nothing. */
static int show_public(const struct ctl *ctl, const char *service)
{
    char path[PATH_MAX + STATUS_NAME_SIZE + 32], state[STATUS_WORD_SIZE] = "", line[256],
                                                 plain[256], span[CTL_WORD_SIZE],
                                                 would[STATUS_WORD_SIZE] = "";
    struct status word = {0};
    enum ctl_life life;
    int64_t seconds = 0;
    long begin;
    int used = snprintf(path, sizeof path, "%s/", ctl->postconf.queue_directory);
    FILE *file;

    snprintf(path + used, sizeof path - (size_t)used, STATUS_WORD_FILE, service);
    file = fopen(path, "re");
    if (!file || fscanf(file, "%31[A-Z] %" SCNd64 " %255[^\n]", state, &seconds, line) != 3) {
        if (file)
            fclose(file);
        return -1;
    }
    word.written = seconds * 1000000;
    status_text(word.state.name, sizeof word.state.name, state);
    life = clock_wall() - word.written > CTL_SILENT_AFTER ? CTL_ENDED : CTL_ANSWERS;
    /* A dry run says what it would be, within the first lines. */
    begin = ftell(file);
    while (would[0] == '\0' && fgets(plain, sizeof plain, file))
        (void)sscanf(plain, "would_be %31[A-Z]", would);
    (void)fseek(file, begin, SEEK_SET);
    printf("%s: %s%s, %s ago; this is what everybody may see\n", service,
           life != CTL_ANSWERS ? "NOT RUNNING or not answering; what follows was true"
           : would[0] != '\0'  ? "dry run: nothing is held back; would be "
                               : state,
           life == CTL_ANSWERS ? would : "", ctl_span(clock_wall() - word.written, span));
    do {
        ctl_plain(line, strcspn(line, "\n"), sizeof plain - 1, plain, sizeof plain);
        if (sscanf(plain, "since %" SCNd64, &seconds) == 1 ||
            sscanf(plain, "started %" SCNd64, &seconds) == 1)
            printf("  %.*s %s\n", (int)strcspn(plain, " "), plain,
                   ctl_date(seconds * 1000000, span));
        else if (plain[strspn(plain, " ")] != '\0')
            printf("  %s\n", plain);
    } while (fgets(line, sizeof line, file));
    fclose(file);
    return ctl_exit_of(&word, life);
}

static uint64_t count_deferred(const struct ctl *ctl)
{
    char path[PATH_MAX + sizeof "/deferred"];

    snprintf(path, sizeof path, "%s/deferred", ctl->postconf.queue_directory);
    return ctl_deferred_count(path, CTL_DEFERRED_MOST);
}

/* What is printed. */
enum form { SCREEN, JSON, LIMITS };

/* *shown: something stands before it. */
static int show(const struct ctl *ctl, const char *service, enum form form, bool *shown,
                struct status *status)
{
    enum ctl_running running = ctl_running(ctl, service);
    struct ctl_view view = {.columns = ctl_page_columns()};
    bool first = !*shown;
    bool never = never_needed(ctl, service, running, status);
    int result;

    if (!never && form == SCREEN && ctl_load(ctl, service, status) == -EACCES) {
        result = show_public(ctl, service);
        if (result >= 0)
            return result;
    }
    result = never ? 0 : load(ctl, service, running == CTL_RUNS, status);
    if (result != 0)
        return running == CTL_RUNS_NOT ? CTL_STOPPED : result;
    *shown = true;
    view.now = clock_wall();
    view.process = never ? '\0' : ctl_process_state((pid_t)status->pid);
    view.life = never ? CTL_WAITS : ctl_life_of(status, running, view.process, view.now);
    if (view.life == CTL_ENDED && running == CTL_RUNS_NOT)
        view.life = ended_how(ctl, service, false);
    if (form == JSON)
        return print_json(ctl, status, view.life, first) != 0 ? CTL_FAILED
                                                              : ctl_exit_of(status, view.life);
    if (view.life == CTL_ANSWERS)
        view.processes =
            ctl_private_sum(NULL, (pid_t)status->parent, (pid_t)status->pid, &view.unshared);
    if (view.life == CTL_ANSWERS && form == SCREEN)
        view.deferred = count_deferred(ctl);
    if (!first)
        putchar('\n');
    if (form == LIMITS && view.life == CTL_ANSWERS) {
        printf("%s: %s%s\n", service, ctl_screen_would(status), status->state.name);
        ctl_limits_own(&(struct ctl_limits){.out = stdout}, status);
        ctl_limits_system(&(struct ctl_limits){.out = stdout}, ctl, status, "");
        return ctl_exit_of(status, view.life);
    }
    ctl_screen_head(stdout, status, &view);
    if (view.life == CTL_ANSWERS)
        ctl_screen_destinations(stdout, status, &view, DESTINATIONS);
    ctl_screen_changes(stdout, status, &view, CHANGES);
    return ctl_exit_of(status, view.life);
}

int ctl_status(struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"limits", no_argument, NULL, 'l'}, {0}};
    struct ctl_services services;
    struct status *status;
    enum form form = SCREEN;
    bool shown = false;
    int option, result;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 'j' && option != 'l')
            return CTL_FAILED;
        form = option == 'j' ? JSON : LIMITS;
    }
    if (ctl_begin(ctl, "status", false, argc, argv, &services) != 0)
        return CTL_FAILED;
    status = malloc(sizeof *status);
    if (!status)
        return CTL_FAILED;
    if (form == JSON)
        putchar('[');
    else
        ctl_page_begin();
    result = 0;
    for (size_t i = 0; i < services.count; i++) {
        int one = show(ctl, services.name[i], form, &shown, status);

        result = one > result ? one : result;
    }
    if (form == JSON)
        puts("\n]");
    free(status);
    return result;
}
