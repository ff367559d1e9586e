/*
 * faults: says what is to fail (tests/fault/fault.h) in the programs that map FILE.
 *
 *     faults FILE ROLE CLASS NUMBER ACTION once|on
 *                     the NUMBER-th call of CLASS in ROLE; ACTION is the name of an errno value, short or death.
 *                     Counts begin again at zero.
 *     faults FILE off      nothing fails
 *     faults FILE hits     how often it did
 *     faults FILE counts   "ROLE CLASS COUNT", one a line, of what was called at all
 */

#include "tests/fault/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const roles[] = {FAULT_ROLE_NAMES};
static const char *const classes[] = {FAULT_CLASS_NAMES};

_Static_assert(sizeof roles / sizeof roles[0] == FAULT_ROLES, "one name each");
_Static_assert(sizeof classes / sizeof classes[0] == FAULT_CLASSES, "one name each");

static const struct {
    const char *name;
    int action;
} actions[] = {{"short", FAULT_SHORT},
               {"death", FAULT_DEATH},
               {"ENOMEM", ENOMEM},
               {"EMFILE", EMFILE},
               {"ENOSPC", ENOSPC},
               {"EIO", EIO},
               {"EINTR", EINTR},
               {"EAGAIN", EAGAIN},
               {"EPIPE", EPIPE},
               {"EPERM", EPERM},
               {"ECONNREFUSED", ECONNREFUSED},
               {"ECONNABORTED", ECONNABORTED},
               {"ENOBUFS", ENOBUFS},
               {"EBUSY", EBUSY}};

static uint32_t find(const char *const *names, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    fprintf(stderr, "faults: what is %s?\n", name);
    exit(2);
}

static int action_of(const char *name)
{
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
        if (strcmp(actions[i].name, name) == 0)
            return actions[i].action;
    fprintf(stderr, "faults: what is %s?\n", name);
    exit(2);
}

static struct fault_page *map(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *page = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, sizeof(struct fault_page)) == 0)
        page = mmap(NULL, sizeof(struct fault_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) {
        fprintf(stderr, "faults: %s: %s\n", path, strerror(errno));
        exit(2);
    }
    close(fd);
    return page;
}

int main(int argc, char **argv)
{
    struct fault_page *page;

    if (argc != 3 && argc != 7) {
        fprintf(stderr,
                "usage: faults FILE ROLE CLASS NUMBER ACTION once|on, or off, hits, counts\n");
        return 2;
    }
    page = map(argv[1]);
    if (argc == 7) {
        page->action = 0;
        page->hits = 0;
        for (uint32_t i = 0; i < FAULT_ROLES; i++)
            for (uint32_t j = 0; j < FAULT_CLASSES; j++)
                page->counted[i][j] = 0;
        page->role = find(roles, FAULT_ROLES, argv[2]);
        page->class = find(classes, FAULT_CLASSES, argv[3]);
        page->number = (uint32_t)strtoul(argv[4], NULL, 10);
        page->lasting = strcmp(argv[6], "on") == 0;
        page->action = action_of(argv[5]);
    } else if (strcmp(argv[2], "off") == 0) {
        page->action = 0;
    } else if (strcmp(argv[2], "hits") == 0) {
        printf("%u\n", page->hits);
    } else {
        for (uint32_t i = 0; i < FAULT_ROLES; i++)
            for (uint32_t j = 0; j < FAULT_CLASSES; j++)
                if (page->counted[i][j] > 0)
                    printf("%s %s %u\n", roles[i], classes[j], page->counted[i][j]);
    }
    return 0;
}
