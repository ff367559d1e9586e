#include "supervisor/config/config_file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINES_MAX 8
#define FORTY "{\"defaults\": {\"workers\": {\"max\": 40}}}"
#define FIFTY "{\"defaults\": {\"workers\": {\"max\": 50}}}"
#define COMMA "{\"defaults\": {\"workers\": {\"max\": 60,}}}"

/* A directory with a place for the file and a state directory, and what the last load said. */
struct place {
    char top[64];
    char path[128];
    int directory; /* the state directory */
    unsigned lines;
    unsigned errors;
    char line[LINES_MAX][CONFIG_LINE_SIZE];
    struct config config;
};

static void hear(void *context, enum config_severity severity, const char *line)
{
    struct place *place = context;

    place->errors += severity == CONFIG_ERROR;
    if (place->lines < LINES_MAX)
        snprintf(place->line[place->lines], CONFIG_LINE_SIZE, "%s", line);
    place->lines++;
}

static struct place make_place(void)
{
    struct place place = {.top = "/tmp/headroom-config-XXXXXX"};
    char state[128];

    cr_assert_not_null(mkdtemp(place.top));
    snprintf(place.path, sizeof(place.path), "%s/headroom.json", place.top);
    snprintf(state, sizeof(state), "%s/state", place.top);
    cr_assert_eq(mkdir(state, 0700), 0);
    place.directory = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(place.directory, 0);
    return place;
}

static void remove_place(const struct place *place)
{
    static const char *const names[] = {CONFIG_LAST_GOOD, CONFIG_LAST_GOOD ".new", "target",
                                        "link"};
    char state[128];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        unlinkat(place->directory, names[i], 0);
        unlinkat(place->directory, names[i], AT_REMOVEDIR);
    }
    close(place->directory);
    unlink(place->path);
    rmdir(place->path);
    snprintf(state, sizeof(state), "%s/state", place->top);
    rmdir(state);
    cr_expect_eq(rmdir(place->top), 0, "%s is not empty", place->top);
}

static void put_at(int directory, const char *name, const char *text, mode_t mode)
{
    int descriptor = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

    cr_assert_geq(descriptor, 0);
    cr_assert_eq(write(descriptor, text, strlen(text)), (ssize_t)strlen(text));
    cr_assert_eq(fchmod(descriptor, mode), 0);
    close(descriptor);
}

static void put(const struct place *place, const char *text)
{
    put_at(AT_FDCWD, place->path, text, 0644);
}

static enum config_source load_as(struct place *place, bool named, int directory)
{
    enum config_source source;

    place->lines = 0;
    place->errors = 0;
    memset(&place->config, 0x5a, sizeof(place->config));
    source = config_file_load(place->path, named, directory, "mine", &place->config, hear, place);
    cr_expect_eq(place->errors, 0, "a load has no errors, only warnings");
    return source;
}

static enum config_source load(struct place *place)
{
    return load_as(place, false, place->directory);
}

/* The last load used the defaults, with one warning that has both texts in it. */
static void expect_defaults(const struct place *place, const char *reason, const char *copy)
{
    cr_expect_eq(place->config.workers_max, 500);
    cr_expect_str_eq(place->config.agent, "lmtp");
    cr_expect_eq(place->lines, 1);
    cr_expect_not_null(strstr(place->line[0], reason), "%s", place->line[0]);
    cr_expect_not_null(strstr(place->line[0], copy), "%s", place->line[0]);
}

Test(config_file, a_missing_default_file_means_the_defaults_in_silence)
{
    struct place place = make_place();

    cr_expect_eq(load(&place), CONFIG_FROM_DEFAULTS);
    cr_expect_eq(place.lines, 0);
    cr_expect_eq(place.config.workers_max, 500);
    cr_expect_eq(faccessat(place.directory, CONFIG_LAST_GOOD, F_OK, 0), -1);
    remove_place(&place);
}

Test(config_file, a_missing_file_that_was_named_is_a_warning)
{
    struct place place = make_place();

    cr_expect_eq(load_as(&place, true, place.directory), CONFIG_FROM_DEFAULTS);
    expect_defaults(&place, "headroom.json: can't be read: No such file", "no last good copy");
    put_at(place.directory, CONFIG_LAST_GOOD, FORTY, 0600);
    cr_expect_eq(load_as(&place, true, place.directory), CONFIG_FROM_LAST_GOOD);
    cr_expect_eq(place.config.workers_max, 40);
    cr_expect_eq(place.lines, 1);
    remove_place(&place);
}

Test(config_file, a_good_file_is_used_and_kept)
{
    struct place place = make_place();
    struct stat status;
    char text[100] = "";
    int copy;

    put(&place, FORTY);
    cr_expect_eq(load(&place), CONFIG_FROM_FILE);
    cr_expect_eq(place.lines, 0);
    cr_expect_eq(place.config.workers_max, 40);
    copy = openat(place.directory, CONFIG_LAST_GOOD, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(copy, 0);
    cr_expect_eq(read(copy, text, sizeof(text) - 1), (ssize_t)strlen(FORTY));
    cr_expect_str_eq(text, FORTY);
    cr_expect_eq(fstat(copy, &status), 0);
    cr_expect_eq(status.st_mode & 07777, 0600);
    close(copy);
    cr_expect_eq(faccessat(place.directory, CONFIG_LAST_GOOD ".new", F_OK, 0), -1);
    remove_place(&place);
}

Test(config_file, the_copy_is_only_written_when_the_text_changes)
{
    struct place place = make_place();
    struct stat first;
    struct stat second;
    struct stat third;

    put(&place, FORTY);
    load(&place);
    cr_assert_eq(fstatat(place.directory, CONFIG_LAST_GOOD, &first, 0), 0);
    load(&place);
    cr_assert_eq(fstatat(place.directory, CONFIG_LAST_GOOD, &second, 0), 0);
    cr_expect_eq(first.st_ino, second.st_ino);
    cr_expect_eq(first.st_mtim.tv_nsec, second.st_mtim.tv_nsec);
    /* Held open, so that its number can't be given to the new file. */
    int held = openat(place.directory, CONFIG_LAST_GOOD, O_RDONLY | O_CLOEXEC);
    put(&place, FIFTY);
    load(&place);
    cr_assert_eq(fstatat(place.directory, CONFIG_LAST_GOOD, &third, 0), 0);
    cr_expect_neq(first.st_ino, third.st_ino);
    close(held);
    remove_place(&place);
}

Test(config_file, a_comma_too_much_leaves_the_last_good_configuration_in_force)
{
    struct place place = make_place();
    struct timespec times[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};

    setenv("TZ", "UTC", 1);
    put(&place, FORTY);
    load(&place);
    cr_assert_eq(utimensat(place.directory, CONFIG_LAST_GOOD, times, 0), 0);
    put(&place, COMMA);
    for (int i = 0; i < 2; i++) { /* the copy stays good */
        char expected[CONFIG_LINE_SIZE];

        cr_expect_eq(load(&place), CONFIG_FROM_LAST_GOOD);
        cr_expect_eq(place.config.workers_max, 40);
        cr_expect_eq(place.lines, 1);
        snprintf(expected, sizeof(expected),
                 "%s:1:36: found a comma with nothing behind it: remove it before the }; the last "
                 "good configuration is used, of 2023-11-14 22:13:20 +0000",
                 place.path);
        cr_expect_str_eq(place.line[0], expected);
    }
    put(&place, FIFTY);
    cr_expect_eq(load(&place), CONFIG_FROM_FILE);
    cr_expect_eq(place.config.workers_max, 50);
    remove_place(&place);
}

Test(config_file, without_a_copy_the_defaults_take_the_place_of_a_broken_file)
{
    struct place place = make_place();

    put(&place, COMMA);
    cr_expect_eq(load(&place), CONFIG_FROM_DEFAULTS);
    expect_defaults(&place, "headroom.json:1:36: found a comma", "no last good copy");
    cr_expect_eq(load_as(&place, false, -1), CONFIG_FROM_DEFAULTS);
    expect_defaults(&place, "headroom.json:1:36: found a comma", "no last good copy");
    put(&place, "");
    cr_expect_eq(load(&place), CONFIG_FROM_DEFAULTS);
    expect_defaults(&place, "headroom.json:1:1: the file is empty", "no last good copy");
    remove_place(&place);
}

Test(config_file, many_errors_are_one_warning)
{
    struct place place = make_place();

    put(&place, "{\"defaults\": {\"agent\": 1, \"shed\": {\"after\": \"x\"}, \"journal\": 7}}");
    cr_expect_eq(load(&place), CONFIG_FROM_DEFAULTS);
    expect_defaults(&place, "headroom.json:1:24: agent is 1 but must be", "no last good copy");
    remove_place(&place);
}

Test(config_file, warnings_do_not_stop_a_file_from_being_used)
{
    struct place place = make_place();

    put(&place, "{\"defaults\": {\"wokers\": {}, \"workers\": {\"max\": 40}}}");
    cr_expect_eq(load(&place), CONFIG_FROM_FILE);
    cr_expect_eq(place.config.workers_max, 40);
    cr_expect_eq(place.lines, 1);
    cr_expect_not_null(strstr(place.line[0], "did you mean workers?"));
    remove_place(&place);
}

Test(config_file, follows_a_link_but_wants_a_regular_file_of_bounded_size)
{
    struct place place = make_place();
    char target[200];

    snprintf(target, sizeof(target), "%s/state/target", place.top);
    cr_assert_eq(symlink(target, place.path), 0);
    /* It leads nowhere: that is a mistake, not the absence of a configuration. */
    cr_expect_eq(load(&place), CONFIG_FROM_DEFAULTS);
    expect_defaults(&place, "No such file", "no last good copy");
    put_at(place.directory, "target", FORTY, 0644);
    cr_expect_eq(load(&place), CONFIG_FROM_FILE);
    cr_expect_eq(place.config.workers_max, 40);
    unlinkat(place.directory, CONFIG_LAST_GOOD, 0);

    cr_assert_eq(truncate(target, 2 << 20), 0);
    cr_expect_eq(load(&place), CONFIG_FROM_DEFAULTS);
    expect_defaults(&place, "larger than 1 MiB", "no last good copy");
    unlink(place.path);
    cr_assert_eq(mkdir(place.path, 0700), 0);
    cr_expect_eq(load(&place), CONFIG_FROM_DEFAULTS);
    expect_defaults(&place, "Is a directory", "no last good copy");
    rmdir(place.path);
    cr_assert_eq(mkfifo(place.path, 0600), 0); /* without a writer: opening it must not wait */
    cr_expect_eq(load(&place), CONFIG_FROM_DEFAULTS);
    expect_defaults(&place, "not a regular file", "no last good copy");
    unlink(place.path);
    cr_assert_eq(symlink("/dev/zero", place.path), 0);
    cr_expect_eq(load(&place), CONFIG_FROM_DEFAULTS);
    expect_defaults(&place, "not a regular file", "no last good copy");
    remove_place(&place);
}

Test(config_file, a_copy_that_others_could_have_made_is_not_trusted)
{
    struct place place = make_place();

    put(&place, COMMA);

    put_at(place.directory, CONFIG_LAST_GOOD, FORTY, 0620);
    cr_expect_eq(load(&place), CONFIG_FROM_DEFAULTS);
    expect_defaults(&place, "a comma", "not trusted: it is writable by others");
    cr_assert_eq(fchmodat(place.directory, CONFIG_LAST_GOOD, 0602, 0), 0);
    cr_expect_eq(load(&place), CONFIG_FROM_DEFAULTS);
    expect_defaults(&place, "a comma", "not trusted: it is writable by others");

    cr_assert_eq(fchmodat(place.directory, CONFIG_LAST_GOOD, 0600, 0), 0);
    cr_assert_eq(linkat(place.directory, CONFIG_LAST_GOOD, place.directory, "link", 0), 0);
    cr_expect_eq(load(&place), CONFIG_FROM_DEFAULTS);
    expect_defaults(&place, "a comma", "not trusted: it is linked elsewhere too");
    cr_assert_eq(unlinkat(place.directory, "link", 0), 0);

    /* Nothing else is wrong with it. */
    cr_expect_eq(load(&place), CONFIG_FROM_LAST_GOOD);

    cr_assert_eq(renameat(place.directory, CONFIG_LAST_GOOD, place.directory, "target"), 0);
    cr_assert_eq(symlinkat("target", place.directory, CONFIG_LAST_GOOD), 0);
    cr_expect_eq(load(&place), CONFIG_FROM_DEFAULTS);
    expect_defaults(&place, "a comma", "not trusted: it is a symbolic link");

    cr_assert_eq(unlinkat(place.directory, CONFIG_LAST_GOOD, 0), 0);
    cr_assert_eq(mkfifoat(place.directory, CONFIG_LAST_GOOD, 0600), 0);
    cr_expect_eq(load(&place), CONFIG_FROM_DEFAULTS);
    expect_defaults(&place, "a comma", "not trusted: it is not a regular file");
    remove_place(&place);
}

Test(config_file, a_copy_of_another_owner_is_not_trusted)
{
    struct place place = make_place();

    if (geteuid() != 0) {
        remove_place(&place);
        cr_skip_test("needs root to give a file away");
    }
    put(&place, COMMA);
    put_at(place.directory, CONFIG_LAST_GOOD, FORTY, 0600);
    cr_assert_eq(fchownat(place.directory, CONFIG_LAST_GOOD, 65534, 65534, 0), 0);
    cr_expect_eq(load(&place), CONFIG_FROM_DEFAULTS);
    expect_defaults(&place, "a comma", "not trusted: it is owned by somebody else");
    remove_place(&place);
}

Test(config_file, a_copy_that_is_wrong_itself_gives_way_to_the_defaults)
{
    struct place place = make_place();

    put(&place, COMMA);
    put_at(place.directory, CONFIG_LAST_GOOD, "{\"defaults\": {\"agent\": 5}}", 0600);
    cr_expect_eq(load(&place), CONFIG_FROM_DEFAULTS);
    expect_defaults(&place, "headroom.json:1:36: found a comma",
                    "the last good copy is wrong too: last-good.json:1:24: agent is 5");
    remove_place(&place);
}

/* What an unprivileged owner of the directory may have put in the way of root must not lead out of it. */
Test(config_file, keeping_a_copy_writes_through_no_link)
{
    struct place place = make_place();
    char text[20] = "";
    struct stat status;
    int target;

    put_at(place.directory, "target", "precious", 0644);
    cr_assert_eq(symlinkat("target", place.directory, CONFIG_LAST_GOOD ".new"), 0);
    cr_assert_eq(symlinkat("target", place.directory, CONFIG_LAST_GOOD), 0);
    put(&place, FORTY);
    cr_expect_eq(load(&place), CONFIG_FROM_FILE);
    cr_expect_eq(place.lines, 0);
    target = openat(place.directory, "target", O_RDONLY | O_CLOEXEC);
    cr_expect_eq(read(target, text, sizeof(text) - 1), 8);
    cr_expect_str_eq(text, "precious");
    close(target);
    cr_assert_eq(fstatat(place.directory, CONFIG_LAST_GOOD, &status, AT_SYMLINK_NOFOLLOW), 0);
    cr_expect(S_ISREG(status.st_mode));
    remove_place(&place);
}

Test(config_file, a_copy_that_can_t_be_kept_is_one_warning)
{
    struct place place = make_place();

    put(&place, FORTY);
    cr_assert_eq(mkdirat(place.directory, CONFIG_LAST_GOOD ".new", 0700), 0);
    cr_expect_eq(load(&place), CONFIG_FROM_FILE);
    cr_expect_eq(place.config.workers_max, 40);
    cr_expect_eq(place.lines, 1);
    cr_expect_not_null(strstr(place.line[0], "no copy can be kept"));
    remove_place(&place);
}

Test(config_file, reads_the_example_of_the_package)
{
    struct place place = {0};
    enum config_source source = config_file_load("packaging/headroom.json", true, -1,
                                                 "lmtp-filtermail", &place.config, hear, &place);

    cr_expect_eq(source, CONFIG_FROM_FILE);
    cr_expect_eq(place.lines, 0, "%s", place.line[0]);
    /* Installed as it is, it changes nothing. */
    cr_expect_eq(place.config.workers_max, 500);
    cr_expect_eq(place.config.waiting_max, 2000);
    cr_expect_str_eq(place.config.agent, "lmtp");
}

/* It names a program that root runs. Modes: of the directory and of the file. */
Test(config_file, who_may_write_it_but_root)
{
    static const struct {
        mode_t directory, file;
        uid_t directory_owner, file_owner;
        const char *said; /* NULL: nothing */
    } cases[] = {
        {0700, 0600, 0, 0, NULL},
        {0755, 0644, 0, 0, NULL},
        {01777, 0644, 0, 0, NULL},
        {0755, 0664, 0, 0, "headroom.json can be written by others than root (mode 664)"},
        {0755, 0602, 0, 0, "headroom.json can be written by others than root (mode 602)"},
        {0755, 0644, 0, 65534, "headroom.json belongs to user 65534"},
        {0775, 0644, 0, 0, "can be written by others than root (mode 775)"},
        {0755, 0644, 65534, 0, "belongs to user 65534"},
    };
    struct place place = make_place();
    char line[CONFIG_LINE_SIZE], link[160];

    if (geteuid() != 0)
        cr_skip_test("needs root to give a file away");
    snprintf(link, sizeof link, "/tmp/headroom-link-%d", (int)getpid());
    cr_expect_not(config_file_doubt(place.path, line, sizeof line), "it is not there");
    put(&place, FORTY);
    cr_assert_eq(symlink(place.path, link), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool doubtful = cases[i].said != NULL;

        cr_assert_eq(chown(place.top, cases[i].directory_owner, 0), 0);
        cr_assert_eq(chown(place.path, cases[i].file_owner, 0), 0);
        cr_assert_eq(chmod(place.top, cases[i].directory), 0);
        cr_assert_eq(chmod(place.path, cases[i].file), 0);
        cr_expect_eq(config_file_doubt(place.path, line, sizeof line), doubtful, "case %zu", i);
        if (doubtful)
            cr_expect_not_null(strstr(line, cases[i].said), "case %zu: %s", i, line);
        /* By a link from where everything is right. */
        cr_expect_eq(config_file_doubt(link, line, sizeof line), doubtful, "case %zu, link", i);
    }
    cr_assert_eq(lchown(link, 65534, 65534), 0);
    cr_assert_eq(chown(place.top, 0, 0), 0);
    cr_expect(config_file_doubt(link, line, sizeof line), "somebody else's link");
    unlink(link);
    remove_place(&place);
}
