#include "supervisor/ctl/ctl_setup_steps.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/capture.h"
#include "supervisor/ctl/ctl_check_master.h"
#include "supervisor/ctl/ctl_check_setup.h"

/* For sed(1) and postconf(1) on a copy, and systemctl(1). */
#define RUN_MS 20000
#define OUTPUT_SIZE 65536

/* A line of sh(1), with $1. 0 and its standard output, or a negative errno. */
static int run(const char *words, const char *a, char *output, size_t size)
{
    char error[512];

    output[0] = '\0';
    return capture_run((const char *[]){"/bin/sh", "-c", words, "sh", a, NULL}, RUN_MS, output,
                       size, error, sizeof error);
}

/* The edits as a command for `path`. */
static void write_sed(const struct ctl_setup *setup, const char *path,
                      char command[CTL_COMMAND_SIZE])
{
    struct stat found;
    bool link = lstat(path, &found) == 0 && S_ISLNK(found.st_mode);

    snprintf(command, CTL_COMMAND_SIZE, "sed -E -i.bak%s%s \\\n    %s",
             link ? " --follow-symlinks" : "", setup->edits.words, path);
}

/* Whether the edits, done to the copy `path`, make the service run `command`. */
static bool try_edits(const struct ctl_setup *setup, const char *path, const char *command)
{
    struct master_file *master = malloc(sizeof *master);
    char *words = malloc(CTL_COMMAND_SIZE);
    char directory[PATH_MAX], output[64];
    char *text = NULL;
    const struct master_line *line = NULL;

    snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(path, '/') - path), path);
    if (words)
        write_sed(setup, path, words);
    if (master && words && setup->edits.used < sizeof setup->edits.words &&
        (setup->edits.used == 0 || run(words, "", output, sizeof output) == 0) &&
        master_file_read(directory, &text, master) == 0)
        line = master_file_find(master, setup->line->name, "unix", NULL);
    if (line && strcmp(line->command, command) != 0)
        line = NULL;
    free(text);
    free(words);
    free(master);
    return line != NULL;
}

/* Whether postconf(1) warns of parameters of the service, with the copy in place of master.cf. */
static bool warns(const struct ctl_setup *setup, const char *directory)
{
    char *output = malloc(OUTPUT_SIZE);
    char warning[300];
    bool found = false;

    /* One of that name may be a parameter of another service, NAME_x. */
    snprintf(warning, sizeof warning, "unused parameter: %.200s_destination_", setup->line->name);
    if (output &&
        run("exec postconf -c \"$1\" -n 2>&1 >/dev/null", directory, output, OUTPUT_SIZE) == 0)
        found = strstr(output, warning) != NULL;
    free(output);
    return found;
}

/* Finds both commands, and tries them one after the other on a copy. False: they do not do it. */
static bool find_edits(struct ctl_setup *setup, const char *directory)
{
    struct master_line in = *setup->line;
    char from[PATH_MAX + 16], to[PATH_MAX];
    FILE *copy;

    snprintf(from, sizeof from, "%s/main.cf", setup->ctl->postconf.config_directory);
    snprintf(to, sizeof to, "%s/main.cf", directory);
    if (symlink(from, to) < 0)
        return false;
    snprintf(to, sizeof to, "%s/master.cf", directory);
    copy = fopen(to, "we");
    if (!copy || fputs(setup->raw, copy) < 0 || fclose(copy) != 0)
        return false;
    ctl_setup_in(&setup->edits, setup->raw, &setup->master, setup->line, false);
    if (!try_edits(setup, to, "headroom"))
        return false;
    if (warns(setup, directory))
        ctl_setup_in(&setup->edits, setup->raw, &setup->master, setup->line, true);
    if (setup->edits.used > 0)
        write_sed(setup, setup->path, setup->in.command[setup->in.count++]);
    in.command = "headroom";
    ctl_setup_out(&setup->edits, setup->raw, &in, setup->agent);
    write_sed(setup, setup->path, setup->out.command[setup->out.count++]);
    return try_edits(setup, to, setup->agent);
}

__attribute__((format(printf, 2, 3))) static void add(struct ctl_steps *steps, const char *format,
                                                      ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(steps->command[steps->count++], CTL_COMMAND_SIZE, format, list);
    va_end(list);
}

/* The systemd unit that the running master(8) belongs to: "postfix@-.service". False: none. */
static bool find_unit(pid_t master, char *unit, size_t size)
{
    char path[64], line[1024];
    bool found = false;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%ld/cgroup", (long)master);
    file = access("/run/systemd/system", F_OK) == 0 ? fopen(path, "re") : NULL;
    while (file && !found && fgets(line, sizeof line, file)) {
        char *end = strstr(line, ".service");
        const char *name;

        if (!end)
            continue;
        end[sizeof ".service" - 1] = '\0';
        name = strrchr(line, '/');
        found = name && strpbrk(name, "'\"\\$` ") == NULL;
        if (found)
            snprintf(unit, size, "%s", name + 1);
    }
    if (file)
        fclose(file);
    return found;
}

/* What makes the running Postfix take the line and the drop-in of its unit (headroom(8)). */
static void add_reload(struct ctl_setup *setup)
{
    pid_t master = ctl_master_pid(setup->ctl);
    char unit[256], output[4096];
    bool systemd = master != 0 && find_unit(master, unit, sizeof unit);
    bool there, old, hidden;

    if (systemd && run("exec systemctl show -p NeedDaemonReload -p DropInPaths -- \"$1\"", unit,
                       output, sizeof output) == 0) {
        there = strstr(output, "/headroom.conf") != NULL;
        old = strstr(output, "NeedDaemonReload=yes") != NULL;
        if (!there && !old)
            add(&setup->in,
                "mkdir -p '/etc/systemd/system/%s.d' &&\n    ln -s "
                "/usr/lib/systemd/system/postfix.service.d/headroom.conf \\\n    "
                "'/etc/systemd/system/%s.d/'",
                unit, unit);
        if (!there || old)
            add(&setup->in, "systemctl daemon-reload");
    }
    hidden = systemd && ctl_check_hidden(master);
    if (setup->in.count > 0 || hidden)
        add(&setup->in, "headroomctl%s check --quiet", setup->option);
    if (hidden)
        add(&setup->in, "systemctl restart '%s'", unit);
    else if (setup->in.count > 0 && master != 0)
        add(&setup->in, "postfix%s reload", setup->option);
    if (master != 0)
        add(&setup->out, "postfix%s reload", setup->option);
}

int ctl_setup_steps(struct ctl_setup *setup)
{
    char directory[] = "/tmp/headroomctl.XXXXXX";
    char output[16];
    bool found;

    if (!mkdtemp(directory)) {
        ctl_error("%s: %s", directory, strerror(errno));
        return CTL_FAILED;
    }
    found = find_edits(setup, directory);
    (void)run("exec rm -rf -- \"$1\"", directory, output, sizeof output);
    if (found)
        add_reload(setup);
    else
        ctl_error("line %u of %s has a form of its own: change the command there with an editor",
                  setup->line->number, setup->path);
    return found ? 0 : CTL_FAILED;
}
