/*
 * headroomctl watch [-n COUNT] [SERVICE]
 *
 * On a terminal the screen of `status`, drawn anew each second, with what was since it was called;
 * q or an interrupt ends it. Anywhere else one line for each look.
 */

#include <getopt.h>
#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "supervisor/base/clock.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/ctl_graph.h"
#include "supervisor/ctl/ctl_page.h"
#include "supervisor/ctl/ctl_process.h"
#include "supervisor/ctl/ctl_screen.h"
#include "supervisor/ctl/ctl_words.h"

#define PERIOD_MS 1000
/* Adding up the memory of 500 workers takes the kernel some milliseconds. */
#define PRIVATE_EVERY 5
#define GRAPH_MARGIN 27
#define PROMPT "  q ends; every second"

struct watch {
    const struct ctl *ctl;
    const char *service;
    bool terminal;
    bool blocks;
    bool raw; /* the terminal's settings were changed */
    struct termios before;
    int signals;
    uint64_t looks;
    int state; /* of the last look, as an exit status */
    struct status status;
    struct ctl_view view;
    struct ctl_series workers;
    struct ctl_series waiting;
    struct ctl_series pressure;
};

/* What the snapshot at hand is worth now. */
static void judge(struct watch *watch)
{
    watch->view.now = clock_wall();
    watch->view.process = ctl_process_state((pid_t)watch->status.pid);
    watch->view.life = ctl_life_of(&watch->status, ctl_running(watch->ctl, watch->service),
                                   watch->view.process, watch->view.now);
    watch->state = ctl_exit_of(&watch->status, watch->view.life);
}

static int look(struct watch *watch, bool quiet)
{
    int result = quiet ? ctl_load(watch->ctl, watch->service, &watch->status)
                       : ctl_load_or_say(watch->ctl, watch->service, &watch->status);
    bool answers;

    if (result != 0)
        return result;
    judge(watch);
    if (watch->terminal && watch->view.life == CTL_ANSWERS && watch->looks % PRIVATE_EVERY == 0)
        watch->view.processes = ctl_private_sum(NULL, (pid_t)watch->status.parent,
                                                (pid_t)watch->status.pid, &watch->view.unshared);
    watch->looks++;
    answers = watch->view.life == CTL_ANSWERS;
    ctl_series_add(&watch->workers, answers ? (double)watch->status.workers.live : 0);
    ctl_series_add(&watch->waiting, answers ? (double)watch->status.requests.waiting : 0);
    ctl_series_add(&watch->pressure, answers ? status_pressure(&watch->status) : 0);
    return 0;
}

static void print_line(const struct watch *watch)
{
    const struct status *status = &watch->status;
    char date[CTL_WORD_SIZE];

    if (watch->view.life != CTL_ANSWERS) {
        printf("%s %s %s\n", ctl_date(watch->view.now, date), status->service,
               watch->view.life == CTL_SILENT ? "not answering" : "not running");
        return;
    }
    printf("%s %s %s%s limit %" PRIu64 " workers %" PRIu64 " busy %" PRIu64 " waiting %" PRIu64
           " delivered %" PRIu64 " failed %" PRIu64 " deferred %" PRIu64 " pressure %.1f%%: %s\n",
           ctl_date(watch->view.now, date), status->service,
           status->settings.dry_run > 0 ? "dry run, would be " : "", status->state.name,
           status->state.limit, status->workers.live, status->workers.busy,
           status->requests.waiting, status->totals.delivered, status->totals.failed,
           status->totals.deferred, status_pressure(status), status->state.reason);
}

static void put_graph(FILE *out, const struct watch *watch, const char *name,
                      const struct ctl_series *series, double least, const char *unit, size_t width)
{
    char text[CTL_GRAPH_SIZE];
    char scale[CTL_WORD_SIZE];
    double top = ctl_series_top(series, width, least);

    ctl_graph(series, top, width, watch->blocks, text);
    snprintf(scale, sizeof scale, "0 to %.*f%s", unit[0] == '\0' || top >= 10 ? 0 : 1, top, unit);
    fprintf(out, "  %-11s %-11s |%s\n", name, scale, text);
}

/* The whole screen as text. */
static void compose(FILE *out, const struct watch *watch)
{
    const struct status *status = &watch->status;
    size_t columns = watch->view.columns;
    size_t width = columns > GRAPH_MARGIN + 10 ? columns - GRAPH_MARGIN : 10;
    char label[CTL_WORD_SIZE];

    width = width > CTL_GRAPH_MAX ? CTL_GRAPH_MAX : width;
    ctl_screen_head(out, status, &watch->view);
    /* There is a look a second. */
    snprintf(label, sizeof label, "Last %zu s",
             watch->workers.count < width ? watch->workers.count : width);
    ctl_screen_label(out, label);
    fputs("one column a second, the newest at the right, each on its scale\n", out);
    put_graph(out, watch, "workers", &watch->workers, 1, "", width);
    put_graph(out, watch, "waiting", &watch->waiting, 1, "", width);
    put_graph(out, watch, "pressure", &watch->pressure,
              status->pressure.target > 0 ? status->pressure.target : 1, " %", width);
    if (watch->view.life == CTL_ANSWERS)
        ctl_screen_destinations(out, status, &watch->view, STATUS_DESTINATIONS_MAX);
    ctl_screen_changes(out, status, &watch->view, 5);
}

/* As many rows of `text`, laid out, as the terminal has, but for the last one. */
static void put_rows(const char *text, size_t rows)
{
    size_t row = 0;

    for (const char *at = text; *at != '\0' && row + 1 < rows; row++) {
        size_t step = strcspn(at, "\n");

        /* Cleared before: after the last column it would clear that one. */
        printf("\033[K%.*s\n", (int)step, at);
        at += step + (at[step] == '\n');
    }
}

static void draw(struct watch *watch)
{
    struct winsize size = {0};
    char *text = NULL, *laid = NULL;
    size_t length = 0, laid_length = 0;
    FILE *out = open_memstream(&text, &length), *to = open_memstream(&laid, &laid_length);

    watch->view.columns = ctl_page_columns();
    watch->view.brief = true;
    if (out)
        compose(out, watch);
    if (out && fclose(out) == 0 && to)
        ctl_page_write(to, text, watch->view.columns, ctl_page_color());
    if (to && fclose(to) == 0) {
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0)
            size.ws_row = 24;
        fputs("\033[H", stdout);
        put_rows(laid, size.ws_row);
        printf("\033[J%.*s", (int)watch->view.columns, PROMPT);
        fflush(stdout);
    }
    free(text);
    free(laid);
}

/* Waits for the next look. False: it is over. */
static bool pause_for(struct watch *watch)
{
    struct pollfd watched[] = {
        {.fd = watch->signals, .events = POLLIN},
        {.fd = watch->raw ? STDIN_FILENO : -1, .events = POLLIN},
    };
    struct signalfd_siginfo news;
    char key;

    if (poll(watched, 2, PERIOD_MS) <= 0)
        return true;
    if (watched[0].revents && read(watch->signals, &news, sizeof news) == (ssize_t)sizeof news &&
        news.ssi_signo != SIGWINCH)
        return false;
    if (watched[1].revents) {
        ssize_t got = read(STDIN_FILENO, &key, 1);

        if (got <= 0 || key == 'q' || key == 'Q')
            return false;
    }
    return true;
}

static int prepare(struct watch *watch)
{
    sigset_t set;

    setlocale(LC_CTYPE, "");
    watch->blocks = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGWINCH);
    sigprocmask(SIG_BLOCK, &set, NULL);
    watch->signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (watch->signals < 0)
        return CTL_FAILED;
    if (watch->terminal && isatty(STDIN_FILENO) == 1 &&
        tcgetattr(STDIN_FILENO, &watch->before) == 0) {
        struct termios raw = watch->before;

        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        raw.c_cc[VMIN] = 1;
        raw.c_cc[VTIME] = 0;
        watch->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    }
    /*
     * The other screen, so that what was there comes back; no cursor; and a line that is too wide,
     * by characters of two columns, is cut: in the next row it would push out the first, which has
     * the state.
     */
    if (watch->terminal)
        fputs("\033[?1049h\033[?25l\033[?7l\033[2J", stdout);
    return 0;
}

static void leave(struct watch *watch)
{
    if (watch->terminal)
        fputs("\033[?7h\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    if (watch->raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &watch->before);
    if (watch->signals >= 0)
        close(watch->signals);
}

static int run(struct watch *watch, unsigned long count)
{
    int result = look(watch, false);

    if (result != 0)
        return result;
    result = prepare(watch);
    while (result == 0) {
        if (watch->terminal) {
            draw(watch);
        } else {
            print_line(watch);
            if (fflush(stdout) != 0)
                break;
        }
        if ((count > 0 && watch->looks >= count) || !pause_for(watch))
            break;
        /* What cannot be read just now is shown as it was; the screen says how old it is. */
        if (look(watch, true) != 0)
            judge(watch);
    }
    leave(watch);
    return result != 0 ? result : watch->state;
}

int ctl_watch(struct ctl *ctl, int argc, char **argv)
{
    struct ctl_services services;
    struct watch *watch;
    unsigned long count = 0;
    int option, result;
    char *end;

    while ((option = getopt(argc, argv, "n:")) != -1) {
        if (option != 'n')
            return CTL_FAILED;
        count = strtoul(optarg, &end, 10);
        if (optarg[0] < '0' || optarg[0] > '9' || *end != '\0' || count == 0) {
            ctl_error("-n takes how often to look, as 10");
            return CTL_FAILED;
        }
    }
    if (ctl_begin(ctl, "watch", true, argc, argv, &services) != 0)
        return CTL_FAILED;
    watch = calloc(1, sizeof *watch);
    if (!watch)
        return CTL_FAILED;
    watch->ctl = ctl;
    watch->service = services.name[0];
    watch->signals = -1;
    watch->terminal = isatty(STDOUT_FILENO) == 1;
    result = run(watch, count);
    free(watch);
    return result;
}
